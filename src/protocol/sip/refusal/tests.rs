//! A refusal from the octets beside the one from typed fields, and what it leaves to the parser.

use proptest::prelude::*;

use super::{
    super::{
        build::{Header, NumberHeader, Response, TextHeader},
        field::Text,
        message::Message,
        parse::parse,
    },
    *,
};

const REFUSAL: Refusal<'_> = Refusal { to_tag: "ax1-0", server: "Throughline", retry_after: Some(7) };

fn source() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 40_000))
}

fn invite(via: &str, lines: &str) -> Vec<u8> {
    format!("INVITE sip:200@h SIP/2.0\r\n{via}Max-Forwards: 70\r\n{lines}Content-Length: 4\r\n\r\nv=0\n").into_bytes()
}

const REST: &str = "From: \"Ann, from B; tag=no\" <sip:ann@h;x=1>;tag=f1;y=\"a;b\"\r\nTo: <sip:200@h>\r\nCall-ID: c1@h\r\nContact: <sip:a@b>\r\n\
                    CSeq: 12 INVITE\r\nTimestamp: 4\r\nx-Via-like: no\r\n";

fn refuse(request: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let mut out = b"before".to_vec();
    let target = REFUSAL.write(&mut out, request, &Method::Invite, source());
    assert!(out.starts_with(b"before") && (target.is_some() || out == b"before"), "what was there stays, and nothing half is left");
    target.map(|target| (target, out.split_off(6)))
}

/// The same refusal from typed fields.
fn typed(request: &Message<'_>) -> (SocketAddr, Vec<u8>) {
    let response = Response::to(request, 503, REFUSAL.to_tag, source())
        .with(Header::Number(NumberHeader::RetryAfter, 7))
        .with(Header::Text(TextHeader::Server, Text::new("Throughline")));
    (response_target(request.via(), source()), response.to_bytes())
}

/// What a peer reads in a response.
fn read(bytes: &[u8]) -> impl PartialEq + std::fmt::Debug + use<> {
    let message = parse(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)));
    let vias: Vec<String> = message
        .vias()
        .map(|via| {
            let mut params: Vec<String> =
                via.params.iter().map(|(name, value)| format!("{}={value:?}", name.to_ascii_lowercase())).collect();
            params.sort();
            format!("{} {:?} {:?} {params:?}", via.transport_name, via.host, via.port)
        })
        .collect();
    let (from, to) = (message.from_tag().map(str::to_owned), message.to_tag().map(str::to_owned));
    let uris = (message.from().uri.to_string(), message.to().uri.to_string());
    let ids = (message.call_id().to_owned(), message.cseq().seq, message.cseq().method.clone(), message.body().to_vec());
    (message.status(), vias, from, to, uris, ids, message.seconds(HeaderId::RetryAfter))
}

#[test]
fn what_the_glance_writes_is_what_typed_fields_would_say() {
    for via in [
        "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa;rport\r\n",
        "v:SIP/2.0/UDP phone.example;rport;branch=z9hG4bKa\r\n",
        "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa\r\n",
        "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa;RPORT;x=1\r\nVia: SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKb, SIP/2.0/UDP c;branch=d\r\n",
        "Via:  SIP/2.0/TCP 10.0.0.1:5062 ;branch=z9hG4bKa \r\n",
    ] {
        let request = invite(via, REST);
        let (target, bytes) = refuse(&request).unwrap_or_else(|| panic!("plain enough: {via}"));
        let (expected_target, expected) = typed(&parse(&request).expect("well formed"));
        assert_eq!((target, read(&bytes)), (expected_target, read(&expected)), "{via}{}", String::from_utf8_lossy(&bytes));
        assert!(bytes.len() <= 2 * request.len());
    }
}

#[test]
fn whatever_is_unusual_is_left_to_the_parser() {
    let via = "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa;rport\r\n";
    let of_via = |value: &str| invite(&format!("Via: {value}\r\n"), REST);
    for (what, request) in [
        ("two values in the topmost Via", of_via("SIP/2.0/UDP a;branch=z9hG4bKa, SIP/2.0/UDP b;branch=z9hG4bKb")),
        ("received is said already", of_via("SIP/2.0/UDP a;branch=z9hG4bKa;received=203.0.113.9")),
        ("rport has a value", of_via("SIP/2.0/UDP a;branch=z9hG4bKa;rport=9")),
        ("two rports", of_via("SIP/2.0/UDP a;branch=z9hG4bKa;rport;rport")),
        ("a quoted value", of_via("SIP/2.0/UDP a;branch=z9hG4bKa;x=\";rport\"")),
        ("a comment", of_via("SIP/2.0/UDP a;branch=z9hG4bKa (;rport)")),
        ("no Via", invite("", REST)),
        ("a malformed Via", of_via("UDP a")),
        ("a fold", invite(via, &REST.replace("Timestamp: 4", "Timestamp: 4\r\n 5"))),
        ("a tag in To", invite(via, &REST.replace("<sip:200@h>", "<sip:200@h>;tag=t"))),
        ("two Tos", invite(via, &format!("{REST}t: <sip:300@h>\r\n"))),
        ("no Call-ID", invite(via, &REST.replace("Call-ID", "Call-IX"))),
        ("another method in CSeq", invite(via, &REST.replace("12 INVITE", "12 BYE"))),
        ("a control octet", invite(via, &REST.replace("c1@h", "c1\u{1}h"))),
        ("a bare CR", invite(via, &REST.replace("c1@h", "c1\rh"))),
        ("a bare LF", invite(via, &REST.replace("c1@h\r\n", "c1@h\n"))),
        ("no empty line", via.replace("Via", "INVITE sip:200@h SIP/2.0\r\nVia").into_bytes()),
        (
            "another version",
            String::from_utf8(invite(via, REST)).expect("text").replace("h SIP/2.0\r\nVia", "h SIP/3.0\r\nVia").into_bytes(),
        ),
        ("a line without a colon", invite(via, &format!("{REST}to\r\n"))),
        ("a line too long", invite(via, &REST.replace("c1@h", &"c".repeat(MAX_HEADER_LEN)))),
        ("too many lines", invite(via, &format!("{}{REST}", "X: 1\r\n".repeat(MAX_HEADER_LINES)))),
    ] {
        assert_eq!(refuse(&request), None, "{what}");
    }
    assert_eq!(REFUSAL.write(&mut Vec::new(), &invite(via, REST), &Method::Ack, source()), None, "an ACK is never answered");
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_well_formed_or_left_alone(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut request = invite("Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa;rport\r\n", REST);
        for (at, octet) in cuts {
            let at = at.index(request.len());
            request[at] = octet;
        }
        if let Some((_, bytes)) = refuse(&request) && let Ok(message) = parse(&request) {
            let (_, expected) = typed(&message);
            prop_assert_eq!(read(&bytes), read(&expected));
        }
    }
}
