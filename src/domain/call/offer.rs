//! Offers to agents and the gate before the phone: pop first, then ring.
//!
//! ```text
//! offer ──▶ pop on the desk ──▶ acknowledged ─────────┐
//!   │              └── 150 ms without: a miss ────────┤──▶ INVITE to the phone ──▶ answered │ next agent
//!   └── no desk: name and one line on the display ────┘
//! ```

use super::{
    Action, AgentMove, LegEnd, QueueMove,
    counters::Counter,
    leg::{Display, Leg, LegRole},
    state::{Call, CallKind, Gate, Offering, Side, Stage},
    status::{Meaning, meaning},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{EndCause, Fact, OfferOutcome, SegmentKind},
        live::{AckLevel, OfferGone},
        routing::Doing,
    },
    fault::{self, Fault},
    ids::{AgentId, OfferId, Party},
};

/// Reason of a CANCEL that follows a caller's own (RFC 3326).
pub(super) const REASON_CALLER_GONE: &str = "SIP;cause=487;text=\"Caller hung up\"";
/// Reason of a CANCEL because the next agent is asked.
const REASON_NEXT_AGENT: &str = "SIP;cause=480;text=\"Offered to the next agent\"";

/// In a build for controls: the caller whose call panics when it is answered.
const FAULTY_CALLER: &str = "Faulty Call";

impl Call {
    /// Offers the call to the agent whom the queue found for it.
    pub fn offer_to(&mut self, turn: &mut Turn<'_>, agent: AgentId) {
        if !matches!(self.stage, Stage::Waiting) {
            return turn.act(Action::Queue(QueueMove::Leave));
        }
        let offer = OfferId::new(turn.now.wall, turn.tokens.entropy());
        let at_ms = self.axis_ms(turn.now);
        let until = turn.now.mono + turn.house.policy.timing.pop_limit;
        self.stage = Stage::Offering(Offering { offer, agent, made: turn.now, acked_ms: None, gate: Gate::Shut { until } });
        Self::move_agent(turn, agent, AgentMove::Offered(offer));
        turn.fact(Fact::OfferMade { offer, work_item: None, interaction: self.id, agent, at_ms });
        turn.act(Action::Show(agent));
        let no_desk = turn.house.agents.get(agent).is_none_or(|agent| agent.desks == 0);
        if no_desk || fault::active(Fault::PopAfterRing) {
            self.ring_agent(turn, !no_desk);
        }
    }

    /// A desk shows the offer: the phone may ring.
    pub fn acknowledged(&mut self, turn: &mut Turn<'_>, agent: AgentId, offer: OfferId, _level: AckLevel) {
        let now_ms = self.axis_ms(turn.now);
        let Stage::Offering(offering) = &mut self.stage else { return turn.count(Counter::StaleDesk) };
        if (offering.agent, offering.offer) != (agent, offer) {
            return turn.count(Counter::StaleDesk);
        }
        if offering.acked_ms.is_some() {
            return;
        }
        offering.acked_ms = Some(now_ms);
        if matches!(offering.gate, Gate::Shut { .. }) {
            turn.count(Counter::PopShown);
            self.ring_agent(turn, true);
        }
    }

    /// The desk never acknowledged: the phone rings all the same.
    pub(super) fn pop_missed(&mut self, turn: &mut Turn<'_>) {
        turn.count(Counter::PopMissed);
        self.ring_agent(turn, true);
    }

    fn ring_agent(&mut self, turn: &mut Turn<'_>, has_desk: bool) {
        let at_ms = self.axis_ms(turn.now);
        let Stage::Offering(offering) = &mut self.stage else { return };
        let timing = &turn.house.policy.timing;
        offering.gate =
            Gate::Rung { at_ms, until: turn.now.mono + timing.agent_ring, alive: false, silent_at: turn.now.mono + timing.phone_silence };
        let agent = offering.agent;
        let phone = turn.house.agents.get(agent).and_then(|agent| agent.profile.phone);
        let Some(target) = phone.and_then(|phone| (turn.house.reach)(phone)) else {
            return self.offer_failed(turn, OfferOutcome::Failed, EndCause::NoAgent);
        };
        let name = if has_desk { self.caller.display_name.clone() } else { Some(self.brief.display_line()) };
        let display = Display { name, user: self.caller.user.clone(), hops: self.near.leg.hops() };
        let formats = self.near.leg.formats_for_other(turn);
        let role = LegRole { party: Party::Agent, agent: Some(agent) };
        let leg = Leg::outgoing(turn, role, &target, &display, self.ports[1], &formats);
        self.far = Some(Side { leg, segment: None, closed: false });
        self.open_side(turn, false);
        self.enter(turn, false, SegmentKind::Ring);
        turn.act(Action::Show(agent));
    }

    /// The phone answered with something: it is there.
    pub(super) fn far_alive(&mut self) {
        match &mut self.stage {
            Stage::Offering(Offering { gate: Gate::Rung { alive, .. }, .. }) | Stage::Ringing { alive, .. } => *alive = true,
            Stage::Offering(Offering { gate: Gate::Shut { .. }, .. })
            | Stage::LookingUp { .. }
            | Stage::Choosing
            | Stage::Waiting
            | Stage::TurnedAway { .. }
            | Stage::Talking { .. }
            | Stage::Ended => {}
        }
    }

    /// The other end sends audio before the answer.
    pub(super) fn far_early(&mut self, turn: &mut Turn<'_>) {
        match &self.kind {
            CallKind::Outbound(_) => self.trunk_early(turn),
            CallKind::Queue(_) | CallKind::Internal { .. } => self.far_rings(turn),
        }
    }

    /// The phone rings: the caller hears it.
    pub(super) fn far_rings(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.kind, CallKind::Outbound(_)) {
            return self.trunk_rings(turn);
        }
        self.far_alive();
        let first = self.ring_near_at.is_some() && !self.near.leg.has_rung();
        if first {
            self.ring_near(turn);
        }
    }

    pub(super) fn ring_near(&mut self, turn: &mut Turn<'_>) {
        self.near.leg.ring(turn);
        self.ring_near_at = Some(turn.now.mono + turn.house.policy.timing.ringing_repeat);
    }

    /// The agent declines at the desk.
    pub fn declined_at_desk(&mut self, turn: &mut Turn<'_>, agent: AgentId, offer: OfferId) {
        match &self.stage {
            Stage::Offering(offering) if (offering.agent, offering.offer) == (agent, offer) => {
                self.offer_failed(turn, OfferOutcome::Declined, EndCause::Declined);
            }
            Stage::LookingUp { .. }
            | Stage::Choosing
            | Stage::Waiting
            | Stage::TurnedAway { .. }
            | Stage::Offering(_)
            | Stage::Ringing { .. }
            | Stage::Talking { .. }
            | Stage::Ended => {
                turn.count(Counter::StaleDesk);
            }
        }
    }

    /// The agent's phone rang as long as it may, or never said a word.
    pub(super) fn agent_silent(&mut self, turn: &mut Turn<'_>, alive: bool) {
        match alive {
            true => self.offer_failed(turn, OfferOutcome::NoAnswer, EndCause::NoAnswer),
            false => self.offer_failed(turn, OfferOutcome::Failed, EndCause::SignallingLost),
        }
    }

    /// The phone's INVITE ended without an answer.
    pub(super) fn phone_refused(&mut self, turn: &mut Turn<'_>, end: LegEnd) {
        let Meaning { outcome, cause, .. } = meaning(end);
        self.offer_failed(turn, outcome, cause);
    }

    fn offer_failed(&mut self, turn: &mut Turn<'_>, outcome: OfferOutcome, cause: EndCause) {
        let why = match outcome {
            OfferOutcome::Declined => OfferGone::Declined,
            OfferOutcome::Busy => OfferGone::PhoneBusy,
            OfferOutcome::NoAnswer => OfferGone::NoAnswer,
            OfferOutcome::Failed | OfferOutcome::Accepted | OfferOutcome::Abandoned => OfferGone::PhoneFailed,
        };
        let Stage::Offering(Offering { agent, .. }) = self.stage else { return };
        self.not_taken = match outcome {
            OfferOutcome::Declined => EndCause::Declined,
            OfferOutcome::Busy => EndCause::Busy,
            OfferOutcome::NoAnswer => EndCause::NoAnswer,
            // A phone that failed was nobody to ask.
            OfferOutcome::Failed | OfferOutcome::Accepted | OfferOutcome::Abandoned => self.not_taken,
        };
        self.far_leaves(turn, cause, REASON_NEXT_AGENT);
        self.offer_over(turn, outcome, Some(why));
        self.keep_waiting(turn, agent);
    }

    /// The far leg lost: it says goodbye by itself, the record has its end now.
    pub(super) fn far_leaves(&mut self, turn: &mut Turn<'_>, cause: EndCause, reason: &'static str) {
        let now_ms = self.axis_ms(turn.now);
        if let Some(far) = &mut self.far {
            Self::close_side(far, turn, now_ms, cause);
            far.leg.leave(turn, reason);
        }
        self.leaving.extend(self.far.take().map(|far| far.leg));
    }

    /// Writes how the offer ended; `gone` tells the desk, and frees the agent.
    pub(super) fn offer_over(&mut self, turn: &mut Turn<'_>, outcome: OfferOutcome, gone: Option<OfferGone>) {
        let now_ms = self.axis_ms(turn.now);
        let Stage::Offering(offering) = &self.stage else { return };
        let rang_ms = match offering.gate {
            Gate::Shut { .. } => None,
            Gate::Rung { at_ms, .. } => Some(at_ms),
        };
        let lead_ms =
            offering.acked_ms.zip(rang_ms).map(|(acked, rang)| i32::try_from(i64::from(rang) - i64::from(acked)).unwrap_or(i32::MIN));
        let (offer, agent, acked_ms) = (offering.offer, offering.agent, offering.acked_ms);
        self.stage = Stage::Choosing;
        turn.fact(Fact::OfferEnded { offer, outcome, acked_ms, rang_ms, lead_ms, at_ms: now_ms });
        if let Some(why) = gone {
            turn.act(Action::OfferGone { agent, offer, why });
            Self::move_agent(turn, agent, AgentMove::Free);
            turn.act(Action::Show(agent));
        }
    }

    /// Somebody answered: the caller gets our 200, both hear each other.
    pub(super) fn far_answered(&mut self, turn: &mut Turn<'_>) {
        let Some(far) = &self.far else { return };
        let codec = self.near.leg.promised_codec().unwrap_or_else(|| far.leg.codec());
        if !self.near.leg.is_up() && self.near.leg.answer(turn, codec).is_err() {
            turn.count(Counter::NotAcceptable);
            return self.end(turn, EndCause::NotAcceptable);
        }
        self.ring_near_at = None;
        self.offer_over(turn, OfferOutcome::Accepted, None);
        self.leave_queue(turn);
        self.occupy_talkers(turn);
        self.stage = Stage::Talking { since: turn.now, held: None, trouble: None };
        self.enter(turn, true, SegmentKind::Talk);
        self.enter(turn, false, SegmentKind::Talk);
        self.start_recording(turn);
        if self.near.leg.peer_holds() {
            // A caller may have put us on hold while waiting.
            self.re_offered(turn);
        } else {
            self.replan(turn);
        }
        self.equalise(turn, true);
        let chosen = self.caller.display_name.as_deref() == Some(FAULTY_CALLER);
        assert!(!(chosen && fault::active(Fault::PanicInCall)), "the fault that a control asked for");
        self.show(turn);
    }

    fn occupy_talkers(&mut self, turn: &mut Turn<'_>) {
        let Some(agent) = self.far.as_ref().and_then(|far| far.leg.agent()) else { return };
        match &mut self.kind {
            CallKind::Outbound(_) => {}
            CallKind::Queue(_) => Self::move_agent(turn, agent, AgentMove::Talking),
            CallKind::Internal { agents } => {
                let idle = turn.house.agents.get(agent).is_some_and(|agent| agent.doing == Doing::Nothing);
                if idle {
                    agents.push(agent);
                    Self::move_agent(turn, agent, AgentMove::Talking);
                }
            }
        }
    }
}
