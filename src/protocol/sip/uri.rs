//! URIs as SIP carries them: `sip:`, `sips:`, `tel:` and schemes that we only pass judgement on (RFC 3261 §19.1, RFC 3966).

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use memchr::memchr;

use super::scan;

/// Longest URI that is read; longer ones are answered 414. Real ones stay below 300 octets.
pub const MAX_URI_LEN: usize = 2048;

/// The host part of a URI or Via.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Host<'a> {
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
    /// A name, letters in the case they came in (names compare without case).
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host without port: name, IPv4, or IPv6 in brackets.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|ip| Self::Ip(IpAddr::V6(ip)));
        }
        if text.as_bytes().first()?.is_ascii_digit()
            && let Ok(ip) = text.parse::<Ipv4Addr>()
        {
            return Some(Self::Ip(IpAddr::V4(ip)));
        }
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        fits.then_some(Self::Name(text))
    }

    /// Whether both mean the same host (RFC 3261 §19.1.4: names without case).
    pub fn same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Ip(a), Host::Ip(b)) => a == b,
            (Self::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(_), Host::Name(_)) | (Self::Name(_), Host::Ip(_)) => false,
        }
    }

    /// The address, when it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Reads `host[:port]`; white space around the colon is allowed as in Via.
pub(super) fn host_port(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let host_end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(host_end);
    let host = Host::parse(host.trim_end())?;
    let rest = rest.trim();
    if rest.is_empty() {
        return Some((host, None));
    }
    let port = scan::number(rest.strip_prefix(':')?.trim_start().as_bytes())?;
    Some((host, Some(u16::try_from(port).ok()?)))
}

/// The parts of a `sip:` or `sips:` URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SipUri<'a> {
    /// `sips:`.
    pub secure: bool,
    /// The user part as written, escapes kept; [`Uri::user`] decodes.
    pub user: Option<&'a str>,
    /// The password after the user (deprecated; never sent by us).
    pub password: Option<&'a str>,
    /// The host.
    pub host: Host<'a>,
    /// The port, when written.
    pub port: Option<u16>,
    /// The parameters with their leading `;`, or empty.
    pub params: &'a str,
    /// The headers after `?`, or empty.
    pub headers: &'a str,
}

/// What a URI is, by scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UriKind<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:` (RFC 3966).
    Tel {
        /// The number as written, visual separators kept.
        number: &'a str,
        /// The parameters with their leading `;`, or empty.
        params: &'a str,
    },
    /// Any other scheme: 416 as Request-URI (RFC 3261 §8.2.2.1).
    Other {
        /// The scheme without the colon.
        scheme: &'a str,
    },
}

/// A well-formed URI, borrowed from the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    raw: &'a str,
    kind: UriKind<'a>,
}

impl<'a> Uri<'a> {
    /// Reads a URI; `None` when it is malformed: no scheme, white space, quotes, angle brackets, bad host or port, not UTF-8.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let forbidden = |b: u8| b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f);
        if bytes.len() > MAX_URI_LEN || bytes.iter().any(|&b| forbidden(b)) {
            return None;
        }
        let raw = std::str::from_utf8(bytes).ok()?;
        let (scheme, rest) = raw.split_at(memchr(b':', bytes)?);
        let rest = &rest[1..];
        let starts = scheme.as_bytes().first()?.is_ascii_alphabetic();
        if !starts || rest.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
            return None;
        }
        let kind = if scheme.eq_ignore_ascii_case("sip") {
            UriKind::Sip(sip_parts(rest, false)?)
        } else if scheme.eq_ignore_ascii_case("sips") {
            UriKind::Sip(sip_parts(rest, true)?)
        } else if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            if number.is_empty() {
                return None;
            }
            UriKind::Tel { number, params }
        } else {
            UriKind::Other { scheme }
        };
        Some(Self { raw, kind })
    }

    /// The URI as written.
    pub const fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The parts, by scheme.
    pub const fn kind(&self) -> UriKind<'a> {
        self.kind
    }

    /// The parts of a `sip:` or `sips:` URI.
    pub const fn sip(&self) -> Option<SipUri<'a>> {
        match self.kind {
            UriKind::Sip(sip) => Some(sip),
            UriKind::Tel { .. } | UriKind::Other { .. } => None,
        }
    }

    /// The user part of a SIP URI, or the number of a `tel:` URI, with escapes decoded (octets that are not UTF-8 become U+FFFD).
    pub fn user(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            UriKind::Sip(sip) => sip.user.map(decode),
            UriKind::Tel { number, .. } => Some(decode(number)),
            UriKind::Other { .. } => None,
        }
    }

    /// The host of a SIP URI.
    pub fn host(&self) -> Option<Host<'a>> {
        self.sip().map(|sip| sip.host)
    }

    /// The port of a SIP URI, when written.
    pub fn port(&self) -> Option<u16> {
        self.sip().and_then(|sip| sip.port)
    }

    /// The value of a URI parameter, escapes kept; a parameter without value is `Some("")`.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let params = match self.kind {
            UriKind::Sip(sip) => sip.params,
            UriKind::Tel { params, .. } => params,
            UriKind::Other { .. } => "",
        };
        params
            .split(';')
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .find(|(n, _)| !n.is_empty() && n.eq_ignore_ascii_case(name))
            .map(|p| p.1)
    }

    /// Whether the URI is a loose router (`;lr`, RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Whether both name the same user at the same host and port, the comparison that bindings need (RFC 3261 §19.1.4, without parameters).
    pub fn same_address(&self, other: &Uri<'_>) -> bool {
        match (self.sip(), other.sip()) {
            (Some(a), Some(b)) => {
                a.secure == b.secure && a.user.map(decode) == b.user.map(decode) && a.host.same(&b.host) && a.port == b.port
            }
            (None, None) => self.raw.eq_ignore_ascii_case(other.raw),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

/// Splits what follows the scheme. `@` is reserved everywhere but as the separator; some phones leave it bare in the headers part.
fn sip_parts(rest: &str, secure: bool) -> Option<SipUri<'_>> {
    let (userinfo, place) = match memchr(b'@', rest.as_bytes()) {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let (place, headers) = match memchr(b'?', place.as_bytes()) {
        Some(at) => (&place[..at], &place[at + 1..]),
        None => (place, ""),
    };
    let (authority, params) = place.split_at(memchr(b';', place.as_bytes()).unwrap_or(place.len()));
    if memchr(b'@', place.as_bytes()).is_some() {
        return None;
    }
    let (host, port) = host_port(authority)?;
    let (user, password) = match userinfo.map(|u| u.split_once(':').map_or((u, None), |(u, p)| (u, Some(p)))) {
        None | Some(("", None)) => (None, None),
        Some(("", Some(_))) => return None,
        Some((user, password)) => (Some(user), password),
    };
    Some(SipUri { secure, user, password, host, port, params, headers })
}

/// Decodes `%HH`; a stray percent sign stays.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        match (b, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high << 4 | low);
                at += 3;
            }
            _ => {
                plain.push(b);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// Encodes a user part: unreserved characters stay, the rest becomes `%HH` (RFC 3261 §25.1).
pub fn encode_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push('%');
            for digit in [b >> 4, b & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}
