//! SIP timers (RFC 3261 §17.1.1.1, table 4, and RFC 6026): base values, derived values, doubling retransmissions.
//!
//! Time is an argument everywhere; a timer is the instant at which it fires.

use std::time::{Duration, Instant};

/// Timer D on UDP: how long a client keeps re-acknowledging a rejected INVITE (RFC 3261 §17.1.1.2: at least 32 s).
const TIMER_D: Duration = Duration::from_secs(32);

/// Shortest interval between repetitions, whatever the configuration says: an interval of zero would never let time pass.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The base values from which every transaction timer is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; the first retransmission interval.
    pub t1: Duration,
    /// Longest interval between retransmissions of non-INVITE requests and of responses.
    pub t2: Duration,
    /// Longest time a message stays in the network.
    pub t4: Duration,
    /// How long an INVITE may stay unanswered on either side before its transaction is given up. A backstop only: the cap
    /// on ring time, which is the core's, lies below it (RFC 3261 §16.6 asks a proxy for more than 3 minutes, Timer C).
    pub invite_backstop: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            invite_backstop: Duration::from_secs(600),
        }
    }
}

impl Timers {
    /// Timers B, F, H, L and M, and J on UDP: after this long the other side has given up as well.
    pub fn transaction_timeout(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: zero on a reliable transport.
    pub fn rejected_invite_linger(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { TIMER_D.max(self.transaction_timeout()) }
    }

    /// Timers I and K: zero on a reliable transport.
    pub fn network_linger(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.t4 }
    }

    /// Timer J: zero on a reliable transport.
    pub fn answered_request_linger(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.transaction_timeout() }
    }
}

/// A message that is sent again and again (Timers A, E, G, and the core's 2xx).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    at: Instant,
    interval: Duration,
}

impl Retransmission {
    /// The first repetition comes `t1` after `now`.
    pub fn start(now: Instant, t1: Duration) -> Self {
        let interval = t1.max(SHORTEST_INTERVAL);
        Self { at: now + interval, interval }
    }

    /// When the message is due again.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Reports whether the message is due, and if so doubles the interval, at most to `longest`. A late caller gets one
    /// repetition, not those that were missed.
    pub fn is_due(&mut self, now: Instant, longest: Duration) -> bool {
        let due = now >= self.at;
        if due {
            self.interval = (self.interval * 2).min(longest).max(SHORTEST_INTERVAL);
            self.at = now + self.interval;
        }
        due
    }

    /// Reports whether the message is due, and if so makes it due again after `interval` exactly (Timer E in Proceeding).
    pub fn is_due_every(&mut self, now: Instant, interval: Duration) -> bool {
        let due = now >= self.at;
        if due {
            *self = Self::start(now, interval);
        }
        due
    }
}

/// The kind of a status code, as far as transactions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 3xx to 6xx.
    Rejection,
}

impl StatusClass {
    /// The class of a status code.
    pub fn of(status: u16) -> Self {
        match status {
            0..=199 => Self::Provisional,
            200..=299 => Self::Success,
            300.. => Self::Rejection,
        }
    }
}

/// The earlier of two deadlines, where either may be missing.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_between_repetitions_even_with_timers_of_zero() {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
        let start = Instant::now();
        let mut repeat = Retransmission::start(start, Duration::ZERO);
        assert!(!repeat.is_due(start, Duration::ZERO));
        let later = start + SHORTEST_INTERVAL;
        assert!(repeat.is_due(later, Duration::ZERO) && !repeat.is_due(later, Duration::ZERO));
        assert!(repeat.is_due_every(later + SHORTEST_INTERVAL, Duration::ZERO) && repeat.at() > later + SHORTEST_INTERVAL);
    }
}
