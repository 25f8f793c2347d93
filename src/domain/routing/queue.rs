//! A queue of work: how its work is treated.

use std::time::Duration;

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name: unique, and what trunks' numbers, agents and reports refer to.
    pub name: String,
    /// How long wrap-up may take before the interaction is saved as not wrapped up; the one extension gives as much again.
    pub wrap_up_limit: Duration,
    /// When a missed call must have been called back, counted from the miss.
    pub missed_due: Duration,
    /// 0 (lowest) to 9; work items that come out of its calls carry it.
    pub priority: u8,
}
