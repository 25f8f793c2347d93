//! Promises: first person and a verb of commitment, neither negated nor conditional, with a due date where one was said.

use serde::{Deserialize, Serialize};
use time::{Date, Duration};

use super::{
    acts::{self, Act, first_person},
    dates::{self, Toward},
    sentences::{Evidence, Sentence},
};
use crate::ids::Party;

/// A due date may be said this many sentences of the same side after the promise.
const DATE_WITHIN: usize = 4;

/// A day that was only named is meant for a promise when it is as near as this.
const NEAR: Duration = Duration::days(120);
/// A sentence that only names a day is this short, tokens.
const SHORT: usize = 5;

/// Something that one side will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// As it was said.
    pub text: String,
    /// Who has to keep it.
    pub by: Party,
    /// The last day on which it is kept, where the company is.
    #[serde(with = "dates::iso")]
    pub due: Option<Date>,
    /// Where it was said, and where its date was.
    pub evidence: Vec<Evidence>,
}

/// All promises, in order. "The refund will take three days" gives "I will refund $45" its date rather than standing alone.
pub fn promises(sentences: &[Sentence], acts: &[Act], call: Date) -> Vec<Promise> {
    let mut found: Vec<(usize, Promise)> = Vec::new();
    for (i, (sentence, act)) in sentences.iter().zip(acts).enumerate() {
        let also = *act == Act::Done && acts::promises(sentence);
        if !(also || *act == Act::Commitment) || sentence.content().is_empty() {
            continue;
        }
        let due = due(sentence, call).or_else(|| just_named(sentences, i, call)).or_else(|| named_after(sentences, acts, i, call));
        let earlier = found.iter_mut().rev().find(|(j, p)| belongs(sentences, *j, i) && (p.due.is_none() || due.is_none()));
        match earlier {
            Some((_, promise)) if !first_person(sentence) => {
                promise.due = promise.due.or(due);
                promise.evidence.push(sentence.evidence());
            }
            _ => found.push((i, Promise { text: sentence.quote(), by: sentence.party, due, evidence: vec![sentence.evidence()] })),
        }
    }
    found.into_iter().map(|(_, promise)| promise).collect()
}

/// The last day of what a sentence promises, where it names one.
pub fn due(sentence: &Sentence, call: Date) -> Option<Date> {
    let mut days = Vec::new();
    let mut at = 0;
    while let Some(found) = dates::find(&sentence.tokens, at, call, Toward::Future) {
        at = found.to;
        days.push(found.day);
    }
    // "Today, and you will have it by Thursday": each clause has its own; the first is the promise's.
    days.into_iter().find(|day| *day >= call)
}

/// "Monday works. I'll book that": the day in the sentence before, of the same turn.
fn just_named(sentences: &[Sentence], i: usize, call: Date) -> Option<Date> {
    let before = sentences.get(i.checked_sub(1)?)?;
    let same_turn = before.leg == sentences[i].leg && before.turn == sentences[i].turn && before.tokens.len() <= SHORT;
    let day = dates::find(&before.tokens, 0, call, Toward::Future).filter(|_| same_turn)?.day;
    (day - call <= NEAR && day >= call).then_some(day)
}

/// "I'll send you a new one. It should arrive within a week": the day in the sentence after, of the same turn.
fn named_after(sentences: &[Sentence], acts: &[Act], i: usize, call: Date) -> Option<Date> {
    let after = sentences.get(i + 1)?;
    let same_turn = after.leg == sentences[i].leg && after.turn == sentences[i].turn && acts[i + 1] != Act::Commitment;
    let tells = after.has_any(&["should", "takes", "take", "arrive", "arrives", "with you", "get there", "will be"]);
    dates::find(&after.tokens, 0, call, Toward::Future).map(|f| f.day).filter(|day| same_turn && tells && *day >= call)
}

/// Whether sentence `later` speaks of the promise in `earlier`: same side, soon after, a word in common.
fn belongs(sentences: &[Sentence], earlier: usize, later: usize) -> bool {
    let between = sentences[earlier + 1..=later].iter().filter(|s| s.leg == sentences[earlier].leg).count();
    let (before, after) = (sentences[earlier].content(), sentences[later].content());
    let common = after.iter().any(|w| before.contains(w)) || sentences[later].starts_with_any(&["it will", "that will", "this will"]);
    sentences[earlier].leg == sentences[later].leg && between <= DATE_WITHIN && common
}
