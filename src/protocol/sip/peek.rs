//! What a message is, at a glance: enough to say who goes first under overload, before anything is parsed.
//!
//! A glance proves nothing: what it takes for a request in a dialog may be nonsense, and is refused as such when its turn comes.

use std::borrow::Cow;

use memchr::memchr;

use super::{
    field::Method,
    header::HeaderId,
    scan,
    uri::{MAX_URI_LEN, Uri},
};

/// Header lines looked at: To and Authorization stand among the first two dozen of every message seen.
const LINES: usize = 64;

/// What a message looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek<'a> {
    /// The method of a request; `None` for a response, and for what is neither.
    pub method: Option<Method>,
    /// Whether the first line is that of a response.
    pub is_response: bool,
    /// The value of the topmost Via line.
    pub via: Option<&'a [u8]>,
    /// The tag of To: the request is in a dialog.
    pub to_tag: Option<&'a [u8]>,
    /// Whether credentials come with it.
    pub has_credentials: bool,
    target: &'a [u8],
}

impl<'a> Peek<'a> {
    /// Looks at a message.
    pub fn at(message: &'a [u8]) -> Self {
        let start = message.iter().position(|octet| !matches!(octet, b'\r' | b'\n')).unwrap_or(message.len());
        let message = &message[start..];
        let end = memchr(b'\n', message).unwrap_or(message.len());
        let first = scan::trim_end(&message[..end]);
        let is_response = first.get(..4).is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/"));
        let mut words = first.splitn(3, |octet| *octet == b' ');
        let method = words.next().filter(|_| !is_response).and_then(Method::parse);
        let target = words.next().unwrap_or_default();
        let mut peek = Self { method, is_response, via: None, to_tag: None, has_credentials: false, target };
        peek.look_at_headers(message.get(end + 1..).unwrap_or_default());
        peek
    }

    /// Who is dialled: [`Uri::dialled`] of the Request-URI.
    pub fn user(&self) -> Option<Cow<'a, str>> {
        if self.target.len() > MAX_URI_LEN {
            return None;
        }
        // A number or a plain name, as nearly always, needs no reading of the whole.
        if let Some(rest) = self.target.strip_prefix(b"sip:")
            && let Some(at) = rest.iter().position(|octet| !octet.is_ascii_alphanumeric() && *octet != b'+')
            && at > 0
            && rest[at] == b'@'
            && let Some(host) = rest.get(at + 1)
            && host.is_ascii_alphanumeric()
        {
            return std::str::from_utf8(&rest[..at]).ok().map(Cow::Borrowed);
        }
        Uri::parse(self.target)?.dialled()
    }

    fn look_at_headers(&mut self, mut rest: &'a [u8]) {
        for _ in 0..LINES {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = scan::trim_end(&rest[..end]);
            if line.is_empty() {
                return;
            }
            if matches!(line[0] | 0x20, b'v' | b't' | b'a' | b'p')
                && let Some(colon) = memchr(b':', line)
            {
                match HeaderId::of(scan::trim_end(&line[..colon])) {
                    HeaderId::Via if self.via.is_none() => self.via = Some(&line[colon + 1..]),
                    HeaderId::To => {
                        self.to_tag = scan::tag_of(&line[colon + 1..]);
                        // Whoever says ACK is not asked who they are.
                        if self.method == Some(Method::Ack) {
                            return;
                        }
                    }
                    HeaderId::Authorization | HeaderId::ProxyAuthorization => self.has_credentials = true,
                    _ => {}
                }
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::parse::parse, *};

    fn message(first: &str, headers: &str) -> Vec<u8> {
        format!("{first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\nCall-ID: c\r\n{headers}\r\n\r\n").into_bytes()
    }

    #[test]
    fn a_glance_sees_what_the_parser_sees() {
        type Row = (&'static str, &'static str, Option<Method>, Option<&'static str>, bool);
        let rows: [Row; 7] = [
            ("INVITE sip:112;phone-context=+49@h SIP/2.0", "To: <sip:112@h>\r\nCSeq: 1 INVITE", Some(Method::Invite), None, false),
            ("INVITE sip:112@h SIP/2.0", "To: <sip:112@h>\r\nCSeq: 1 INVITE", Some(Method::Invite), None, false),
            ("BYE sip:x@h SIP/2.0", "t:\"a;tag=no\" <sip:b@c;tag=no> ; Tag=yes;x=1\r\nCSeq: 1 BYE", Some(Method::Bye), Some("yes"), false),
            (
                "REGISTER sip:h SIP/2.0",
                "TO : sip:b@c\r\nCSeq: 1 REGISTER\r\nauthorization: Digest username=\"a\"",
                Some(Method::Register),
                None,
                true,
            ),
            ("ACK sip:x@h SIP/2.0", "To: <sip:b@c>;tag=t\r\nCSeq: 1 ACK", Some(Method::Ack), Some("t"), false),
            ("SIP/2.0 200 OK", "To: <sip:b@c>;tag=t\r\nCSeq: 1 BYE", None, Some("t"), false),
            (
                "INVITE sip:a@h SIP/2.0",
                "To: <sip:b@c>\r\nCSeq: 1 INVITE\r\nProxy-Authorization: Digest x=y",
                Some(Method::Invite),
                None,
                true,
            ),
        ];
        for (first, headers, method, to_tag, credentials) in rows {
            let bytes = message(first, headers);
            let (peek, parsed) = (Peek::at(&bytes), parse(&bytes).expect("well formed"));
            assert_eq!(
                (peek.method.clone(), peek.to_tag.map(<[u8]>::to_vec)),
                (method, to_tag.map(|tag| tag.as_bytes().to_vec())),
                "{first}"
            );
            assert_eq!((peek.has_credentials, peek.is_response), (credentials, !parsed.is_request()), "{first}");
            assert_eq!(peek.to_tag, parsed.to_tag().map(str::as_bytes), "{first}");
            assert_eq!(peek.via.map(scan::trim), Some(b"SIP/2.0/UDP h;branch=z9hG4bK1".as_slice()), "{first}");
            let user = parsed.request_uri().and_then(|uri| uri.dialled().map(|user| user.into_owned()));
            assert_eq!(peek.user().map(Cow::into_owned), user, "{first}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_at_all_never_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Peek::at(&octets).user();
        }
    }
}
