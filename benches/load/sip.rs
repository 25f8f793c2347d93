//! The few SIP messages that load needs, written straight into a buffer.

use std::{io::Write, net::SocketAddr};

use throughline::protocol::sip::{
    digest::{Challenge, Ha1},
    field::Method,
    header::HeaderId,
    message::Message,
};

/// What is sent from one place in one dialog.
pub struct Place<'a> {
    /// Whose message it is.
    pub local: SocketAddr,
    /// User part of From and Contact.
    pub user: &'a str,
    /// The server.
    pub server: SocketAddr,
    /// The Call-ID, of which tag and branches are made.
    pub call_id: &'a str,
}

/// A request.
pub struct Ask<'a> {
    pub method: &'a str,
    /// Request-URI.
    pub target: &'a str,
    /// The whole value of To.
    pub to: &'a str,
    pub cseq: u32,
    /// Whole header lines.
    pub extra: &'a str,
    pub body: &'a str,
}

impl Place<'_> {
    /// Writes a request. Its branch follows from Call-ID, CSeq and method, so that a CANCEL and an ACK to a refusal have the INVITE's; `ACK2` is
    /// the ACK to a 2xx, a transaction of its own (RFC 3261 §13.2.2.4).
    pub fn request(&self, out: &mut Vec<u8>, ask: &Ask<'_>) {
        let Self { local, user, server, call_id } = self;
        let Ask { method, target, to, cseq, extra, body } = ask;
        let mark = if matches!(*method, "INVITE" | "ACK" | "CANCEL") { "" } else { method };
        let method = if *method == "ACK2" { "ACK" } else { method };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        out.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call_id}{cseq}{mark}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{server}>;tag=f{call_id}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@{local}>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

/// An answer to `request`.
pub fn answer(out: &mut Vec<u8>, request: &Message<'_>, status: u16, contact: SocketAddr, body: &str) {
    let reason = match status {
        180 => "Ringing",
        _ => "OK",
    };
    out.clear();
    let _ = write!(out, "SIP/2.0 {status} {reason}\r\n");
    for id in [HeaderId::Via, HeaderId::RecordRoute, HeaderId::From, HeaderId::To, HeaderId::CallId, HeaderId::CSeq] {
        for value in request.header_lines(id) {
            let _ = write!(out, "{}: ", id.name());
            out.extend_from_slice(value);
            if id == HeaderId::To && request.to_tag().is_none() {
                let _ = write!(out, ";tag=u{}", contact.port());
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let _ = write!(out, "Contact: <sip:load@{contact}>\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len());
}

/// One stream of G.711 to `at`.
pub fn sdp(at: SocketAddr, payload_type: u8) -> String {
    let name = if payload_type == 8 { "PCMA" } else { "PCMU" };
    let ip = at.ip();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {name}/8000\r\n\
         a=sendrecv\r\n",
        at.port()
    )
}

/// The port of the first stream.
pub fn sdp_port(body: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(body).ok()?;
    text.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())
}

/// A phone's knowledge of how to prove who it is.
pub struct Account {
    pub user: String,
    pub password: String,
    challenge: Option<(Challenge, Ha1)>,
    count: u32,
}

impl Account {
    pub fn new(user: String, password: String) -> Self {
        Self { user, password, challenge: None, count: 0 }
    }

    /// Remembers the first challenge of a 401.
    pub fn challenged(&mut self, response: &Message<'_>) -> bool {
        let mut found = response.header_lines(HeaderId::WwwAuthenticate).filter_map(|line| Challenge::parse(line).ok());
        let Some(challenge) = found.next() else { return false };
        let ha1 = Ha1::of(&self.user, challenge.realm.as_str(), &self.password);
        (self.challenge, self.count) = (Some((challenge, ha1)), 0);
        true
    }

    /// The Authorization line for the next request; empty before the first challenge.
    pub fn line(&mut self, method: &Method, uri: &str) -> String {
        let Some((challenge, ha1)) = &self.challenge else { return String::new() };
        self.count += 1;
        let Some(c) = challenge.answer(&self.user, ha1, method, uri, "load", self.count) else { return String::new() };
        let (realm, nonce, response) = (c.realm.as_str(), c.nonce.as_str(), c.response.as_str());
        let opaque = c.opaque.as_ref().map(|o| format!(", opaque=\"{}\"", o.as_str())).unwrap_or_default();
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}, qop=auth, nc={:08x}, cnonce=\"load\"{opaque}\r\n",
            self.user,
            c.algorithm.name(),
            self.count
        )
    }
}
