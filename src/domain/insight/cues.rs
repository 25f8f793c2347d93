//! Cues of dialogue acts: phrases over plain tokens (lower case, contractions spelled out), by what they give away.

use std::{collections::HashMap, sync::OnceLock};

use super::sentences::Sentence;

/// Phrases parted by commas, looked up by their first word.
pub struct Phrases {
    text: &'static str,
    by_first: OnceLock<HashMap<&'static str, Vec<Vec<&'static str>>>>,
}

impl Phrases {
    /// From one text, "one moment, hold on".
    pub const fn new(text: &'static str) -> Self {
        Self { text, by_first: OnceLock::new() }
    }

    fn beginning_with(&self, word: &str) -> &[Vec<&'static str>] {
        let parse = || {
            let mut by_first: HashMap<&str, Vec<Vec<&str>>> = HashMap::new();
            for phrase in self.text.split(", ").map(|phrase| phrase.split_whitespace().collect::<Vec<_>>()) {
                by_first.entry(phrase.first().copied().unwrap_or_default()).or_default().push(phrase);
            }
            by_first
        };
        self.by_first.get_or_init(parse).get(word).map_or(&[], Vec::as_slice)
    }

    fn at(&self, sentence: &Sentence, at: usize) -> bool {
        let Some(first) = sentence.tokens.get(at) else { return false };
        let rest = &sentence.tokens[at..];
        let fits = |phrase: &Vec<&str>| phrase.len() <= rest.len() && phrase.iter().zip(rest).all(|(word, token)| token.text == *word);
        self.beginning_with(&first.text).iter().any(fits)
    }

    /// Whether a sentence holds one of them.
    pub fn are_in(&self, sentence: &Sentence) -> bool {
        (0..sentence.tokens.len()).any(|at| self.at(sentence, at))
    }

    /// Whether one of them is this one word.
    pub fn has_word(&self, word: &str) -> bool {
        self.beginning_with(word).iter().any(|phrase| phrase.len() == 1)
    }

    /// Whether a sentence begins with one of them.
    pub fn begin(&self, sentence: &Sentence) -> bool {
        self.at(sentence, 0)
    }
}

/// One moment please.
pub static HOLD: Phrases = Phrases::new(
    "wait a moment, one moment, just a moment, one second, one sec, hold on, bear with me, let me check, let me see, let me look, \
     let me have a look, let me take a look, let me just, let me pull, let me bring, let me find, please hold, for holding, for \
     waiting, a second please, a second, hold the line, still there, just a second, give me a moment, give me a second, a minute \
     please, just checking, i am checking, i am looking, i am running, while i check",
);
/// What an agent will do at once, in the call: no promise.
pub static AT_ONCE: Phrases = Phrases::new(
    "i will check, i will just check, i will look, i will just look, i will have a look, i will take a look, i will see, i will \
     find, i will pull, i will bring up, i will put you, i will transfer, i will connect, i will get somebody on, i will be \
     right, i will be with you, i will just be, i will need, we will need, i will have to, we will have to, i will be honest, i \
     will be happy, i will explain, i will ask you, i will try, we will try, we will see, i will go through, i will read, i will \
     stay on, i will wait, i will hold, i will do my best, i will say, i will tell you what, i will admit, i will let you go, i \
     will open your, i will be glad",
);
/// Hello, names, the company's own.
pub static GREETING: Phrases = Phrases::new(
    "my name is, how can i help, how may i help, what can i do for you, thank you for calling, thanks for calling, good morning, \
     good afternoon, good evening, speaking with, speaking to, you are through to, welcome to, this is",
);
/// Thanks, goodbyes, "anything else".
pub static CLOSING: Phrases = Phrases::new(
    "goodbye, bye, bye now, have a nice, have a good, have a great, have a lovely, anything else, thank you for calling, thanks \
     for calling, thank you for your help, thanks for your help, thank you very much, thanks a lot, talk to you soon, take care, \
     thank you so much, good night, you are welcome, you are very welcome, no problem at all, happy to help, that is all, that is \
     everything, that will be all, thanks for your patience, thank you for your patience, cheers",
);
/// A goodbye in any case.
pub static GOODBYE: Phrases = Phrases::new("goodbye, bye, bye now, good night, have a nice, have a good, have a lovely, take care");
/// Finding out who it is.
pub static IDENTITY: Phrases = Phrases::new(
    "order number, customer number, account number, contract number, invoice number, reference number, policy number, booking \
     number, booking code, booking reference, membership number, full name, your name, last name, first name, date of birth, \
     birth date, born, postcode, zip code, your address, your email address, phone number, spell, last four, security question, \
     confirm your, for security, verify, your reference, the reference, on your account please",
);
/// Something is wrong, in the customer's words.
pub static PROBLEM: Phrases = Phrases::new(
    "problem, problems, issue, issues, trouble, wrong, broken, broke, breaks, damaged, defective, missing, not work, not working, \
     stopped working, stopped, does not, did not, do not, has not, have not, had not, is not, are not, was not, were not, not \
     been, never, not arrived, not received, not come, nobody, no one, no sign, charged twice, charged me, been charged, \
     overcharged, double, twice, error, mistake, complaint, complain, unacceptable, still waiting, still not, still no, too late, \
     too long, too much, too high, too small, too big, not answered, can not, could not, unable, lost, late, faulty, fault, \
     failed, fails, failing, crashed, crashes, crashing, locked out, locked, no internet, have no, had no, got no, there is no, \
     no heating, no hot water, no power, no signal, no connection, cut off, cuts out, drops, dropping, dropped, not what i \
     ordered, not happy, was promised, disappointed, keeps, keep getting, leak, leaks, leaking, declined, rejected, refused, \
     blocked, stolen, stuck, delayed, expired, gone up, gone wrong, noisy, slow, cracked, torn, scratched, dead, frozen, freezes, \
     outage, pain, hurts, do not recognise, do not recognize, throws me out, thrown out, by mistake, turned up, waiting for, \
     waited, should have, was supposed, were supposed, was meant to, supposed to, went wrong, fell off, ripped, incorrect, empty, \
     mixed up, mix up, disappeared, vanished, fraud, scam, suspicious",
);
/// Something is wanted.
pub static REQUEST: Phrases = Phrases::new(
    "i want, we want, i would like, we would like, i would just like, i just want, i just wanted, i wanted, i need, we need, i \
     just need, can you, could you, would you, can i, can we, could i, could we, may i, i am calling, i am ringing, i am phoning, \
     calling about, calling to, ringing about, ringing to, calling because, i call about, is it possible, would it be possible, i \
     wish to, please send, please cancel, please change, i have a question, a question about, i have got a question, i was \
     hoping, i am hoping, i was wondering, i am wondering, wondering if, wondering whether, wondering where, i am trying to, we \
     are trying to, i have been trying, i have tried, i tried, i am looking, we are looking, looking for, looking to, it is \
     about, this is about, needs changing, needs to be, like to know, want to know, how do i, how can i, i am after, interested \
     in, thinking of, thinking about, i have to, i received, i got a, i have got a, i have had a, we have had",
);
/// Another matter besides the first.
pub static ALSO: Phrases =
    Phrases::new("also, as well, another thing, second thing, secondly, one more, besides, two things, and then there");
/// Something is put before the other side.
pub static OFFER: Phrases = Phrases::new(
    "i can offer, we can offer, i could offer, would you like, would you prefer, do you want, shall i, shall we, should i, i can \
     send, we can send, i can give, we can give, i can refund, we can refund, i can book, we can book, i can put, i can add, i \
     can change, i can move, i can arrange, we can arrange, i can replace, we can replace, i can cancel, i can do, we can do, i \
     can waive, i can extend, i can upgrade, i can take, i can ask, i can set, i can get, i can have, i can order, i can issue, i \
     can credit, i can knock, i can reserve, i can schedule, i can switch, i can raise, what i can do, i could, we could, how \
     about, what about, can i offer, does that work, would that work, is that okay, is that ok, would that be, how does that \
     sound, if you like, would suit, which would you, i suggest, i would suggest, i would recommend, we have got, could do, is \
     that all right, are you happy with, are you okay with",
);
/// Something cannot be had.
pub static REFUSAL: Phrases = Phrases::new(
    "not possible, can not, not able to, unable to, not allowed, no longer possible, not refundable, \
     non-refundable, not entitled, not covered, does not cover, we do not, out of stock, sold out, not eligible, does not apply, \
     there is nothing, nothing i can do, nothing we can do, our policy, not until",
);
/// Something has been done, in the words that follow "I have", "it is", "that is".
pub static DEEDS: Phrases = Phrases::new(
    "sent, cancelled, canceled, changed, refunded, updated, booked, corrected, removed, added, ordered, reset, forwarded, \
     credited, extended, opened, noted, unblocked, unlocked, activated, deactivated, replaced, raised, set, put, moved, arranged, \
     issued, registered, transferred, waived, upgraded, switched, blocked, restarted, fixed, rebooked, rescheduled, scheduled, \
     applied, reversed, placed, emailed, saved, reserved, closed, taken, submitted, recorded, logged, passed, flagged, processed, \
     renewed, released, confirmed, made, done, sorted",
);
/// A deed said otherwise.
pub static DONE: Phrases = Phrases::new(
    "is done, all done, that is done, all sorted, that is in, that is booked, is booked, it is booked, you are booked, i sent \
     you, i just sent, i am sending, i am opening, i am booking, i am putting, i am cancelling, i am refunding, is now, are now, \
     went through, has gone through, is confirmed, is cancelled, is on its way, is active",
);
/// A yes.
pub static YES: Phrases = Phrases::new(
    "yes, yeah, yep, yup, okay, ok, sure, great, perfect, that is great, that is fine, that is good, sounds good, fine, please \
     do, that would be, wonderful, excellent, please, all right, alright, go ahead, of course, absolutely, definitely, lovely, \
     brilliant, good, that works, that is perfect, super, let us do, let us go, i will take, that sounds, agreed, deal, works for \
     me, right then, oh great, oh yes, oh good, oh lovely, oh perfect, that suits",
);
/// A yes that cannot be mere politeness.
pub static STRONG_YES: Phrases = Phrases::new(
    "yes please, yes, please do, that is great, that is perfect, that is fine, perfect, great, excellent, wonderful, brilliant, \
     lovely, go ahead, let us do, that works, works for me, better, all right then, right then, sounds good, that would be, would be fine, would be great, would be \
     good, would be perfect, would be lovely, is better, i will take, deal, agreed, that suits, good, fine, absolutely, \
     definitely, of course, sure, that is good, would work, a lot better, sounds",
);
/// A no.
pub static NO: Phrases = Phrases::new(
    "no, nope, not really, that is not, i do not want, i do not think, do not bother, let me think, i would rather not, i will \
     think, not now, no way, i can not do",
);
/// Words with which questions begin.
pub static ASKING: Phrases = Phrases::new(
    "what, when, where, why, who, which, how, is, are, do, does, did, can, could, will, would, have, has, was, were, am, should, \
     shall, may, whose, whom",
);
/// Only keeps the other side talking.
pub static NOISE: Phrases = Phrases::new(
    "yes, yeah, okay, ok, right, i, see, sure, fine, alright, all, no, thanks, thank, you, great, oh, ah, mm, mhm, uh-huh, hmm, \
     understood, lovely, good",
);
/// Makes of a sentence no promise.
pub static CONDITION: Phrases = Phrases::new(
    "if, unless, in case, provided, providing, would, might, may, maybe, perhaps, could, can not promise, should, as long as, \
     probably, possibly, hopefully, depends, otherwise, assuming, i think, i guess, i suppose",
);
/// It went well.
pub static HAPPY: Phrases = Phrases::new(
    "that is great, that is perfect, perfect, wonderful, excellent, it works, works now, working now, that helps, that helped, \
     solved, sorted, for your help, sounds good, that is good, brilliant, that would be great, great, lovely, fantastic, amazing, \
     super, a relief, very helpful, so helpful, really helpful, been helpful, you are a star, lifesaver, thank you so much, \
     thanks so much, thank you very much, thanks a lot, many thanks, much appreciated, appreciate, that is fine, mind at rest, \
     happy with, thank you, thanks, cheers, glad, good to know, that was quick, that was easy, that is kind, very kind, really \
     kind, so kind, good news, thank god, thank goodness, awesome, delighted",
);
/// Manners: somebody who got nothing says it too.
pub static THANKS: Phrases = Phrases::new("thank you, thanks, cheers, many thanks, thanks a lot, thank you very much, that is fine");
/// More than manners: the matter is settled, whatever is still to come.
pub static RELIEVED: Phrases =
    Phrases::new("a relief, mind at rest, it works, works now, working now, solved, sorted, that helped, is what i was hoping for");
/// A customer puts it off, or waits to see.
pub static DEFERRED: Phrases = Phrases::new(
    "think about it, think about that, think it over, sleep on it, talk to my, talk it over, speak to my, ask my, discuss it, call back, \
     call you back, ring back, ring you back, come back to you, get back to you, be in touch, i will try, we will try, try it, try that, \
     give it a try, give that a try, see how it goes, see if it, see if that, see whether, see what comes, see what happens, we will see, \
     let us see, let us hope, i hope so, hopefully, wait and see, wait for, i might, not sure yet, when we have decided, have not decided, \
     can not decide, let you know",
);
/// What an agent does leaves the matter with somebody else, or until an answer comes.
pub static PENDING: Phrases = Phrases::new(
    "look into, looking into, find out, ask the, ask our, ask them, ask my, check with, speak to the, talk to the, investigate, \
     investigates, investigating, investigation, escalated, escalate, escalating, passed it, passed this, passed that, passed your, passed \
     on, pass it, pass this, pass that, pass your, logged it, logged a, log it, raised it, raised a, raise a, opened a, opening a, open a, \
     a ticket, a case, call you, ring you, phone you, email you, text you, write to you, contact you, be in touch, get back to you, come \
     back to you, let you know, keep you posted, hear from, hear back, as soon as, waiting list, on the list, a letter, an answer, a reply, \
     a decision, a note, noted, review it, chase, chasing, forwarded, forward it, forward this, forward your, flagged",
);
/// Nobody is there any more.
pub static LINE_LOST: Phrases = Phrases::new(
    "still there, can you hear me, can not hear you, do not hear you, hear you any more, lost you, line is bad, line seems bad, hang up now, \
     have to hang up",
);
/// An offer about the call itself: taking it agrees nothing.
pub static PROCEDURE: Phrases = Phrases::new(
    "check, look, have a look, take a look, hold, on hold, explain, repeat, read, spell, transfer you, connect you, put you through, take your, \
     have your, get your, ask you, tell me, confirm, verify, find your, pull up, bring up, see, hear, \
     understand, imagine, tell, help you, help with, assure",
);
/// Takes what was said, rather than being pleased about it.
pub static ASSENT: Phrases = Phrases::new(
    "yes, yes please, yeah, please do, go ahead, that is fine, that is good, that is great, that is perfect, that is okay, that is all right, \
     that works, works for me, that would be, would be fine, would be great, would be good, would work, sounds good, sounds fine, fine, \
     sure, deal, agreed, let us do, all right then, alright then, okay then, i will take, that suits, suits me, is better, of course, \
     absolutely, definitely",
);
/// It did not.
pub static UNHAPPY: Phrases = Phrases::new(
    "not help, does not help, no help, not good enough, not acceptable, unacceptable, still not, speak to a manager, speak to \
     your manager, a manager, your manager, your supervisor, a supervisor, i will cancel, cancel my contract, want to cancel, a \
     lawyer, my lawyer, solicitor, the regulator, ombudsman, call again, no use, useless, waste of time, never again, not solved, \
     ridiculous, outrageous, disgraceful, appalling, pathetic, joke, joking, terrible, fed up, disappointed, disappointing, not \
     happy, unhappy, a complaint, complain, go elsewhere, somewhere else, another company, leave you, switch to, switching, \
     shocking, hopeless, for nothing, will not be ordering, will not be back, do not bother, not fair, unfair, unbelievable, just great, just brilliant, just perfect, a pity, a shame, thank you anyway, thanks anyway, what choice do i, no choice, too bad, \
     absurd, a review, not what i wanted, i give up, never mind then, rip-off",
);
