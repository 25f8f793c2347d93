//! Numbers that must not be kept: out of the words first, then out of the recording, before anything is saved.
//!
//! ```text
//! words ─▶ masked ─▶ places written down ─▶ recording overwritten ─▶ words saved
//! ```
//! A run that was cut off between the last two finds the places written down, overwrites again and goes on.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::Jobs;
use crate::{
    domain::insight::{
        redaction::{self, Rules},
        utterance::{Transcript, Utterance, Word},
    },
    ids::InteractionId,
    service::{
        recorder::{
            paths,
            redact::{self, Stretch},
        },
        store::{RedactionRow, StoreError},
    },
    time::UnixMs,
};

/// Overwrites stretches of a call's recording; the text of an error is shown to people.
pub type RedactAudio = dyn Fn(InteractionId, &[Stretch]) -> Result<usize, String> + Send + Sync;

/// What is taken out, and of what.
#[derive(Clone)]
pub struct Redaction {
    /// Which numbers.
    pub rules: Arc<Rules>,
    /// The recordings.
    pub audio: Arc<RedactAudio>,
    /// What was done since the start.
    pub counters: Arc<RedactionCounters>,
}

/// What was taken out since the start.
#[derive(Debug, Default)]
pub struct RedactionCounters {
    /// Stretches of words that were masked.
    pub masked: AtomicU64,
    /// Blocks of recordings that were overwritten.
    pub blocks: AtomicU64,
    /// Recordings that could not be overwritten; tried again with their job.
    pub failed: AtomicU64,
}

/// Why the words are not saved.
pub(super) enum Trouble {
    /// The record.
    Store(StoreError),
    /// The recording.
    Audio(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Overwrites in the recorder's folder.
pub fn in_recordings(root: PathBuf) -> Arc<RedactAudio> {
    Arc::new(move |interaction, stretches| {
        let tracks = paths::tracks_of(&root, interaction).map_err(|e| e.to_string())?;
        redact::call(&tracks, stretches).map_err(|e| e.to_string())
    })
}

/// Makes good what an earlier run wrote down and may not have finished.
pub(super) async fn resume(jobs: &Jobs, interaction: InteractionId) -> Result<(), Trouble> {
    let known = jobs.store.redactions(interaction).await?;
    overwrite(jobs, interaction, &known).await
}

/// Masks a call's words and overwrites its recording where they were said.
pub(super) async fn apply(jobs: &Jobs, interaction: InteractionId, transcript: &mut Transcript, at: UnixMs) -> Result<(), Trouble> {
    let rules = &jobs.redaction.rules;
    let known = jobs.store.redactions(interaction).await?;
    let found = redaction::redact(transcript, rules);
    let row =
        |r: &redaction::Redacted| RedactionRow { leg: r.leg, from_ms: r.from_ms, to_ms: r.to_ms, kind: r.kind.label(rules).to_owned() };
    let rows: Vec<RedactionRow> = found.iter().map(row).collect();
    show_earlier(transcript, &known);
    if rows.is_empty() {
        return Ok(());
    }
    jobs.redaction.counters.masked.fetch_add(rows.len() as u64, Relaxed);
    jobs.store.save_redactions(interaction, &rows, at).await?;
    overwrite(jobs, interaction, &rows).await?;
    jobs.store.redactions_done(interaction, at).await?;
    Ok(())
}

async fn overwrite(jobs: &Jobs, interaction: InteractionId, rows: &[RedactionRow]) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    let stretches: Vec<Stretch> = rows.iter().map(|r| Stretch { leg: r.leg, from_ms: r.from_ms, to_ms: r.to_ms }).collect();
    let audio = jobs.redaction.audio.clone();
    let done = tokio::task::spawn_blocking(move || audio(interaction, &stretches)).await;
    let counters = &jobs.redaction.counters;
    match done.unwrap_or_else(|e| Err(format!("our own mistake ({e})"))) {
        Ok(blocks) => {
            counters.blocks.fetch_add(blocks as u64, Relaxed);
            Ok(())
        }
        Err(why) => {
            counters.failed.fetch_add(1, Relaxed);
            Err(Trouble::Audio(why))
        }
    }
}

/// What an earlier run took out can no longer be heard: its mark stands where it was, as in the revision before.
fn show_earlier(transcript: &mut Transcript, known: &[RedactionRow]) {
    for row in known {
        let overlaps = |u: &Utterance| u.leg == row.leg && u.words.iter().any(|w| w.from_ms < row.to_ms && row.from_ms < w.to_ms);
        let party = transcript.utterances.iter().find(|u| u.leg == row.leg).map(|u| u.party);
        if let (false, Some(party)) = (transcript.utterances.iter().any(overlaps), party) {
            let word = Word { text: format!("[{}]", row.kind), from_ms: row.from_ms, to_ms: row.to_ms, confidence: 100 };
            let RedactionRow { leg, from_ms, to_ms, .. } = *row;
            transcript.utterances.push(Utterance { leg, party, from_ms, to_ms, words: vec![word], confidence: 100, rejected: None });
        }
    }
    transcript.utterances.sort_by_key(|u| (u.from_ms, u.to_ms));
}
