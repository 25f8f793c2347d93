//! Who goes first when more comes than can be done: bounded queues ahead of the switch, shed before any state is made.
//!
//! ```text
//! emergency, responses, in-dialog ▶ always next        │ 8 : 4 : 1
//! INVITE of a phone or trunk ─▶ ▒▒▒▒ ├─▶ switch        │ what waited too long is
//! REGISTER with credentials ──▶ ▒▒▒▒ │                 │ answered 503 at once, without state
//! everything else ────────────▶ ▒▒   ┘                 │
//! ```
//! A call that would wait too long is refused as it comes, by the pace at which calls have been served; what has waited too long all
//! the same when its turn comes is refused then. So whatever is served was sent less than T1 ago, and is not sent twice.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::gate::Source;
use crate::protocol::sip::{field::Method, flow::Flow, peek::Peek};

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Emergency calls, responses, and what belongs to calls that are there.
    Urgent,
    /// New calls of known peers, and of whoever answers a challenge.
    Call,
    /// Registrations with credentials, and those of phones that are registered.
    Registration,
    /// Everything else, strangers first of all.
    Other,
}

impl Class {
    /// The class of a message from this source.
    pub fn of(peek: &Peek<'_>, source: Source, is_emergency: impl Fn(&str) -> bool) -> Self {
        let known = peek.has_credentials || !matches!(source, Source::Unknown);
        let Some(method) = &peek.method else { return if peek.is_response { Self::Urgent } else { Self::Other } };
        match method {
            Method::Ack | Method::Cancel => Self::Urgent,
            _ if peek.to_tag.is_some() => Self::Urgent,
            Method::Invite if peek.user().is_some_and(|user| is_emergency(&user)) => Self::Urgent,
            Method::Invite if known => Self::Call,
            Method::Register if known => Self::Registration,
            _ => Self::Other,
        }
    }

    fn bounds(self) -> Bounds {
        let ms = Duration::from_millis;
        match self {
            // Nobody sends those again for us to refuse: they wait as long as there is room.
            Self::Urgent => Bounds { messages: 8_192, wait: Duration::MAX },
            // Below T1, also with the time that serving one takes.
            Self::Call => Bounds { messages: 1_024, wait: ms(200) },
            Self::Registration => Bounds { messages: 2_048, wait: ms(300) },
            Self::Other => Bounds { messages: 512, wait: ms(150) },
        }
    }
}

/// How much may wait, and how long.
struct Bounds {
    messages: usize,
    wait: Duration,
}

/// Octets that may wait in all: with the counts above it bounds what an overload costs.
const MAX_OCTETS: usize = 12 << 20;
/// How long a call may be expected to wait as it comes: enough that the queue never runs dry between two readings of the sockets, half
/// of what is refused when its turn comes, so that a pace that falls by half refuses nobody twice as late.
const EXPECTED_WAIT: Duration = Duration::from_millis(100);
/// Calls that may wait whatever the pace was: the pace is learnt by serving.
const LEAST_CALLS: usize = 16;
/// What one pause counts for at most: the machine was elsewhere, serving does not take so long.
const LONGEST_GAP: Duration = Duration::from_millis(50);
/// How long a pace holds after it was last seen: in calmer times it says nothing.
const PACE_HOLDS: Duration = Duration::from_secs(1);
/// The share of the newest gap in the pace, as a power of two: some dozen calls, some tens of milliseconds.
const PACE_SHIFT: u32 = 5;
/// The order in which the three lower classes are served: eight calls, four registrations, one other.
const ORDER: [Class; 13] = {
    use Class::{Call as C, Other as O, Registration as R};
    [C, R, C, C, R, C, O, C, R, C, C, R, C]
};

/// A message that waits for the switch.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// Where it came from.
    pub flow: Flow,
    /// The message.
    pub bytes: Box<[u8]>,
    since: Instant,
}

/// A message whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Serve it.
    Serve(Held),
    /// It waited too long: answer 503 without state.
    Shed(Held, Class),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits for its turn.
    Queued,
    /// There is no room: answer 503 without state.
    Shed(Class),
    /// There is no room, and nothing to answer: its sender will repeat it.
    Dropped,
}

/// The queues.
#[derive(Debug, Default)]
pub struct Intake {
    queues: [VecDeque<Held>; 4],
    octets: usize,
    turn: usize,
    pace: Pace,
}

/// How much time passes from one call served to the next, while calls wait.
#[derive(Debug, Default)]
struct Pace {
    /// The moving mean, and when it was last seen.
    gap: Option<(Duration, Instant)>,
    /// When the last call was served that left others waiting.
    last: Option<Instant>,
}

impl Pace {
    fn served(&mut self, now: Instant, others_wait: bool) {
        if let Some(last) = self.last {
            let gap = now.saturating_duration_since(last).min(LONGEST_GAP);
            let mean = self.known(now).map_or(gap, |mean| mean - mean / (1 << PACE_SHIFT) + gap / (1 << PACE_SHIFT));
            self.gap = Some((mean, now));
        }
        self.last = others_wait.then_some(now);
    }

    /// How many calls may wait.
    fn room(&self, now: Instant) -> usize {
        let calls = self.known(now).and_then(|gap| EXPECTED_WAIT.as_nanos().checked_div(gap.as_nanos()));
        calls.and_then(|calls| usize::try_from(calls).ok()).map_or(usize::MAX, |calls| calls.max(LEAST_CALLS))
    }

    fn known(&self, now: Instant) -> Option<Duration> {
        self.gap.filter(|(_, at)| now.saturating_duration_since(*at) < PACE_HOLDS).map(|(gap, _)| gap)
    }
}

impl Intake {
    /// Takes a message in, or says that there is no room for it.
    pub fn take(&mut self, now: Instant, class: Class, flow: Flow, bytes: &[u8]) -> Taken {
        let bounds = class.bounds();
        let queue = &mut self.queues[class as usize];
        let room = if class == Class::Call { bounds.messages.min(self.pace.room(now)) } else { bounds.messages };
        if queue.len() >= room || self.octets + bytes.len() > MAX_OCTETS {
            return if class == Class::Urgent { Taken::Dropped } else { Taken::Shed(class) };
        }
        self.octets += bytes.len();
        queue.push_back(Held { flow, bytes: bytes.into(), since: now });
        Taken::Queued
    }

    /// The message whose turn it is.
    pub fn next_message(&mut self, now: Instant) -> Option<Next> {
        let class = if self.queues[0].is_empty() { self.next_class()? } else { Class::Urgent };
        let held = self.queues[class as usize].pop_front()?;
        self.octets -= held.bytes.len();
        let waited = now.saturating_duration_since(held.since);
        if waited > class.bounds().wait {
            return Some(Next::Shed(held, class));
        }
        if class == Class::Call {
            self.pace.served(now, !self.queues[class as usize].is_empty());
        }
        Some(Next::Serve(held))
    }

    /// What waits among the urgent from this flow, oldest first, before its turn: the connection it came over is gone.
    pub fn take_urgent_of(&mut self, flow: Flow) -> Vec<Held> {
        let urgent = &mut self.queues[Class::Urgent as usize];
        if !urgent.iter().any(|held| held.flow == flow) {
            return Vec::new();
        }
        let (of_flow, rest): (VecDeque<Held>, VecDeque<Held>) = std::mem::take(urgent).into_iter().partition(|held| held.flow == flow);
        *urgent = rest;
        self.octets -= of_flow.iter().map(|held| held.bytes.len()).sum::<usize>();
        of_flow.into()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// How many wait in each class.
    pub fn waiting(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|class| self.queues[class].len())
    }

    fn next_class(&mut self) -> Option<Class> {
        for _ in 0..ORDER.len() {
            let class = ORDER[self.turn];
            self.turn = (self.turn + 1) % ORDER.len();
            if !self.queues[class as usize].is_empty() {
                return Some(class);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
