//! Requests of ours that are too large for a datagram: to phones, the ACK of a 2xx, REGISTER to a carrier; and what a connection that
//! we made is good for.

use std::{net::SocketAddr, time::Duration};

use super::{
    carrier::REALM,
    peer::OnInvite,
    queue::ended,
    queue_waiting::SECOND,
    world::{World, config},
};
use crate::{
    domain::{
        fact::{EndCause, Fact},
        switch::{Counter, Input, OutboundTrunk, Switch},
    },
    protocol::sip::{
        build::{ChallengeHeader, ViaBuf},
        field::Method,
        flow::{Flow, ListenerId, Transport},
    },
};

fn tcp(remote: SocketAddr) -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Tcp, remote }
}

/// From now on everything that we send carries a name of so many octets: 700 make an INVITE too large for a datagram.
fn wordy(world: &mut World, octets: usize) {
    world.switch.config.policy.product = "x".repeat(octets);
}

/// A house of these phones, whose next INVITE from us is large.
fn house(agents: u8, seed: u64) -> World {
    let mut world = World::new(agents, seed);
    wordy(&mut world, 700);
    world
}

/// How often a connection to there was asked for.
fn tried(world: &World, at: SocketAddr) -> usize {
    world.connects.iter().filter(|(flow, connect)| *flow == tcp(at) && *connect).count()
}

fn via(message: &str) -> &str {
    message.lines().find_map(|line| line.strip_prefix("Via: SIP/2.0/")).map_or("", |rest| &rest[..3])
}

/// Phone 0 calls phone 1, which answers; then hangs up.
fn call(world: &mut World) -> String {
    // Our answer to a stranger may not be much larger than what they sent.
    wordy(world, 10);
    for n in 0..2 {
        let now = world.now.mono;
        world.peers[n].register(now, 300);
    }
    world.run(SECOND);
    wordy(world, 700);
    let now = world.now.mono;
    world.peers[0].call(now, "201", |_| {});
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up() && world.peers[1].is_up());
    world.run(SECOND);
    let invite = world.peers[1].last("INVITE").expect("rung");
    let now = world.now.mono;
    world.peers[0].hang_up(now);
    world.run(SECOND);
    assert!(world.peers[1].told_goodbye);
    invite
}

#[test]
fn a_large_request_to_a_phone_goes_by_a_connection_that_we_make_and_by_udp_where_that_is_refused() {
    let mut world = house(2, 1);
    let at = world.peers[1].addr;
    let invite = call(&mut world);
    assert!(invite.len() > 1_300 && via(&invite) == "TCP", "{invite}");
    assert_eq!((tried(&world, at), world.switch.counters().get(Counter::LargeByStream)), (1, 1));

    world.closed.insert(tcp(at));
    assert_eq!(via(&call(&mut world)), "UDP");
    assert_eq!((tried(&world, at), world.switch.counters().get(Counter::LargeByDatagram)), (2, 1));
    assert_eq!(via(&call(&mut world)), "UDP");
    assert_eq!(tried(&world, at), 2, "what was refused lately is not tried again");
    world.closed.clear();
    world.run(Duration::from_secs(600));
    assert_eq!(via(&call(&mut world)), "TCP");
    assert_eq!(tried(&world, at), 3, "but after ten minutes");
    world.assert_comes_to_rest();
    assert_eq!(ended(&world), [EndCause::AgentHungUp; 4]);
}

#[test]
fn no_connection_is_made_to_a_router_nor_to_a_phone_that_asks_for_udp() {
    let rows = [
        ("sip:agent0@198.51.100.10:5060", "TCP"),
        ("sip:agent0@198.51.100.10", "TCP"),
        ("sip:agent0@198.51.100.10:5060;transport=tcp", "TCP"),
        ("sip:agent0@198.51.100.10:5060;transport=UDP", "UDP"),
        ("sip:agent0@198.51.100.10:40000", "UDP"),
        ("sip:agent0@192.168.1.7:5060", "UDP"),
        ("sip:agent0@phone.example:5060", "UDP"),
    ];
    for (contact, expected) in rows {
        let mut world = house(1, 2);
        let written =
            world.facts.iter().filter_map(|(_, fact)| if let Fact::Binding(binding) = fact { Some(binding.clone()) } else { None });
        let mut bindings: Vec<_> = written.collect();
        bindings.iter_mut().for_each(|binding| binding.contact = contact.to_owned());
        let mut switch = Switch::new(config(40), [9; 32], 2, world.now);
        std::mem::swap(&mut world.switch, &mut switch);
        world.take_people();
        world.input(Input::Bindings(bindings));
        wordy(&mut world, 700);
        world.ready();
        let caller = world.incoming("+442071234567");
        world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up() && world.peers[0].is_up());
        let invite = world.peers[0].last("INVITE").expect("rung");
        assert_eq!(via(&invite), expected, "{contact}");
        assert_eq!(tried(&world, world.peers[0].addr), usize::from(expected == "TCP"), "{contact}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn what_a_phone_sends_over_a_connection_that_we_made_is_the_phones_and_it_stays_where_it_is() {
    for (port, is_ours) in [(5060, true), (40_000, false)] {
        let mut world = house(2, 3);
        let now = world.now.mono;
        world.peers[0].call(now, "201", |_| {});
        world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up() && world.peers[1].is_up());
        world.run(SECOND);
        let phone = &mut world.peers[1];
        let mut source = phone.addr;
        source.set_port(port);
        let mut options = phone.dialog.as_mut().expect("up").request(Method::Options);
        options.via = vec![ViaBuf::new(Transport::Tcp, phone.addr, "z9hG4bKoverstream")];
        world.input(Input::StreamMessage { flow: tcp(source), bytes: &options.to_bytes() });
        assert_eq!(world.switch.counters().get(Counter::WrongFlow), u64::from(!is_ours), "port {port}");
        world.input(Input::FlowClosed { flow: tcp(source) });
        let now = world.now.mono;
        world.peers[0].hang_up(now);
        world.run(SECOND);
        assert!(world.peers[1].told_goodbye, "reached by datagrams as before");
        world.assert_comes_to_rest();
    }
}

#[test]
fn a_connection_that_served_and_was_closed_is_made_again() {
    let mut world = house(2, 4);
    let at = world.peers[1].addr;
    call(&mut world);
    // As it arrives in a running server: to be served in its turn.
    world.switch.offer(world.now, tcp(at), b"\r\n\r\n");
    world.input(Input::FlowClosed { flow: tcp(at) });
    assert_eq!(via(&call(&mut world)), "TCP");
    assert_eq!(tried(&world, at), 2, "it was no refusal");
    world.assert_comes_to_rest();
}

#[test]
fn a_phone_that_rings_when_its_connection_breaks_is_rung_by_a_datagram() {
    let mut world = house(2, 5);
    let at = world.peers[1].addr;
    world.peers[1].on_invite = OnInvite::Dead;
    let now = world.now.mono;
    world.peers[0].call(now, "201", |_| {});
    world.run(Duration::from_millis(500));
    assert_eq!(via(&world.peers[1].last("INVITE").expect("rung")), "TCP");
    world.input(Input::FlowClosed { flow: tcp(at) });
    world.run(Duration::from_millis(100));
    assert_eq!(via(&world.peers[1].last("INVITE").expect("rung again")), "UDP");
    let now = world.now.mono;
    world.peers[0].cancel(now);
    world.assert_comes_to_rest();
}

#[test]
fn an_answer_that_waits_its_turn_when_its_connection_closes_is_heard_and_nothing_is_sent_again() {
    let mut world = house(2, 6);
    let at = world.peers[1].addr;
    world.peers[1].on_invite = OnInvite::Dead;
    let now = world.now.mono;
    let caller = world.peers[0].addr;
    world.peers[0].call(now, "201", |_| {});
    world.run(Duration::from_millis(500));
    let invite = world.peers[1].last("INVITE").expect("rung");
    let repeated = |name: &str| invite.lines().find(|line| line.starts_with(name)).expect("a header").to_owned();
    let [via, from, to, call_id, cseq] = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(repeated);
    let busy = format!("SIP/2.0 486 Busy Here\r\n{via}\r\n{from}\r\n{to};tag=busy\r\n{call_id}\r\n{cseq}\r\nContent-Length: 0\r\n\r\n");
    world.switch.offer(world.now, tcp(at), busy.as_bytes());
    world.input(Input::FlowClosed { flow: tcp(at) });
    world.run(SECOND);
    assert_eq!(world.switch.counters().get(Counter::LargeByDatagram), 0, "the question was answered");
    assert_eq!(world.peers[0].last("486 INVITE").map(|_| ()), Some(()), "and the caller {caller} hears the answer");
    assert!(!world.switch.has_work(), "nothing is served twice");
    world.assert_comes_to_rest();
}

#[test]
fn the_ack_of_a_2xx_goes_by_a_connection_too_and_by_udp_where_that_broke() {
    for breaks in [false, true] {
        let (mut world, trunk) = World::outside(1, 6, |_| {});
        world.dial(0, "02079460018");
        world.run(SECOND);
        let at = world.peers[trunk].addr;
        assert_eq!(via(&world.peers[trunk].last("INVITE").expect("called")), "UDP");
        // As where credentials and a route make the ACK longer than its INVITE was.
        wordy(&mut world, 1_100);
        if breaks {
            world.closed.insert(tcp(at));
        }
        world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up() && world.peers[trunk].last("ACK").is_some());
        world.run(Duration::from_secs(2));
        let acks = world.peers[trunk].all("ACK");
        assert!(acks[0].len() > 1_300, "{}", acks[0].len());
        assert_eq!(acks.iter().map(|ack| via(ack)).collect::<Vec<_>>(), [if breaks { "UDP" } else { "TCP" }]);
        assert!(world.peers[trunk].is_up(), "it is content");
        world.assert_comes_to_rest_after_hang_up(0);
    }
}

#[test]
fn a_large_register_goes_to_the_carrier_by_tcp_and_by_udp_where_that_is_refused() {
    for refuses in [false, true] {
        let seed = 7;
        println!("seed {seed}");
        let mut config = super::carrier::outbound_config();
        config.policy.product = "x".repeat(1_100);
        let outbound: &mut OutboundTrunk = config.trunks[0].outbound.as_mut().expect("a host");
        outbound.register_seconds = Some(600);
        let mut world = World::with(0, seed, config);
        let at = SocketAddr::from(([203, 0, 113, 9], 5060));
        let mut peer = super::peer::Peer::new(at, super::world::server(), "trunk", 200);
        peer.carrier = Some(super::carrier::Carrier::new(REALM, ChallengeHeader::WwwAuthenticate));
        world.peers.push(peer);
        if refuses {
            world.closed.insert(tcp(at));
        }
        // The first went out before the carrier was there.
        world.run(Duration::from_secs(90));
        let registers = world.peers[0].all("REGISTER");
        assert!(registers.len() >= 2 && registers.iter().all(|one| one.len() > 1_300), "{}", registers.len());
        let expected = if refuses { "UDP" } else { "TCP" };
        assert!(registers.iter().all(|one| via(one) == expected), "{registers:?}");
        let carrier = world.peers[0].carrier.as_ref().expect("set");
        assert!(carrier.accepted.contains(&Method::Register));
        assert_eq!(world.switch.counters().get(Counter::LargeByDatagram) > 0, refuses);
        assert!(!world.switch.board_now().alarms.iter().any(|alarm| alarm.contains("not registered")), "it knows us");
    }
}
