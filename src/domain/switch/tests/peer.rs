//! A SIP peer in simulated time: a trunk's call, or a phone. It retransmits as the RFC says, so that packets may be lost.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::carrier::Carrier;
use crate::{
    domain::call::{leg::wire, token::Tokens},
    protocol::sip::{
        answer_retransmission::{AnswerRetransmission, AnswerStep},
        build::{AddressHeader, Body, CredentialsHeader, Header, Request, Response, TextHeader, ViaBuf},
        dialog::Dialog,
        digest::{Algorithm, Challenge, Ha1},
        field::{Address, CallId, HostBuf, Method, Text, UriBuf},
        flow::{Flow, ListenerId, Transport},
        header::HeaderId,
        message::Message,
        parse::parse,
        parse_error::ParseErrorKind,
        timers::Timers,
        transaction_layer::{
            ClientId, Limits, OutgoingRequest, Output, RequestFate, RequestHead, ResponseFate, ResponseHead, ServerId, TransactionLayer,
        },
    },
};

/// What a peer does with an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvite {
    /// Rings after 20 ms, answers after this.
    Answer(Duration),
    /// Rings for ever.
    Ring,
    /// Refuses with this status.
    Refuse(u16),
    /// Says nothing at all.
    Dead,
    /// Answers twice at once, as two phones behind a fork do.
    AnswerTwice,
    /// Answers with a body that fits no offer.
    AnswerNonsense,
    /// Answers at once and overlooks a CANCEL that comes too late.
    AtOnce,
    /// 183 with a session after 20 ms, then this final status after 2 s.
    Early(u16),
    /// 183 with a session after 20 ms, then 200 without one after 2 s.
    EarlyThenBare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Later {
    Ring,
    Answer,
    Early,
    Bare,
    Refuse(u16),
}

/// One peer, with one call at a time.
pub struct Peer {
    /// When a keep-alive came.
    pub kept_alive: Vec<Instant>,
    pub addr: SocketAddr,
    /// How it reaches us.
    pub transport: Transport,
    pub user: String,
    pub password: String,
    pub on_invite: OnInvite,
    /// Codecs in its SDP, as payload types.
    pub formats: &'static str,
    /// How it answers the next requests in a dialog, by method, where not by 200.
    pub refuses: Vec<(Method, u16)>,
    /// What it adds to its 2xx to an INVITE.
    pub adds: Vec<Header>,
    /// Every message that reached it.
    pub inbox: Vec<(Instant, Vec<u8>)>,
    /// What is to be put on the wire.
    pub out: Vec<Vec<u8>>,
    pub dialog: Option<Dialog>,
    /// The final status of its last request outside of a dialog.
    pub status: Option<u16>,
    /// Whether it was told goodbye, or its call was cancelled.
    pub told_goodbye: bool,
    /// Whether it overlooks what it cannot read.
    pub forgives: bool,
    /// Whether it acknowledges a 2xx.
    pub acks: bool,
    /// The algorithms that it knows, first choice first.
    pub knows: Vec<Algorithm>,
    /// Answers by this algorithm whatever it is asked for.
    pub answers_by: Option<Algorithm>,
    /// What a carrier asks for before it serves.
    pub carrier: Option<Carrier>,
    /// What stands in Contact and Route of its own.
    pub(super) server: SocketAddr,
    pub(super) layer: TransactionLayer,
    tokens: Tokens,
    invite: Option<(Request, ClientId)>,
    waiting: Option<(Vec<u8>, ServerId)>,
    pub(super) early: Option<Dialog>,
    pub(super) answer: Option<AnswerRetransmission>,
    pub(super) answer_to: Option<ServerId>,
    later: Vec<(Instant, Later)>,
    pending: Vec<(ClientId, Request)>,
    cseq: u32,
    sdp_version: u32,
}

impl Peer {
    pub fn new(addr: SocketAddr, server: SocketAddr, user: &str, seed: u8) -> Self {
        Self {
            kept_alive: Vec::new(),
            addr,
            transport: Transport::Udp,
            user: user.to_owned(),
            password: "secret".to_owned(),
            on_invite: OnInvite::Answer(Duration::from_secs(2)),
            formats: "0 8 101",
            refuses: Vec::new(),
            adds: Vec::new(),
            inbox: Vec::new(),
            out: Vec::new(),
            dialog: None,
            status: None,
            told_goodbye: false,
            forgives: false,
            acks: true,
            knows: vec![Algorithm::Sha256, Algorithm::Md5],
            answers_by: None,
            carrier: None,
            server,
            layer: TransactionLayer::new(Timers::default(), Limits::default()),
            tokens: Tokens::new([seed; 32], &format!("peer{}", addr.port()), 1),
            invite: None,
            waiting: None,
            early: None,
            answer: None,
            answer_to: None,
            later: Vec::new(),
            pending: Vec::new(),
            cseq: 0,
            sdp_version: 0,
        }
    }

    fn flow(&self) -> Flow {
        Flow { listener: ListenerId(0), transport: self.transport, remote: self.server }
    }

    pub(super) fn contact(&self) -> Address {
        Address::new(UriBuf::sip(Some(&self.user), &HostBuf::Ip(self.addr.ip()), Some(self.addr.port())))
    }

    /// Its session description, in this direction.
    pub fn sdp(&mut self, direction: &str) -> Body {
        self.sdp_version += 1;
        let (ip, port, version) = (self.addr.ip(), self.addr.port() + 1000, self.sdp_version);
        let formats = self.formats;
        Body::sdp(format!(
            "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        ))
    }

    fn request(&mut self, method: Method, to: &str, server_user: &str) -> Request {
        self.cseq += 1;
        let domain = HostBuf::new("example.com").expect("host");
        let at = HostBuf::Ip(self.server.ip());
        let uri = UriBuf::sip((!server_user.is_empty()).then_some(server_user), &at, Some(self.server.port()));
        let from = Address::new(UriBuf::sip(Some(&self.user), &domain, None)).with_tag(&self.tokens.tag());
        let to = Address::new(UriBuf::sip(Some(to), &domain, None));
        let call_id = CallId::new(&self.tokens.call_id()).expect("token");
        let mut request = Request::new(method, uri, from, to, call_id, self.cseq);
        request.headers.push(Header::Address(AddressHeader::Contact, self.contact()));
        let name = "Example Desk Phone 300 firmware 12.34.56.78 (0015651234ab)";
        request.headers.push(Header::Text(TextHeader::UserAgent, Text::new(name)));
        request.headers.push(wire::allow());
        request
    }

    /// Sends a request with a new branch in a transaction.
    pub fn send(&mut self, now: Instant, mut request: Request) -> ClientId {
        let branch = self.tokens.branch();
        request.via = vec![ViaBuf::new(self.transport, self.addr, &branch)];
        let bytes: Arc<[u8]> = request.to_bytes().into();
        let outgoing = OutgoingRequest { method: &request.method, branch: &branch, flow: self.flow(), bytes };
        let id = self.layer.send_request(now, outgoing).expect("room");
        self.pending.push((id, request));
        self.drain();
        id
    }

    /// Registers for `expires` seconds.
    pub fn register(&mut self, now: Instant, expires: u32) {
        let user = self.user.clone();
        let mut request = self.request(Method::Register, &user, "");
        request.headers.push(Header::Number(crate::protocol::sip::build::NumberHeader::Expires, expires));
        self.status = None;
        self.send(now, request);
    }

    /// Tries to register somebody else's address of record.
    pub fn register_for(&mut self, now: Instant, other: &str) {
        let request = self.request(Method::Register, other, "");
        self.status = None;
        self.send(now, request);
    }

    /// Calls; `change` may bend the INVITE.
    pub fn call(&mut self, now: Instant, called: &str, change: impl FnOnce(&mut Request)) {
        let mut request = self.request(Method::Invite, called, called);
        request.body = Some(self.sdp("sendrecv"));
        change(&mut request);
        self.status = None;
        self.told_goodbye = false;
        let id = self.send(now, request.clone());
        self.invite = Some((request, id));
    }

    pub fn cancel(&mut self, now: Instant) {
        let Some((_, id)) = &self.invite else { return };
        self.layer.cancel(now, *id, None);
        self.drain();
    }

    /// Sends a request in its dialog.
    pub fn in_dialog(&mut self, now: Instant, method: Method, change: impl FnOnce(&mut Request)) {
        let Some(mut dialog) = self.dialog.take() else { return };
        let mut request = dialog.request(method.clone());
        change(&mut request);
        self.dialog = Some(dialog);
        let id = self.send(now, request.clone());
        if method == Method::Invite {
            self.invite = Some((request, id));
        }
        self.status = None;
    }

    /// A re-INVITE with its SDP in this direction: `sendonly` holds.
    pub fn reinvite(&mut self, now: Instant, direction: &str) {
        let body = self.sdp(direction);
        self.in_dialog(now, Method::Invite, |request| request.body = Some(body));
    }

    pub fn hang_up(&mut self, now: Instant) {
        self.in_dialog(now, Method::Bye, |_| {});
        self.dialog = None;
    }

    /// Takes a 2xx that it did not acknowledge as the dialog's beginning.
    pub fn adopt(&mut self, answer: &str) {
        let response = parse(answer.as_bytes()).expect("read before");
        let (invite, _) = self.invite.as_ref().expect("called");
        self.dialog = Dialog::calling(invite, self.contact(), &response).ok();
    }

    /// Whether it is in a call.
    pub fn is_up(&self) -> bool {
        self.dialog.is_some()
    }

    pub fn next_timeout(&mut self) -> Option<Instant> {
        let later = self.later.iter().map(|(at, _)| *at).min();
        let answer = self.answer.as_ref().map(AnswerRetransmission::deadline);
        [self.layer.next_timeout(), later, answer].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.drain();
        let due: Vec<Later> = self.later.iter().filter(|(at, _)| *at <= now).map(|(_, later)| *later).collect();
        self.later.retain(|(at, _)| *at > now);
        for later in due {
            match later {
                Later::Ring => self.respond_invite(now, 180, None),
                Later::Bare => self.respond_invite(now, 200, None),
                Later::Refuse(status) => self.respond_invite(now, status, None),
                Later::Early => {
                    let body = self.sdp("sendrecv");
                    self.respond_invite(now, 183, Some(body));
                }
                Later::Answer => {
                    let body = self.sdp("sendrecv");
                    self.respond_invite(now, 200, Some(body));
                }
            }
        }
        match self.answer.as_mut().map(|answer| answer.handle_timeout(now)) {
            Some(AnswerStep::Send(bytes)) => {
                let to = self.answer_to.expect("set together");
                let _ = self.layer.respond(now, to, 200, bytes);
                self.drain();
            }
            Some(AnswerStep::GiveUp) => {
                self.answer = None;
                self.hang_up(now);
            }
            Some(AnswerStep::Wait) | None => {}
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            if let Output::Send { bytes, .. } = output {
                self.out.push(bytes.to_vec());
            }
        }
    }

    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let message = match parse(bytes) {
            Ok(message) => message,
            Err(error) if error.kind == ParseErrorKind::KeepAlive => return self.kept_alive.push(now),
            // An answer to a bent message echoes its bends.
            Err(_) if self.forgives => return,
            Err(error) => panic!("we sent nonsense: {error}\n{}", String::from_utf8_lossy(bytes)),
        };
        self.inbox.push((now, bytes.to_vec()));
        if message.is_request() {
            self.on_request(now, &message);
        } else {
            self.on_response(now, &message);
        }
        self.drain();
    }

    fn on_request(&mut self, now: Instant, request: &Message<'_>) {
        let head = RequestHead::of(request).expect("a request");
        let back = self.flow();
        match self.layer.receive_request(now, &head) {
            RequestFate::Repeated | RequestFate::AckAbsorbed => {}
            RequestFate::Ack { .. } => self.answer = None,
            RequestFate::Cancel { unanswered, .. } => {
                let server = self.layer.open(now, &head, back, None).expect("room");
                self.reply(now, server, request, 200, None);
                self.told_goodbye = true;
                self.later.clear();
                if unanswered {
                    self.respond_invite(now, 487, None);
                }
            }
            RequestFate::New { .. } => {
                let server = self.layer.open(now, &head, back, None).expect("room");
                let judged = self.carrier.as_mut().and_then(|carrier| carrier.judge(request, self.server));
                if let Some(response) = judged {
                    let status = response.status;
                    let _ = self.layer.respond(now, server, status, response.to_bytes().into());
                    return;
                }
                match request.method() {
                    Method::Invite if request.to_tag().is_none() => self.on_invite(now, request, server),
                    Method::Bye => {
                        self.reply(now, server, request, 200, None);
                        self.told_goodbye = true;
                        self.dialog = None;
                        self.answer = None;
                    }
                    _ => self.on_in_dialog(now, request, server),
                }
            }
        }
    }

    fn on_invite(&mut self, now: Instant, request: &Message<'_>, server: ServerId) {
        if self.dialog.is_some() || self.waiting.is_some() {
            return self.reply(now, server, request, 486, None);
        }
        self.told_goodbye = false;
        self.waiting = Some((request.datagram().to_vec(), server));
        match self.on_invite {
            OnInvite::Answer(after) => {
                self.later.extend([(now + Duration::from_millis(20), Later::Ring), (now + after, Later::Answer)]);
            }
            OnInvite::Early(status) => {
                let last = if status == 200 { Later::Answer } else { Later::Refuse(status) };
                self.later.extend([(now + Duration::from_millis(20), Later::Early), (now + Duration::from_secs(2), last)]);
            }
            OnInvite::EarlyThenBare => {
                self.later.extend([(now + Duration::from_millis(20), Later::Early), (now + Duration::from_secs(2), Later::Bare)]);
            }
            OnInvite::Ring => self.later.push((now + Duration::from_millis(20), Later::Ring)),
            OnInvite::Refuse(status) => self.respond_invite(now, status, None),
            OnInvite::Dead => self.waiting = None,
            OnInvite::AnswerTwice => {
                let body = self.sdp("sendrecv");
                self.respond_invite(now, 200, Some(body.clone()));
                let response = Response::to(request, 200, &self.tokens.tag(), self.server);
                let response = response.with(Header::Address(AddressHeader::Contact, self.contact())).with_body(body);
                self.out.push(response.to_bytes());
            }
            OnInvite::AtOnce => {
                let body = self.sdp("sendrecv");
                self.respond_invite(now, 200, Some(body));
            }
            OnInvite::AnswerNonsense => self.respond_invite(now, 200, Some(Body::sdp("v=0\r\nnonsense\r\n"))),
        }
    }

    fn respond_invite(&mut self, now: Instant, status: u16, body: Option<Body>) {
        let Some((invite, server)) = self.waiting.take() else { return };
        let message = parse(&invite).expect("read before");
        let tag = format!("t{}at{}", message.cseq().seq, self.addr.port());
        let mut response = Response::to(&message, status, &tag, self.server).with(Header::Address(AddressHeader::Contact, self.contact()));
        if (200..300).contains(&status) {
            response.headers.extend(self.adds.clone());
        }
        response.body = body;
        let bytes: Arc<[u8]> = response.to_bytes().into();
        let _ = self.layer.respond(now, server, status, bytes.clone());
        self.drain();
        match status {
            100..=199 => {
                self.early = Dialog::answering(&message, &tag, self.contact()).ok();
                self.waiting = Some((invite, server));
            }
            200..=299 => {
                let mut dialog = Dialog::answering(&message, &tag, self.contact()).expect("contact");
                dialog.confirm(None);
                self.dialog = Some(dialog);
                self.answer = Some(AnswerRetransmission::start(now, bytes, Timers::default()));
                self.answer_to = Some(server);
            }
            _ => {}
        }
    }

    pub(super) fn reply(&mut self, now: Instant, server: ServerId, request: &Message<'_>, status: u16, body: Option<Body>) {
        let mut response = Response::to(request, status, "tag", self.server);
        response.body = body;
        let _ = self.layer.respond(now, server, status, response.to_bytes().into());
    }

    fn on_response(&mut self, now: Instant, response: &Message<'_>) {
        let head = ResponseHead::of(response).expect("a response");
        let ResponseFate::Deliver(id) = self.layer.receive_response(now, &head) else { return };
        let status = response.status().expect("a response");
        if status < 200 {
            return;
        }
        let Some(at) = self.pending.iter().position(|(pending, _)| *pending == id) else { return };
        let request = self.pending[at].1.clone();
        if request.to.tag().is_none() || request.method == Method::Invite {
            self.status = Some(status);
        }
        match (&request.method, status) {
            (Method::Invite, 200..=299) => self.acknowledge(&request, response),
            (Method::Invite | Method::Register, 401) if !request.headers.iter().any(|h| matches!(h, Header::Credentials(..))) => {
                self.authenticate(now, request, response);
            }
            _ => {}
        }
    }

    fn acknowledge(&mut self, invite: &Request, response: &Message<'_>) {
        if !self.acks {
            return;
        }
        if self.dialog.as_ref().is_none_or(|dialog| Some(&*dialog.id().remote_tag) != response.to_tag()) {
            self.dialog = Dialog::calling(invite, self.contact(), response).ok();
        }
        let (tag, addr, transport) = (self.tokens.branch(), self.addr, self.transport);
        let answer = invite.body.is_none().then(|| self.sdp("sendrecv"));
        if let Some(dialog) = &mut self.dialog {
            let known = dialog.remembered_ack(invite.cseq).cloned();
            let bytes = known.unwrap_or_else(|| {
                let mut ack = dialog.ack(invite.cseq);
                ack.via = vec![ViaBuf::new(transport, addr, &tag)];
                ack.body = answer;
                let bytes: Arc<[u8]> = ack.to_bytes().into();
                dialog.remember_ack(invite.cseq, bytes.clone());
                bytes
            });
            self.out.push(bytes.to_vec());
        }
    }

    fn authenticate(&mut self, now: Instant, mut request: Request, response: &Message<'_>) {
        let challenges = response.header_lines(HeaderId::WwwAuthenticate).filter_map(|value| Challenge::parse(value).ok());
        let Some(mut challenge) = challenges.into_iter().find(|challenge| self.knows.contains(&challenge.algorithm)) else { return };
        challenge.algorithm = self.answers_by.unwrap_or(challenge.algorithm);
        let ha1 = Ha1::of(&self.user, challenge.realm.as_str(), &self.password);
        let uri = request.uri.as_str().to_owned();
        let Some(credentials) = challenge.answer(&self.user, &ha1, &request.method, &uri, "cnonce", 1) else { return };
        request.headers.push(Header::Credentials(CredentialsHeader::Authorization, credentials));
        self.cseq += 1;
        request.cseq = self.cseq;
        self.status = None;
        let is_invite = request.method == Method::Invite;
        let id = self.send(now, request.clone());
        if is_invite {
            self.invite = Some((request, id));
        }
    }
}
