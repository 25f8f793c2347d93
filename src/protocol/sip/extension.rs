//! Values of headers from extension RFCs: Reason (3326), Replaces (3891), RAck (3262).

use std::borrow::Cow;

use memchr::memchr;

use super::{
    build::{Header, TextHeader},
    field::{CallId, Method, Text, Token, is_word},
    header::{HeaderId, Params},
    message::Message,
    scan,
};

/// One value of Reason (RFC 3326).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason<'a> {
    /// The protocol, `SIP` or `Q.850`.
    pub protocol: &'a str,
    /// The cause: a status code or a Q.850 cause.
    pub cause: Option<u16>,
    /// The text.
    pub text: Option<Cow<'a, str>>,
}

impl<'a> Reason<'a> {
    /// Reads one value; `None` when it is malformed.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (protocol, params) = split(value);
        if !scan::is_token(protocol) {
            return None;
        }
        let params = Params::checked(params, |_, _| {})?;
        let cause = params.get("cause").and_then(|c| c.parse().ok());
        Some(Self { protocol: std::str::from_utf8(protocol).ok()?, cause, text: params.get("text") })
    }

    /// The reasons of a message, malformed ones left out.
    pub fn all_in<'m>(message: &'m Message<'a>) -> impl Iterator<Item = Self> + use<'a, 'm> {
        message.elements(HeaderId::Reason).filter_map(Self::parse)
    }
}

/// The Reason header that we send: `SIP;cause=200;text="Call completed elsewhere"`.
pub fn reason(protocol: &Token, cause: u16, text: &str) -> Header {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    Header::Text(TextHeader::Reason, Text::new(&format!("{protocol};cause={cause};text=\"{escaped}\"")))
}

/// Replaces (RFC 3891): which dialog an INVITE takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replaces<'a> {
    /// The Call-ID of that dialog.
    pub call_id: &'a str,
    /// The tag that we, who receive this, gave to that dialog.
    pub to_tag: &'a str,
    /// The tag of the other side.
    pub from_tag: &'a str,
    /// Only if that dialog is not answered yet.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Reads the value; `None` when it is malformed: 400.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (call_id, params) = split(value);
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        Params::checked(params, |name, value| {
            let value = value.filter(|v| !v.is_empty()).and_then(|v| std::str::from_utf8(v).ok());
            match name.to_ascii_lowercase().as_str() {
                "to-tag" => to_tag = value,
                "from-tag" => from_tag = value,
                "early-only" => early_only = true,
                _ => {}
            }
        })?;
        let call_id = std::str::from_utf8(call_id).ok().filter(|c| is_word(c.as_bytes()))?;
        Some(Self { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }

    /// The header that asks for it.
    pub fn header(call_id: &CallId, to_tag: &Token, from_tag: &Token) -> Header {
        Header::Text(TextHeader::Replaces, Text::new(&format!("{call_id};to-tag={to_tag};from-tag={from_tag}")))
    }
}

/// RAck (RFC 3262): which reliable provisional response a PRACK acknowledges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RAck {
    /// RSeq of the response.
    pub rseq: u32,
    /// The number in its CSeq.
    pub cseq: u32,
    /// The method in its CSeq.
    pub method: Method,
}

impl RAck {
    /// Reads the value; `None` when it is malformed: 400.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut parts = value.split(|&b| scan::is_lws(b)).filter(|p| !p.is_empty());
        let mut number = || parts.next().and_then(scan::number).and_then(|n| u32::try_from(n).ok());
        let (rseq, cseq) = (number()?, number()?);
        let method = Method::parse(parts.next()?)?;
        parts.next().is_none().then_some(Self { rseq, cseq, method })
    }
}

/// What stands before the parameters, and the parameters.
fn split(value: &[u8]) -> (&[u8], &[u8]) {
    let (before, params) = value.split_at(memchr(b';', value).unwrap_or(value.len()));
    (scan::trim(before), params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reason_is_read_as_it_is_written() {
        let sip = Token::new("SIP").expect("a token");
        let Header::Text(TextHeader::Reason, text) = reason(&sip, 200, "Call \"completed\" \\ elsewhere\r\n") else { panic!("a text") };
        let read = Reason::parse(text.as_str().as_bytes()).expect("well formed");
        assert_eq!((read.protocol, read.cause, read.text.as_deref()), ("SIP", Some(200), Some("Call \"completed\" \\ elsewhere")));
        assert_eq!(Reason::parse(b"Q.850 ;cause=16").map(|r| (r.protocol, r.cause)), Some(("Q.850", Some(16))));
    }

    #[test]
    fn a_dialog_to_replace_needs_both_tags() {
        let read = Replaces::parse(b"12adf2f34456gs5@h;to-tag=12345; From-Tag=54321;early-only").expect("well formed");
        assert_eq!((read.call_id, read.to_tag, read.from_tag, read.early_only), ("12adf2f34456gs5@h", "12345", "54321", true));
        assert_eq!(Replaces::parse(b"12adf2f34456gs5@h;to-tag=12345"), None);
    }

    #[test]
    fn a_prack_names_its_response() {
        assert_eq!(RAck::parse(b"776656 1 INVITE"), Some(RAck { rseq: 776_656, cseq: 1, method: Method::Invite }));
        assert!([&b"1 INVITE"[..], b"1 2", b"1 2 INVITE x", b"1 4294967296 INVITE"].iter().all(|v| RAck::parse(v).is_none()));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Reason::parse(&bytes), Replaces::parse(&bytes), RAck::parse(&bytes));
        }
    }
}
