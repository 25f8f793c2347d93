//! Answers, injection and round trips of built messages.

use super::*;
use crate::protocol::sip::{
    parse::parse,
    uri::{Host, Uri},
};
use proptest::prelude::*;

const SOURCE: ([u8; 4], u16) = ([198, 51, 100, 7], 40_000);

const REQUEST: &[u8] = b"INVITE sip:4711@desk.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.5:5062;rport;branch=z9hG4bKtop;received=203.0.113.1\r\n\
    Via: SIP/2.0/UDP proxy.example;branch=z9hG4bKlow;x=\"a b\"\r\n\
    Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n\
    From: Anna <sip:anna@trunk.example>;tag=f1\r\n\
    To: sip:4711@desk.example\r\n\
    Call-ID: 17@10.0.0.5\r\n\
    CSeq: 42 INVITE\r\n\r\n";

#[test]
fn a_response_carries_what_the_request_said_and_where_it_came_from() {
    let request = parse(REQUEST).expect("well formed");
    let bytes = Response::to(&request, 180, "t1", SOURCE.into()).to_bytes();
    let text = String::from_utf8(bytes).expect("text");
    let expected = "SIP/2.0 180 Ringing\r\n\
        Via: SIP/2.0/UDP 10.0.0.5:5062;rport=40000;branch=z9hG4bKtop;received=198.51.100.7\r\n\
        Via: SIP/2.0/UDP proxy.example;branch=z9hG4bKlow;x=\"a b\"\r\n\
        From: \"Anna\" <sip:anna@trunk.example>;tag=f1\r\n\
        To: <sip:4711@desk.example>;tag=t1\r\n\
        Call-ID: 17@10.0.0.5\r\n\
        CSeq: 42 INVITE\r\n\
        Record-Route: <sip:p1.example;lr>\r\n\
        Record-Route: <sip:p2.example;lr>\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(text, expected);
}

#[test]
fn a_100_gets_no_tag_and_a_rejection_no_record_route() {
    let request = parse(REQUEST).expect("well formed");
    let trying = Response::to(&request, 100, "t1", SOURCE.into());
    assert!(trying.to.tag().is_none() && trying.headers.is_empty());
    let busy = Response::to(&request, 486, "t1", SOURCE.into());
    assert!(busy.to.tag() == Some("t1") && busy.headers.is_empty());
}

#[test]
fn a_via_that_names_its_source_is_left_alone() {
    let text = String::from_utf8_lossy(REQUEST).replace("10.0.0.5:5062;rport", "198.51.100.7:5062");
    let request = parse(text.as_bytes()).expect("well formed");
    let response = Response::to(&request, 200, "t1", SOURCE.into());
    assert_eq!(response.via[0].params.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["branch"]);
}

#[test]
fn what_was_typed_into_fields_stays_inside_them() {
    let evil = "x\r\nEvil: 1\r\n\r\nbody\0\u{85}\u{2028}";
    assert!(Token::new(evil).is_none() && CallId::new(evil).is_none() && UriBuf::new(evil).is_none());
    let host = HostBuf::new("desk.example").expect("a name");
    let uri = UriBuf::sip(Some(evil), &host, None);
    let address = Address::new(uri.clone()).with_display(evil).with_tag("a;b=c>,<sip:evil@x>");
    let call_id = CallId::new("c1").expect("visible");
    let mut request = Request::new(Method::Invite, uri, address.clone(), address, call_id, 1);
    request.via.push(ViaBuf::udp(SOURCE.into(), evil));
    request.headers.push(Header::Text(TextHeader::Subject, Text::new(evil)));
    let bytes = request.to_bytes();
    let read = parse(&bytes).expect("well formed");
    let names: Vec<&str> = read.all_headers().map(|h| h.0).collect();
    assert_eq!(names, ["Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Subject", "Content-Length"]);
    assert_eq!(read.from().params.iter().count(), 1);
    assert_eq!(Request::from_message(&read), Some(request));
}

#[test]
fn a_hand_made_host_cannot_smuggle_a_line() {
    assert_eq!(HostBuf::from(Host::Name("h\r\nEvil: 1")).to_string(), "h--Evil--1");
    assert_eq!(HostBuf::from(Host::Name("")).to_string(), "-");
}

#[test]
fn a_uri_takes_parameters_before_its_headers() {
    let uri = UriBuf::new("sip:a@b?x=y")
        .expect("a URI")
        .with_param(&Token::proven("ob"), None)
        .with_param(&Token::proven("t"), Some(&Token::proven("udp")));
    assert_eq!(uri.as_str(), "sip:a@b;ob;t=udp?x=y");
    assert_eq!(
        UriBuf::sip(Some("a b@c"), &HostBuf::new("[2001:db8::1]").expect("IPv6"), Some(5070)).as_str(),
        "sip:a%20b%40c@[2001:db8::1]:5070"
    );
}

fn token() -> impl Strategy<Value = Token> {
    "[a-zA-Z0-9.!%*_+'~-]{1,12}".prop_map(|t| Token::proven(&t))
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof!["\\PC{0,24}", "[ -~]{0,24}", any::<String>()].prop_map(|t| Text::new(&t))
}

fn host() -> impl Strategy<Value = HostBuf> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|ip| HostBuf::Ip(ip.into())),
        any::<std::net::Ipv6Addr>().prop_map(|ip| HostBuf::Ip(ip.into())),
        "[a-z][a-z0-9.-]{0,20}".prop_map(|name| HostBuf::new(&name).expect("a name")),
    ]
}

fn uri() -> impl Strategy<Value = UriBuf> {
    let sip = || {
        let parts = (proptest::option::of(any::<String>()), host(), any::<Option<u16>>());
        parts.prop_map(|(user, host, port)| UriBuf::sip(user.as_deref(), &host, port))
    };
    let with_param = (sip(), token()).prop_map(|(uri, name)| uri.with_param(&name, None));
    prop_oneof![sip(), with_param, "tel:\\+[0-9]{3,15}".prop_map(|t| UriBuf::new(&t).expect("a number"))]
}

fn params() -> impl Strategy<Value = Vec<Param>> {
    proptest::collection::vec((token(), proptest::option::of(text())).prop_map(|(name, value)| Param { name, value }), 0..4)
}

fn address() -> impl Strategy<Value = Address> {
    (text(), uri(), params()).prop_map(|(display, uri, params)| Address { display: Some(display).filter(|d| !d.is_empty()), uri, params })
}

fn header() -> impl Strategy<Value = Header> {
    let credentials =
        (text(), text(), text(), proptest::option::of((text(), any::<u32>()))).prop_map(|(username, realm, nonce, qop_auth)| {
            let (uri, response, algorithm) = ("sip:x".into(), "ab".into(), super::super::digest::Algorithm::Sha256);
            Credentials { username, realm, nonce, uri, response, algorithm, opaque: None, qop_auth }
        });
    let challenge =
        (text(), text(), proptest::option::of(text()), any::<(bool, bool)>()).prop_map(|(realm, nonce, opaque, (stale, qop_auth))| {
            Challenge { realm, nonce, opaque, algorithm: super::super::digest::Algorithm::Md5, stale, qop_auth }
        });
    prop_oneof![
        text().prop_map(|t| Header::Text(TextHeader::Subject, t)),
        address().prop_map(|a| Header::Address(AddressHeader::Contact, a)),
        address().prop_map(|a| Header::Address(AddressHeader::Route, a)),
        proptest::collection::vec(token(), 1..4).prop_map(|t| Header::Tokens(TokensHeader::Supported, t)),
        any::<u32>().prop_map(|n| Header::Number(NumberHeader::MinExpires, n)),
        Just(Header::Number(NumberHeader::RetryAfter, 9)),
        credentials.prop_map(|c| Header::Credentials(CredentialsHeader::Authorization, c)),
        challenge.prop_map(|c| Header::Challenge(ChallengeHeader::WwwAuthenticate, c)),
    ]
}

fn via() -> impl Strategy<Value = ViaBuf> {
    (token(), host(), any::<Option<u16>>(), params()).prop_map(|(transport, host, port, mut params)| {
        // A Via's rport is a number or empty; everything else is free.
        params.retain(|p| !p.name.as_str().eq_ignore_ascii_case("rport"));
        ViaBuf { transport, host, port, params }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let method =
        prop_oneof![Just(Method::Invite), Just(Method::Bye), token().prop_map(|t| Method::parse(t.as_str().as_bytes()).expect("a token"))];
    let body = (text(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(content_type, bytes)| Body { content_type, bytes });
    let ids = ("[!-~]{1,30}".prop_map(|c| CallId::new(&c).expect("visible")), any::<u32>(), any::<u8>());
    let parts = (proptest::collection::vec(via(), 1..4), proptest::collection::vec(header(), 0..6), proptest::option::of(body));
    (method, uri(), address(), address(), ids, parts).prop_map(
        |(method, uri, from, to, (call_id, cseq, max_forwards), (via, headers, body))| Request {
            method,
            uri,
            next_hop: None,
            via,
            max_forwards,
            from,
            to,
            call_id,
            cseq,
            headers,
            body,
        },
    )
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(request in request()) {
        let bytes = request.to_bytes();
        let read = parse(&bytes).map_err(|e| TestCaseError::fail(format!("{e}: {}", String::from_utf8_lossy(&bytes))))?;
        prop_assert_eq!(Request::from_message(&read).expect("a request"), request);
    }

    #[test]
    fn a_response_to_anything_reads_back(request in request(), status in 100_u16..700, tag in "[a-z0-9]{1,9}") {
        let bytes = request.to_bytes();
        let response = Response::to(&parse(&bytes).expect("read back"), status, &tag, SOURCE.into());
        let bytes = response.to_bytes();
        let read = parse(&bytes).map_err(|e| TestCaseError::fail(format!("{e}: {}", String::from_utf8_lossy(&bytes))))?;
        prop_assert_eq!(Response::from_message(&read).expect("a response"), response);
    }

    #[test]
    fn an_owned_uri_always_reads_as_a_uri(
        text in "(sip|SIPS|tel|x-y):[a-z0-9@:;?=.\\[\\]%\u{80}-\u{a0}-]{1,24}",
        name in token(),
        user in any::<String>(),
        times in 1..900_usize,
    ) {
        if let Some(uri) = Uri::parse(text.as_bytes()) {
            let owned = UriBuf::from(uri);
            prop_assert_eq!(owned.with_param(&name, Some(&name)).uri().sip().is_some(), uri.sip().is_some());
        }
        let long = UriBuf::sip(Some(&user.repeat(times)), &HostBuf::new("h").expect("a name"), None);
        prop_assert!(long.with_param(&name, None).uri().param(name.as_str()).is_some());
    }

    #[test]
    fn no_line_is_ever_added(request in request()) {
        let bytes = request.to_bytes();
        let body = request.body.as_ref().map_or(0, |b| b.bytes.len());
        let head = &bytes[..bytes.len() - body];
        let lines = head.iter().filter(|b| **b == b'\n').count();
        let expected = 1 + request.via.len() + 5 + request.headers.len() + usize::from(request.body.is_some()) + 1 + 1;
        prop_assert_eq!(lines, expected);
        prop_assert!(!head.contains(&0) && head.windows(2).all(|w| (w[1] == b'\n') == (w[0] == b'\r')));
    }
}
