//! How well the card is read: reasons, details, promises, agreements, outcome; and that nothing in it is invented.

use super::{
    dialogues::{Dialogue, Place, leg},
    statistics::{Confusion, Figure, Hits, bootstrap, macro_f1, share, sum},
};
use crate::domain::insight::{
    card::{Card, Context, Label, Outcome, card},
    sentences::{Evidence, Sentence, sentences},
    slots::{Known, Slot, SlotKind},
    support,
    utterance::Transcript,
};

/// A quote hits a label when it holds this share of the label's time.
const HIT: f64 = 0.5;

/// What was counted in one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallCounts {
    /// The reason line: a labelled reason in it, or none where none was given.
    reason: bool,
    /// Reasons one by one.
    reasons: Hits,
    slots: Hits,
    promises: Hits,
    /// Of promises found, those with the right day.
    due_right: u32,
    agreed: Hits,
    outcome: Confusion,
    lines: u32,
    invented: u32,
    /// First-person futures that are no promise: negated, conditional, asked, or weighed.
    traps: u32,
    trapped: u32,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct CardFigures {
    /// Calls whose reason line is right; where nobody says why, right is no line.
    pub reason: Figure,
    /// F1 over reasons one by one, two where there are two.
    pub reasons: Figure,
    /// F1 over details by kind and value.
    pub slots: Figure,
    /// F1 over promises.
    pub promises: Figure,
    /// Of promises found, those with the right last day.
    pub due: Figure,
    /// F1 over agreements.
    pub agreed: Figure,
    /// Calls whose outcome is right.
    pub outcome: Figure,
    /// Macro-F1 over solved, not solved, unclear.
    pub outcome_f1: Figure,
    /// Always "solved".
    pub outcome_majority: Figure,
    /// Counted over all calls.
    pub counts: Totals,
}

/// Sums over all calls.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// Details.
    pub slots: Hits,
    /// Promises.
    pub promises: Hits,
    /// Agreements.
    pub agreed: Hits,
    /// Lines shown.
    pub lines: u32,
    /// Of these, not said where they say they were.
    pub invented: u32,
    /// Sentences that sound like a promise and are labelled as none.
    pub traps: u32,
    /// Of these, taken for one.
    pub trapped: u32,
}

/// Reads all cards and compares them with their labels.
pub fn measure(dialogues: &[Dialogue], transcripts: &[Transcript]) -> CardFigures {
    let all: Vec<CallCounts> = dialogues.iter().zip(transcripts).map(|(d, t)| count(d, t)).collect();
    let hits = |of: fn(&CallCounts) -> Hits| all.iter().map(of).fold(Hits::default(), Hits::plus);
    let f1 = |of: fn(&CallCounts) -> Hits| {
        let n = hits(of);
        bootstrap(&all, (n.right + n.missed) as usize, |s| s.iter().map(|c| of(c)).fold(Hits::default(), Hits::plus).f1())
    };
    let total = |of: fn(&CallCounts) -> u32| all.iter().map(of).sum::<u32>();
    let calls = |right: &dyn Fn(&CallCounts) -> u32| {
        bootstrap(&all, all.len(), |s| share(s.iter().map(|c| right(c)).sum(), u32::try_from(s.len()).unwrap_or(u32::MAX)))
    };
    let promises = hits(|c| c.promises);
    let due =
        bootstrap(&all, promises.right as usize, |s| share(s.iter().map(|c| c.due_right).sum(), s.iter().map(|c| c.promises.right).sum()));
    let counts = Totals {
        slots: hits(|c| c.slots),
        promises,
        agreed: hits(|c| c.agreed),
        lines: total(|c| c.lines),
        invented: total(|c| c.invented),
        traps: total(|c| c.traps),
        trapped: total(|c| c.trapped),
    };
    CardFigures {
        reason: calls(&|c| u32::from(c.reason)),
        reasons: f1(|c| c.reasons),
        slots: f1(|c| c.slots),
        promises: f1(|c| c.promises),
        due,
        agreed: f1(|c| c.agreed),
        outcome: calls(&|c| (0..3).map(|i| c.outcome[i][i]).sum()),
        outcome_f1: bootstrap(&all, all.len(), |s| macro_f1(&sum(s.iter().map(|c| &c.outcome)))),
        outcome_majority: calls(&|c| c.outcome[0].iter().sum()),
        counts,
    }
}

/// What the card of a dialogue is.
pub fn read(dialogue: &Dialogue, transcript: &Transcript) -> Option<Card> {
    let known = Known { call: dialogue.day, references: &dialogue.references, products: &dialogue.products, patterns: &[] };
    card(transcript, &Context { known, subjects: &[] }).ok()
}

fn count(dialogue: &Dialogue, transcript: &Transcript) -> CallCounts {
    let mut counts = CallCounts::default();
    // Without a card everything is missed, and how it ended cannot be told.
    let Some(card) = read(dialogue, transcript) else { return missed(dialogue) };
    let places = |label: Label| card.lines.iter().find(|l| l.label == label).map_or(&[][..], |l| &l.evidence);
    counts.reasons = matched(&dialogue.reasons, places(Label::Reason));
    counts.reason = if dialogue.reasons.is_empty() { places(Label::Reason).is_empty() } else { counts.reasons.right > 0 };
    counts.slots = slots(dialogue, &card.slots);
    promises(dialogue, &card, &mut counts);
    counts.agreed = agreed(dialogue, places(Label::Agreed));
    counts.outcome[place(dialogue.outcome)][place(card.outcome)] += 1;
    counts.lines = u32::try_from(card.lines.len()).unwrap_or(u32::MAX);
    counts.invented = card.lines.iter().filter(|l| !support::supports(transcript, l)).map(|_| 1).sum();
    traps(dialogue, transcript, &card, &mut counts);
    counts
}

fn missed(dialogue: &Dialogue) -> CallCounts {
    let all = |labels: usize| hits_of(0, 0, labels);
    let mut counts = CallCounts {
        reason: dialogue.reasons.is_empty(),
        reasons: all(dialogue.reasons.len()),
        slots: all(dialogue.slots.len()),
        promises: all(dialogue.promises.len()),
        agreed: all(dialogue.agreed.len()),
        ..CallCounts::default()
    };
    counts.outcome[place(dialogue.outcome)][place(Outcome::Unclear)] += 1;
    counts
}

fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Solved => 0,
        Outcome::NotSolved => 1,
        Outcome::Unclear => 2,
    }
}

fn matched(labels: &[Place], quotes: &[Evidence]) -> Hits {
    let right = labels.iter().filter(|l| quotes.iter().any(|q| hits(l, q))).count();
    let wrong = quotes.iter().filter(|q| !labels.iter().any(|l| hits(l, q))).count();
    hits_of(right, wrong, labels.len())
}

fn hits_of(right: usize, wrong: usize, labelled: usize) -> Hits {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Hits { right: count(right), wrong: count(wrong), missed: count(labelled - right) }
}

fn hits(label: &Place, quote: &Evidence) -> bool {
    let common = label.span.1.min(quote.to_ms).saturating_sub(label.span.0.max(quote.from_ms));
    label.party == quote.party && f64::from(common) >= HIT * f64::from(label.span.1 - label.span.0)
}

/// By kind and plain value: "$45", "45.00 dollars" and "$45.00" are one amount.
fn slots(dialogue: &Dialogue, found: &[Slot]) -> Hits {
    let labels: Vec<(SlotKind, String)> = dialogue.slots.iter().map(|(kind, value)| (*kind, plain(*kind, value))).collect();
    let found: Vec<(SlotKind, String)> = found.iter().map(|s| (s.kind, plain(s.kind, &s.value))).collect();
    let right = labels.iter().filter(|l| found.contains(l)).count();
    let wrong = found.iter().filter(|f| !labels.contains(f)).count();
    hits_of(right, wrong, labels.len())
}

fn plain(kind: SlotKind, value: &str) -> String {
    let plain: String = value.chars().filter(|c| c.is_alphanumeric() || "$€£%.".contains(*c)).collect::<String>().to_lowercase();
    if kind == SlotKind::Amount { plain.trim_end_matches(".00").to_owned() } else { plain }
}

fn promises(dialogue: &Dialogue, card: &Card, counts: &mut CallCounts) {
    let said = |label: &Place, promise: &crate::domain::insight::promises::Promise| promise.evidence.iter().any(|e| hits(label, e));
    let (mut right, mut used) = (0, vec![false; card.promises.len()]);
    for label in &dialogue.promises {
        let best = (0..used.len()).filter(|i| said(&label.place, &card.promises[*i])).min_by_key(|i| used[*i]);
        let Some(i) = best else { continue };
        right += 1;
        counts.due_right += u32::from(card.promises[i].due == label.due);
        used[i] = true;
    }
    counts.promises = hits_of(right, used.iter().filter(|u| !**u).count(), dialogue.promises.len());
}

fn agreed(dialogue: &Dialogue, quotes: &[Evidence]) -> Hits {
    let inside = |turn: usize, q: &Evidence| {
        let turn = &dialogue.turns[turn];
        turn.party == q.party && q.from_ms < turn.span.1 && turn.span.0 < q.to_ms
    };
    let right = dialogue.agreed.iter().filter(|(proposal, _)| quotes.iter().any(|q| inside(*proposal, q))).count();
    let wrong = quotes.iter().filter(|q| !dialogue.agreed.iter().any(|(proposal, _)| inside(*proposal, q))).count();
    hits_of(right, wrong, dialogue.agreed.len())
}

/// Sentences that speak of what the speaker will do and are labelled as no promise.
fn traps(dialogue: &Dialogue, transcript: &Transcript, card: &Card, counts: &mut CallCounts) {
    let sounds = |s: &Sentence| s.has_any(&["i will", "we will", "going to", "will be", "will get"]);
    for sentence in sentences(transcript).iter().filter(|s| sounds(s)) {
        let here = sentence.evidence();
        let overlaps = |e: &Evidence| e.leg == here.leg && e.from_ms < here.to_ms && here.from_ms < e.to_ms;
        let labelled = |p: &Place| overlaps(&Evidence { leg: leg(p.party), party: p.party, from_ms: p.span.0, to_ms: p.span.1 });
        if dialogue.promises.iter().any(|p| labelled(&p.place)) {
            continue;
        }
        counts.traps += 1;
        counts.trapped += u32::from(card.promises.iter().any(|p| p.evidence.first().is_some_and(overlaps)));
    }
}
