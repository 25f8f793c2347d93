//! The writer: field types → octets. Every value that passes here excludes control characters by its type.

use std::{io::Write as _, net::SocketAddr};

use super::{
    build::{Body, Header, Refresher, ViaBuf},
    digest::{Challenge, Credentials},
    field::{Address, CallId, Method, Param, Text},
    header::{Rport, Via},
};

/// Appends formatted text: a vector takes everything.
macro_rules! put {
    ($out:expr, $($part:tt)+) => {{
        let _ = write!($out, $($part)+);
    }};
}

pub(super) fn status_line(status: u16, reason: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    put!(out, "SIP/2.0 {status} {reason}\r\n");
    out
}

pub(super) fn request_line(out: &mut Vec<u8>, method: &Method, uri: &str) {
    for part in [method.as_str(), " ", uri, " SIP/2.0\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends one header line; `value` comes from a field type or is made of digits and literals.
pub(super) fn header_line(out: &mut Vec<u8>, name: &str, value: &str) {
    line(out, name, |out| out.extend_from_slice(value.as_bytes()));
}

/// The same with a number.
pub(super) fn number_line(out: &mut Vec<u8>, name: &str, number: u64) {
    line(out, name, |out| put!(out, "{number}"));
}

/// One header line whose value is written where it stands.
fn line(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let begin = out.len();
    value(out);
    debug_assert!(!out.get(begin..).unwrap_or_default().iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)));
    out.extend_from_slice(b"\r\n");
}

/// The topmost Via of a stateless answer, as one line of text.
pub(super) fn via_for_answer(via: &Via<'_>, source: SocketAddr) -> String {
    let mut owned = ViaBuf::from(via);
    owned.stamp(source, via.rport != Rport::Absent);
    let mut text = Vec::with_capacity(128);
    via_value(&mut text, &owned);
    String::from_utf8(text).unwrap_or_else(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
}

fn via_value(out: &mut Vec<u8>, via: &ViaBuf) {
    put!(out, "SIP/2.0/{} {}", via.transport, via.host);
    if let Some(port) = via.port {
        put!(out, ":{port}");
    }
    params(out, &via.params);
}

pub(super) fn vias(out: &mut Vec<u8>, vias: &[ViaBuf]) {
    for via in vias {
        line(out, "Via", |out| via_value(out, via));
    }
}

fn params(out: &mut Vec<u8>, params: &[Param]) {
    for p in params {
        out.push(b';');
        out.extend_from_slice(p.name.as_str().as_bytes());
        let Some(value) = &p.value else { continue };
        out.push(b'=');
        let plain = |b: u8| b > b' ' && b != 0x7f && !matches!(b, b'"' | b',' | b';' | b'<' | b'>' | b'\\');
        if !value.is_empty() && value.as_str().bytes().all(plain) {
            out.extend_from_slice(value.as_str().as_bytes());
        } else {
            quoted(out, value.as_str());
        }
    }
}

fn quoted(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    // Octets of a longer character are never a quote or a backslash.
    for octet in value.bytes() {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

fn address(out: &mut Vec<u8>, address: &Address) {
    if let Some(display) = address.display.as_ref().filter(|d| !d.is_empty()) {
        quoted(out, display.as_str());
        out.push(b' ');
    }
    out.push(b'<');
    out.extend_from_slice(address.uri.as_str().as_bytes());
    out.push(b'>');
    params(out, &address.params);
}

pub(super) fn rest(out: &mut Vec<u8>, ids: (&Address, &Address, &CallId), cseq: (u32, &Method), headers: &[Header], body: Option<&Body>) {
    line(out, "From", |out| address(out, ids.0));
    line(out, "To", |out| address(out, ids.1));
    header_line(out, "Call-ID", ids.2.as_str());
    line(out, "CSeq", |out| put!(out, "{} {}", cseq.0, cseq.1));
    for header in headers {
        match header {
            Header::Text(kind, text) => header_line(out, kind.id().name(), text.as_str()),
            Header::Address(kind, value) => line(out, kind.id().name(), |out| address(out, value)),
            Header::Tokens(kind, tokens) => line(out, kind.id().name(), |out| {
                for (n, token) in tokens.iter().enumerate() {
                    out.extend_from_slice(if n > 0 { b", " } else { b"" });
                    out.extend_from_slice(token.as_str().as_bytes());
                }
            }),
            Header::Number(kind, number) => number_line(out, kind.id().name(), (*number).into()),
            Header::Challenge(kind, value) => line(out, kind.id().name(), |out| challenge(out, value)),
            Header::Credentials(kind, value) => line(out, kind.id().name(), |out| credentials(out, value)),
            Header::ContactStar => header_line(out, "Contact", "*"),
            Header::SessionExpires(seconds, who) => {
                let who = match who {
                    None => "",
                    Some(Refresher::Uac) => ";refresher=uac",
                    Some(Refresher::Uas) => ";refresher=uas",
                };
                line(out, "Session-Expires", |out| put!(out, "{seconds}{who}"));
            }
        }
    }
    let bytes = body.map_or(&[][..], |b| &b.bytes);
    if let Some(body) = body {
        header_line(out, "Content-Type", body.content_type.as_str());
    }
    number_line(out, "Content-Length", bytes.len() as u64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
}

fn challenge(out: &mut Vec<u8>, value: &Challenge) {
    out.extend_from_slice(b"Digest ");
    fields(out, &[("realm", Some(&value.realm)), ("nonce", Some(&value.nonce)), ("opaque", value.opaque.as_ref())]);
    put!(out, ", algorithm={}", value.algorithm.name());
    out.extend_from_slice(if value.qop_auth { b", qop=\"auth\"" } else { b"" });
    out.extend_from_slice(if value.stale { b", stale=true" } else { b"" });
}

fn credentials(out: &mut Vec<u8>, value: &Credentials) {
    out.extend_from_slice(b"Digest ");
    let Credentials { username, realm, nonce, uri, response, algorithm, opaque, qop_auth } = value;
    let all = [("username", username), ("realm", realm), ("nonce", nonce), ("uri", uri), ("response", response)];
    let [username, realm, nonce, uri, response] = all.map(|(name, value)| (name, Some(value)));
    fields(out, &[username, realm, nonce, uri, response, ("opaque", opaque.as_ref())]);
    put!(out, ", algorithm={}", algorithm.name());
    if let Some((cnonce, nc)) = qop_auth {
        out.extend_from_slice(b", ");
        fields(out, &[("cnonce", Some(cnonce))]);
        put!(out, ", qop=auth, nc={nc:08x}");
    }
}

/// Quoted fields, those that are there, joined by commas.
fn fields(out: &mut Vec<u8>, fields: &[(&str, Option<&Text>)]) {
    for (i, (name, value)) in fields.iter().filter_map(|(n, v)| v.map(|v| (n, v))).enumerate() {
        out.extend_from_slice(if i > 0 { b", " } else { b"" });
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        quoted(out, value.as_str());
    }
}
