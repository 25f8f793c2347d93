//! What a sentence does in the dialogue, by rules over its words, its speaker and its neighbours.

use super::sentences::Sentence;
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

const HOLD: [&str; 14] = [
    "wait a moment",
    "one moment",
    "just a moment",
    "hold on",
    "bear with me",
    "let me check",
    "let me see",
    "let me look",
    "please hold",
    "for holding",
    "for waiting",
    "a second please",
    "hold the line",
    "still there",
];
const GREETING: [&str; 9] = [
    "my name is",
    "how can i help",
    "how may i help",
    "thank you for calling",
    "thanks for calling",
    "good morning",
    "good afternoon",
    "good evening",
    "speaking with",
];
const CLOSING: [&str; 15] = [
    "goodbye",
    "bye",
    "have a nice",
    "have a good",
    "have a great",
    "anything else",
    "thank you for calling",
    "thanks for calling",
    "thank you for your help",
    "thanks for your help",
    "thank you very much",
    "thanks a lot",
    "talk to you soon",
    "take care",
    "thank you so much",
];
const IDENTITY: [&str; 14] = [
    "order number",
    "customer number",
    "account number",
    "contract number",
    "invoice number",
    "reference number",
    "full name",
    "your name",
    "last name",
    "date of birth",
    "postcode",
    "zip code",
    "your address",
    "spell",
];
/// Something is wrong, in the customer's words.
pub const PROBLEM: [&str; 48] = [
    "problem",
    "issue",
    "wrong",
    "broken",
    "damaged",
    "defective",
    "missing",
    "not work",
    "not working",
    "stopped working",
    "does not",
    "did not",
    "not arrived",
    "never arrived",
    "not received",
    "never received",
    "not come",
    "nobody",
    "no one",
    "charged twice",
    "charged me",
    "overcharged",
    "double",
    "error",
    "complaint",
    "complain",
    "unacceptable",
    "still waiting",
    "still not",
    "too late",
    "too long",
    "not answered",
    "can not",
    "could not",
    "unable",
    "lost",
    "late",
    "faulty",
    "fault",
    "failed",
    "crashed",
    "locked out",
    "no internet",
    "cut off",
    "not what i ordered",
    "not happy",
    "was promised",
    "disappointed",
];
const REQUEST: [&str; 22] = [
    "i want",
    "i would like",
    "i need",
    "can you",
    "could you",
    "would you",
    "can i get",
    "can i have",
    "could i",
    "may i",
    "i am calling to",
    "i am calling about",
    "i am calling because",
    "i call about",
    "is it possible",
    "would it be possible",
    "i wish to",
    "please send",
    "please cancel",
    "please change",
    "i have a question",
    "i was hoping",
];
const OFFER: [&str; 16] = [
    "i can offer",
    "we can offer",
    "i could offer",
    "would you like",
    "do you want me",
    "shall i",
    "should i",
    "i can send",
    "we can send",
    "i can give",
    "we can give",
    "i can refund",
    "i can book",
    "we can book",
    "how about",
    "can i offer",
];
const REFUSAL: [&str; 13] = [
    "unfortunately",
    "i am afraid",
    "not possible",
    "can not",
    "not able to",
    "unable to",
    "not allowed",
    "no longer possible",
    "not refundable",
    "not entitled",
    "not covered",
    "we do not",
    "out of stock",
];
const DONE: [&str; 30] = [
    "i have sent",
    "i have cancelled",
    "i have canceled",
    "i have changed",
    "i have refunded",
    "i have updated",
    "i have booked",
    "i have corrected",
    "i have removed",
    "i have added",
    "i have ordered",
    "i have reset",
    "i have forwarded",
    "i have credited",
    "i have extended",
    "i have just",
    "i just sent",
    "i have now",
    "i have opened",
    "i have noted",
    "has been sent",
    "has been cancelled",
    "has been refunded",
    "has been changed",
    "has been updated",
    "has been corrected",
    "has been booked",
    "is now cancelled",
    "is done",
    "i sent you",
];
/// A yes.
pub const YES: [&str; 17] = [
    "yes",
    "yeah",
    "yep",
    "okay",
    "ok",
    "sure",
    "great",
    "perfect",
    "that is great",
    "that is fine",
    "that is good",
    "sounds good",
    "fine",
    "please do",
    "that would be",
    "wonderful",
    "excellent",
];
const NO: [&str; 6] = ["no", "nope", "not really", "that is not", "i do not want", "i do not think"];
const WH: [&str; 26] = [
    "what", "when", "where", "why", "who", "which", "how", "is", "are", "do", "does", "did", "can", "could", "will", "would", "have",
    "has", "was", "were", "am", "should", "shall", "may", "whose", "whom",
];
const VERBS: [&str; 4] = ["i will", "we will", "i am going to", "we are going to"];
/// A greeting opens the call within this many sentences.
const OPENING: usize = 3;

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
    if s.has_any(&HOLD) {
        return Act::HoldTalk;
    }
    if place < OPENING && (s.has_any(&GREETING) || s.content().is_empty()) && !s.has_any(&PROBLEM) && !s.has_any(&REQUEST) {
        return Act::Greeting;
    }
    let asked_for = agent && (s.asks() || s.has_any(&["please", "i need", "tell me", "give me"]));
    let told = !agent && !s.has_any(&PROBLEM) && !s.has_any(&REQUEST);
    if s.has("my name is") || (s.has_any(&IDENTITY) && (asked_for || told)) {
        return Act::Verification;
    }
    if let Some(reply) = reply(s, other) {
        return reply;
    }
    if s.has_any(&CLOSING) {
        return Act::Closing;
    }
    if agent {
        return agent_act(s, asked);
    }
    if s.has_any(&PROBLEM) && !s.asks() {
        Act::Problem
    } else if s.has_any(&REQUEST) {
        Act::Request
    } else if is_question(s) {
        Act::Question
    } else if promises(s) {
        Act::Commitment
    } else if asked {
        Act::Answer
    } else if s.has_any(&PROBLEM) {
        Act::Problem
    } else {
        Act::Statement
    }
}

fn agent_act(s: &Sentence, asked: bool) -> Act {
    if s.has_any(&REFUSAL) {
        Act::Refusal
    } else if s.has_any(&OFFER) {
        Act::Offer
    } else if s.has_any(&DONE) && !s.asks() {
        Act::Done
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

/// A short sentence that is a yes, a no, or only noise to keep the other side talking.
fn reply(s: &Sentence, other: Option<(Act, &Sentence)>) -> Option<Act> {
    let positive = s.starts_with_any(&YES) || s.has_any(&["that is great", "that is fine", "sounds good"]);
    let answers = other.is_some_and(|(a, _)| matches!(a, Act::Offer | Act::Commitment | Act::Question | Act::Request | Act::Answer));
    let turns = s.tokens.iter().any(|t| t.text == "but");
    if positive && !turns && answers && !s.asks() && !s.has_any(&PROBLEM) {
        return Some(Act::Confirmation);
    }
    if s.starts_with_any(&NO) && s.tokens.len() <= 8 && answers && !s.has("thank") && !s.asks() {
        return Some(Act::Denial);
    }
    let noise =
        ["yes", "yeah", "okay", "ok", "right", "i", "see", "sure", "fine", "alright", "all", "no", "thanks", "thank", "you", "great", "oh"];
    let only_noise = s.tokens.len() <= 4 && s.tokens.iter().all(|t| noise.contains(&t.text.as_str()));
    only_noise.then_some(Act::Backchannel)
}

fn is_question(s: &Sentence) -> bool {
    s.asks() || (s.tokens.first().is_some_and(|t| WH.contains(&t.text.as_str())) && s.words.last().is_some_and(|w| !w.text.ends_with('.')))
}

/// Whether somebody says what they, or the thing, will do: neither negated nor under a condition.
pub fn promises(s: &Sentence) -> bool {
    let conditional = s.has_any(&["if", "unless", "in case", "provided", "would", "might", "maybe", "perhaps", "can not promise"]);
    let negated = s.has_any(&["will not", "not going to", "will never", "am not", "are not"]);
    let doing =
        s.has_any(&VERBS) && !s.has_any(&["i will be honest", "i will be happy", "i will think", "i will see", "i will check with"]);
    let happening = s.party == Party::Agent
        && s.has_any(&[
            "will take",
            "will arrive",
            "will receive",
            "will get",
            "will be",
            "will have",
            "will call you",
            "will come",
            "i promise",
        ]);
    (doing || happening) && !conditional && !negated && !s.asks()
}
