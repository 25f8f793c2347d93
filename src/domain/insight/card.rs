//! The card: Reason · Details · Done · Agreed · Open · Outcome, each a fixed label and a quote with its place in the audio.
//!
//! No language model and no prose: a line that was not found is absent, and nothing is written that nobody said.

use serde::{Deserialize, Serialize};

use super::{
    acts::{self, Act},
    cues,
    promises::{self, Promise},
    sentences::{Evidence, Sentence, content_of, sentences},
    slots::{self, Known, Slot, SlotKind},
    utterance::Transcript,
};
use crate::ids::Party;

/// Names this method in the record.
pub const METHOD: &str = "card-rules";
/// Changes when the rules do.
pub const METHOD_VERSION: &str = "3";
/// Under this share of voiced time understood there is no card.
const COVERAGE_MIN: u8 = 60;
/// Longest title, characters.
pub const TITLE_MAX: usize = 80;
/// Longest line, characters: two long sentences.
pub const LINE_MAX: usize = 240;
/// The reason is said in the first 90 s of talk.
const REASON_WITHIN_MS: u32 = 90_000;
/// A second reason is shown when it scores nearly as much.
const SECOND_WITHIN: f32 = 2.5;
/// Without any cue, the reason is the first sentence with so many content words.
const REASON_CONTENT_WORDS: usize = 5;
/// What earliness is worth: the customer's first turn that tells something, the second, …
const EARLINESS: [f32; 4] = [2.2, 1.5, 0.8, 0.3];
/// What each sentence before it in the same turn takes.
const LATER_IN_TURN: f32 = 0.6;
/// More content words than these make a reason no likelier.
const LONG_ENOUGH: usize = 8;
/// Most quotes in one line.
pub(super) const QUOTES_MAX: usize = 2;
/// Most details.
const DETAILS_MAX: usize = 6;

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
    /// Subjects of the customer's open tickets, subjects and first lines of their last messages: a reason that resembles one is likelier.
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
    let slots = details_of(&sentences, context);
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

/// A call as sentences with their acts.
pub(super) struct Call<'a> {
    pub(super) sentences: &'a [Sentence],
    pub(super) acts: &'a [Act],
}

impl Call<'_> {
    fn with_act(&self, act: Act, most: usize) -> Vec<usize> {
        (0..self.acts.len()).filter(|i| self.acts[*i] == act).take(most).collect()
    }

    /// The best reason, and a second matter that is named as one; by time.
    fn reasons(&self, context: &Context<'_>, slots: &[Slot]) -> Vec<usize> {
        let start = self.sentences.first().map_or(0, |s| s.evidence().from_ms);
        let early =
            |i: &usize| self.sentences[*i].party == Party::Customer && self.sentences[*i].evidence().from_ms < start + REASON_WITHIN_MS;
        let told = |i: &usize| {
            !matches!(
                self.acts[*i],
                Act::Greeting | Act::Verification | Act::HoldTalk | Act::Closing | Act::Confirmation | Act::Backchannel
            )
        };
        let candidates: Vec<usize> = (0..self.sentences.len()).filter(early).filter(told).collect();
        let turn_of = |i: usize| self.sentences[i].turn;
        let mut turns: Vec<usize> = candidates.iter().map(|i| turn_of(*i)).collect();
        turns.dedup();
        let rank = |i: usize| turns.iter().position(|t| *t == turn_of(i)).unwrap_or(0);
        let scored = |i: &usize| Some((self.reason_score(*i, rank(*i), context, slots)?, *i));
        let mut ranked: Vec<(f32, usize)> = candidates.iter().filter_map(scored).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let Some((best, first)) = ranked.first().copied() else {
            let long = |i: &&usize| self.sentences[**i].content().len() >= REASON_CONTENT_WORDS && self.acts[**i] != Act::Answer;
            return candidates.iter().find(long).copied().into_iter().collect();
        };
        let different = |i: usize| similarity(&self.sentences[first].content(), &self.sentences[i].content()) < 0.4;
        let named = |i: usize| {
            let s = &self.sentences[i];
            let cued = matches!(self.acts[i], Act::Problem | Act::Request);
            let also = cues::ALSO.are_in(s) || (turn_of(i) == turn_of(first) && s.starts_with_any(&["and"]));
            let objects = self.acts[i] == Act::Problem && s.starts_with_any(&["yes but", "no but", "but"]);
            cued && (also || objects)
        };
        let second = ranked.iter().skip(1).find(|(score, i)| best - score <= SECOND_WITHIN && different(*i) && named(*i)).map(|(_, i)| *i);
        let mut both: Vec<usize> = [Some(first), second].into_iter().flatten().collect();
        both.sort_unstable();
        both
    }

    /// Cue, earliness (`rank` counts the customer's turns that tell something), details, and likeness to what is open; `None` for
    /// sentences that give no reason.
    fn reason_score(&self, i: usize, rank: usize, context: &Context<'_>, slots: &[Slot]) -> Option<f32> {
        let sentence = &self.sentences[i];
        let content = sentence.content();
        let cue = match self.acts[i] {
            Act::Problem if !content.is_empty() => 3.4,
            Act::Request if sentence.has_any(&["about"]) && content.len() >= 2 => 2.2,
            Act::Request | Act::Commitment if content.len() >= 2 => 3.2,
            Act::Question if content.len() >= 3 => 2.0,
            Act::Statement if content.len() >= 3 => 1.2,
            _ => return None,
        };
        let place = sentence.evidence();
        let earliness = EARLINESS.get(rank).copied().unwrap_or(0.0);
        let details =
            slots.iter().filter(|s| s.evidence.leg == place.leg && (place.from_ms..=place.to_ms).contains(&s.evidence.from_ms)).count();
        let like = context.subjects.iter().map(|s| similarity(&content, &content_of(s).iter().map(String::as_str).collect::<Vec<_>>()));
        let length = (content.len().min(LONG_ENOUGH) as f32) * 0.1;
        let before = (0..i).filter(|j| self.sentences[*j].turn == sentence.turn && self.acts[*j] != Act::Greeting).count();
        let later = before.min(2) as f32 * LATER_IN_TURN;
        Some(cue + earliness - later + length + details.min(2) as f32 * 0.3 + like.fold(0.0, f32::max) * 2.0)
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
}

fn line<'a>(label: Label, of: impl Iterator<Item = &'a Sentence>) -> Option<Line> {
    let (quotes, evidence): (Vec<String>, Vec<Evidence>) = of.map(|s| (s.quote(), s.evidence())).unzip();
    (!quotes.is_empty()).then(|| Line { label, text: clip(&quotes.join(" … "), LINE_MAX), evidence })
}

/// All details of a call, each once.
pub(super) fn details_of(sentences: &[Sentence], context: &Context<'_>) -> Vec<Slot> {
    let asked = |i: usize| sentences[..i].iter().rfind(|s| s.leg != sentences[i].leg);
    distinct(sentences.iter().enumerate().flat_map(|(i, s)| slots::slots(s, asked(i), &context.known)).collect())
}

/// The line of details.
pub(super) fn details(slots: &[Slot]) -> Option<Line> {
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
pub(super) fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most - 1).collect();
    let cut = head.rfind(' ').unwrap_or(head.len());
    format!("{}…", head[..cut].trim_end_matches([',', ';', ' ']))
}
