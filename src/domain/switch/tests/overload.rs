//! More comes than can be done: who is refused, how, and who is not; and strangers who guess.

use std::{net::SocketAddr, time::Duration};

use super::{
    peer::Peer,
    world::{CALLED, World, config, server},
};
use crate::{
    domain::switch::{Counter, Destinations, EmergencyNumbers, Output},
    protocol::sip::flow::{Flow, ListenerId, Transport},
    time::Now,
};

fn at(remote: SocketAddr) -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote }
}

fn trunk() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 5], 5060))
}

fn stranger() -> SocketAddr {
    SocketAddr::from(([8, 8, 8, 8], 5060))
}

fn request(method: &str, user: &str, n: u32, to_tag: &str) -> String {
    let agent = "User-Agent: a phone with a name that is long enough to be answered in full, whatever it asks\r\n";
    format!(
        "{method} sip:{user}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK{method}{n};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:x@example.com>;tag=1\r\nTo: <sip:{user}@example.com>{to_tag}\r\nCall-ID: {n}@h\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x@192.0.2.77>\r\n{agent}Content-Length: 0\r\n\r\n"
    )
}

/// Everything that is sent, by where to.
fn sent(world: &mut World) -> Vec<(SocketAddr, String)> {
    let mut all = Vec::new();
    world.switch.drain_refusals(|flow, bytes| all.push((flow.remote, String::from_utf8_lossy(bytes).into_owned())));
    while let Some(output) = world.switch.poll_output() {
        if let Output::Send { flow, bytes, .. } = output {
            all.push((flow.remote, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    all
}

/// A house whose queues are full.
fn overloaded() -> (World, Now) {
    let mut config = config(40);
    config.destinations = Destinations { emergency: EmergencyNumbers::new(["999".to_owned()]), ..Destinations::default() };
    let mut world = World::with(2, 1, config);
    let (now, phone) = (world.now, world.peers[0].addr);
    for (from, method) in [(trunk(), "INVITE"), (phone, "REGISTER"), (stranger(), "OPTIONS")] {
        for n in 0..3_000 {
            world.switch.offer(now, at(from), request(method, "x", 10_000 + n, "").as_bytes());
        }
    }
    assert_eq!(world.switch.waiting(), [0, 1_024, 2_048, 512]);
    sent(&mut world);
    (world, now)
}

#[test]
fn a_registered_phone_is_told_when_to_come_again_and_a_trunk_is_not() {
    let (mut world, now) = overloaded();
    let phone = world.peers[0].addr;
    let mut waits = std::collections::BTreeSet::new();
    for n in 100..200 {
        world.switch.offer(now, at(phone), request("INVITE", "201", n, "").as_bytes());
        world.switch.offer(now, at(trunk()), request("INVITE", "201", 1000 + n, "").as_bytes());
        let answers = sent(&mut world);
        let [(to_phone, phones), (to_trunk, trunks)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((*to_phone, *to_trunk), (phone, trunk()));
        assert!(phones.starts_with("SIP/2.0 503 ") && trunks.starts_with("SIP/2.0 503 "), "{phones}{trunks}");
        assert!(!trunks.contains("Retry-After"), "it would silence the whole trunk");
        let after = phones.split("Retry-After: ").nth(1).and_then(|rest| rest.split_once("\r\n")).expect("told when").0.to_owned();
        waits.insert(after.parse::<u32>().expect("seconds"));
    }
    assert!(waits.len() > 15 && waits.iter().all(|wait| (5..=30).contains(wait)), "{waits:?}");
    assert_eq!(world.switch.counters().get(Counter::ShedCall), 200 + 3_000 - 1_024);
    assert_eq!(world.switch.calls(), 0, "and none of them left any state");
    assert_eq!(world.switch.waiting(), [0, 1_024, 2_048, 512]);
}

#[test]
fn running_calls_and_emergency_calls_are_never_shed() {
    let (mut world, now) = overloaded();
    let [urgent, ..] = world.switch.waiting();
    for (n, (method, user, tag)) in
        [("BYE", "a", ";tag=t"), ("ACK", "a", ";tag=t"), ("CANCEL", "a", ""), ("INVITE", "999", "")].into_iter().enumerate()
    {
        let n = 50 + u32::try_from(n).expect("few");
        world.switch.offer(now, at(trunk()), request(method, user, n, tag).as_bytes());
    }
    assert_eq!(world.switch.waiting()[0], urgent + 4);
    assert_eq!(sent(&mut world), []);
}

#[test]
fn a_repeated_invite_of_a_call_that_lives_is_answered_as_before_however_much_waits() {
    let mut world = World::with(2, 1, config(40));
    let (now, invite) = (world.now, request("INVITE", CALLED, 1, ""));
    world.switch.offer(now, at(trunk()), invite.as_bytes());
    while world.switch.work(now) {}
    let first = sent(&mut world);
    let (to, answer) = first.last().expect("answered");
    assert!(*to == trunk() && answer.starts_with("SIP/2.0 1"), "{answer}");
    assert_eq!(world.switch.calls(), 1);
    for n in 0..3_000 {
        world.switch.offer(now, at(trunk()), request("INVITE", CALLED, 10_000 + n, "").as_bytes());
    }
    let shed = world.switch.counters().get(Counter::ShedCall);
    assert!(shed > 0);
    sent(&mut world);
    world.switch.offer(now, at(trunk()), invite.as_bytes());
    let again = sent(&mut world);
    assert!(again.len() == 1 && again[0].0 == trunk() && again[0].1 == *answer, "{again:?}");
    assert_eq!((world.switch.calls(), world.switch.counters().get(Counter::ShedCall)), (1, shed));
}

#[test]
fn while_there_is_no_room_for_a_call_it_is_refused_as_it_comes() {
    let mut config = config(40);
    config.limits.max_calls = 0;
    config.destinations = Destinations { emergency: EmergencyNumbers::new(["999".to_owned()]), ..Destinations::default() };
    let mut world = World::with(2, 1, config);
    for (n, user) in [(1, "x"), (2, "x"), (3, "999")] {
        world.switch.offer(world.now, at(trunk()), request("INVITE", user, n, "").as_bytes());
    }
    assert_eq!(world.switch.waiting(), [1, 0, 0, 0], "the emergency call");
    for n in 4..6 {
        let old = request("INVITE", "x", n, "").replace("z9hG4bK", "");
        world.switch.offer(world.now, at(trunk()), old.as_bytes());
    }
    assert_eq!(world.switch.waiting(), [1, 1, 0, 0], "the first whose branch does not tell whether it is a repetition");
    assert_eq!(world.switch.counters().get(Counter::ShedCall), 3);
    let answers = sent(&mut world);
    assert!(answers.len() == 3 && answers.iter().all(|(to, text)| *to == trunk() && text.starts_with("SIP/2.0 503 ")), "{answers:?}");
}

#[test]
fn the_ack_of_what_was_shed_costs_nothing() {
    let (mut world, now) = overloaded();
    world.switch.offer(now, at(trunk()), request("INVITE", "201", 60, "").as_bytes());
    let (_, answer) = sent(&mut world).pop().expect("answered");
    let tag = answer.split("To: ").nth(1).and_then(|to| to.split(";tag=").nth(1)).and_then(|tag| tag.split_once("\r\n")).expect("a tag").0;
    let before = world.switch.waiting();
    world.switch.offer(now, at(trunk()), request("ACK", "201", 60, &format!(";tag={tag}")).as_bytes());
    assert_eq!((world.switch.waiting(), world.switch.counters().get(Counter::ShedAck)), (before, 1));
}

#[test]
fn what_waits_is_served_in_its_turn_and_what_waited_too_long_is_refused() {
    for (waited, served) in [(Duration::from_millis(100), true), (Duration::from_millis(400), false)] {
        let mut world = World::new(2, 1);
        let (now, phone) = (world.now, world.peers[0].addr);
        for (n, (from, method)) in [(trunk(), "INVITE"), (phone, "REGISTER"), (stranger(), "OPTIONS")].into_iter().enumerate() {
            world.switch.offer(now, at(from), request(method, "x", u32::try_from(n).expect("few"), "").as_bytes());
        }
        while world.switch.has_work() {
            assert!(world.switch.work(now.plus(waited)));
        }
        assert!(!world.switch.work(now.plus(waited)));
        let mut statuses: Vec<String> = sent(&mut world).into_iter().map(|(_, text)| text[8..11].to_owned()).collect();
        statuses.sort();
        let expected = if served { ["200", "401", "404"] } else { ["503"; 3] };
        assert_eq!(statuses, expected);
    }
}

/// Somebody at this address who does not know the password.
fn guess(world: &mut World, from: SocketAddr) -> Option<u16> {
    let mut peer = Peer::new(from, server(), "agent0", 77);
    peer.password = "wrong".to_owned();
    let now = world.now.mono;
    peer.register(now, 300);
    world.peers.push(peer);
    world.run(Duration::from_millis(200));
    world.peers.pop().and_then(|peer| peer.status)
}

#[test]
fn a_guesser_falls_silent_and_nobody_else_does() {
    let mut world = World::new(1, 2);
    let phone = world.peers[0].addr;
    // From the address of a registered phone, by other ports.
    let answers: Vec<u16> = (10_000..10_040).filter_map(|port| guess(&mut world, SocketAddr::new(phone.ip(), port))).collect();
    assert!((9..=11).contains(&answers.len()), "{answers:?}");
    assert_eq!(answers.last(), Some(&403), "the last word is one that a phone does not try again after");
    assert!(answers.iter().rev().skip(1).all(|status| *status == 401), "{answers:?}");
    assert_eq!(world.switch.counters().get(Counter::Silenced), 1);
    let now = world.now.mono;
    world.peers[0].register(now, 300);
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[0].status, Some(200), "the phone behind the same address is not cut off");
    assert_eq!(guess(&mut world, SocketAddr::from(([198, 51, 100, 200], 5060))), Some(401), "its neighbour is told no as before");
    world.run(Duration::from_secs(31));
    assert_eq!(guess(&mut world, SocketAddr::new(phone.ip(), 10_050)), Some(401), "and silence ends");
}

#[test]
fn a_trunk_is_never_taken_for_a_guesser() {
    let mut world = World::new(1, 3);
    for _ in 0..30 {
        assert_eq!(guess(&mut world, trunk()), Some(401));
    }
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
}

#[test]
fn a_thousand_log_ins_of_one_address_are_no_guessing() {
    let mut world = World::new(1, 4);
    // They all speak for one account, of which only so many bindings are kept: what counts is that none is taken for a guesser.
    for n in 0..1_000_u16 {
        let mut peer = Peer::new(SocketAddr::from(([198, 51, 100, 77], 10_000 + n)), server(), "agent0", 5);
        let now = world.now.mono;
        peer.register(now, 300);
        world.peers.push(peer);
        world.run(Duration::from_millis(3));
        if n % 100 == 99 {
            world.run(Duration::from_millis(50));
            world.peers.truncate(1);
        }
    }
    let counters = world.switch.counters();
    assert_eq!((counters.get(Counter::Silenced), counters.get(Counter::StrangerLimited)), (0, 0));
}
