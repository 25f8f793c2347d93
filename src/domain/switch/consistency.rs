//! The reaper: each minute every port, agent, dialog, transaction, deadline and open row is asked for its living owner. What has
//! none is let go, counted, logged and shown as an alarm: it is a mistake of ours. Tests ask after every step.

use std::collections::BTreeSet;

use super::{Counter, Output, Switch};
use crate::{
    domain::{
        call::{Call, leg::Leg},
        media::plan::PortPair,
    },
    ids::{AgentId, InteractionId, LegId},
    protocol::sip::transaction_layer::{ClientId, ServerId, TransactionId},
};

/// Something that has no owner, or two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// In use without a call.
    #[error("the ports {0:?} are in use by no call")]
    Ports(PortPair),
    /// Free, and a call owns it.
    #[error("a call owns the ports {0:?}, which are not in use")]
    PortsFree(PortPair),
    /// In two calls.
    #[error("two calls own the ports {0:?}")]
    PortsTwice(PortPair),
    /// Held by a call that is gone or does not know it.
    #[error("{agent} is held by {interaction}, which does not know it")]
    Agent {
        /// The agent.
        agent: AgentId,
        /// The call.
        interaction: InteractionId,
    },
    /// Occupied by a call, and doing something else.
    #[error("{agent} is occupied by {interaction} and does something else")]
    AgentElsewhere {
        /// The agent.
        agent: AgentId,
        /// The call.
        interaction: InteractionId,
    },
    /// Indexed, and no call has it.
    #[error("{0} is indexed without a call that has it")]
    Leg(LegId),
    /// A call has it, and nothing that comes for it would find it.
    #[error("{0} sends or awaits something and is not indexed")]
    LegLost(LegId),
    /// A Call-ID and tag that lead to no leg.
    #[error("a dialog is indexed for {0}, which is indexed otherwise")]
    Dialog(LegId),
    /// A request of ours whose transaction is over.
    #[error("{1} waits for a response to a request whose transaction {0:?} is over")]
    Client(ClientId, LegId),
    /// An INVITE of ours that can no longer be cancelled.
    #[error("an INVITE of {0} is kept for a CANCEL and is over")]
    Invite(LegId, u8),
    /// An INVITE of a peer that no call will answer.
    #[error("the INVITE {0:?} waits for an answer that no call will give")]
    Invited(ServerId),
    /// What was written of a call that is gone.
    #[error("rows of {0} are open and the call is gone")]
    Ledger(InteractionId),
    /// In line, and does not wait.
    #[error("{0} is in line and does not wait")]
    InLine(InteractionId),
    /// Waits, and nobody will be offered it.
    #[error("{0} waits and is not in line")]
    NotInLine(InteractionId),
    /// Not woken at its time, or woken for nothing.
    #[error("{0} is not woken when it is due")]
    Deadline(InteractionId),
}

impl Switch {
    /// What has no owner, or two, in words; empty when everything is in order.
    pub fn inconsistencies(&self) -> Vec<String> {
        self.findings().iter().map(Finding::to_string).collect()
    }

    /// What has no owner, or two; empty when everything is in order.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        self.check_ports(&mut found);
        self.check_agents(&mut found);
        self.check_legs(&mut found);
        self.check_transactions(&mut found);
        let gone = |id: &&InteractionId| !self.calls.contains_key(id);
        found.extend(self.ledgers.keys().filter(gone).copied().map(Finding::Ledger));
        self.check_deadlines(&mut found);
        self.check_queues(&mut found);
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
            ("datagrams", self.datagrams.is_empty()),
            ("invites", self.invites.is_empty() && self.invited.is_empty()),
            ("transactions", self.layer.is_empty()),
            ("waiting", self.waiting.is_empty()),
            ("day", self.day.open() == 0),
            ("ports", self.ports.in_use().is_empty()),
        ];
        tables.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| name).collect()
    }

    fn check_ports(&self, found: &mut Vec<Finding>) {
        let mut owned = BTreeSet::new();
        for pair in self.owned_ports() {
            if !owned.insert(pair) {
                found.push(Finding::PortsTwice(pair));
            }
        }
        found.extend(self.ports.in_use().difference(&owned).copied().map(Finding::Ports));
        found.extend(owned.difference(self.ports.in_use()).copied().map(Finding::PortsFree));
    }

    /// The pairs of calls whose media has not been closed.
    fn owned_ports(&self) -> Vec<PortPair> {
        let open = |call: &&Call| self.ledgers.get(&call.id()).is_none_or(|ledger| !ledger.closed_media);
        self.calls.values().filter(open).flat_map(Call::ports).collect()
    }

    fn check_agents(&self, found: &mut Vec<Finding>) {
        for agent in self.agents.iter() {
            let Some(interaction) = agent.interaction() else { continue };
            let id = agent.profile.id;
            if !self.calls.get(&interaction).is_some_and(|call| call.occupied().contains(&id)) {
                found.push(Finding::Agent { agent: id, interaction });
            }
        }
        // Two calls that occupy the same agent: one of them is not what the agent does.
        for call in self.calls.values() {
            let elsewhere = |agent: &AgentId| self.agents.get(*agent).is_some_and(|known| known.interaction() != Some(call.id()));
            let interaction = call.id();
            found.extend(call.occupied().into_iter().filter(elsewhere).map(|agent| Finding::AgentElsewhere { agent, interaction }));
        }
    }

    fn living_leg(&self, leg: LegId) -> Option<&Leg> {
        self.calls.get(self.legs.get(&leg)?)?.leg(leg).filter(|leg| !leg.is_gone())
    }

    fn check_legs(&self, found: &mut Vec<Finding>) {
        found.extend(self.legs.keys().copied().filter(|leg| self.living_leg(*leg).is_none()).map(Finding::Leg));
        let living = self.calls.values().flat_map(Call::living_legs);
        found.extend(living.filter(|leg| !self.legs.contains_key(leg) || !self.dialog_of.contains_key(leg)).map(Finding::LegLost));
        let crossed = |(key, leg): &(&(String, String), &LegId)| self.dialog_of.get(*leg) != Some(*key) || !self.legs.contains_key(*leg);
        found.extend(self.dialogs.iter().filter(crossed).map(|(_, leg)| Finding::Dialog(*leg)));
        let lost = |(leg, key): &(&LegId, &(String, String))| self.dialogs.get(*key) != Some(*leg);
        found.extend(self.dialog_of.iter().filter(lost).map(|(leg, _)| Finding::Dialog(*leg)));
    }

    fn check_transactions(&self, found: &mut Vec<Finding>) {
        let over = |client: &ClientId| !self.layer.lives(TransactionId::Client(*client));
        found.extend(self.clients.iter().filter(|(client, _)| over(client)).map(|(client, (leg, _))| Finding::Client(*client, *leg)));
        let stale = self.invites.iter().filter(|(_, client)| over(client) || !self.clients.contains_key(client));
        found.extend(stale.map(|((leg, branch), _)| Finding::Invite(*leg, *branch)));
        let owned = |server: &ServerId| {
            self.invited.get(server).and_then(|leg| self.living_leg(*leg)).is_some_and(|leg| leg.open_invite() == Some(*server))
        };
        let open: BTreeSet<ServerId> = self.layer.open_invites().chain(self.invited.keys().copied()).collect();
        found.extend(open.into_iter().filter(|server| !owned(server)).map(Finding::Invited));
    }

    fn check_deadlines(&self, found: &mut Vec<Finding>) {
        let timing = &self.config.policy.timing;
        let wrong = |call: &&Call| self.deadline_of.get(&call.id()).copied() != call.next_timeout(timing);
        found.extend(self.calls.values().filter(wrong).map(|call| Finding::Deadline(call.id())));
        let stale = |(id, at): &(&InteractionId, &std::time::Instant)| {
            !self.calls.contains_key(id) || !self.deadlines.contains(&(**at, **id)) || self.deadlines.len() != self.deadline_of.len()
        };
        found.extend(self.deadline_of.iter().filter(stale).map(|(id, _)| Finding::Deadline(*id)));
    }

    fn check_queues(&self, found: &mut Vec<Finding>) {
        let waits = |id: &InteractionId| self.calls.get(id).is_some_and(Call::is_in_queue);
        found.extend(self.waiting.in_line(&self.agents).map(|line| line.interaction).filter(|id| !waits(id)).map(Finding::InLine));
        let lost = self.calls.values().filter(|call| call.is_in_queue() && !self.waiting.contains(call.id()));
        found.extend(lost.map(|call| Finding::NotInLine(call.id())));
    }

    /// Once a minute.
    pub(super) fn reap(&mut self) {
        self.flows.sweep(self.steady_ms());
        let found = self.findings();
        if found.is_empty() {
            self.alarms.remove("reaper");
            return;
        }
        let sentence = "Something was left behind by a call and has been cleared away. Send the log to support; calls go on.";
        self.alarms.insert("reaper", sentence.to_owned());
        self.board.touch();
        for finding in found {
            self.counters.count(Counter::Orphan);
            self.outputs.push_back(Output::Mistake(finding.to_string()));
            self.mend(finding);
        }
    }

    /// Lets go of what has no owner. Where two want the same thing, only people can say whose it is.
    fn mend(&mut self, finding: Finding) {
        match finding {
            Finding::Ports(pair) => {
                self.ports.give_back(pair);
            }
            Finding::Agent { agent, interaction } => {
                if self.agents.free(self.now, agent, interaction) {
                    self.write_agent(agent);
                }
            }
            Finding::Leg(leg) => self.abandon_leg(leg),
            Finding::Dialog(leg) => {
                // A leg that lives keeps its own dialog.
                let own = self.dialog_of.get(&leg).filter(|_| self.legs.contains_key(&leg)).cloned();
                self.dialogs.retain(|key, of| *of != leg || own.as_ref() == Some(key));
                match own {
                    Some(key) => {
                        self.dialogs.insert(key, leg);
                    }
                    None => {
                        self.dialog_of.remove(&leg);
                    }
                }
            }
            Finding::Client(client, _) => {
                self.clients.remove(&client);
                self.datagrams.remove(&client);
            }
            Finding::Invite(leg, branch) => {
                self.invites.remove(&(leg, branch));
            }
            Finding::Invited(server) => {
                self.invited.remove(&server);
            }
            Finding::Ledger(interaction) => {
                let at_ms = self.ms_since_start(interaction);
                let facts = self.ledgers.remove(&interaction).unwrap_or_default().close_all(interaction, at_ms);
                facts.into_iter().for_each(|fact| self.write(fact));
            }
            Finding::Deadline(interaction) => match self.calls.remove(&interaction) {
                Some(call) => self.keep(call),
                None => {
                    self.deadline_of.remove(&interaction);
                    self.deadlines.retain(|(_, id)| *id != interaction);
                }
            },
            Finding::InLine(interaction) => {
                self.waiting.leave(interaction);
            }
            Finding::NotInLine(_)
            | Finding::PortsFree(_)
            | Finding::PortsTwice(_)
            | Finding::AgentElsewhere { .. }
            | Finding::LegLost(_) => {}
        }
    }
}
