//! Mood by words: the VADER lexicon, phrases of service calls, negation, intensifiers, repetition.
//!
//! The mood of a call is its customer's. Thanks and apologies are manners, not moods, when an agent says them or the call
//! closes with them. Too little to go by is "not enough", never neutral.

use serde::{Deserialize, Serialize};
use vader_sentimental::SentimentIntensityAnalyzer;

use super::{
    acts::{self, Act},
    sentences::{Evidence, Sentence, sentences},
    utterance::Transcript,
};
use crate::ids::Party;

/// Names this method in the record.
pub const METHOD: &str = "lexicon";
/// Changes when lexicon or rules do.
pub const METHOD_VERSION: &str = "1";
/// Fewer turns in which something fired are not enough.
const TURNS_MIN: usize = 3;
/// A negation reaches this many words.
const NEGATION_REACH: usize = 3;
/// What a negation makes of a word (VADER).
const NEGATED: f64 = -0.74;
/// What an intensifier adds or takes (VADER).
const INTENSIFIED: f64 = 0.293;
/// A score nearer to 0 than this is neutral where three classes are asked for.
pub const NEUTRAL_WITHIN: i16 = 15;
/// Normalisation (VADER).
const ALPHA: f64 = 15.0;
/// The worst stretch is this long.
const WORST_MS: u32 = 30_000;
/// Shown as evidence of the mood.
const WHY_MAX: usize = 8;
/// Saying the same again, in words that mostly are the same.
const REPEATED: f64 = -1.5;

/// The mood of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sentiment {
    /// −100…100; `None` when there is not enough to go by.
    pub overall: Option<i16>,
    /// Mood at the start and at the end.
    pub trend: Option<[i16; 2]>,
    /// Percent.
    pub confidence: u8,
    /// The words that fired, strongest first.
    pub why: Vec<String>,
    /// Every turn in which something fired, either side.
    pub turns: Vec<TurnScore>,
}

/// The mood of one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnScore {
    /// The turn.
    pub evidence: Evidence,
    /// −100…100.
    pub score: i16,
}

/// Phrases that a general lexicon does not know, with their valence; longer ones first where they overlap.
const PHRASES: [(&str, f64); 46] = [
    ("charged me twice", -2.4),
    ("charged twice", -2.4),
    ("far too long", -2.0),
    ("too long", -1.5),
    ("third time", -2.2),
    ("second time", -1.3),
    ("fourth time", -2.4),
    ("how many times", -2.2),
    ("again and again", -1.8),
    ("still waiting", -2.2),
    ("still not", -1.9),
    ("still no", -1.9),
    ("nobody answered", -2.2),
    ("nobody called", -2.2),
    ("no one answered", -2.2),
    ("nobody", -1.2),
    ("i already told", -2.2),
    ("already told", -2.0),
    ("i already", -1.2),
    ("never arrived", -2.2),
    ("not arrived", -1.8),
    ("not received", -1.6),
    ("never received", -2.0),
    ("not working", -1.8),
    ("does not work", -1.8),
    ("stopped working", -1.8),
    ("unacceptable", -2.8),
    ("not acceptable", -2.6),
    ("speak to a manager", -2.4),
    ("speak to your manager", -2.4),
    ("your supervisor", -2.2),
    ("i will cancel", -2.2),
    ("want to cancel", -1.8),
    ("cancel my contract", -1.8),
    ("waste of time", -2.6),
    ("fed up", -2.6),
    ("too late", -1.4),
    ("was promised", -1.2),
    ("not good enough", -2.4),
    ("works now", 2.2),
    ("working now", 2.0),
    ("that helps", 1.8),
    ("that helped", 1.8),
    ("solved", 1.8),
    ("much better", 2.0),
    ("not bad", 1.0),
];
/// Words of service calls that carry no mood, whatever the lexicon says.
const NEUTRAL: [&str; 42] = [
    "no",
    "yes",
    "please",
    "help",
    "sure",
    "okay",
    "ok",
    "fine",
    "well",
    "hello",
    "hi",
    "like",
    "want",
    "number",
    "card",
    "credit",
    "charge",
    "charged",
    "balance",
    "care",
    "share",
    "save",
    "interest",
    "interested",
    "cancel",
    "cancelled",
    "cut",
    "problem",
    "issue",
    "alert",
    "free",
    "ready",
    "nice",
    "good",
    "important",
    "top",
    "value",
    "pay",
    "demand",
    "block",
    "blocked",
    "safe",
];
const NEGATIONS: [&str; 9] = ["not", "no", "never", "nobody", "nothing", "without", "hardly", "neither", "none"];
const MORE: [&str; 14] = [
    "very",
    "really",
    "extremely",
    "so",
    "absolutely",
    "totally",
    "completely",
    "particularly",
    "incredibly",
    "too",
    "most",
    "quite",
    "truly",
    "far",
];
const LESS: [&str; 5] = ["slightly", "somewhat", "barely", "little", "bit"];
const MANNERS: [&str; 8] = ["thank", "thanks", "sorry", "apologise", "apologize", "apologies", "welcome", "afraid"];

/// Reads the mood of a call out of its transcript.
pub fn sentiment(transcript: &Transcript) -> Sentiment {
    if !transcript.language.starts_with("en") {
        return Sentiment::default();
    }
    let sentences = sentences(transcript);
    let acts = acts::acts(&sentences);
    let lexicon = SentimentIntensityAnalyzer::new();
    let mut fired: Vec<(f64, String)> = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    for (i, (sentence, act)) in sentences.iter().zip(&acts).enumerate() {
        let mut found = score(sentence, *act, &lexicon);
        if sentence.party == Party::Customer && said_before(&sentences[..i], sentence) {
            found.push((REPEATED, sentence.quote()));
        }
        if found.is_empty() {
            continue;
        }
        let sum = found.iter().map(|(v, _)| v).sum::<f64>();
        if sentence.party == Party::Customer {
            fired.extend(found);
        }
        match turns.last_mut() {
            Some(turn) if turn.number == sentence.turn && turn.evidence.leg == sentence.leg => turn.add(sum, sentence.evidence()),
            _ => turns.push(Turn { number: sentence.turn, evidence: sentence.evidence(), sum }),
        }
    }
    summarise(&sentences, &turns, fired)
}

struct Turn {
    number: usize,
    evidence: Evidence,
    sum: f64,
}

impl Turn {
    fn add(&mut self, sum: f64, evidence: Evidence) {
        self.sum += sum;
        self.evidence.to_ms = evidence.to_ms;
    }

    /// −100…100.
    fn score(&self) -> f64 {
        100.0 * self.sum / (self.sum * self.sum + ALPHA).sqrt()
    }
}

fn summarise(sentences: &[Sentence], turns: &[Turn], mut fired: Vec<(f64, String)>) -> Sentiment {
    let all = turns.iter().map(|t| TurnScore { evidence: t.evidence, score: whole(t.score()) }).collect();
    let mine: Vec<(u32, f64)> =
        turns.iter().filter(|t| t.evidence.party == Party::Customer).map(|t| (t.evidence.from_ms, t.score())).collect();
    let (Some(first), Some(last)) = (mine.first().copied(), mine.last().copied()) else {
        return Sentiment { turns: all, ..Sentiment::default() };
    };
    if mine.len() < TURNS_MIN {
        return Sentiment { turns: all, ..Sentiment::default() };
    }
    let end = sentences.last().map_or(last.0, |s| s.evidence().to_ms);
    let part = |from: u32, to: u32, or: f64| mean(mine.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, s)| *s)).unwrap_or(or);
    let (start, close) = (part(0, end / 3, first.1), part(end / 3 * 2, end, last.1));
    let worst = mine.iter().map(|(at, s)| part(*at, at.saturating_add(WORST_MS), *s)).fold(f64::INFINITY, f64::min);
    let average = part(0, u32::MAX, 0.0);
    fired.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let mut why: Vec<String> = Vec::new();
    for (_, text) in fired {
        if !why.contains(&text) && why.len() < WHY_MAX {
            why.push(text);
        }
    }
    let confidence = u8::try_from((30 + 10 * mine.len()).min(90)).unwrap_or(90);
    let overall = Some(whole(0.5 * close + 0.3 * worst + 0.2 * average));
    Sentiment { overall, trend: Some([whole(start), whole(close)]), confidence, why, turns: all }
}

fn whole(score: f64) -> i16 {
    score.round().clamp(-100.0, 100.0) as i16
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// What fires in a sentence: valence and the words.
fn score(sentence: &Sentence, act: Act, lexicon: &SentimentIntensityAnalyzer<'_>) -> Vec<(f64, String)> {
    let manners_count = sentence.party == Party::Customer && !matches!(act, Act::Closing | Act::Greeting | Act::Backchannel | Act::Denial);
    let tokens: Vec<&str> = sentence.tokens.iter().map(|t| t.text.as_str()).collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if let Some((phrase, valence)) = PHRASES.iter().find(|(p, _)| starts_with(&tokens[at..], p)) {
            found.push((*valence, (*phrase).to_owned()));
            at += phrase.split(' ').count();
            continue;
        }
        let word = tokens[at];
        let skipped =
            NEUTRAL.contains(&word) || NEGATIONS.contains(&word) || MORE.contains(&word) || (MANNERS.contains(&word) && !manners_count);
        let valence = if skipped { 0.0 } else { valence(lexicon, word) };
        if valence != 0.0 {
            found.push((modified(&tokens, at, valence), spoken(&tokens, at)));
        }
        at += 1;
    }
    found
}

fn starts_with(tokens: &[&str], phrase: &str) -> bool {
    let mut rest = tokens.iter();
    phrase.split(' ').all(|word| rest.next() == Some(&word))
}

/// The lexicon's value of one word, taken back from its normalised score.
fn valence(lexicon: &SentimentIntensityAnalyzer<'_>, word: &str) -> f64 {
    let compound = lexicon.polarity_scores(word).compound;
    if compound.abs() >= 1.0 { 4.0 * compound.signum() } else { compound * (ALPHA / (1.0 - compound * compound)).sqrt() }
}

/// Words before it that turn it round, make it more, or make it less.
fn modified(tokens: &[&str], at: usize, valence: f64) -> f64 {
    let before = &tokens[at.saturating_sub(NEGATION_REACH)..at];
    let before = before.iter().rposition(|w| *w == "but").map_or(before, |b| &before[b + 1..]);
    let step = match before.last() {
        Some(w) if MORE.contains(w) => INTENSIFIED,
        Some(w) if LESS.contains(w) => -INTENSIFIED,
        _ => 0.0,
    };
    let valence = valence + step * valence.signum();
    if before.iter().any(|w| NEGATIONS.contains(w)) { valence * NEGATED } else { valence }
}

/// The word with the negation or intensifier that changed it.
fn spoken(tokens: &[&str], at: usize) -> String {
    let reach = &tokens[at.saturating_sub(NEGATION_REACH)..at];
    let from = reach.iter().position(|w| NEGATIONS.contains(w)).map_or(at, |i| at - reach.len() + i);
    let from = if from == at && at > 0 && MORE.contains(&tokens[at - 1]) { at - 1 } else { from };
    tokens[from..=at].join(" ")
}

/// Whether the same leg said much the same before, in a turn of its own.
fn said_before(earlier: &[Sentence], sentence: &Sentence) -> bool {
    let words = sentence.content();
    let same = |s: &Sentence| {
        let before = s.content();
        let common = words.iter().filter(|w| before.contains(w)).count();
        s.leg == sentence.leg && s.turn != sentence.turn && common * 10 >= (words.len() + before.len() - common) * 7
    };
    words.len() >= 3 && earlier.iter().any(same)
}
