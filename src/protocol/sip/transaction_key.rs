//! What a message must share with a transaction to belong to it (RFC 3261 §17.1.3, §17.2.3, and RFC 2543 for old peers).
//!
//! A key is one string of octets, made of length-prefixed parts: no field of the peer's can imitate the end of another.

/// The start of every branch that is unique by itself (RFC 3261 §8.1.1.7).
const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// The port that `sent-by` means when it names none.
const DEFAULT_PORT: &[u8] = b"5060";

/// The parts of a request that decide to which transaction it belongs; raw octets, unquoted, without white space around.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method; case matters.
    pub method: &'a [u8],
    /// The Request-URI as written.
    pub request_uri: &'a [u8],
    /// The whole value of the topmost Via.
    pub via: &'a [u8],
    /// The branch of the topmost Via.
    pub branch: Option<&'a [u8]>,
    /// Host, and port if any, of the topmost Via.
    pub sent_by: &'a [u8],
    /// The tag of From.
    pub from_tag: Option<&'a [u8]>,
    /// The tag of To.
    pub to_tag: Option<&'a [u8]>,
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The number in CSeq.
    pub cseq: u32,
}

/// The parts of a response that decide to which transaction it belongs.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The branch of the topmost Via.
    pub branch: Option<&'a [u8]>,
    /// The method in CSeq.
    pub method: &'a [u8],
    /// The status code.
    pub status: u16,
    /// The whole value of To, tag included.
    pub to: &'a [u8],
}

/// Names a server transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServerKey {
    octets: Box<[u8]>,
    by_branch: bool,
}

/// Names a client transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ClientKey(Box<[u8]>);

/// Names the request that two branches of a forking proxy both bring (RFC 3261 §8.2.2.2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct MergeKey(Box<[u8]>);

impl ServerKey {
    /// The key of the transaction that this request starts or repeats.
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        Self::with(head, head.method, head.to_tag)
    }

    /// The keys that the INVITE of this ACK or CANCEL may have, likeliest first.
    pub(super) fn of_invite(head: &RequestHead<'_>) -> [Self; 2] {
        // Before RFC 3261 an ACK is matched by the tag that our response added to To, which the INVITE did not have.
        [Self::with(head, b"INVITE", None), Self::with(head, b"INVITE", head.to_tag)]
    }

    /// Whether the peer writes unique branches; else the weaker rules of RFC 2543 were applied.
    pub(super) fn is_by_branch(&self) -> bool {
        self.by_branch
    }

    fn with(head: &RequestHead<'_>, method: &[u8], to_tag: Option<&[u8]>) -> Self {
        match head.branch {
            // Branches are compared octet by octet: many peers write base64, where folding case would make two calls one.
            Some(branch) if has_magic_cookie(branch) => {
                let (host, port) = split_sent_by(head.sent_by);
                Self { octets: join(&[branch, &host.to_ascii_lowercase(), port, method]), by_branch: true }
            }
            Some(_) | None => Self {
                octets: join(&[
                    head.via,
                    head.request_uri,
                    method,
                    head.call_id,
                    &head.cseq.to_be_bytes(),
                    head.from_tag.unwrap_or_default(),
                    to_tag.unwrap_or_default(),
                ]),
                by_branch: false,
            },
        }
    }
}

impl ClientKey {
    pub(super) fn new(branch: &[u8], method: &[u8]) -> Self {
        Self(join(&[branch, method]))
    }
}

impl MergeKey {
    /// `None` inside a dialog, where nothing can be merged.
    pub(super) fn of(head: &RequestHead<'_>) -> Option<Self> {
        let parts = [head.from_tag.unwrap_or_default(), head.call_id, &head.cseq.to_be_bytes(), head.method];
        head.to_tag.is_none().then(|| Self(join(&parts)))
    }
}

fn has_magic_cookie(branch: &[u8]) -> bool {
    branch.len() > MAGIC_COOKIE.len() && branch.get(..MAGIC_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// Host and port of `sent-by`; an IPv6 host is in brackets.
fn split_sent_by(sent_by: &[u8]) -> (&[u8], &[u8]) {
    let after_bracket = sent_by.iter().rposition(|octet| *octet == b']').unwrap_or(0);
    match sent_by.iter().rposition(|octet| *octet == b':').filter(|colon| *colon >= after_bracket) {
        Some(colon) => (sent_by.get(..colon).unwrap_or_default().trim_ascii(), sent_by.get(colon + 1..).unwrap_or_default().trim_ascii()),
        None => (sent_by.trim_ascii(), DEFAULT_PORT),
    }
}

fn join(parts: &[&[u8]]) -> Box<[u8]> {
    let mut octets = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // A message is at most 64 KiB, so the length always fits.
        octets.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        octets.extend_from_slice(part);
    }
    octets.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(branch: Option<&'static [u8]>, method: &'static [u8]) -> RequestHead<'static> {
        RequestHead {
            method,
            request_uri: b"sip:b@y",
            via: b"SIP/2.0/UDP a.example;branch=1",
            branch,
            sent_by: b"a.example",
            from_tag: Some(b"f"),
            to_tag: None,
            call_id: b"c",
            cseq: 1,
        }
    }

    #[test]
    fn a_unique_branch_alone_decides_with_sender_and_method() {
        let invite = head(Some(b"z9hG4bKabc"), b"INVITE");
        let other_call = RequestHead { call_id: b"another", from_tag: None, via: b"", ..invite };
        assert_eq!(ServerKey::of(&invite), ServerKey::of(&other_call));
        assert_ne!(ServerKey::of(&invite), ServerKey::of(&RequestHead { sent_by: b"b.example", ..invite }));
        assert_ne!(ServerKey::of(&invite), ServerKey::of(&RequestHead { branch: Some(b"z9hG4bKABC"), ..invite }));
        assert_ne!(ServerKey::of(&invite), ServerKey::of(&head(Some(b"z9hG4bKabc"), b"CANCEL")));
    }

    #[test]
    fn the_sender_is_the_same_in_any_case_and_with_the_default_port_written_out() {
        let plain = head(Some(b"z9hG4bKabc"), b"INVITE");
        for sent_by in [&b"A.Example"[..], b"a.example:5060", b"a.example : 5060"] {
            assert_eq!(ServerKey::of(&plain), ServerKey::of(&RequestHead { sent_by, ..plain }));
        }
        let v6 = RequestHead { sent_by: b"[2001:db8::1]", ..plain };
        assert_eq!(ServerKey::of(&v6), ServerKey::of(&RequestHead { sent_by: b"[2001:DB8::1]:5060", ..plain }));
        assert_ne!(ServerKey::of(&v6), ServerKey::of(&RequestHead { sent_by: b"[2001:db8::1]:5061", ..plain }));
    }

    #[test]
    fn ack_and_cancel_find_their_invite() {
        for branch in [Some(&b"z9hG4bKabc"[..]), Some(b"1"), None] {
            let invite = ServerKey::of(&head(branch, b"INVITE"));
            assert!(ServerKey::of_invite(&head(branch, b"CANCEL")).contains(&invite));
            assert!(ServerKey::of_invite(&RequestHead { to_tag: Some(b"ours"), ..head(branch, b"ACK") }).contains(&invite));
            assert_eq!(invite.is_by_branch(), branch.is_some_and(|b| b.len() > 1));
        }
    }

    #[test]
    fn without_a_unique_branch_the_whole_head_decides() {
        let old = head(Some(b"1"), b"INVITE");
        assert_eq!(ServerKey::of(&old), ServerKey::of(&old.clone()));
        for other in [
            RequestHead { via: b"SIP/2.0/UDP b.example", ..old },
            RequestHead { cseq: 2, ..old },
            RequestHead { call_id: b"d", ..old },
            RequestHead { from_tag: None, ..old },
            RequestHead { to_tag: Some(b"t"), ..old },
            RequestHead { request_uri: b"sip:c@y", ..old },
        ] {
            assert_ne!(ServerKey::of(&old), ServerKey::of(&other));
        }
    }

    #[test]
    fn the_bare_cookie_is_no_unique_branch() {
        assert!(!ServerKey::of(&head(Some(b"z9hG4bK"), b"INVITE")).is_by_branch());
    }
}
