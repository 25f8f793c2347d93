//! Dialogues spoken by a synthesiser, heard by the whole path (voice activity, utterances, worker, gates), then read like any call.
//!
//! ```text
//! turns ─▶ voices ─▶ a leg each, G.711 ─▶ Pool::transcribe_call ─▶ card, moods ◀─ labels, moved to the time of the sound
//! ```

use super::{
    EvalError,
    cards::{self, CardFigures},
    dialogues::{Dialogue, Place, WORD_MS, leg},
    moods::{self, MoodFigures},
    statistics::{Figure, bootstrap},
    voices::{Synthesiser, over_the_line},
};
use crate::{
    domain::insight::{card::understood, utterance::Transcript},
    ids::Party,
    service::speech::{
        Pool, RATE, TrackAudio,
        word_errors::{errors, words},
    },
};

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// What the tables call them.
    pub name: &'static str,
    /// The agent's voice, as the synthesiser names it.
    pub agent: &'static str,
    /// The customer's.
    pub customer: &'static str,
}

/// Voices that the demo model was trained on most, and variants that it never heard.
pub const CASTS: [Cast; 2] = [
    Cast { name: "voices seen in training", agent: "gmw/en-US", customer: "gmw/en+f4" },
    Cast { name: "voices never seen", agent: "gmw/en-US+f5", customer: "gmw/en+m5" },
];

/// The first word, milliseconds.
const START_MS: u32 = 1_000;
/// Between two turns, milliseconds.
const PAUSE_MS: u32 = 700;
/// Recognised words may lie this far outside their turn: utterances begin before the voice does.
const AROUND_MS: u32 = 250;
/// Digits in a row that are read out one by one.
const NUMBER_MIN: usize = 4;

/// A dialogue as sound.
struct Said {
    /// One per side.
    tracks: Vec<TrackAudio>,
    /// When each turn is said, milliseconds.
    spans: Vec<(u32, u32)>,
}

/// What was measured with one cast.
#[derive(Clone, Debug)]
pub struct SpokenFigures {
    /// Who spoke.
    pub cast: Cast,
    /// Words wrong, missing or too many, over words written.
    pub word_errors: Figure,
    /// Mean share of voiced time with words.
    pub understood: Figure,
    /// Calls of which too little was understood for a card.
    pub without_card: usize,
    /// The card.
    pub card: CardFigures,
    /// Moods, ours.
    pub moods: MoodFigures,
    /// Moods, plain VADER.
    pub vader: MoodFigures,
}

/// Everything measured on recognised words.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// Which synthesiser.
    pub synthesiser: String,
    /// Which model.
    pub model: String,
    /// One per cast.
    pub figures: Vec<SpokenFigures>,
}

/// Speaks and hears all dialogues; `say` is told what is being done.
pub fn measure(pool: &Pool, dialogues: &[Dialogue], say: &mut dyn FnMut(&str)) -> Result<Spoken, EvalError> {
    let synthesiser = Synthesiser::find()?;
    let model = pool.model().map_err(EvalError::Speech)?.0;
    let mut figures = Vec::new();
    for cast in CASTS {
        let (mut moved, mut heard) = (Vec::new(), Vec::new());
        for (n, dialogue) in dialogues.iter().enumerate() {
            say(&format!("{}: {} of {}", cast.name, n + 1, dialogues.len()));
            let said = speak(&synthesiser, cast, dialogue)?;
            heard.push(pool.transcribe_call(&said.tracks).map_err(EvalError::Speech)?);
            moved.push(at_the_time_of(dialogue, &said.spans));
        }
        figures.push(figures_of(cast, &moved, &heard));
    }
    Ok(Spoken { synthesiser: synthesiser.version, model, figures })
}

fn figures_of(cast: Cast, dialogues: &[Dialogue], heard: &[Transcript]) -> SpokenFigures {
    let wrong: Vec<(usize, usize)> = dialogues.iter().zip(heard).map(|(d, t)| wrong_words(d, t)).collect();
    let said = wrong.iter().map(|w| w.1).sum();
    let rate = |drawn: &[&(usize, usize)]| {
        let (wrong, said) = drawn.iter().fold((0, 0), |sum, call| (sum.0 + call.0, sum.1 + call.1));
        wrong as f64 / said.max(1) as f64
    };
    let shares: Vec<f64> = heard.iter().map(|t| f64::from(understood(t)) / 100.0).collect();
    let mean = |drawn: &[&f64]| drawn.iter().copied().sum::<f64>() / drawn.len().max(1) as f64;
    SpokenFigures {
        cast,
        word_errors: bootstrap(&wrong, said, rate),
        understood: bootstrap(&shares, shares.len(), mean),
        without_card: dialogues.iter().zip(heard).filter(|(d, t)| cards::read(d, t).is_none()).count(),
        card: cards::measure(dialogues, heard),
        moods: moods::ours(dialogues, heard),
        vader: moods::vader(dialogues, heard),
    }
}

/// Errors and words of one call, side by side.
fn wrong_words(dialogue: &Dialogue, heard: &Transcript) -> (usize, usize) {
    let of = |party: Party| {
        let said: Vec<&str> = dialogue.turns.iter().filter(|t| t.party == party).map(|t| t.text.as_str()).collect();
        let got: Vec<String> = heard.utterances.iter().filter(|u| u.party == party).map(|u| u.text()).collect();
        let said = words(&said.join(" "));
        (errors(&said, &words(&got.join(" "))), said.len())
    };
    let (customer, agent) = (of(Party::Customer), of(Party::Agent));
    (customer.0 + agent.0, customer.1 + agent.1)
}

fn speak(synthesiser: &Synthesiser, cast: Cast, dialogue: &Dialogue) -> Result<Said, EvalError> {
    let samples = |ms: u32| ms as usize * RATE / 1_000;
    let (mut customer, mut agent, mut spans, mut at) = (Vec::new(), Vec::new(), Vec::new(), START_MS);
    for turn in &dialogue.turns {
        let (track, voice) = match turn.party {
            Party::Customer => (&mut customer, cast.customer),
            Party::Agent => (&mut agent, cast.agent),
        };
        let text: Vec<String> = turn.text.split(' ').map(spoken).collect();
        let sound = synthesiser.say(voice, &text.join(" "))?;
        track.resize(samples(at), 0.0);
        let end = at + u32::try_from(sound.len() * 1_000 / RATE).unwrap_or(u32::MAX);
        track.extend(sound);
        spans.push((at, end));
        at = end + PAUSE_MS;
    }
    let track = |party: Party, mut sound: Vec<f64>| {
        sound.resize(samples(at + START_MS), 0.0);
        TrackAudio { leg: leg(party), party, start_ms: 0, samples: over_the_line(&sound), gaps: Vec::new() }
    };
    Ok(Said { tracks: vec![track(Party::Customer, customer), track(Party::Agent, agent)], spans })
}

/// A written word as it is read out: long numbers and codes sign by sign, amounts with their unit after them.
fn spoken(word: &str) -> String {
    let core = word.trim_end_matches(['.', ',', '?', '!', ';', ':']);
    let after = &word[core.len()..];
    if let Some((whole, cents)) = core.strip_prefix('$').map(|amount| amount.split_once('.').unwrap_or((amount, ""))) {
        let cents = if cents.trim_matches('0').is_empty() { String::new() } else { format!(" and {cents} cents") };
        return format!("{whole} dollars{cents}{after}");
    }
    let digits = core.chars().filter(char::is_ascii_digit).count();
    let capitals = core.chars().filter(char::is_ascii_uppercase).count();
    let code = core.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '-');
    if code && (digits >= NUMBER_MIN || (digits > 0 && capitals > 0)) {
        let signs: Vec<String> = core.chars().filter(char::is_ascii_alphanumeric).map(String::from).collect();
        return signs.join(" ") + after;
    }
    word.to_owned()
}

/// The same dialogue with its labels where the sound is; within a turn a word takes as long as it is in letters.
fn at_the_time_of(dialogue: &Dialogue, spans: &[(u32, u32)]) -> Dialogue {
    let moved = |place: &Place| {
        let inside = |i: &usize| {
            let turn = &dialogue.turns[*i];
            turn.party == place.party && turn.span.0 <= place.span.0 && place.span.1 <= turn.span.1
        };
        let Some(i) = (0..dialogue.turns.len()).find(inside) else { return *place };
        let lengths: Vec<usize> = dialogue.turns[i].text.split(' ').map(|word| spoken(word).chars().count() + 1).collect();
        let all: usize = lengths.iter().sum();
        let at = |ms: u32| {
            let word = ((ms - dialogue.turns[i].span.0) / WORD_MS) as usize;
            let before: usize = lengths.iter().take(word).sum();
            let (from, to) = spans[i];
            from + u32::try_from((to - from) as usize * before / all.max(1)).unwrap_or(0)
        };
        Place { party: place.party, span: (at(place.span.0), at(place.span.1)) }
    };
    let mut same = dialogue.clone();
    same.reasons.iter_mut().for_each(|place| *place = moved(place));
    same.promises.iter_mut().for_each(|promise| promise.place = moved(&promise.place));
    for (turn, (from, to)) in same.turns.iter_mut().zip(spans) {
        turn.span = (from - AROUND_MS, to + AROUND_MS);
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::eval::dialogues::parse;

    #[test]
    fn numbers_and_codes_are_read_out_as_people_read_them() {
        for (written, said) in [
            ("302200.", "3 0 2 2 0 0."),
            ("GC4410", "G C 4 4 1 0"),
            ("NW-47,", "N W 4 7,"),
            ("7A", "7 A"),
            ("$120?", "120 dollars?"),
            ("$64.50.", "64 dollars and 50 cents."),
            ("$45.00", "45 dollars"),
            ("14", "14"),
            ("3rd", "3rd"),
            ("OK", "OK"),
            ("don't", "don't"),
        ] {
            assert_eq!(spoken(written), said);
        }
    }

    #[test]
    fn labels_move_with_the_turn_that_they_stand_in() {
        let text =
            "== one\nday: 2026-03-05\nA: Hello there.\nC0: Hi, my kettle leaks badly.\nreason: C1 | my kettle leaks\noutcome: unclear\n";
        let dialogue = &parse(text).expect("reads")[0];
        let moved = at_the_time_of(dialogue, &[(1_000, 2_000), (3_000, 5_700)]);
        // "Hi, " is 4 of 27 letters, "my kettle leaks " 16.
        assert_eq!(moved.reasons[0].span, (3_400, 5_000));
        assert_eq!(moved.turns[1].span, (2_750, 5_950));
    }
}
