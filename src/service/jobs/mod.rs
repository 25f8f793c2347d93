//! Slow work: claim, run, retry with backoff, idempotent. A live call never waits for it.
//!
//! ```text
//! job table ─▶ run ─▶ tracks ─▶ speech pool ─▶ transcript ─▶ redaction ─▶ card, mood, promises ─▶ record ─▶ LiveFact::Changed
//! ```
//! Live words are written down beside it when a call ends. A language model, where there is one, is asked for the card afterwards, beside this line: it holds up no words.
//! One job per kind and subject: a run that was cut off is run again and its results replace the earlier ones.

mod card;
mod findings;
mod known;
mod live_words;
mod redaction;
mod tracks;
mod transcribe;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    clock,
    connectors::language_model::LanguageModel,
    speech::{Pool, TrackAudio},
    store::{JobKind, Store, StoreError},
};
use crate::{domain::live::LiveFact, ids::InteractionId, time::UnixMs};

pub use live_words::LiveSource;
pub use redaction::{RedactAudio, Redaction, RedactionCounters, in_recordings};
pub use tracks::from_recordings;

/// The job table is looked at this often, besides after every commit: leases that ran out, retries that came due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A job has to be done by then, or another worker takes it: hours of talk on a slow machine.
const LEASE_MS: i64 = 60 * 60 * 1_000;

/// Reads the tracks of a call; the text of an error is shown to people.
pub type ReadTracks = dyn Fn(InteractionId) -> Result<Vec<TrackAudio>, String> + Send + Sync;

/// What cards are read with, besides words.
#[derive(Debug, Default)]
pub struct Insight {
    /// The company's products.
    pub products: Vec<String>,
    /// What its numbers look like.
    pub patterns: Vec<regex::Regex>,
    /// Makes the card over the one by rules.
    pub language_model: Option<LanguageModel>,
}

/// What jobs work with.
#[derive(Clone)]
pub struct Jobs {
    /// The record.
    pub store: Store,
    /// Speech workers.
    pub pool: Arc<Pool>,
    /// The recordings.
    pub tracks: Arc<ReadTracks>,
    /// What was understood while it was spoken.
    pub live: LiveSource,
    /// Numbers that must not be kept.
    pub redaction: Redaction,
    /// What cards are read with.
    pub insight: Arc<Insight>,
    /// Tells the desks.
    pub changed: Arc<dyn Fn(LiveFact) + Send + Sync>,
    /// Trouble of speech as a whole, in one sentence; `None` when it is over. May be told the same again.
    pub alarm: Arc<dyn Fn(Option<String>) + Send + Sync>,
}

/// Runs jobs until `stop` turns true or its sender is gone; trouble with the record is logged and tried again.
pub async fn run(jobs: Jobs, stop: watch::Receiver<bool>) {
    (jobs.alarm)(jobs.pool.model().err().map(|error| error.to_string()));
    tokio::join!(
        live_words::write_down(&jobs, stop.clone()),
        run_kind(&jobs, JobKind::Transcribe, stop.clone()),
        run_kind(&jobs, JobKind::Card, stop)
    );
}

async fn run_kind(jobs: &Jobs, kind: JobKind, mut stop: watch::Receiver<bool>) {
    let mut commits = jobs.store.watch_events();
    while !*stop.borrow() {
        match step_of(jobs, &[kind], clock::latest()).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a job could not be claimed or settled; it is tried again"),
        }
        tokio::select! {
            gone = stop.changed() => if gone.is_err() { return },
            _ = tokio::time::timeout(LOOK_EVERY, commits.changed()) => {}
        }
    }
}

/// Writes down what was understood live of calls that are over; false when one of them is not in the record yet.
pub async fn write_live_words(jobs: &Jobs, at: UnixMs) -> Result<bool, StoreError> {
    live_words::write_all(jobs, at).await
}

/// Runs one due job, of any kind; false when there is none.
pub async fn step(jobs: &Jobs, at: UnixMs) -> Result<bool, StoreError> {
    step_of(jobs, &[JobKind::Card, JobKind::Transcribe], at).await
}

async fn step_of(jobs: &Jobs, kinds: &[JobKind], at: UnixMs) -> Result<bool, StoreError> {
    let Some(job) = jobs.store.claim_job(kinds, at, LEASE_MS).await? else { return Ok(false) };
    match job.kind {
        JobKind::Transcribe => transcribe::run(jobs, &job, at).await?,
        JobKind::Card => card::run(jobs, &job, at).await?,
    }
    Ok(true)
}
