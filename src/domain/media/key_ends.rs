//! Ends of key presses that were lost on the way to us: made again from the hole that they left, or after a time in which
//! nothing more came.
//!
//! ```text
//! came:    key key  ·   ·   ·   audio       three or more numbers missing after a press without an end
//! passed:  key key end end end audio        the ends take those numbers; the real ones, if they come yet, are late
//! ```

use std::time::{Duration, Instant};

use super::leg::{Arrived, Content};
use crate::protocol::rtp::{session::Place, telephone_event::TelephoneEvent};

/// How often an end is sent (RFC 4733 §2.5.1.4): fewer missing numbers cannot hide all of them.
const ENDS: u64 = 3;
/// A pressed key of which nothing is heard for so long is taken for released: phones repeat it every 10 to 50 ms, and no network
/// that carries speech delays packets as long.
const OPEN_MAX: Duration = Duration::from_millis(500);

/// The newest press of one leg.
#[derive(Clone, Copy, Debug)]
struct Press {
    source: u32,
    place: Place,
    payload_type: u8,
    event: TelephoneEvent,
    ended: bool,
    heard_at: Instant,
}

/// The end that is to be made, [`Self::places`] times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MissingEnd {
    pub payload_type: u8,
    pub event: TelephoneEvent,
    first: Place,
}

impl MissingEnd {
    /// Where each of its packets goes.
    pub fn places(self) -> impl Iterator<Item = Place> {
        (0..ENDS).map(move |n| Place { ext_seq: self.first.ext_seq + n, ..self.first })
    }
}

/// Watches the presses of one leg.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyEnds {
    press: Option<Press>,
    /// Source and first number of the ends made last.
    made: Option<(u32, u64)>,
}

impl KeyEnds {
    /// Takes an accepted packet, and tells which end is missing before it.
    pub fn note(&mut self, arrived: &Arrived, payload_type: u8, payload: &[u8]) -> Option<MissingEnd> {
        let event = match arrived.content {
            Content::Event => Some(TelephoneEvent::parse(payload)?),
            Content::Audio(_) => None,
            Content::Noise | Content::Empty => return None,
        };
        let known = self.press.filter(|press| press.source == arrived.source);
        if let (Some(mut press), Some(event)) = (known, event)
            && press.place.ext_ts >= arrived.place.ext_ts
        {
            if press.place.ext_ts == arrived.place.ext_ts {
                press.ended |= event.end;
                if arrived.place.ext_seq > press.place.ext_seq {
                    (press.place, press.event, press.heard_at) = (arrived.place, event, arrived.at);
                }
                self.press = Some(press);
            }
            return None;
        }
        let missing = known.and_then(|press| press.missing_before(arrived.place.ext_seq));
        if let (Some(press), Some(end)) = (&mut self.press, missing) {
            press.ended = true;
            self.made = Some((arrived.source, end.first.ext_seq));
        }
        if let Some(event) = event {
            let (source, place, heard_at) = (arrived.source, arrived.place, arrived.at);
            self.press = Some(Press { source, place, payload_type, event, ended: event.end, heard_at });
        }
        missing
    }

    /// When a key that is pressed now is taken for released.
    pub fn due_at(&self) -> Option<Instant> {
        self.press.filter(|press| !press.ended).map(|press| press.heard_at + OPEN_MAX)
    }

    /// The end of a press of which nothing was heard for too long, and the packet of this leg that it stands for.
    pub fn overdue(&mut self, now: Instant, leg: u64) -> Option<(Arrived, MissingEnd)> {
        self.due_at().filter(|at| *at <= now)?;
        let press = self.press.as_mut()?;
        press.ended = true;
        let end = press.end();
        self.made = Some((press.source, end.first.ext_seq));
        let arrived = Arrived { content: Content::Event, place: end.first, at: now, leg, source: press.source, new_source: false };
        Some((arrived, end))
    }

    /// Whether an end that was made has this packet's number.
    pub fn has_made(&self, arrived: &Arrived) -> bool {
        self.made.is_some_and(|(source, first)| source == arrived.source && (first..first + ENDS).contains(&arrived.place.ext_seq))
    }
}

impl Press {
    fn missing_before(&self, ext_seq: u64) -> Option<MissingEnd> {
        let hides_ends = !self.ended && ext_seq > self.place.ext_seq + ENDS;
        hides_ends.then(|| self.end())
    }

    fn end(&self) -> MissingEnd {
        MissingEnd {
            payload_type: self.payload_type,
            event: TelephoneEvent { end: true, ..self.event },
            first: Place { ext_seq: self.place.ext_seq + 1, ext_ts: self.place.ext_ts },
        }
    }
}
