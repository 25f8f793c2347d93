//! What a sentence does in the dialogue, by rules over its words, its speaker and its neighbours.

use super::{
    cues::{self, Phrases},
    sentences::Sentence,
};
use crate::ids::Party;

/// A dialogue act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hello, names, the company's own.
    Greeting,
    /// Finding out who it is; order and customer numbers.
    Verification,
    /// "I see", "okay" on its own.
    Backchannel,
    /// "One moment please".
    HoldTalk,
    /// Something is wrong.
    Problem,
    /// Something is wanted.
    Request,
    /// Something is asked.
    Question,
    /// What comes after a question.
    Answer,
    /// Something is offered.
    Offer,
    /// Somebody will do something.
    Commitment,
    /// Something has been done.
    Done,
    /// Something cannot be had.
    Refusal,
    /// A yes to what the other side said.
    Confirmation,
    /// A no to what the other side said.
    Denial,
    /// Thanks, goodbyes, "anything else".
    Closing,
    /// Anything else.
    Statement,
}

/// A greeting opens the call within this many sentences.
const OPENING: usize = 3;
/// A sentence with fewer words of its own only identifies, confirms or denies.
const SHORT_CONTENT: usize = 6;
/// A no is short.
const DENIAL_TOKENS: usize = 8;

/// The act of every sentence.
pub fn acts(sentences: &[Sentence]) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::with_capacity(sentences.len());
    for (i, sentence) in sentences.iter().enumerate() {
        let other = (0..i).rfind(|j| sentences[*j].leg != sentence.leg).map(|j| (acts[j], &sentences[j]));
        acts.push(act(sentence, i, other));
    }
    acts
}

/// `other` is the last sentence of the other side.
fn act(s: &Sentence, place: usize, other: Option<(Act, &Sentence)>) -> Act {
    let agent = s.party == Party::Agent;
    let asked = other.is_some_and(|(a, _)| matches!(a, Act::Question | Act::Verification));
    let about = cues::PROBLEM.are_in(s) || cues::REQUEST.are_in(s);
    if cues::HOLD.are_in(s) && (agent || !about) {
        return Act::HoldTalk;
    }
    if agent && cues::AT_ONCE.are_in(s) {
        return Act::HoldTalk;
    }
    if place < OPENING && (cues::GREETING.are_in(s) || s.content().is_empty()) && (agent || !about) {
        return Act::Greeting;
    }
    let asked_for = agent && (s.asks() || s.has_any(&["please", "i need", "tell me", "give me"]));
    let told = !agent && !about && s.content().len() < SHORT_CONTENT;
    if !about && s.has("my name is") || (cues::IDENTITY.are_in(s) && (asked_for || told)) {
        return Act::Verification;
    }
    if let Some(reply) = reply(s, other) {
        return reply;
    }
    if cues::CLOSING.are_in(s) && (agent || !about) && !is_deed(s) {
        return Act::Closing;
    }
    if agent {
        return agent_act(s, asked);
    }
    if cues::PROBLEM.are_in(s) && !s.asks() {
        Act::Problem
    } else if cues::REQUEST.are_in(s) {
        Act::Request
    } else if is_question(s) {
        Act::Question
    } else if promises(s) {
        Act::Commitment
    } else if asked {
        Act::Answer
    } else if cues::PROBLEM.are_in(s) {
        Act::Problem
    } else {
        Act::Statement
    }
}

fn agent_act(s: &Sentence, asked: bool) -> Act {
    let offers = (cues::OFFER.are_in(s) || can_do(s)) && !s.has("not");
    let regret = s.has_any(&["unfortunately", "i am afraid"])
        && s.has_any(&["not", "no", "nothing", "nobody", "never", "only", "until", "sold out"]);
    if (cues::REFUSAL.are_in(s) || regret) && !s.has("if") && !promises(s) {
        Act::Refusal
    } else if is_deed(s) && !s.asks() {
        Act::Done
    } else if offers {
        Act::Offer
    } else if promises(s) {
        Act::Commitment
    } else if is_question(s) {
        Act::Question
    } else if asked {
        Act::Answer
    } else {
        Act::Statement
    }
}

/// "I can process that today": an agent can do something that is more than looking or telling.
fn can_do(s: &Sentence) -> bool {
    let word = |i: usize| s.tokens.get(i).map_or("", |t| t.text.as_str());
    let offers = |i: usize| {
        let can = matches!(word(i), "i" | "we") && matches!(word(i + 1), "can" | "could");
        let verb = word(if matches!(word(i + 2), "also" | "just" | "certainly" | "of") { i + 3 } else { i + 2 });
        can && !verb.is_empty()
            && !matches!(
                verb,
                "see"
                    | "hear"
                    | "tell"
                    | "understand"
                    | "imagine"
                    | "confirm"
                    | "assure"
                    | "only"
                    | "find"
                    | "look"
                    | "check"
                    | "help"
                    | "be"
                    | "have"
                    | "say"
            )
    };
    (0..s.tokens.len()).any(offers)
}

/// "I've sent it", "it has been changed", "that's booked".
fn is_deed(s: &Sentence) -> bool {
    if s.party != Party::Agent || is_negated(s) {
        return false;
    }
    let word = |i: usize| s.tokens.get(i).map_or("", |t| t.text.as_str());
    let has = (0..s.tokens.len()).filter(|i| matches!(word(*i), "have" | "has" | "is" | "are" | "been"));
    let between = ["just", "now", "also", "already", "been", "all", "gone", "ahead", "and"];
    let deed = |i: usize| {
        let next = (i + 1..s.tokens.len()).find(|j| !between.contains(&word(*j))).map_or("", word);
        let mine = i > 0 && matches!(word(i - 1), "i" | "we" | "that" | "it" | "has" | "have" | "been") || word(i) == "been";
        mine && cues::DEEDS.has_word(next) && word(i.wrapping_sub(1)) != "you"
    };
    cues::DONE.are_in(s) || has.into_iter().any(deed)
}

/// A short sentence that is a yes, a no, or only noise to keep the other side talking.
fn reply(s: &Sentence, other: Option<(Act, &Sentence)>) -> Option<Act> {
    let positive = is_yes(s);
    let answers =
        other.is_some_and(|(a, _)| matches!(a, Act::Offer | Act::Commitment | Act::Question | Act::Request | Act::Answer | Act::Done));
    let turns = s.tokens.iter().any(|t| t.text == "but");
    let short = s.content().len() < SHORT_CONTENT;
    let agent_goes_on = s.party == Party::Agent && (is_deed(s) || promises(s) || cues::OFFER.are_in(s));
    if positive && !turns && answers && short && !s.asks() && !agent_goes_on && !is_negated(s) && !cues::REQUEST.are_in(s) {
        return Some(Act::Confirmation);
    }
    if cues::NO.begin(s) && s.tokens.len() <= DENIAL_TOKENS && answers && !s.has_any(&["thank", "thanks"]) && !s.asks() {
        return Some(Act::Denial);
    }
    let only_noise = s.tokens.len() <= 4 && s.tokens.iter().all(|t| cues::NOISE.has_word(&t.text));
    only_noise.then_some(Act::Backchannel)
}

/// A yes, at the beginning or as the whole of it.
pub fn is_yes(s: &Sentence) -> bool {
    cues::YES.begin(s)
        || s.has_any(&["that is great", "that is fine", "sounds good", "would be fine", "would be great", "is better", "works for me"])
}

/// More than manners: something was agreed to.
pub fn is_strong_yes(s: &Sentence) -> bool {
    let strong: &Phrases = &cues::STRONG_YES;
    strong.are_in(s) && !is_negated(s) && !cues::NO.begin(s)
}

fn is_question(s: &Sentence) -> bool {
    let asks = |t: &super::sentences::Token| cues::ASKING.has_word(&t.text);
    s.asks() || (s.tokens.first().is_some_and(asks) && s.words.last().is_some_and(|w| !w.text.ends_with('.')))
}

/// Whether a sentence speaks of what may be: no promise.
pub fn is_conditional(s: &Sentence) -> bool {
    // What is only asked or weighed after the promise leaves it one: "I will call you, if that is fine".
    let courtesy = s.has_any(&["if that is", "if that suits", "if you like", "if it helps"]);
    let weighed = cues::CONDITION.are_in(&promised_clause(s));
    (weighed || s.has_any(&["if", "unless", "in case", "as long as", "depends"])) && !courtesy
}

/// "I'll send it today and it should be with you by Thursday": a sentence up to where another clause begins.
fn promised_clause(s: &Sentence) -> Sentence {
    let will = s.tokens.iter().position(|t| matches!(t.text.as_str(), "will" | "going")).unwrap_or(0);
    let ends = |t: &super::sentences::Token| matches!(t.text.as_str(), "and" | "but" | "because" | "so");
    let end = s.tokens.iter().skip(will).position(ends).map_or(s.tokens.len(), |n| will + n);
    Sentence { tokens: s.tokens[..end].to_vec(), words: Vec::new(), ..*s }
}

/// Whether a sentence says that something will not be, or cannot.
pub fn is_negated(s: &Sentence) -> bool {
    s.has_any(&[
        "will not",
        "not going to",
        "will never",
        "am not",
        "are not",
        "can not",
        "not able",
        "never",
        "is not",
        "has not",
        "have not",
        "do not",
    ])
}

/// Whether somebody says what they, or the thing, will do: neither negated nor under a condition.
pub fn promises(s: &Sentence) -> bool {
    if is_conditional(s) || s.asks() || s.has_any(&["will not", "not going to", "will never", "not able", "am not", "can not"]) {
        return false;
    }
    match s.party {
        Party::Agent => first_person(s) && !cues::AT_ONCE.are_in(s) || happens(s),
        Party::Customer => first_person(s) && customer_will(s),
    }
}

/// "I will", "we are going to", "I'll make sure".
pub fn first_person(s: &Sentence) -> bool {
    let near = |phrase: &str| {
        s.find(phrase).is_some_and(|at| !s.tokens.get(at.wrapping_sub(1)).is_some_and(|t| t.text == "what" || t.text == "how"))
    };
    ["i will", "we will", "i am going to", "we are going to", "i promise", "i shall", "we shall", "and will"].into_iter().any(near)
}

/// The thing, or a colleague, will do something by a time that is named.
fn happens(s: &Sentence) -> bool {
    let sure = [
        "will receive",
        "will call you",
        "will ring you",
        "will contact you",
        "will email you",
        "will phone you",
        "will text you",
        "will get back",
    ];
    if s.has_any(&sure) {
        return true;
    }
    let soon = [
        "day",
        "days",
        "week",
        "weeks",
        "hour",
        "hours",
        "minutes",
        "tomorrow",
        "today",
        "tonight",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "month",
        "morning",
        "afternoon",
        "evening",
    ];
    let timed = s.tokens.iter().any(|t| soon.contains(&t.text.as_str()));
    timed && s.tokens.iter().any(|t| t.text == "will") && !s.has_any(&["you will need", "you will have to", "will cost", "will that be"])
}

/// What customers promise is a deed of theirs; taking, waiting, thinking, having are answers.
fn customer_will(s: &Sentence) -> bool {
    let deeds = [
        "send", "pay", "call", "ring", "phone", "bring", "email", "post", "return", "drop", "try", "transfer", "write", "upload", "fill",
        "sign", "let", "get", "do", "make", "come", "go", "give", "put", "reset", "restart", "unplug", "report", "cancel", "switch",
        "tell", "ask",
    ];
    let word = |i: usize| s.tokens.get(i).map_or("", |t| t.text.as_str());
    let will = (0..s.tokens.len()).rfind(|i| word(*i) == "will" || (word(*i) == "to" && *i > 0 && word(*i - 1) == "going"));
    let skipped = ["just", "then", "also", "definitely", "certainly"];
    will.is_some_and(|at| {
        let verb = (at + 1..s.tokens.len()).find(|i| !skipped.contains(&word(*i))).map_or("", word);
        deeds.contains(&verb) && !s.has_any(&["i will let you go", "i will get it", "i will go for", "i will go with"])
    })
}
