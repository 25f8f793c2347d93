//! What became of the utterances of live calls, for the job after the call: bounded, in memory, gone with the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::shown::Settled;
use crate::{domain::insight::utterance::LegCoverage, ids::InteractionId};

/// Calls kept; the one that began first is let go, and its words are done from the recording.
const CALLS: usize = 4_096;

/// A call's utterances, as far as they were understood live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveResult {
    /// Name of the model, the last one where there were several; empty when there was none.
    pub model: String,
    /// BCP 47.
    pub language: String,
    /// Whether the job after the call may keep it: by one model, and nothing had to be taken out of the words.
    pub keeps: bool,
    /// In the order in which they were settled.
    pub settled: Vec<Settled>,
    /// Where the samples of each track went.
    pub coverage: Vec<LegCoverage>,
}

impl LiveResult {
    /// The call was listened to again.
    fn join(&mut self, more: Self) {
        let first = self.settled.is_empty() && self.coverage.is_empty();
        self.keeps = more.keeps && (first || (self.keeps && self.model == more.model));
        (self.model, self.language) = (more.model, more.language);
        self.settled.extend(more.settled);
        self.coverage.extend(more.coverage);
    }
}

#[derive(Debug)]
struct Entry {
    /// Whether more is to come.
    running: bool,
    /// Whether the record has it as far as it goes.
    written: bool,
    result: LiveResult,
}

/// The results of live calls.
#[derive(Debug, Default)]
pub struct LiveResults {
    calls: Mutex<BTreeMap<InteractionId, Entry>>,
    finished: Notify,
}

impl LiveResults {
    /// A call is listened to, from its begin or again.
    pub fn begin(&self, interaction: InteractionId) {
        let mut calls = self.lock();
        let entry = || Entry { running: true, written: false, result: LiveResult::default() };
        calls.entry(interaction).or_insert_with(entry).running = true;
        while calls.len() > CALLS {
            calls.pop_first();
        }
    }

    /// All that was heard of a call is settled.
    pub fn finish(&self, interaction: InteractionId, result: LiveResult) {
        let mut calls = self.lock();
        let Some(entry) = calls.get_mut(&interaction) else { return };
        entry.result.join(result);
        (entry.running, entry.written) = (false, false);
        drop(calls);
        self.finished.notify_one();
    }

    /// Whether a call is still listened to, or waits for words.
    pub fn is_running(&self, interaction: InteractionId) -> bool {
        self.lock().get(&interaction).is_some_and(|entry| entry.running)
    }

    /// What was understood live; `None` when nothing is known.
    pub fn of(&self, interaction: InteractionId) -> Option<LiveResult> {
        self.lock().get(&interaction).map(|entry| entry.result.clone())
    }

    /// Calls that are over and not yet written down, oldest first.
    pub fn unwritten(&self) -> Vec<InteractionId> {
        self.lock().iter().filter(|(_, entry)| !entry.running && !entry.written).map(|(call, _)| *call).collect()
    }

    /// The record has what is known of a call so far.
    pub fn written(&self, interaction: InteractionId) {
        if let Some(entry) = self.lock().get_mut(&interaction) {
            entry.written = !entry.running;
        }
    }

    /// Waits until a call is over; one that ended since it was waited for last counts.
    pub async fn wait_for_end(&self) {
        self.finished.notified().await;
    }

    /// The record has the final words.
    pub fn forget(&self, interaction: InteractionId) {
        self.lock().remove(&interaction);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InteractionId, Entry>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
