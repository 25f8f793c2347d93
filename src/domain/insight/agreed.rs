//! What both sides agreed: something that one side put before the other, and the other's yes.

use super::{
    acts::{self, Act},
    card::{Call, QUOTES_MAX},
    cues,
    sentences::Sentence,
};
use crate::ids::Party;

/// Sentences of a turn in which a yes or a no is looked for.
const REPLY_SENTENCES: usize = 2;
/// Turns of the other side that an offer waits for its yes: one that only asks back does not decide.
const REPLY_TURNS: usize = 2;
/// Sentences after a commitment in which it is welcomed.
const WELCOME_WITHIN: usize = 4;

impl Call<'_> {
    /// Offers, and what was put as a question, that the other side says yes to; where there are none, what somebody said they
    /// would do and the other side took.
    pub(super) fn agreed(&self) -> Vec<usize> {
        let all = |acts: &[Act]| (0..self.sentences.len()).filter(|i| acts.contains(&self.acts[*i])).collect::<Vec<usize>>();
        let proposes = |i: &usize| self.acts[*i] == Act::Offer || proposes_a_time(&self.sentences[*i]);
        let offers: Vec<usize> = all(&[Act::Offer, Act::Question]).into_iter().filter(proposes).filter(|i| self.is_accepted(*i)).collect();
        let taken: Vec<usize> = all(&[Act::Commitment]).into_iter().filter(|i| self.is_taken(*i)).collect();
        let mut both = if offers.is_empty() { taken } else { offers };
        both.dedup_by_key(|i| self.sentences[*i].turn);
        let skip = both.len().saturating_sub(QUOTES_MAX);
        both.into_iter().skip(skip).collect()
    }

    /// Whether the other side takes an offer: in its next turn, or after a question of its own was answered.
    pub(super) fn is_accepted(&self, i: usize) -> bool {
        let mine = &self.sentences[i];
        if about_the_call(mine) {
            return false;
        }
        let turns = self.turns_of_the_other_side(i);
        for turn in turns.into_iter().take(REPLY_TURNS) {
            let reply: Vec<usize> =
                (i + 1..self.sentences.len()).filter(|j| self.sentences[*j].turn == turn).take(REPLY_SENTENCES).collect();
            if let Some(verdict) = reply.iter().find_map(|j| self.verdict(mine, *j)) {
                return verdict && !reply.iter().any(|j| cues::DEFERRED.are_in(&self.sentences[*j]));
            }
            if !reply.iter().any(|j| self.acts[*j] == Act::Question || self.sentences[*j].asks()) {
                return false;
            }
        }
        false
    }

    fn turns_of_the_other_side(&self, i: usize) -> Vec<usize> {
        let others = (i + 1..self.sentences.len()).filter(|j| self.sentences[*j].leg != self.sentences[i].leg);
        let mut turns: Vec<usize> = others.map(|j| self.sentences[j].turn).collect();
        turns.dedup();
        turns
    }

    /// A yes or a no to an offer; `None` decides nothing.
    fn verdict(&self, offer: &Sentence, j: usize) -> Option<bool> {
        let s = &self.sentences[j];
        match self.acts[j] {
            Act::Denial | Act::Problem => Some(false),
            _ if cues::NO.begin(s) => Some(false),
            Act::Question | Act::Offer => None,
            _ if acts::is_strong_yes(s) => Some(true),
            _ => (offer.asks() && cues::YES.begin(s) && !acts::is_negated(s)).then_some(true),
        }
    }

    /// Whether the customer takes what the agent said they would do; to be pleased about it is not to agree.
    fn is_taken(&self, i: usize) -> bool {
        let agent = |j: usize| self.sentences[j].party == Party::Agent;
        if !agent(i) {
            return false;
        }
        let takes = |j: &usize| {
            !agent(*j) && !self.sentences[*j].asks() && cues::ASSENT.are_in(&self.sentences[*j]) && acts::is_strong_yes(&self.sentences[*j])
        };
        let goes_on = |j: &usize| match self.acts[*j] {
            Act::Commitment | Act::Answer | Act::Offer | Act::Done | Act::Statement => agent(*j),
            Act::Question => true,
            _ => false,
        };
        let after = (i + 1..self.sentences.len()).filter(|j| self.acts[*j] != Act::HoldTalk).take(WELCOME_WITHIN);
        after.take_while(|j| takes(j) || goes_on(j)).any(|j| takes(&j))
    }
}

/// "Could you come by tomorrow morning?": what is asked of somebody for a time to come.
fn proposes_a_time(s: &Sentence) -> bool {
    let asks_for = s.starts_with_any(&["could you", "can you", "would", "is", "does", "are you", "will you", "can we", "could we"]);
    let times = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "tomorrow",
        "tonight",
        "morning",
        "afternoon",
        "evening",
        "noon",
        "week",
    ];
    let past = ["since", "yesterday", "last", "was", "were", "did", "been"];
    let has = |words: &[&str]| s.tokens.iter().any(|t| words.contains(&t.text.as_str()));
    s.party == Party::Agent && s.asks() && asks_for && has(&times) && !has(&past)
}

/// "Shall I check that for you?"
fn about_the_call(s: &Sentence) -> bool {
    let verbs = ["i", "we", "you like", "you want"].into_iter().filter_map(|who| Some(s.find(who)? + who.split(' ').count()));
    let asks_to = |at: usize| {
        let mut rest = s.clone();
        rest.tokens.drain(..at.min(s.tokens.len()));
        let modal = |word: &str| matches!(word, "can" | "could" | "to" | "me" | "just" | "would" | "like" | "suggest");
        while rest.tokens.first().is_some_and(|t| modal(&t.text)) {
            rest.tokens.remove(0);
        }
        cues::PROCEDURE.begin(&rest)
    };
    verbs.into_iter().any(asks_to)
}

#[cfg(test)]
mod tests {
    use crate::domain::insight::{
        card::Label,
        dialogues::{read, text},
    };

    fn agreed(lines: &[&str]) -> String {
        let opening = ["A: How can I help you?", "C: My kettle leaks."];
        text(&read(&[&opening, lines].concat()), Label::Agreed).to_owned()
    }

    #[test]
    fn an_offer_waits_for_its_yes_while_the_customer_asks_back() {
        let asked = ["A: I can replace it for $12.", "C: When would it come?", "A: In three days.", "C: Yes, let's do that."];
        assert_eq!(agreed(&asked), "I can replace it for $12");
        let weighed = ["A: I can replace it for $12.", "C: When would it come?", "A: In three days.", "C: Okay, let me think about it."];
        assert_eq!(agreed(&weighed), "");
    }

    #[test]
    fn an_okay_takes_what_was_put_as_a_question() {
        assert_eq!(agreed(&["A: Shall I send you a new one?", "C: Okay."]), "Shall I send you a new one?");
        assert_eq!(agreed(&["A: Could you be at home on Friday morning?", "C: Yes, I can."]), "Could you be at home on Friday morning?");
        assert_eq!(agreed(&["A: Were you at home last Friday?", "C: Yes, I was."]), "", "a question is no proposal");
    }

    #[test]
    fn help_with_the_call_itself_is_nothing_agreed() {
        for offer in ["Shall I check that for you?", "Would you like to hold?", "Can I take your number?", "I can put you through to them."]
        {
            assert_eq!(agreed(&[&format!("A: {offer}"), "C: Yes, please do."]), "", "{offer}");
        }
    }

    #[test]
    fn to_be_pleased_about_a_promise_is_not_to_agree() {
        assert_eq!(agreed(&["A: We will send you a new one.", "C: Great, thank you."]), "");
        assert_eq!(agreed(&["A: We will send you a new one.", "C: Yes, that's fine."]), "We will send you a new one");
    }
}
