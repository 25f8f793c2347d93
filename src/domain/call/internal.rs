//! A call from one phone of ours to another: no queue, no pop, no wrap-up; the caller hears why it failed.

use super::{
    AgentMove, LegEnd, PhoneTarget,
    inbound::Arrival,
    leg::{Display, Leg, LegRole},
    state::{Call, CallKind, Caller, Side, Stage},
    status::{Meaning, meaning},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{Direction, SegmentKind},
        media::plan::PortPair,
        routing::Doing,
    },
    ids::{InteractionId, Party},
};

/// Who a phone's call is from and for.
#[derive(Clone, Debug)]
pub struct InternalCall {
    /// The caller, from the account: never from the message.
    pub caller: Caller,
    /// The phone that is called.
    pub target: PhoneTarget,
    /// The agent whose phone is called.
    pub callee: Option<crate::ids::AgentId>,
}

impl Call {
    /// A phone's INVITE to a colleague was admitted: rings the colleague at once.
    pub fn start_internal(
        turn: &mut Turn<'_>,
        id: InteractionId,
        arrival: Arrival,
        internal: InternalCall,
        leg: Leg,
        ports: [PortPair; 2],
    ) -> Self {
        let InternalCall { caller, target, callee } = internal;
        let display = Display { name: caller.display_name.clone(), user: caller.user.clone(), hops: leg.hops() };
        let stage = Stage::Ringing { alive: false, silent_at: turn.now.mono + turn.house.policy.timing.phone_silence };
        let mut call = Self::open(turn, id, caller, CallKind::Internal { agents: Vec::new() }, leg, ports, stage);
        call.write_opening(turn, arrival.bounded(), Direction::Internal);
        call.enter(turn, true, SegmentKind::Ring);
        call.occupy_caller(turn);
        let formats = call.near.leg.formats_for_other(turn);
        let role = LegRole { party: Party::Agent, agent: callee };
        let leg = Leg::outgoing(turn, role, &target, &display, ports[1], &formats);
        call.far = Some(Side { leg, segment: None, closed: false });
        call.open_side(turn, false);
        call.enter(turn, false, SegmentKind::Ring);
        call
    }

    fn occupy_caller(&mut self, turn: &mut Turn<'_>) {
        let Some(agent) = self.near.leg.agent() else { return };
        let idle = turn.house.agents.get(agent).is_some_and(|agent| agent.doing == Doing::Nothing);
        if let (true, CallKind::Internal { agents }) = (idle, &mut self.kind) {
            agents.push(agent);
            Self::move_agent(turn, agent, AgentMove::Talking);
        }
    }

    /// The colleague's phone did not answer: the caller hears the nearest status.
    pub(super) fn colleague_refused(&mut self, turn: &mut Turn<'_>, end: LegEnd) {
        let Meaning { cause, caller_hears, .. } = meaning(end);
        self.refused_with = Some(caller_hears);
        self.end(turn, cause);
    }
}
