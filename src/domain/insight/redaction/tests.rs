//! Numbers in calls, and what is left of them.

use std::sync::Arc;

use super::{Kind, Pattern, Redactor, Rules, is_card_number, mask_typed, redact};
use crate::{
    domain::insight::{dialogues::call, utterance::Utterance},
    ids::{LegId, Party},
    time::UnixMs,
};

fn rules() -> Rules {
    Rules { patterns: vec![Pattern::new("policy number", r"\bPX\d{4}\b").expect("compiles")], ..Rules::default() }
}

/// All that is left of a call, a line each.
fn left(lines: &[&str]) -> Vec<String> {
    let mut transcript = call(lines);
    redact(&mut transcript, &rules());
    transcript.utterances.iter().map(Utterance::text).collect()
}

#[test]
fn a_card_number_read_digit_by_digit_is_masked_and_its_neighbours_stay() {
    let left = left(&[
        "A: Can I take the long number across the front of the card?",
        "C: Yes, it is four one one one, one one one one, one one one one, one one one one. Is that all?",
    ]);
    assert_eq!(left[1], "Yes, it is [card number]. Is that all?");
}

#[test]
fn a_number_is_found_however_it_is_said() {
    for said in [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "forty-one eleven eleven eleven eleven eleven eleven eleven",
        "four triple one um double one double one let me see one one one one double one double one",
        "for one one one 1111 eleven eleven oh sorry eleven eleven",
        "forty one hundred zero zero zero zero zero zero zero zero zero zero zero two",
    ] {
        let line = format!("C: My card number is {said} and that's it.");
        let left = left(&[&line]);
        let digits = left[0].chars().any(|c| c.is_ascii_digit());
        assert!(left[0].contains("[card number]") && !digits, "{said}: {left:?}");
        for word in ["one", "eleven", "four", "zero"] {
            assert!(!left[0].split(' ').any(|w| w == word), "{said}: {left:?}");
        }
    }
}

#[test]
fn without_any_announcement_the_check_digit_tells() {
    assert_eq!(
        left(&["C: So five five double five, double five double five, double five double five, four four four four."])[0],
        "So [card number]."
    );
    assert_eq!(left(&["C: The tracking says 1234 5678 9012 3456 789."])[0], "The tracking says 1234 5678 9012 3456 789.");
}

#[test]
fn a_number_goes_on_through_confirmations_of_the_other_side_and_over_utterances() {
    let left = left(&[
        "A: What is the card number?",
        "C: four one one one",
        "A: okay",
        "C: um one one one one",
        "A: four one one one, one one one one, go on",
        "C: one one one one and the last four",
        "A: mhm",
        "C: one one one one",
        "A: So that is ending in one one one one.",
    ]);
    for line in &left {
        assert!(!line.contains("one one") && !line.contains("four one"), "{left:#?}");
    }
    assert_eq!((left[2].as_str(), left[6].as_str()), ("okay", "mhm"));
}

#[test]
fn a_number_with_a_wrong_digit_is_masked_where_it_was_asked_for() {
    let left = left(&["A: Can you read me the card number?", "C: four one one one, one one one one, one one one one, one one one two."]);
    assert_eq!(left[1], "[card number].");
}

#[test]
fn a_security_code_is_masked_after_the_question_of_the_other_side() {
    for question in [
        "A: And the security code?",
        "A: And the three digits on the back, please?",
        "A: What is the CVV?",
        "A: Could you give me the last three numbers on the back of the card?",
        "A: And the C V V?",
    ] {
        for answer in ["C: It's one two three.", "C: 123.", "C: one twenty-three", "C: nine oh seven, okay?"] {
            let left = left(&[question, answer]);
            assert!(left[1].contains("[security code]"), "{question} {answer}: {left:?}");
            assert!(!left[1].chars().any(|c| c.is_ascii_digit()), "{left:?}");
        }
    }
}

#[test]
fn a_code_said_before_its_name_and_a_code_in_two_breaths_are_masked() {
    assert_eq!(left(&["C: One two three is the security code."])[0], "[security code] is the security code.");
    let left = left(&["A: And the security code?", "C: nine", "A: yes", "C: oh seven"]);
    assert_eq!((left[1].as_str(), left[3].as_str()), ("[security code]", "[security code]"));
}

#[test]
fn expiry_dates_are_masked_beside_a_card_and_nowhere_else() {
    for said in ["12/28", "twelve twenty-eight", "April twenty eight", "oh four 2028", "four twenty-eight"] {
        let line = format!("C: {said}.");
        let left = left(&["C: My card number is 4111 1111 1111 1111.", "A: When does it expire?", &line]);
        assert!(left[2].starts_with("[expiry date]"), "{said}: {left:?}");
    }
    let contract = "A: Your contract expires in March 2027, on the 3rd.";
    assert_eq!(left(&[contract])[0], &contract[3..]);
}

#[test]
fn an_iban_is_masked_spelled_said_and_written() {
    for said in [
        "GB29 NWBK 6016 1331 9268 19",
        "G B two nine N W B K six zero one six one three three one nine two six eight one nine",
        "golf bravo two nine november whiskey bravo kilo sixty sixteen thirteen thirty-one ninety-two sixty-eight nineteen",
        "G for Golf B for Bravo two nine N W B K 6016 1331 9268 19",
        "DE89 3704 0044 0532 0130 00",
        "D E eight nine three seven oh four double oh double four oh five three two oh one three oh oh oh",
    ] {
        let line = format!("C: It is {said} thanks.");
        let left = left(&[&line]);
        assert_eq!(left[0], "It is [account number] thanks.", "{said}");
    }
    // A wrong digit, where it was asked for.
    assert_eq!(left(&["A: Your IBAN please?", "C: DE88 3704 0044 0532 0130 00."])[1], "[account number].");
}

#[test]
fn configured_patterns_are_masked_over_words_that_say_digits() {
    assert_eq!(left(&["C: My policy is P X four four one two, please."])[0], "My policy is [policy number] please.");
    assert_eq!(left(&["C: It was PX4412."])[0], "It was [policy number].");
    assert_eq!(left(&["C: It was PX44125."])[0], "It was PX44125.");
}

#[test]
fn a_pattern_that_cannot_be_used_says_why() {
    for (name, expression) in [("", "a"), ("a]", "a"), ("order", "("), ("order", "x*")] {
        let error = Pattern::new(name, expression).expect_err("refused").to_string();
        assert!(!error.is_empty(), "{name} {expression}");
    }
}

#[test]
fn orders_telephones_amounts_dates_and_times_stay() {
    for line in [
        "C: My order number is 48215.",
        "C: My order number is four eight two one five.",
        "C: You can call me back on oh one seven one two three four five six seven eight.",
        "A: I will refund $45 to your card within three days.",
        "A: It was 45 dollars and 99 cents on March 3rd at 10:30.",
        "C: I was born on the 3rd of March 1984.",
        "A: Your ticket is 2026-00417 and the parcel 00340434161094.",
        "C: Flight LH 1234 leaves at 6 p.m.",
        "C: I called four times in two days, one moment.",
    ] {
        assert_eq!(left(&[line])[0], &line[3..]);
        let left = left(&["C: I lost my credit card.", line]);
        assert_eq!(left[1], &line[3..], "after a card");
    }
}

#[test]
fn an_order_number_after_a_card_was_asked_for_stays_when_it_is_called_so() {
    let left = left(&["A: Can I have your card number?", "C: I have no card, my order number is 48215."]);
    assert_eq!(left[1], "I have no card, my order number is 48215.");
}

#[test]
fn the_last_four_stay_where_they_may() {
    let lines = ["A: Is it the card ending in 4417?"];
    let mut transcript = call(&lines);
    assert_eq!(redact(&mut transcript, &Rules::default()).len(), 1);
    let mut transcript = call(&lines);
    assert!(redact(&mut transcript, &Rules { keep_last_four: true, ..Rules::default() }).is_empty());
    let mut transcript = call(&lines);
    assert!(redact(&mut transcript, &Rules { off: true, ..Rules::default() }).is_empty());
}

#[test]
fn what_was_masked_reaches_from_the_first_digit_to_the_last() {
    let mut transcript = call(&["C: My card number is 4111 1111", "A: okay", "C: 1111 1111 thanks"]);
    let first = transcript.utterances[0].words[4].from_ms;
    let last = transcript.utterances[2].words[1].to_ms;
    let found = redact(&mut transcript, &Rules::default());
    assert_eq!(found.len(), 1);
    let leg = transcript.utterances[0].leg;
    assert_eq!((found[0].leg, found[0].from_ms, found[0].to_ms, found[0].kind), (leg, first, last, Kind::CardNumber));
    assert_eq!(transcript.utterances[0].words[4].from_ms, first);
}

fn utterance(leg: u8, from_ms: u32, text: &str) -> Utterance {
    let words = text.split(' ').zip(0..).map(|(w, n)| super::Word {
        text: w.into(),
        from_ms: from_ms + n * 300,
        to_ms: from_ms + n * 300 + 280,
        confidence: 90,
    });
    let words: Vec<_> = words.collect();
    let to_ms = words.last().map_or(from_ms, |w| w.to_ms);
    let party = if leg == 1 { Party::Customer } else { Party::Agent };
    Utterance { leg: LegId::new(UnixMs(0), [leg; 10]), party, from_ms, to_ms, words, confidence: 90, rejected: None }
}

#[test]
fn live_the_first_groups_are_taken_back_when_the_number_shows() {
    let mut redactor = Redactor::new(Arc::new(Rules::default()));
    let mut first = utterance(1, 1_000, "it goes five five double five");
    let mut second = utterance(1, 6_000, "double five double five double five double five");
    let mut third = utterance(1, 12_000, "four four four four");
    assert!(redactor.mask(&mut first).is_empty());
    assert!(redactor.mask(&mut second).is_empty());
    assert_eq!(redactor.mask(&mut third).len(), 1);
    assert_eq!(third.text(), "[card number]");
    let changed: Vec<String> = redactor.changed().iter().map(Utterance::text).collect();
    assert_eq!(changed, ["it goes [card number]", "[card number]"]);
    assert!(redactor.changed().is_empty());
}

#[test]
fn live_digits_are_held_back_at_once_where_a_card_was_asked_for() {
    let mut redactor = Redactor::new(Arc::new(Rules::default()));
    redactor.mask(&mut utterance(2, 1_000, "What is your card number?"));
    let mut partial = utterance(1, 4_000, "it is four one one one");
    redactor.mask_partial(&mut partial);
    assert_eq!(partial.text(), "it is [card number]");
    let mut first = utterance(1, 4_000, "it is four one one one");
    assert_eq!(redactor.mask(&mut first).len(), 1);
    assert_eq!(first.text(), "it is [card number]");
    assert!(redactor.changed().is_empty());
}

#[test]
fn typed_numbers_are_masked_and_typed_text_stays() {
    for (typed, kept) in [
        ("Card 4111 1111 1111 1111, exp 12/28", "Card [card number], exp 12/28"),
        ("4111-1111-1111-1111", "[card number]"),
        ("x4111111111111111", "x4111111111111111"),
        ("order 4111111111111112", "order 4111111111111112"),
        ("GB29 NWBK 6016 1331 9268 19 and de89370400440532013000.", "[account number] and [account number]."),
        ("call +49 30 1234567 about PX4412", "call +49 30 1234567 about [policy number]"),
        ("ünïcode 378282246310005 ✓", "ünïcode [card number] ✓"),
        ("", ""),
    ] {
        assert_eq!(mask_typed(typed, &rules()).0, kept);
    }
    assert!(is_card_number("378282246310005"));
}

#[test]
fn an_answer_that_nobody_understood_is_taken_out_of_the_audio() {
    let mut transcript = call(&["A: And the security code?", "C: what", "A: Thank you. How is the weather?", "C: fine"]);
    for at in [1, 3] {
        transcript.utterances[at].words.clear();
        transcript.utterances[at].rejected = Some("key tones".into());
    }
    let found = redact(&mut transcript, &Rules::default());
    assert_eq!(found.first().map(|r| (r.from_ms, r.kind)), Some((transcript.utterances[1].from_ms, Kind::SecurityCode)));
    let mut transcript = call(&["A: How is the weather?", "C: what"]);
    transcript.utterances[1].words.clear();
    transcript.utterances[1].rejected = Some("unsure".into());
    assert!(redact(&mut transcript, &Rules::default()).is_empty());
}

#[test]
fn live_what_was_masked_stays_masked_when_its_question_is_long_ago() {
    let mut redactor = Redactor::new(Arc::new(Rules::default()));
    redactor.mask(&mut utterance(2, 1_000, "And the security code?"));
    let mut code = utterance(1, 20_000, "one two three");
    redactor.mask(&mut code);
    assert_eq!(code.text(), "[security code]");
    redactor.mask(&mut utterance(1, 185_000, "how long will it take"));
    assert!(redactor.changed().is_empty());
}
