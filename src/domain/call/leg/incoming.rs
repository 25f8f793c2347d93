//! The leg of whoever calls us (UAS side of the INVITE): ringing, the answer with its late offer, the refusal.

use super::{AwaitAck, Leg, LegRole, NotAcceptable, Renewal, SessionTimer, State, wire};
use crate::{
    domain::{
        call::{Action, LegEnd, event::LegEvent, turn::Turn},
        media::plan::{Codec, PortPair},
    },
    ids::LegId,
    protocol::sdp::{Refusal, Sdp, Session},
    protocol::sip::{
        answer_retransmission::{AnswerRetransmission, AnswerStep},
        build::{AddressHeader, Body, Header, Response},
        dialog::{Dialog, DialogError},
        flow::Flow,
        header::HeaderId,
        message::Message,
        transaction_layer::ServerId,
    },
};

/// An INVITE that passed the gate.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The INVITE.
    pub invite: &'a Message<'a>,
    /// Its transaction.
    pub server: ServerId,
    /// Where it came from.
    pub flow: Flow,
    /// Who it is.
    pub role: LegRole,
    /// Networks of the trunk; none for a phone.
    pub networks: Vec<ipnet::IpNet>,
    /// Our tag.
    pub local_tag: String,
    /// Our ports.
    pub ports: PortPair,
}

/// Why an INVITE makes no leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomingError {
    /// It makes no dialog: 400.
    Dialog(DialogError),
    /// Its offer leads to no audio: 488 with the Warning code.
    Offer(Option<Refusal>),
}

impl Leg {
    /// Opens the leg of a caller. An offer that leads to no audio is refused before anything rings.
    pub fn incoming(turn: &mut Turn<'_>, incoming: Incoming<'_>) -> Result<Self, IncomingError> {
        let Incoming { invite, server, flow, role, networks, local_tag, ports } = incoming;
        let contact = wire::contact(turn, flow);
        let dialog = Dialog::answering(invite, &local_tag, contact.clone()).map_err(IncomingError::Dialog)?;
        let mut template = Response::to(invite, 180, &local_tag, flow.remote);
        template.headers.push(Header::Address(AddressHeader::Contact, contact.clone()));
        template.headers.extend([wire::allow(), wire::supported()]);
        let offer = Some(invite.sdp()).filter(|sdp| !sdp.is_empty()).map(<[u8]>::to_vec);
        let mut leg = Self {
            id: LegId::new(turn.now.wall, turn.tokens.entropy()),
            role,
            flow,
            networks,
            ports,
            call_id: invite.call_id().to_owned(),
            local_tag: local_tag.clone(),
            contact,
            session: Session::new(u64::from(turn.tokens.below(u32::MAX))),
            negotiated: None,
            expected: turn.house.policy.codecs.first().copied().unwrap_or(Codec::Pcma),
            hops: invite.max_forwards().unwrap_or(70).min(70).saturating_sub(1),
            epoch: 0,
            state: State::Incoming { server, template, offer, dialog, rung: false },
            checked: false,
            final_status: None,
            session_timer: SessionTimer::of(invite),
            refresh: None,
            branches: Vec::new(),
            renewal: Renewal::default(),
            serves_update: invite.lists(HeaderId::Allow, "UPDATE"),
            knows: Vec::new(),
            makes_noise: false,
            trunk: None,
            early_answer: None,
        };
        leg.try_offer(turn)?;
        turn.act(Action::Index { leg: leg.id, call_id: leg.call_id.clone(), local_tag });
        Ok(leg)
    }

    fn try_offer(&mut self, turn: &Turn<'_>) -> Result<(), IncomingError> {
        let Some(offer) = self.offer().map(<[u8]>::to_vec) else { return Ok(()) };
        let sdp = Sdp::parse(&offer).map_err(|_| IncomingError::Offer(None))?;
        let local = self.local_media(turn, &turn.house.policy.codecs);
        self.makes_noise = sdp.audio().is_some_and(|audio| audio.comfort_noise.is_some());
        self.session.clone().answer(&sdp, &local).map(|_| ()).map_err(|refusal| IncomingError::Offer(Some(refusal)))
    }

    pub(super) fn offer(&self) -> Option<&[u8]> {
        match &self.state {
            State::Incoming { offer, .. } => offer.as_deref(),
            State::Calling { .. } | State::Up { .. } | State::Closing { .. } | State::Gone => None,
        }
    }

    /// Tells the caller that it rings: 180 without SDP.
    pub fn ring(&mut self, turn: &mut Turn<'_>) {
        if let State::Incoming { server, template, .. } = &self.state {
            let (server, response) = (*server, self.ringing(template));
            Self::respond(turn, server, response);
        }
        if let State::Incoming { rung, .. } = &mut self.state {
            *rung = true;
        }
    }

    /// Answers the caller: 200 with our answer in `codec` if it was offered, or with our offer where the INVITE had none.
    pub fn answer(&mut self, turn: &mut Turn<'_>, codec: Codec) -> Result<(), NotAcceptable> {
        self.expected = codec;
        let codecs = Self::codecs_from(turn, codec);
        let local = self.local_media(turn, &codecs);
        let State::Incoming { offer, .. } = &self.state else { return Err(NotAcceptable) };
        let (body, offered) = match offer.clone().as_deref() {
            Some(offer) => {
                let sdp = Sdp::parse(offer).map_err(|_| NotAcceptable)?;
                self.note_codecs(&sdp);
                // What was told before the answer is the answer (RFC 3261 §13.2.1): sound that plays already goes on as it is.
                let body = match &self.early_answer {
                    Some(told) => told.clone(),
                    None => {
                        let answer = self.session.answer(&sdp, &local).map_err(|_| NotAcceptable)?;
                        self.agree(answer.negotiated);
                        answer.sdp
                    }
                };
                (body, false)
            }
            None => (self.session.offer(&local), true),
        };
        let State::Incoming { server, template, dialog, .. } = &self.state else { return Err(NotAcceptable) };
        let (server, mut dialog) = (*server, dialog.clone());
        dialog.confirm(None);
        let mut response = wire::with_status(template, 200).with_body(Body::sdp(body));
        let (timer, cseq) = (self.session_timer, template.cseq.seq);
        response.headers.extend(timer.headers());
        self.restart_refresh(turn, timer);
        let bytes = Self::respond(turn, server, response);
        let repeat = AnswerRetransmission::start(turn.now.mono, bytes, turn.house.policy.timers);
        self.state = State::Up { dialog, await_ack: Some(AwaitAck { server, cseq, repeat, offered }), leaving: false };
        Ok(())
    }

    pub(super) fn refuse(&mut self, turn: &mut Turn<'_>, status: u16) {
        if let State::Incoming { server, template, .. } = &self.state {
            let (server, response) = (*server, wire::with_status(template, status));
            self.final_status = Some(status);
            Self::respond(turn, server, response);
            self.gone(turn);
        }
    }

    /// The caller cancelled in time: 487 to the INVITE.
    pub fn cancelled(&mut self, turn: &mut Turn<'_>) -> Option<LegEvent> {
        if !matches!(self.state, State::Incoming { .. }) {
            return None;
        }
        self.refuse(turn, 487);
        Some(LegEvent::Ended(LegEnd::Cancelled))
    }

    /// The connection that the INVITE came by is no more: nobody would hear our answer.
    pub fn unreachable(&mut self, turn: &mut Turn<'_>) -> Option<LegEvent> {
        if !matches!(self.state, State::Incoming { .. }) {
            return None;
        }
        self.refuse(turn, 480);
        Some(LegEvent::Ended(LegEnd::Unreachable))
    }

    /// Runs what is due: repetitions of our 2xx, its end, offers of ours, a session that was not refreshed.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) -> Option<LegEvent> {
        let now = turn.now.mono;
        if self.refresh.is_some_and(|refresh| now >= refresh.end()) {
            self.refresh = None;
            if matches!(self.state, State::Up { leaving: false, .. }) {
                self.bye(turn);
                return Some(LegEvent::Ended(LegEnd::DialogLost));
            }
        }
        if self.renewal_at().is_some_and(|at| now >= at) {
            self.pursue(turn);
        }
        let State::Up { await_ack, leaving, .. } = &mut self.state else { return None };
        let wait = await_ack.as_mut().filter(|wait| now >= wait.repeat.deadline())?;
        match wait.repeat.handle_timeout(now) {
            AnswerStep::Wait => None,
            AnswerStep::Send(bytes) => {
                let to = wait.server;
                turn.act(Action::Respond { to, status: 200, bytes: bytes.to_vec() });
                None
            }
            AnswerStep::GiveUp => {
                *await_ack = None;
                let was_leaving = *leaving;
                self.bye(turn);
                (!was_leaving).then_some(LegEvent::Ended(LegEnd::NotAcknowledged))
            }
        }
    }
}
