//! Whether a line of a card was said where its evidence points: the check that no line is invented, whoever wrote it.

use super::{
    card::{Label, Line},
    dates,
    sentences::{Evidence, FILLERS, plain},
    utterance::{Transcript, Word},
};

/// Parts two quotes of one line.
pub const BETWEEN_QUOTES: &str = " … ";
/// Parts two details.
pub const BETWEEN_DETAILS: &str = " · ";
/// The noun of a reference ("order 48215") was said so shortly before its number, milliseconds.
const NOUN_WITHIN_MS: u32 = 6_000;

/// Whether every quote of a line was said, word for word but for fillers, in the span that it names.
pub fn supports(transcript: &Transcript, line: &Line) -> bool {
    let between = if line.label == Label::Details { BETWEEN_DETAILS } else { BETWEEN_QUOTES };
    let quotes: Vec<&str> = line.text.split(between).collect();
    let own = |i: usize| line.evidence.get(i).filter(|_| quotes.len() == line.evidence.len());
    let said = |quote: &str, evidence: &Evidence| {
        supports_quote(transcript, quote, evidence) || (line.label == Label::Details && supports_number(transcript, quote, evidence))
    };
    let one = |(i, quote): (usize, &&str)| match own(i) {
        Some(evidence) => said(quote, evidence),
        None => line.evidence.iter().any(|evidence| said(quote, evidence)),
    };
    !line.evidence.is_empty() && quotes.iter().enumerate().all(one)
}

/// Whether a quote was said in a span; one that ends in "…" may have been cut there.
pub fn supports_quote(transcript: &Transcript, quote: &str, evidence: &Evidence) -> bool {
    let wanted = plain_words(quote.split_whitespace());
    let said = plain_words(words(transcript, evidence).map(|w| w.text.as_str()));
    !wanted.is_empty() && said.windows(wanted.len()).any(|w| w == wanted)
}

/// What was said for a quote: the transcript's own words without fillers and full stop, and their own place in the span.
pub fn own_words(transcript: &Transcript, quote: &str, evidence: &Evidence) -> Option<(String, Evidence)> {
    let wanted = plain_words(quote.split_whitespace());
    let is_word = |w: &&Word| !matches!(plain(&w.text).as_str(), p if p.is_empty() || FILLERS.contains(&p));
    let said: Vec<&Word> = words(transcript, evidence).filter(is_word).collect();
    let same = |window: &[&Word]| window.iter().zip(&wanted).all(|(w, p)| plain(&w.text) == *p);
    let window = said.windows(wanted.len().max(1)).find(|w| w.len() == wanted.len() && same(w))?;
    let text = window.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
    let place = Evidence { from_ms: window.first()?.from_ms, to_ms: window.last()?.to_ms, ..*evidence };
    Some((text.trim_end_matches(['.', ',', ';']).to_owned(), place))
}

/// "order 48215" where "order number is four eight two one five" was said.
fn supports_number(transcript: &Transcript, quote: &str, evidence: &Evidence) -> bool {
    let mut before = *evidence;
    before.from_ms = evidence.from_ms.saturating_sub(NOUN_WITHIN_MS);
    let near = plain_words(words(transcript, &before).map(|w| w.text.as_str()));
    let said = plain_words(words(transcript, evidence).map(|w| w.text.as_str()));
    let wanted = plain_words(quote.split_whitespace());
    let is_number = |w: &String| w.contains(|c: char| c.is_ascii_digit());
    let number = digits_of(&wanted.iter().filter(|w| is_number(w)).cloned().collect::<Vec<_>>());
    // A word without length may stand at either end.
    let spoken = (0..said.len()).any(|from| (from..said.len()).any(|to| digits_of(&said[from..=to]) == number));
    !number.is_empty() && spoken && wanted.iter().filter(|w| !is_number(w)).all(|w| near.contains(w))
}

/// Letters and digits of what was said, number words as digits.
fn digits_of(words: &[String]) -> String {
    let digit = |w: &String| dates::small(w).filter(|v| *v < 10).map_or_else(|| w.clone(), |v| v.to_string());
    let joined: String = words.iter().map(|w| if w == "oh" { "0".into() } else { digit(w) }).collect();
    joined.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn words<'a>(transcript: &'a Transcript, evidence: &'a Evidence) -> impl Iterator<Item = &'a Word> {
    let mine = transcript.utterances.iter().filter(move |u| u.leg == evidence.leg && u.party == evidence.party);
    // A word belongs to a span that holds its middle.
    let inside = move |w: &&Word| (evidence.from_ms..=evidence.to_ms).contains(&(w.from_ms / 2 + w.to_ms / 2));
    mine.flat_map(|u| &u.words).filter(inside)
}

fn plain_words<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.map(plain).filter(|w| !w.is_empty() && !FILLERS.contains(&w.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::insight::{dialogues::call, sentences::sentences};

    fn line(label: Label, text: &str, evidence: Evidence) -> Line {
        Line { label, text: text.into(), evidence: vec![evidence] }
    }

    #[test]
    fn a_quote_is_supported_where_it_was_said_and_nowhere_else() {
        let transcript = call(&["C: Well, my uh router is broken. It is new.", "A: I will send one."]);
        let all = sentences(&transcript);
        let [broken, new, send] = [0, 1, 2].map(|i| all[i].evidence());
        assert!(supports(&transcript, &line(Label::Reason, "my router is broken", broken)));
        assert!(supports(&transcript, &line(Label::Reason, "my router…", broken)), "a cut quote is still one");
        assert!(!supports(&transcript, &line(Label::Reason, "my router is broken", new)));
        assert!(!supports(&transcript, &line(Label::Reason, "my router is stolen", broken)));
        assert!(!supports(&transcript, &line(Label::Reason, "router my is broken", broken)), "in this order");
        assert!(!supports(&transcript, &line(Label::Agreed, "I will send one", Evidence { party: broken.party, ..send })));
        assert!(!supports(&transcript, &line(Label::Reason, "", broken)));
        let none = Line { label: Label::Reason, text: "my router is broken".into(), evidence: vec![] };
        assert!(!supports(&transcript, &none));
    }

    #[test]
    fn a_number_said_in_words_supports_its_digits() {
        let transcript = call(&["C: My order number is four eight two one five."]);
        let all = sentences(&transcript);
        let spoken = all[0].evidence_of(4, 9);
        assert!(supports(&transcript, &line(Label::Details, "order 48215", spoken)));
        assert!(!supports(&transcript, &line(Label::Details, "order 48216", spoken)));
        assert!(!supports(&transcript, &line(Label::Details, "invoice 48215", spoken)));
        assert!(!supports(&transcript, &line(Label::Reason, "order 48215", spoken)), "elsewhere a quote is a quote");
    }
}
