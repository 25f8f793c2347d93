//! What became of the utterances of live calls, for the job after the call: bounded, in memory, gone with the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::shown::Settled;
use crate::ids::InteractionId;

/// Calls kept; the one that began first is let go, and its words are done from the recording.
const CALLS: usize = 4_096;

/// A call's utterances, as far as they were understood live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveResult {
    /// Name of the model; empty when there was none, or more than one.
    pub model: String,
    /// In the order in which they were settled.
    pub settled: Vec<Settled>,
}

#[derive(Debug)]
struct Entry {
    /// Whether more is to come.
    running: bool,
    result: LiveResult,
}

/// The results of live calls.
#[derive(Debug, Default)]
pub struct LiveResults(Mutex<BTreeMap<InteractionId, Entry>>);

impl LiveResults {
    /// A call is listened to, from its begin or again.
    pub fn begin(&self, interaction: InteractionId) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.entry(interaction).or_insert_with(|| Entry { running: true, result: LiveResult::default() }).running = true;
        while calls.len() > CALLS {
            calls.pop_first();
        }
    }

    /// All that was heard of a call is settled.
    pub fn finish(&self, interaction: InteractionId, model: &str, settled: &[Settled]) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = calls.get_mut(&interaction) else { return };
        let same = entry.result.settled.is_empty() || entry.result.model == model;
        entry.result.model = if same { model.to_owned() } else { String::new() };
        entry.result.settled.extend_from_slice(settled);
        entry.running = false;
    }

    /// Whether a call is still listened to, or waits for words.
    pub fn is_running(&self, interaction: InteractionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&interaction).is_some_and(|entry| entry.running)
    }

    /// What was understood live; `None` when nothing is known.
    pub fn of(&self, interaction: InteractionId) -> Option<LiveResult> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&interaction).map(|entry| entry.result.clone())
    }

    /// The record has it.
    pub fn forget(&self, interaction: InteractionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&interaction);
    }
}
