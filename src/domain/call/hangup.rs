//! How a call ends: whoever ended it, both sides hear it, the record gets one outcome, media and agents are let go.

use super::{
    Action, AgentMove, LegEnd,
    counters::Counter,
    offer::REASON_CALLER_GONE,
    state::{Call, CallKind, Stage},
    status::{queued_status_for, status_for},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{EndCause, Fact, OfferOutcome, WorkItemKind},
        live::OfferGone,
    },
    ids::{AgentId, WorkItemId},
};

impl Call {
    /// A leg is over.
    pub(super) fn leg_ended(&mut self, turn: &mut Turn<'_>, near: bool, end: LegEnd) {
        match (&self.stage, &self.kind, near) {
            (Stage::Ended, _, _) => {}
            (Stage::LookingUp { .. } | Stage::Choosing | Stage::Waiting | Stage::Offering(_) | Stage::Ringing { .. }, _, true) => {
                let cause = match end {
                    // CANCEL before our 200, BYE after it: one outcome.
                    LegEnd::Cancelled | LegEnd::HungUp => EndCause::Abandoned,
                    LegEnd::Refused(_) | LegEnd::Unreachable | LegEnd::NotAcknowledged | LegEnd::NotAcceptable | LegEnd::DialogLost => {
                        self.lost_cause(end, true)
                    }
                };
                self.end(turn, cause);
            }
            // They were told that nobody will answer: that they go now changes nothing.
            (Stage::TurnedAway { cause, .. }, _, true) => {
                let cause = *cause;
                self.end(turn, cause);
            }
            (Stage::Offering(_), _, false) => self.phone_refused(turn, end),
            // Nobody is asked in these.
            (Stage::Choosing | Stage::Waiting | Stage::TurnedAway { .. } | Stage::LookingUp { .. }, _, false) => {}
            (Stage::Ringing { .. }, CallKind::Outbound(_), false) => self.trunk_refused(turn, end),
            (Stage::Ringing { .. }, _, false) => self.colleague_refused(turn, end),
            (Stage::Talking { .. }, kind, near) => {
                let cause = match (end, kind, near) {
                    (LegEnd::HungUp, CallKind::Queue(_), true) | (LegEnd::HungUp, CallKind::Outbound(_), false) => EndCause::CustomerHungUp,
                    (LegEnd::HungUp, _, _) => EndCause::AgentHungUp,
                    (other, _, near) => self.lost_cause(other, near),
                };
                self.end(turn, cause);
            }
        }
    }

    /// The agent hangs up from the desk.
    pub fn hung_up_at_desk(&mut self, turn: &mut Turn<'_>, agent: AgentId) {
        let theirs = self.far.as_ref().is_some_and(|far| far.leg.agent() == Some(agent)) || self.near.leg.agent() == Some(agent);
        let rings_outside = matches!((&self.stage, &self.kind), (Stage::Ringing { .. }, CallKind::Outbound(_)));
        if self.is_talking() && theirs {
            self.end(turn, EndCause::AgentHungUp);
        } else if rings_outside && theirs {
            self.end(turn, EndCause::Abandoned);
        } else {
            turn.count(Counter::StaleDesk);
        }
    }

    /// Ends the call from whatever it is in. Does nothing a second time.
    pub fn end(&mut self, turn: &mut Turn<'_>, cause: EndCause) {
        if self.has_ended() {
            return;
        }
        let at_ms = self.axis_ms(turn.now);
        let talked = match &self.stage {
            Stage::Talking { since, .. } => Some(*since),
            Stage::LookingUp { .. }
            | Stage::Choosing
            | Stage::Waiting
            | Stage::TurnedAway { .. }
            | Stage::Offering(_)
            | Stage::Ringing { .. }
            | Stage::Ended => None,
        };
        self.end_offer(turn, cause);
        self.leave_queue(turn);
        self.ring_near_at = None;
        self.near.leg.end(turn, self.near_hears(cause), reason_for(cause));
        Self::close_side(&mut self.near, turn, at_ms, cause);
        let answered_by = talked.and_then(|_| self.serving_agent());
        if let Some(far) = &mut self.far {
            far.leg.end(turn, 480, reason_for(cause));
            Self::close_side(far, turn, at_ms, cause);
        }
        if self.has_media() {
            turn.act(Action::CloseMedia);
            self.close_media_by = Some(turn.now.mono + turn.house.policy.timing.media_close_limit);
        }
        self.stage = Stage::Ended;
        turn.fact(Fact::InteractionEnded { interaction: self.id, at_ms, cause, answered_by });
        self.settle(turn, talked, answered_by);
    }

    /// Says goodbye on every leg once more: after a mistake of ours some may not have heard it.
    pub fn end_legs(&mut self, turn: &mut Turn<'_>) {
        let reason = reason_for(EndCause::Bug);
        self.near.leg.end(turn, 500, reason);
        let others = self.far.iter_mut().map(|far| &mut far.leg).chain(&mut self.leaving);
        others.for_each(|leg| leg.end(turn, 500, reason));
    }

    /// The status that an unanswered caller gets.
    fn near_hears(&self, cause: EndCause) -> u16 {
        match (&self.kind, self.refused_with) {
            (CallKind::Queue(_), _) => queued_status_for(cause),
            (CallKind::Internal { .. } | CallKind::Outbound(_), Some(status)) => status,
            (CallKind::Internal { .. } | CallKind::Outbound(_), None) => status_for(cause),
        }
    }

    fn end_offer(&mut self, turn: &mut Turn<'_>, cause: EndCause) {
        let (outcome, why) = match cause {
            EndCause::Abandoned | EndCause::CustomerHungUp => (OfferOutcome::Abandoned, OfferGone::CallerHungUp),
            EndCause::NoAnswer | EndCause::Limit => (OfferOutcome::NoAnswer, OfferGone::NoAnswer),
            EndCause::AgentHungUp
            | EndCause::NoAgent
            | EndCause::Declined
            | EndCause::Busy
            | EndCause::AnsweredElsewhere
            | EndCause::SignallingLost
            | EndCause::MediaLost
            | EndCause::NotAcceptable
            | EndCause::UnknownNumber
            | EndCause::TrunkFailed
            | EndCause::Crash
            | EndCause::Bug
            | EndCause::Shutdown => (OfferOutcome::Failed, OfferGone::PhoneFailed),
        };
        self.offer_over(turn, outcome, Some(why));
    }

    /// What follows for people: wrap-up after a talk, a missed call to return, or just freedom.
    fn settle(&mut self, turn: &mut Turn<'_>, talked: Option<crate::time::Now>, answered_by: Option<AgentId>) {
        match &self.kind {
            CallKind::Internal { agents } => {
                for agent in agents.clone() {
                    Self::move_agent(turn, agent, AgentMove::Free);
                    turn.act(Action::Show(agent));
                }
            }
            CallKind::Outbound(outbound) => match (talked, outbound.agent) {
                (Some(since), Some(agent)) if outbound.queue.is_some() => self.start_wrap_up(turn, agent, since),
                (_, Some(agent)) => {
                    Self::move_agent(turn, agent, AgentMove::Free);
                    turn.act(Action::Show(agent));
                }
                (_, None) => {}
            },
            CallKind::Queue(queue) => match (talked, answered_by) {
                (Some(since), Some(agent)) => self.start_wrap_up(turn, agent, since),
                (Some(_), None) => {}
                (None, _) => {
                    let fact = Fact::WorkItemOpened {
                        work_item: WorkItemId::new(turn.now.wall, turn.tokens.entropy()),
                        kind: WorkItemKind::MissedCall,
                        interaction: self.id,
                        queue: queue.name.clone(),
                        priority: queue.priority,
                        at: turn.now.wall,
                        due: Some(turn.now.wall.plus_ms(i64::try_from(queue.missed_due.as_millis()).unwrap_or(i64::MAX))),
                    };
                    turn.fact(fact);
                }
            },
        }
    }
}

/// What a phone that still rings is told (RFC 3326).
fn reason_for(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Abandoned | EndCause::CustomerHungUp => REASON_CALLER_GONE,
        EndCause::Bug | EndCause::Crash => "SIP;cause=500;text=\"Internal error\"",
        EndCause::Shutdown => "SIP;cause=503;text=\"Shutting down\"",
        EndCause::MediaLost => "SIP;cause=408;text=\"No media\"",
        EndCause::SignallingLost => "SIP;cause=408;text=\"Peer lost\"",
        EndCause::NotAcceptable => "SIP;cause=488;text=\"No common codec\"",
        EndCause::Limit => "SIP;cause=480;text=\"Time limit\"",
        EndCause::NoAgent | EndCause::NoAnswer | EndCause::Busy | EndCause::Declined => "SIP;cause=480;text=\"Not answered\"",
        EndCause::UnknownNumber => "SIP;cause=404;text=\"No such number\"",
        EndCause::TrunkFailed => "SIP;cause=503;text=\"Trunk failed\"",
        EndCause::AgentHungUp => "Q.850;cause=16;text=\"Normal call clearing\"",
        EndCause::AnsweredElsewhere => "SIP;cause=200;text=\"Call completed elsewhere\"",
    }
}
