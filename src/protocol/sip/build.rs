//! Messages of ours: typed fields → bytes.
//!
//! Nothing here takes a raw header. Every field type (see `field`) excludes control characters, so no line can be injected.

use std::net::SocketAddr;

use super::{
    digest::{Challenge, Credentials},
    field::{Address, CallId, HostBuf, Method, Param, Text, Token, UriBuf},
    flow::Transport,
    header::{CSeq, HeaderId, Rport, Via},
    message::{Message, StartLine},
    scan,
    status::reason_phrase,
    write::{number_line, request_line, rest, status_line, vias},
};

/// One Via of ours, or one that we answer through.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ViaBuf {
    /// The transport, such as `UDP`.
    pub transport: Token,
    /// The sent-by host.
    pub host: HostBuf,
    /// The sent-by port.
    pub port: Option<u16>,
    /// The parameters, `branch` among them.
    pub params: Vec<Param>,
}

impl ViaBuf {
    /// A Via with a branch, asking for the source port (RFC 3581).
    pub fn new(transport: Transport, sent_by: SocketAddr, branch: &str) -> Self {
        let params = vec![param("rport", None), param("branch", Some(branch))];
        let transport = Token::proven(transport.via_name());
        Self { transport, host: HostBuf::Ip(sent_by.ip()), port: Some(sent_by.port()), params }
    }

    /// The same over UDP.
    pub fn udp(sent_by: SocketAddr, branch: &str) -> Self {
        Self::new(Transport::Udp, sent_by, branch)
    }

    /// The branch.
    pub fn branch(&self) -> Option<&str> {
        self.params.iter().find(|p| p.name.as_str().eq_ignore_ascii_case("branch"))?.value.as_ref().map(Text::as_str)
    }

    /// Fills in where the request came from (RFC 3261 §18.2.1, RFC 3581 §4), overwriting what the sender claimed.
    pub(super) fn stamp(&mut self, source: SocketAddr, asked: bool) {
        self.params.retain(|p| !p.name.as_str().eq_ignore_ascii_case("received"));
        if asked {
            for p in self.params.iter_mut().filter(|p| p.name.as_str().eq_ignore_ascii_case("rport")) {
                p.value = Some(Text::number(source.port()));
            }
        }
        if asked || self.host != HostBuf::Ip(source.ip()) {
            self.params.push(Param { name: Token::proven("received"), value: Some(Text::ip(source.ip())) });
        }
    }
}

impl From<&Via<'_>> for ViaBuf {
    fn from(via: &Via<'_>) -> Self {
        Self { transport: Token::proven(via.transport_name), host: via.host.into(), port: via.port, params: via.params.to_owned() }
    }
}

fn param(name: &str, value: Option<&str>) -> Param {
    Param { name: Token::proven(name), value: value.map(Text::new) }
}

/// A header whose value is one line of text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the headers are named as in their RFCs")]
pub enum TextHeader {
    UserAgent,
    Server,
    Subject,
    Accept,
    Event,
    Privacy,
    SubscriptionState,
    AlertInfo,
    Date,
    Warning,
    AllowEvents,
    RAck,
    Reason,
    Replaces,
}

/// A header whose value is an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the headers are named as in their RFCs")]
pub enum AddressHeader {
    Contact,
    Route,
    RecordRoute,
    Path,
    ReferTo,
    ReferredBy,
    PAssertedIdentity,
    PPreferredIdentity,
    Diversion,
}

/// A header whose value is a list of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the headers are named as in their RFCs")]
pub enum TokensHeader {
    Allow,
    Supported,
    Require,
    ProxyRequire,
    Unsupported,
}

/// A header whose value is a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the headers are named as in their RFCs")]
pub enum NumberHeader {
    Expires,
    MinExpires,
    RetryAfter,
    MinSe,
    RSeq,
}

/// A header that carries a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the headers are named as in their RFCs")]
pub enum ChallengeHeader {
    WwwAuthenticate,
    ProxyAuthenticate,
}

/// A header that answers a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the headers are named as in their RFCs")]
pub enum CredentialsHeader {
    Authorization,
    ProxyAuthorization,
}

/// A header beyond those that every message has.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Header {
    /// Text.
    Text(TextHeader, Text),
    /// One address; several are several of these, in order.
    Address(AddressHeader, Address),
    /// A list of tokens.
    Tokens(TokensHeader, Vec<Token>),
    /// A number, seconds but for RSeq.
    Number(NumberHeader, u32),
    /// `Contact: *`.
    ContactStar,
    /// Session-Expires (RFC 4028): seconds, and who refreshes.
    SessionExpires(u32, Option<Refresher>),
    /// A digest challenge.
    Challenge(ChallengeHeader, Challenge),
    /// The answer to one.
    Credentials(CredentialsHeader, Credentials),
}

/// Who refreshes a session (RFC 4028 §9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answered it.
    Uas,
}

macro_rules! ids {
    ($($kind:ident { $($name:ident),+ })+) => {$(
        impl $kind {
            /// The header's id.
            pub const fn id(self) -> HeaderId {
                match self { $(Self::$name => HeaderId::$name,)+ }
            }

            fn of(id: HeaderId) -> Option<Self> {
                match id { $(HeaderId::$name => Some(Self::$name),)+ _ => None }
            }
        }
    )+};
}

ids! {
    TextHeader {
        UserAgent, Server, Subject, Accept, Event, Privacy, SubscriptionState, AlertInfo, Date, Warning, AllowEvents, RAck, Reason, Replaces
    }
    AddressHeader { Contact, Route, RecordRoute, Path, ReferTo, ReferredBy, PAssertedIdentity, PPreferredIdentity, Diversion }
    TokensHeader { Allow, Supported, Require, ProxyRequire, Unsupported }
    ChallengeHeader { WwwAuthenticate, ProxyAuthenticate }
    CredentialsHeader { Authorization, ProxyAuthorization }
    NumberHeader { Expires, MinExpires, RetryAfter, MinSe, RSeq }
}

/// A body with its media type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Body {
    /// The media type, such as `application/sdp`.
    pub content_type: Text,
    /// The octets.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A session description.
    pub fn sdp(bytes: impl Into<Vec<u8>>) -> Self {
        Self { content_type: Text::literal("application/sdp"), bytes: bytes.into() }
    }
}

/// A request of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method, also written into CSeq.
    pub method: Method,
    /// The Request-URI.
    pub uri: UriBuf,
    /// Where it is sent when that is not the Request-URI: the first route, loose or strict (RFC 3261 §8.1.2). Not on the wire.
    pub next_hop: Option<UriBuf>,
    /// Via, topmost first.
    pub via: Vec<ViaBuf>,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// From, with tag.
    pub from: Address,
    /// To.
    pub to: Address,
    /// Call-ID.
    pub call_id: CallId,
    /// The number in CSeq.
    pub cseq: u32,
    /// Everything else, in this order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Option<Body>,
}

/// A response of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status code, 100 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: Text,
    /// Via as in the request, topmost first.
    pub via: Vec<ViaBuf>,
    /// From as in the request.
    pub from: Address,
    /// To as in the request, with our tag.
    pub to: Address,
    /// Call-ID as in the request.
    pub call_id: CallId,
    /// CSeq as in the request.
    pub cseq: CSeq,
    /// Everything else, in this order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Option<Body>,
}

impl Request {
    /// A request with Max-Forwards 70 and nothing optional; Via is pushed by whoever sends it.
    pub const fn new(method: Method, uri: UriBuf, from: Address, to: Address, call_id: CallId, cseq: u32) -> Self {
        Self { method, uri, next_hop: None, via: Vec::new(), max_forwards: 70, from, to, call_id, cseq, headers: Vec::new(), body: None }
    }

    /// Takes a parsed request into typed fields; headers without a type here are left behind. `None` for a response.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        let StartLine::Request { method, uri } = message.start() else { return None };
        Some(Self {
            method: method.clone(),
            uri: (*uri).into(),
            next_hop: None,
            via: message.vias().map(|v| ViaBuf::from(&v)).collect(),
            max_forwards: message.max_forwards().unwrap_or(70),
            from: message.from().to_owned(),
            to: message.to().to_owned(),
            call_id: call_id(message),
            cseq: message.cseq().seq,
            headers: typed_headers(message),
            body: body(message),
        })
    }

    /// The datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(768 + self.body.as_ref().map_or(0, |b| b.bytes.len()));
        request_line(&mut out, &self.method, self.uri.as_str());
        vias(&mut out, &self.via);
        number_line(&mut out, "Max-Forwards", self.max_forwards.into());
        rest(&mut out, (&self.from, &self.to, &self.call_id), (self.cseq, &self.method), &self.headers, self.body.as_ref());
        out
    }
}

impl Response {
    /// The response to a request (RFC 3261 §8.2.6): Via stack with `received` and `rport` filled in, From, To, Call-ID, CSeq; a tag is
    /// added to To when it has none and the status is not 100. Record-Route is copied into 18x and 2xx (§12.1.1).
    pub fn to(request: &Message<'_>, status: u16, to_tag: &str, source: SocketAddr) -> Self {
        let mut via: Vec<ViaBuf> = request.vias().map(|v| ViaBuf::from(&v)).collect();
        if let Some(top) = via.first_mut() {
            top.stamp(source, request.via().rport != Rport::Absent);
        }
        let mut to = request.to().to_owned();
        if to.tag().is_none() && status != 100 {
            to = to.with_tag(to_tag);
        }
        let mut headers = Vec::new();
        if (101..300).contains(&status) {
            headers.extend(request.record_routes().map(|r| Header::Address(AddressHeader::RecordRoute, r.to_owned())));
        }
        Self {
            status,
            reason: Text::literal(reason_phrase(status)),
            via,
            from: request.from().to_owned(),
            to,
            call_id: call_id(request),
            cseq: request.cseq().clone(),
            headers,
            body: None,
        }
    }

    /// The same response with one more header.
    #[must_use]
    pub fn with(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// The same response with a body.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Takes a parsed response into typed fields; headers without a type here are left behind. `None` for a request.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        let StartLine::Response { status, reason } = message.start() else { return None };
        Some(Self {
            status: *status,
            reason: Text::lossy(reason),
            via: message.vias().map(|v| ViaBuf::from(&v)).collect(),
            from: message.from().to_owned(),
            to: message.to().to_owned(),
            call_id: call_id(message),
            cseq: message.cseq().clone(),
            headers: typed_headers(message),
            body: body(message),
        })
    }

    /// The datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = status_line(self.status, self.reason.as_str());
        vias(&mut out, &self.via);
        let cseq = (self.cseq.seq, &self.cseq.method);
        rest(&mut out, (&self.from, &self.to, &self.call_id), cseq, &self.headers, self.body.as_ref());
        out
    }
}

fn call_id(message: &Message<'_>) -> CallId {
    CallId::new(message.call_id()).unwrap_or_else(|| unreachable!("only the parser makes messages, and it takes what CallId takes"))
}

fn body(message: &Message<'_>) -> Option<Body> {
    let content_type = message.text(HeaderId::ContentType).unwrap_or_default();
    (!message.body().is_empty()).then(|| Body { content_type: Text::new(&content_type), bytes: message.body().to_vec() })
}

fn typed_headers(message: &Message<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    for (_, id, value) in message.all_headers() {
        if id == HeaderId::Contact && value == b"*" {
            headers.push(Header::ContactStar);
        } else if let Some(kind) = AddressHeader::of(id) {
            let addresses = scan::Elements::of(value).filter_map(super::header::NameAddr::parse);
            headers.extend(addresses.map(|a| Header::Address(kind, a.to_owned())));
        } else if let Some(kind) = TextHeader::of(id) {
            headers.push(Header::Text(kind, Text::lossy(value)));
        } else if let Some(kind) = TokensHeader::of(id) {
            let tokens = scan::Elements::of(value).filter_map(|t| Token::new(std::str::from_utf8(t).ok()?));
            headers.push(Header::Tokens(kind, tokens.collect()));
        } else if let Some(kind) = NumberHeader::of(id) {
            headers.extend(scan::seconds(value).map(|n| Header::Number(kind, n)));
        } else if let Some(kind) = ChallengeHeader::of(id) {
            headers.extend(Challenge::parse(value).map(|c| Header::Challenge(kind, c)));
        } else if let Some(kind) = CredentialsHeader::of(id) {
            headers.extend(Credentials::parse(value).map(|c| Header::Credentials(kind, c)));
        } else if id == HeaderId::SessionExpires {
            headers.extend(message.session_expires().map(|(seconds, who)| Header::SessionExpires(seconds, who)));
        }
    }
    headers
}

#[cfg(test)]
mod tests;
