//! Takes numbers that must not be kept out of live words, at the one door through which they leave for the desks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    domain::{
        insight::redaction::{Redactor, Rules},
        live::{LiveUtterance, LiveWords},
    },
    ids::InteractionId,
};

/// Calls whose last minutes are held; the one that began first is let go. As many as have live words.
const CALLS: usize = 4_096;
/// A call without words for so long is over, or begins anew: no number is read out that slowly.
const QUIET: Duration = Duration::from_secs(600);

/// A redactor per call in progress.
#[derive(Debug, Default)]
pub struct LiveRedaction {
    rules: Arc<Rules>,
    calls: Mutex<BTreeMap<InteractionId, (Instant, Redactor)>>,
}

impl LiveRedaction {
    /// With these rules.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, calls: Mutex::default() }
    }

    /// Masks words; utterances shown before that turn out to be part of a number are told anew with them.
    pub fn mask(&self, words: &mut LiveWords, now: Instant) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if !calls.contains_key(&words.interaction) {
            calls.retain(|_, (last, _)| now.saturating_duration_since(*last) < QUIET);
            while calls.len() >= CALLS {
                calls.pop_first();
            }
        }
        let (last, redactor) = calls.entry(words.interaction).or_insert_with(|| (now, Redactor::new(self.rules.clone())));
        *last = now;
        for live in &mut words.utterances {
            if live.partial {
                redactor.mask_partial(&mut live.utterance);
            } else {
                redactor.mask(&mut live.utterance);
            }
        }
        for utterance in redactor.changed() {
            match words.utterances.iter_mut().find(|l| l.utterance.leg == utterance.leg && l.utterance.from_ms == utterance.from_ms) {
                Some(live) => live.utterance = utterance,
                None => words.utterances.push(LiveUtterance { utterance, partial: false }),
            }
        }
        words.utterances.sort_by_key(|l| l.utterance.from_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::insight::utterance::{Utterance, Word},
        ids::{LegId, Party},
        service::clock,
        time::UnixMs,
    };

    fn said(interaction: InteractionId, from_ms: u32, text: &str, partial: bool) -> LiveWords {
        let word =
            |(text, n): (&str, u32)| Word { text: text.into(), from_ms: from_ms + n * 300, to_ms: from_ms + n * 300 + 280, confidence: 90 };
        let words: Vec<Word> = text.split(' ').zip(0..).map(word).collect();
        let (leg, to_ms) = (LegId::new(UnixMs(1), [1; 10]), words.last().map_or(from_ms, |w| w.to_ms));
        let utterance = Utterance { leg, party: Party::Customer, from_ms, to_ms, words, confidence: 90, rejected: None };
        LiveWords { interaction, lag_ms: 0, utterances: vec![LiveUtterance { utterance, partial }] }
    }

    fn shown(words: &LiveWords) -> Vec<String> {
        words.utterances.iter().map(|l| l.utterance.text()).collect()
    }

    #[test]
    fn first_groups_are_told_anew_when_the_number_shows_and_other_calls_know_nothing_of_it() {
        let redaction = LiveRedaction::default();
        let now = clock::now().mono;
        let [mine, other] = [1, 2].map(|n| InteractionId::new(UnixMs(1), [n; 10]));
        let mut first = said(mine, 1_000, "it goes 5555 5555", false);
        redaction.mask(&mut first, now);
        assert_eq!(shown(&first), ["it goes 5555 5555"]);
        let mut elsewhere = said(other, 4_000, "5555 4444 is what I ordered", false);
        redaction.mask(&mut elsewhere, now);
        assert_eq!(shown(&elsewhere), ["5555 4444 is what I ordered"]);
        let mut partial = said(mine, 4_000, "5555 4444 and", true);
        redaction.mask(&mut partial, now);
        assert_eq!(shown(&partial), ["[card number] and"]);
        let mut second = said(mine, 4_000, "5555 4444 and that is it", false);
        redaction.mask(&mut second, now);
        assert_eq!(shown(&second), ["it goes [card number]", "[card number] and that is it"]);
    }
}
