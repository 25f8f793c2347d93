//! Honest measures of what is read out of calls: labelled dialogues against card and sentiment, samples against words.
//!
//! ```text
//! dialogues ─▶ transcripts: as written │ simulated errors │ spoken and recognised ─▶ card, moods ─▶ figures with intervals ─▶ tables
//! samples   ─▶ speech path │ model alone ─▶ word errors, the card of recognised words
//! ```
//! Dialogues that measure were written and labelled apart from the rules; intervals come from drawing whole dialogues.

pub mod cards;
pub mod dialogues;
pub mod moods;
mod report;
pub mod spoken;
mod spoken_table;
pub mod statistics;
mod voices;
mod word_channel;
pub mod words;

use std::{io, path::PathBuf};

use self::{cards::CardFigures, dialogues::Dialogue, moods::MoodFigures, spoken::Spoken, word_channel::WordChannel, words::WordFigures};
use super::speech::SpeechError;
use crate::domain::insight::utterance::Transcript;

pub use report::{judged, show, write};

/// Word error rates that the simulated recogniser makes, percent.
pub const SIMULATED: [u8; 2] = [10, 20];
/// The same errors each time.
const SEED: u64 = 4;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// Files.
    #[error("{} cannot be read ({error}); name the folder of labelled dialogues with --dialogues", .0.display(), error = .1)]
    Folder(PathBuf, #[source] io::Error),
    /// No dialogue in it.
    #[error("{} holds no dialogues (*.txt); name another folder with --dialogues", .0.display())]
    Empty(PathBuf),
    /// A label that fits nothing.
    #[error("dialogue \"{0}\": {1}; correct the file")]
    Dialogue(String, String),
    /// The speech path.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// The synthesiser.
    #[error("{0}")]
    Voices(String),
    /// The model by itself.
    #[error("the model alone: {0}")]
    Alone(String),
}

/// Card and moods on one kind of text.
#[derive(Clone, Debug)]
pub struct TextFigures {
    /// Errors per hundred words that were put in; `None` as written.
    pub simulated: Option<u8>,
    /// The card.
    pub card: CardFigures,
    /// Moods, ours.
    pub moods: MoodFigures,
    /// Moods, plain VADER.
    pub vader: MoodFigures,
}

/// Everything measured.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Dialogues.
    pub dialogues: usize,
    /// Turns of customers.
    pub turns: usize,
    /// Always the commonest mood.
    pub majority: MoodFigures,
    /// As written, then simulated.
    pub texts: Vec<TextFigures>,
    /// Through the recogniser, where it was asked for.
    pub words: Option<WordFigures>,
    /// The dialogues spoken and recognised, where it was asked for.
    pub spoken: Option<Spoken>,
}

/// Measures card and sentiment on labelled dialogues.
pub fn measure(dialogues: &[Dialogue]) -> Evaluation {
    let kinds = std::iter::once(None).chain(SIMULATED.map(Some));
    let texts = kinds.map(|simulated| {
        let heard = transcripts(dialogues, simulated);
        let card = cards::measure(dialogues, &heard);
        TextFigures { simulated, card, moods: moods::ours(dialogues, &heard), vader: moods::vader(dialogues, &heard) }
    });
    let majority = moods::majority(dialogues);
    Evaluation { dialogues: dialogues.len(), turns: majority.accuracy.n, majority, texts: texts.collect(), words: None, spoken: None }
}

/// The dialogues as text: as written, or with errors.
pub fn transcripts(dialogues: &[Dialogue], simulated: Option<u8>) -> Vec<Transcript> {
    let Some(percent) = simulated else { return dialogues.iter().map(|d| d.transcript(|words| words)).collect() };
    let all = dialogues.iter().flat_map(|d| d.turns.iter().flat_map(|t| t.text.split(' ').map(str::to_owned)));
    let mut channel = WordChannel::new(SEED, f64::from(percent) / 100.0, all.collect());
    dialogues.iter().map(|d| d.transcript(|words| channel.hear(words))).collect()
}
