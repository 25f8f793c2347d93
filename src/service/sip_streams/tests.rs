//! Real connections on the loopback address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mio::{Events, Poll};
use socket2::SockRef;

use super::*;

/// Waits until a stream of ours is there, and tells how the kernel marks what it sends.
fn mark_of_the_one(poll: &mut Poll, streams: &mut SipStreams, now: Instant) -> u32 {
    let mut events = Events::with_capacity(8);
    for _ in 0..30 {
        poll.poll(&mut events, Some(Duration::from_secs(1))).expect("polls");
        for event in &events {
            match event.is_writable() {
                true => streams.writable(event.token().0),
                false => drop(streams.read(now, event.token().0, &mut [0; 512], &mut |_, _| {})),
            }
        }
        if let Some(stream) = streams.by_id.values().find(|stream| !stream.connecting) {
            let socket = SockRef::from(&stream.socket);
            let mark = if stream.flow.remote.is_ipv6() { socket.tclass_v6() } else { socket.tos_v4() };
            return mark.expect("an option of every Linux");
        }
    }
    panic!("no connection within 30 s");
}

fn streams(poll: &Poll, listener: TcpListener, address: SocketAddr) -> SipStreams {
    let mut streams = SipStreams::new(vec![Some(listener)], vec![address], Vec::new(), ConnectionLimits::default());
    streams.register(poll.registry()).expect("registers");
    streams
}

#[test]
#[expect(clippy::disallowed_methods, reason = "real sockets connect now")]
fn a_peer_that_does_not_read_loses_its_connection_once_its_queue_is_full() {
    let now = Instant::now();
    let peer = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let flow = Flow { listener: ListenerId(0), transport: Transport::Tcp, remote: peer.local_addr().expect("bound") };
    let (mut poll, listener) = (Poll::new().expect("polls"), listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port"));
    let address = listener.local_addr().expect("bound");
    let mut making = streams(&poll, listener, address);
    making.send(now, flow, b"OPTIONS", true);
    mark_of_the_one(&mut poll, &mut making, now);
    let (_deaf, _) = peer.accept().expect("connected");
    // The kernel takes some megabytes by itself; what it does not take waits here.
    let message = [b'x'; 60_000];
    let mut most = 0;
    for _ in 0..4_000 {
        making.send(now, flow, &message, false);
        most = making.by_id.values().map(|stream| stream.waits).fold(most, usize::max);
        if making.is_empty() {
            break;
        }
    }
    assert!(most > 0 && most <= ConnectionLimits::default().waiting, "{most} octets waited");
    assert_eq!((making.len(), making.counters().get("queue_full")), (0, Some(&1)));
    assert_eq!((making.next_closed(), making.held), (Some(flow), 0), "its calls are told");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "real sockets connect now")]
fn connections_that_are_accepted_and_made_are_marked_as_signalling_over_both_ip_versions() {
    for here in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let Ok(peer) = std::net::TcpListener::bind((here, 0)) else {
            println!("skipped: this machine has no {here}");
            continue;
        };
        let now = Instant::now();
        let own = || listen((here, 0).into()).expect("a port");
        let (mut poll, listener) = (Poll::new().expect("polls"), own());
        let address = listener.local_addr().expect("bound");
        let mut accepting = streams(&poll, listener, address);
        let _phone = std::net::TcpStream::connect(address).expect("accepted");
        assert_eq!(mark_of_the_one(&mut poll, &mut accepting, now), 24 << 2, "accepted at {here}: DSCP CS3");

        let (mut poll, listener) = (Poll::new().expect("polls"), own());
        let address = listener.local_addr().expect("bound");
        let mut making = streams(&poll, listener, address);
        let flow = Flow { listener: ListenerId(0), transport: Transport::Tcp, remote: peer.local_addr().expect("bound") };
        making.send(now, flow, b"OPTIONS", true);
        assert_eq!(mark_of_the_one(&mut poll, &mut making, now), 24 << 2, "made from {here}: DSCP CS3");
    }
}
