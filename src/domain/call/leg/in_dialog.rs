//! Requests of the peer inside the dialog: re-INVITE and UPDATE are answered here and now, from the first day of the call.

use std::net::SocketAddr;

use super::{AwaitAck, Leg, SessionTimer, State, session_timer::MIN_SESSION_SECONDS, wire};
use crate::{
    domain::call::{LegEnd, counters::Counter, event::LegEvent, turn::Turn},
    protocol::sdp::{Refusal, Sdp},
    protocol::sip::{
        answer_retransmission::AnswerRetransmission,
        build::{Body, Header, NumberHeader, Response, TextHeader},
        dialog::RequestOrder,
        field::{Method, Text},
        message::Message,
        multipart::{ACCEPTED, Session},
        transaction_layer::ServerId,
    },
};

/// The media types of keys in INFO that phones of before RFC 4733 send.
const DTMF: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];
/// The longest wait that we ask of a peer whose offer came too early, seconds (RFC 3261 §14.2).
const MAX_RETRY_AFTER_SECONDS: u32 = 10;

/// A request in a dialog: what answers it, and the address that it came from, which its Via is told (RFC 3261 §18.2.1, RFC 3581).
/// A leg may be rung at several places, and a trunk may speak from more than one.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its transaction.
    pub transaction: ServerId,
    /// Its source.
    pub source: SocketAddr,
}

impl Leg {
    /// A request in this dialog, other than ACK and CANCEL. Every one gets its final response here.
    pub fn on_request(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked) -> Option<LegEvent> {
        let order = match &mut self.state {
            State::Incoming { dialog, .. } | State::Up { dialog, .. } | State::Closing { dialog } => Some(dialog.receive(request)),
            State::Calling { .. } => self.early_dialog(request).map(|dialog| dialog.receive(request)),
            State::Gone => None,
        };
        match order {
            Some(RequestOrder::Next) => {}
            Some(RequestOrder::Again | RequestOrder::Late) => return self.answer_with(turn, request, server, 500),
            None => return self.unknown(turn, request, server),
        }
        match request.method() {
            Method::Bye => self.on_bye(turn, request, server),
            Method::Options => self.answer_with(turn, request, server, 200),
            Method::Invite | Method::Update => self.on_offer(turn, request, server),
            Method::Info => self.on_info(turn, request, server),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Refer
            | Method::Message
            | Method::Other(_) => {
                turn.count(Counter::MethodRefused);
                self.answer_with(turn, request, server, 405)
            }
        }
    }

    fn answer_with(&self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked, status: u16) -> Option<LegEvent> {
        let mut response = self.reply(request, server, status);
        match status {
            405 | 200 => response.headers.push(wire::allow()),
            // An offer before the one before it was answered: again in a while (RFC 3261 §14.2, RFC 3311 §5.2).
            500 => response.headers.push(Header::Number(NumberHeader::RetryAfter, turn.tokens.below(MAX_RETRY_AFTER_SECONDS + 1))),
            415 => response.headers.push(Header::Text(TextHeader::Accept, Text::new(ACCEPTED))),
            422 => response.headers.push(Header::Number(NumberHeader::MinSe, MIN_SESSION_SECONDS)),
            _ => {}
        }
        Self::respond(turn, server.transaction, response);
        None
    }

    fn unknown(&self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked) -> Option<LegEvent> {
        turn.count(Counter::UnknownDialog);
        self.answer_with(turn, request, server, 481)
    }

    /// Keys as INFO (application/dtmf-relay, application/dtmf) are taken and counted; an empty INFO is a keep-alive (RFC 2976).
    fn on_info(&self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked) -> Option<LegEvent> {
        let kind = request.content_type().unwrap_or_default();
        let keys = DTMF.iter().any(|known| kind.eq_ignore_ascii_case(known));
        if keys {
            turn.count(Counter::InfoDtmf);
        }
        if keys || request.body().is_empty() {
            return self.answer_with(turn, request, server, 200);
        }
        turn.count(Counter::BodyRefused);
        let accept = Header::Text(TextHeader::Accept, Text::new(&DTMF.join(", ")));
        let response = self.reply(request, server, 415).with(accept);
        Self::respond(turn, server.transaction, response);
        None
    }

    fn on_bye(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked) -> Option<LegEvent> {
        self.answer_with(turn, request, server, 200);
        match &self.state {
            // A caller who ends an early dialog so has still to hear of the INVITE (RFC 3261 §15.1.2).
            State::Incoming { .. } => self.refuse(turn, 487),
            State::Up { .. } => self.gone(turn),
            // Both said goodbye at once: ours is answered or times out by itself. An early dialog of ours ends with its INVITE.
            State::Closing { .. } | State::Calling { .. } | State::Gone => return None,
        }
        Some(LegEvent::Ended(LegEnd::HungUp))
    }

    fn on_offer(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked) -> Option<LegEvent> {
        let body = request.sdp();
        let offers = *request.method() == Method::Invite || !body.is_empty();
        let waits_for_answer = match &self.state {
            State::Up { leaving: true, .. } | State::Closing { .. } | State::Gone => return self.unknown(turn, request, server),
            // Our offer in a 200 waits for its answer in the ACK, or our own crosses theirs: RFC 3261 §14.2, RFC 3311 §5.2.
            State::Up { await_ack, .. } => self.renewal.crosses() || await_ack.as_ref().is_some_and(|wait| wait.offered),
            State::Incoming { .. } if offers => return self.answer_with(turn, request, server, 500),
            State::Calling { .. } => true,
            State::Incoming { .. } => false,
        };
        if waits_for_answer && offers {
            return self.glare(turn, request, server);
        }
        if request.session() == Session::Unknown {
            turn.count(Counter::BodyRefused);
            return self.answer_with(turn, request, server, 415);
        }
        let timer = SessionTimer::of(request);
        if timer == SessionTimer::TooShort {
            return self.answer_with(turn, request, server, 422);
        }
        let invite = *request.method() == Method::Invite;
        match (body.is_empty(), invite) {
            (true, false) => {
                self.accept(turn, request, server, timer, None);
                None
            }
            (true, true) => {
                let codecs = Self::codecs_from(turn, self.codec());
                let offer = self.session.offer(&self.local_media(turn, &codecs));
                self.accept(turn, request, server, timer, Some((offer, true)));
                None
            }
            (false, _) => self.on_sdp(turn, request, server, timer),
        }
    }

    fn on_sdp(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked, timer: SessionTimer) -> Option<LegEvent> {
        let codecs = Self::codecs_from(turn, self.codec());
        let local = self.local_media(turn, &codecs);
        let parsed = Sdp::parse(request.sdp());
        if let Ok(offer) = &parsed {
            self.note_codecs(offer);
        }
        let answer = match parsed {
            Ok(offer) => self.session.answer(&offer, &local).map_err(Some),
            Err(_) => Err(None),
        };
        match answer {
            Ok(answer) => {
                self.agree(answer.negotiated);
                self.accept(turn, request, server, timer, Some((answer.sdp, false)));
                Some(LegEvent::ReOffered)
            }
            Err(refusal) => {
                turn.count(Counter::NotAcceptable);
                let response = self.reply(request, server, Refusal::STATUS).with(warning(refusal));
                Self::respond(turn, server.transaction, response);
                None
            }
        }
    }

    /// 200 to a re-INVITE or UPDATE; `body` says whether it is an offer of ours.
    fn accept(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked, timer: SessionTimer, body: Option<(Vec<u8>, bool)>) {
        let mut response: Response = self.reply(request, server, 200).with(self.contact_header()).with(wire::allow());
        response.headers.extend(timer.headers());
        // Before the INVITE is answered, its own answer starts the timer.
        if matches!(self.state, State::Up { .. }) {
            self.restart_refresh(turn, timer);
        }
        let offered = body.as_ref().is_some_and(|(_, offered)| *offered);
        if let Some((sdp, _)) = body {
            response = response.with_body(Body::sdp(sdp));
        }
        let bytes = Self::respond(turn, server.transaction, response);
        let now = turn.now.mono;
        let timers = turn.house.policy.timers;
        match &mut self.state {
            State::Up { dialog, await_ack, .. } => {
                dialog.refresh_target(request);
                if *request.method() == Method::Invite {
                    let repeat = AnswerRetransmission::start(now, bytes, timers);
                    *await_ack = Some(AwaitAck { server: server.transaction, cseq: request.cseq().seq, repeat, offered });
                }
            }
            State::Incoming { dialog, .. } => dialog.refresh_target(request),
            State::Calling { .. } | State::Closing { .. } | State::Gone => {}
        }
    }

    fn glare(&self, turn: &mut Turn<'_>, request: &Message<'_>, server: Asked) -> Option<LegEvent> {
        turn.count(Counter::Glare);
        self.answer_with(turn, request, server, 491)
    }

    /// The ACK of a 2xx of ours.
    pub fn on_ack(&mut self, turn: &mut Turn<'_>, ack: &Message<'_>) -> Option<LegEvent> {
        let State::Up { await_ack, leaving, .. } = &mut self.state else { return None };
        let wait = await_ack.take_if(|wait| wait.cseq == ack.cseq().seq)?;
        if *leaving {
            self.bye(turn);
            return None;
        }
        if !wait.offered {
            // What waited for the ACK goes out now.
            self.pursue(turn);
            return Some(LegEvent::Confirmed);
        }
        let answer = Sdp::parse(ack.sdp()).ok();
        answer.iter().for_each(|answer| self.note_codecs(answer));
        match answer.and_then(|answer| self.session.read_answer(&answer).ok()) {
            Some(negotiated) => {
                let again = self.negotiated.is_some();
                self.agree(negotiated);
                Some(if again { LegEvent::ReOffered } else { LegEvent::Confirmed })
            }
            None => {
                self.bye(turn);
                Some(LegEvent::Ended(LegEnd::NotAcceptable))
            }
        }
    }
}

/// Why an offer leads to no audio, in a Warning header (RFC 3261 §20.43).
pub fn warning(refusal: Option<Refusal>) -> Header {
    let (code, text) =
        refusal.map_or((399, "the session description cannot be read".to_owned()), |refusal| (refusal.warning(), refusal.to_string()));
    Header::Text(TextHeader::Warning, Text::new(&format!("{code} throughline \"{text}\"")))
}
