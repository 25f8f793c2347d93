//! A parsed message, borrowed from its datagram.

use std::{borrow::Cow, net::SocketAddr};

use super::{
    build::Refresher,
    field::Method,
    header::{CSeq, HeaderId, NameAddr, Params, Rport, Via},
    multipart::{self, Session},
    parse::MAX_HEADER_LINES,
    scan,
    uri::Uri,
};

/// Where one header line stands in its datagram (≤ 65,507 octets, so 16 bits do).
#[derive(Clone, Copy, Debug)]
struct Line {
    id: HeaderId,
    name_len: u8,
    start: u16,
    value_start: u16,
    value_end: u16,
}

/// The index of header lines.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    datagram: &'a [u8],
    index: [Line; MAX_HEADER_LINES],
    len: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(datagram: &'a [u8]) -> Self {
        let none = Line { id: HeaderId::Unknown, name_len: 0, start: 0, value_start: 0, value_end: 0 };
        Self { datagram, index: [none; MAX_HEADER_LINES], len: 0 }
    }

    pub(super) const fn empty() -> Self {
        Self::new(&[])
    }

    pub(super) const fn datagram(&self) -> &'a [u8] {
        self.datagram
    }

    /// Adds a line; false when the index is full or an offset does not fit.
    pub(super) fn push(&mut self, id: HeaderId, start: usize, name_len: usize, value_start: usize, value_end: usize) -> bool {
        let Some(slot) = self.index.get_mut(self.len) else { return false };
        let (Ok(start), Ok(value_end), Ok(name_len)) = (u16::try_from(start), u16::try_from(value_end), u8::try_from(name_len)) else {
            return false;
        };
        let Ok(value_start) = u16::try_from(value_start) else { return false };
        *slot = Line { id, name_len, start, value_start, value_end };
        self.len += 1;
        true
    }

    /// Every header line in order: id and trimmed value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (HeaderId, &'a [u8])> {
        let datagram = self.datagram;
        self.index[..self.len].iter().map(move |l| (l.id, scan::trim(&datagram[usize::from(l.value_start)..usize::from(l.value_end)])))
    }

    fn named(&self) -> impl Iterator<Item = (&'a str, HeaderId, &'a [u8])> {
        let datagram = self.datagram;
        self.index[..self.len].iter().zip(self.iter()).map(move |(l, (id, value))| {
            let name = &datagram[usize::from(l.start)..usize::from(l.start) + usize::from(l.name_len)];
            (std::str::from_utf8(name).unwrap_or_default(), id, value)
        })
    }
}

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// The method; equal to CSeq's.
        method: Method,
        /// The Request-URI.
        uri: Uri<'a>,
    },
    /// A response.
    Response {
        /// The status code, 100 to 699.
        status: u16,
        /// The reason phrase as it came.
        reason: &'a [u8],
    },
}

/// The headers that every message has.
#[derive(Clone, Debug)]
pub(super) struct Core<'a> {
    pub(super) via: Via<'a>,
    pub(super) from: NameAddr<'a>,
    pub(super) to: NameAddr<'a>,
    pub(super) call_id: &'a str,
    pub(super) cseq: CSeq,
    pub(super) max_forwards: Option<u8>,
}

/// A message whose routing headers are well formed. About 1.5 kB: pass it by reference.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    start: StartLine<'a>,
    core: Core<'a>,
    lines: Lines<'a>,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) const fn new(start: StartLine<'a>, core: Core<'a>, lines: Lines<'a>, body: &'a [u8]) -> Self {
        Self { start, core, lines, body }
    }

    /// The first line.
    pub const fn start(&self) -> &StartLine<'a> {
        &self.start
    }

    /// Whether it is a request.
    pub const fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method of the request, or of the request that this response answers.
    pub const fn method(&self) -> &Method {
        &self.core.cseq.method
    }

    /// The Request-URI; `None` in a response.
    pub const fn request_uri(&self) -> Option<Uri<'a>> {
        match self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code; `None` in a request.
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The topmost Via.
    pub const fn via(&self) -> &Via<'a> {
        &self.core.via
    }

    /// Every Via, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Via<'a>> + '_ {
        self.elements(HeaderId::Via).filter_map(Via::parse)
    }

    /// From.
    pub const fn from(&self) -> &NameAddr<'a> {
        &self.core.from
    }

    /// To.
    pub const fn to(&self) -> &NameAddr<'a> {
        &self.core.to
    }

    /// The tag of From.
    pub const fn from_tag(&self) -> Option<&'a str> {
        self.core.from.tag
    }

    /// The tag of To.
    pub const fn to_tag(&self) -> Option<&'a str> {
        self.core.to.tag
    }

    /// Call-ID; compares octet by octet.
    pub const fn call_id(&self) -> &'a str {
        self.core.call_id
    }

    /// CSeq.
    pub const fn cseq(&self) -> &CSeq {
        &self.core.cseq
    }

    /// Max-Forwards, clamped to 255; `None` when absent (RFC 2543 senders).
    pub const fn max_forwards(&self) -> Option<u8> {
        self.core.max_forwards
    }

    /// The body: empty when there is none.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The datagram that the message was read from.
    pub const fn datagram(&self) -> &'a [u8] {
        self.lines.datagram
    }

    /// The first line of a header, trimmed, folds kept.
    pub fn header(&self, id: HeaderId) -> Option<&'a [u8]> {
        self.lines.iter().find(|(i, _)| *i == id).map(|(_, value)| value)
    }

    /// Every line of a header, trimmed, folds kept.
    pub fn header_lines(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines.iter().filter(move |(i, _)| *i == id).map(|(_, value)| value)
    }

    /// Every line: name as written, id, value.
    pub fn all_headers(&self) -> impl Iterator<Item = (&'a str, HeaderId, &'a [u8])> + '_ {
        self.lines.named()
    }

    /// The first line of a header that has no [`HeaderId`], by its name in any case.
    pub fn header_named(&self, name: &str) -> Option<&'a [u8]> {
        self.lines.named().find(|(n, _, _)| n.eq_ignore_ascii_case(name)).map(|(_, _, value)| value)
    }

    /// Every element of a comma-separated header over all its lines; empty elements are skipped.
    pub fn elements(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.header_lines(id).flat_map(scan::Elements::of).filter(|e| !e.is_empty())
    }

    /// Every address of a header that holds addresses, malformed ones left out (Contact, Route and Record-Route hold none).
    pub fn addresses(&self, id: HeaderId) -> impl Iterator<Item = NameAddr<'a>> + '_ {
        self.elements(id).filter_map(NameAddr::parse)
    }

    /// Every Contact; none for `*`, see [`Message::contact_is_star`].
    pub fn contacts(&self) -> impl Iterator<Item = NameAddr<'a>> + '_ {
        self.addresses(HeaderId::Contact)
    }

    /// Whether a Contact is `*` (RFC 3261 §10.2.2).
    pub fn contact_is_star(&self) -> bool {
        self.header_lines(HeaderId::Contact).any(|value| value == b"*")
    }

    /// Every Route, topmost first.
    pub fn routes(&self) -> impl Iterator<Item = NameAddr<'a>> + '_ {
        self.addresses(HeaderId::Route)
    }

    /// Every Record-Route, topmost first.
    pub fn record_routes(&self) -> impl Iterator<Item = NameAddr<'a>> + '_ {
        self.addresses(HeaderId::RecordRoute)
    }

    /// The tokens of Require, Supported, Proxy-Require, Unsupported or Allow.
    pub fn tokens(&self, id: HeaderId) -> impl Iterator<Item = &'a str> + '_ {
        self.elements(id).filter(|e| scan::is_token(e)).filter_map(|e| std::str::from_utf8(e).ok())
    }

    /// Whether a token is listed, in any case.
    pub fn lists(&self, id: HeaderId, token: &str) -> bool {
        self.tokens(id).any(|t| t.eq_ignore_ascii_case(token))
    }

    /// A header as one line of text: folds become a space, octets that are not UTF-8 become U+FFFD.
    pub fn text(&self, id: HeaderId) -> Option<Cow<'a, str>> {
        self.header(id).map(scan::text)
    }

    /// The media type of the body without parameters, such as `application/sdp`; compare without case.
    pub fn content_type(&self) -> Option<&'a str> {
        let value = self.header(HeaderId::ContentType)?;
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        std::str::from_utf8(scan::trim_end(&value[..end])).ok()
    }

    /// What the body says of the session, alone or in one of several parts (RFC 5621); a response's body without a type is taken for one.
    pub fn session(&self) -> Session<'a> {
        match self.header(HeaderId::ContentType) {
            None if !self.is_request() && !self.body.is_empty() => Session::Described(self.body),
            content_type => multipart::session(content_type.unwrap_or_default(), self.body),
        }
    }

    /// The session's description; empty when there is none.
    pub fn sdp(&self) -> &'a [u8] {
        match self.session() {
            Session::Described(sdp) => sdp,
            Session::None | Session::Unknown => &[],
        }
    }

    /// Expires, seconds; `None` when absent or unreadable.
    pub fn expires(&self) -> Option<u32> {
        self.header(HeaderId::Expires).and_then(scan::seconds)
    }

    /// Session-Expires (RFC 4028): seconds, and who refreshes.
    pub fn session_expires(&self) -> Option<(u32, Option<Refresher>)> {
        let value = self.header(HeaderId::SessionExpires)?;
        let seconds = scan::seconds(value)?;
        let params = &value[memchr::memchr(b';', value).unwrap_or(value.len())..];
        let who = Params::checked(params, |_, _| {})?.get("refresher");
        let who = match who.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("uac") => Some(Refresher::Uac),
            Some("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some((seconds, who))
    }

    /// A header that is a number of seconds (Expires, Min-Expires, Retry-After, Min-SE), comments and parameters ignored.
    pub fn seconds(&self, id: HeaderId) -> Option<u32> {
        self.header(id).and_then(scan::seconds)
    }
}

/// Where the response to a request goes (RFC 3261 §18.2.2, RFC 3581 §4): always the source address, at the source port when
/// `rport` asks for it, else at the sent-by port.
pub fn response_target(via: &Via<'_>, source: SocketAddr) -> SocketAddr {
    match via.rport {
        Rport::Asked | Rport::Port(_) => source,
        Rport::Absent => SocketAddr::new(source.ip(), via.port.unwrap_or(5060)),
    }
}
