//! From a datagram to whoever it is for: transactions, dialogs, and the stateless answers of everything else.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    Counter, Switch,
    gate::{Source, Verdict, verdict},
};
use crate::{
    domain::call::leg::{in_dialog::Asked, wire},
    ids::{InteractionId, LegId},
    protocol::sip::{
        build::{Header, Response, TextHeader, TokensHeader},
        field::{Method, Text, Token},
        flow::{Flow, Transport},
        header::HeaderId,
        message::{Message, response_target},
        multipart::ACCEPTED,
        parse::parse,
        parse_error::ParseErrorKind,
        transaction_layer::{OpenError, RequestFate, RequestHead, ResponseFate, ResponseHead, ServerId},
    },
};

impl Switch {
    /// One message. A panic in here, outside of any call, drops the message alone.
    pub(super) fn receive(&mut self, flow: Flow, bytes: &[u8]) {
        if catch_unwind(AssertUnwindSafe(|| self.read(flow, bytes))).is_err() {
            self.counters.count(Counter::InputPanicked);
            self.panics.note(self.now.mono);
        }
    }

    fn read(&mut self, flow: Flow, bytes: &[u8]) {
        match parse(bytes) {
            Ok(message) if message.is_request() => self.request(flow, &message),
            Ok(message) => self.response(&message),
            Err(error) if error.kind == ParseErrorKind::KeepAlive => self.counters.count(Counter::KeepAlive),
            Err(error) => {
                let answer = error.answer(flow.remote, &format!("{}-0", self.tokens.mark()));
                match answer.filter(|answer| answer.len() <= 2 * bytes.len()) {
                    Some(answer) => {
                        self.counters.count(Counter::MalformedAnswered);
                        self.send(flow, answer);
                    }
                    None => self.counters.count(Counter::Malformed),
                }
            }
        }
    }

    fn response(&mut self, response: &Message<'_>) {
        let Some(head) = ResponseHead::of(response) else { return };
        match self.layer.receive_response(self.now.mono, &head) {
            ResponseFate::Deliver(client) => {
                if self.registration_response(client, response) {
                    return;
                }
                let Some((leg, purpose)) = self.clients.get(&client).copied() else {
                    return self.counters.count(Counter::StrayResponse);
                };
                match self.legs.get(&leg).copied() {
                    Some(call) => self.turn(call, |call, turn| call.on_response(turn, leg, purpose, response)),
                    None => self.counters.count(Counter::StrayResponse),
                }
            }
            ResponseFate::Absorbed => {}
            ResponseFate::Stray => self.counters.count(Counter::StrayResponse),
        }
    }

    fn request(&mut self, flow: Flow, request: &Message<'_>) {
        let Some(head) = RequestHead::of(request) else { return };
        match self.layer.receive_request(self.now.mono, &head) {
            RequestFate::Repeated | RequestFate::AckAbsorbed => {}
            RequestFate::Ack { invite: _ } => self.ack(flow, request),
            RequestFate::Cancel { invite, unanswered } => self.cancel(flow, request, invite, unanswered),
            RequestFate::New { merged: true } => {
                self.counters.count(Counter::Merged);
                self.refuse(flow, request, 482);
            }
            RequestFate::New { merged: false } if request.to_tag().is_some() => self.in_dialog(flow, request),
            RequestFate::New { merged: false } => self.outside(flow, request),
        }
    }

    /// The leg and call of a request in a dialog, if it comes from the dialog's own peer.
    fn dialog(&mut self, flow: Flow, request: &Message<'_>) -> Option<(LegId, InteractionId)> {
        let key = (request.call_id().to_owned(), request.to_tag()?.to_owned());
        let leg = *self.dialogs.get(&key)?;
        let call = *self.legs.get(&leg)?;
        let known = self.calls.get(&call)?.leg(leg)?;
        if !known.has_remote_tag(request.from_tag().unwrap_or_default()) {
            return None;
        }
        // A connection that we made to a phone is the phone's, but not where it is reached from now on.
        let beside = self.large.beside(flow);
        let own = known.flows().any(|own| own == flow || Some(own) == beside)
            || known.networks().iter().any(|network| network.contains(&flow.remote.ip()));
        if own {
            return Some((leg, call));
        }
        let Some(former) = known.flows().find(|own| self.same_phone(*own, flow)) else {
            self.counters.count(Counter::WrongFlow);
            return None;
        };
        // The phone has registered from here as well: this is where it is now.
        self.calls.get_mut(&call)?.move_flow(former, flow);
        Some((leg, call))
    }

    fn ack(&mut self, flow: Flow, request: &Message<'_>) {
        match self.dialog(flow, request) {
            Some((leg, call)) => self.turn(call, |call, turn| call.on_ack(turn, leg, request)),
            None => self.counters.count(Counter::StrayAck),
        }
    }

    fn cancel(&mut self, flow: Flow, request: &Message<'_>, invite: Option<ServerId>, unanswered: bool) {
        let ours = invite.filter(|invite| self.layer.server_flow(*invite).is_some_and(|of| of.remote.ip() == flow.remote.ip()));
        let Some(invite) = ours else {
            self.counters.count(Counter::StrayCancel);
            return self.refuse(flow, request, 481);
        };
        let Some(server) = self.open(flow, request) else { return };
        let response = self.reply(request, 200, flow.remote);
        self.respond(server, &response);
        let leg = self.invited.get(&invite).copied().filter(|_| unanswered);
        if let Some((leg, call)) = leg.and_then(|leg| Some((leg, *self.legs.get(&leg)?))) {
            self.turn(call, |call, turn| call.on_cancel(turn, leg));
        }
    }

    fn in_dialog(&mut self, flow: Flow, request: &Message<'_>) {
        let Some((leg, call)) = self.dialog(flow, request) else {
            self.counters.count(Counter::UnknownDialog);
            let source = self.source(flow);
            return if self.hears(flow, request, source) {
                self.refuse(flow, request, 481)
            };
        };
        if let Some(unknown) = unknown_extensions(request) {
            return self.refuse_extensions(flow, request, unknown);
        }
        let Some(server) = self.open(flow, request) else { return };
        let asked = Asked { transaction: server, source: flow.remote };
        if !self.turn_or_panic(call, |call, turn| call.on_request(turn, leg, request, asked)) {
            // Where it was answered before the panic, the layer knows and sends nothing more.
            let response = self.reply(request, 500, flow.remote);
            self.respond(server, &response);
        }
    }

    /// Who sent this, by address: a phone's own flow before a trunk's network.
    pub(super) fn source(&self, flow: Flow) -> Source {
        if let Some(phone) = self.flows.phone(self.steady_ms(), self.large.beside(flow).unwrap_or(flow)) {
            return Source::Phone(phone);
        }
        self.trunk_at(flow.remote).map_or(Source::Unknown, Source::Trunk)
    }

    fn outside(&mut self, flow: Flow, request: &Message<'_>) {
        let source = self.source(flow);
        if !self.hears(flow, request, source) {
            return;
        }
        match (verdict(request.method(), source), request.method()) {
            (Verdict::Silence, _) => {}
            (Verdict::NotServed, _) => {
                self.counters.count(Counter::MethodRefused);
                let response = self.reply(request, 405, flow.remote).with(wire::allow());
                self.send_stateless(flow, request, &response);
            }
            (Verdict::NoDialog, _) => {
                self.counters.count(Counter::UnknownDialog);
                self.refuse(flow, request, 481);
            }
            (Verdict::Serve | Verdict::Challenge, Method::Register) => self.register(flow, request),
            (Verdict::Serve | Verdict::Challenge, Method::Invite) => self.invite(flow, request, source),
            (Verdict::Serve | Verdict::Challenge, _) => {
                let accept = Header::Text(TextHeader::Accept, Text::new(ACCEPTED));
                let response = self.reply(request, 200, flow.remote).with(wire::allow()).with(accept);
                self.send_stateless(flow, request, &response);
            }
        }
    }

    /// Opens the server transaction of a request; an INVITE hears 100 at once.
    pub(super) fn open(&mut self, flow: Flow, request: &Message<'_>) -> Option<ServerId> {
        let trying = (*request.method() == Method::Invite).then(|| self.reply(request, 100, flow.remote).to_bytes().into());
        let back = way_back(flow, request);
        match self.layer.open(self.now.mono, &RequestHead::of(request)?, back, trying) {
            Ok(server) => Some(server),
            Err(OpenError::Full) => {
                self.counters.count(Counter::NoRoom);
                self.refuse(flow, request, 503);
                None
            }
            Err(OpenError::NotNew) => None,
        }
    }

    /// Sends a response in its transaction.
    pub(super) fn respond(&mut self, server: ServerId, response: &Response) {
        let _ = self.layer.respond(self.now.mono, server, response.status, response.to_bytes().into());
    }

    /// A response outside of dialogs. Its tag follows from the request, so that a repetition gets the same (RFC 3261 §8.2.7).
    pub(super) fn reply(&self, request: &Message<'_>, status: u16, source: SocketAddr) -> Response {
        let mut hash = DefaultHasher::new();
        (request.call_id(), request.from_tag(), request.cseq().seq, self.tokens.mark()).hash(&mut hash);
        let tag = format!("{}-{:016x}", self.tokens.mark(), hash.finish());
        let server = Header::Text(TextHeader::Server, Text::new(&self.config.policy.product));
        Response::to(request, status, &tag, source).with(server)
    }

    /// One final response without state.
    pub(super) fn refuse(&mut self, flow: Flow, request: &Message<'_>, status: u16) {
        let response = self.reply(request, status, flow.remote);
        self.send_stateless(flow, request, &response);
    }

    /// Sends a response without state, unless it would make us an amplifier.
    pub(super) fn send_stateless(&mut self, flow: Flow, request: &Message<'_>, response: &Response) {
        if *request.method() == Method::Ack {
            return;
        }
        let bytes = response.to_bytes();
        // Only a datagram's source may be forged.
        if !flow.transport.is_reliable() && bytes.len() > 2 * request.datagram().len() {
            return self.counters.count(Counter::Amplification);
        }
        self.send(way_back(flow, request), bytes);
    }

    pub(super) fn refuse_extensions(&mut self, flow: Flow, request: &Message<'_>, unknown: Vec<Token>) {
        self.counters.count(Counter::ExtensionRefused);
        let response = self.reply(request, 420, flow.remote).with(Header::Tokens(TokensHeader::Unsupported, unknown));
        self.send_stateless(flow, request, &response);
    }
}

/// Where the response to a request goes: over a stream always back on it.
fn way_back(flow: Flow, request: &Message<'_>) -> Flow {
    match flow.transport {
        Transport::Tcp => flow,
        Transport::Udp => Flow { remote: response_target(request.via(), flow.remote), ..flow },
    }
}

/// The extensions that a request requires and we do not know; session timers with the peer refreshing are all that we do.
pub(super) fn unknown_extensions(request: &Message<'_>) -> Option<Vec<Token>> {
    let unknown = request.tokens(HeaderId::Require).filter(|option| !option.eq_ignore_ascii_case("timer"));
    let unknown: Vec<Token> = unknown.filter_map(Token::new).collect();
    (!unknown.is_empty()).then_some(unknown)
}
