//! The lines of a session description (RFC 8866 §5), borrowed.
//!
//! Lenient where phones are sloppy (no `s=` or `t=`, bare LF; blank lines, unknown lines, bad attributes are passed over),
//! strict where a guess would change the meaning: the version and the m-lines, whose number and order an answer repeats.

use std::net::IpAddr;

/// Longest description that is read: four times a browser's offer with video.
pub const MAX_SDP_OCTETS: usize = 16 * 1024;
/// Most lines in one.
pub const MAX_LINES: usize = 512;
/// Longest line: certificates and candidates stay below.
pub const MAX_LINE_OCTETS: usize = 2048;
/// Most m-lines: an answer has to repeat each.
pub const MAX_MEDIA: usize = 16;
/// Most formats in an m-line: RTP has 128 payload types.
pub const MAX_FORMATS: usize = 128;
/// Longest media kind, transport or format: they come back in our answer.
pub const MAX_TOKEN_OCTETS: usize = 64;

/// Why bytes are not a session description; the request is answered 400.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SdpError {
    /// It does not begin with `v=0`.
    #[error("a session description begins with v=0")]
    NotSdp,
    /// Longer than [`MAX_SDP_OCTETS`].
    #[error("the session description is longer than {MAX_SDP_OCTETS} octets")]
    TooLong,
    /// More than [`MAX_LINES`].
    #[error("the session description has more than {MAX_LINES} lines")]
    TooManyLines,
    /// A line longer than [`MAX_LINE_OCTETS`].
    #[error("line {0} is longer than {MAX_LINE_OCTETS} octets")]
    LineTooLong(usize),
    /// More than [`MAX_MEDIA`] m-lines.
    #[error("the session description has more than {MAX_MEDIA} media")]
    TooManyMedia,
    /// An m-line that cannot be read.
    #[error("line {0} is not a media line: m=kind port transport format …")]
    BadMedia(usize),
}

/// A session description; borrows the bytes.
#[derive(Clone, Debug)]
pub struct Sdp<'a> {
    session: &'a [u8],
    media: Vec<Media<'a>>,
}

/// One m-line and the lines that belong to it.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    /// `audio`, `video`, `image`, …
    pub kind: &'a str,
    /// The transport port; 0 means rejected or switched off.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `udptl`, …
    pub transport: &'a str,
    formats: &'a str,
    section: &'a [u8],
}

/// The `o=` line (RFC 8866 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// Names the session.
    pub session_id: &'a str,
    /// Grows with each change.
    pub version: &'a str,
}

/// A `c=` line (RFC 8866 §5.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection<'a> {
    /// An address.
    Address(IpAddr),
    /// A host name, or something that is no address.
    Name(&'a str),
}

impl Connection<'_> {
    /// Says "send nothing" (RFC 3264 §8.4; RFC 6337 §5.3 for IPv6): `0.0.0.0`, `::`, a name under `.invalid`.
    pub fn is_hold(self) -> bool {
        match self {
            Self::Address(address) => address.is_unspecified(),
            Self::Name(name) => name.to_ascii_lowercase().trim_end_matches('.').ends_with(".invalid"),
        }
    }

    /// The address, when it is one that a single peer can have.
    pub fn unicast(self) -> Option<IpAddr> {
        match self {
            Self::Address(IpAddr::V4(v4)) if v4.is_broadcast() || v4.is_multicast() || v4.is_unspecified() => None,
            Self::Address(IpAddr::V6(v6)) if v6.is_multicast() || v6.is_unspecified() => None,
            Self::Address(address) => Some(address),
            Self::Name(_) => None,
        }
    }
}

impl<'a> Sdp<'a> {
    /// Reads a session description.
    ///
    /// # Errors
    /// Bytes that are none, that break a limit, or whose m-lines cannot be told.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_SDP_OCTETS {
            return Err(SdpError::TooLong);
        }
        let mut media: Vec<Media<'a>> = Vec::new();
        let (mut session, mut started) = (bytes, false);
        let mut section_from = 0;
        let mut lines = Lines { rest: bytes };
        let mut number = 0;
        loop {
            let line_from = bytes.len() - lines.rest.len();
            let Some(line) = lines.next() else { break };
            number += 1;
            check_line(number, line)?;
            if !started && line.get(1) == Some(&b'=') {
                started = true;
                if line != b"v=0" {
                    return Err(SdpError::NotSdp);
                }
            }
            let Some(value) = line.strip_prefix(b"m=") else { continue };
            if media.len() == MAX_MEDIA {
                return Err(SdpError::TooManyMedia);
            }
            let ended = &bytes[section_from..line_from];
            match media.last_mut() {
                None => session = ended,
                Some(last) => last.section = ended,
            }
            section_from = line_from;
            media.push(Media::parse(value).ok_or(SdpError::BadMedia(number))?);
        }
        if let Some(last) = media.last_mut() {
            last.section = &bytes[section_from..];
        }
        if started { Ok(Self { session, media }) } else { Err(SdpError::NotSdp) }
    }

    /// The m-lines in order.
    pub fn media(&self) -> &[Media<'a>] {
        &self.media
    }

    /// The `o=` line, when it can be read.
    pub fn origin(&self) -> Option<Origin<'a>> {
        let mut words = text(first(self.session, b"o=")?)?.split_ascii_whitespace().skip(1);
        Some(Origin { session_id: words.next()?, version: words.next()? })
    }

    /// The `c=` line that holds for `media`: its own, else the session's.
    pub fn connection(&self, media: &Media<'a>) -> Option<Connection<'a>> {
        let line = first(media.section, b"c=").or_else(|| first(self.session, b"c="))?;
        connection(text(line)?)
    }

    /// The session's attributes: name and value, the value empty for a flag.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        attributes(self.session)
    }
}

impl<'a> Media<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (kind, rest) = word(text(value)?);
        let (port, rest) = word(rest);
        let (transport, formats) = word(rest);
        let port = port.split('/').next()?.parse().ok()?;
        let known = Media { kind, port, transport, formats, section: &[] };
        let mut count = 0;
        let fits = known.formats().all(|format| {
            count += 1;
            is_token(format)
        });
        (is_token(kind) && is_transport(transport) && fits && (1..=MAX_FORMATS).contains(&count)).then_some(known)
    }

    /// The formats in order of preference; payload types, for RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.formats.split_ascii_whitespace()
    }

    /// The stream's own attributes: name and value, the value empty for a flag.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        attributes(self.section)
    }
}

/// Lines without their ends: CRLF or LF; blanks at the end go too.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.trim_ascii_end())
    }
}

fn check_line(number: usize, line: &[u8]) -> Result<(), SdpError> {
    if number > MAX_LINES {
        return Err(SdpError::TooManyLines);
    }
    if line.len() > MAX_LINE_OCTETS { Err(SdpError::LineTooLong(number)) } else { Ok(()) }
}

fn first<'a>(section: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    Lines { rest: section }.find_map(|line| line.strip_prefix(prefix))
}

fn attributes(section: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    Lines { rest: section }.filter_map(|line| {
        let line = text(line.strip_prefix(b"a=")?)?;
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        Some((name.trim_ascii(), value.trim_ascii()))
    })
}

/// `IN IP4 192.0.2.1/127` → its address, or what stands in its place. An IPv6 literal after IP4 is taken for what it is.
pub(super) fn connection(value: &str) -> Option<Connection<'_>> {
    let (network, rest) = word(value);
    let (_, rest) = word(rest);
    let host = word(rest).0.split('/').next()?;
    if !network.eq_ignore_ascii_case("IN") || host.is_empty() {
        return None;
    }
    Some(host.parse().map_or(Connection::Name(host), Connection::Address))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The first word and what follows it.
pub(super) fn word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    text.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((text, ""))
}

/// RFC 8866 §9 `token`, at most [`MAX_TOKEN_OCTETS`] long.
fn is_token(word: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&b);
    (1..=MAX_TOKEN_OCTETS).contains(&word.len()) && word.bytes().all(allowed)
}

fn is_transport(word: &str) -> bool {
    word.len() <= MAX_TOKEN_OCTETS && word.split('/').all(is_token)
}
