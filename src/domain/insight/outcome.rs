//! How a call ended, by what the customer says of it last, what was done, and what is left with others.
//!
//! Thanks are manners: they make nothing good that was refused, and settle nothing that somebody still has to find out.

use super::{
    acts::{self, Act},
    card::{Call, Outcome},
    cues,
    sentences::Sentence,
};
use crate::ids::Party;

/// The end is the last fifth.
const LAST_SHARE: f32 = 0.2;
/// It has at least so many sentences of the customer.
const LAST_SENTENCES: usize = 3;
/// The line was lost when one of so many last sentences says it.
const LOST_WITHIN: usize = 3;

impl Call<'_> {
    /// How it ended, and the sentence that shows it.
    pub(super) fn outcome(&self) -> (Outcome, Option<usize>) {
        if let Some(lost) = self.line_lost() {
            return (Outcome::Unclear, Some(lost));
        }
        let (last_part, late) = self.late();
        let last = |is: &dyn Fn(usize) -> bool| late.iter().rev().find(|i| is(**i)).copied();
        let unhappy = last(&|i| cues::UNHAPPY.are_in(&self.sentences[i]) || (i >= last_part && self.complains(i)));
        let glad = last(&|i| self.is_glad(i));
        let thanks = last(&|i| cues::THANKS.are_in(&self.sentences[i]));
        let deferred = last(&|i| cues::DEFERRED.are_in(&self.sentences[i]) && !self.sentences[i].asks());
        let refused = self.refused();
        let after = |i: usize, than: Option<usize>| than.is_none_or(|t| i > t);
        if let Some(unhappy) = unhappy.filter(|i| after(*i, glad)) {
            return (Outcome::NotSolved, Some(unhappy));
        }
        let settled = self.settled().filter(|i| after(*i, refused));
        let pending = self.pending();
        if let Some(deferred) = deferred.filter(|i| glad.is_none_or(|g| g < *i) && after(*i, settled)) {
            return (Outcome::Unclear, Some(deferred));
        }
        let relieved = glad.filter(|i| cues::RELIEVED.are_in(&self.sentences[*i]));
        match (refused, settled, pending) {
            (Some(refused), None, None) => match glad.filter(|i| *i > refused) {
                Some(glad) => (Outcome::Solved, Some(glad)),
                None => (Outcome::NotSolved, Some(refused)),
            },
            (_, None, Some(pending)) => match relieved {
                Some(relieved) => (Outcome::Solved, Some(relieved)),
                None => (Outcome::Unclear, Some(pending)),
            },
            (_, Some(settled), _) => (Outcome::Solved, glad.or(thanks).or(Some(settled))),
            (None, None, None) => match glad.or(thanks) {
                Some(said) => (Outcome::Solved, Some(said)),
                None => (Outcome::Unclear, None),
            },
        }
    }

    /// Where the last part begins, and the customer's sentences at the end.
    fn late(&self) -> (usize, Vec<usize>) {
        let end = self.sentences.last().map_or(0, |s| s.evidence().to_ms);
        let start = self.sentences.first().map_or(0, |s| s.evidence().from_ms);
        let last_part = end - ((end - start) as f32 * LAST_SHARE) as u32;
        let customer: Vec<usize> = (0..self.sentences.len()).filter(|i| self.sentences[*i].party == Party::Customer).collect();
        let begin = self.sentences.iter().position(|s| s.evidence().to_ms >= last_part).unwrap_or(0);
        let in_time = customer.iter().filter(|i| **i >= begin).count();
        let skip = customer.len().saturating_sub(in_time.max(LAST_SENTENCES));
        (begin, customer.into_iter().skip(skip).collect())
    }

    fn line_lost(&self) -> Option<usize> {
        let from = self.sentences.len().saturating_sub(LOST_WITHIN);
        let said_goodbye = self.sentences[from..].iter().any(|s| s.party == Party::Customer && cues::GOODBYE.are_in(s));
        (from..self.sentences.len()).find(|i| !said_goodbye && cues::LINE_LOST.are_in(&self.sentences[*i]))
    }

    /// Still tells of something that is wrong.
    fn complains(&self, i: usize) -> bool {
        let s = &self.sentences[i];
        self.acts[i] == Act::Problem && !cues::HAPPY.are_in(s) && s.content().len() >= 2 && !s.asks()
    }

    /// Pleased with more than manners.
    fn is_glad(&self, i: usize) -> bool {
        let s = &self.sentences[i];
        let beyond_thanks = |s: &Sentence| {
            let mut rest = s.clone();
            rest.tokens.retain(|t| !matches!(t.text.as_str(), "thank" | "thanks" | "cheers"));
            cues::HAPPY.are_in(&rest)
        };
        cues::HAPPY.are_in(s) && beyond_thanks(s) && !acts::is_negated(s) && !cues::UNHAPPY.are_in(s)
    }

    /// The last deed of the agent, promise or accepted offer that leaves nothing to find out.
    fn settled(&self) -> Option<usize> {
        (0..self.sentences.len()).rfind(|i| {
            let s = &self.sentences[*i];
            let acts = match self.acts[*i] {
                // "I will" alone says what only with the question before it.
                Act::Commitment => s.content().len() > 1,
                Act::Done => true,
                Act::Offer => self.is_accepted(*i),
                _ => false,
            };
            acts && s.party == Party::Agent && !cues::PENDING.are_in(s)
        })
    }

    /// The last thing that the agent leaves with others.
    fn pending(&self) -> Option<usize> {
        let leaves = |i: &usize| matches!(self.acts[*i], Act::Commitment | Act::Done | Act::Offer | Act::Statement | Act::Answer);
        let agent = |i: &usize| self.sentences[*i].party == Party::Agent;
        (0..self.sentences.len()).rfind(|i| agent(i) && leaves(i) && cues::PENDING.are_in(&self.sentences[*i]))
    }

    /// The last refusal that no deed, promise or accepted offer made good.
    fn refused(&self) -> Option<usize> {
        let refused = (0..self.acts.len()).rfind(|i| self.acts[*i] == Act::Refusal && !cues::LINE_LOST.are_in(&self.sentences[*i]))?;
        self.settled().is_none_or(|good| good < refused).then_some(refused)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::insight::{
        card::{Label, Outcome},
        dialogues::{read, text},
    };

    const ASKED: [&str; 2] = ["A: How can I help you?", "C: I would like my money back for the broken kettle."];

    fn ended(rest: &[&str]) -> (Outcome, String) {
        let card = read(&[&ASKED, rest].concat());
        (card.outcome, text(&card, Label::Outcome).to_owned())
    }

    #[test]
    fn thanks_do_not_make_good_what_was_refused() {
        let refused = "A: I'm afraid that's not possible after thirty days.";
        assert_eq!(ended(&[refused, "C: I see. Okay, thank you. Bye."]).0, Outcome::NotSolved);
        assert_eq!(ended(&[refused, "C: That's a pity. Thank you anyway."]).0, Outcome::NotSolved);
        let replaced = "A: I've sent you a new one instead.";
        assert_eq!(ended(&[refused, replaced, "C: Okay, thank you. Bye."]).0, Outcome::Solved);
    }

    #[test]
    fn what_somebody_still_has_to_find_out_is_unclear_unless_the_customer_is_relieved() {
        let asks = "A: I'll ask the warehouse and call you back tomorrow.";
        assert_eq!(ended(&[asks, "C: All right. Thanks."]), (Outcome::Unclear, "I'll ask the warehouse and call you back tomorrow".into()));
        assert_eq!(ended(&[asks, "C: Oh, that's a relief. Thanks."]).0, Outcome::Solved);
        assert_eq!(ended(&["A: I've refunded it, and I'll let you know when it's through.", "C: Thanks."]).0, Outcome::Unclear);
        assert_eq!(ended(&["A: I've refunded it.", "A: I'll let you know when it's through.", "C: Thanks."]).0, Outcome::Solved);
    }

    #[test]
    fn a_customer_who_puts_it_off_leaves_it_unclear() {
        let offer = "A: I can give you half of it.";
        assert_eq!(ended(&[offer, "C: Let me think about it. Thanks, bye."]), (Outcome::Unclear, "Let me think about it".into()));
        let tries = "A: Please switch it off and on again.";
        assert_eq!(ended(&[tries, "C: I'll try that tonight and see how it goes. Thank you."]).0, Outcome::Unclear);
        assert_eq!(ended(&[tries, "C: I'll try that.", "A: And?", "C: Oh great, it works now! Thank you."]).0, Outcome::Solved);
    }

    #[test]
    fn whoever_speaks_last_decides_between_anger_and_joy() {
        let done = "A: I've refunded it.";
        assert_eq!(ended(&[done, "C: This was ridiculous.", "A: I know.", "C: But it's sorted now, brilliant. Bye."]).0, Outcome::Solved);
        assert_eq!(
            ended(&[done, "C: Brilliant.", "A: Anything else?", "C: I'm still not happy with how long it took."]).0,
            Outcome::NotSolved
        );
    }

    #[test]
    fn a_line_that_was_lost_leaves_it_unclear() {
        assert_eq!(ended(&["A: I can refund it.", "C: Yes, and", "A: Hello? Are you still there?"]).0, Outcome::Unclear);
    }
}
