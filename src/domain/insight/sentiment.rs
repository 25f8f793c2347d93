//! Mood by words: the VADER lexicon, phrases of service calls, negation, intensifiers, repetition.
//!
//! The mood of a call is its customer's. Thanks and apologies are manners, not moods, when an agent says them or the call
//! closes with them. Too little to go by is "not enough", never neutral.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use vader_sentimental::SentimentIntensityAnalyzer;

use super::{
    acts::{self, Act},
    moods,
    sentences::{Evidence, Sentence, sentences},
    utterance::Transcript,
};
use crate::ids::Party;

/// Names this method in the record.
pub const METHOD: &str = "lexicon";
/// Changes when lexicon or rules do.
pub const METHOD_VERSION: &str = "2";
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
/// The strongest word of the lexicon (VADER).
const STRONGEST: f64 = 4.0;
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
    /// What made it, in order of time.
    pub fired: Vec<Fired>,
}

/// Words that moved a mood, at their place in the audio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fired {
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
    /// As plain words, with the negation or intensifier that changed them.
    pub text: String,
    /// Percent of the strongest word, −100…100.
    pub weight: i16,
    /// Why they count.
    pub by: FiredBy,
}

/// Why words count for a mood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiredBy {
    /// A word or phrase of the lexicon.
    Words,
    /// The whole sentence: it was said before in much the same words.
    Repeated,
    /// The whole sentence: it tells of a problem.
    Problem,
}

/// What fired in a sentence, before it is told to anybody.
struct Hit {
    valence: f64,
    /// Its tokens; all of them where the sentence as a whole counts.
    tokens: Range<usize>,
    by: FiredBy,
}

impl Hit {
    fn fired(&self, sentence: &Sentence) -> Fired {
        let word = |token: usize| sentence.tokens.get(token).map_or(0, |t| t.word);
        let words = match self.by {
            FiredBy::Words => word(self.tokens.start)..word(self.tokens.end.saturating_sub(1)) + 1,
            FiredBy::Repeated | FiredBy::Problem => 0..sentence.words.len(),
        };
        let text = match self.by {
            FiredBy::Words => sentence.tokens[self.tokens.clone()].iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" "),
            FiredBy::Repeated | FiredBy::Problem => sentence.quote(),
        };
        let place = sentence.evidence_of(words.start, words.end);
        let weight = whole(self.valence * 100.0 / STRONGEST);
        Fired { from_ms: place.from_ms, to_ms: place.to_ms, text, weight, by: self.by }
    }
}

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
/// A customer's sentence that tells of a problem in words that fire nothing else.
const PROBLEM_TOLD: f64 = -0.8;
const MANNERS: [&str; 8] = ["thank", "thanks", "sorry", "apologise", "apologize", "apologies", "welcome", "afraid"];

/// Reads the mood of a call out of its transcript.
pub fn sentiment(transcript: &Transcript) -> Sentiment {
    if !transcript.language.starts_with("en") {
        return Sentiment::default();
    }
    let sentences = sentences(transcript);
    let acts = acts::acts(&sentences);
    let contents: Vec<Vec<&str>> = sentences.iter().map(Sentence::content).collect();
    let mut lexicon = Lexicon::new();
    let mut fired: Vec<(f64, String)> = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    for (i, (sentence, act)) in sentences.iter().zip(&acts).enumerate() {
        let mut found = score(sentence, *act, &mut lexicon);
        if sentence.party == Party::Customer && said_before(&sentences[..i], &contents, sentence) {
            found.push(Hit { valence: REPEATED, tokens: 0..sentence.tokens.len(), by: FiredBy::Repeated });
        }
        if found.is_empty() {
            continue;
        }
        let sum = found.iter().map(|hit| hit.valence).sum::<f64>();
        let told: Vec<Fired> = found.iter().map(|hit| hit.fired(sentence)).collect();
        if sentence.party == Party::Customer {
            fired.extend(found.iter().zip(&told).map(|(hit, told)| (hit.valence, told.text.clone())));
        }
        match turns.last_mut() {
            Some(turn) if turn.number == sentence.turn && turn.evidence.leg == sentence.leg => turn.add(sum, sentence.evidence(), told),
            _ => turns.push(Turn { number: sentence.turn, evidence: sentence.evidence(), sum, fired: told }),
        }
    }
    summarise(&sentences, turns, fired)
}

struct Turn {
    number: usize,
    evidence: Evidence,
    sum: f64,
    fired: Vec<Fired>,
}

impl Turn {
    fn add(&mut self, sum: f64, evidence: Evidence, fired: Vec<Fired>) {
        self.sum += sum;
        self.fired.extend(fired);
        self.evidence.to_ms = evidence.to_ms;
    }

    /// −100…100.
    fn score(&self) -> f64 {
        100.0 * self.sum / (self.sum * self.sum + ALPHA).sqrt()
    }
}

fn summarise(sentences: &[Sentence], turns: Vec<Turn>, mut fired: Vec<(f64, String)>) -> Sentiment {
    let mine: Vec<(u32, f64)> =
        turns.iter().filter(|t| t.evidence.party == Party::Customer).map(|t| (t.evidence.from_ms, t.score())).collect();
    let told = |t: Turn| TurnScore { evidence: t.evidence, score: whole(t.score()), fired: t.fired };
    let all = turns.into_iter().map(told).collect();
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

/// Phrases and what they weigh by their first word, longest first.
type Phrases = HashMap<&'static str, Vec<(Vec<&'static str>, f64)>>;

fn phrases() -> &'static Phrases {
    static BY_FIRST: OnceLock<Phrases> = OnceLock::new();
    BY_FIRST.get_or_init(|| {
        let mut by_first = Phrases::new();
        for (valence, list) in moods::PHRASES {
            for phrase in list.split(", ").map(|phrase| phrase.split_whitespace().collect::<Vec<_>>()) {
                by_first.entry(phrase.first().copied().unwrap_or_default()).or_default().push((phrase, *valence));
            }
        }
        by_first.values_mut().for_each(|list| list.sort_by_key(|(phrase, _)| std::cmp::Reverse(phrase.len())));
        by_first
    })
}

/// VADER's words, each looked up once per call, without those that mean nothing here.
struct Lexicon {
    vader: SentimentIntensityAnalyzer<'static>,
    known: HashMap<String, f64>,
}

impl Lexicon {
    fn new() -> Self {
        Self { vader: SentimentIntensityAnalyzer::new(), known: HashMap::new() }
    }

    /// One word's value, taken back from its normalised score.
    fn valence(&mut self, word: &str) -> f64 {
        static NEUTRAL: OnceLock<HashSet<&str>> = OnceLock::new();
        if NEUTRAL.get_or_init(|| moods::NEUTRAL.split(", ").collect()).contains(word) {
            return 0.0;
        }
        if let Some(valence) = self.known.get(word) {
            return *valence;
        }
        let compound = self.vader.polarity_scores(word).compound;
        let valence = if compound.abs() >= 1.0 { 4.0 * compound.signum() } else { compound * (ALPHA / (1.0 - compound * compound)).sqrt() };
        self.known.insert(word.to_owned(), valence);
        valence
    }
}

/// What fires in a sentence.
fn score(sentence: &Sentence, act: Act, lexicon: &mut Lexicon) -> Vec<Hit> {
    let customer = sentence.party == Party::Customer;
    let manners_count = customer && !matches!(act, Act::Closing | Act::Greeting | Act::Backchannel | Act::Denial);
    let tokens: Vec<&str> = sentence.tokens.iter().map(|t| t.text.as_str()).collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let fits = |(phrase, _): &&(Vec<&str>, f64)| tokens[at..].starts_with(phrase);
        // What an agent says of the matter is no mood of theirs, and thanks of theirs is manners.
        if let Some((phrase, valence)) = phrases().get(tokens[at]).and_then(|list| list.iter().find(fits)).filter(|_| customer) {
            found.push(Hit { valence: modified(&tokens, at, *valence), tokens: spoken(&tokens, at, phrase.len()), by: FiredBy::Words });
            at += phrase.len();
            continue;
        }
        let word = tokens[at];
        let skipped = NEGATIONS.contains(&word) || MORE.contains(&word) || (MANNERS.contains(&word) && !manners_count);
        let valence = if skipped { 0.0 } else { lexicon.valence(word) };
        if valence != 0.0 {
            found.push(Hit { valence: modified(&tokens, at, valence), tokens: spoken(&tokens, at, 1), by: FiredBy::Words });
        }
        at += 1;
    }
    if found.is_empty() && customer && act == Act::Problem {
        found.push(Hit { valence: PROBLEM_TOLD, tokens: 0..tokens.len(), by: FiredBy::Problem });
    }
    found
}

/// Words before it that turn it round, make it more, or make it less.
fn modified(tokens: &[&str], at: usize, valence: f64) -> f64 {
    // "No, that's perfect": the answer before a sentence does not negate it.
    let answered = usize::from(tokens.first() == Some(&"no")).min(at);
    let before = &tokens[at.saturating_sub(NEGATION_REACH).max(answered)..at];
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
fn spoken(tokens: &[&str], at: usize, len: usize) -> Range<usize> {
    let reach = &tokens[at.saturating_sub(NEGATION_REACH)..at];
    let from = reach.iter().position(|w| NEGATIONS.contains(w)).map_or(at, |i| at - reach.len() + i);
    let from = if from == at && at > 0 && MORE.contains(&tokens[at - 1]) { at - 1 } else { from };
    from..at + len
}

/// Whether the same leg said much the same before, in a turn of its own.
fn said_before(earlier: &[Sentence], contents: &[Vec<&str>], sentence: &Sentence) -> bool {
    let words = &contents[earlier.len()];
    let same = |(s, before): (&Sentence, &Vec<&str>)| {
        // Lengths that differ too much cannot be the same.
        let alike = words.len() * 7 <= before.len() * 10 && before.len() * 7 <= words.len() * 10;
        s.leg == sentence.leg && s.turn != sentence.turn && alike && {
            let common = words.iter().filter(|w| before.contains(w)).count();
            common * 10 >= (words.len() + before.len() - common) * 7
        }
    };
    words.len() >= 3 && earlier.iter().zip(contents).any(same)
}
