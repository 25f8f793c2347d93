//! One agent: what they want to be, what they are doing, and how that shows.

use std::time::Instant;

use crate::{
    domain::fact::AgentState,
    ids::{AgentId, InteractionId, OfferId, PhoneId},
    time::UnixMs,
};

/// What is known about an agent from the record.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentProfile {
    /// The agent.
    pub id: AgentId,
    /// Their name.
    pub name: String,
    /// Names of the queues that they serve.
    pub queues: Vec<String>,
    /// Their phone.
    pub phone: Option<PhoneId>,
}

/// What the agent asked to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Not here.
    Offline,
    /// May be offered work.
    Ready,
    /// Here, but not to be offered work.
    NotReady {
        /// Why.
        reason: Option<String>,
    },
}

/// What the switch has them do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing: what they want is what they are.
    Nothing,
    /// An offer is at their desk or phone.
    Offered {
        /// The offer.
        offer: OfferId,
        /// Its call.
        interaction: InteractionId,
    },
    /// In a call.
    Talking {
        /// The call.
        interaction: InteractionId,
    },
    /// After a call.
    WrapUp {
        /// The call.
        interaction: InteractionId,
    },
}

/// One agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// From the record.
    pub profile: AgentProfile,
    /// What they asked to be; takes effect when they do nothing else.
    pub wanted: Wanted,
    /// What they do.
    pub doing: Doing,
    /// Since when the shown state holds.
    pub since: UnixMs,
    /// Since when they have been free: the longest idle is chosen first.
    pub idle_since: Instant,
    /// Desks that are open.
    pub desks: u16,
    /// Whether their phone has a binding.
    pub phone_registered: bool,
}

impl Agent {
    /// The state that the desk, the board and the record show.
    pub fn state(&self) -> AgentState {
        match (&self.doing, &self.wanted) {
            (Doing::Offered { .. }, _) => AgentState::Offered,
            (Doing::Talking { .. }, _) => AgentState::Busy,
            (Doing::WrapUp { .. }, _) => AgentState::WrapUp,
            (Doing::Nothing, Wanted::Offline) => AgentState::Offline,
            (Doing::Nothing, Wanted::Ready) => AgentState::Ready,
            (Doing::Nothing, Wanted::NotReady { .. }) => AgentState::NotReady,
        }
    }

    /// The reason they gave for not being ready, while they are not.
    pub fn reason(&self) -> Option<&str> {
        match (&self.doing, &self.wanted) {
            (Doing::Nothing, Wanted::NotReady { reason }) => reason.as_deref(),
            (Doing::Nothing, Wanted::Offline | Wanted::Ready)
            | (Doing::Offered { .. } | Doing::Talking { .. } | Doing::WrapUp { .. }, _) => None,
        }
    }

    /// Whether they serve this queue.
    pub fn serves(&self, queue: &str) -> bool {
        self.profile.queues.iter().any(|served| served == queue)
    }

    /// Whether work may be put to them now: ready, doing nothing, with a phone that is there.
    pub fn may_be_offered(&self) -> bool {
        self.wanted == Wanted::Ready && self.doing == Doing::Nothing && self.profile.phone.is_some() && self.phone_registered
    }

    /// The call that occupies them.
    pub fn interaction(&self) -> Option<InteractionId> {
        match self.doing {
            Doing::Nothing => None,
            Doing::Offered { interaction, .. } | Doing::Talking { interaction } | Doing::WrapUp { interaction } => Some(interaction),
        }
    }
}
