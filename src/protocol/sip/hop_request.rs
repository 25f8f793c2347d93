//! The two requests that follow an INVITE along the same hop with the same branch: the ACK of a rejection (RFC 3261 §17.1.1.3)
//! and CANCEL (§9.1).
//!
//! Both are copied line by line from the INVITE that we sent ourselves, so that they match whatever the peer keyed it by.

use std::sync::Arc;

/// The ACK for a 3xx–6xx to `invite`; `to` is the value of the response's To header. `None` where `invite` is no request.
pub fn rejection_ack(invite: &[u8], to: &[u8]) -> Option<Arc<[u8]>> {
    derive(invite, b"ACK", Some(to), None)
}

/// The CANCEL of `invite`, with an optional value of a Reason header (RFC 3326). `None` where `invite` is no request.
pub fn cancel(invite: &[u8], reason: Option<&str>) -> Option<Arc<[u8]>> {
    derive(invite, b"CANCEL", None, reason)
}

/// A request of ours as it goes over a connection in the place of a datagram: its topmost Via says so (RFC 3261 §18.1.1).
pub fn over_stream(request: &[u8]) -> Vec<u8> {
    const VIA: &[u8] = b"\r\nVia: SIP/2.0/";
    let mut out = request.to_vec();
    let transport = out.windows(VIA.len()).position(|window| window == VIA).map(|at| at + VIA.len());
    if let Some(name) = transport.and_then(|at| out.get_mut(at..at + 3)).filter(|name| **name == *b"UDP") {
        name.copy_from_slice(b"TCP");
    }
    out
}

/// The tag in the To header of a message, octet by octet.
pub(super) fn to_tag(message: &[u8]) -> Option<&[u8]> {
    let to = Header::all(message).find(|header| header.is("To", b't'))?;
    super::scan::tag_of(to.value)
}

fn derive(invite: &[u8], method: &[u8], to: Option<&[u8]>, reason: Option<&str>) -> Option<Arc<[u8]>> {
    let start_line = invite.split(|octet| *octet == b'\n').next()?.trim_ascii_end();
    let target = start_line.strip_prefix(b"INVITE ")?;
    let mut out = Vec::with_capacity(512);
    write_parts(&mut out, &[method, b" ", target, b"\r\n"]);
    let mut has_via = false;
    for header in Header::all(invite) {
        if header.is("Via", b'v') {
            if !std::mem::replace(&mut has_via, true) {
                write_parts(&mut out, &[b"Via: ", header.value, b"\r\n"]);
            }
        } else if header.name.eq_ignore_ascii_case(b"CSeq") {
            let number = header.value.split(|octet| octet.is_ascii_whitespace()).next()?;
            write_parts(&mut out, &[b"CSeq: ", number, b" ", method, b"\r\n"]);
        } else if header.is("To", b't') {
            write_parts(&mut out, &[b"To: ", to.unwrap_or(header.value), b"\r\n"]);
        } else if header.is("From", b'f') || header.is("Call-ID", b'i') || header.name.eq_ignore_ascii_case(b"Route") {
            write_parts(&mut out, &[header.name, b": ", header.value, b"\r\n"]);
        }
    }
    if let Some(reason) = reason {
        write_parts(&mut out, &[b"Reason: ", reason.as_bytes(), b"\r\n"]);
    }
    out.extend_from_slice(b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
    has_via.then(|| out.into())
}

fn write_parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// One header line of a message of ours: never folded, one value.
struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Header<'a> {
    fn all(message: &'a [u8]) -> impl Iterator<Item = Self> {
        let lines = message.split(|octet| *octet == b'\n').skip(1).map(<[u8]>::trim_ascii);
        lines.take_while(|line| !line.is_empty()).filter_map(|line| {
            let colon = line.iter().position(|octet| *octet == b':')?;
            let (name, rest) = line.split_at(colon);
            Some(Self { name: name.trim_ascii_end(), value: rest.get(1..)?.trim_ascii() })
        })
    }

    fn is(&self, long: &str, compact: u8) -> bool {
        self.name.eq_ignore_ascii_case(long.as_bytes()) || self.name.eq_ignore_ascii_case(&[compact])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;rport\r\n\
        Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>\r\nCall-ID: c@x\r\n\
        CSeq: 7 INVITE\r\nContact: <sip:a@192.0.2.1>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nTo: x";

    fn text(bytes: Option<Arc<[u8]>>) -> String {
        String::from_utf8(bytes.expect("derived").to_vec()).expect("ASCII")
    }

    #[test]
    fn over_a_connection_only_the_topmost_via_says_another_transport() {
        let two = INVITE.replacen("Route:", "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKb\r\nRoute:", 1);
        let over = String::from_utf8(over_stream(two.as_bytes())).expect("ASCII");
        assert_eq!(over, two.replacen("SIP/2.0/UDP", "SIP/2.0/TCP", 1));
        assert_eq!(over_stream(over.as_bytes()), over.as_bytes(), "nothing is left to change");
    }

    #[test]
    fn the_ack_of_a_rejection_keeps_target_branch_route_and_number_and_takes_the_responses_to() {
        assert_eq!(
            text(rejection_ack(INVITE.as_bytes(), b"<sip:b@y>;tag=9")),
            "ACK sip:bob@192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;rport\r\nRoute: <sip:p1;lr>\r\n\
             Route: <sip:p2;lr>\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>;tag=9\r\nCall-ID: c@x\r\nCSeq: 7 ACK\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_cancel_keeps_the_to_of_the_invite_and_may_carry_a_reason() {
        let cancel = text(cancel(INVITE.as_bytes(), Some("SIP;cause=200;text=\"Call completed elsewhere\"")));
        assert!(cancel.starts_with("CANCEL sip:bob@192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;rport\r\n"), "{cancel}");
        assert!(cancel.contains("\r\nTo: <sip:b@y>\r\n") && cancel.contains("\r\nCSeq: 7 CANCEL\r\n"), "{cancel}");
        assert!(cancel.contains("\r\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"), "{cancel}");
    }

    #[test]
    fn the_to_tag_is_found_behind_the_address() {
        assert_eq!(to_tag(b"SIP/2.0 486 Busy\r\nt: \"x;tag=no\" <sip:b@y;tag=no> ; Tag=yes;x=1\r\n\r\n"), Some(&b"yes"[..]));
        assert_eq!(to_tag(b"SIP/2.0 486 Busy\r\nTo: <sip:b@y>\r\n\r\nTo: <sip:b@y>;tag=body\r\n"), None);
    }

    #[test]
    fn what_is_no_invite_yields_nothing() {
        for octets in [&b""[..], b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\n", b"INVITE ", b"INVITE sip:a SIP/2.0\r\n\r\nVia: x\r\n"] {
            assert_eq!(rejection_ack(octets, b"x"), None);
        }
    }
}
