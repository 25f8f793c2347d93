//! Hides what one leg's microphone heard of the other leg: overlapping, the same words, and much quieter.

use super::gates::Rejection;
use crate::domain::insight::utterance::Utterance;

/// An echo is at least this much quieter than its source.
const QUIETER_DB: f32 = 12.0;
/// Share of an echo's words that its source said too.
const SIMILAR: f32 = 0.7;
/// An echo may lag its source: satellite and speakerphone delay together.
const LAG_MS: u32 = 800;

/// Takes the words from every utterance that is an echo, with the reason; returns how many. Levels in dBov, one per utterance.
pub fn hide(utterances: &mut [Utterance], level_db: &[f32]) -> usize {
    let echoes: Vec<usize> = (0..utterances.len())
        .filter(|i| (0..utterances.len()).any(|j| is_echo(&utterances[*i], level_db[*i], &utterances[j], level_db[j])))
        .collect();
    for i in &echoes {
        utterances[*i].words.clear();
        utterances[*i].rejected = Some(Rejection::Echo.to_string());
    }
    echoes.len()
}

pub(super) fn is_echo(quiet: &Utterance, quiet_db: f32, loud: &Utterance, loud_db: f32) -> bool {
    let overlaps = quiet.from_ms < loud.to_ms.saturating_add(LAG_MS) && loud.from_ms < quiet.to_ms;
    quiet.leg != loud.leg && overlaps && quiet_db + QUIETER_DB <= loud_db && !quiet.words.is_empty() && share(quiet, loud) >= SIMILAR
}

/// Share of `quiet`'s words that appear in `loud`, in order.
fn share(quiet: &Utterance, loud: &Utterance) -> f32 {
    let plain = |u: &Utterance| -> Vec<String> {
        u.words.iter().map(|w| w.text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()).collect()
    };
    let (quiet, loud) = (plain(quiet), plain(loud));
    let mut row = vec![0usize; loud.len() + 1];
    for word in &quiet {
        let mut diagonal = 0;
        for (j, other) in loud.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[loud.len()] as f32 / quiet.len().max(1) as f32
}
