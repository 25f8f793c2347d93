//! Who goes first when more comes than can be done: bounded queues ahead of the switch, shed before any state is made.
//!
//! ```text
//! emergency, responses, in-dialog ▶ always next        │ 8 : 4 : 1
//! INVITE of a phone or trunk ─▶ ▒▒▒▒ ├─▶ switch        │ what waited too long is
//! REGISTER with credentials ──▶ ▒▒▒▒ │                 │ answered 503 at once, without state
//! everything else ────────────▶ ▒▒   ┘                 │
//! ```
//! What has waited too long when its turn comes is refused, not served: no rate has to be guessed, and whatever is served was sent
//! less than T1 ago, so that it is not sent twice.

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
}

impl Intake {
    /// Takes a message in, or says that there is no room for it.
    pub fn take(&mut self, now: Instant, class: Class, flow: Flow, bytes: &[u8]) -> Taken {
        let bounds = class.bounds();
        let queue = &mut self.queues[class as usize];
        if queue.len() >= bounds.messages || self.octets + bytes.len() > MAX_OCTETS {
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
        Some(if waited > class.bounds().wait { Next::Shed(held, class) } else { Next::Serve(held) })
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
