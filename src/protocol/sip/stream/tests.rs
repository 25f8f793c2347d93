//! Streams of messages cut anywhere: the same messages come out, errors stay.

use proptest::prelude::*;

use super::{super::parse::parse, *};

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
    Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

fn with_body(body: &str) -> String {
    OPTIONS.replace("Content-Length: 0\r\n\r\n", &format!("l : {}\r\n\r\n{body}", body.len()))
}

/// What comes out when the octets arrive in these pieces.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Option<Vec<u8>>>, Option<StreamError>) {
    let (mut framer, mut all) = (Framer::default(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(Framed::Message(message))) => all.push(Some(message.to_vec())),
                Ok(Some(Framed::Ping)) => all.push(None),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

fn whole(text: &str) -> (Vec<Option<Vec<u8>>>, Option<StreamError>) {
    frames([text.as_bytes()])
}

#[test]
fn messages_come_out_one_by_one_with_their_bodies() {
    let (first, second) = (with_body("v=0\r\n\r\nOPTIONS"), with_body(""));
    let (found, error) = whole(&format!("{first}{second}{OPTIONS}"));
    let expected: Vec<_> = [&first, &second, &OPTIONS.to_owned()].iter().map(|text| Some(text.as_bytes().to_vec())).collect();
    assert_eq!((found, error), (expected, None));
}

#[test]
fn crlf_crlf_between_messages_is_a_ping_and_a_lone_crlf_is_nothing() {
    let message = Some(OPTIONS.as_bytes().to_vec());
    assert_eq!(whole(&format!("\r\n\r\n{OPTIONS}\r\n{OPTIONS}\r\n\r\n")), (vec![None, message.clone(), message, None], None));
    let mut framer = Framer::default();
    framer.push(b"\r\n");
    assert_eq!(framer.next_message(), Ok(None));
    assert!(!framer.is_partial(), "nobody is late with half a keep-alive");
    framer.push(b"\r\nO");
    assert_eq!(framer.next_message(), Ok(Some(Framed::Ping)));
    assert_eq!(framer.next_message(), Ok(None));
    assert!(framer.is_partial());
}

#[test]
fn a_stream_whose_next_message_cannot_be_found_ends() {
    let zero = "Content-Length: 0\r\n";
    for (text, error) in [
        (OPTIONS.replace(zero, ""), StreamError::BadLength),
        (OPTIONS.replace(zero, "Content-Length: 0\r\nl: 0\r\n"), StreamError::BadLength),
        (OPTIONS.replace(zero, "Content-Length: -1\r\n"), StreamError::BadLength),
        (OPTIONS.replace(zero, "Content-Length: 0x10\r\n"), StreamError::BadLength),
        (OPTIONS.replace(zero, "Content-Length: 65500\r\n"), StreamError::MessageTooLarge),
        (OPTIONS.replace(zero, "Content-Length: 99999999999999999999999\r\n"), StreamError::MessageTooLarge),
        (format!("OPTIONS sip:a@b SIP/2.0\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD)), StreamError::HeadTooLarge),
        ("GET / HTTP/1.1\r\n".to_owned(), StreamError::NotSip),
        ("\x16\x03\x01\x02".to_owned(), StreamError::NotSip),
        ("\0".to_owned(), StreamError::NotSip),
    ] {
        let (found, failed) = whole(&text);
        assert_eq!((found.len(), failed), (0, Some(error)), "{}", &text[..text.len().min(200)]);
    }
    let mut framer = Framer::default();
    framer.push(b"GET / HTTP/1.1\r\n");
    assert_eq!(framer.next_message(), Err(StreamError::NotSip));
    framer.push(OPTIONS.as_bytes());
    assert_eq!(framer.next_message(), Err(StreamError::NotSip), "an error is for ever");
    assert_eq!(framer.held(), 0, "and nothing is kept");
}

#[test]
fn a_folded_content_length_is_read_and_one_in_the_body_is_not() {
    let folded = OPTIONS.replace("Content-Length: 0", "Content-Length:\r\n  4").replace("\r\n\r\n", "\r\n\r\nbody");
    assert_eq!(whole(&folded), (vec![Some(folded.clone().into_bytes())], None));
    let body = with_body("Content-Length: 7\r\n\r\n");
    assert_eq!(whole(&body).0.len(), 1);
}

#[test]
fn nothing_beyond_the_limits_is_ever_held() {
    let mut framer = Framer::default();
    let piece = vec![b'A'; 1500];
    let mut pushed = 0;
    framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n");
    while framer.next_message() == Ok(None) {
        framer.push(&piece);
        pushed += piece.len();
        assert!(pushed <= MAX_HEAD + 2 * piece.len());
    }
    assert_eq!(framer.held(), 0);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        "[a-z0-9 ]{0,60}".prop_map(|body| with_body(&body)),
        Just("\r\n".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        "[ -~\r\n]{0,40}",
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_of_the_octets_gives_the_same_messages(octets in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut pieces, mut at) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([octets.len()]) {
            pieces.push(&octets[at..cut]);
            at = cut;
        }
        let once = frames([octets.as_slice()]);
        prop_assert_eq!(&frames(pieces), &once);
        prop_assert_eq!(&frames(octets.chunks(1)), &once);
    }

    #[test]
    fn any_octets_at_all_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let _ = frames(pieces.iter().map(Vec::as_slice));
    }

    #[test]
    fn the_parser_sees_the_same_message_in_the_same_octets(body in "[ -~\r\n]{0,200}") {
        let text = with_body(&body);
        let (found, _) = whole(&format!("{text}{OPTIONS}"));
        prop_assert_eq!(found.len(), 2);
        let first = found[0].as_ref().expect("a message");
        let message = parse(first).expect("well formed");
        prop_assert_eq!(message.body(), body.as_bytes());
        prop_assert_eq!(message.datagram().len(), text.len());
    }
}
