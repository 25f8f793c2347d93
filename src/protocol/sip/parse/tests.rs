//! What is read, what is refused and how it is answered; nothing panics.

use super::*;
use crate::protocol::sip::{
    build::{Request, Response},
    header::{Rport, Transport},
    uri::Host,
};
use proptest::prelude::*;

const INVITE: &str = "INVITE sip:4711@desk.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKabc\r\n\
    Max-Forwards: 70\r\n\
    From: \"Anna \\\"A\\\" Weber\" <sip:+4930901820@trunk.example;user=phone>;tag=f1\r\n\
    To: <sip:4711@desk.example>\r\n\
    Call-ID: 17@192.0.2.9\r\n\
    CSeq: 42 INVITE\r\n\
    Contact: <sip:anna@192.0.2.9:5062>;q=0.5;expires=60\r\n\
    Content-Type: application/sdp; charset=utf-8\r\n\
    Content-Length: 5\r\n\r\nv=0\r\n";

fn with(change: impl Fn(&str) -> String) -> Result<String, (ParseErrorKind, Option<u16>)> {
    let text = change(INVITE);
    parse(text.as_bytes()).map(|m| m.call_id().to_owned()).map_err(|e| (e.kind, e.status))
}

fn kind(change: impl Fn(&str) -> String) -> ParseErrorKind {
    with(change).expect_err("must be refused").0
}

#[test]
fn an_invite_gives_up_its_parts() {
    let m = parse(INVITE.as_bytes()).expect("well formed");
    assert_eq!((m.method(), m.call_id(), m.cseq().seq, m.max_forwards()), (&Method::Invite, "17@192.0.2.9", 42, Some(70)));
    assert_eq!((m.from_tag(), m.to_tag(), m.status()), (Some("f1"), None, None));
    assert_eq!(m.from().display_name().as_deref(), Some("Anna \"A\" Weber"));
    assert_eq!(m.from().uri.user().as_deref(), Some("+4930901820"));
    assert_eq!(m.from().uri.param("user"), Some("phone"));
    let via = m.via();
    assert_eq!((via.transport, via.port, via.rport, via.rfc3261_branch()), (Transport::Udp, Some(5062), Rport::Asked, Some("z9hG4bKabc")));
    assert_eq!(via.host, Host::Ip([192, 0, 2, 9].into()));
    let contact = m.contacts().next().expect("one");
    assert_eq!((contact.q_thousandths(), contact.expires(), contact.uri.port()), (500, Some(60), Some(5062)));
    assert_eq!((m.content_type(), m.body()), (Some("application/sdp"), &b"v=0\r\n"[..]));
}

#[test]
fn compact_names_folds_and_lists_mean_the_same() {
    let text = "OPTIONS sip:x SIP/2.0\nv: SIP/2.0/UDP a;branch=z9hG4bK1 , SIP/2.0/TCP [2001:db8::1]:5061\n ;branch=z9hG4bK2\n\
                f: A <sip:a@b>;tag=1\nt:\n <sip:c@d>\ni: z\ncSEQ: 1\n\tOPTIONS\nm: <sip:a,b@c>, \"x, y\" <sip:d@e>\nk: a, ,b\nSupported: C\n\n";
    let m = parse(text.as_bytes()).expect("well formed");
    assert_eq!(m.vias().map(|v| v.port).collect::<Vec<_>>(), [None, Some(5061)]);
    assert_eq!(m.contacts().filter_map(|c| c.uri.user().map(|u| u.into_owned())).collect::<Vec<_>>(), ["a,b", "d"]);
    assert_eq!(m.tokens(HeaderId::Supported).collect::<Vec<_>>(), ["a", "b", "C"]);
    assert!(m.lists(HeaderId::Supported, "c") && !m.lists(HeaderId::Require, "c"));
}

#[test]
fn a_body_ends_with_its_length_or_with_the_datagram() {
    let body = |text: &str| parse(text.as_bytes()).map(|m| m.body().to_vec()).map_err(|e| (e.kind, e.status));
    assert_eq!(body(&format!("{INVITE}and more")), Ok(b"v=0\r\n".to_vec()));
    assert_eq!(body(&INVITE.replace("Content-Length: 5\r\n", "")), Ok(b"v=0\r\n".to_vec()));
    assert_eq!(body(&INVITE.replace("Length: 5", "Length: 6")), Err((ParseErrorKind::Truncated, Some(400))));
    assert_eq!(body(&INVITE.replace("Length: 5", "Length: 99999999999999999999999")), Err((ParseErrorKind::Truncated, Some(400))));
    let twice = INVITE.replace("Content-Length: 5", "Content-Length: 5\r\nl: 4");
    assert_eq!(body(&twice), Err((ParseErrorKind::Duplicate(HeaderId::ContentLength), Some(400))));
}

#[test]
fn spellings_that_hide_a_header_are_refused() {
    for name in ["Via\u{1}", "Via\u{b}", "\u{c}Via", "Vi a", "Via\u{a0}", "", "\0"] {
        let changed = kind(|t| t.replace("Max-Forwards: 70", &format!("{name}: 70")));
        assert_eq!(changed, ParseErrorKind::BadHeaderLine, "{name:?}");
    }
    assert_eq!(kind(|t| t.replace("Max-Forwards: 70", "X: a\rVia: b")), ParseErrorKind::BadHeaderLine, "a bare CR");
    assert_eq!(kind(|t| t.replace("70\r\n", "70\n")), ParseErrorKind::BadHeaderLine, "LF among CRLF");
    assert_eq!(kind(|t| t.replace("70\r\n", "70\r\n\n")), ParseErrorKind::BadHeaderLine, "an empty line of another kind");
    assert_eq!(kind(|t| t.replace("\r\n", "\n").replace("70\n", "70\r\n")), ParseErrorKind::BadHeaderLine, "CRLF among LF");
    assert_eq!(kind(|t| t.replace("Max-Forwards: 70", "nothing")), ParseErrorKind::BadHeaderLine);
    assert!(with(|t| t.replace("Max-Forwards:", "Max-Forwards \t :")).is_ok(), "white space before the colon is legal");
    assert_eq!(kind(|t| t.replacen("\r\nVia", "\r\n Via", 1)), ParseErrorKind::BadHeaderLine, "a fold of nothing");
}

#[test]
fn each_fault_has_its_status() {
    let refused = |from: &str, to: &str| with(|t| t.replacen(from, to, 1)).expect_err(to);
    assert_eq!(refused("SIP/2.0", "SIP/7.0"), (ParseErrorKind::BadVersion, Some(505)));
    assert_eq!(refused("4711@", &"4".repeat(3000)), (ParseErrorKind::StartLineTooLong, Some(414)));
    assert_eq!(refused("CSeq: 42 INVITE", "CSeq: 42 BYE"), (ParseErrorKind::MethodMismatch, Some(400)));
    assert_eq!(refused("CSeq: 42", "CSeq: 4294967296"), (ParseErrorKind::Malformed(HeaderId::CSeq), Some(400)));
    assert_eq!(refused("Call-ID: 17", "X: 17"), (ParseErrorKind::Missing(HeaderId::CallId), Some(400)));
    assert_eq!(refused("<sip:4711@desk.example>", "<sip:4711@desk example>"), (ParseErrorKind::Malformed(HeaderId::To), Some(400)));
    assert_eq!(refused("Max-Forwards: 70", &format!("X: {}", "y".repeat(MAX_HEADER_LEN))), (ParseErrorKind::HeaderTooLong, Some(513)));
    assert_eq!(refused("Max-Forwards: 70", &"X: y\r\n".repeat(MAX_HEADER_LINES)), (ParseErrorKind::TooManyHeaders, Some(513)));
    let vias = format!("v: SIP/2.0/UDP h{}", ",SIP/2.0/UDP h".repeat(MAX_VIAS));
    assert_eq!(refused("Max-Forwards: 70", &vias), (ParseErrorKind::TooManyValues(HeaderId::Via), Some(513)));
}

#[test]
fn nothing_is_answered_that_must_not_be() {
    let status = |bytes: &[u8]| parse(bytes).map_err(|e| (e.kind, e.status)).map(|_| ());
    assert_eq!(status(b"\r\n\r\n"), Err((ParseErrorKind::KeepAlive, None)));
    assert_eq!(status(b""), Err((ParseErrorKind::KeepAlive, None)));
    assert_eq!(status(b"\0\x01\0\0\n"), Err((ParseErrorKind::NotSip, None)));
    assert_eq!(status(&[b'x'; MAX_DATAGRAM + 1]), Err((ParseErrorKind::TooLarge, None)));
    let ack = INVITE.replace("INVITE", "ACK").replace("Call-ID", "X");
    assert_eq!(status(ack.as_bytes()), Err((ParseErrorKind::Missing(HeaderId::CallId), None)));
    let response = INVITE.replace("INVITE sip:4711@desk.example SIP/2.0", "SIP/2.0 200 OK").replace("Call-ID", "X");
    assert_eq!(status(response.as_bytes()), Err((ParseErrorKind::Missing(HeaderId::CallId), None)));
}

#[test]
fn the_stateless_answer_finds_its_sender() {
    let text = INVITE.replace("CSeq: 42", "CSeq: 42949672960").replace("192.0.2.9:5062;rport", "phone.local;rport;received=203.0.113.66");
    let error = parse(text.as_bytes()).expect_err("CSeq beyond 32 bits");
    let answer = error.answer("198.51.100.7:40000".parse().expect("an address"), "t9").expect("answerable");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("SIP/2.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("Via: SIP/2.0/UDP phone.local;rport=40000;branch=z9hG4bKabc;received=198.51.100.7\r\n"), "{answer}");
    assert!(answer.contains("To: <sip:4711@desk.example>;tag=t9\r\n") && answer.contains("CSeq: 42949672960 INVITE\r\n"), "{answer}");
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        exercise(&bytes);
    }

    #[test]
    fn a_mutated_message_never_panics(
        edits in proptest::collection::vec((0..INVITE.len(), prop_oneof![any::<u8>(), proptest::sample::select(&b"\r\n :;,<>\"\\@%[]*="[..])]), 1..12),
        cut in 0..INVITE.len(),
        repeat in 0..3_usize,
    ) {
        let mut bytes = INVITE.as_bytes().to_vec();
        for (at, octet) in edits {
            bytes[at] = octet;
        }
        exercise(&bytes);
        let piece = bytes[cut..].to_vec();
        for _ in 0..repeat {
            bytes.extend_from_slice(&piece);
        }
        bytes.truncate(bytes.len() - cut / 2);
        exercise(&bytes);
    }

    #[test]
    fn what_is_accepted_with_an_octet_more_or_less_keeps_its_headers(at in 0..INVITE.len(), octet in any::<u8>()) {
        let mut bytes = INVITE.as_bytes().to_vec();
        bytes.insert(at, octet);
        if let Ok(m) = parse(&bytes) {
            prop_assert!(m.vias().count() >= 1 && m.body().len() <= 6 && m.all_headers().count() <= 10);
        }
    }
}

/// Reads everything that can be read of a datagram.
fn exercise(bytes: &[u8]) {
    match parse(bytes) {
        Ok(m) => {
            let lens = [m.vias().count(), m.contacts().count(), m.routes().count(), m.record_routes().count()];
            assert!(lens.iter().all(|n| *n <= MAX_ADDRESSES) && lens[0] > 0 && m.body().len() <= bytes.len());
            for (name, id, value) in m.all_headers() {
                let _ = (name.len(), scan::text(value), m.seconds(id), m.elements(id).count());
                let _ = (
                    m.tokens(id).count(),
                    m.addresses(id).filter(|a| a.display_name().is_some() || a.q_thousandths() > 0 || a.expires().is_some()).count(),
                );
            }
            let _ = (m.session_expires(), m.content_type());
            round_trip(&m);
        }
        Err(error) => {
            let _ = (error.via(), error.header(HeaderId::From));
            if let Some(answer) = error.answer(([192, 0, 2, 1], 5060).into(), "tag") {
                assert!(answer.len() <= 2 * bytes.len() + 600, "an answer does not amplify");
            }
        }
    }
}

/// Whatever is accepted can be answered, and both it and the answer read back as the same fields.
fn round_trip(m: &Message<'_>) {
    let answer = Response::to(m, 486, "t1", ([192, 0, 2, 1], 5060).into());
    let bytes = answer.to_bytes();
    let read = parse(&bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&bytes)));
    assert_eq!(Response::from_message(&read).as_ref(), Some(&answer));
    assert_eq!((read.call_id(), read.cseq(), read.vias().count()), (m.call_id(), m.cseq(), m.vias().count()));
    assert!(m.from_tag().is_none_or(|tag| read.from_tag().is_some_and(|t| t == tag || tag.starts_with('"'))), "{:?}", m.from_tag());
    if let Some(request) = Request::from_message(m) {
        let bytes = request.to_bytes();
        let read = parse(&bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&bytes)));
        assert_eq!(Request::from_message(&read), Some(request));
    }
}

#[test]
fn a_message_stays_small_enough_for_the_stack() {
    let size = size_of::<Message<'_>>();
    assert!(size <= 2048, "{size} octets");
}

#[test]
fn an_error_answer_does_not_grow_by_octets_that_are_no_text() {
    let noise = [0xfe; 3_000];
    let mut datagram = b"INVITE sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn\r\nFrom: ".to_vec();
    datagram.extend_from_slice(&noise);
    datagram.extend_from_slice(b"\r\n\r\n");
    let answer = parse(&datagram).expect_err("no Call-ID").answer(([192, 0, 2, 1], 5060).into(), "t").expect("answerable");
    assert!(answer.len() <= datagram.len() + 100, "{} octets answer {}", answer.len(), datagram.len());
}

#[test]
fn an_error_answer_leaves_out_empty_vias() {
    let datagram = b"INVITE sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn,,,,,SIP/2.0/UDP h\r\n\r\n";
    let answer = parse(datagram).expect_err("no Call-ID").answer(([192, 0, 2, 1], 5060).into(), "t").expect("answerable");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.contains("branch=z9hG4bKn, SIP/2.0/UDP h\r\n"), "{answer}");
}
