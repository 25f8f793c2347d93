//! Promises: first person and a verb of commitment, neither negated nor conditional, with a due date where one was said.

use serde::{Deserialize, Serialize};
use time::Date;

use super::{
    acts::Act,
    dates::{self, Toward},
    sentences::{Evidence, Sentence},
};
use crate::ids::Party;

/// A due date may be said this many sentences of the same side after the promise.
const DATE_WITHIN: usize = 4;

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
        if *act != Act::Commitment {
            continue;
        }
        let due = dates::find(&sentence.tokens, 0, call, Toward::Future).map(|f| f.day).filter(|d| *d >= call);
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

fn first_person(sentence: &Sentence) -> bool {
    sentence.has_any(&["i will", "we will", "i am going to", "we are going to", "i promise"])
}

/// Whether sentence `later` speaks of the promise in `earlier`: same side, soon after, a word in common.
fn belongs(sentences: &[Sentence], earlier: usize, later: usize) -> bool {
    let between = sentences[earlier + 1..=later].iter().filter(|s| s.leg == sentences[earlier].leg).count();
    let (before, after) = (sentences[earlier].content(), sentences[later].content());
    let common = after.iter().any(|w| before.contains(w)) || sentences[later].starts_with_any(&["it will", "that will", "this will"]);
    sentences[earlier].leg == sentences[later].leg && between <= DATE_WITHIN && common
}
