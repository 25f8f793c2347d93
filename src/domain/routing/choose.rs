//! The choice: ready, with a registered phone, longest idle first; and why the others were not taken.

use super::{
    agent::{Agent, Doing, Wanted},
    agents::Agents,
};
use crate::ids::AgentId;

/// Why an agent is not offered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// Does not serve the queue.
    OtherQueue,
    /// Not here.
    Offline,
    /// Here, but not ready.
    NotReady,
    /// Has an offer, a call or a wrap-up.
    Occupied,
    /// Has no phone, or it is not registered.
    NoPhone,
    /// Was tried for this call before.
    Tried,
}

/// One agent in an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The agent.
    pub agent: AgentId,
    /// Why not; `None` for those who could be offered the call.
    pub skipped: Option<Skip>,
}

impl Agents {
    /// The agent who should be offered a call of `queue` next: longest idle first, ties by id.
    pub fn choose(&self, queue: &str, tried: &[AgentId]) -> Option<AgentId> {
        let fit = self.iter().filter(|agent| skip(agent, queue, tried).is_none());
        fit.min_by_key(|agent| (agent.idle_since, agent.profile.id)).map(|agent| agent.profile.id)
    }

    /// Every agent with the reason why they would not be chosen, in the order in which they would be.
    pub fn explain(&self, queue: &str, tried: &[AgentId]) -> Vec<Candidate> {
        let mut agents: Vec<&Agent> = self.iter().collect();
        agents.sort_by_key(|agent| (skip(agent, queue, tried).is_some(), agent.idle_since, agent.profile.id));
        agents.iter().map(|agent| Candidate { agent: agent.profile.id, skipped: skip(agent, queue, tried) }).collect()
    }
}

fn skip(agent: &Agent, queue: &str, tried: &[AgentId]) -> Option<Skip> {
    if !agent.serves(queue) {
        return Some(Skip::OtherQueue);
    }
    match (&agent.wanted, agent.doing) {
        (Wanted::Offline, _) => Some(Skip::Offline),
        (Wanted::NotReady { .. }, _) => Some(Skip::NotReady),
        (Wanted::Ready, Doing::Offered { .. } | Doing::Talking { .. } | Doing::WrapUp { .. }) => Some(Skip::Occupied),
        (Wanted::Ready, Doing::Nothing) if agent.profile.phone.is_none() || !agent.phone_registered => Some(Skip::NoPhone),
        (Wanted::Ready, Doing::Nothing) if tried.contains(&agent.profile.id) => Some(Skip::Tried),
        (Wanted::Ready, Doing::Nothing) => None,
    }
}
