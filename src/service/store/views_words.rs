//! The words of one interaction, as they are shown: revisions, corrections, coverage. Serialises to `docs/api.md`.

use serde::{Deserialize, Serialize};

use super::TranscriptState;
use crate::{
    domain::insight::{
        sentiment::Fired,
        utterance::{Stretch, Word},
    },
    ids::{CorrectionId, LegId, Party},
    time::UnixMs,
};

/// The words of a call.
#[derive(Clone, Debug, Serialize)]
pub struct TranscriptView {
    /// Where they stand.
    pub state: TranscriptState,
    /// One sentence with the remedy.
    pub trouble: Option<String>,
    /// Model file.
    pub model: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// Grows with each run.
    pub revision: Option<u32>,
    /// `live` or `final`.
    pub kind: Option<TranscriptKind>,
    /// When this revision was made.
    pub at: Option<UnixMs>,
    /// Percent understood, by side.
    pub coverage: CoverageView,
    /// Where each leg's speech went.
    pub legs: Vec<LegShares>,
    /// By time, with corrections in their places.
    pub utterances: Vec<UtteranceView>,
    /// What people put right, oldest first.
    pub corrections: Vec<CorrectionView>,
    /// All revisions, oldest first.
    pub revisions: Vec<RevisionView>,
    /// A transcription that was asked for while there are words.
    pub redo: Option<RedoView>,
}

/// Percent of voiced audio that has words, by side.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CoverageView {
    /// The customer's.
    pub customer: Option<u8>,
    /// The agents'.
    pub agent: Option<u8>,
}

/// One piece of speech.
#[derive(Clone, Debug, Serialize)]
pub struct UtteranceView {
    /// The speaker.
    pub leg: LegId,
    /// Their side.
    pub party: Party,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
    /// Percent.
    pub confidence: u8,
    /// Why no words are shown.
    pub rejected: Option<String>,
    /// −100…100.
    pub sentiment: Option<i16>,
    /// What made the mood of its turn, as far as it lies in here.
    pub fired: Vec<Fired>,
    /// The words.
    pub words: Vec<Word>,
}

/// When words were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptKind {
    /// While they spoke.
    Live,
    /// From the recording.
    Final,
}

/// Where the speech of one leg went, percent of what was voiced or lost; they add up to 100, or are all 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegShares {
    /// The leg.
    pub leg: LegId,
    /// Its side.
    pub party: Party,
    /// Has words.
    pub understood: u8,
    /// Refused by a gate, or not done by a worker.
    pub not_understood: u8,
    /// Lost on the way.
    pub lost: u8,
    /// Not looked at yet.
    pub waiting: u8,
    /// Sound like a voice in no utterance, too short for one, milliseconds; in none of the shares.
    pub doubtful_ms: u64,
    /// Where those lie, with what came just before; the first 100, by time.
    pub doubtful: Vec<Stretch>,
    /// How many more there were.
    pub doubtful_more: u32,
}

/// One revision of the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevisionView {
    /// Grows with each run.
    pub revision: u32,
    /// Live or from the recording.
    pub kind: TranscriptKind,
    /// Model file.
    pub model: String,
    /// When it was made.
    pub at: UnixMs,
}

/// Words that a person put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorrectionView {
    /// Its id.
    pub correction: CorrectionId,
    /// Who spoke.
    pub leg: LegId,
    /// Beginning on the axis.
    pub from_ms: u32,
    /// End on the axis.
    pub to_ms: u32,
    /// What stood there; empty: not understood.
    pub before: String,
    /// What stands there; empty: nothing was said.
    pub after: String,
    /// Name of who put it right.
    pub by: String,
    /// When.
    pub at: UnixMs,
    /// What became of it on this revision.
    pub state: CorrectionState,
}

/// What became of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionState {
    /// Its words stand.
    Stands,
    /// It was taken back.
    TakenBack,
    /// This revision has nothing at its place.
    NoLongerFits,
}

/// A transcription that runs, waits or failed while older words are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedoView {
    /// Where it stands.
    pub state: RedoState,
    /// The model asked for; `None`: the configured one.
    pub model: Option<String>,
    /// Why it failed or waits, one sentence with the remedy.
    pub trouble: Option<String>,
}

/// Where a repeated transcription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedoState {
    /// Nobody has begun.
    Waiting,
    /// Being done.
    Running,
    /// Given up.
    Failed,
}
