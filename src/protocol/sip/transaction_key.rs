//! What a message must share with a transaction to belong to it (RFC 3261 §17.1.3, §17.2.3, and RFC 2543 for old peers).
//!
//! A key is one string of octets, made of length-prefixed parts: no field of the peer's can imitate the end of another.

use std::{borrow::Cow, sync::Arc};

use super::{
    field::Method,
    header::{HeaderId, Via},
    message::Message,
    uri::Host,
};

/// The start of every branch that is unique by itself (RFC 3261 §8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";

/// The port that `sent-by` means when it names none.
const DEFAULT_PORT: u16 = 5060;

/// The parts of a request that decide to which transaction it belongs.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The Request-URI as written.
    pub request_uri: &'a str,
    /// The whole value of the topmost Via.
    pub via: &'a [u8],
    /// The branch of the topmost Via.
    pub branch: Option<&'a str>,
    /// The host in the topmost Via.
    pub host: Host<'a>,
    /// The port in the topmost Via.
    pub port: Option<u16>,
    /// The tag of From.
    pub from_tag: Option<&'a str>,
    /// The tag of To.
    pub to_tag: Option<&'a str>,
    /// The Call-ID.
    pub call_id: &'a str,
    /// The number in CSeq.
    pub cseq: u32,
}

impl<'a> RequestHead<'a> {
    /// The head of a parsed request; `None` for a response.
    pub fn of(message: &'a Message<'a>) -> Option<Self> {
        let via = message.via();
        Some(Self {
            method: message.method(),
            request_uri: message.request_uri()?.as_str(),
            via: message.elements(HeaderId::Via).next().unwrap_or_default(),
            branch: via.branch,
            host: via.host,
            port: via.port,
            from_tag: message.from_tag(),
            to_tag: message.to_tag(),
            call_id: message.call_id(),
            cseq: message.cseq().seq,
        })
    }
}

/// The parts of a response that decide to which transaction it belongs.
#[derive(Clone, Debug)]
pub struct ResponseHead<'a> {
    /// The branch of the topmost Via.
    pub branch: Option<&'a str>,
    /// The method in CSeq.
    pub method: &'a Method,
    /// The status code.
    pub status: u16,
    /// The whole value of To, tag included, on one line.
    pub to: Cow<'a, str>,
}

impl<'a> ResponseHead<'a> {
    /// The head of a parsed response; `None` for a request.
    pub fn of(message: &'a Message<'a>) -> Option<Self> {
        let to = message.text(HeaderId::To).unwrap_or_default();
        Some(Self { branch: message.via().branch, method: message.method(), status: message.status()?, to })
    }
}

/// Names a server transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServerKey {
    octets: Arc<[u8]>,
    by_branch: bool,
}

/// Names a client transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ClientKey(Arc<[u8]>);

/// Names the request that two branches of a forking proxy both bring (RFC 3261 §8.2.2.2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct MergeKey(Arc<[u8]>);

impl ServerKey {
    /// The key of the transaction that this request starts or repeats.
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        Self::with(head, head.method, head.to_tag)
    }

    /// The keys that the INVITE of this ACK or CANCEL may have, likeliest first.
    pub(super) fn of_invite(head: &RequestHead<'_>) -> impl Iterator<Item = Self> {
        let first = Self::with(head, &Method::Invite, None);
        // Before RFC 3261 an ACK is matched by the tag that our response added to To, which the INVITE did not have.
        let second = (!first.by_branch && head.to_tag.is_some()).then(|| Self::with(head, &Method::Invite, head.to_tag));
        [first].into_iter().chain(second)
    }

    /// Whether the peer writes unique branches; else the weaker rules of RFC 2543 were applied.
    pub(super) fn is_by_branch(&self) -> bool {
        self.by_branch
    }

    /// The key of a request of this method by its topmost Via alone; `None` where that says too little.
    pub(super) fn by_via(via: &Via<'_>, method: &Method) -> Option<Self> {
        let branch = via.branch.filter(|branch| has_magic_cookie(branch))?;
        Some(Self::by_branch(branch, &via.host, via.port, method))
    }

    /// Branches are compared octet by octet: many peers write base64, where folding case would make two calls one.
    fn by_branch(branch: &str, host: &Host<'_>, port: Option<u16>, method: &Method) -> Self {
        let mut host = host.to_string();
        host.make_ascii_lowercase();
        let port = port.unwrap_or(DEFAULT_PORT).to_be_bytes();
        Self { octets: join(&[branch.as_bytes(), host.as_bytes(), &port, method.as_str().as_bytes()]), by_branch: true }
    }

    fn with(head: &RequestHead<'_>, method: &Method, to_tag: Option<&str>) -> Self {
        match head.branch {
            Some(branch) if has_magic_cookie(branch) => Self::by_branch(branch, &head.host, head.port, method),
            Some(_) | None => Self {
                octets: join(&[
                    head.via,
                    head.request_uri.as_bytes(),
                    method.as_str().as_bytes(),
                    head.call_id.as_bytes(),
                    &head.cseq.to_be_bytes(),
                    head.from_tag.unwrap_or_default().as_bytes(),
                    to_tag.unwrap_or_default().as_bytes(),
                ]),
                by_branch: false,
            },
        }
    }
}

impl ClientKey {
    pub(super) fn new(branch: &str, method: &Method) -> Self {
        Self(join(&[branch.as_bytes(), method.as_str().as_bytes()]))
    }
}

impl MergeKey {
    /// `None` inside a dialog, where nothing can be merged.
    pub(super) fn of(head: &RequestHead<'_>) -> Option<Self> {
        let from_tag = head.from_tag.unwrap_or_default().as_bytes();
        let parts = [from_tag, head.call_id.as_bytes(), &head.cseq.to_be_bytes(), head.method.as_str().as_bytes()];
        head.to_tag.is_none().then(|| Self(join(&parts)))
    }
}

fn has_magic_cookie(branch: &str) -> bool {
    branch.len() > MAGIC_COOKIE.len() && branch.get(..MAGIC_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

fn join(parts: &[&[u8]]) -> Arc<[u8]> {
    let mut octets = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // A message is at most 64 KiB, so the length always fits.
        octets.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        octets.extend_from_slice(part);
    }
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: RequestHead<'static> = RequestHead {
        method: &Method::Invite,
        request_uri: "sip:b@y",
        via: b"SIP/2.0/UDP a.example;branch=1",
        branch: Some("z9hG4bKabc"),
        host: Host::Name("a.example"),
        port: None,
        from_tag: Some("f"),
        to_tag: None,
        call_id: "c",
        cseq: 1,
    };

    #[test]
    fn a_unique_branch_alone_decides_with_sender_and_method() {
        let other_call = RequestHead { call_id: "another", from_tag: None, via: b"", ..INVITE };
        assert_eq!(ServerKey::of(&INVITE), ServerKey::of(&other_call));
        for other in [
            RequestHead { host: Host::Name("b.example"), ..INVITE },
            RequestHead { port: Some(5061), ..INVITE },
            RequestHead { branch: Some("z9hG4bKABC"), ..INVITE },
            RequestHead { method: &Method::Cancel, ..INVITE },
        ] {
            assert_ne!(ServerKey::of(&INVITE), ServerKey::of(&other));
        }
    }

    #[test]
    fn the_sender_is_the_same_in_any_case_and_with_the_default_port_written_out() {
        assert_eq!(ServerKey::of(&INVITE), ServerKey::of(&RequestHead { host: Host::Name("A.Example"), port: Some(5060), ..INVITE }));
    }

    #[test]
    fn ack_and_cancel_find_their_invite() {
        for branch in [Some("z9hG4bKabc"), Some("1"), None] {
            let invite = RequestHead { branch, ..INVITE };
            let key = ServerKey::of(&invite);
            let ack = RequestHead { method: &Method::Ack, to_tag: Some("ours"), ..invite };
            assert!(ServerKey::of_invite(&RequestHead { method: &Method::Cancel, ..invite }).any(|candidate| candidate == key));
            assert!(ServerKey::of_invite(&ack).any(|candidate| candidate == key));
            assert_eq!(key.is_by_branch(), branch.is_some_and(|branch| branch.len() > 1));
        }
    }

    #[test]
    fn without_a_unique_branch_the_whole_head_decides() {
        let old = RequestHead { branch: Some("1"), ..INVITE };
        for other in [
            RequestHead { via: b"SIP/2.0/UDP b.example", ..old },
            RequestHead { cseq: 2, ..old },
            RequestHead { call_id: "d", ..old },
            RequestHead { from_tag: None, ..old },
            RequestHead { to_tag: Some("t"), ..old },
            RequestHead { request_uri: "sip:c@y", ..old },
        ] {
            assert_ne!(ServerKey::of(&old), ServerKey::of(&other));
        }
    }

    #[test]
    fn the_bare_cookie_is_no_unique_branch() {
        assert!(!ServerKey::of(&RequestHead { branch: Some("z9hG4bK"), ..INVITE }).is_by_branch());
    }
}
