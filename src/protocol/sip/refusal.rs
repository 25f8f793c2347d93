//! A final refusal straight from the octets of a request: nothing is parsed beyond the topmost Via, nothing is allocated.
//!
//! For overload, where refusing must cost a fraction of serving. What RFC 3261 §8.2.6 has a response repeat (Via, From, To, Call-ID,
//! CSeq) is copied line by line to whoever sent it and to nobody else, the topmost Via with where it came from (§18.2.1, RFC 3581 §4).
//! Whatever is unusual is left to the parser.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use memchr::memchr;

use super::{
    field::Method,
    header::{HeaderId, Rport, Transport, Via},
    message::response_target,
    parse::{MAX_HEADER_LEN, MAX_HEADER_LINES},
    scan,
    uri::Host,
};

/// What a refusal says beside what it repeats.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// The tag that To gets.
    pub to_tag: &'a str,
    /// Our name.
    pub server: &'a str,
    /// Seconds after which it may be tried again; `None` says nothing.
    pub retry_after: Option<u32>,
}

/// Seen so far of what every request has once.
const FROM: u8 = 1;
const TO: u8 = 2;
const CALL_ID: u8 = 4;
const CSEQ: u8 = 8;
const ALL: u8 = FROM | TO | CALL_ID | CSEQ;

impl Refusal<'_> {
    /// Appends a 503 to this request of this method and says where a datagram of it goes; `None`, with `out` as it was, where the
    /// request is not of the plain form and has to be parsed.
    pub fn write(&self, out: &mut Vec<u8>, request: &[u8], method: &Method, source: SocketAddr) -> Option<SocketAddr> {
        let start = out.len();
        let target = self.append(out, request, method, source);
        if target.is_none() {
            out.truncate(start);
        }
        target
    }

    fn append(&self, out: &mut Vec<u8>, request: &[u8], method: &Method, source: SocketAddr) -> Option<SocketAddr> {
        let first = memchr(b'\n', request)?;
        if !request[..first].ends_with(b" SIP/2.0\r") || *method == Method::Ack {
            return None;
        }
        out.extend_from_slice(b"SIP/2.0 503 Service Unavailable\r\n");
        let (mut rest, mut seen, mut target) = (&request[first + 1..], 0, None);
        for _ in 0..MAX_HEADER_LINES {
            let end = memchr(b'\n', rest)?;
            let line = rest[..end].strip_suffix(b"\r")?;
            rest = &rest[end + 1..];
            let Some(initial) = line.first() else {
                return if seen == ALL { self.finish(out, target) } else { None };
            };
            if scan::is_lws(*initial) {
                return None;
            }
            if !matches!(initial | 0x20, b'v' | b'f' | b't' | b'i' | b'c') {
                continue;
            }
            let (name, value) = line.split_at(memchr(b':', line)?);
            let value = &value[1..];
            let (mark, is_well) = match HeaderId::of(scan::trim_end(name)) {
                HeaderId::Via if target.is_none() => {
                    target = Some(top_via(out, line, value, source)?);
                    continue;
                }
                HeaderId::Via => (0, true),
                HeaderId::From => (FROM, true),
                HeaderId::To => (TO, scan::tag_of(value).is_none()),
                HeaderId::CallId => (CALL_ID, true),
                HeaderId::CSeq => (CSEQ, scan::trim_end(value).ends_with(method.as_str().as_bytes())),
                _ => continue,
            };
            if seen & mark != 0 || !is_well || !is_plain(line) {
                return None;
            }
            seen |= mark;
            out.extend_from_slice(line);
            if mark == TO {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(self.to_tag.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        None
    }

    fn finish(&self, out: &mut Vec<u8>, target: Option<SocketAddr>) -> Option<SocketAddr> {
        if let Some(seconds) = self.retry_after {
            write!(out, "Retry-After: {seconds}\r\n").ok()?;
        }
        for part in ["Server: ", self.server, "\r\nContent-Length: 0\r\n\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        target
    }
}

/// The topmost Via with `received` and `rport` filled in. One that already says `received` has been somewhere else, or lies.
fn top_via(out: &mut Vec<u8>, line: &[u8], value: &[u8], source: SocketAddr) -> Option<SocketAddr> {
    // A comma begins the next Via, a comment or a quote may hide anything.
    if !is_plain(line) || value.iter().any(|octet| matches!(octet, b',' | b'"' | b'(')) {
        return None;
    }
    let via = Via::parse(value)?;
    if via.params.get("received").is_some() || !matches!(via.transport, Transport::Udp | Transport::Tcp) {
        return None;
    }
    out.extend_from_slice(b"Via: ");
    let value = scan::trim(value);
    let asked = match via.rport {
        Rport::Absent => false,
        Rport::Port(_) => return None,
        Rport::Asked => {
            let at = rport_end(value)?;
            out.extend_from_slice(&value[..at]);
            write!(out, "={}", source.port()).ok()?;
            out.extend_from_slice(&value[at..]);
            true
        }
    };
    if !asked {
        out.extend_from_slice(value);
    }
    if asked || !is_at(&via.host, source.ip()) {
        write!(out, ";received={}", source.ip()).ok()?;
    }
    out.extend_from_slice(b"\r\n");
    Some(response_target(&via, source))
}

/// Behind the name of the one `rport` parameter.
fn rport_end(via: &[u8]) -> Option<usize> {
    let mut ends = (0..via.len()).filter(|at| via[*at] == b';').filter_map(|semicolon| {
        let name = via.get(semicolon + 1..semicolon + 6)?;
        let end = semicolon + 6;
        let is_whole = matches!(via.get(end), None | Some(b';'));
        (name.eq_ignore_ascii_case(b"rport") && is_whole).then_some(end)
    });
    let end = ends.next()?;
    ends.next().is_none().then_some(end)
}

fn is_at(host: &Host<'_>, address: IpAddr) -> bool {
    matches!(host, Host::Ip(ip) if *ip == address)
}

/// Whether a line may be repeated: text without control characters, no longer than the parser takes.
fn is_plain(line: &[u8]) -> bool {
    // Without an early end the compiler looks at many octets at once.
    let (mut control, mut high) = (false, false);
    for octet in line {
        control |= (*octet < b' ' && *octet != b'\t') || *octet == 0x7f;
        high |= *octet >= 0x80;
    }
    !control && line.len() <= MAX_HEADER_LEN && (!high || std::str::from_utf8(line).is_ok())
}

#[cfg(test)]
mod tests;
