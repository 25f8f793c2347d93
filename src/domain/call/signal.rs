//! From the endpoint to the right leg, and from the leg's event to the call.

use super::{
    LegEvent, Purpose,
    leg::{Leg, in_dialog::Asked},
    state::Call,
    turn::Turn,
};
use crate::{
    ids::LegId,
    protocol::sip::{flow::Flow, message::Message},
};

impl Call {
    /// A request in a leg's dialog, other than ACK and CANCEL; it gets its final response.
    pub fn on_request(&mut self, turn: &mut Turn<'_>, leg: LegId, request: &Message<'_>, asked: Asked) {
        self.with_leg(turn, leg, |leg, turn| leg.on_request(turn, request, asked));
    }

    /// The ACK of a 2xx.
    pub fn on_ack(&mut self, turn: &mut Turn<'_>, leg: LegId, ack: &Message<'_>) {
        self.with_leg(turn, leg, |leg, turn| leg.on_ack(turn, ack));
    }

    /// The caller cancelled before our final response.
    pub fn on_cancel(&mut self, turn: &mut Turn<'_>, leg: LegId) {
        self.with_leg(turn, leg, |leg, turn| leg.cancelled(turn));
    }

    /// The caller's connection is no more while the INVITE waits for our final response.
    pub fn on_caller_unreachable(&mut self, turn: &mut Turn<'_>, leg: LegId) {
        self.with_leg(turn, leg, |leg, turn| leg.unreachable(turn));
    }

    /// The flows of its legs.
    pub fn flows(&self) -> impl Iterator<Item = Flow> + '_ {
        self.legs().flat_map(Leg::flows)
    }

    /// Whether a leg of it is on this flow.
    pub fn uses(&self, flow: Flow) -> bool {
        self.flows().any(|known| known == flow)
    }

    /// A phone is somewhere else now.
    pub fn move_flow(&mut self, from: Flow, to: Flow) {
        self.legs_mut().for_each(|leg| leg.move_flow(from, to));
    }

    /// A connection is no more.
    pub fn stream_closed(&mut self, flow: Flow) {
        self.legs_mut().for_each(|leg| leg.stream_closed(flow));
    }

    fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        std::iter::once(&mut self.near.leg).chain(self.far.as_mut().map(|far| &mut far.leg)).chain(&mut self.leaving)
    }

    /// A response to a request of ours.
    pub fn on_response(&mut self, turn: &mut Turn<'_>, leg: LegId, purpose: Purpose, response: &Message<'_>) {
        self.with_leg(turn, leg, |leg, turn| leg.on_response(turn, purpose, response));
    }

    /// A request of ours that nobody answered or that could not be sent.
    pub fn on_no_response(&mut self, turn: &mut Turn<'_>, leg: LegId, purpose: Purpose) {
        self.with_leg(turn, leg, |leg, turn| leg.on_no_response(turn, purpose));
    }

    /// The caller's leg, as long as its INVITE waits for our final response: a CANCEL is for it.
    pub fn leg_to_cancel(&self) -> Option<LegId> {
        self.near.leg.open_invite().map(|_| self.near.leg.id())
    }

    /// The legs that still send or await something.
    pub fn living_legs(&self) -> impl Iterator<Item = LegId> + '_ {
        self.legs().filter(|leg| !leg.is_gone()).map(Leg::id)
    }

    /// One of its legs.
    pub fn leg(&self, leg: LegId) -> Option<&Leg> {
        self.legs().find(|candidate| candidate.id() == leg)
    }

    fn with_leg(&mut self, turn: &mut Turn<'_>, id: LegId, input: impl FnOnce(&mut Leg, &mut Turn<'_>) -> Option<LegEvent>) {
        if self.near.leg.id() == id {
            if let Some(event) = input(&mut self.near.leg, turn) {
                self.on_leg_event(turn, true, event);
            }
        } else if let Some(far) = self.far.as_mut().filter(|far| far.leg.id() == id) {
            if let Some(event) = input(&mut far.leg, turn) {
                self.on_leg_event(turn, false, event);
            }
        } else if let Some(leg) = self.leaving.iter_mut().find(|leg| leg.id() == id) {
            // It lost: what becomes of it means nothing to the call.
            let _ = input(leg, turn);
            self.leaving.retain(|leg| !leg.is_gone());
        }
    }
}
