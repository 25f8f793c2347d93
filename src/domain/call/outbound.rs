//! A call from a phone of ours to somebody outside: one trunk after the other until one rings, then the talk, then wrap-up.
//!
//! ```text
//! dialled ─▶ trunk 1 ── 5xx, 408, silence ─▶ trunk 2 ── 180, 183 ─▶ rings ── 200 ─▶ talk
//!                └─── 404, 486, 603 … ─▶ the phone hears the same
//! ```
//! The desk shows who is called, and their history, while it rings.

use std::collections::VecDeque;

use super::{
    Action, AgentMove, LegEnd,
    counters::Counter,
    inbound::Arrival,
    leg::{Leg, TrunkTarget},
    state::{Call, CallKind, Caller, Side, Stage},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{Direction, EndCause, SegmentKind},
        media::plan::PortPair,
        routing::{Doing, Queue},
    },
    ids::{AgentId, InteractionId, PhoneId, PhoneNumber},
};

/// Reason of a CANCEL because the next trunk is tried (RFC 3326).
const REASON_NEXT_TRUNK: &str = "SIP;cause=503;text=\"Tried elsewhere\"";

/// What a phone's call to the outside is told once.
#[derive(Clone, Debug)]
pub struct OutboundCall {
    /// The account that dialled.
    pub phone: PhoneId,
    /// The number in E.164; `None` for emergency and short numbers.
    pub number: Option<PhoneNumber>,
    /// Whether it is help that is called.
    pub emergency: bool,
    /// The queue whose wrap-up applies to it; none: there is no wrap-up.
    pub queue: Option<Queue>,
    /// Addresses of trunks, in the order in which they are tried.
    pub targets: Vec<TrunkTarget>,
}

/// A call to the outside under way.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The account that dialled.
    pub(super) phone: PhoneId,
    pub(super) emergency: bool,
    pub(super) queue: Option<Queue>,
    /// The agent whom the call occupies: theirs is the pop and the wrap-up.
    pub(super) agent: Option<AgentId>,
    /// Still to be tried.
    targets: VecDeque<TrunkTarget>,
    /// Somebody rings or speaks: from now on no other trunk is tried.
    progressed: bool,
    /// The phone hears what the trunk says before the answer.
    pub(super) early: bool,
}

impl Call {
    /// A phone's INVITE to the outside was admitted: tries the first trunk at once.
    pub fn start_outbound(
        turn: &mut Turn<'_>,
        id: InteractionId,
        arrival: Arrival,
        dialled: OutboundCall,
        leg: Leg,
        ports: [PortPair; 2],
    ) -> Self {
        let OutboundCall { phone, number, emergency, queue, targets } = dialled;
        let caller = Caller { number: number.clone(), display_name: None, user: arrival.called.clone() };
        let queue_name = queue.as_ref().map(|queue| queue.name.clone()).unwrap_or_default();
        let outbound = Outbound { phone, emergency, queue, agent: None, targets: targets.into(), progressed: false, early: false };
        let stage = Stage::Ringing { alive: false, silent_at: turn.now.mono + turn.house.policy.timing.phone_silence };
        let mut call = Self::open(turn, id, caller, CallKind::Outbound(Box::new(outbound)), leg, ports, stage);
        // The phone hears ringing when the other end rings, not before.
        call.ring_near_at = None;
        call.write_opening(turn, arrival.bounded(), Direction::Outbound);
        call.enter(turn, true, SegmentKind::Ring);
        if number.is_some() {
            turn.act(Action::LookUp { number, display_name: None, queue: queue_name });
        }
        call.occupy_dialler(turn);
        call.try_next_trunk(turn, EndCause::TrunkFailed);
        call
    }

    fn outbound(&mut self) -> Option<&mut Outbound> {
        match &mut self.kind {
            CallKind::Outbound(outbound) => Some(outbound),
            CallKind::Queue(_) | CallKind::Internal { .. } => None,
        }
    }

    /// The account that dialled, for a call to the outside.
    pub fn dialled_by(&self) -> Option<PhoneId> {
        match &self.kind {
            CallKind::Outbound(outbound) => Some(outbound.phone),
            CallKind::Queue(_) | CallKind::Internal { .. } => None,
        }
    }

    /// Whether it is help that is called: such a call is the last to be given up.
    pub fn is_emergency(&self) -> bool {
        matches!(&self.kind, CallKind::Outbound(outbound) if outbound.emergency)
    }

    fn occupy_dialler(&mut self, turn: &mut Turn<'_>) {
        let Some(agent) = self.near.leg.agent() else { return };
        let idle = turn.house.agents.get(agent).is_some_and(|agent| agent.doing == Doing::Nothing);
        if let Some(outbound) = self.outbound().filter(|_| idle) {
            outbound.agent = Some(agent);
            Self::move_agent(turn, agent, AgentMove::Talking);
            turn.act(Action::Show(agent));
        }
    }

    /// Tries the next trunk that has room; ends the call with `cause` where none is left.
    fn try_next_trunk(&mut self, turn: &mut Turn<'_>, cause: EndCause) {
        let hops = self.near.leg.hops();
        let formats = self.near.leg.formats_for_other(turn);
        let ports = self.ports[1];
        let Some(outbound) = self.outbound() else { return };
        let emergency = outbound.emergency;
        let target = std::iter::from_fn(|| outbound.targets.pop_front()).find(|to| emergency || (turn.house.trunk_has_room)(to.trunk));
        let Some(target) = target else { return self.end(turn, cause) };
        self.trunk = Some(target.trunk);
        self.refused_with = None;
        self.stage = Stage::Ringing { alive: false, silent_at: turn.now.mono + turn.house.policy.timing.phone_silence };
        turn.act(Action::TrunkTried(target.trunk));
        let leg = Leg::to_trunk(turn, &target, hops, ports, &formats);
        self.far = Some(Side { leg, segment: None, closed: false });
        self.open_side(turn, false);
        self.enter(turn, false, SegmentKind::Ring);
    }

    /// The trunk said no, or nothing: the next one is asked where that may help, or the phone hears why.
    pub(super) fn trunk_refused(&mut self, turn: &mut Turn<'_>, end: LegEnd) {
        let (status, cause) = outcome(end);
        self.refused_with = Some(status);
        let Some(outbound) = self.outbound() else { return };
        let elsewhere = outbound.emergency || may_go_elsewhere(end);
        if outbound.progressed || !elsewhere {
            return self.end(turn, cause);
        }
        self.far_leaves(turn, cause, REASON_NEXT_TRUNK);
        if self.outbound().is_some_and(|outbound| !outbound.targets.is_empty()) {
            turn.count(Counter::TrunkFailedOver);
        }
        self.try_next_trunk(turn, cause);
    }

    /// The trunk answered with nothing at all.
    pub(super) fn trunk_silent(&mut self, turn: &mut Turn<'_>) {
        self.trunk_refused(turn, LegEnd::Unreachable);
    }

    /// The other end rings: the phone hears it from the trunk, or makes its own tone.
    pub(super) fn trunk_rings(&mut self, turn: &mut Turn<'_>) {
        self.far_alive();
        if let Some(outbound) = self.outbound() {
            outbound.progressed = true;
        }
        if !self.near.leg.has_rung() {
            self.ring_near(turn);
        }
    }

    /// The trunk sends audio before the answer: a tone of its own, or words such as that the number is not in service.
    pub(super) fn trunk_early(&mut self, turn: &mut Turn<'_>) {
        self.far_alive();
        let codec = self.far.as_ref().map(|far| far.leg.codec());
        let audible = self.far.as_ref().is_some_and(|far| far.leg.has_early_media());
        let Some(outbound) = self.outbound() else { return };
        outbound.progressed = true;
        let Some(codec) = codec.filter(|_| audible) else { return };
        if self.near.leg.progress(turn, codec) {
            if let Some(outbound) = self.outbound() {
                outbound.early = true;
            }
            self.ring_near_at = Some(turn.now.mono + turn.house.policy.timing.ringing_repeat);
            self.replan(turn);
        } else if !self.near.leg.has_rung() {
            self.ring_near(turn);
        }
    }

    /// Whether the phone hears the trunk before the answer.
    pub(super) fn has_early_media(&self) -> bool {
        let ringing = matches!(self.stage, Stage::Ringing { .. });
        ringing && matches!(&self.kind, CallKind::Outbound(outbound) if outbound.early)
    }

    /// The agent who speaks for us in it.
    pub(super) fn serving_agent(&self) -> Option<AgentId> {
        match &self.kind {
            CallKind::Outbound(_) => self.near.leg.agent(),
            CallKind::Queue(_) | CallKind::Internal { .. } => self.far.as_ref().and_then(|far| far.leg.agent()),
        }
    }
}

/// Whether another trunk may do better: it failed, rather than somebody having said no.
fn may_go_elsewhere(end: LegEnd) -> bool {
    match end {
        LegEnd::Refused(status) => matches!(status, 300..=399 | 401 | 407 | 408 | 500..=599),
        LegEnd::Unreachable => true,
        LegEnd::Cancelled | LegEnd::HungUp | LegEnd::NotAcknowledged | LegEnd::DialogLost | LegEnd::NotAcceptable => false,
    }
}

/// What a trunk's refusal is to the phone, and in the record. A challenge or a redirection never reaches the phone.
fn outcome(end: LegEnd) -> (u16, EndCause) {
    match end {
        LegEnd::Refused(status @ (486 | 600)) => (status, EndCause::Busy),
        LegEnd::Refused(status @ (603 | 607 | 608)) => (status, EndCause::Declined),
        LegEnd::Refused(status @ (404 | 410 | 484 | 485 | 604)) => (status, EndCause::UnknownNumber),
        LegEnd::Refused(status @ (408 | 480)) => (status, EndCause::NoAnswer),
        LegEnd::Refused(487) => (480, EndCause::NoAnswer),
        LegEnd::Refused(415 | 488 | 606) | LegEnd::NotAcceptable => (488, EndCause::NotAcceptable),
        LegEnd::Refused(403) => (403, EndCause::TrunkFailed),
        LegEnd::Refused(_) | LegEnd::Unreachable | LegEnd::Cancelled | LegEnd::HungUp | LegEnd::NotAcknowledged | LegEnd::DialogLost => {
            (503, EndCause::TrunkFailed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunks_status_reaches_the_phone_by_this_table() {
        for (status, phone, cause) in [
            (302, 503, EndCause::TrunkFailed),
            (400, 503, EndCause::TrunkFailed),
            (401, 503, EndCause::TrunkFailed),
            (403, 403, EndCause::TrunkFailed),
            (404, 404, EndCause::UnknownNumber),
            (407, 503, EndCause::TrunkFailed),
            (408, 408, EndCause::NoAnswer),
            (410, 410, EndCause::UnknownNumber),
            (480, 480, EndCause::NoAnswer),
            (484, 484, EndCause::UnknownNumber),
            (486, 486, EndCause::Busy),
            (487, 480, EndCause::NoAnswer),
            (488, 488, EndCause::NotAcceptable),
            (500, 503, EndCause::TrunkFailed),
            (503, 503, EndCause::TrunkFailed),
            (600, 600, EndCause::Busy),
            (603, 603, EndCause::Declined),
            (604, 604, EndCause::UnknownNumber),
        ] {
            assert_eq!(outcome(LegEnd::Refused(status)), (phone, cause), "{status}");
        }
    }

    #[test]
    fn another_trunk_is_asked_only_where_the_trunk_failed() {
        let elsewhere = |status| may_go_elsewhere(LegEnd::Refused(status));
        assert!([302, 401, 407, 408, 500, 502, 503, 504, 580].into_iter().all(elsewhere));
        assert!(![400, 403, 404, 410, 480, 484, 486, 488, 600, 603, 604, 606].into_iter().any(elsewhere));
    }
}
