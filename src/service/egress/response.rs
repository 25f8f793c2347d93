//! An answer: status and headers, then the body as it comes, of a known length, in chunks, or until the end (RFC 9112).

use std::io::{self, Read};

use super::connection::Connection;

/// Longest head: real ones are under 4 kB.
const HEAD_MAX: usize = 32 << 10;
/// Most headers.
const HEADERS_MAX: usize = 100;
/// Interim answers (1xx) before the real one.
const INTERIM_MAX: usize = 4;
/// A chunk's size line: sixteen digits and an extension.
const CHUNK_LINE_MAX: usize = 256;

/// An answer whose body is read through [`Read`]; a body that ends early is an error.
#[derive(Debug)]
pub struct Response {
    from: Source,
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// So many octets are still to come.
    Counted(u64),
    /// In a chunk, of which so many octets are still to come.
    Chunk(u64),
    /// Before the size line of the next chunk.
    BetweenChunks,
    /// Until the connection ends.
    ToTheEnd,
    Done,
}

/// The connection, and what was read of it too early.
#[derive(Debug)]
struct Source {
    connection: Connection,
    early: Vec<u8>,
    at: usize,
}

impl Response {
    /// Reads the head.
    pub fn read(connection: Connection) -> io::Result<Self> {
        let mut from = Source { connection, early: Vec::new(), at: 0 };
        for _ in 0..INTERIM_MAX {
            let (status, headers) = from.head()?;
            if status >= 200 {
                let body = body_of(status, &headers)?;
                return Ok(Self { from, status, headers, body });
            }
        }
        Err(nonsense("it never answers"))
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Where a redirect points to; `None` for other answers.
    pub fn location(&self) -> Option<&str> {
        (300..400).contains(&self.status).then(|| self.header("location").unwrap_or("nowhere"))
    }

    /// A header's value; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it came from this machine or a private network.
    pub fn is_inner(&self) -> bool {
        self.from.connection.is_inner()
    }

    /// Octets of the body, where they are known.
    pub fn length(&self) -> Option<u64> {
        match self.body {
            Body::Counted(left) => Some(left),
            Body::Done => Some(0),
            Body::Chunk(_) | Body::BetweenChunks | Body::ToTheEnd => None,
        }
    }

    /// Reads the size line of the next chunk, and the line break before it.
    fn next_chunk(&mut self, first: bool) -> io::Result<()> {
        if !first {
            self.from.line()?;
        }
        let line = self.from.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| nonsense("the size of a chunk is no number"))?;
        // Trailers say nothing that we ask for; the connection ends with them.
        self.body = if size == 0 { Body::Done } else { Body::Chunk(size) };
        Ok(())
    }
}

impl Read for Response {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.body {
                Body::Done => return Ok(0),
                Body::ToTheEnd => return self.from.read(into),
                Body::BetweenChunks => self.next_chunk(true)?,
                Body::Chunk(0) => self.next_chunk(false)?,
                Body::Counted(0) => self.body = Body::Done,
                Body::Counted(left) | Body::Chunk(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
                    let read = self.from.read(&mut into[..most])?;
                    if read == 0 {
                        return Err(nonsense("it hung up in the middle of its answer"));
                    }
                    let left = left - read as u64;
                    self.body = if matches!(self.body, Body::Counted(_)) { Body::Counted(left) } else { Body::Chunk(left) };
                    return Ok(read);
                }
            }
        }
    }
}

impl Source {
    fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut head = httparse::Response::new(&mut headers);
            match head.parse(&self.early[self.at..]) {
                Ok(httparse::Status::Complete(length)) => {
                    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
                    let named = head.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value))).collect();
                    let status = head.code.unwrap_or(0);
                    self.at += length;
                    return Ok((status, named));
                }
                Ok(httparse::Status::Partial) if self.early.len() < HEAD_MAX => self.more()?,
                Ok(httparse::Status::Partial) => return Err(nonsense("the head of its answer is too long")),
                Err(e) => return Err(nonsense(&e.to_string())),
            }
        }
    }

    /// A line without its end, of a chunked body.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut octet = [0];
        while line.len() < CHUNK_LINE_MAX {
            if self.read(&mut octet)? == 0 {
                return Err(nonsense("it hung up in the middle of its answer"));
            }
            if octet[0] == b'\n' {
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            line.push(octet[0]);
        }
        Err(nonsense("the size of a chunk is too long"))
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        let read = self.connection.read(&mut piece)?;
        if read == 0 {
            return Err(nonsense("it hung up before it answered"));
        }
        self.early.extend_from_slice(&piece[..read]);
        Ok(())
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let early = &self.early[self.at..];
        if early.is_empty() {
            return self.connection.read(into);
        }
        let most = early.len().min(into.len());
        into[..most].copy_from_slice(&early[..most]);
        self.at += most;
        Ok(most)
    }
}

fn body_of(status: u16, headers: &[(String, String)]) -> io::Result<Body> {
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    if matches!(status, 204 | 304) {
        return Ok(Body::Done);
    }
    if header("content-encoding").is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return Err(nonsense("its answer is packed, which was not asked for"));
    }
    match (header("transfer-encoding"), header("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Ok(Body::BetweenChunks),
        (Some(_), _) => Err(nonsense("an unknown transfer coding")),
        (None, Some(length)) => length.parse().map(Body::Counted).map_err(|_| nonsense("the length of its answer is no number")),
        (None, None) => Ok(Body::ToTheEnd),
    }
}

fn nonsense(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}
