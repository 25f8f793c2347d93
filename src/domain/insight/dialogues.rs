//! Short service calls, written down by hand, and what must be read out of each.

use time::{Date, macros::date};

use super::{
    card::{Card, Context, Label, Outcome, TooLittle, card},
    sentiment::{Sentiment, sentiment},
    slots::{Known, SlotKind},
    utterance::{LegCoverage, Transcript, Utterance, Word},
};
use crate::{
    ids::{LegId, Party},
    time::UnixMs,
};

/// A Thursday.
const CALL_DAY: Date = date!(2026 - 03 - 05);

/// "C: …" is the customer, "A: …" the agent; a word takes 300 ms, a turn ends with 400 ms of nothing.
pub(super) fn call(lines: &[&str]) -> Transcript {
    let leg = |n: u8| LegId::new(UnixMs(0), [n; 10]);
    let mut at = 1_000;
    let mut utterances = Vec::new();
    for line in lines {
        let (who, text) = line.split_once(": ").expect("who: what");
        let (party, leg) = if who == "C" { (Party::Customer, leg(1)) } else { (Party::Agent, leg(2)) };
        let words: Vec<Word> = text
            .split(' ')
            .map(|w| {
                at += 300;
                Word { text: w.into(), from_ms: at - 300, to_ms: at, confidence: 90 }
            })
            .collect();
        let (from_ms, to_ms) = (words[0].from_ms, at);
        utterances.push(Utterance { leg, party, from_ms, to_ms, words, confidence: 90, rejected: None });
        at += 400;
    }
    Transcript {
        model: "by hand".into(),
        language: "en".into(),
        utterances,
        coverage: [1, 2].map(|n| LegCoverage::all(leg(n), 80)).to_vec(),
    }
}

pub(super) fn read(lines: &[&str]) -> Card {
    let context = Context { known: Known { call: CALL_DAY, references: &[], products: &["headset".into()], patterns: &[] }, subjects: &[] };
    let transcript = call(lines);
    let card = card(&transcript, &context).expect("enough is understood");
    for line in &card.lines {
        assert!(!line.evidence.is_empty(), "every line has its place: {line:?}");
        if line.label != Label::Details {
            for quote in line.text.split(" … ") {
                let said = lines.iter().any(|l| l.replace("uh ", "").contains(quote.trim_end_matches('…')));
                assert!(said, "nobody said {quote:?}");
            }
        }
    }
    assert!(card.lines.len() <= 6 && card.title.chars().count() <= 80);
    println!("{card:#?}");
    card
}

pub(super) fn text(card: &Card, label: Label) -> &str {
    card.lines.iter().find(|l| l.label == label).map_or("", |l| &l.text)
}

fn mood(lines: &[&str]) -> Sentiment {
    let found = sentiment(&call(lines));
    println!("{found:?}");
    found
}

const CHARGED_TWICE: [&str; 15] = [
    "A: Thank you for calling Northwind, my name is Daniel.",
    "C: Hello, my name is Laura Bennett.",
    "C: I sent you an email two hours ago and nobody answered.",
    "A: I am sorry to hear that. Can you tell me the order number?",
    "C: My order number is 48215.",
    "A: Thank you. Please wait a moment.",
    "A: I can see a payment of $45 on March 3rd.",
    "C: Yes, but I was charged twice. This is unacceptable.",
    "A: You are right, that should not have happened.",
    "A: I will refund $45 to your card.",
    "C: When will I get my refund?",
    "A: The refund will take three days.",
    "C: That is great, thank you very much for your help.",
    "A: Is there anything else I can do for you?",
    "C: No, thank you. Goodbye.",
];

#[test]
fn a_double_charge_is_read_with_reason_details_promise_and_outcome() {
    let card = read(&CHARGED_TWICE);
    assert_eq!(text(&card, Label::Reason), "I sent you an email two hours ago and nobody answered … I was charged twice");
    assert_eq!(text(&card, Label::Details), "order 48215 · $45 · March 3rd");
    assert_eq!(text(&card, Label::Agreed), "I will refund $45 to your card … The refund will take three days");
    assert_eq!(text(&card, Label::Open), "");
    assert_eq!(card.outcome, Outcome::Solved);
    assert_eq!(card.promises.len(), 1);
    assert_eq!((card.promises[0].text.as_str(), card.promises[0].due), ("I will refund $45 to your card", Some(date!(2026 - 03 - 08))));
    assert_eq!(card.promises[0].evidence.len(), 2);
    assert_eq!(card.slots[2].value, "2026-03-03");
    assert!(card.title.starts_with("I sent you an email"));
}

#[test]
fn a_double_charge_that_is_mended_starts_badly_and_ends_well() {
    let mood = mood(&CHARGED_TWICE);
    let [start, end] = mood.trend.expect("enough turns");
    assert!(start < 0 && end > 30, "{mood:?}");
    assert!(mood.why.iter().any(|w| w == "charged twice") && mood.why.iter().any(|w| w == "unacceptable"));
}

#[test]
fn a_call_without_a_reason_has_no_reason_line() {
    let card = read(&["A: Good morning, my name is Ann.", "C: Hello.", "A: Hello? Are you still there?", "C: Yes.", "A: Goodbye."]);
    assert_eq!((text(&card, Label::Reason), card.title.as_str(), card.outcome), ("", "", Outcome::Unclear));
    assert!(card.promises.is_empty());
}

#[test]
fn two_reasons_are_both_quoted() {
    let card = read(&[
        "A: Good morning, how can I help you?",
        "C: My headset stopped working. And I want to change my address.",
        "A: I have updated your address. I have ordered a new headset.",
        "C: Perfect, thank you.",
    ]);
    assert_eq!(text(&card, Label::Reason), "My headset stopped working … I want to change my address");
    assert_eq!(text(&card, Label::Done), "I have updated your address … I have ordered a new headset");
    assert_eq!(card.outcome, Outcome::Solved);
    assert_eq!(card.slots[0].kind, SlotKind::Product);
}

#[test]
fn a_negated_promise_is_none() {
    let card = read(&[
        "C: I want a refund for order number 77120.",
        "A: Unfortunately, we can't refund the headset after ten days. I will not be able to change that.",
        "C: That is unacceptable.",
    ]);
    assert!(card.promises.is_empty());
    assert_eq!(card.outcome, Outcome::NotSolved);
    assert!(text(&card, Label::Open).contains("Unfortunately, we can't refund the headset"));
}

#[test]
fn a_conditional_promise_is_none() {
    let card = read(&["C: The parcel never arrived.", "A: If it does not come tomorrow, I will send a new one.", "C: Okay."]);
    assert!(card.promises.is_empty());
}

#[test]
fn a_promise_by_weekday_is_due_on_the_next_one() {
    let card = read(&["C: I need a technician.", "A: We will send somebody on Monday.", "C: Yes, that works."]);
    assert_eq!(card.promises[0].due, Some(date!(2026 - 03 - 09)));
    assert!(text(&card, Label::Agreed).contains("We will send somebody on Monday"));
}

#[test]
fn working_days_skip_the_weekend_and_a_date_may_be_spoken_out() {
    let card = read(&["C: When do I get my money?", "A: You will receive it within two working days.", "C: Okay, thank you."]);
    assert_eq!(card.promises[0].due, Some(date!(2026 - 03 - 09)));
    let card = read(&["C: My internet is not working.", "A: I will call you on the twenty-first of March.", "C: Okay."]);
    assert_eq!(card.promises[0].due, Some(date!(2026 - 03 - 21)));
}

#[test]
fn a_call_that_ends_in_anger_is_not_solved() {
    let lines = [
        "A: How can I help you?",
        "C: My parcel never arrived. This is the third time I call.",
        "A: I am sorry. I can see that it was sent on February 27th.",
        "C: I already told you that it did not arrive.",
        "A: You will have to wait.",
        "C: This is a waste of time. I will cancel my contract.",
    ];
    let card = read(&lines);
    assert_eq!(card.outcome, Outcome::NotSolved);
    assert_eq!(card.slots.iter().find(|s| s.kind == SlotKind::Date).map(|s| s.value.as_str()), Some("2026-02-27"));
    let mood = mood(&lines);
    assert!(mood.overall.expect("enough") < -40, "{mood:?}");
}

#[test]
fn an_offer_that_is_taken_is_agreed_and_one_that_is_declined_is_not() {
    let taken = read(&[
        "C: The shoes are too small and I am not happy.",
        "A: I can offer you a discount of 40%.",
        "C: Yes, that would be great.",
        "A: Goodbye.",
    ]);
    assert_eq!(text(&taken, Label::Agreed), "I can offer you a discount of 40%");
    assert_eq!(taken.slots[0].value, "40%");
    let declined =
        read(&["C: The shoes are broken.", "A: I can offer you a discount of 40%.", "C: No, I want my money back.", "A: I understand."]);
    assert_eq!(text(&declined, Label::Agreed), "");
}

#[test]
fn references_are_read_digit_by_digit_in_groups_and_from_the_record() {
    let spoken = read(&["C: It is about my contract, the number is four eight two one five."]);
    assert_eq!(spoken.slots[0].value, "48215");
    let grouped = read(&["C: My invoice number is 77 120."]);
    assert_eq!(grouped.slots[0].text, "invoice 77120");
    let transcript = call(&["C: I am calling about NW-47."]);
    let references = ["nw-47".to_owned()];
    let context = Context { known: Known { call: CALL_DAY, references: &references, products: &[], patterns: &[] }, subjects: &[] };
    assert_eq!(card(&transcript, &context).expect("understood").slots[0].value, "nw-47");
    let none = read(&["C: I have called 4821 times."]);
    assert!(none.slots.is_empty(), "a bare number is no reference");
}

#[test]
fn amounts_are_read_in_words() {
    let card = read(&["C: You charged me one hundred and twenty five dollars.", "A: I see."]);
    assert_eq!(card.slots[0].value, "$125");
}

#[test]
fn a_question_that_nobody_answered_stays_open() {
    let card = read(&["C: My modem is broken.", "A: I have ordered a new one.", "C: When will it arrive?", "A: Goodbye."]);
    assert_eq!(text(&card, Label::Open), "When will it arrive?");
    assert_eq!(text(&card, Label::Done), "I have ordered a new one");
}

#[test]
fn without_a_cue_the_first_long_sentence_of_the_customer_is_the_reason() {
    let card =
        read(&["A: Good morning.", "C: Good morning. My neighbour recommended the fast fibre tariff yesterday evening.", "A: I see."]);
    assert!(text(&card, Label::Reason).contains("fast fibre tariff"));
}

#[test]
fn a_reason_that_resembles_an_open_ticket_wins() {
    let transcript = call(&["C: I have a question about opening hours. I need a replacement for the broken screen."]);
    let subjects = ["Opening hours on holidays question".to_owned()];
    let known = Known { call: CALL_DAY, references: &[], products: &[], patterns: &[] };
    let card = card(&transcript, &Context { known, subjects: &subjects }).expect("understood");
    assert_eq!(card.title, "I have a question about opening hours");
}

#[test]
fn what_somebody_wrote_is_compared_word_by_word_whatever_its_punctuation() {
    let transcript = call(&["C: I have a question about opening hours. I need a replacement for the broken screen."]);
    let known = Known { call: CALL_DAY, references: &[], products: &[], patterns: &[] };
    let title = |subjects: &[String]| card(&transcript, &Context { known, subjects }).expect("understood").title;
    assert_eq!(title(&["Opening hours, a question!".to_owned()]), "I have a question about opening hours");
    assert_eq!(title(&["Re: REPLACEMENT for the \"broken screen\"...".to_owned()]), "I need a replacement for the broken screen");
}

#[test]
fn under_sixty_percent_understood_there_is_no_card_only_the_figure() {
    let mut transcript = call(&["C: My headset is broken."]);
    transcript.coverage[0].transcribed = 5;
    let known = Known { call: CALL_DAY, references: &[], products: &[], patterns: &[] };
    let none = card(&transcript, &Context { known, subjects: &[] });
    assert_eq!(none, Err(TooLittle { percent: 53 }));
    assert_eq!(TooLittle { percent: 41 }.to_string(), "41 % understood");
}

#[test]
fn fillers_are_taken_out_and_pronouns_stay() {
    let card = read(&["C: Um, well, my uh router is broken."]);
    assert_eq!(text(&card, Label::Reason), "my router is broken");
}

#[test]
fn two_scored_turns_are_not_enough_and_manners_are_no_mood() {
    let polite =
        mood(&["A: I am so sorry, thank you, thanks.", "C: My number is 4.", "C: Thank you. Goodbye.", "A: Thank you for calling."]);
    assert_eq!(polite.overall, None);
    let two = mood(&["C: This is terrible.", "A: I see.", "C: It is horrible."]);
    assert_eq!((two.overall, two.turns.len()), (None, 2));
}

#[test]
fn negation_turns_a_word_and_ends_at_but() {
    let turn = |text: &str| mood(&[&format!("C: {text}")]).turns.first().map_or(0, |t| t.score);
    assert!(turn("I am happy.") > 0 && turn("I am not happy.") < 0);
    assert!(turn("It was not cheap but wonderful.") > 0);
    assert!(turn("This is very terrible.") < turn("This is terrible."));
}

#[test]
fn saying_it_again_counts_against_the_mood() {
    let lines = ["C: The blue modem lights keep blinking.", "A: I see.", "C: The blue modem lights keep blinking."];
    assert_eq!(mood(&lines).turns.len(), 1);
}

#[test]
fn a_turn_names_the_words_that_made_its_mood_at_their_place() {
    let transcript = call(&["C: Well, I was not happy and then charged twice.", "A: I see.", "C: It is very good now."]);
    let mood = sentiment(&transcript);
    let told = |n: usize| mood.turns[n].fired.iter().map(|f| (f.text.as_str(), f.weight.signum())).collect::<Vec<_>>();
    assert_eq!((told(0), told(1)), (vec![("not happy", -1), ("charged twice", -1)], vec![("very good", 1)]));
    for (turn, utterance) in [(0, 0), (1, 2)] {
        for fired in &mood.turns[turn].fired {
            let words = transcript.utterances[utterance].words.iter().filter(|w| w.from_ms >= fired.from_ms && w.to_ms <= fired.to_ms);
            let spoken: Vec<String> = words.map(|w| super::sentences::plain(&w.text)).collect();
            assert_eq!(spoken.join(" "), fired.text);
        }
    }
}

#[test]
fn another_language_has_no_mood_and_never_neutral() {
    let mut transcript = call(&["C: Das ist furchtbar."]);
    transcript.language = "de".into();
    assert_eq!(sentiment(&transcript), Sentiment::default());
}

proptest::proptest! {
    #[test]
    fn any_words_make_a_card_and_never_a_panic(lines in proptest::collection::vec(("[CA]", "[a-zA-Z0-9$%.,?' -]{1,60}"), 1..12)) {
        let lines: Vec<String> = lines.into_iter().map(|(who, text)| format!("{who}: {text}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let transcript = call(&lines);
        let context = Context { known: Known { call: CALL_DAY, references: &[], products: &[], patterns: &[] }, subjects: &[] };
        if let Ok(card) = card(&transcript, &context) {
            proptest::prop_assert!(card.lines.len() <= 6 && card.lines.iter().all(|l| !l.evidence.is_empty()));
        }
        let _ = sentiment(&transcript);
    }
}
