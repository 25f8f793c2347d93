//! What service calls say of a mood that a general lexicon does not know: phrases with their valence, words without any.

/// Phrases by valence (VADER's scale, −4…4), parted by commas; the longest that fits is taken.
pub const PHRASES: &[(f64, &str)] = &[
    (
        -2.6,
        "unacceptable, not acceptable, waste of time, wasted my time, fed up, sick of it, sick of this, sick and tired, sick of, had enough, \
         absolute joke, a joke, you are joking, got to be joking, got to be kidding, are you kidding, are you serious, disgraceful, \
         outrageous, ridiculous, pathetic, appalling, useless, hopeless, shocking, rip off, rip-off, robbery, furious, livid, fuming, \
         driving me mad, driving me crazy, my patience, never again, for nothing, lied to, liars, beyond a joke, a disgrace",
    ),
    (
        -2.2,
        "charged me twice, charged twice, third time, fourth time, fifth time, how many times, so many times, three times, four times, five \
         times, six times, still waiting, nobody answered, nobody called, nobody rang, nobody told, no one answered, no one called, no one \
         told, i already told, already told, already said, already explained, already sent, already given, told you already, never arrived, \
         never turned up, speak to a manager, speak to your manager, get me a manager, a manager, your manager, your supervisor, a \
         supervisor, i will cancel, lawyer, solicitor, regulator, ombudsman, let me down, let us down, not good enough, not my problem, that is \
         not fair, not fair, no sense, makes no sense, the runaround, from the beginning, all over again, nothing but trouble, go elsewhere, \
         take my business, switch provider, legal action, have to pay for it, be ordering from you again, do not even, what a",
    ),
    (
        -1.8,
        "far too long, still not, still no, again and again, over and over, every single, each time, every time, for weeks, for months, for days, \
         for hours, for an hour, an hour, all day, all morning, all week, day off, not received, not arrived, never received, never got, never \
         came, not working, does not work, stopped working, want to cancel, cancel my contract, formal complaint, a complaint, complain, \
         not happy, not good, not helpful, does not help, no help, not what i ordered, not what i was told, was told, were told, you said, you \
         promised, was promised, they promised, supposed to, nearly lost, overcharged, the wrong, wrong, keeps, keep getting, hung up, \
         cut me off, cut off, stuck, embarrassing, do not bother, how am i, how can you, what am i, why should i, nobody, no one, not impressed, \
         unbelievable, absurd, a mess, nightmare, come on",
    ),
    (
        -1.3,
        "too long, second time, too late, too much, too expensive, i already, not again, gone up, went up, broken, broke, faulty, damaged, \
         leaks, leaking, missing, late, delayed, declined, expired, locked out, twice, double, cracked, torn, no heating, no hot water, no \
         internet, no signal, no power, dropping, drops, crashes, crashing, freezes, slow, noisy, worried, a bit much, not ideal, \
         i do not understand why, why has, why have, why did, why was, why is, could not get through, on hold, waiting for, waited",
    ),
    (
        2.4,
        "you are a star, lifesaver, life saver, mind at rest, works now, made my day, thank god, thank goodness, fantastic, amazing, brilliant, \
         so helpful, really helpful, very helpful, been helpful, wonderful, much better, so kind, very kind, really kind, could not be happier, \
         best news",
    ),
    (
        2.0,
        "working now, that helps, that helped, a relief, what a relief, relieved, that is perfect, perfect, excellent, lovely, great, that is \
         great, super, good news, much appreciated, really appreciate, i appreciate, delighted, a lot better, awesome, impressed",
    ),
    (
        1.6,
        "solved, sorted, sounds good, that is good, oh good, very good, that would be good, good to know, good to hear, glad to hear, that was \
         quick, that was easy, that is fair, very fair, thank you so much, thanks so much, thank you very much, thanks a lot, many thanks, \
         works for me, that works, good idea, even better, that is kind, decent of you, not bad, no problem at all, happy with that, that is nice",
    ),
];

/// Words of service calls that carry no mood, whatever the lexicon says.
pub const NEUTRAL: &str = "no, yes, yeah, please, help, sure, okay, ok, fine, well, hello, hi, like, want, number, card, credit, charge, charged, \
    balance, care, share, save, saved, saving, savings, interest, interested, cancel, cancelled, cut, problem, issue, alert, free, ready, nice, good, \
    important, top, value, pay, demand, block, blocked, safe, promise, promised, promises, hope, hopefully, kind, trust, security, secure, \
    protect, protection, insurance, gift, play, award, reward, bonus, win, benefit, benefits, support, agree, agreed, clear, clearly, energy, warm, \
    dear, party, natural, fire, alarm, stop, stops, stopped, drop, low, miss, missed, emergency, dispute, question, questions, easy, better, best, \
    fresh, certain, certainly, exactly, definitely, welcome, friend, fees, debt, died, leave, leaving, pressure, hard, strange, forgot, lower, \
    increase, increased, opportunity, true, original, active, smart, super, solution, confirm, confirmed, accept, accepted, approved, warning, \
    fault, afraid, hand, hell, ha, sir, bonus, complete, completed, joined, join, appointment, natural, won, matter, matters, risk, serious";
