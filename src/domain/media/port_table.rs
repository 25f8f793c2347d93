//! Which leg a pair of ports belongs to, and which pairs rest after a call.
//!
//! A closed pair rests until 2 s have passed without a packet, at most 30 s, its sockets open meanwhile: a late
//! sender of the old call must never be heard in a new one.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::ids::InteractionId;

/// A pair is free again when nothing has come for this long, and never sooner.
const REST_QUIET: Duration = Duration::from_secs(2);
/// A peer that never stops sending does not keep a pair for ever; the next call's source lock refuses it.
const REST_MAX: Duration = Duration::from_secs(30);
/// One entry for each even port.
const PAIRS: usize = 1 << 15;
const UNUSED: u32 = u32::MAX;
const RESTING: u32 = u32::MAX - 1;

/// Who uses a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PortUse {
    Unused,
    Resting,
    /// The leg in this slot.
    Leg(u32),
}

/// A pair that rests, and the call it belonged to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub call: InteractionId,
    pub generation: u32,
    since: Instant,
    quiet_since: Instant,
}

/// By RTP port, found with one look: 128 kB once per media thread.
#[derive(Debug)]
pub(super) struct PortTable {
    uses: Box<[u32]>,
    resting: HashMap<u16, Resting>,
}

impl PortTable {
    pub fn new() -> Self {
        Self { uses: vec![UNUSED; PAIRS].into_boxed_slice(), resting: HashMap::new() }
    }

    pub fn get(&self, rtp_port: u16) -> PortUse {
        match self.uses[usize::from(rtp_port / 2)] {
            UNUSED => PortUse::Unused,
            RESTING => PortUse::Resting,
            slot => PortUse::Leg(slot),
        }
    }

    pub fn take(&mut self, rtp_port: u16, slot: u32) {
        self.resting.remove(&rtp_port);
        self.uses[usize::from(rtp_port / 2)] = slot;
    }

    /// The pair's leg is gone; returns when to look at it again.
    pub fn rest(&mut self, now: Instant, rtp_port: u16, call: InteractionId, generation: u32) -> Instant {
        self.uses[usize::from(rtp_port / 2)] = RESTING;
        self.resting.insert(rtp_port, Resting { call, generation, since: now, quiet_since: now });
        now + REST_QUIET
    }

    /// The pair's sockets leave for another thread.
    pub fn leave(&mut self, rtp_port: u16) {
        self.uses[usize::from(rtp_port / 2)] = UNUSED;
    }

    /// A packet came on a resting pair.
    pub fn disturb(&mut self, now: Instant, rtp_port: u16) {
        if let Some(resting) = self.resting.get_mut(&rtp_port) {
            resting.quiet_since = now;
        }
    }

    /// Looks at a resting pair: `Ok` when it is free again, `Err` with the time of the next look, `None` when it does not rest.
    pub fn wake(&mut self, now: Instant, rtp_port: u16) -> Option<Result<Resting, Instant>> {
        let resting = *self.resting.get(&rtp_port)?;
        let free_at = (resting.quiet_since + REST_QUIET).min(resting.since + REST_MAX);
        if now < free_at {
            return Some(Err(free_at));
        }
        self.resting.remove(&rtp_port);
        self.uses[usize::from(rtp_port / 2)] = UNUSED;
        Some(Ok(resting))
    }
}
