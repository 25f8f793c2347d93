//! The leg of a phone that we ring (UAC side of the INVITE): offer, answer, CANCEL, and the second answer of a fork.

use super::{Display, Leg, LegRole, SessionTimer, State, wire};
use crate::{
    domain::{
        call::{Action, LegEnd, PhoneTarget, Purpose, counters::Counter, event::LegEvent, turn::Turn},
        media::plan::{Codec, PortPair},
    },
    ids::LegId,
    protocol::sdp::{Sdp, Session},
    protocol::sip::{
        build::{AddressHeader, Body, Header, Request},
        dialog::{Dialog, ends_dialog},
        field::{Address, CallId, HostBuf, Method, UriBuf},
        message::Message,
    },
};

impl Leg {
    /// Rings a phone with an offer of `codecs`, best first. From is written by us, never copied.
    pub fn outgoing(
        turn: &mut Turn<'_>,
        role: LegRole,
        target: &PhoneTarget,
        display: &Display,
        ports: PortPair,
        codecs: &[Codec],
    ) -> Self {
        let domain = HostBuf::new(&turn.house.policy.domain).unwrap_or(HostBuf::Ip(target.flow.remote.ip()));
        let (local_tag, call_id) = (turn.tokens.tag(), turn.tokens.call_id());
        let mut from = Address::new(UriBuf::sip(Some(&display.user), &domain, None)).with_tag(&local_tag);
        if let Some(name) = &display.name {
            from = from.with_display(name);
        }
        let to_us = UriBuf::sip(Some(&target.user), &domain, None);
        let uri = UriBuf::new(&target.contact).unwrap_or_else(|| to_us.clone());
        let contact = wire::contact(turn, target.flow);
        let id = CallId::new(&call_id).unwrap_or_else(|| unreachable!("tokens are letters, digits and hyphens"));
        let mut invite = Request::new(Method::Invite, uri, from.clone(), Address::new(to_us), id, 1);
        invite.max_forwards = display.hops;
        let asserted = Address { params: Vec::new(), ..from };
        invite.headers.push(Header::Address(AddressHeader::Contact, contact.clone()));
        invite.headers.push(Header::Address(AddressHeader::PAssertedIdentity, asserted));
        invite.headers.push(wire::allow());
        let mut leg = Self {
            id: LegId::new(turn.now.wall, turn.tokens.entropy()),
            role,
            flow: target.flow,
            networks: Vec::new(),
            ports,
            call_id: call_id.clone(),
            local_tag: local_tag.clone(),
            contact,
            session: Session::new(u64::from(turn.tokens.below(u32::MAX))),
            negotiated: None,
            expected: codecs.first().copied().unwrap_or(Codec::Pcma),
            hops: 0,
            epoch: 0,
            state: State::Gone,
            checked: false,
            final_status: None,
            session_timer: SessionTimer::None,
            refresh_by: None,
        };
        turn.act(Action::Index { leg: leg.id, call_id, local_tag });
        let local = leg.local_media(turn, codecs);
        invite.body = Some(Body::sdp(leg.session.offer(&local)));
        let invite = leg.send(turn, Purpose::Invite, invite);
        leg.state = State::Calling { invite, cancelled: false };
        leg
    }

    pub(super) fn cancel(&mut self, turn: &mut Turn<'_>, reason: &'static str) {
        if let State::Calling { cancelled, .. } = &mut self.state
            && !*cancelled
        {
            turn.act(Action::Cancel { leg: self.id, reason });
            *cancelled = true;
        }
    }

    /// A response to a request of ours in this leg.
    pub fn on_response(&mut self, turn: &mut Turn<'_>, purpose: Purpose, response: &Message<'_>) -> Option<LegEvent> {
        let status = response.status()?;
        match (purpose, status) {
            (Purpose::Invite, 100..=199) => self.on_provisional(status),
            (Purpose::Invite, 200..=299) => self.on_answer(turn, response),
            (Purpose::Invite, _) => self.on_refusal(turn, status),
            (Purpose::Bye | Purpose::Check | Purpose::EndFork, 100..=199) | (Purpose::EndFork, _) => None,
            (Purpose::Bye, _) => {
                self.gone(turn);
                None
            }
            (Purpose::Check, _) => self.on_check(turn, ends_dialog(status)),
        }
    }

    /// A request of ours was never answered, or the transport refused it.
    pub fn on_no_response(&mut self, turn: &mut Turn<'_>, purpose: Purpose) -> Option<LegEvent> {
        match purpose {
            Purpose::Invite => match &self.state {
                State::Calling { cancelled: true, .. } => {
                    self.gone(turn);
                    None
                }
                State::Calling { cancelled: false, .. } => self.ended(turn, LegEnd::Unreachable),
                State::Incoming { .. } | State::Up { .. } | State::Closing { .. } | State::Gone => None,
            },
            Purpose::Bye => {
                self.gone(turn);
                None
            }
            Purpose::Check => self.on_check(turn, true),
            Purpose::EndFork => None,
        }
    }

    fn on_check(&mut self, turn: &mut Turn<'_>, lost: bool) -> Option<LegEvent> {
        if !matches!(self.state, State::Up { leaving: false, .. }) {
            return None;
        }
        if lost {
            // The peer may have come back without the call: one BYE tells it, whatever becomes of it.
            self.bye(turn);
            return Some(LegEvent::Ended(LegEnd::DialogLost));
        }
        self.checked = false;
        Some(LegEvent::StillThere)
    }

    fn on_provisional(&self, status: u16) -> Option<LegEvent> {
        match (&self.state, status) {
            (State::Calling { cancelled: false, .. }, 180..=182) => Some(LegEvent::Ringing),
            (State::Calling { cancelled: false, .. }, 183) => Some(LegEvent::Early),
            (State::Calling { cancelled: false, .. }, _) => Some(LegEvent::Alive),
            (
                State::Calling { cancelled: true, .. } | State::Incoming { .. } | State::Up { .. } | State::Closing { .. } | State::Gone,
                _,
            ) => None,
        }
    }

    fn on_refusal(&mut self, turn: &mut Turn<'_>, status: u16) -> Option<LegEvent> {
        let State::Calling { cancelled, .. } = &self.state else { return None };
        let cancelled = *cancelled;
        self.final_status = Some(status);
        self.gone(turn);
        (!cancelled).then_some(LegEvent::Ended(LegEnd::Refused(status)))
    }

    /// A 2xx to our INVITE: the first, the same again, or that of another branch of a fork.
    fn on_answer(&mut self, turn: &mut Turn<'_>, response: &Message<'_>) -> Option<LegEvent> {
        let cseq = response.cseq().seq;
        let (invite, cancelled) = match &self.state {
            State::Calling { invite, cancelled } => (invite.clone(), *cancelled),
            State::Up { dialog, .. } | State::Closing { dialog } => {
                let same = response.to_tag() == Some(&*dialog.id().remote_tag);
                match dialog.remembered_ack(cseq).cloned() {
                    Some(ack) if same => turn.act(Action::Send { flow: self.flow, bytes: ack.to_vec() }),
                    Some(_) | None => self.end_fork(turn, response),
                }
                return None;
            }
            State::Incoming { .. } | State::Gone => return None,
        };
        let Ok(mut dialog) = Dialog::calling(&invite, self.contact.clone(), response) else {
            return self.ended(turn, LegEnd::NotAcceptable);
        };
        self.acknowledge(turn, &mut dialog, cseq);
        self.state = State::Up { dialog, await_ack: None, leaving: false };
        if cancelled {
            self.bye(turn);
            return None;
        }
        match Sdp::parse(response.body()).ok().and_then(|answer| self.session.read_answer(&answer).ok()) {
            Some(negotiated) => {
                self.agree(negotiated);
                Some(LegEvent::Answered)
            }
            None => {
                self.bye(turn);
                Some(LegEvent::Ended(LegEnd::NotAcceptable))
            }
        }
    }

    /// Another phone behind the same address answered too: acknowledged, then ended.
    fn end_fork(&self, turn: &mut Turn<'_>, response: &Message<'_>) {
        let domain = HostBuf::Ip(self.flow.remote.ip());
        let target = response.contacts().next().map_or_else(|| UriBuf::sip(None, &domain, None), |contact| UriBuf::from(contact.uri));
        let Some(id) = CallId::new(&self.call_id) else { return };
        let cseq = response.cseq().seq;
        let invite = Request::new(Method::Invite, target, response.from().to_owned(), response.to().to_owned(), id, cseq);
        let Ok(mut dialog) = Dialog::calling(&invite, self.contact.clone(), response) else { return };
        turn.count(Counter::SecondAnswer);
        self.acknowledge(turn, &mut dialog, cseq);
        let bye = dialog.request(Method::Bye);
        self.send(turn, Purpose::EndFork, bye);
    }
}
