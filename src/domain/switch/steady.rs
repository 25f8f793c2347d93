//! What the switch decides by: milliseconds that never jump. The wall clock is written down and otherwise only watched.
//!
//! Steady time begins as wall time at the start of the process and then follows the monotonic clock. What is stored is converted
//! to wall time on its way out and back, so that bindings survive a restart; a wall clock that was set has them written anew.

use std::time::{Duration, Instant};

use super::{Counter, Output, Switch};
use crate::{
    domain::fact::Fact,
    time::{Now, UnixMs},
};

/// The wall clock may differ this much from the monotonic one between two inputs: rounding, a slewing NTP, a busy machine.
const TOLERANCE_MS: i64 = 1_000;
/// How long the board says that the clock was set.
const TOLD_FOR: Duration = Duration::from_secs(15 * 60);

/// The watch over both clocks.
#[derive(Debug)]
pub(super) struct Steady {
    start: Now,
    last: Now,
    told_until: Option<Instant>,
}

impl Steady {
    pub fn new(now: Now) -> Self {
        Self { start: now, last: now, told_until: None }
    }

    /// Milliseconds that never jump.
    pub fn at(&self, now: Now) -> i64 {
        self.start.wall.0 + millis(now.mono.saturating_duration_since(self.start.mono))
    }

    /// When the board stops to say that the clock was set.
    pub fn due(&self) -> Option<Instant> {
        self.told_until
    }

    /// How far the wall clock was set since the last look, milliseconds; `None` where it just ran.
    fn look(&mut self, now: Now) -> Option<i64> {
        let passed = millis(now.mono.saturating_duration_since(self.last.mono));
        let jump = now.wall.0.saturating_sub(self.last.wall.0).saturating_sub(passed);
        self.last = now;
        (jump.abs() > TOLERANCE_MS).then_some(jump)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Switch {
    /// Takes over the time of an input.
    pub(super) fn tick(&mut self, now: Now) {
        self.now = now;
        if let Some(jump) = self.steady.look(now) {
            self.clock_was_set(jump);
        }
        if self.steady.told_until.is_some_and(|until| now.mono >= until) {
            self.steady.told_until = None;
            self.alarm("clock", None);
        }
    }

    /// The time by which registrations and nonces live.
    pub(super) fn steady_ms(&self) -> i64 {
        self.steady.at(self.now)
    }

    /// A steady time as wall time, to be written down.
    pub(super) fn wall_of(&self, steady_ms: i64) -> UnixMs {
        UnixMs(self.now.wall.0.saturating_add(steady_ms.saturating_sub(self.steady_ms())))
    }

    /// A stored wall time as steady time.
    pub(super) fn steady_of(&self, wall: UnixMs) -> i64 {
        self.steady_ms().saturating_add(wall.0.saturating_sub(self.now.wall.0))
    }

    fn clock_was_set(&mut self, by_ms: i64) {
        self.counters.count(Counter::ClockSet);
        let which = if by_ms > 0 { "forward" } else { "back" };
        let sentence = format!(
            "The clock of this server was set {which} by {}. Calls and registrations go on; new entries in the record have the new time. \
             See that its time is kept by NTP.",
            span(by_ms.unsigned_abs())
        );
        self.steady.told_until = Some(self.now.mono + TOLD_FOR);
        self.alarm("clock", Some(sentence));
        // As they were written, they would end too early or too late after a restart.
        let bindings: Vec<_> = self.registrar.all().filter_map(|binding| self.written(binding)).collect();
        self.outputs.extend(bindings.into_iter().map(|binding| Output::Fact(Fact::Binding(binding))));
    }
}

/// "1 day", "90 s": the largest unit that says it.
fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..129_600 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_the_largest_unit_that_fits() {
        assert_eq!([1_500, 300_000, 86_400_000, 259_200_000].map(span), ["2 s", "5 minutes", "24 hours", "3 days"]);
    }
}
