//! The card: Reason · Details · Done · Agreed · Open · Outcome, each a fixed label and a quote with its place in the audio.
//!
//! No language model and no prose: a line that was not found is absent, and nothing is written that nobody said.

use serde::{Deserialize, Serialize};

use super::{
    acts::{self, Act, PROBLEM, YES},
    promises::{self, Promise},
    sentences::{Evidence, Sentence, sentences},
    slots::{self, Known, Slot, SlotKind},
    utterance::Transcript,
};
use crate::ids::Party;

/// Names this method in the record.
pub const METHOD: &str = "card-rules";
/// Changes when the rules do.
pub const METHOD_VERSION: &str = "1";
/// Under this share of voiced time understood there is no card.
const COVERAGE_MIN: u8 = 60;
/// Longest title, characters.
const TITLE_MAX: usize = 80;
/// Longest line, characters: two long sentences.
const LINE_MAX: usize = 240;
/// The reason is said in the first 90 s of talk.
const REASON_WITHIN_MS: u32 = 90_000;
/// A second reason is shown when it scores nearly as much.
const SECOND_WITHIN: f32 = 1.6;
/// Without any cue, the reason is the first sentence with so many content words.
const REASON_CONTENT_WORDS: usize = 5;
/// Most quotes in one line.
const QUOTES_MAX: usize = 2;
/// Most details.
const DETAILS_MAX: usize = 6;
/// The outcome is read from the last fifth.
const LAST_SHARE: f32 = 0.2;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Why they called.
    Reason,
    /// Numbers, dates, references.
    Details,
    /// What was done in the call.
    Done,
    /// What both sides agreed.
    Agreed,
    /// What is left.
    Open,
    /// How it ended.
    Outcome,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The customer has what they wanted, or a promise that they took.
    Solved,
    /// They have not.
    NotSolved,
    /// It cannot be told.
    Unclear,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its label.
    pub label: Label,
    /// Quotes, cleaned of fillers; two are parted by " … ".
    pub text: String,
    /// One per quote, never empty.
    pub evidence: Vec<Evidence>,
}

/// What is shown of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// ≤ 80 characters; empty when nobody said why they called.
    pub title: String,
    /// How it ended.
    pub outcome: Outcome,
    /// At most one per label, in the order of [`Label`].
    pub lines: Vec<Line>,
    /// What was promised, by either side.
    pub promises: Vec<Promise>,
    /// Details as values.
    pub slots: Vec<Slot>,
}

/// There is no card: too little was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{percent} % understood")]
pub struct TooLittle {
    /// Voiced time with words, percent of both legs together.
    pub percent: u8,
}

/// What is known besides the words.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Day of the call, numbers on the record, products.
    pub known: Known<'a>,
    /// Subjects of the customer's open tickets and last messages: a reason that resembles one is likelier.
    pub subjects: &'a [String],
}

/// Reads the card out of a transcript.
pub fn card(transcript: &Transcript, context: &Context<'_>) -> Result<Card, TooLittle> {
    let percent = understood(transcript);
    if percent < COVERAGE_MIN {
        return Err(TooLittle { percent });
    }
    let sentences = sentences(transcript);
    let acts = acts::acts(&sentences);
    let promises = promises::promises(&sentences, &acts, context.known.call);
    let slots = distinct(sentences.iter().flat_map(|s| slots::slots(s, &context.known)).collect());
    let call = Call { sentences: &sentences, acts: &acts };
    let reasons = call.reasons(context, &slots);
    let (outcome, decided_by) = call.outcome();
    let agreed = call.agreed();
    let quotes = |label, of: &[usize]| line(label, of.iter().map(|i| &sentences[*i]));
    let done = call.with_act(Act::Done, QUOTES_MAX);
    let lines = [
        quotes(Label::Reason, &reasons),
        details(&slots),
        quotes(Label::Done, &done),
        quotes(Label::Agreed, &agreed),
        quotes(Label::Open, &call.open(&agreed)),
        decided_by.and_then(|i| quotes(Label::Outcome, &[i])),
    ];
    let title = reasons.first().map(|i| clip(&sentences[*i].quote(), TITLE_MAX)).unwrap_or_default();
    Ok(Card { title, outcome, lines: lines.into_iter().flatten().collect(), promises, slots })
}

/// Share of voiced time with words, over all legs.
pub fn understood(transcript: &Transcript) -> u8 {
    let sum = |part: fn(&super::utterance::LegCoverage) -> u64| transcript.coverage.iter().map(part).sum::<u64>();
    let percent = (sum(|c| c.transcribed) * 100).checked_div(sum(|c| c.voiced)).unwrap_or(100);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

struct Call<'a> {
    sentences: &'a [Sentence],
    acts: &'a [Act],
}

impl Call<'_> {
    fn with_act(&self, act: Act, most: usize) -> Vec<usize> {
        (0..self.acts.len()).filter(|i| self.acts[*i] == act).take(most).collect()
    }

    /// The best reason, and a second one that is nearly as good and about something else; by time.
    fn reasons(&self, context: &Context<'_>, slots: &[Slot]) -> Vec<usize> {
        let start = self.sentences.first().map_or(0, |s| s.evidence().from_ms);
        let early =
            |i: &usize| self.sentences[*i].party == Party::Customer && self.sentences[*i].evidence().from_ms < start + REASON_WITHIN_MS;
        let mut ranked: Vec<(f32, usize)> =
            (0..self.sentences.len()).filter(early).filter_map(|i| Some((self.reason_score(i, start, context, slots)?, i))).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let Some((best, first)) = ranked.first().copied() else {
            let told = |i: &usize| {
                !matches!(self.acts[*i], Act::Greeting | Act::Verification | Act::HoldTalk | Act::Closing | Act::Answer | Act::Confirmation)
            };
            let long = |i: &usize| self.sentences[*i].content().len() >= REASON_CONTENT_WORDS;
            return (0..self.sentences.len()).filter(early).filter(told).find(long).into_iter().collect();
        };
        let different = |i: usize| similarity(&self.sentences[first].content(), &self.sentences[i].content()) < 0.4;
        let second = ranked.iter().skip(1).find(|(score, i)| best - score <= SECOND_WITHIN && different(*i)).map(|(_, i)| *i);
        let mut both: Vec<usize> = [Some(first), second].into_iter().flatten().collect();
        both.sort_unstable();
        both
    }

    /// Cue, earliness, details, and likeness to what is open; `None` for sentences that give no reason.
    fn reason_score(&self, i: usize, start: u32, context: &Context<'_>, slots: &[Slot]) -> Option<f32> {
        let sentence = &self.sentences[i];
        let cue = match self.acts[i] {
            Act::Problem if sentence.content().len() >= 2 => 3.0,
            Act::Request if sentence.content().len() >= 2 => 2.5,
            Act::Question if sentence.content().len() >= 3 => 1.2,
            _ => return None,
        };
        let place = sentence.evidence();
        let earliness = 1.0 - (place.from_ms - start) as f32 / REASON_WITHIN_MS as f32;
        let details =
            slots.iter().filter(|s| s.evidence.leg == place.leg && (place.from_ms..=place.to_ms).contains(&s.evidence.from_ms)).count();
        let like =
            context.subjects.iter().map(|s| similarity(&sentence.content(), &s.to_lowercase().split_whitespace().collect::<Vec<_>>()));
        Some(cue + earliness + details as f32 * 0.5 + like.fold(0.0, f32::max) * 2.0)
    }

    /// Offers and commitments that the other side said yes to before anything else came up.
    fn agreed(&self) -> Vec<usize> {
        let offered = |i: &usize| matches!(self.acts[*i], Act::Offer | Act::Commitment | Act::Request);
        let accepted = |i: &usize| {
            let mine = self.sentences[*i].leg;
            let after = (*i + 1..self.sentences.len()).filter(|j| !matches!(self.acts[*j], Act::Backchannel | Act::HoldTalk));
            let settled = |j: &usize| match self.acts[*j] {
                Act::Confirmation => self.sentences[*j].leg != mine,
                Act::Closing => self.sentences[*j].leg != mine && self.sentences[*j].has_any(&YES),
                _ => false,
            };
            let goes_on = |j: &usize| {
                matches!(self.acts[*j], Act::Commitment | Act::Question | Act::Answer | Act::Offer | Act::Done | Act::Statement)
            };
            after.take(5).take_while(|j| settled(j) || goes_on(j)).any(|j| settled(&j))
        };
        let all: Vec<usize> = (0..self.sentences.len()).filter(offered).filter(accepted).collect();
        let skip = all.len().saturating_sub(QUOTES_MAX);
        all.into_iter().skip(skip).collect()
    }

    /// Promises that nobody answered, refusals, and a customer's last question without an answer.
    fn open(&self, agreed: &[usize]) -> Vec<usize> {
        let unanswered = |i: usize| {
            let next = (i + 1..self.sentences.len()).find(|j| self.sentences[*j].leg != self.sentences[i].leg);
            next.is_none_or(|j| matches!(self.acts[j], Act::Closing | Act::Backchannel))
        };
        let left = |i: &usize| match self.acts[*i] {
            Act::Commitment => true,
            Act::Refusal => true,
            Act::Question | Act::Request => self.sentences[*i].party == Party::Customer && unanswered(*i),
            _ => false,
        };
        let all: Vec<usize> = (0..self.sentences.len()).filter(left).filter(|i| !agreed.contains(i)).collect();
        let skip = all.len().saturating_sub(QUOTES_MAX);
        all.into_iter().skip(skip).collect()
    }

    /// From the last fifth, the last word on it wins.
    fn outcome(&self) -> (Outcome, Option<usize>) {
        let end = self.sentences.last().map_or(0, |s| s.evidence().to_ms);
        let start = self.sentences.first().map_or(0, |s| s.evidence().from_ms);
        let last_part = end - ((end - start) as f32 * LAST_SHARE) as u32;
        let late = (0..self.sentences.len()).filter(|i| self.sentences[*i].evidence().to_ms >= last_part);
        let mut verdict = (Outcome::Unclear, None);
        for i in late {
            if let Some(outcome) = self.verdict(i)
                && (verdict.0 != Outcome::Solved || outcome != Outcome::Solved)
            {
                verdict = (outcome, Some(i));
            }
        }
        verdict
    }

    fn verdict(&self, i: usize) -> Option<Outcome> {
        let s = &self.sentences[i];
        let customer = s.party == Party::Customer;
        let not = s.tokens.iter().any(|t| t.text == "not");
        if customer && (s.has_any(&UNHAPPY) || (self.acts[i] == Act::Problem && !s.has_any(&HAPPY))) {
            Some(Outcome::NotSolved)
        } else if customer && !not && s.has_any(&HAPPY) {
            Some(Outcome::Solved)
        } else if customer && s.starts_with_any(&["no"]) && i > 0 && self.sentences[i - 1].has("anything else") {
            self.refused_before(i).is_none().then_some(Outcome::Solved)
        } else if !customer && self.acts[i] == Act::Refusal {
            Some(Outcome::NotSolved)
        } else {
            None
        }
    }

    /// A refusal that no commitment, offer or deed made good.
    fn refused_before(&self, i: usize) -> Option<usize> {
        let refused = (0..i).rfind(|j| self.acts[*j] == Act::Refusal)?;
        let good = (refused..i).any(|j| matches!(self.acts[j], Act::Commitment | Act::Done | Act::Confirmation));
        (!good).then_some(refused)
    }
}

const HAPPY: [&str; 16] = [
    "that is great",
    "that is perfect",
    "perfect",
    "wonderful",
    "excellent",
    "it works",
    "works now",
    "working now",
    "that helps",
    "that helped",
    "solved",
    "for your help",
    "sounds good",
    "that is good",
    "brilliant",
    "that would be great",
];
const UNHAPPY: [&str; 18] = [
    "not help",
    "does not help",
    "not good enough",
    "not acceptable",
    "unacceptable",
    "still not",
    "speak to a manager",
    "speak to your manager",
    "your supervisor",
    "i will cancel",
    "cancel my contract",
    "a lawyer",
    "call again",
    "call back later",
    "no use",
    "waste of time",
    "never again",
    "not solved",
];

fn line<'a>(label: Label, of: impl Iterator<Item = &'a Sentence>) -> Option<Line> {
    let (quotes, evidence): (Vec<String>, Vec<Evidence>) = of.map(|s| (s.quote(), s.evidence())).unzip();
    (!quotes.is_empty()).then(|| Line { label, text: clip(&quotes.join(" … "), LINE_MAX), evidence })
}

fn details(slots: &[Slot]) -> Option<Line> {
    let shown: Vec<&Slot> = slots.iter().take(DETAILS_MAX).collect();
    let text = shown.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" · ");
    (!shown.is_empty()).then(|| Line {
        label: Label::Details,
        text: clip(&text, LINE_MAX),
        evidence: shown.iter().map(|s| s.evidence).collect(),
    })
}

/// Each value once, references first, then amounts, dates, products.
fn distinct(mut slots: Vec<Slot>) -> Vec<Slot> {
    let order = |kind: SlotKind| match kind {
        SlotKind::Reference => 0,
        SlotKind::Amount => 1,
        SlotKind::Date => 2,
        SlotKind::Product => 3,
    };
    slots.sort_by_key(|s| order(s.kind));
    let mut seen = Vec::new();
    slots.retain(|s| {
        let new = !seen.contains(&(s.kind, s.value.clone()));
        seen.push((s.kind, s.value.clone()));
        new
    });
    slots
}

/// Words in common over all words.
fn similarity(a: &[&str], b: &[&str]) -> f32 {
    let common = a.iter().filter(|w| b.contains(w)).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f32 / all as f32 }
}

/// At most `most` characters, cut between words.
fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most - 1).collect();
    let cut = head.rfind(' ').unwrap_or(head.len());
    format!("{}…", head[..cut].trim_end_matches([',', ';', ' ']))
}

/// Whether a sentence tells of something wrong; sentiment and outcome share the cues.
pub fn tells_a_problem(sentence: &Sentence) -> bool {
    sentence.has_any(&PROBLEM)
}
