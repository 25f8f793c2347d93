//! What the switch is in the middle of, in numbers.

use super::Switch;
use crate::domain::fact::AgentState;

/// The house in numbers, for the metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Calls that have not ended.
    pub calls: usize,
    /// Those in which two parties talk.
    pub talking: usize,
    /// Those that somebody holds.
    pub held: usize,
    /// Callers who wait for an agent.
    pub waiting: usize,
    /// Agents who would be offered the next call.
    pub agents_ready: usize,
}

impl Switch {
    /// The numbers as they are now.
    pub fn gauges(&self) -> Gauges {
        let count = |is: fn(&crate::domain::call::Call) -> bool| self.calls.values().filter(|call| is(call)).count();
        Gauges {
            calls: count(|call| !call.has_ended()),
            talking: count(crate::domain::call::Call::is_talking),
            held: count(crate::domain::call::Call::is_held),
            waiting: count(|call| call.waiting_since().is_some()),
            agents_ready: self.agents.iter().filter(|agent| agent.state() == AgentState::Ready && agent.phone_registered).count(),
        }
    }

    /// What the transaction layer dropped, refused and repeated, by the name of its metric.
    pub fn transaction_counters(&self) -> [(&'static str, u64); 9] {
        let counters = self.layer.counters();
        [
            ("requests_repeated", counters.repeated_requests),
            ("requests_merged", counters.merged_requests),
            ("acks_absorbed", counters.absorbed_acks),
            ("responses_absorbed", counters.absorbed_responses),
            ("responses_stray", counters.stray_responses),
            ("transport_errors", counters.transport_errors),
            ("transactions_evicted", counters.evicted),
            ("transactions_refused_inbound", counters.refused_servers),
            ("transactions_refused_outbound", counters.refused_clients),
        ]
    }
}
