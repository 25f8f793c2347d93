//! A transcript as a value: utterances on the call's axis, with their coverage.

use serde::{Deserialize, Serialize};

use crate::ids::{LegId, Party};

/// One recognised word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// As shown, punctuation included.
    pub text: String,
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
    /// Percent.
    pub confidence: u8,
}

/// One piece of speech by one leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Utterance {
    /// The leg, and so the speaker.
    pub leg: LegId,
    /// Their side.
    pub party: Party,
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
    /// What was understood; empty when rejected.
    pub words: Vec<Word>,
    /// Percent, mean over words.
    pub confidence: u8,
    /// Why nothing is shown, when a gate refused the model's text.
    pub rejected: Option<String>,
}

impl Utterance {
    /// The words as one line.
    pub fn text(&self) -> String {
        self.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// Doubtful stretches kept of one leg: more than anybody plays. Longer lists come from noise.
pub const DOUBTS_MAX: usize = 100;

/// A stretch of the call's axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Begin, milliseconds.
    pub from_ms: u32,
    /// End, milliseconds.
    pub to_ms: u32,
}

/// Where a leg's samples went: an exact sum, in samples at 8 kHz.
///
/// `received = voiced + unvoiced + lost + paused`, `voiced = transcribed + rejected + pending + failed`, `doubtful ≤ unvoiced`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegCoverage {
    /// The leg.
    pub leg: LegId,
    /// All samples of the track.
    pub received: u64,
    /// Inside an utterance.
    pub voiced: u64,
    /// Outside any utterance.
    pub unvoiced: u64,
    /// Filled in for lost packets.
    pub lost: u64,
    /// Not kept (hold, pause).
    pub paused: u64,
    /// In utterances with words.
    pub transcribed: u64,
    /// In utterances that a gate refused.
    pub rejected: u64,
    /// In utterances still waiting.
    pub pending: u64,
    /// In utterances that the worker could not do.
    pub failed: u64,
    /// Of the unvoiced ones: they sound like a voice, but too little of it for an utterance.
    #[serde(default)]
    pub doubtful: u64,
    /// Where those lie, by time: the first [`DOUBTS_MAX`].
    #[serde(default)]
    pub doubts: Vec<Stretch>,
    /// How many more of them there were.
    #[serde(default)]
    pub more_doubts: u32,
}

impl LegCoverage {
    /// A leg of which nothing was received.
    pub fn none(leg: LegId) -> Self {
        Self {
            leg,
            received: 0,
            voiced: 0,
            unvoiced: 0,
            lost: 0,
            paused: 0,
            transcribed: 0,
            rejected: 0,
            pending: 0,
            failed: 0,
            doubtful: 0,
            doubts: Vec::new(),
            more_doubts: 0,
        }
    }

    /// So many unvoiced samples sound like a voice, and lie there.
    pub fn doubt(&mut self, samples: u64, at: Stretch) {
        self.doubtful += samples;
        if self.doubts.len() < DOUBTS_MAX {
            self.doubts.push(at);
        } else {
            self.more_doubts = self.more_doubts.saturating_add(1);
        }
    }

    /// A leg of so many samples that all lie in utterances with words.
    pub fn all(leg: LegId, samples: u64) -> Self {
        Self { received: samples, voiced: samples, transcribed: samples, ..Self::none(leg) }
    }

    /// Transcribed over voiced, percent; 100 when nothing was voiced.
    pub fn percent(&self) -> u8 {
        (self.transcribed * 100).checked_div(self.voiced).map_or(100, |p| u8::try_from(p.min(100)).unwrap_or(100))
    }
}

/// One revision of an interaction's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// Name of the model file that made it.
    pub model: String,
    /// BCP 47 language.
    pub language: String,
    /// By time.
    pub utterances: Vec<Utterance>,
    /// One per leg.
    pub coverage: Vec<LegCoverage>,
}
