//! The writer: field types → octets. Every value that passes here excludes control characters by its type.

use std::{fmt::Write as _, net::SocketAddr};

use super::{
    build::{Body, Header, Refresher, ViaBuf},
    digest::{Challenge, Credentials},
    field::{Address, CallId, Method, Param, Text, Token},
    header::{Rport, Via},
};

pub(super) fn status_line(status: u16, reason: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    out.extend_from_slice(format!("SIP/2.0 {status} {reason}\r\n").as_bytes());
    out
}

/// Appends one header line; `value` comes from a field type or is made of digits and literals.
pub(super) fn header_line(out: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(!value.contains(['\r', '\n', '\0']));
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The topmost Via of a stateless answer, as one line of text.
pub(super) fn via_for_answer(via: &Via<'_>, source: SocketAddr) -> String {
    let mut owned = ViaBuf::from(via);
    owned.stamp(source, via.rport != Rport::Absent);
    via_text(&owned)
}

fn via_text(via: &ViaBuf) -> String {
    let mut text = format!("SIP/2.0/{} {}", via.transport, via.host);
    if let Some(port) = via.port {
        let _ = write!(text, ":{port}");
    }
    params(&mut text, &via.params);
    text
}

pub(super) fn vias(out: &mut Vec<u8>, vias: &[ViaBuf]) {
    for via in vias {
        header_line(out, "Via", &via_text(via));
    }
}

fn params(text: &mut String, params: &[Param]) {
    for p in params {
        let _ = write!(text, ";{}", p.name);
        let Some(value) = &p.value else { continue };
        text.push('=');
        let plain = |b: u8| b > b' ' && b != 0x7f && !matches!(b, b'"' | b',' | b';' | b'<' | b'>' | b'\\');
        if !value.is_empty() && value.as_str().bytes().all(plain) {
            text.push_str(value.as_str());
        } else {
            quoted(text, value.as_str());
        }
    }
}

pub(super) fn quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn address(address: &Address) -> String {
    let mut text = String::with_capacity(96);
    if let Some(display) = address.display.as_ref().filter(|d| !d.is_empty()) {
        quoted(&mut text, display.as_str());
        text.push(' ');
    }
    let _ = write!(text, "<{}>", address.uri);
    params(&mut text, &address.params);
    text
}

pub(super) fn rest(out: &mut Vec<u8>, ids: (&Address, &Address, &CallId), cseq: (u32, &Method), headers: &[Header], body: Option<&Body>) {
    header_line(out, "From", &address(ids.0));
    header_line(out, "To", &address(ids.1));
    header_line(out, "Call-ID", ids.2.as_str());
    header_line(out, "CSeq", &format!("{} {}", cseq.0, cseq.1));
    for header in headers {
        match header {
            Header::Text(kind, text) => header_line(out, kind.id().name(), text.as_str()),
            Header::Address(kind, value) => header_line(out, kind.id().name(), &address(value)),
            Header::Tokens(kind, tokens) => {
                let list: Vec<&str> = tokens.iter().map(Token::as_str).collect();
                header_line(out, kind.id().name(), &list.join(", "));
            }
            Header::Number(kind, number) => header_line(out, kind.id().name(), &number.to_string()),
            Header::Challenge(kind, value) => header_line(out, kind.id().name(), &challenge(value)),
            Header::Credentials(kind, value) => header_line(out, kind.id().name(), &credentials(value)),
            Header::ContactStar => header_line(out, "Contact", "*"),
            Header::SessionExpires(seconds, who) => {
                let who = match who {
                    None => "",
                    Some(Refresher::Uac) => ";refresher=uac",
                    Some(Refresher::Uas) => ";refresher=uas",
                };
                header_line(out, "Session-Expires", &format!("{seconds}{who}"));
            }
        }
    }
    let bytes = body.map_or(&[][..], |b| &b.bytes);
    if let Some(body) = body {
        header_line(out, "Content-Type", body.content_type.as_str());
    }
    header_line(out, "Content-Length", &bytes.len().to_string());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
}

fn challenge(value: &Challenge) -> String {
    let mut text = String::from("Digest ");
    fields(&mut text, &[("realm", Some(&value.realm)), ("nonce", Some(&value.nonce)), ("opaque", value.opaque.as_ref())]);
    let _ = write!(text, ", algorithm={}", value.algorithm.name());
    text.push_str(if value.qop_auth { ", qop=\"auth\"" } else { "" });
    text.push_str(if value.stale { ", stale=true" } else { "" });
    text
}

fn credentials(value: &Credentials) -> String {
    let mut text = String::from("Digest ");
    let Credentials { username, realm, nonce, uri, response, algorithm, opaque, qop_auth } = value;
    let all = [("username", username), ("realm", realm), ("nonce", nonce), ("uri", uri), ("response", response)];
    let opaque = ("opaque", opaque.as_ref());
    fields(&mut text, &all.map(|(name, value)| (name, Some(value))).into_iter().chain([opaque]).collect::<Vec<_>>());
    let _ = write!(text, ", algorithm={}", algorithm.name());
    if let Some((cnonce, nc)) = qop_auth {
        text.push_str(", ");
        fields(&mut text, &[("cnonce", Some(cnonce))]);
        let _ = write!(text, ", qop=auth, nc={nc:08x}");
    }
    text
}

/// Quoted fields, those that are there, joined by commas.
fn fields(text: &mut String, fields: &[(&str, Option<&Text>)]) {
    for (i, (name, value)) in fields.iter().filter_map(|(n, v)| v.map(|v| (n, v))).enumerate() {
        text.push_str(if i > 0 { ", " } else { "" });
        let _ = write!(text, "{name}=");
        quoted(text, value.as_str());
    }
}
