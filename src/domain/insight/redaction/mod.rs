//! Takes card numbers, security codes, IBANs and configured numbers out of what was said, before it leaves speech.
//!
//! ```text
//! utterances in order of time ─▶ Redactor ─▶ the same with "[card number]" · places for the audio
//!                                        └─▶ earlier ones that have to be shown anew
//! ```
//! Where a number is expected it errs on masking; docs/redaction.md says what is masked and what is not.

mod cues;
mod find;
mod numbers;
mod patterns;
mod spoken;
mod stream;
mod typed;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::utterance::{Transcript, Utterance, Word};
use crate::ids::LegId;

pub use numbers::{is_card_number, is_iban};
pub use patterns::{PATTERNS_MAX, Pattern, PatternError};

/// Card numbers of one call that are known again.
const KNOWN_MAX: usize = 16;
/// How far back a live call is looked at: a number and everything that may belong to it.
const WINDOW_MS: u32 = 180_000;
/// Most utterances of that window; more than anybody says in it.
const WINDOW_MAX: usize = 256;

/// What is masked and what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Nothing is masked at all.
    pub off: bool,
    /// Four digits after "ending in" stay: PCI DSS 3.4.1 lets the last four be shown.
    pub keep_last_four: bool,
    /// Numbers of the company's own.
    pub patterns: Vec<Pattern>,
}

/// What a masked stretch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The number of a payment card, or a part of it.
    CardNumber,
    /// Its security code, or a PIN.
    SecurityCode,
    /// Its expiry date.
    ExpiryDate,
    /// An IBAN.
    AccountNumber,
    /// The configured pattern with this index.
    Pattern(u8),
}

impl Kind {
    /// What stands in its place, without brackets.
    pub fn label(self, rules: &Rules) -> &str {
        match self {
            Self::CardNumber => "card number",
            Self::SecurityCode => "security code",
            Self::ExpiryDate => "expiry date",
            Self::AccountNumber => "account number",
            Self::Pattern(n) => rules.patterns.get(usize::from(n)).map_or("number", |p| &p.name),
        }
    }
}

/// A stretch of one leg that must not be kept: from the first digit to the last, on the call's axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// Who said it.
    pub leg: LegId,
    /// Begin of its first word, milliseconds.
    pub from_ms: u32,
    /// End of its last word, milliseconds.
    pub to_ms: u32,
    /// What it was.
    pub kind: Kind,
}

/// Masks the words of a whole call; returns what was taken out, by time.
pub fn redact(transcript: &mut Transcript, rules: &Rules) -> Vec<Redacted> {
    let (masked, redacted) = mask_all(&transcript.utterances, rules, &mut Vec::new());
    transcript.utterances = masked;
    redacted
}

/// Masks the words of one call while it runs. Holds the last minutes as they were said, in memory only.
#[derive(Debug)]
pub struct Redactor {
    rules: Arc<Rules>,
    /// As said and as last given out.
    window: VecDeque<(Utterance, Utterance)>,
    known: Vec<String>,
    changed: Vec<Utterance>,
}

impl Redactor {
    /// For one call.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, window: VecDeque::new(), known: Vec::new(), changed: Vec::new() }
    }

    /// Masks the next utterance, in order of time; one with the same leg and begin replaces the earlier one.
    ///
    /// Returns what is masked in it. Utterances given out before that turned out to be part of a number are in
    /// [`Redactor::changed`] and have to be shown anew.
    pub fn mask(&mut self, utterance: &mut Utterance) -> Vec<Redacted> {
        let (leg, from_ms, to_ms) = (utterance.leg, utterance.from_ms, utterance.to_ms);
        let same = |u: &Utterance| u.leg == leg && u.from_ms == from_ms;
        match self.window.iter_mut().find(|(said, _)| same(said)) {
            Some(slot) => *slot = (utterance.clone(), utterance.clone()),
            None => self.window.push_back((utterance.clone(), utterance.clone())),
        }
        while self.window.len() > WINDOW_MAX
            || self.window.front().is_some_and(|(oldest, _)| oldest.to_ms.saturating_add(WINDOW_MS) < from_ms)
        {
            self.window.pop_front();
        }
        let said: Vec<Utterance> = self.window.iter().map(|(said, _)| said.clone()).collect();
        let (masked, redacted) = mask_all(&said, &self.rules, &mut self.known);
        for ((_, shown), now) in self.window.iter_mut().zip(masked) {
            if same(&now) {
                utterance.clone_from(&now);
            } else if now == *shown || unmasks(shown, &now) {
                // The question that announced a number may be older than the window: what is masked stays so.
                continue;
            } else {
                self.changed.push(now.clone());
            }
            *shown = now;
        }
        redacted.into_iter().filter(|r| r.leg == leg && r.from_ms < to_ms && from_ms < r.to_ms).collect()
    }

    /// Masks words that are only shown for a moment, without keeping them.
    pub fn mask_partial(&self, utterance: &mut Utterance) {
        let said: Vec<Utterance> = self.window.iter().map(|(said, _)| said.clone()).chain([utterance.clone()]).collect();
        if let Some(masked) = mask_all(&said, &self.rules, &mut self.known.clone()).0.pop() {
            *utterance = masked;
        }
    }

    /// Takes the utterances given out earlier that now read otherwise.
    pub fn changed(&mut self) -> Vec<Utterance> {
        std::mem::take(&mut self.changed)
    }
}

/// Whether a word that was masked would be shown again.
fn unmasks(shown: &Utterance, now: &Utterance) -> bool {
    let masked = |w: &&Word| w.text.starts_with('[');
    let plain = |m: &Word| now.words.iter().any(|w| !masked(&w) && w.from_ms < m.to_ms && m.from_ms < w.to_ms);
    shown.words.iter().filter(masked).any(plain)
}

/// Text that a person typed, masked: card numbers, IBANs and configured numbers; and how many.
pub fn mask_typed(text: &str, rules: &Rules) -> (String, usize) {
    if rules.off { (text.to_owned(), 0) } else { typed::mask(text, rules) }
}

/// The same utterances with their numbers masked, and what was.
fn mask_all(said: &[Utterance], rules: &Rules, known: &mut Vec<String>) -> (Vec<Utterance>, Vec<Redacted>) {
    if rules.off {
        return (said.to_vec(), Vec::new());
    }
    let streams = stream::streams(said);
    let find::Found { mut marks, unheard } = find::find(said, &streams, rules, known);
    marks.sort_by_key(|m| (m.stream, m.words));
    let mut redacted: Vec<Redacted> = Vec::new();
    let mut per_utterance: BTreeMap<usize, Vec<(usize, usize, Kind)>> = BTreeMap::new();
    let mut covered: Option<(usize, usize)> = None;
    for mark in marks {
        let stream = &streams[mark.stream];
        let first = match covered {
            Some((stream, until)) if stream == mark.stream => mark.words.0.max(until),
            Some(_) | None => mark.words.0,
        };
        if first > mark.words.1 {
            continue;
        }
        covered = Some((mark.stream, mark.words.1 + 1));
        for said in &stream.words[first..=mark.words.1] {
            let spans = per_utterance.entry(said.utterance).or_default();
            match spans.last_mut() {
                Some((_, last, kind)) if *last + 1 == said.word && *kind == mark.kind => *last = said.word,
                Some(_) | None => spans.push((said.word, said.word, mark.kind)),
            }
        }
        let (from_ms, to_ms) = (stream.words[first].from_ms, stream.words[mark.words.1].to_ms);
        match redacted.last_mut() {
            // From the first digit to the last: what lies between belongs to the number.
            Some(last) if last.leg == stream.leg && last.kind == mark.kind && from_ms <= last.to_ms.saturating_add(JOIN_MS) => {
                last.to_ms = last.to_ms.max(to_ms);
            }
            Some(_) | None => redacted.push(Redacted { leg: stream.leg, from_ms, to_ms, kind: mark.kind }),
        }
    }
    redacted.extend(unheard.into_iter().filter_map(|(at, kind)| {
        let Utterance { leg, from_ms, to_ms, .. } = *said.get(at)?;
        Some(Redacted { leg, from_ms, to_ms, kind })
    }));
    redacted.sort_by_key(|r| (r.from_ms, r.to_ms));
    let mask = |(n, utterance): (usize, &Utterance)| match per_utterance.get(&n) {
        Some(spans) => masked(utterance, spans, rules),
        None => utterance.clone(),
    };
    (said.iter().enumerate().map(mask).collect(), redacted)
}

/// Masked groups closer than this are one stretch of audio.
const JOIN_MS: u32 = 20_000;

/// One utterance with stretches of its words replaced by one each.
fn masked(utterance: &Utterance, spans: &[(usize, usize, Kind)], rules: &Rules) -> Utterance {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| span.0);
    let mut words: Vec<Word> = Vec::new();
    let mut at = 0;
    for (first, last, kind) in spans {
        let (Some(head), Some(tail)) = (utterance.words.get(first), utterance.words.get(last)) else { continue };
        words.extend_from_slice(utterance.words.get(at..first).unwrap_or_default());
        let text = format!("[{}]{}", kind.label(rules), closing(&tail.text));
        words.push(Word { text, from_ms: head.from_ms, to_ms: tail.to_ms, confidence: head.confidence.min(tail.confidence) });
        at = last + 1;
    }
    words.extend_from_slice(utterance.words.get(at..).unwrap_or_default());
    Utterance { words, ..utterance.clone() }
}

/// The full stop or question mark at the end of a word: sentences still end where they did.
fn closing(word: &str) -> &str {
    let ends = word.trim_end_matches(['.', '?', '!']).len();
    word.get(ends..).unwrap_or_default()
}
