//! SIP over TCP with real peers: phones, a carrier, connections that die, and strangers who hold connections open.
#![expect(clippy::disallowed_methods, reason = "how long a dead connection and slow strangers last is real time")]

mod support;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use support::{
    PATIENCE,
    desk::Desk,
    installed,
    phone::{Phone, TCP, demo_phone, talk_until_heard},
    raw_phone::{RawPhone, description},
    server::{PHONES, Server, TRUNK},
    sipp::{Caller, Sipp, Then},
    sound::{self, PAIRS},
    wait_for,
};
use throughline::protocol::sip::field::Method;

/// One calls the other, both talk, the caller hangs up; then each heard the other alone.
fn talk(server: &Server, ann: &mut Phone, bob: &mut Phone) {
    ann.command("dial", &format!("sip:{}@{}", bob.user, server.sip()));
    bob.wait_event("incoming call", |event| event["type"] == "CALL_INCOMING");
    bob.command("accept", "");
    ann.wait_established();
    bob.wait_established();
    let before = [ann.heard_seconds(), bob.heard_seconds()].into_iter().fold(0.0, f64::max);
    talk_until_heard([ann, bob], before.min(1.0) + 3.0);
    ann.command("hangup", "");
    bob.wait_closed();
    ann.wait_closed();
}

fn connections(server: &Server) -> f64 {
    server.metric("throughline_sip_connections").unwrap_or(-1.0)
}

/// How many connections were closed for this reason.
fn closed(server: &Server, reason: &str) -> f64 {
    server.metric(&format!("throughline_sip_connections_closed_total{{reason=\"{reason}\"}}")).unwrap_or(0.0)
}

/// A request that comes over a connection.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("its length");
            if body.len() >= length.parse().expect("a number") {
                return read;
            }
        }
        let length = stream.read(&mut buffer).expect("the rest of a request");
        assert!(length > 0, "the connection ended within a request");
        read.extend_from_slice(&buffer[..length]);
    }
}

#[test]
fn a_large_request_reaches_a_phone_by_a_connection_that_we_make_or_by_udp_where_it_takes_none() {
    let here = Ipv4Addr::LOCALHOST.into();
    for takes_connections in [true, false] {
        let server = Server::plain();
        // An INVITE repeats the phone's Contact and the caller's name, twice: too large for a datagram. Its ACK is not.
        let phone = RawPhone::register_with(here, server.sip(), PHONES[0].0, PHONES[0].1, &"x".repeat(450));
        let listener = takes_connections.then(|| TcpListener::bind(phone.local()).expect("the port is its own"));
        let mut desk = Desk::connect(&server.login("daniel"));
        desk.ready();
        let mut caller = RawPhone::at_trunk(TRUNK.into(), server.sip(), "+442079460101");
        caller.name = "Llanfairpwllgwyngyll ".repeat(6);
        let invite = caller.call("+442079460000", description(TRUNK.into(), 40_000));
        desk.wait_offer();
        let answer = |rung: &[u8]| phone.response(rung, 200, "taken", Some(description(here, 40_002)));
        let (rung, transport, stream) = match &listener {
            Some(listener) => {
                listener.set_nonblocking(true).expect("a listener");
                let (mut stream, _) = wait_for("a connection", PATIENCE, || listener.accept().ok());
                stream.set_nonblocking(false).expect("a connection");
                let rung = read_request(&mut stream);
                stream.write_all(&answer(&rung)).expect("answered");
                (rung, "TCP", Some(stream))
            }
            None => {
                let rung = phone.wait(&Method::Invite, None);
                phone.reply(&rung, 200, "taken", Some(description(here, 40_002)));
                (rung, "UDP", None)
            }
        };
        let text = String::from_utf8_lossy(&rung).into_owned();
        assert!(rung.len() > 1_300 && text.contains(&format!("\r\nVia: SIP/2.0/{transport} ")), "{text}");
        phone.wait(&Method::Ack, Some("taken"));
        let dialog = caller.acknowledge(&invite, &caller.wait_status(200));
        phone.hang_up(&rung, "taken");
        caller.wait(&Method::Bye, None);
        drop((dialog, stream));
        let tried = wait_for("the connection to be counted", PATIENCE, || server.metric("throughline_sip_large_by_tcp_total"));
        let fell_back = wait_for("the way back to be counted", PATIENCE, || {
            let fell_back = server.metric("throughline_sip_large_by_udp_total");
            if takes_connections { Some(fell_back.unwrap_or(0.0)) } else { fell_back }
        });
        assert_eq!((tried, fell_back), (1.0, if takes_connections { 0.0 } else { 1.0 }));
    }
}

#[test]
fn a_phone_that_closes_its_connection_right_after_its_answer_is_in_the_call() {
    let here = Ipv4Addr::LOCALHOST.into();
    let server = Server::plain();
    let phone = RawPhone::register_with(here, server.sip(), PHONES[0].0, PHONES[0].1, &"x".repeat(450));
    let listener = TcpListener::bind(phone.local()).expect("the port is its own");
    let mut desk = Desk::connect(&server.login("daniel"));
    desk.ready();
    let mut caller = RawPhone::at_trunk(TRUNK.into(), server.sip(), "+442079460101");
    caller.name = "Llanfairpwllgwyngyll ".repeat(6);
    let invite = caller.call("+442079460000", description(TRUNK.into(), 40_000));
    desk.wait_offer();
    listener.set_nonblocking(true).expect("a listener");
    let (mut stream, _) = wait_for("a connection", PATIENCE, || listener.accept().ok());
    stream.set_nonblocking(false).expect("a connection");
    let rung = read_request(&mut stream);
    // One segment: the answer, and with it the end.
    stream.write_all(&phone.response(&rung, 200, "taken", Some(description(here, 40_002)))).expect("answered");
    drop((stream, listener));
    phone.wait(&Method::Ack, Some("taken"));
    let dialog = caller.acknowledge(&invite, &caller.wait_status(200));
    wait_for("the end of the connection", PATIENCE, || (closed(&server, "by_peer") == 1.0).then_some(()));
    wait_for("the talk", PATIENCE, || (server.metric("throughline_calls_talking")? == 1.0).then_some(()));
    assert_eq!(server.metric("throughline_sip_large_by_udp_total").unwrap_or(0.0), 0.0, "it was answered: nothing is sent again");
    caller.say_goodbye(dialog);
    let bye = phone.wait(&Method::Bye, None);
    assert!(String::from_utf8_lossy(&bye).contains("\r\nVia: SIP/2.0/UDP "), "by the flow that it registered from");
    phone.reply(&bye, 200, "taken", None);
    wait_for("no call left", PATIENCE, || (server.metric("throughline_calls_talking")? == 0.0).then_some(()));
}

#[test]
fn two_phones_on_tcp_call_each_other_both_ways() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    let mut bob = demo_phone(&server, 1, PAIRS[1], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    wait_for("two connections", PATIENCE, || (connections(&server) >= 2.0).then_some(()));
    talk(&server, &mut ann, &mut bob);
    talk(&server, &mut bob, &mut ann);
    ann.quit();
    bob.quit();
    for heard in ann.heard() {
        sound::assert_only(&heard, PAIRS[1], 0.7, "what ann heard");
    }
    for heard in bob.heard() {
        sound::assert_only(&heard, PAIRS[0], 0.7, "what bob heard");
    }
    wait_for("no connection left", PATIENCE, || (connections(&server) == 0.0).then_some(()));
}

#[test]
fn a_phone_on_udp_and_one_on_tcp_hear_each_other() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], ";audio_codecs=PCMA/8000/1");
    let mut bob = demo_phone(&server, 1, PAIRS[1], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    talk(&server, &mut ann, &mut bob);
    talk(&server, &mut bob, &mut ann);
    ann.quit();
    bob.quit();
    sound::assert_only(&ann.heard()[0], PAIRS[1], 0.7, "what the phone on UDP heard");
    sound::assert_only(&bob.heard()[0], PAIRS[0], 0.7, "what the phone on TCP heard");
}

#[test]
fn a_carrier_on_tcp_reaches_an_agent_and_hangs_up() {
    if !installed("baresip") || !installed("sipp") {
        return;
    }
    for transport in ["t1", "tn"] {
        let server = Server::plain();
        let mut bob = demo_phone(&server, 0, PAIRS[1], &format!("{TCP};answermode=auto"));
        let mut desk = Desk::connect(&server.login("daniel"));
        desk.ready();
        let folder = server.folder.path().join("call");
        let voice = sound::tone(PAIRS[0], 6);
        let caller = Caller { display: "A CALLER", number: "+442079460101" };
        let mut sipp = Sipp::call_over(transport, &folder, server.sip(), &caller, &voice, &Then::Talk(Duration::from_secs(3)));
        desk.wait_offer();
        sipp.wait_success();
        bob.wait_closed();
        wait_for("no call left", PATIENCE, || (server.metric("throughline_calls_talking")? == 0.0).then_some(()));
    }
}

/// A stranger who holds a connection open with half a message.
fn loris(from: Ipv4Addr, server: SocketAddr) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
    socket.connect_timeout(&server.into(), PATIENCE).ok()?;
    let mut stream: TcpStream = socket.into();
    stream.write_all(b"INVITE sip:101@example.com SIP/2.0\r\nVia: SIP/2.0/TCP x;bran").ok()?;
    Some(stream)
}

/// Whether the server closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a time-out");
    match stream.read(&mut [0; 16]) {
        Ok(length) => length == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[test]
fn five_hundred_slow_strangers_disturb_no_call_and_are_gone_after_seconds() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    let mut bob = demo_phone(&server, 1, PAIRS[1], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    // Of ten addresses, since one may hold 64.
    let mut strangers: Vec<TcpStream> =
        (0..500_u16).filter_map(|n| loris(Ipv4Addr::new(127, 9, 0, u8::try_from(n % 10).expect("small") + 1), server.sip())).collect();
    assert_eq!(strangers.len(), 500);
    wait_for("all of them counted", PATIENCE, || (connections(&server) >= 502.0).then_some(()));
    let since = Instant::now();
    talk(&server, &mut ann, &mut bob);
    wait_for("their end", PATIENCE, || {
        strangers.retain_mut(|stream| !is_closed(stream));
        strangers.is_empty().then_some(())
    });
    println!("500 strangers were gone {:.1} s after the last came", since.elapsed().as_secs_f64());
    wait_for("each closed for this reason", PATIENCE, || (closed(&server, "slow_message") == 500.0).then_some(()));
    assert_eq!(connections(&server), 2.0, "the phones stay");
    talk(&server, &mut bob, &mut ann);
    ann.quit();
    bob.quit();
    sound::assert_only(&ann.heard()[0], PAIRS[1], 0.7, "what ann heard meanwhile");
    sound::assert_only(&bob.heard()[0], PAIRS[0], 0.7, "what bob heard meanwhile");
}

#[test]
fn one_address_may_not_take_all_connections() {
    let server = Server::plain();
    let here = Ipv4Addr::new(127, 9, 0, 1);
    let mut streams: Vec<TcpStream> = (0..70).filter_map(|_| loris(here, server.sip())).collect();
    let refused = wait_for("the refused ones to be closed", PATIENCE, || {
        let closed = streams.iter_mut().filter_map(|stream| is_closed(stream).then_some(())).count();
        (closed >= 6).then_some(closed)
    });
    assert!((6..70).contains(&refused), "{refused}");
    wait_for("the refused ones to be counted", PATIENCE, || (closed(&server, "address_full") == 6.0).then_some(()));
    assert!(loris(Ipv4Addr::new(127, 9, 0, 2), server.sip()).is_some_and(|mut stream| !is_closed(&mut stream)));
}

#[test]
fn a_phone_whose_connection_dies_cannot_be_reached_until_it_comes_again() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], ";audio_codecs=PCMA/8000/1");
    let mut bob = demo_phone(&server, 1, PAIRS[1], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    // A power cut at the phone: its kernel closes the connection.
    bob.kill();
    wait_for("the end of the connection", PATIENCE, || (connections(&server) == 0.0).then_some(()));
    let since = Instant::now();
    ann.command("dial", &format!("sip:{}@{}", bob.user, server.sip()));
    let reason = ann.wait_closed();
    println!("unreachable after {:.2} s: {reason}", since.elapsed().as_secs_f64());
    assert!(reason.starts_with("480"), "{reason}");
    let mut bob = demo_phone(&server, 1, PAIRS[1], &format!("{TCP};audio_codecs=PCMA/8000/1"));
    talk(&server, &mut ann, &mut bob);
}

/// A stranger on TCP.
struct Stream(TcpStream);

impl Stream {
    fn new(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(stream)
    }

    #[track_caller]
    fn read_until(&mut self, end: &[u8]) -> String {
        let mut all = Vec::new();
        while !all.ends_with(end) {
            let mut octet = [0];
            assert_eq!(self.0.read(&mut octet).expect("an answer in time"), 1, "the connection ended");
            all.push(octet[0]);
        }
        String::from_utf8(all).expect("text")
    }

    fn options(&self, n: u32) -> String {
        format!(
            "OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:9;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:x@h>\r\nCall-ID: c{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

#[test]
fn a_stream_is_framed_however_it_is_cut_and_pings_are_answered() {
    let server = Server::plain();
    let mut stream = Stream::new(server.sip());
    stream.0.set_nodelay(true).expect("no delay");
    let text = stream.options(1);
    for piece in text.as_bytes().chunks(7) {
        stream.0.write_all(piece).expect("written");
    }
    let answer = stream.read_until(b"\r\n\r\n");
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    assert!(answer.contains("SIP/2.0/TCP 192.0.2.1:9;branch=z9hG4bK1;received=127.0.0.1"), "{answer}");
    stream.0.write_all(b"\r\n\r\n").expect("written");
    assert_eq!(stream.read_until(b"\r\n"), "\r\n", "RFC 5626 §3.5.1");
    let both = format!("{}{}", stream.options(2), stream.options(3));
    stream.0.write_all(both.as_bytes()).expect("written");
    for n in 2..4 {
        let answer = stream.read_until(b"\r\n\r\n");
        assert!(answer.contains(&format!("Call-ID: c{n}\r\n")), "{answer}");
    }
    stream.0.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    assert_eq!(stream.0.read(&mut [0; 16]).expect("closed, not reset"), 0);
}
