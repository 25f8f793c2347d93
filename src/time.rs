//! Time as a value: domain code is handed a [`Now`] and never reads a clock.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Wall time, milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The time `ms` milliseconds later (earlier when negative).
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0 + ms)
    }
}

/// One instant on both clocks: the monotonic one decides, the wall clock is only written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time; all timers and durations use it.
    pub mono: Instant,
    /// Wall time, for rows and ids.
    pub wall: UnixMs,
}

impl Now {
    /// The same pair of clocks, `by` later.
    pub fn plus(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: self.wall.plus_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)) }
    }
}
