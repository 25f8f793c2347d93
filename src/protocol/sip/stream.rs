//! Messages out of a stream (RFC 3261 §18.3): any split of the same octets yields the same messages.
//!
//! ```text
//! CRLF* start line, headers, empty line ── Content-Length ──▶ body │ next message …
//! ```
//! Between messages CRLF CRLF is a ping, answered by CRLF (RFC 5626 §3.5.1). Where the next message begins is never guessed: a head
//! without exactly one readable Content-Length, or one beyond a limit, ends the stream.

use memchr::{memchr, memchr_iter, memrchr};

use super::{header::HeaderId, parse::MAX_DATAGRAM, scan};

/// Octets of start line and headers: twice the largest head seen, an INVITE with Identity and many Record-Routes.
pub const MAX_HEAD: usize = 32 * 1024;
/// Octets of a whole message: what the parser takes.
pub const MAX_MESSAGE: usize = MAX_DATAGRAM;
/// Octets of a start line: whoever sends more of it speaks another protocol.
const MAX_FIRST_LINE: usize = super::parse::MAX_START_LINE;
/// Room that an idle stream keeps; more is given back after a large message.
const KEPT_ROOM: usize = 4096;

/// The answer to a ping (RFC 5626 §3.5.1).
pub const PONG: &[u8] = b"\r\n";

/// What stands next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    /// One whole message, not yet parsed.
    Message(&'a [u8]),
    /// A keep-alive that wants [`PONG`].
    Ping,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// What stands where a message should begin is no SIP: TLS, HTTP, noise.
    #[error("the peer does not speak SIP")]
    NotSip,
    /// The headers exceed [`MAX_HEAD`].
    #[error("headers beyond {MAX_HEAD} octets")]
    HeadTooLarge,
    /// There is no Content-Length (RFC 3261 §18.3 demands one), or two, or it is no number.
    #[error("not exactly one readable Content-Length")]
    BadLength,
    /// The message exceeds [`MAX_MESSAGE`].
    #[error("a message beyond {MAX_MESSAGE} octets")]
    MessageTooLarge,
}

/// The octets of one stream that are not yet a message.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// What was given out and goes at the next call.
    taken: usize,
    /// Octets after `taken` in which no end of the head was found.
    searched: usize,
    /// The length of the message whose head was found.
    expected: Option<usize>,
    failed: Option<StreamError>,
}

impl Framer {
    /// Adds octets as they arrived; take everything out with [`Self::next_message`] before adding more.
    pub fn push(&mut self, octets: &[u8]) {
        if self.failed.is_none() {
            self.release();
            self.buffer.extend_from_slice(octets);
        }
    }

    /// The next thing in the stream; `None` until more arrives. An error is for ever.
    ///
    /// # Errors
    /// See [`StreamError`]: the connection must be closed, since nobody knows where the next message begins.
    pub fn next_message(&mut self) -> Result<Option<Framed<'_>>, StreamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.release();
        if self.expected.is_none() {
            match self.skip_line_ends() {
                Between::Ping => return Ok(Some(Framed::Ping)),
                Between::Wait => return Ok(None),
                Between::Message => {}
            }
            match message_length(&self.buffer, &mut self.searched) {
                Ok(length) => self.expected = length,
                Err(error) => {
                    self.failed = Some(error);
                    self.buffer = Vec::new();
                    return Err(error);
                }
            }
        }
        match self.expected.filter(|length| self.buffer.len() >= *length) {
            Some(length) => {
                (self.taken, self.expected, self.searched) = (length, None, 0);
                Ok(Some(Framed::Message(&self.buffer[..length])))
            }
            None => Ok(None),
        }
    }

    /// Whether a message has begun and not ended: its sender must not take for ever.
    pub fn is_partial(&self) -> bool {
        self.buffer.get(self.taken..).is_some_and(|rest| rest.iter().any(|octet| !matches!(octet, b'\r' | b'\n')))
    }

    /// Octets held.
    pub fn held(&self) -> usize {
        self.buffer.len() - self.taken
    }

    fn release(&mut self) {
        self.buffer.drain(..std::mem::take(&mut self.taken));
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_ROOM {
            self.buffer = Vec::with_capacity(KEPT_ROOM);
        }
    }

    /// Drops line ends between messages. A lone CRLF may be the first half of a ping and waits.
    fn skip_line_ends(&mut self) -> Between {
        let mut at = 0;
        let next = loop {
            match &self.buffer[at..] {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    at += 4;
                    break Between::Ping;
                }
                rest if b"\r\n\r\n".starts_with(rest) => break Between::Wait,
                [b'\r', b'\n', ..] => at += 2,
                [b'\r' | b'\n', ..] => at += 1,
                _ => break Between::Message,
            }
        };
        self.buffer.drain(..at);
        next
    }
}

/// What stands between two messages.
enum Between {
    Ping,
    Wait,
    Message,
}

/// The length of the message that the octets begin with; `None` while its head is incomplete.
fn message_length(octets: &[u8], searched: &mut usize) -> Result<Option<usize>, StreamError> {
    let first_line = memchr(b'\n', octets);
    if !speaks_sip(&octets[..first_line.unwrap_or(octets.len())], first_line.is_some()) {
        return Err(StreamError::NotSip);
    }
    let Some(head) = head_length(octets, *searched) else {
        // Up to two octets of the empty line may be there already.
        *searched = octets.len().saturating_sub(3);
        return if octets.len() > MAX_HEAD { Err(StreamError::HeadTooLarge) } else { Ok(None) };
    };
    if head > MAX_HEAD {
        return Err(StreamError::HeadTooLarge);
    }
    let body = content_length(&octets[first_line.map_or(0, |at| at + 1)..head]).ok_or(StreamError::BadLength)?;
    let length = usize::try_from(body).ok().and_then(|body| head.checked_add(body)).filter(|length| *length <= MAX_MESSAGE);
    length.map(Some).ok_or(StreamError::MessageTooLarge)
}

/// Whether a first line, whole or as far as it is there, can be one of SIP.
fn speaks_sip(line: &[u8], whole: bool) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_version = |text: &[u8]| text.get(..4).is_some_and(|text| text.eq_ignore_ascii_case(b"SIP/"));
    if line.len() > MAX_FIRST_LINE {
        return false;
    }
    let method = memchr(b' ', line).map_or(line, |end| &line[..end]);
    let is_request = method.iter().all(|octet| scan::is_token_octet(*octet));
    if whole {
        return is_version(line) || (is_request && memrchr(b' ', line).is_some_and(|at| is_version(&line[at + 1..])));
    }
    // As far as it is there, "SIP" might be a method too.
    is_version(line) || is_request
}

/// The octets up to and with the empty line.
fn head_length(octets: &[u8], from: usize) -> Option<usize> {
    memchr_iter(b'\n', octets.get(from..)?).find_map(|at| match octets.get(from + at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// The one Content-Length of a head without its first line.
fn content_length(mut head: &[u8]) -> Option<u64> {
    let mut found = None;
    while let Some(end) = memchr(b'\n', head) {
        let mut line_end = end + 1;
        while matches!(head.get(line_end), Some(b' ' | b'\t')) {
            line_end += memchr(b'\n', &head[line_end..])? + 1;
        }
        let line = &head[..line_end];
        head = &head[line_end..];
        let Some(colon) = memchr(b':', line) else { continue };
        if HeaderId::of(scan::trim_end(&line[..colon])) == HeaderId::ContentLength {
            let length = scan::number(scan::trim(&line[colon + 1..]))?;
            if found.replace(length).is_some() {
                return None;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
