//! How well the mood of a customer's turn is read: ours, plain VADER, and always saying what is commonest.

use vader_sentimental::SentimentIntensityAnalyzer;

use super::{
    dialogues::Dialogue,
    statistics::{Confusion, Figure, bootstrap, macro_f1, sum},
};
use crate::{
    domain::insight::{
        sentiment::{self, Sentiment},
        utterance::{Transcript, Word},
    },
    ids::Party,
};

/// VADER's own threshold.
const VADER_NEUTRAL: f64 = 0.05;
const NEGATIVE: usize = 0;
const NEUTRAL: usize = 1;
const POSITIVE: usize = 2;

/// What was measured of one method.
#[derive(Clone, Copy, Debug)]
pub struct MoodFigures {
    /// Macro-F1 over negative, neutral, positive.
    pub macro_f1: Figure,
    /// Turns read right.
    pub accuracy: Figure,
    /// Labelled (row) against read (column).
    pub confusion: Confusion,
}

/// Ours.
pub fn ours(dialogues: &[Dialogue], transcripts: &[Transcript]) -> MoodFigures {
    let one = |(dialogue, transcript): (&Dialogue, &Transcript)| {
        let mood = sentiment::sentiment(transcript);
        confusion(dialogue, |i| read(&mood, dialogue, i))
    };
    figures(dialogues.iter().zip(transcripts).map(one).collect())
}

/// Plain VADER on the words of each turn.
pub fn vader(dialogues: &[Dialogue], transcripts: &[Transcript]) -> MoodFigures {
    let lexicon = SentimentIntensityAnalyzer::new();
    let one = |(dialogue, transcript): (&Dialogue, &Transcript)| {
        confusion(dialogue, |i| {
            let (from, to) = dialogue.turns[i].span;
            let here = |w: &&Word| (from..=to).contains(&(w.from_ms / 2 + w.to_ms / 2));
            let customer = transcript.utterances.iter().filter(|u| u.party == Party::Customer);
            let words: Vec<&str> = customer.flat_map(|u| &u.words).filter(here).map(|w| w.text.as_str()).collect();
            class(lexicon.polarity_scores(&words.join(" ")).compound, VADER_NEUTRAL)
        })
    };
    figures(dialogues.iter().zip(transcripts).map(one).collect())
}

/// Always the commonest label.
pub fn majority(dialogues: &[Dialogue]) -> MoodFigures {
    let all = sum(&dialogues.iter().map(|d| confusion(d, |_| NEUTRAL)).collect::<Vec<_>>());
    let commonest = (0..3).max_by_key(|c| all[*c].iter().sum::<u32>()).unwrap_or(NEUTRAL);
    figures(dialogues.iter().map(|d| confusion(d, |_| commonest)).collect())
}

fn figures(scripts: Vec<Confusion>) -> MoodFigures {
    let confusion = sum(&scripts);
    let n = confusion.iter().flatten().sum::<u32>();
    let right = |c: &Confusion| f64::from(c[0][0] + c[1][1] + c[2][2]) / f64::from(c.iter().flatten().sum::<u32>().max(1));
    let drawn = |figure: &dyn Fn(&Confusion) -> f64| bootstrap(&scripts, n as usize, |s| figure(&sum(s.iter().copied())));
    MoodFigures { macro_f1: drawn(&macro_f1), accuracy: drawn(&right), confusion }
}

fn confusion(dialogue: &Dialogue, read: impl Fn(usize) -> usize) -> Confusion {
    let mut of = Confusion::default();
    for (i, turn) in dialogue.turns.iter().enumerate().filter(|(_, t)| t.party == Party::Customer) {
        let labelled = class(f64::from(turn.mood.unwrap_or(0)), 0.5);
        of[labelled][read(i)] += 1;
    }
    of
}

/// A turn in which nothing fired is neutral here; on the desk it has no mood.
fn read(mood: &Sentiment, dialogue: &Dialogue, i: usize) -> usize {
    let (from, to) = dialogue.turns[i].span;
    let within = |e: &crate::domain::insight::sentences::Evidence| e.party == Party::Customer && e.from_ms < to && from < e.to_ms;
    mood.turns.iter().find(|t| within(&t.evidence)).map_or(NEUTRAL, |t| class(f64::from(t.score), f64::from(sentiment::NEUTRAL_WITHIN)))
}

fn class(score: f64, neutral_within: f64) -> usize {
    if score <= -neutral_within {
        NEGATIVE
    } else if score >= neutral_within {
        POSITIVE
    } else {
        NEUTRAL
    }
}
