//! What an agent's desk shows of a call: the pop, the call bar, the wrap-up.

use super::state::{Call, CallKind, Gate, Stage};
use crate::{
    domain::{
        fact::Direction,
        live::{CallView, OfferView, WrapUpView},
    },
    ids::{AgentId, PhoneNumber},
};

impl Call {
    /// Name and number of the caller, as far as they are known.
    pub fn who(&self) -> (Option<String>, Option<PhoneNumber>) {
        let customer = self.brief.customer.as_ref().map(|who| who.name.clone());
        (customer.or_else(|| self.caller.display_name.clone()), self.caller.number.clone())
    }

    /// The offer at this agent's desk.
    pub fn offer_view(&self, agent: AgentId) -> Option<OfferView> {
        let Stage::Offering(offering) = &self.stage else { return None };
        (offering.agent == agent).then(|| OfferView {
            offer: offering.offer,
            interaction: self.id,
            at: offering.made.wall,
            waited_ms: self.axis_ms(offering.made),
            queue: self.queue_name().to_owned(),
            ringing: matches!(offering.gate, Gate::Rung { .. }),
            brief: self.brief.clone(),
        })
    }

    /// The call that this agent is in.
    pub fn call_view(&self, agent: AgentId, record_on_hold: bool) -> Option<CallView> {
        let (since, held, trouble) = match &self.stage {
            Stage::Talking { since, held, trouble } => (Some(since), *held, trouble.clone()),
            Stage::Ringing { .. } if self.dialled_by().is_some() => (None, None, None),
            _ => return None,
        };
        self.occupied().contains(&agent).then(|| CallView {
            interaction: self.id,
            direction: self.direction(),
            started_at: self.start.wall,
            answered_at: since.map(|since| since.wall),
            held_since: held.map(|held| held.wall),
            recording: self.records_now(record_on_hold),
            trouble,
            trouble_since: self.sound.since(),
            sound: self.sound.poor(),
            queue: self.queue_name().to_owned(),
            brief: self.brief.clone(),
        })
    }

    fn direction(&self) -> Direction {
        match &self.kind {
            CallKind::Queue(_) => Direction::Inbound,
            CallKind::Internal { .. } => Direction::Internal,
            CallKind::Outbound(_) => Direction::Outbound,
        }
    }

    /// The wrap-up that this agent does.
    pub fn wrap_up_view(&self, agent: AgentId) -> Option<WrapUpView> {
        let wrap_up = self.wrap_up.as_ref().filter(|wrap_up| wrap_up.agent == agent)?;
        Some(WrapUpView {
            interaction: self.id,
            direction: self.direction(),
            ended_at: wrap_up.ended_at,
            talked_ms: wrap_up.talked_ms,
            until: wrap_up.until_wall,
            may_extend: !wrap_up.extended,
            brief: self.brief.clone(),
        })
    }
}
