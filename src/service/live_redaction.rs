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
