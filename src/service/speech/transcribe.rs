//! The seam between utterances and whatever turns them into words: our worker, a test double, later a service.

use std::time::Duration;

use super::{schedule::Shed, sound::Sound};
use crate::ids::LegId;

/// Names one utterance: a result belongs to this and to nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// The leg.
    pub leg: LegId,
    /// Start of the utterance on the call's axis, milliseconds.
    pub start_ms: u32,
}

/// One utterance to be turned into words.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which utterance.
    pub key: Key,
    /// What was said.
    pub sound: Sound,
    /// Look at the full 30 s context instead of a fitted one: the second try of a looping decode.
    pub full_context: bool,
    /// The model by name; `None`: the one configured for the work's urgency.
    pub model: Option<String>,
}

/// One word as the model heard it; milliseconds from the first sample of the request.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HeardWord {
    /// As shown, punctuation included.
    pub text: String,
    /// Begin.
    pub from_ms: u32,
    /// End.
    pub to_ms: u32,
    /// Mean probability of its tokens, 0…1.
    pub probability: f32,
}

/// What the model made of one utterance, before any gate.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Heard {
    /// BCP 47.
    pub language: String,
    /// Probability that nobody spoke, 0…1.
    pub no_speech: f32,
    /// Mean log probability of the text tokens; 0 when there is no text.
    pub logprob: f32,
    /// In order.
    pub words: Vec<HeardWord>,
}

/// Most words of one answer: nobody says more in 30 s; the gates refuse far fewer.
pub const WORDS_MAX: usize = 400;
/// Most octets of the words of one answer: the tokens of 30 s, each as long as any.
const TEXT_MAX: usize = 16 << 10;

impl Heard {
    /// Whether a model can have answered this about an utterance: so much text, and figures that are numbers.
    pub fn is_bounded(&self) -> bool {
        let octets: usize = self.words.iter().map(|word| word.text.len()).sum();
        self.words.len() <= WORDS_MAX && octets <= TEXT_MAX && self.logprob.is_finite() && self.no_speech.is_finite()
    }
}

/// Why an utterance has no words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscribeError {
    /// The worker is gone, hung, or spoke nonsense: another try may do.
    #[error("the speech worker was lost: {0}")]
    Lost(String),
    /// The model cannot be had: trying again at once does not help.
    #[error("{0}")]
    Model(String),
    /// The workers are behind: it was dropped, and can be understood from the recording.
    #[error("{0}")]
    Shed(Shed),
}

/// Turns utterances into words, one at a time; each pool thread owns one.
pub trait Transcriber: Send {
    /// Blocks until there is an answer, bounded by the implementation's own deadline.
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError>;

    /// How long it should be left alone before the next utterance: after its death, so that one that dies at once is not
    /// started in a circle.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }

    /// There has been nothing to do for a while: memory may go back.
    fn idle(&mut self) {}
}
