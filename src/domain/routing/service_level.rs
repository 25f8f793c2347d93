//! What a queue promised and what became of it today: a fold over the same facts that the record gets, so that the figures
//! after a restart, read from rows, are the ones that were shown before.
//!
//! A call counts on the day on which it came. Service level = answered in time ÷ (all that ended − short abandons).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{
    domain::fact::{Direction, EndCause, Fact, SegmentKind},
    ids::InteractionId,
    time::UnixMs,
};

/// One queue's counts of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that came, those that still wait included.
    pub offered: u64,
    /// Calls that an agent answered.
    pub answered: u64,
    /// Those of them that were answered in time.
    pub answered_in_time: u64,
    /// Callers who gave up, short ones not included.
    pub abandoned: u64,
    /// Callers who gave up before anybody could have answered.
    pub abandoned_short: u64,
    /// Calls that ended otherwise without a talk: waited too long, queue full, line lost, fault of ours.
    pub turned_away: u64,
    /// Sum of the waits of answered calls, milliseconds.
    pub answered_wait_ms: u64,
    /// Longest wait of a call that has ended or was answered, milliseconds.
    pub longest_ms: u64,
}

impl Figures {
    /// Answered in time of all that ended but for short abandons, percent; `None` before the first.
    pub fn service_level_percent(&self) -> Option<u8> {
        let ended = self.answered + self.abandoned + self.turned_away;
        (self.answered_in_time * 100 + ended / 2).checked_div(ended).map(|percent| u8::try_from(percent).unwrap_or(100))
    }

    /// Average speed of answer, milliseconds; `None` before the first.
    pub fn average_answer_ms(&self) -> Option<u64> {
        self.answered_wait_ms.checked_div(self.answered)
    }
}

/// What counts as in time, and as short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Answered within this long is in time.
    pub answer_within: Duration,
    /// Given up sooner than this is short.
    pub short_abandon: Duration,
}

/// How an inbound call of a queue left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Answered,
    Abandoned,
    TurnedAway,
}

#[derive(Clone, Debug)]
struct Open {
    queue: String,
    counts: bool,
    answered_ms: Option<u32>,
}

/// Today's figures of all queues.
#[derive(Clone, Debug)]
pub struct Day {
    from: UnixMs,
    figures: BTreeMap<String, Figures>,
    open: HashMap<InteractionId, Open>,
}

impl Day {
    /// A day that begins here, with what is known of it.
    pub fn new(from: UnixMs, figures: BTreeMap<String, Figures>) -> Self {
        Self { from, figures, open: HashMap::new() }
    }

    /// Another day begins, or the same with figures from the record; calls of the day before no longer count.
    pub fn begin(&mut self, from: UnixMs, figures: BTreeMap<String, Figures>) {
        (self.from, self.figures) = (from, figures);
        for open in self.open.values_mut() {
            open.counts = false;
        }
    }

    /// One queue's figures.
    pub fn figures(&self, queue: &str) -> Figures {
        self.figures.get(queue).copied().unwrap_or_default()
    }

    /// Takes a fact into account. Returns the queue and the length of a talk that ended with it, milliseconds.
    pub fn note(&mut self, fact: &Fact, promise: impl Fn(&str) -> Promise) -> Option<(String, u32)> {
        match fact {
            Fact::InteractionOpened(opened) if opened.direction == Direction::Inbound => {
                let queue = opened.queue.clone()?;
                let counts = opened.at >= self.from;
                if counts {
                    self.figures.entry(queue.clone()).or_default().offered += 1;
                }
                self.open.insert(opened.interaction, Open { queue, counts, answered_ms: None });
            }
            Fact::SegmentOpened { interaction, kind: SegmentKind::Talk, from_ms, .. } => {
                let open = self.open.get_mut(interaction).filter(|open| open.answered_ms.is_none())?;
                open.answered_ms = Some(*from_ms);
                let (queue, counts) = (open.queue.clone(), open.counts);
                let promise = promise(&queue);
                self.left(&queue, counts, Left::Answered, *from_ms, promise);
            }
            Fact::InteractionEnded { interaction, at_ms, cause, .. } => {
                let open = self.open.remove(interaction)?;
                if let Some(answered) = open.answered_ms {
                    return Some((open.queue, at_ms.saturating_sub(answered)));
                }
                let left = if *cause == EndCause::Abandoned { Left::Abandoned } else { Left::TurnedAway };
                let promise = promise(&open.queue);
                self.left(&open.queue, open.counts, left, *at_ms, promise);
            }
            _ => {}
        }
        None
    }

    fn left(&mut self, queue: &str, counts: bool, left: Left, waited_ms: u32, promise: Promise) {
        if !counts {
            return;
        }
        let figures = self.figures.entry(queue.to_owned()).or_default();
        let waited = Duration::from_millis(u64::from(waited_ms));
        figures.longest_ms = figures.longest_ms.max(u64::from(waited_ms));
        match left {
            Left::Answered => {
                figures.answered += 1;
                figures.answered_wait_ms += u64::from(waited_ms);
                figures.answered_in_time += u64::from(waited <= promise.answer_within);
            }
            Left::Abandoned if waited < promise.short_abandon => figures.abandoned_short += 1,
            Left::Abandoned => figures.abandoned += 1,
            Left::TurnedAway => figures.turned_away += 1,
        }
    }

    /// Calls that came and have not ended.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}
