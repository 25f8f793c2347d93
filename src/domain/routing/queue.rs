//! A queue of work: who it rings, and for how long.

use std::time::Duration;

use crate::ids::QueueId;

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// The queue.
    pub id: QueueId,
    /// Its name, as agents and reports read it.
    pub name: String,
    /// Numbers that lead to it, as the trunk dials them.
    pub numbers: Vec<String>,
    /// How long one agent's phone rings before the next agent is tried.
    pub ring_limit: Duration,
    /// How long wrap-up may take before the interaction is saved as not wrapped up; the one extension gives as much again.
    pub wrap_up_limit: Duration,
    /// 0 (lowest) to 9; work items that come out of its calls carry it.
    pub priority: u8,
}
