//! A desk without a screen: the WebSocket, read and written by hand, so that hundreds fit into one thread.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use mio::net::TcpStream;

/// What a desk was told.
#[derive(Debug)]
pub enum Told {
    /// A new offer: its id, the caller's number, and when it was decided (unix milliseconds).
    Offer { offer: String, number: String, at_ms: i64 },
    /// A call to wrap up.
    WrapUp { interaction: String },
}

/// One agent's open desk.
pub struct Desk {
    pub stream: TcpStream,
    unread: Vec<u8>,
    offer: String,
    wrap_up: String,
}

impl Desk {
    /// Connects with a session's cookie and says that its agent is ready.
    pub fn open(server: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let mut stream = std::net::TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_nodelay(true)?;
        write!(
            stream,
            "GET /api/live HTTP/1.1\r\nHost: {server}\r\nOrigin: http://{server}\r\nCookie: throughline={token}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        let mut unread = Vec::new();
        let mut buffer = [0; 4096];
        let end = loop {
            let length = stream.read(&mut buffer).context("the desk's handshake")?;
            ensure!(length > 0, "the server closed a desk at once");
            unread.extend_from_slice(&buffer[..length]);
            if let Some(end) = memmem::find(&unread, b"\r\n\r\n") {
                break end + 4;
            }
        };
        ensure!(unread.starts_with(b"HTTP/1.1 101"), "no desk: {}", String::from_utf8_lossy(&unread));
        unread.drain(..end);
        stream.set_nonblocking(true)?;
        let mut desk = Self { stream: TcpStream::from_std(stream), unread, offer: String::new(), wrap_up: String::new() };
        desk.send(r#"{"type":"set_state","state":"ready","reason":null}"#)?;
        Ok(desk)
    }

    /// Reads all that is there.
    pub fn read(&mut self, mut told: impl FnMut(&mut Self, Told)) -> anyhow::Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the server closed a desk"),
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let mut unread = std::mem::take(&mut self.unread);
        let mut at = 0;
        while let Some((opcode, payload, next)) = frame(&unread, at) {
            match opcode {
                1 => {
                    for fact in self.understand(&unread[payload]) {
                        told(self, fact);
                    }
                }
                8 => bail!("the server says goodbye to a desk"),
                9 => self.write(10, &unread[payload])?,
                _ => {}
            }
            at = next;
        }
        unread.drain(..at);
        self.unread = unread;
        Ok(())
    }

    /// What is new in a view; the words of it are found, not parsed: a desk's own work is not measured here.
    fn understand(&mut self, text: &[u8]) -> Vec<Told> {
        let mut told = Vec::new();
        if let Some((offer, rest)) = value(text, b"\"offer\":{\"offer\":\"")
            && offer != self.offer
        {
            let at_ms = value_until(rest, b"\"at\":", b',').and_then(|at| at.parse().ok()).unwrap_or(0);
            let number = value(rest, b"\"number\":\"").map(|(number, _)| number).unwrap_or_default();
            self.offer.clone_from(&offer);
            told.push(Told::Offer { offer, number, at_ms });
        }
        if let Some((interaction, _)) = value(text, b"\"wrap_up\":{\"interaction\":\"")
            && interaction != self.wrap_up
        {
            self.wrap_up.clone_from(&interaction);
            told.push(Told::WrapUp { interaction });
        }
        told
    }

    /// The offer is on the screen.
    pub fn acknowledge(&mut self, offer: &str) -> anyhow::Result<()> {
        self.send(&format!(r#"{{"type":"ack","offer":"{offer}","level":"rendered"}}"#))
    }

    /// The agent is done.
    pub fn finish_wrap_up(&mut self, interaction: &str) -> anyhow::Result<()> {
        self.send(&format!(r#"{{"type":"finish_wrap_up","interaction":"{interaction}"}}"#))
    }

    fn send(&mut self, text: &str) -> anyhow::Result<()> {
        self.write(1, text.as_bytes())
    }

    /// One masked frame (RFC 6455 §5.2) with the mask 0.
    fn write(&mut self, opcode: u8, payload: &[u8]) -> anyhow::Result<()> {
        let length = payload.len();
        let mut frame = vec![0x80 | opcode];
        if length < 126 {
            frame.push(0x80 | length as u8);
        } else {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).context("a desk's message")
    }
}

/// Opcode, place of the payload, place after it.
fn frame(bytes: &[u8], at: usize) -> Option<(u8, std::ops::Range<usize>, usize)> {
    let head = bytes.get(at..at + 2)?;
    let (begin, length) = match head[1] & 0x7f {
        126 => (at + 4, usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?))),
        127 => (at + 10, u64::from_be_bytes(bytes.get(at + 2..at + 10)?.try_into().ok()?) as usize),
        short => (at + 2, usize::from(short)),
    };
    let end = begin + length;
    (bytes.len() >= end).then_some((head[0] & 0x0f, begin..end, end))
}

fn value<'a>(text: &'a [u8], key: &[u8]) -> Option<(String, &'a [u8])> {
    let rest = &text[memmem::find(text, key)? + key.len()..];
    let end = memchr::memchr(b'"', rest)?;
    Some((String::from_utf8_lossy(&rest[..end]).into_owned(), &rest[end..]))
}

fn value_until(text: &[u8], key: &[u8], until: u8) -> Option<String> {
    let rest = &text[memmem::find(text, key)? + key.len()..];
    Some(String::from_utf8_lossy(&rest[..memchr::memchr(until, rest)?]).into_owned())
}
