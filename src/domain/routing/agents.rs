//! All agents, changed only here: each change says whether the shown state changed, so that it is written once.

use std::collections::BTreeMap;

use super::agent::{Agent, AgentProfile, Doing, Wanted};
use crate::{
    domain::fact::AgentState,
    ids::{AgentId, InteractionId, OfferId, PhoneId},
    time::Now,
};

/// The agents of this node.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    agents: BTreeMap<AgentId, Agent>,
    /// Whether somebody may have become free since the last look.
    changed: bool,
}

impl Agents {
    /// Takes over the record's agents: new ones are offline, known ones keep what they do, missing ones go.
    pub fn replace(&mut self, now: Now, profiles: impl IntoIterator<Item = AgentProfile>) {
        self.changed = true;
        let mut before = std::mem::take(&mut self.agents);
        for profile in profiles {
            let agent = match before.remove(&profile.id) {
                Some(known) => Agent { profile, ..known },
                None => Agent {
                    profile,
                    wanted: Wanted::Offline,
                    doing: Doing::Nothing,
                    since: now.wall,
                    idle_since: now.mono,
                    desks: 0,
                    phone_registered: false,
                },
            };
            self.agents.insert(agent.profile.id, agent);
        }
        // Somebody who is in a call stays until it is over: rows and screens still point at them.
        self.agents.extend(before.into_iter().filter(|(_, agent)| agent.doing != Doing::Nothing));
    }

    /// Whether somebody may have become free since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// One agent.
    pub fn get(&self, agent: AgentId) -> Option<&Agent> {
        self.agents.get(&agent)
    }

    /// All, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// The agent whose phone this is.
    pub fn by_phone(&self, phone: PhoneId) -> Option<&Agent> {
        self.agents.values().find(|agent| agent.profile.phone == Some(phone))
    }

    /// What the agent asks to be. True when the shown state changed.
    pub fn want(&mut self, now: Now, agent: AgentId, wanted: Wanted) -> bool {
        self.change(now, agent, |agent| agent.wanted = wanted)
    }

    /// An offer goes to the agent. True when the shown state changed.
    pub fn offered(&mut self, now: Now, agent: AgentId, offer: OfferId, interaction: InteractionId) -> bool {
        self.change(now, agent, |agent| agent.doing = Doing::Offered { offer, interaction })
    }

    /// The agent talks. True when the shown state changed.
    pub fn talking(&mut self, now: Now, agent: AgentId, interaction: InteractionId) -> bool {
        self.change(now, agent, |agent| agent.doing = Doing::Talking { interaction })
    }

    /// The agent wraps up. True when the shown state changed.
    pub fn wrapping_up(&mut self, now: Now, agent: AgentId, interaction: InteractionId) -> bool {
        self.change(now, agent, |agent| agent.doing = Doing::WrapUp { interaction })
    }

    /// The agent is done with this interaction and free again; one that is occupied by another is left alone.
    /// True when the shown state changed.
    pub fn free(&mut self, now: Now, agent: AgentId, interaction: InteractionId) -> bool {
        self.change(now, agent, |agent| {
            if agent.interaction() == Some(interaction) {
                agent.doing = Doing::Nothing;
                agent.idle_since = now.mono;
            }
        })
    }

    /// How many desks the agent has open. True when that changed.
    pub fn desks(&mut self, agent: AgentId, desks: u16) -> bool {
        self.agents.get_mut(&agent).is_some_and(|agent| std::mem::replace(&mut agent.desks, desks) != desks)
    }

    /// Whether the phone has a binding. Returns its agent when that changed.
    pub fn phone_registered(&mut self, phone: PhoneId, registered: bool) -> Option<AgentId> {
        let agent = self.agents.values_mut().find(|agent| agent.profile.phone == Some(phone))?;
        self.changed = true;
        (std::mem::replace(&mut agent.phone_registered, registered) != registered).then_some(agent.profile.id)
    }

    fn change(&mut self, now: Now, agent: AgentId, change: impl FnOnce(&mut Agent)) -> bool {
        let Some(agent) = self.agents.get_mut(&agent) else { return false };
        self.changed = true;
        let before = (agent.state(), agent.reason().map(str::to_owned));
        change(agent);
        let after = (agent.state(), agent.reason().map(str::to_owned));
        if before == after {
            return false;
        }
        agent.since = now.wall;
        if after.0 == AgentState::Ready && before.0 != AgentState::Ready {
            agent.idle_since = now.mono;
        }
        true
    }
}
