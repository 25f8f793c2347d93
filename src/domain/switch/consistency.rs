//! The reaper: each minute everything is asked for its living owner. What has none is let go and counted; tests count as failures.

use std::collections::BTreeSet;

use super::{Counter, Switch};
use crate::{
    domain::{call::Call, media::plan::PortPair, routing::Agent},
    ids::{AgentId, InteractionId, LegId},
};

impl Switch {
    /// What has no owner, or two, in words; empty when everything is in order.
    pub fn inconsistencies(&self) -> Vec<String> {
        let mut found = Vec::new();
        let owned = self.owned_ports();
        let owned_set: BTreeSet<PortPair> = owned.iter().copied().collect();
        if owned_set.len() != owned.len() {
            found.push("a pair of ports is in two calls".to_owned());
        }
        if owned_set != *self.ports.in_use() {
            found.push(format!("calls own {owned_set:?}, in use are {:?}", self.ports.in_use()));
        }
        for agent in self.agents.iter() {
            if self.is_orphan(agent) {
                found.push(format!("{} is held by a call that does not know it: {:?}", agent.profile.id, agent.doing));
            }
        }
        let mut occupied = BTreeSet::new();
        for call in self.calls.values() {
            for agent in call.occupied() {
                if !occupied.insert(agent) {
                    found.push(format!("{agent} is occupied by two calls"));
                }
            }
        }
        for call in self.waiting.in_line().map(|line| line.interaction) {
            if !self.calls.get(&call).is_some_and(Call::is_in_queue) {
                found.push(format!("{call} is in line and does not wait"));
            }
        }
        for call in self.calls.values().filter(|call| call.is_in_queue() && !self.waiting.contains(call.id())) {
            found.push(format!("{} waits and is not in line", call.id()));
        }
        for leg in self.orphan_legs() {
            found.push(format!("{leg} is indexed without a call"));
        }
        found
    }

    /// Whether no table holds anything: nobody is in a call, nothing is awaited.
    pub fn is_empty(&self) -> bool {
        self.leftovers().is_empty()
    }

    /// The names of the tables that hold something.
    pub fn leftovers(&self) -> Vec<&'static str> {
        let tables = [
            ("calls", self.calls.is_empty()),
            ("ledgers", self.ledgers.is_empty()),
            ("deadlines", self.deadlines.is_empty() && self.deadline_of.is_empty()),
            ("legs", self.legs.is_empty()),
            ("dialogs", self.dialogs.is_empty() && self.dialog_of.is_empty()),
            ("clients", self.clients.is_empty()),
            ("invites", self.invites.is_empty() && self.invited.is_empty()),
            ("transactions", self.layer.is_empty()),
            ("waiting", self.waiting.is_empty()),
            ("day", self.day.open() == 0),
            ("ports", self.ports.in_use().is_empty()),
        ];
        tables.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| name).collect()
    }

    /// The pairs of calls whose media has not been closed.
    fn owned_ports(&self) -> Vec<PortPair> {
        let open = |call: &&Call| self.ledgers.get(&call.id()).is_none_or(|ledger| !ledger.closed_media);
        self.calls.values().filter(open).flat_map(Call::ports).collect()
    }

    fn is_orphan(&self, agent: &Agent) -> bool {
        let Some(interaction) = agent.interaction() else { return false };
        !self.calls.get(&interaction).is_some_and(|call| call.occupied().contains(&agent.profile.id))
    }

    fn orphan_legs(&self) -> Vec<LegId> {
        self.legs.iter().filter(|(_, call)| !self.calls.contains_key(call)).map(|(leg, _)| *leg).collect()
    }

    pub(super) fn reap(&mut self) {
        self.flows.sweep(self.steady_ms());
        let found = self.inconsistencies().len();
        for _ in 0..found {
            self.counters.count(Counter::Orphan);
        }
        if found == 0 {
            return;
        }
        let orphans = self.agents.iter().filter(|agent| self.is_orphan(agent));
        let orphans: Vec<(AgentId, InteractionId)> = orphans.filter_map(|agent| Some((agent.profile.id, agent.interaction()?))).collect();
        for (agent, interaction) in orphans {
            if self.agents.free(self.now, agent, interaction) {
                self.write_agent(agent);
            }
        }
        let owned: BTreeSet<PortPair> = self.owned_ports().into_iter().collect();
        let lost: Vec<PortPair> = self.ports.in_use().difference(&owned).copied().collect();
        for pair in lost {
            self.ports.give_back(pair);
        }
        for leg in self.orphan_legs() {
            self.forget_leg(leg);
        }
    }
}
