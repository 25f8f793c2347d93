//! One datagram → one [`Message`], without allocation (RFC 3261 §7, §18.3).
//!
//! What routes a message (start line, Via, From, To, Call-ID, CSeq, Max-Forwards, Contact, Route, Record-Route, Content-Length)
//! is proven here; other headers are read when asked for. Names are tokens, lines end in CRLF or LF, a bare CR is refused,
//! all in a message alike, so that no two readers can see different messages in one datagram (AST-2016-009).

use memchr::{memchr, memrchr};

use super::{
    field::{Method, is_word},
    header::{CSeq, HeaderId, NameAddr, Via},
    message::{Core, Lines, Message, StartLine},
    parse_error::{ParseError, ParseErrorKind},
    scan,
    uri::{MAX_URI_LEN, Uri},
};

/// The largest payload of a UDP datagram over IPv4; the line index keeps 16-bit offsets because of it.
pub const MAX_DATAGRAM: usize = 65_507;
/// Header lines per message; a proxied INVITE has 15 to 40.
pub const MAX_HEADER_LINES: usize = 128;
/// Octets of one header line with its folds; the largest seen are Identity and long Record-Route values below 4 kB.
pub const MAX_HEADER_LEN: usize = 8192;
/// Octets of a header name.
pub const MAX_HEADER_NAME_LEN: usize = 255;
/// Octets of the start line: the longest URI, a method and the version.
pub const MAX_START_LINE: usize = MAX_URI_LEN + 256;
/// Via values per message: Max-Forwards starts at 70, so that more means a loop.
pub const MAX_VIAS: usize = 70;
/// Values of Contact, Route and Record-Route per message, together.
pub const MAX_ADDRESSES: usize = 128;

/// Reads one datagram. The error says which status answers it, if one does, and can make that answer.
///
/// # Errors
/// Any breach of the grammar where it matters, of a limit above, or of RFC 3261's rules on duplicates and lengths.
pub fn parse(datagram: &[u8]) -> Result<Message<'_>, ParseError<'_>> {
    let fail = |kind, lines, answerable| Err(ParseError::new(kind, lines, answerable));
    if datagram.len() > MAX_DATAGRAM {
        return fail(ParseErrorKind::TooLarge, Lines::empty(), false);
    }
    let mut at = datagram.iter().position(|&b| !matches!(b, b'\r' | b'\n')).unwrap_or(datagram.len());
    if at == datagram.len() {
        return fail(ParseErrorKind::KeepAlive, Lines::empty(), false);
    }
    let Some(line_len) = memchr(b'\n', &datagram[at..]) else { return fail(ParseErrorKind::NotSip, Lines::empty(), false) };
    let first_line = strip_cr(&datagram[at..at + line_len]);
    at += line_len + 1;
    let start = start_line(first_line);
    let mut lines = Lines::new(datagram);
    let indexed = index(&mut lines, at, datagram[..at].ends_with(b"\r\n"));
    // ACK and responses are never answered; whatever does not even look like a request neither.
    let answerable = match &start {
        Ok(StartLine::Request { method, .. }) => *method != Method::Ack,
        Ok(StartLine::Response { .. }) => false,
        Err(ParseErrorKind::NotSip) => false,
        Err(_) => !is_response(first_line) && !first_line.starts_with(b"ACK "),
    };
    let outcome = start.and_then(|start| {
        let body_at = indexed?;
        let (core, length) = core(&lines)?;
        if let StartLine::Request { method, .. } = &start
            && *method != core.cseq.method
        {
            return Err(ParseErrorKind::MethodMismatch);
        }
        let body = datagram.get(body_at..).unwrap_or_default();
        // RFC 3261 §18.3: a datagram's body ends with the datagram when no length is given, and octets beyond the length are no part of it.
        let body = match length {
            None => body,
            Some(length) => usize::try_from(length).ok().and_then(|n| body.get(..n)).ok_or(ParseErrorKind::Truncated)?,
        };
        Ok((start, core, body))
    });
    match outcome {
        Ok((start, core, body)) => Ok(Message::new(start, core, lines, body)),
        Err(kind) => fail(kind, lines, answerable),
    }
}

fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_response(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/"))
}

/// `Method SP URI SP SIP/2.0` or `SIP/2.0 SP 200 SP reason`.
fn start_line(line: &[u8]) -> Result<StartLine<'_>, ParseErrorKind> {
    if line.len() > MAX_START_LINE {
        return Err(ParseErrorKind::StartLineTooLong);
    }
    if is_response(line) {
        return status_line(line);
    }
    let (Some(first), Some(last)) = (memchr(b' ', line), memrchr(b' ', line)) else { return Err(ParseErrorKind::NotSip) };
    let version = &line[last + 1..];
    let method = Method::parse(&line[..first]).ok_or(ParseErrorKind::NotSip)?;
    if !is_response(version) {
        return Err(ParseErrorKind::BadStartLine);
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(ParseErrorKind::BadVersion);
    }
    let uri = line.get(first + 1..last).ok_or(ParseErrorKind::BadStartLine)?;
    if uri.len() > MAX_URI_LEN {
        return Err(ParseErrorKind::StartLineTooLong);
    }
    let uri = Uri::parse(uri).ok_or(ParseErrorKind::BadRequestUri)?;
    // RFC 3261 §19.1.1: headers are not allowed in a Request-URI.
    if uri.sip().is_some_and(|sip| !sip.headers.is_empty()) {
        return Err(ParseErrorKind::BadRequestUri);
    }
    Ok(StartLine::Request { method, uri })
}

fn status_line(line: &[u8]) -> Result<StartLine<'_>, ParseErrorKind> {
    let (version, rest) = line.split_at_checked(7).ok_or(ParseErrorKind::BadStartLine)?;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(ParseErrorKind::BadVersion);
    }
    let (code, reason) = rest.strip_prefix(b" ").and_then(|r| r.split_at_checked(3)).ok_or(ParseErrorKind::BadStartLine)?;
    let status = scan::number(code).and_then(|n| u16::try_from(n).ok()).filter(|n| (100..700).contains(n));
    let reason_follows = matches!(reason.first(), None | Some(b' '));
    match status {
        Some(status) if reason_follows => Ok(StartLine::Response { status, reason: scan::trim(reason) }),
        _ => Err(ParseErrorKind::BadStartLine),
    }
}

/// Indexes the header lines from `at` on and returns where the body starts. Goes on after a bad line, so that an answer can be made.
///
/// All lines end as the first did; where LF stands for CRLF or the reverse, another reader might see another line.
fn index(lines: &mut Lines<'_>, mut at: usize, crlf: bool) -> Result<usize, ParseErrorKind> {
    let datagram = lines.datagram();
    let mixed = |line: &[u8]| line.ends_with(b"\r") != crlf;
    let mut first_error = None;
    loop {
        let start = at;
        let Some(len) = memchr(b'\n', &datagram[at..]) else { return Err(first_error.unwrap_or(ParseErrorKind::NoEmptyLine)) };
        at += len + 1;
        let mut end = start + strip_cr(&datagram[start..start + len]).len();
        let mut bad_end = mixed(&datagram[start..start + len]);
        if end == start {
            if bad_end {
                first_error = first_error.or(Some(ParseErrorKind::BadHeaderLine));
            }
            return first_error.map_or(Ok(at), Err);
        }
        let first_end = end;
        bad_end |= memchr(b'\r', &datagram[start..end]).is_some();
        while matches!(datagram.get(at), Some(b' ' | b'\t')) {
            let Some(len) = memchr(b'\n', &datagram[at..]) else { return Err(first_error.unwrap_or(ParseErrorKind::NoEmptyLine)) };
            end = at + strip_cr(&datagram[at..at + len]).len();
            bad_end |= mixed(&datagram[at..at + len]) || memchr(b'\r', &datagram[at..end]).is_some();
            at += len + 1;
        }
        let added = if bad_end {
            Err(ParseErrorKind::BadHeaderLine)
        } else if end - start > MAX_HEADER_LEN {
            Err(ParseErrorKind::HeaderTooLong)
        } else {
            header_line(lines, start, first_end, end)
        };
        match added {
            Ok(()) => {}
            Err(kind @ ParseErrorKind::TooManyHeaders) => return Err(first_error.unwrap_or(kind)),
            Err(kind) => first_error = first_error.or(Some(kind)),
        }
    }
}

/// Adds the header line `start..end`; its name and colon stand before `first_end`.
fn header_line(lines: &mut Lines<'_>, start: usize, first_end: usize, end: usize) -> Result<(), ParseErrorKind> {
    let line = &lines.datagram()[start..first_end];
    let colon = memchr(b':', line).ok_or(ParseErrorKind::BadHeaderLine)?;
    let mut name = &line[..colon];
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    if !scan::is_token(name) || name.len() > MAX_HEADER_NAME_LEN {
        return Err(ParseErrorKind::BadHeaderLine);
    }
    let id = HeaderId::of(name);
    if lines.push(id, start, name.len(), start + colon + 1, end) { Ok(()) } else { Err(ParseErrorKind::TooManyHeaders) }
}

/// Headers that must not stand twice (RFC 3261 §7.3.1), beside those that [`core`] reads.
fn is_single(id: HeaderId) -> bool {
    matches!(
        id,
        HeaderId::From
            | HeaderId::To
            | HeaderId::CallId
            | HeaderId::CSeq
            | HeaderId::MaxForwards
            | HeaderId::ContentLength
            | HeaderId::ContentType
            | HeaderId::Expires
            | HeaderId::ReferTo
            | HeaderId::Replaces
            | HeaderId::SessionExpires
            | HeaderId::RAck
            | HeaderId::RSeq
    )
}

/// Reads and proves the routing headers; also returns the Content-Length.
fn core<'a>(lines: &Lines<'a>) -> Result<(Core<'a>, Option<u64>), ParseErrorKind> {
    let (mut via, mut from, mut to, mut call_id, mut cseq) = (None, None, None, None, None);
    let (mut max_forwards, mut length) = (None, None);
    let (mut seen, mut vias, mut addresses) = (0_u64, 0_usize, 0_usize);
    for (id, value) in lines.iter() {
        let bad = ParseErrorKind::Malformed(id);
        let bit = 1_u64 << (id as u8).min(63);
        if seen & bit != 0 && is_single(id) {
            return Err(ParseErrorKind::Duplicate(id));
        }
        seen |= bit;
        match id {
            HeaderId::Via => {
                for value in scan::Elements::of(value) {
                    let one = Via::parse(value).ok_or(bad)?;
                    via = via.or(Some(one));
                    vias += 1;
                }
            }
            HeaderId::From => from = Some(NameAddr::parse(value).ok_or(bad)?),
            HeaderId::To => to = Some(NameAddr::parse(value).ok_or(bad)?),
            HeaderId::CallId => call_id = Some(call_id_text(value).ok_or(bad)?),
            HeaderId::CSeq => cseq = Some(CSeq::parse(value).ok_or(bad)?),
            // RFC 4475 §3.1.2.4: an overlarge lone number may be clamped.
            HeaderId::MaxForwards => max_forwards = Some(u8::try_from(scan::number(value).ok_or(bad)?).unwrap_or(u8::MAX)),
            HeaderId::ContentLength => length = Some(scan::number(value).ok_or(bad)?),
            HeaderId::Contact if value == b"*" => {}
            HeaderId::Contact | HeaderId::Route | HeaderId::RecordRoute => {
                for value in scan::Elements::of(value) {
                    NameAddr::parse(value).ok_or(bad)?;
                    addresses += 1;
                }
            }
            _ => {}
        }
        if vias > MAX_VIAS || addresses > MAX_ADDRESSES {
            return Err(ParseErrorKind::TooManyValues(id));
        }
    }
    let missing = ParseErrorKind::Missing;
    let core = Core {
        via: via.ok_or(missing(HeaderId::Via))?,
        from: from.ok_or(missing(HeaderId::From))?,
        to: to.ok_or(missing(HeaderId::To))?,
        call_id: call_id.ok_or(missing(HeaderId::CallId))?,
        cseq: cseq.ok_or(missing(HeaderId::CSeq))?,
        max_forwards,
    };
    Ok((core, length))
}

fn call_id_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| is_word(text.as_bytes()))
}

#[cfg(test)]
mod tests;
