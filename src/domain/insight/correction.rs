//! What people put right in a transcript: patches by audio time, laid over the words of any revision. Nothing is
//! overwritten: taking every patch away gives the model's words again.
//!
//! A patch that was taken back, and the one that took it back, do nothing on any revision. On a later revision a patch
//! lies where the audio says, whatever the model heard there; one that finds no words and nothing refused there no longer fits.

use std::{cmp::Reverse, collections::HashSet, ops::Range};

use super::utterance::{Utterance, Word};
use crate::ids::{CorrectionId, LegId};

/// Reason of an utterance that a person says was no speech.
pub const STRUCK_OUT: &str = "struck out";
/// A person is sure.
const SURE: u8 = 100;

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// By whom.
    pub leg: LegId,
    /// Beginning on the call's axis, milliseconds.
    pub from_ms: u32,
    /// End on the call's axis, milliseconds.
    pub to_ms: u32,
}

/// One patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Its id.
    pub id: CorrectionId,
    /// What it replaces.
    pub span: Span,
    /// The words that stand there instead; empty: nothing was said.
    pub after: String,
    /// The patch that it takes back.
    pub undoes: Option<CorrectionId>,
}

/// What became of a patch on one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Its words stand.
    Stands,
    /// It was taken back, or takes one back.
    TakenBack,
    /// There is nothing at its place any more.
    NoLongerFits,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// These words.
    Words(String),
    /// Speech without words.
    NotUnderstood,
    /// Nothing.
    Nothing,
}

/// Lays patches over words, in the order in which they were made; says of each what became of it.
pub fn apply(utterances: &mut [Utterance], corrections: &[Correction]) -> Vec<Fit> {
    let undone: HashSet<CorrectionId> = corrections.iter().filter_map(|c| c.undoes).collect();
    let lay = |c: &Correction| {
        if c.undoes.is_some() || undone.contains(&c.id) {
            Fit::TakenBack
        } else if replace(utterances, c.span, &c.after) {
            Fit::Stands
        } else {
            Fit::NoLongerFits
        }
    };
    corrections.iter().map(lay).collect()
}

/// What stands at a place now.
pub fn spot(utterances: &[Utterance], span: Span) -> Spot {
    let places = places(utterances, span);
    if !places.is_empty() {
        let words = places.iter().flat_map(|(at, range)| &utterances[*at].words[range.clone()]);
        return Spot::Words(words.map(|w| w.text.as_str()).collect::<Vec<_>>().join(" "));
    }
    if wordless(utterances, span).is_some() { Spot::NotUnderstood } else { Spot::Nothing }
}

/// Puts words at a place; false where there is nothing to put them over.
fn replace(utterances: &mut [Utterance], span: Span, after: &str) -> bool {
    let places = places(utterances, span);
    if let Some((first, range)) = places.first().cloned() {
        let words = &utterances[first].words;
        let (from, to) = (words[range.start].from_ms, words[range.end - 1].to_ms);
        let new = spread(after, from, to);
        for (at, range) in places.iter().skip(1) {
            utterances[*at].words.drain(range.clone());
            settle(&mut utterances[*at]);
        }
        utterances[first].words.splice(range, new);
        settle(&mut utterances[first]);
        return true;
    }
    let Some(at) = wordless(utterances, span) else { return false };
    let utterance = &mut utterances[at];
    utterance.words = spread(after, utterance.from_ms, utterance.to_ms);
    settle(utterance);
    true
}

/// Words by utterance that lie in a span by their middle, else the one that shares most of it: models time words roughly.
fn places(utterances: &[Utterance], span: Span) -> Vec<(usize, Range<usize>)> {
    let of_leg = || utterances.iter().enumerate().filter(|(_, u)| u.leg == span.leg && u.from_ms < span.to_ms && span.from_ms < u.to_ms);
    let within = |w: &Word| (span.from_ms..span.to_ms).contains(&w.from_ms.midpoint(w.to_ms));
    let places: Vec<_> = of_leg()
        .filter_map(|(at, u)| {
            let first = u.words.iter().position(within)?;
            let count = u.words[first..].iter().take_while(|w| within(w)).count();
            Some((at, first..first + count))
        })
        .collect();
    if !places.is_empty() {
        return places;
    }
    let shared = |w: &Word| w.to_ms.min(span.to_ms).saturating_sub(w.from_ms.max(span.from_ms));
    let words = of_leg().flat_map(|(at, u)| u.words.iter().enumerate().map(move |(n, w)| (shared(w), at, n)));
    let most = words.filter(|(shared, ..)| *shared > 0).max_by_key(|(shared, at, n)| (*shared, Reverse((*at, *n))));
    most.map(|(_, at, n)| (at, n..n + 1)).into_iter().collect()
}

/// An utterance without words at a place.
fn wordless(utterances: &[Utterance], span: Span) -> Option<usize> {
    let middle = span.from_ms.midpoint(span.to_ms);
    utterances.iter().position(|u| u.leg == span.leg && u.words.is_empty() && (u.from_ms..u.to_ms).contains(&middle))
}

/// A text as words over a stretch of time, longer words longer.
fn spread(text: &str, from_ms: u32, to_ms: u32) -> Vec<Word> {
    let length = |word: &str| u64::try_from(word.chars().count()).unwrap_or(1);
    let total = text.split_whitespace().map(length).sum::<u64>().max(1);
    let place = |before: u64| from_ms + u32::try_from(u64::from(to_ms.saturating_sub(from_ms)) * before / total).unwrap_or(0);
    let mut before = 0;
    let timed = text.split_whitespace().map(|word| {
        let from_ms = place(before);
        before += length(word);
        Word { text: word.to_owned(), from_ms, to_ms: place(before), confidence: SURE }
    });
    timed.collect()
}

/// Confidence and reason after the words have changed.
fn settle(utterance: &mut Utterance) {
    let count = u32::try_from(utterance.words.len()).unwrap_or(u32::MAX);
    let sum: u32 = utterance.words.iter().map(|w| u32::from(w.confidence)).sum();
    utterance.confidence = sum.checked_div(count).and_then(|mean| u8::try_from(mean).ok()).unwrap_or(0);
    utterance.rejected = utterance.words.is_empty().then(|| STRUCK_OUT.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::Party, time::UnixMs};

    fn leg(n: u8) -> LegId {
        LegId::new(UnixMs(1), [n; 10])
    }

    fn said(n: u8, from_ms: u32, text: &str) -> Utterance {
        let word = |(text, i): (&str, u32)| {
            let from_ms = from_ms + i * 300;
            Word { text: text.into(), from_ms, to_ms: from_ms + 250, confidence: 60 }
        };
        let words: Vec<Word> = text.split_whitespace().zip(0..).map(word).collect();
        let to_ms = words.last().map_or(from_ms + 900, |w| w.to_ms);
        let rejected = words.is_empty().then(|| "unsure".to_owned());
        Utterance { leg: leg(n), party: Party::Customer, from_ms, to_ms, words, confidence: 60, rejected }
    }

    fn patch(id: u8, n: u8, (from_ms, to_ms): (u32, u32), after: &str) -> Correction {
        let span = Span { leg: leg(n), from_ms, to_ms };
        Correction { id: CorrectionId::new(UnixMs(1), [id; 10]), span, after: after.into(), undoes: None }
    }

    fn takes_back(id: u8, other: &Correction) -> Correction {
        Correction { id: CorrectionId::new(UnixMs(1), [id; 10]), undoes: Some(other.id), after: String::new(), ..other.clone() }
    }

    fn text(utterances: &[Utterance]) -> Vec<String> {
        utterances.iter().map(Utterance::text).collect()
    }

    #[test]
    fn a_word_is_put_right_and_its_neighbours_keep_their_times() {
        let mut words = [said(1, 1_000, "I was barged twice"), said(2, 1_000, "I was barged twice")];
        assert_eq!(apply(&mut words, &[patch(1, 1, (1_600, 1_850), "charged")]), [Fit::Stands]);
        assert_eq!(text(&words), ["I was charged twice", "I was barged twice"], "the other leg said its own words");
        let put = &words[0].words[2];
        assert_eq!((put.from_ms, put.to_ms, put.confidence), (1_600, 1_850, 100));
        assert_eq!(words[0].words[3].from_ms, 1_900);
        assert_eq!(words[0].confidence, 70, "the mean of 60, 60, 100 and 60");
    }

    #[test]
    fn several_words_share_the_time_of_those_they_replace() {
        let mut words = [said(1, 1_000, "voice for seven eleven please")];
        apply(&mut words, &[patch(1, 1, (1_000, 2_150), "invoice 4711")]);
        assert_eq!(text(&words), ["invoice 4711 please"]);
        let [first, second, last] = &words[0].words[..] else { panic!("three words") };
        assert_eq!((first.from_ms, second.to_ms, last.from_ms), (1_000, 2_150, 2_200));
        assert_eq!(first.to_ms, second.from_ms);
    }

    #[test]
    fn what_was_not_understood_gets_words_and_what_was_no_speech_is_struck_out() {
        let mut words = [said(1, 1_000, ""), said(1, 4_000, "Please. Please.")];
        let patches = [patch(1, 1, (1_000, 1_900), "yes please"), patch(2, 1, (4_000, 4_600), "")];
        assert_eq!(apply(&mut words, &patches), [Fit::Stands, Fit::Stands]);
        assert_eq!(text(&words), ["yes please", ""]);
        assert_eq!((words[0].rejected.as_deref(), words[1].rejected.as_deref()), (None, Some(STRUCK_OUT)));
    }

    #[test]
    fn a_patch_that_was_taken_back_leaves_the_models_words() {
        let first = patch(1, 1, (1_600, 1_850), "charged");
        let mut words = [said(1, 1_000, "I was barged twice")];
        let before = words.clone();
        assert_eq!(apply(&mut words, &[first.clone(), takes_back(2, &first)]), [Fit::TakenBack, Fit::TakenBack]);
        assert_eq!(words, before);
        assert_eq!(apply(&mut words, &[first.clone(), takes_back(2, &first), patch(3, 1, (1_600, 1_850), "charged")])[2], Fit::Stands);
        assert_eq!(text(&words), ["I was charged twice"]);
    }

    #[test]
    fn a_later_revision_is_patched_where_the_audio_says() {
        // Another model cuts and times a little differently and mishears differently.
        let mut other = [said(1, 1_030, "I was large twice"), said(1, 9_000, "bye")];
        let patches = [patch(1, 1, (1_600, 1_850), "charged"), patch(2, 1, (6_000, 6_400), "hello")];
        assert_eq!(apply(&mut other, &patches), [Fit::Stands, Fit::NoLongerFits]);
        assert_eq!(text(&other), ["I was charged twice", "bye"]);
        let mut one_long_word = [Utterance {
            words: vec![Word { text: "mm".into(), from_ms: 1_000, to_ms: 2_200, confidence: 9 }],
            ..said(1, 1_000, "a b c d")
        }];
        assert_eq!(apply(&mut one_long_word, &patches[..1]), [Fit::Stands], "the span lies in a word");
        let mut early = [said(1, 1_100, "I was barged")];
        early[0].words[2].from_ms = 1_820;
        early[0].words[2].to_ms = 2_100;
        early[0].words[1].to_ms = 1_590;
        assert_eq!(apply(&mut early, &patches[..1]), [Fit::Stands], "the span and a word share their edges");
        assert_eq!(text(&early), ["I was charged"]);
    }

    #[test]
    fn a_place_says_what_stands_there() {
        let words = [said(1, 1_000, "I was barged twice"), said(1, 5_000, "")];
        let at = |from_ms, to_ms| spot(&words, Span { leg: leg(1), from_ms, to_ms });
        assert_eq!(at(1_300, 1_850), Spot::Words("was barged".into()));
        assert_eq!(at(5_000, 5_900), Spot::NotUnderstood);
        assert_eq!(at(3_000, 3_500), Spot::Nothing);
        assert_eq!(spot(&words, Span { leg: leg(2), from_ms: 1_300, to_ms: 1_850 }), Spot::Nothing);
    }
}
