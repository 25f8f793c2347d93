//! Requests of the peer inside the dialog: re-INVITE and UPDATE are answered here and now, from the first day of the call.

use super::{AwaitAck, Leg, SessionTimer, State, wire};
use crate::{
    domain::call::{LegEnd, counters::Counter, event::LegEvent, turn::Turn},
    protocol::sdp::{Refusal, Sdp},
    protocol::sip::{
        answer_retransmission::AnswerRetransmission,
        build::{Body, Header, NumberHeader, Response, TextHeader},
        dialog::RequestOrder,
        field::{Method, Text},
        message::Message,
        transaction_layer::ServerId,
    },
};

/// The media type of offers and answers.
pub const SDP: &str = "application/sdp";

impl Leg {
    /// A request in this dialog, other than ACK and CANCEL. Every one gets its final response here.
    pub fn on_request(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId) -> Option<LegEvent> {
        let order = match &mut self.state {
            State::Incoming { dialog, .. } | State::Up { dialog, .. } | State::Closing { dialog } => dialog.receive(request),
            State::Calling { .. } | State::Gone => {
                turn.count(Counter::UnknownDialog);
                return self.answer_with(turn, request, server, 481);
            }
        };
        match order {
            RequestOrder::Next => {}
            RequestOrder::Again | RequestOrder::Late => return self.answer_with(turn, request, server, 500),
        }
        match request.method() {
            Method::Bye => self.on_bye(turn, request, server),
            Method::Options => self.answer_with(turn, request, server, 200),
            Method::Invite | Method::Update => self.on_offer(turn, request, server),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Info
            | Method::Refer
            | Method::Message
            | Method::Other(_) => {
                turn.count(Counter::MethodRefused);
                self.answer_with(turn, request, server, 405)
            }
        }
    }

    fn answer_with(&self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId, status: u16) -> Option<LegEvent> {
        let mut response = self.reply(request, status);
        match status {
            405 | 200 => response.headers.push(wire::allow()),
            415 => response.headers.push(Header::Text(TextHeader::Accept, Text::new(SDP))),
            422 => response.headers.push(Header::Number(NumberHeader::MinSe, wire::MIN_SESSION_SECONDS)),
            _ => {}
        }
        Self::respond(turn, server, response);
        None
    }

    fn on_bye(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId) -> Option<LegEvent> {
        self.answer_with(turn, request, server, 200);
        match &self.state {
            // A caller who ends an early dialog so has still to hear of the INVITE (RFC 3261 §15.1.2).
            State::Incoming { .. } => self.refuse(turn, 487),
            State::Up { .. } => self.gone(turn),
            // Both said goodbye at once: ours is answered or times out by itself.
            State::Closing { .. } | State::Calling { .. } | State::Gone => return None,
        }
        Some(LegEvent::Ended(LegEnd::HungUp))
    }

    fn on_offer(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId) -> Option<LegEvent> {
        let (await_ack, leaving) = match &self.state {
            State::Up { await_ack, leaving, .. } => (await_ack.as_ref(), *leaving),
            State::Closing { .. } => (None, true),
            State::Incoming { .. } => return self.glare(turn, request, server),
            State::Calling { .. } | State::Gone => return self.answer_with(turn, request, server, 481),
        };
        if leaving {
            return self.answer_with(turn, request, server, 481);
        }
        // Our offer in a 200 waits for its answer in the ACK: a second one cannot be opened (RFC 3261 §14.2, RFC 3311 §5.2).
        if await_ack.is_some_and(|wait| wait.offered) {
            return self.glare(turn, request, server);
        }
        let body = request.body();
        if !body.is_empty() && !request.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(SDP)) {
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

    fn on_sdp(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId, timer: SessionTimer) -> Option<LegEvent> {
        let codecs = Self::codecs_from(turn, self.codec());
        let local = self.local_media(turn, &codecs);
        let answer = match Sdp::parse(request.body()) {
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
                let response = self.reply(request, Refusal::STATUS).with(warning(refusal));
                Self::respond(turn, server, response);
                None
            }
        }
    }

    /// 200 to a re-INVITE or UPDATE; `body` says whether it is an offer of ours.
    fn accept(&mut self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId, timer: SessionTimer, body: Option<(Vec<u8>, bool)>) {
        let mut response: Response = self.reply(request, 200).with(self.contact_header()).with(wire::allow());
        response.headers.extend(timer.headers());
        self.restart_refresh(turn, timer);
        let offered = body.as_ref().is_some_and(|(_, offered)| *offered);
        if let Some((sdp, _)) = body {
            response = response.with_body(Body::sdp(sdp));
        }
        let bytes = Self::respond(turn, server, response);
        let now = turn.now.mono;
        let timers = turn.house.policy.timers;
        if let State::Up { dialog, await_ack, .. } = &mut self.state {
            dialog.refresh_target(request);
            if *request.method() == Method::Invite {
                *await_ack = Some(AwaitAck { server, repeat: AnswerRetransmission::start(now, bytes, timers), offered });
            }
        }
    }

    fn glare(&self, turn: &mut Turn<'_>, request: &Message<'_>, server: ServerId) -> Option<LegEvent> {
        turn.count(Counter::Glare);
        self.answer_with(turn, request, server, 491)
    }

    /// The ACK of a 2xx of ours.
    pub fn on_ack(&mut self, turn: &mut Turn<'_>, ack: &Message<'_>) -> Option<LegEvent> {
        let State::Up { dialog, await_ack, leaving } = &mut self.state else { return None };
        if !dialog.acknowledges(ack) {
            return None;
        }
        let wait = await_ack.take()?;
        if *leaving {
            self.bye(turn);
            return None;
        }
        if !wait.offered {
            return Some(LegEvent::Confirmed);
        }
        match Sdp::parse(ack.body()).ok().and_then(|answer| self.session.read_answer(&answer).ok()) {
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
