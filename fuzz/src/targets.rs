//! What must hold for any octets whatever: no panic, nothing beyond the input's size, and what we make of it is read the same again.
//!
//! `scripts/fuzz` runs each function under libFuzzer; `tests/fuzz_seeds.rs` runs them on stable with a mutator of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{
    domain::media::{
        plan::Codec,
        tap::{TAP_PAYLOAD_MAX, TapFrame},
        time_axis::TimeAxis,
    },
    ids::LegId,
    protocol::{
        rtp::{
            packet::{self, HEADER_LEN},
            rtcp,
            session::{Reception, Step},
            telephone_event::{KeyDetector, TelephoneEvent},
        },
        sdp::{AudioCodec, Direction, LocalMedia, Sdp, Session},
        sip::{
            build::{Request, Response},
            digest::{Algorithm, Authenticator, Challenge, ChallengeOffer, Credentials, Ha1, Verdict},
            field::Method,
            header::{HeaderId, NameAddr, Via},
            message::Message,
            parse::parse,
            parse_error::ParseErrorKind,
            stream::{Framed, Framer, MAX_MESSAGE},
            uri::Uri,
        },
    },
    service::recorder::track::{self, BlockKind, Decoded},
    time::UnixMs,
};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; each has a folder of seeds.
pub const ALL: &[Target] = &[
    ("sip_message", sip_message),
    ("sip_stream", sip_stream),
    ("sdp", sdp),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("digest", digest),
    ("track", track),
];

const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);

/// One datagram: read in every way there is, answered, built again and read again.
pub fn sip_message(data: &[u8]) {
    match parse(data) {
        Ok(message) => {
            read_all(&message);
            let answer = Response::to(&message, 486, "t1", SOURCE);
            let is_text = std::str::from_utf8(data).is_ok();
            if let Some(octets) = own(answer.to_bytes(), is_text) {
                assert_eq!(Response::from_message(&parse(&octets).expect("read before")), Some(answer));
            }
            if let Some(request) = Request::from_message(&message)
                && let Some(octets) = own(request.to_bytes(), is_text)
            {
                assert_eq!(Request::from_message(&parse(&octets).expect("read before")), Some(request));
            }
        }
        Err(error) => {
            if let Some(answer) = error.answer(SOURCE, "t") {
                // Via, From, To, Call-ID and CSeq come back, once, and a received parameter.
                assert!(answer.len() <= data.len() + 600, "{} octets answer {}", answer.len(), data.len());
            }
        }
    }
}

/// What we write is well formed. Octets that are no text are written as U+FFFD, so that a line full of them may become too long.
fn own(octets: Vec<u8>, is_text: bool) -> Option<Vec<u8>> {
    match parse(&octets).map(drop).map_err(|error| error.kind) {
        Ok(()) => Some(octets),
        Err(ParseErrorKind::HeaderTooLong) if !is_text => None,
        Err(kind) => panic!("our own message is refused, {kind}: {}", String::from_utf8_lossy(&octets)),
    }
}

fn read_all(message: &Message<'_>) {
    assert!(message.sdp().len() <= message.body().len());
    let octets: usize = message.all_headers().map(|(name, _, value)| name.len() + value.len()).sum();
    assert!(message.vias().count() > 0 && !message.call_id().is_empty() && octets > 0);
    let addresses = [HeaderId::Contact, HeaderId::Route, HeaderId::RecordRoute].into_iter().flat_map(|id| message.addresses(id));
    for address in addresses.chain([*message.from(), *message.to()]) {
        read_address(&address);
    }
    for (name, id, value) in message.all_headers() {
        let _ = (message.header_named(name), message.text(id), message.seconds(id));
        for address in message.addresses(id) {
            read_address(&address);
        }
        let _ = (Via::parse(value), NameAddr::parse(value), Credentials::parse(value), Challenge::parse(value));
    }
    let _ = (message.content_type(), message.expires(), message.session_expires(), message.contact_is_star());
    let _ = message.tokens(HeaderId::Require).count();
    let _ = Sdp::parse(message.body());
}

fn read_address(address: &NameAddr<'_>) {
    let _ = (address.display_name(), address.expires(), address.to_owned());
    assert!(address.q_thousandths() <= 1000);
    let uri = address.uri;
    let _ = (uri.user(), uri.host().map(|host| host.to_string()), uri.port(), uri.is_loose_router());
    assert!(uri.same_address(&uri) || uri.host().is_none(), "an address is itself: {uri:?}");
}

/// A stream of SIP: however it is cut into pieces, the same messages come out, each whole, until the same error.
pub fn sip_stream(data: &[u8]) {
    let (pieces, octets) = data.split_at(data.len().min(4));
    let whole = frames(octets, &[octets.len()]);
    let cuts: Vec<usize> = pieces.iter().map(|piece| usize::from(*piece) + 1).collect();
    assert_eq!(frames(octets, &cuts), whole, "cut into pieces of {cuts:?}");
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= octets.len(), "no octet comes out twice");
}

/// The messages of a stream that comes in pieces of these lengths, over and over, and how it fails; a ping is an empty one.
fn frames(octets: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, Option<String>) {
    let (mut framer, mut rest, mut found) = (Framer::default(), octets, Vec::new());
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*piece).clamp(1, rest.len()));
        rest = later;
        framer.push(now);
        loop {
            match framer.next_message() {
                Ok(Some(Framed::Message(message))) => {
                    assert!(message.len() <= MAX_MESSAGE && !message.is_empty());
                    drop(parse(message));
                    found.push(message.to_vec());
                }
                Ok(Some(Framed::Ping)) => found.push(Vec::new()),
                Ok(None) => break,
                Err(error) => return (found, Some(error.to_string())),
            }
        }
        assert!(framer.held() <= octets.len());
    }
    (found, None)
}

/// A session description as an offer to us, and as the answer to ours.
pub fn sdp(data: &[u8]) {
    let Ok(theirs) = Sdp::parse(data) else { return };
    let local = LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
        other_address: None,
        rtp_port: 40_000,
        codecs: AudioCodec::ALL.to_vec(),
        comfort_noise: true,
        direction: Direction::SendRecv,
    };
    let _ = (theirs.origin(), theirs.attributes().count(), theirs.audio().map(|audio| (audio.check().is_ok(), audio.direction())));
    let mut session = Session::new(1);
    if let Ok(answer) = session.answer(&theirs, &local) {
        let ours = Sdp::parse(&answer.sdp).expect("our own answer is well formed");
        assert_eq!(ours.media().len(), theirs.media().len(), "as many media lines as offered");
        assert_eq!(session.answer(&theirs, &local).map(|again| again.sdp), Ok(answer.sdp.clone()), "a refresh changes nothing");
        let _ = Session::new(2).read_answer(&ours);
    }
    let mut offering = Session::new(3);
    let offer = offering.offer(&local);
    assert!(Sdp::parse(&offer).is_ok(), "our own offer is well formed");
    if let Ok(negotiated) = offering.read_answer(&theirs) {
        assert!(local.codecs.contains(&negotiated.codec));
    }
}

/// Datagrams one after another, each after two octets of length, through reception, time axis and keys; a track has no holes.
pub fn rtp(data: &[u8]) {
    let mut reception: Option<Reception> = None;
    let mut axis = TimeAxis::new(0);
    let mut keys = KeyDetector::default();
    let (mut rest, mut now_us, mut source) = (data, 0, 0);
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (datagram, tail) = tail.split_at(length.min(tail.len()));
        rest = tail;
        now_us += 20_000;
        let Ok(packet) = packet::parse(datagram) else { continue };
        assert!(packet.payload_start >= HEADER_LEN && packet.payload_start + packet.payload_len <= datagram.len());
        let payload = packet.payload(datagram);
        let header = packet.header;
        let mut copy = datagram.to_vec();
        let sent = packet::write_header(&mut copy, &packet, header);
        let again = packet::parse(sent).expect("what we send is RTP");
        assert_eq!((again.header, again.payload(sent)), (header, payload));
        let _ = (keys.push(header.timestamp, payload), TelephoneEvent::parse(payload).map(TelephoneEvent::to_bytes));
        let known = reception.get_or_insert_with(|| Reception::new(header.sequence, header.timestamp));
        let place = match known.receive(header.sequence, header.timestamp, now_us / 125) {
            Step::Accepted(place) => place,
            Step::Jump => continue,
            Step::Restarted => {
                reception = None;
                source += 1;
                continue;
            }
        };
        let _ = (known.lost(), known.expected(), known.report(header.ssrc, 0, 0));
        axis.push(&frame(source, now_us, (place.ext_seq, place.ext_ts), payload));
        axis.poll(now_us);
    }
    axis.close(now_us);
    let mut end = 0;
    while let Some(chunk) = axis.next_chunk() {
        assert_eq!(chunk.axis_start_us, end, "chunks touch");
        end = chunk.axis_start_us + chunk.duration_us;
    }
    // A packet is anchored at its arrival: the track ends with the last of them, or one packet after it.
    assert!(end <= now_us + 200_000 + 125 * TAP_PAYLOAD_MAX as u64, "{end} µs of track in {now_us} µs");
}

fn frame(source: u32, arrival_us: u64, (ext_seq, ext_ts): (u64, u64), octets: &[u8]) -> TapFrame {
    let len = octets.len().min(TAP_PAYLOAD_MAX);
    let mut payload = [0; TAP_PAYLOAD_MAX];
    payload[..len].copy_from_slice(&octets[..len]);
    let leg = LegId::new(UnixMs(1), [1; 10]);
    TapFrame { leg, source, arrival_us, ext_seq, ext_ts, codec: Codec::Pcmu, len: len as u16, payload }
}

/// One RTCP datagram.
pub fn rtcp(data: &[u8]) {
    let about = data.get(8..12).and_then(|ssrc| ssrc.first_chunk::<4>()).map_or(7, |ssrc| u32::from_be_bytes(*ssrc));
    let Ok(received) = rtcp::parse_compound(data, about) else { return };
    let mut out = [0; rtcp::COMPOUND_MAX];
    let compound = rtcp::Compound {
        ssrc: about,
        sender: received.sender,
        report: received.report,
        cname: data.get(..20).unwrap_or(data),
        bye: received.bye,
    };
    let length = rtcp::write_compound(&mut out, compound);
    assert!(length <= out.len() && length.is_multiple_of(4));
    let again =
        rtcp::parse_compound(&out[..length], received.report.map_or(about, |report| report.ssrc)).expect("our own compound is well formed");
    assert_eq!((again.sender, again.report, again.bye), (received.sender, received.report, received.bye));
}

/// A value of Authorization or WWW-Authenticate: never accepted, answered within bounds.
pub fn digest(data: &[u8]) {
    let ha1 = Ha1::of("alice", "example.org", "a password that no fuzzer guesses");
    if let Ok(challenge) = Challenge::parse(data) {
        let answer = challenge.answer("alice", &ha1, &Method::Register, "sip:example.org", "c", 1).expect("both hashes are there");
        assert!(answer.realm == challenge.realm && answer.nonce == challenge.nonce);
    }
    let Ok(credentials) = Credentials::parse(data) else { return };
    let mut authenticator = Authenticator::new("example.org", [7; 32]);
    let _ = authenticator.challenges(ChallengeOffer::Both, false, 1_000, 1);
    let target = Uri::parse(b"sip:example.org").expect("well formed");
    for account in [Some(&ha1), None] {
        let verdict = authenticator.verify(&credentials, account, &Method::Register, &target, 2_000);
        assert!(verdict != Verdict::Accepted, "{credentials:?}");
    }
    assert!(matches!(credentials.algorithm, Algorithm::Md5 | Algorithm::Sha256));
}

/// A track file: every block lies inside it, and reading ends.
pub fn track(data: &[u8]) {
    let (mut at, mut steps) = (0, 0);
    while at < data.len() {
        steps += 1;
        assert!(steps <= data.len(), "reading goes on");
        match track::decode(&data[at..]) {
            Decoded::Block(block, octets) => {
                assert!(octets >= track::HEADER_OCTETS && octets <= data.len() - at);
                if let BlockKind::Audio { octets: payload, .. } = block.kind {
                    assert!(payload <= track::PAYLOAD_MAX && payload + track::HEADER_OCTETS == octets);
                }
                at += octets;
            }
            Decoded::Needs(octets) => {
                assert!(octets > data.len() - at, "what is there is not asked for");
                return;
            }
            Decoded::Damaged => at += 1,
        }
    }
}
