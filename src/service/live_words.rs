//! What was heard in calls in progress, in bounded memory: for desks that open one, until the record has the words.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{
        insight::utterance::{Utterance, Word},
        live::{LiveUtterance, LiveWords},
    },
    ids::{InteractionId, LegId, Party},
};

/// Utterances kept of one call, about 0.3 kB each: half an hour of lively talk. Older ones are in the recording.
const UTTERANCES: usize = 600;
/// Calls kept; the one that began first is let go. Calls leave by themselves when the record has their words.
const CALLS: usize = 4_096;
/// Between the words of one utterance; no word holds it.
const BETWEEN: char = '\n';

/// The words of calls in progress.
#[derive(Debug, Default)]
pub struct LiveWordsStore(Mutex<BTreeMap<InteractionId, Call>>);

#[derive(Debug, Default)]
struct Call {
    lag_ms: u32,
    /// By time and leg.
    utterances: Vec<Kept>,
}

/// One utterance, its words packed.
#[derive(Debug)]
struct Kept {
    leg: LegId,
    party: Party,
    from_ms: u32,
    to_ms: u32,
    confidence: u8,
    partial: bool,
    rejected: Option<Box<str>>,
    text: Box<str>,
    /// From and to, milliseconds after `from_ms`, and confidence.
    places: Box<[(u16, u16, u8)]>,
}

impl LiveWordsStore {
    /// Takes what is new, and what is told anew.
    pub fn put(&self, words: &LiveWords) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.entry(words.interaction).or_default();
        call.lag_ms = words.lag_ms;
        for utterance in &words.utterances {
            let kept = Kept::new(utterance);
            match call.utterances.binary_search_by_key(&(kept.from_ms, kept.leg), |other| (other.from_ms, other.leg)) {
                Ok(at) => call.utterances[at] = kept,
                Err(at) => call.utterances.insert(at, kept),
            }
        }
        let over = call.utterances.len().saturating_sub(UTTERANCES);
        call.utterances.drain(..over);
        while calls.len() > CALLS {
            calls.pop_first();
        }
    }

    /// What was heard in a call, by time, and the lag; `None` when nothing is known of it.
    pub fn of(&self, interaction: InteractionId) -> Option<(Vec<LiveUtterance>, u32)> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.get(&interaction)?;
        Some((call.utterances.iter().map(Kept::unpacked).collect(), call.lag_ms))
    }

    /// The record has the words of this call.
    pub fn forget(&self, interaction: InteractionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&interaction);
    }
}

impl Kept {
    fn new(live: &LiveUtterance) -> Self {
        let Utterance { leg, party, from_ms, to_ms, words, confidence, rejected } = &live.utterance;
        let after = |ms: u32| u16::try_from(ms.saturating_sub(*from_ms)).unwrap_or(u16::MAX);
        let text = words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(&BETWEEN.to_string());
        Self {
            leg: *leg,
            party: *party,
            from_ms: *from_ms,
            to_ms: *to_ms,
            confidence: *confidence,
            partial: live.partial,
            rejected: rejected.as_deref().map(Box::from),
            text: text.into(),
            places: words.iter().map(|w| (after(w.from_ms), after(w.to_ms), w.confidence)).collect(),
        }
    }

    fn unpacked(&self) -> LiveUtterance {
        let word = |(text, (from, to, confidence)): (&str, &(u16, u16, u8))| Word {
            text: text.to_owned(),
            from_ms: self.from_ms + u32::from(*from),
            to_ms: self.from_ms + u32::from(*to),
            confidence: *confidence,
        };
        let utterance = Utterance {
            leg: self.leg,
            party: self.party,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            words: self.text.split(BETWEEN).zip(&self.places).map(word).collect(),
            confidence: self.confidence,
            rejected: self.rejected.as_deref().map(str::to_owned),
        };
        LiveUtterance { utterance, partial: self.partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMs;

    fn said(n: u8, from_ms: u32, text: &str, partial: bool) -> LiveUtterance {
        let word =
            |(text, i): (&str, u32)| Word { text: text.into(), from_ms: from_ms + i * 100, to_ms: from_ms + i * 100 + 90, confidence: 90 };
        let words: Vec<Word> = text.split_whitespace().zip(0..).map(word).collect();
        let leg = LegId::new(UnixMs(1), [n; 10]);
        let to_ms = from_ms + 2_000;
        LiveUtterance {
            utterance: Utterance { leg, party: Party::Customer, from_ms, to_ms, words, confidence: 90, rejected: None },
            partial,
        }
    }

    fn call(n: u16) -> InteractionId {
        InteractionId::new(UnixMs(i64::from(n)), [1; 10])
    }

    fn put(store: &LiveWordsStore, interaction: InteractionId, utterances: Vec<LiveUtterance>) {
        store.put(&LiveWords { interaction, lag_ms: 7, utterances });
    }

    #[test]
    fn what_was_heard_comes_back_by_time_and_a_final_utterance_takes_the_place_of_its_partial_one() {
        let store = LiveWordsStore::default();
        let (first, second) = (said(1, 1_000, "I was", true), said(2, 3_000, "charged twice.", false));
        put(&store, call(1), vec![second.clone()]);
        put(&store, call(1), vec![first.clone()]);
        assert_eq!(store.of(call(1)), Some((vec![first, second.clone()], 7)));
        let done = said(1, 1_000, "I was there.", false);
        put(&store, call(1), vec![done.clone()]);
        assert_eq!(store.of(call(1)), Some((vec![done, second], 7)));
        store.forget(call(1));
        assert_eq!(store.of(call(1)), None);
    }

    #[test]
    fn a_long_call_keeps_its_last_utterances_and_many_calls_their_last_ones() {
        let store = LiveWordsStore::default();
        let many = (0..700).map(|n| said(1, n * 3_000, "yes", false)).collect();
        put(&store, call(1), many);
        let (kept, _) = store.of(call(1)).expect("is there");
        assert_eq!((kept.len(), kept[0].utterance.from_ms), (UTTERANCES, 100 * 3_000));
        (2..=CALLS as u16 + 1).for_each(|n| put(&store, call(n), vec![]));
        assert_eq!((store.of(call(1)), store.of(call(2)).is_some()), (None, true));
    }
}
