//! What is wrong with a datagram, and the stateless answer to it.

use std::{borrow::Cow, net::SocketAddr};

use super::{
    field::Text,
    header::{HeaderId, NameAddr, Via},
    message::Lines,
    scan, status, write,
};

/// What is wrong with a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseErrorKind {
    /// More octets than a UDP datagram can carry.
    #[error("more octets than a datagram can hold")]
    TooLarge,
    /// Only line ends: a keep-alive, nothing to count as wrong.
    #[error("a keep-alive")]
    KeepAlive,
    /// The first line is neither a request nor a response.
    #[error("not a SIP message")]
    NotSip,
    /// The first line has a wrong form.
    #[error("a malformed start line")]
    BadStartLine,
    /// The first line or its URI is too long.
    #[error("a start line beyond the limit")]
    StartLineTooLong,
    /// A version other than 2.0.
    #[error("a SIP version other than 2.0")]
    BadVersion,
    /// The Request-URI is malformed.
    #[error("a malformed Request-URI")]
    BadRequestUri,
    /// A header line without colon, with a name that is no token, or with a bare CR.
    #[error("a malformed header line")]
    BadHeaderLine,
    /// A header line beyond the limit.
    #[error("a header line beyond the limit")]
    HeaderTooLong,
    /// More header lines than the limit.
    #[error("more header lines than the limit")]
    TooManyHeaders,
    /// More values of a header than the limit.
    #[error("more values of {} than the limit", .0.name())]
    TooManyValues(HeaderId),
    /// The empty line after the headers is missing.
    #[error("no empty line after the headers")]
    NoEmptyLine,
    /// A header that every message has is missing.
    #[error("no {}", .0.name())]
    Missing(HeaderId),
    /// A header has a wrong form.
    #[error("a malformed {}", .0.name())]
    Malformed(HeaderId),
    /// A header stands twice that may stand once.
    #[error("{} given twice", .0.name())]
    Duplicate(HeaderId),
    /// The method of the request is not the one in CSeq.
    #[error("CSeq names another method than the request line")]
    MethodMismatch,
    /// Content-Length exceeds what the datagram holds.
    #[error("fewer octets than Content-Length says")]
    Truncated,
}

/// A datagram that is not a message that we can handle.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError<'a> {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The status that answers it; `None` when nothing may be answered (responses, ACK, what is not SIP).
    pub status: Option<u16>,
    lines: Box<Lines<'a>>,
}

impl<'a> ParseError<'a> {
    pub(super) fn new(kind: ParseErrorKind, lines: Lines<'a>, answerable: bool) -> Self {
        let status = match kind {
            ParseErrorKind::TooLarge | ParseErrorKind::KeepAlive | ParseErrorKind::NotSip => None,
            ParseErrorKind::BadVersion => Some(505),
            ParseErrorKind::StartLineTooLong => Some(414),
            ParseErrorKind::HeaderTooLong | ParseErrorKind::TooManyHeaders | ParseErrorKind::TooManyValues(_) => Some(513),
            ParseErrorKind::BadStartLine
            | ParseErrorKind::BadRequestUri
            | ParseErrorKind::BadHeaderLine
            | ParseErrorKind::NoEmptyLine
            | ParseErrorKind::Missing(_)
            | ParseErrorKind::Malformed(_)
            | ParseErrorKind::Duplicate(_)
            | ParseErrorKind::MethodMismatch
            | ParseErrorKind::Truncated => Some(400),
        };
        Self { kind, status: status.filter(|_| answerable), lines: Box::new(lines) }
    }

    /// The topmost Via, when it can be read.
    pub fn via(&self) -> Option<Via<'a>> {
        let value = self.lines.iter().find(|(id, _)| *id == HeaderId::Via)?.1;
        Via::parse(scan::Elements::of(value).next()?)
    }

    /// Call-ID, From and the like as they came: for a log line or a counter, never for a decision.
    pub fn header(&self, id: HeaderId) -> Option<Cow<'a, str>> {
        self.lines.iter().find(|(i, _)| *i == id).map(|(_, value)| scan::text(value))
    }

    /// The whole stateless answer (RFC 3261 §8.2.6), when there is a status and the topmost Via can be read.
    ///
    /// Via, From, To, Call-ID and CSeq are echoed as text, so that even a malformed CSeq finds its sender. It goes to `source` only.
    pub fn answer(&self, source: SocketAddr, to_tag: &str) -> Option<Vec<u8>> {
        let status = self.status?;
        let via = self.via()?;
        let mut out = write::status_line(status, status::reason_phrase(status));
        let mut first = true;
        for (id, value) in self.lines.iter() {
            let echoed = matches!(id, HeaderId::Via | HeaderId::From | HeaderId::To | HeaderId::CallId | HeaderId::CSeq);
            if !echoed {
                continue;
            }
            let mut text = echoed_text(value);
            if id == HeaderId::Via && std::mem::take(&mut first) {
                text = one_octet_each(&write::via_for_answer(&via, source));
                let rest: Vec<String> = scan::Elements::of(value).skip(1).map(echoed_text).filter(|v| !v.is_empty()).collect();
                text = std::iter::once(text).chain(rest).collect::<Vec<_>>().join(", ");
            } else if id == HeaderId::To && NameAddr::parse(value).is_some_and(|to| to.tag.is_none()) {
                text = format!("{text};tag={}", Text::new(to_tag));
            }
            write::header_line(&mut out, id.name(), &text);
        }
        write::header_line(&mut out, "Content-Length", "0");
        out.extend_from_slice(b"\r\n");
        Some(out)
    }
}

fn echoed_text(value: &[u8]) -> String {
    one_octet_each(Text::lossy(value).as_str())
}

/// Octets that are no text became the three of U+FFFD each; one instead keeps an answer from growing beyond its request.
fn one_octet_each(text: &str) -> String {
    text.replace(char::REPLACEMENT_CHARACTER, "?")
}
