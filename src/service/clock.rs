//! The only clocks: service code reads them here and hands the value inwards.
//!
//! The wall clock may be set at any time. What it is compared with decides which reading is right: [`now`] for what is written
//! down and for the switch, which watches for jumps itself; [`steady`] for what must not end early; [`latest`] for what must not wait.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};

use crate::time::{Now, UnixMs};

/// Both clocks at the first reading of this process.
static START: OnceLock<Now> = OnceLock::new();
/// The furthest that the wall clock was ever ahead of steady time, milliseconds.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);
/// How far a test has set the wall clock, milliseconds.
#[cfg(feature = "fault-injection")]
static SET_BY_MS: AtomicI64 = AtomicI64::new(0);

/// When the local day began in which this time lies.
#[expect(unsafe_code, reason = "the local time of day is known to libc alone")]
pub fn day_begins(at: UnixMs) -> UnixMs {
    let seconds: libc::time_t = at.0.div_euclid(1_000);
    // SAFETY: all zeros is a valid `tm`; both calls get valid pointers to locals and keep nothing of them.
    let midnight = unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const seconds, &raw mut local).is_null() {
            return UnixMs(at.0 - at.0.rem_euclid(86_400_000));
        }
        (local.tm_hour, local.tm_min, local.tm_sec, local.tm_isdst) = (0, 0, 0, -1);
        libc::mktime(&raw mut local)
    };
    UnixMs(midnight.saturating_mul(1_000))
}

/// Both clocks.
#[expect(clippy::disallowed_methods, reason = "this is where time enters")]
pub fn now() -> Now {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let wall = UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    #[cfg(feature = "fault-injection")]
    let wall = wall.plus_ms(SET_BY_MS.load(Relaxed));
    let now = Now { mono: Instant::now(), wall };
    START.get_or_init(|| now);
    now
}

/// Wall time as it was at the start of this process and has run since, whatever the wall clock was set to: for sessions.
pub fn steady() -> UnixMs {
    steady_at(now())
}

/// Wall time that never goes back in this process: what was due, or let out, by an earlier reading still is. For jobs.
pub fn latest() -> UnixMs {
    let now = now();
    let steady = steady_at(now);
    let ahead = now.wall.0.saturating_sub(steady.0);
    steady.plus_ms(AHEAD_MS.fetch_max(ahead, Relaxed).max(ahead))
}

fn steady_at(now: Now) -> UnixMs {
    let start = START.get().copied().unwrap_or(now);
    let passed = now.mono.saturating_duration_since(start.mono);
    start.wall.plus_ms(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

/// Sets the wall clock of this process as an administrator, or NTP, would set that of the machine.
#[cfg(feature = "fault-injection")]
pub fn set_by(ms: i64) {
    SET_BY_MS.store(ms, Relaxed);
}

#[cfg(all(test, feature = "fault-injection"))]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_moves_neither_steady_nor_latest_back() {
        let (steady_before, latest_before) = (steady(), latest());
        set_by(-86_400_000);
        assert!(now().wall.0 < steady_before.0 - 80_000_000);
        assert!(steady().0 - steady_before.0 < 60_000 && steady() >= steady_before && latest() >= latest_before);
        set_by(86_400_000);
        assert!(steady().0 - steady_before.0 < 60_000);
        let ahead = latest();
        assert!(ahead.0 > latest_before.0 + 80_000_000, "what was due by the new time is due");
        set_by(0);
        assert!(latest() >= ahead);
    }
}
