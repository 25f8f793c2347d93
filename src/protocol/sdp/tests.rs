//! Offer/answer, one row per case that phones and carriers bring; the parser's limits; property tests.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn local() -> LocalMedia {
    LocalMedia {
        address: "198.51.100.1".parse().unwrap(),
        other_address: None,
        rtp_port: 40000,
        codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
        comfort_noise: false,
        direction: Direction::SendRecv,
    }
}

/// A description with a session part and these lines.
fn sdp(lines: &str) -> String {
    let lines = lines.replace(" | ", "\r\n");
    format!("v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{lines}\r\n")
}

fn answer(offer: &str) -> Result<Answer, Refusal> {
    Session::new(1).answer(&Sdp::parse(offer.as_bytes()).expect(offer), &local())
}

/// m-lines and direction of an answer, and where media goes: `m=audio 40000 RTP/AVP 0 101; sendrecv; 192.0.2.9:5000/5001; 20-60`.
fn summary(answer: &Answer) -> String {
    let text = String::from_utf8(answer.sdp.clone()).unwrap();
    let media: Vec<_> = text.lines().filter(|line| line.starts_with("m=")).collect();
    let remote = answer.negotiated.remote.map_or("hold".to_owned(), |remote| format!("{}/{}", remote.rtp, remote.rtcp));
    let (ptime, max) = (answer.negotiated.ptime_ms, answer.negotiated.max_ptime_ms);
    assert!(text.contains(&format!("a={}\r\n", answer.negotiated.direction.name())), "{text}");
    format!("{}; {}; {remote}; {ptime}-{max}", media.join(" | "), answer.negotiated.direction.name())
}

const PLAIN: &str = "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60";

const OFFERS: &[(&str, &str, &str)] = &[
    ("static payload type without rtpmap", "m=audio 5000 RTP/AVP 0", PLAIN),
    ("our order decides", "m=audio 5000 RTP/AVP 18 8 0", PLAIN),
    ("A-law alone", "m=audio 5000 RTP/AVP 18 8", "m=audio 40000 RTP/AVP 8; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60"),
    ("written channels and lower case", "m=audio 5000 RTP/AVP 0 | a=rtpmap:0 pcmu/8000/1", PLAIN),
    (
        "a codec under a dynamic number",
        "m=audio 5000 RTP/AVP 96 | a=rtpmap:96 PCMU/8000",
        "m=audio 40000 RTP/AVP 96; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "telephone-event",
        "m=audio 5000 RTP/AVP 0 97 | a=rtpmap:97 telephone-event/8000",
        "m=audio 40000 RTP/AVP 0 97; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    ("telephone-event of another clock is left out", "m=audio 5000 RTP/AVP 0 97 | a=rtpmap:97 telephone-event/48000", PLAIN),
    (
        "telephone-event: the one that fits",
        "m=audio 5000 RTP/AVP 0 97 98 | a=rtpmap:97 telephone-event/48000 | a=rtpmap:98 telephone-event/8000",
        "m=audio 40000 RTP/AVP 0 98; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "comfort noise by its static number",
        "m=audio 5000 RTP/AVP 0 13 101 | a=rtpmap:101 telephone-event/8000",
        "m=audio 40000 RTP/AVP 0 13 101; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "comfort noise under a dynamic number",
        "m=audio 5000 RTP/AVP 0 98 | a=rtpmap:98 cn/8000",
        "m=audio 40000 RTP/AVP 0 98; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    ("comfort noise of another clock is left out", "m=audio 5000 RTP/AVP 0 98 | a=rtpmap:98 CN/16000", PLAIN),
    ("13 means something else", "m=audio 5000 RTP/AVP 0 13 | a=rtpmap:13 L16/44100", PLAIN),
    (
        "video gets port 0 at its place",
        "m=video 6000 RTP/AVP 31 | m=audio 5000 RTP/AVP 0",
        "m=video 0 RTP/AVP 31 | m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "second audio gets port 0",
        "m=audio 5000 RTP/AVP 0 | m=audio 5002 RTP/AVP 8",
        "m=audio 40000 RTP/AVP 0 | m=audio 0 RTP/AVP 8; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "SAVP beside AVP: the plain one",
        "m=audio 5000 RTP/SAVP 0 | m=audio 5002 RTP/AVP 0",
        "m=audio 0 RTP/SAVP 0 | m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5002/192.0.2.9:5003; 20-60",
    ),
    (
        "audio beside T.38",
        "m=audio 5000 RTP/AVP 0 | m=image 5010 udptl t38",
        "m=audio 40000 RTP/AVP 0 | m=image 0 udptl t38; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "c= of the stream goes first",
        "m=audio 5000 RTP/AVP 0 | c=IN IP4 192.0.2.77",
        "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.77:5000/192.0.2.77:5001; 20-60",
    ),
    (
        "c= of another stream does not matter",
        "m=audio 5000 RTP/AVP 0 | m=video 5002 RTP/AVP 31 | c=IN IP4 192.0.2.77",
        "m=audio 40000 RTP/AVP 0 | m=video 0 RTP/AVP 31; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60",
    ),
    (
        "a=rtcp with a port",
        "m=audio 5000 RTP/AVP 0 | a=rtcp:5555",
        "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5555; 20-60",
    ),
    (
        "a=rtcp with an address",
        "m=audio 5000 RTP/AVP 0 | a=rtcp:5555 IN IP4 192.0.2.10",
        "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.10:5555; 20-60",
    ),
    ("a=rtcp with nonsense", "m=audio 5000 RTP/AVP 0 | a=rtcp:70000 IN IP7 X", PLAIN),
    ("ptime 30", "m=audio 5000 RTP/AVP 0 | a=ptime:30", "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 30-60"),
    (
        "several maxptime: the smallest",
        "m=audio 5000 RTP/AVP 0 | a=maxptime:30 | a=maxptime:20 | a=ptime:40",
        "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-20",
    ),
    ("odd packet times", "m=audio 5000 RTP/AVP 0 | a=ptime:0 | a=maxptime:99999", PLAIN),
    (
        "tiny packet times",
        "m=audio 5000 RTP/AVP 0 | a=ptime:0.125 | a=maxptime:5",
        "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 10-10",
    ),
    ("hold: sendonly", "m=audio 5000 RTP/AVP 0 | a=sendonly", "m=audio 40000 RTP/AVP 0; recvonly; 192.0.2.9:5000/192.0.2.9:5001; 20-60"),
    ("recvonly", "m=audio 5000 RTP/AVP 0 | a=recvonly", "m=audio 40000 RTP/AVP 0; sendonly; 192.0.2.9:5000/192.0.2.9:5001; 20-60"),
    ("hold: inactive", "m=audio 5000 RTP/AVP 0 | a=inactive", "m=audio 40000 RTP/AVP 0; inactive; 192.0.2.9:5000/192.0.2.9:5001; 20-60"),
    ("hold: 0.0.0.0", "m=audio 5000 RTP/AVP 0 | c=IN IP4 0.0.0.0", "m=audio 40000 RTP/AVP 0; recvonly; hold; 20-60"),
    (
        "hold: 0.0.0.0 and inactive",
        "m=audio 5000 RTP/AVP 0 | c=IN IP4 0.0.0.0 | a=inactive",
        "m=audio 40000 RTP/AVP 0; inactive; hold; 20-60",
    ),
    ("hold: a name under .invalid", "m=audio 5000 RTP/AVP 0 | c=IN IP4 hold.invalid", "m=audio 40000 RTP/AVP 0; recvonly; hold; 20-60"),
    ("AVPF without encryption", "m=audio 5000 RTP/AVPF 0", "m=audio 40000 RTP/AVPF 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60"),
    ("two ports", "m=audio 5000/2 RTP/AVP 0", PLAIN),
    ("last port", "m=audio 65535 RTP/AVP 0", "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:65535/192.0.2.9:65535; 20-60"),
    ("noise between", "m=audio 5000 RTP/AVP 0 |  | x | b=AS:64 | zz=1 | a=:: | a=rtpmap:0", PLAIN),
];

#[test]
fn every_offer_of_the_table_is_answered_as_the_table_says() {
    for (case, offer, expected) in OFFERS {
        let answered = answer(&sdp(offer)).unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
        assert_eq!(summary(&answered), *expected, "{case}");
    }
}

#[test]
fn offers_without_usable_audio_are_refused_with_the_reason() {
    let rows: &[(&str, &str, Refusal)] = &[
        ("T.38 alone", "m=image 5000 udptl t38", Refusal::NoAudio),
        ("T.38 with audio switched off", "m=audio 0 RTP/AVP 0 | m=image 5000 udptl t38", Refusal::Disabled),
        ("video alone", "m=video 5000 RTP/AVP 31", Refusal::NoAudio),
        ("no stream", "a=sendrecv", Refusal::NoAudio),
        ("only SAVP", "m=audio 5000 RTP/SAVP 0", Refusal::Transport),
        ("only DTLS", "m=audio 9 UDP/TLS/RTP/SAVPF 0", Refusal::Transport),
        ("no codec of ours", "m=audio 5000 RTP/AVP 18 9 4", Refusal::NoCommonCodec),
        ("0 means something else", "m=audio 5000 RTP/AVP 0 | a=rtpmap:0 L16/44100/2", Refusal::NoCommonCodec),
        ("only telephone-event", "m=audio 5000 RTP/AVP 101 | a=rtpmap:101 telephone-event/8000", Refusal::NoCommonCodec),
        ("multicast", "m=audio 5000 RTP/AVP 0 | c=IN IP4 224.2.0.1/127", Refusal::Address),
        ("broadcast", "m=audio 5000 RTP/AVP 0 | c=IN IP4 255.255.255.255", Refusal::Address),
        ("host name", "m=audio 5000 RTP/AVP 0 | c=IN IP4 host.example.com", Refusal::Address),
        ("the other IP version", "m=audio 5000 RTP/AVP 0 | c=IN IP6 2001:db8::9", Refusal::Address),
    ];
    for (case, offer, expected) in rows {
        assert_eq!(answer(&sdp(offer)).map(|answer| summary(&answer)), Err(*expected), "{case}");
    }
    assert_eq!(Refusal::STATUS, 488);
}

#[test]
fn an_offer_without_s_and_t_and_with_bare_line_feeds_is_read() {
    let answered = answer("v=0\no=x 1 1 IN IP4 1.2.3.4\nc=IN IP4 192.0.2.9\nm=audio 5000 RTP/AVP 8 0 \n").unwrap();
    assert_eq!(summary(&answered), "m=audio 40000 RTP/AVP 0; sendrecv; 192.0.2.9:5000/192.0.2.9:5001; 20-60");
}

#[test]
fn an_ipv6_offer_gets_an_ipv6_answer() {
    let offer = "v=0\r\no=- 1 1 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";
    let local = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local() };
    let answered = Session::new(1).answer(&Sdp::parse(offer.as_bytes()).unwrap(), &local).unwrap();
    assert_eq!(answered.negotiated.remote.unwrap().rtp, "[2001:db8::9]:5000".parse().unwrap());
    assert!(String::from_utf8(answered.sdp).unwrap().contains("c=IN IP6 2001:db8::1\r\n"));
}

#[test]
fn an_offer_is_answered_in_its_own_ip_version_where_we_have_both() {
    let local = LocalMedia { other_address: Some("2001:db8::1".parse().unwrap()), ..local() };
    for (theirs, ours) in [("IP4 192.0.2.9", "c=IN IP4 198.51.100.1\r\n"), ("IP6 2001:db8::9", "c=IN IP6 2001:db8::1\r\n")] {
        let offer = format!("v=0\r\no=- 1 1 IN {theirs}\r\ns=-\r\nc=IN {theirs}\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n");
        let answered = Session::new(1).answer(&Sdp::parse(offer.as_bytes()).unwrap(), &local).unwrap();
        assert!(String::from_utf8(answered.sdp).unwrap().contains(ours), "{theirs}");
    }
}

#[test]
fn hold_is_seen_from_both_sides() {
    let held = answer(&sdp("m=audio 5000 RTP/AVP 0 | a=sendonly")).unwrap().negotiated;
    assert!(held.peer_holds && !held.direction.sends() && held.direction.receives());
    let ours = LocalMedia { direction: Direction::SendOnly, ..local() };
    let offer = sdp("m=audio 5000 RTP/AVP 0");
    let holding = Session::new(1).answer(&Sdp::parse(offer.as_bytes()).unwrap(), &ours).unwrap().negotiated;
    assert!(!holding.peer_holds && holding.direction == Direction::SendOnly);
}

#[test]
fn the_version_grows_by_one_only_when_something_changed() {
    let mut session = Session::new(4711);
    let version = |sdp: &[u8]| Sdp::parse(sdp).unwrap().origin().map(|o| (o.session_id.to_owned(), o.version.to_owned())).unwrap();
    let offer = sdp("m=audio 5000 RTP/AVP 0");
    let first = session.answer(&Sdp::parse(offer.as_bytes()).unwrap(), &local()).unwrap();
    assert_eq!(version(&first.sdp), ("4711".into(), "1".into()));
    let refreshed = session.answer(&Sdp::parse(offer.as_bytes()).unwrap(), &local()).unwrap();
    assert_eq!(refreshed.sdp, first.sdp, "a refresh gets the same octets");
    let held = sdp("m=audio 5000 RTP/AVP 0 | a=inactive");
    let held = session.answer(&Sdp::parse(held.as_bytes()).unwrap(), &local()).unwrap();
    assert_eq!(version(&held.sdp).1, "2");
    let moved = session.offer(&LocalMedia { address: "198.51.100.2".parse().unwrap(), ..local() });
    assert_eq!(version(&moved).1, "3");
    assert!(String::from_utf8(moved).unwrap().contains("o=- 4711 3 IN IP4 198.51.100.1\r\n"), "the origin's address stays");
}

#[test]
fn a_refused_reoffer_leaves_the_session_as_it_was() {
    let mut session = Session::new(1);
    let before = session.answer(&Sdp::parse(sdp("m=audio 5000 RTP/AVP 0").as_bytes()).unwrap(), &local()).unwrap().sdp;
    let t38 = sdp("m=audio 0 RTP/AVP 0 | m=image 5000 udptl t38");
    assert_eq!(session.answer(&Sdp::parse(t38.as_bytes()).unwrap(), &local()), Err(Refusal::Disabled));
    assert_eq!(session.last(), before);
}

#[test]
fn an_offer_of_ours_keeps_the_places_and_numbers_of_what_the_peer_offered_before() {
    let mut session = Session::new(1);
    let theirs = sdp("m=video 6000 RTP/AVP 31 | m=audio 5000 RTP/AVP 8 96 | a=rtpmap:96 telephone-event/8000");
    session.answer(&Sdp::parse(theirs.as_bytes()).unwrap(), &local()).unwrap();
    let ours = String::from_utf8(session.offer(&local())).unwrap();
    let media: Vec<_> = ours.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media, ["m=video 0 RTP/AVP 31", "m=audio 40000 RTP/AVP 0 8 96"]);
}

#[test]
fn an_offer_lists_the_callers_codec_first() {
    let ours = LocalMedia { codecs: AudioCodec::preferring(AudioCodec::Pcmu), ..local() };
    let text = String::from_utf8(Session::new(1).offer(&ours)).unwrap();
    assert!(text.contains("m=audio 40000 RTP/AVP 0 8 101\r\n"), "{text}");
}

const ANSWERS: &[(&str, &str, Result<&str, Refusal>)] = &[
    ("one codec", "m=audio 5000 RTP/AVP 8 101 | a=rtpmap:101 telephone-event/8000", Ok("Pcma 8 [8] Some(101)/Some(101) SendRecv")),
    ("several codecs: the first, the peer may switch", "m=audio 5000 RTP/AVP 8 0", Ok("Pcma 8 [0, 8] None/None SendRecv")),
    (
        "telephone-event under another number",
        "m=audio 5000 RTP/AVP 0 96 | a=rtpmap:96 telephone-event/8000",
        Ok("Pcmu 0 [0] Some(96)/Some(101) SendRecv"),
    ),
    ("a codec that we did not offer goes by", "m=audio 5000 RTP/AVP 18 0", Ok("Pcmu 0 [0] None/None SendRecv")),
    ("one that we did not offer alone", "m=audio 5000 RTP/AVP 18", Err(Refusal::NoCommonCodec)),
    ("recvonly", "m=audio 5000 RTP/AVP 0 | a=recvonly", Ok("Pcmu 0 [0] None/None SendOnly")),
    ("hold", "m=audio 5000 RTP/AVP 0 | a=inactive", Ok("Pcmu 0 [0] None/None Inactive")),
    ("refused", "m=audio 0 RTP/AVP 0", Err(Refusal::Disabled)),
    ("something else at our place", "m=video 5000 RTP/AVP 0", Err(Refusal::Mismatch)),
    ("nothing", "a=sendrecv", Err(Refusal::Mismatch)),
    ("a stream more than we offered", "m=audio 5000 RTP/AVP 0 | m=video 0 RTP/AVP 31", Ok("Pcmu 0 [0] None/None SendRecv")),
    ("encrypted", "m=audio 5000 RTP/SAVP 0", Err(Refusal::Transport)),
];

#[test]
fn every_answer_of_the_table_is_read_as_the_table_says() {
    let mut session = Session::new(1);
    session.offer(&local());
    for (case, text, expected) in ANSWERS {
        let text = sdp(text);
        let read = session.read_answer(&Sdp::parse(text.as_bytes()).unwrap()).map(|n| {
            let receive: Vec<_> = n.receive.iter().map(|format| format.payload_type).collect();
            format!(
                "{:?} {} {receive:?} {:?}/{:?} {:?}",
                n.codec, n.payload_type, n.telephone_event, n.receive_telephone_event, n.direction
            )
        });
        assert_eq!(read.as_deref().map_err(|refusal| *refusal), *expected, "{case}");
    }
}

#[test]
fn comfort_noise_is_offered_only_where_it_is_wanted_and_sent_only_where_it_is_answered() {
    let quiet = LocalMedia { comfort_noise: true, ..local() };
    let mut session = Session::new(1);
    assert!(!String::from_utf8(session.offer(&local())).unwrap().contains("CN/8000"));
    let unasked = sdp("m=audio 5000 RTP/AVP 0 13");
    let read = session.read_answer(&Sdp::parse(unasked.as_bytes()).unwrap()).unwrap();
    assert_eq!((read.comfort_noise, read.receive_comfort_noise), (None, None), "an answer cannot add it");
    let text = String::from_utf8(session.offer(&quiet)).unwrap();
    assert!(text.contains("m=audio 40000 RTP/AVP 0 8 13 101\r\n") && text.contains("a=rtpmap:13 CN/8000\r\n"), "{text}");
    let rows: [(&str, Option<u8>, Option<u8>); 3] = [
        ("m=audio 5000 RTP/AVP 0 13", Some(13), Some(13)),
        ("m=audio 5000 RTP/AVP 0 97 | a=rtpmap:97 CN/8000", Some(97), Some(13)),
        ("m=audio 5000 RTP/AVP 0", None, None),
    ];
    for (answer, to_peer, from_peer) in rows {
        let text = sdp(answer);
        let read = session.read_answer(&Sdp::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!((read.comfort_noise, read.receive_comfort_noise), (to_peer, from_peer), "{answer}");
    }
    let theirs = sdp("m=audio 5000 RTP/AVP 0 13 | a=rtpmap:13 telephone-event/8000");
    session.answer(&Sdp::parse(theirs.as_bytes()).unwrap(), &local()).unwrap();
    let ours = String::from_utf8(session.offer(&quiet)).unwrap();
    assert!(ours.contains("RTP/AVP 0 8 13\r\n") && !ours.contains("CN/8000"), "a number means one thing: {ours}");
}

#[test]
fn each_limit_is_an_error_of_its_own() {
    let many = |line: &str, count: usize| format!("v=0\r\n{}", format!("{line}\r\n").repeat(count));
    let formats = (0..=MAX_FORMATS).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let rows: &[(String, SdpError)] = &[
        (String::new(), SdpError::NotSdp),
        ("hello".into(), SdpError::NotSdp),
        ("v=1\r\n".into(), SdpError::NotSdp),
        ("m=audio 1 RTP/AVP 0\r\nv=0".into(), SdpError::NotSdp),
        (many("a=x", MAX_LINES), SdpError::TooManyLines),
        (many(&"a".repeat(MAX_SDP_OCTETS), 1), SdpError::TooLong),
        (many(&"a".repeat(MAX_LINE_OCTETS + 1), 1), SdpError::LineTooLong(2)),
        (many("m=audio 1 RTP/AVP 0", MAX_MEDIA + 1), SdpError::TooManyMedia),
        (many("m=audio", 1), SdpError::BadMedia(2)),
        (many("m=audio 65536 RTP/AVP 0", 1), SdpError::BadMedia(2)),
        (many("m=audio 1 RTP/AVP", 1), SdpError::BadMedia(2)),
        (many("m=au\"dio 1 RTP/AVP 0", 1), SdpError::BadMedia(2)),
        (many(&format!("m=audio 1 RTP/AVP {formats}"), 1), SdpError::BadMedia(2)),
        (many(&format!("m={} 1 RTP/AVP 0", "a".repeat(MAX_TOKEN_OCTETS + 1)), 1), SdpError::BadMedia(2)),
    ];
    for (text, expected) in rows {
        assert_eq!(Sdp::parse(text.as_bytes()).map(|_| ()), Err(*expected), "{:?}", &text[..text.len().min(60)]);
    }
}

/// Lines that are nearly right, so that the search reaches deep.
fn nearly_sdp() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-z]=[ -~]{0,20}",
        "m=(audio|video|image|AUDIO) [0-9]{0,6}(/2)? (RTP/AVP|RTP/SAVP|udptl) ([0-9]{1,3} ){0,4}",
        "c=IN (IP4|IP6|IP7) [0-9a-f.:/]{0,20}",
        "a=(rtpmap|fmtp|ptime|maxptime|rtcp|sendonly|inactive):?[0-9]{0,6} ?(PCMU|telephone-event|IN)?[/0-9 ]{0,9}",
    ];
    proptest::collection::vec(line, 0..24).prop_map(|lines| format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{}", lines.join("\r\n")))
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Sdp::parse(&bytes).map(|sdp| Session::new(1).answer(&sdp, &local()));
        let with_head = [b"v=0\r\n".as_slice(), &bytes].concat();
        let _ = Sdp::parse(&with_head).map(|sdp| Session::new(1).answer(&sdp, &local()));
    }

    #[test]
    fn what_we_answer_parses_back_and_keeps_the_m_lines(offer in nearly_sdp(), port in 1024u16..65000, v4 in any::<u32>()) {
        let local = LocalMedia { address: IpAddr::V4(v4.into()), other_address: None, rtp_port: port, ..local() };
        if let Ok(parsed) = Sdp::parse(offer.as_bytes()) {
            let mut session = Session::new(9);
            if let Ok(answered) = session.answer(&parsed, &local) {
                prop_assert!(answered.sdp.len() <= 2 * offer.len() + 1024);
                let ours = Sdp::parse(&answered.sdp).unwrap();
                prop_assert_eq!(ours.media().len(), parsed.media().len());
                for (ours, theirs) in ours.media().iter().zip(parsed.media()) {
                    prop_assert_eq!((ours.kind.to_ascii_lowercase(), ours.transport), (theirs.kind.to_ascii_lowercase(), theirs.transport));
                }
                prop_assert_eq!(ours.media().iter().filter(|media| media.port != 0).count(), 1);
            }
        }
    }

    #[test]
    fn however_offers_go_to_and_fro_the_m_lines_stay_and_the_version_never_falls(
        steps in proptest::collection::vec((0u8..5, nearly_sdp()), 1..12),
    ) {
        let mut session = Session::new(9);
        let version = |said: &[u8]| Sdp::parse(said).ok().and_then(|sdp| sdp.origin()?.version.parse::<u64>().ok()).unwrap_or(0);
        let mut highest = 0;
        for (step, theirs) in steps {
            let (before, told) = (session.clone(), session.last());
            // A peer repeats our m-lines; a stranger sends anything.
            let echo = String::from_utf8(told.clone()).unwrap().replace("198.51.100.1", "192.0.2.9").replace("sendrecv", "sendonly");
            let text = if step == 0 && !told.is_empty() { echo.as_str() } else { theirs.as_str() };
            let Ok(parsed) = Sdp::parse(text.as_bytes()) else { continue };
            match step {
                0..=2 => match session.answer(&parsed, &local()) {
                    Ok(answer) => prop_assert_eq!(Sdp::parse(&answer.sdp).unwrap().media().len(), parsed.media().len()),
                    Err(_) => prop_assert_eq!(session.last(), told.clone(), "a refused offer changes nothing"),
                },
                3 => {
                    let offer = session.offer(&local());
                    let lines = Sdp::parse(&told).map_or(1, |told| told.media().len());
                    prop_assert_eq!(Sdp::parse(&offer).unwrap().media().len(), lines, "no m-line comes or goes by an offer of ours");
                    if let Ok(agreed) = session.read_answer(&parsed) {
                        prop_assert!(agreed.remote.is_none_or(|remote| remote.rtp.port() != 0 && !remote.rtp.ip().is_unspecified()));
                        prop_assert!(agreed.receive.iter().any(|format| format.codec == agreed.codec));
                    }
                }
                _ => {
                    session.offer(&LocalMedia { codecs: vec![AudioCodec::Pcma], ..local() });
                    let refused = version(&session.last());
                    session.take_back(before);
                    prop_assert_eq!(session.last(), told.clone(), "what was refused was never said");
                    highest = highest.max(refused);
                    continue;
                }
            }
            let now = version(&session.last());
            prop_assert!(session.last() == told || now == highest + 1, "from {} to {}", highest, now);
            highest = highest.max(now);
        }
    }

    #[test]
    fn what_we_offer_and_answer_among_ourselves_agrees(first in 0usize..2, sends in any::<bool>(), receives in any::<bool>()) {
        let mut caller = Session::new(1);
        let mut called = Session::new(2);
        let offer = caller.offer(&LocalMedia { codecs: AudioCodec::preferring(AudioCodec::ALL[first]), direction: Direction::new(sends, receives), ..local() });
        let answered = called.answer(&Sdp::parse(&offer).unwrap(), &LocalMedia { codecs: AudioCodec::preferring(AudioCodec::ALL[first]), rtp_port: 50000, ..local() }).unwrap();
        let agreed = caller.read_answer(&Sdp::parse(&answered.sdp).unwrap()).unwrap();
        prop_assert_eq!(agreed.codec, AudioCodec::ALL[first]);
        prop_assert_eq!(agreed.codec, answered.negotiated.codec);
        prop_assert_eq!(agreed.direction, answered.negotiated.direction.reversed());
        prop_assert_eq!(agreed.telephone_event, Some(TELEPHONE_EVENT_PAYLOAD_TYPE));
    }
}
