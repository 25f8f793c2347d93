//! Phones on connections, phones that come back from elsewhere, and what keeps a NAT open.

use std::{net::SocketAddr, time::Duration};

use super::{
    peer::OnInvite,
    world::{CALLED, World},
};
use crate::{
    domain::{
        fact::{Binding, EndCause, Fact},
        switch::{Counter, Input},
    },
    protocol::sip::{
        field::Method,
        flow::{Flow, ListenerId, Transport},
    },
};

fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn tcp(remote: SocketAddr) -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Tcp, remote }
}

/// A house whose first agent's phone is on TCP.
fn on_tcp(agents: u8, seed: u64) -> World {
    let mut world = World::new(agents, seed);
    reconnect(&mut world, 0, 40_000);
    world
}

/// The phone registers anew over a connection from this port.
fn reconnect(world: &mut World, peer: usize, port: u16) {
    let now = world.now.mono;
    if world.peers[peer].transport == Transport::Udp {
        world.peers[peer].register(now, 0);
        world.run(s(1));
    }
    let now = world.now.mono;
    let phone = &mut world.peers[peer];
    phone.transport = Transport::Tcp;
    phone.addr.set_port(port);
    phone.register(now, 300);
    world.run(s(1));
    assert_eq!(world.peers[peer].status, Some(200));
}

fn close(world: &mut World, peer: usize) {
    let flow = tcp(world.peers[peer].addr);
    world.closed.insert(flow);
    world.input(Input::FlowClosed { flow });
}

fn bindings(world: &World) -> Vec<Binding> {
    world.facts.iter().filter_map(|(_, fact)| if let Fact::Binding(binding) = fact { Some(binding.clone()) } else { None }).collect()
}

fn causes(world: &World) -> Vec<EndCause> {
    super::queue::ended(world)
}

#[test]
fn a_phone_on_tcp_is_rung_over_its_connection_and_nothing_is_sent_twice() {
    let mut world = on_tcp(1, 1);
    assert_eq!(world.trusted, [tcp(world.peers[0].addr)], "its connection is not among those that go first");
    world.ready();
    world.peers[0].on_invite = OnInvite::Dead;
    let caller = world.incoming("+442071234567");
    world.run(s(3));
    let invite = world.peers[0].last("INVITE").expect("rung");
    assert!(invite.contains("Via: SIP/2.0/TCP 192.0.2.1:5060;"), "{invite}");
    assert!(invite.contains(";transport=tcp>"), "our Contact says where in-dialog requests go: {invite}");
    assert_eq!(world.peers[0].heard().iter().filter(|heard| *heard == "INVITE").count(), 1, "a stream repeats for itself");
    world.run(s(2));
    assert_eq!(world.peers[caller].heard().iter().filter(|heard| *heard == "INVITE").count(), 0);
}

#[test]
fn a_closed_connection_makes_the_phone_unreachable_at_once() {
    let mut world = on_tcp(2, 2);
    close(&mut world, 0);
    world.run(Duration::from_millis(300));
    assert!(!world.view(0).phone_registered);
    let last = bindings(&world).pop().expect("written");
    assert_eq!(last.expires_at.0, 0, "the removal is written: {last:?}");
    let now = world.now.mono;
    world.peers[1].call(now, "200", |_| {});
    world.run(Duration::from_millis(100));
    assert_eq!(world.peers[1].status, Some(480));
    reconnect(&mut world, 0, 40_001);
    assert!(world.view(0).phone_registered, "and a new registration heals it");
    world.assert_comes_to_rest();
}

#[test]
fn a_connection_that_dies_while_it_rings_fails_the_ringing_at_once() {
    let mut world = on_tcp(1, 3);
    world.peers[0].on_invite = OnInvite::Ring;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("it rings", s(5), |world| world.peers[0].heard().contains(&"INVITE".to_owned()));
    close(&mut world, 0);
    world.run(s(2));
    assert!(!world.view(0).phone_registered);
    assert!(world.view(0).offer.is_none(), "the offer is gone from the desk");
    let now = world.now.mono;
    match world.peers[caller].is_up() {
        true => world.peers[caller].hang_up(now),
        false => world.peers[caller].cancel(now),
    }
    world.assert_comes_to_rest();
}

#[test]
fn a_caller_whose_connection_dies_before_the_answer_is_gone() {
    let mut world = on_tcp(2, 4);
    world.peers[1].on_invite = OnInvite::Ring;
    let now = world.now.mono;
    world.peers[0].call(now, "201", |_| {});
    world.until("it rings", s(5), |world| world.peers[1].heard().contains(&"INVITE".to_owned()));
    close(&mut world, 0);
    world.run(s(1));
    assert_eq!(causes(&world), [EndCause::SignallingLost]);
    assert!(world.peers[1].heard().contains(&"CANCEL".to_owned()), "the called phone stops ringing");
    world.assert_comes_to_rest();
}

/// Phone 0 talks to phone 1.
fn colleagues(mut world: World) -> World {
    let now = world.now.mono;
    world.peers[0].call(now, "201", |_| {});
    world.until("talk", s(10), |world| world.peers[0].is_up() && world.peers[1].is_up());
    world.run(s(1));
    world
}

#[test]
fn a_call_survives_the_phones_connection_and_goes_on_over_the_next() {
    let mut world = colleagues(on_tcp(2, 5));
    close(&mut world, 0);
    world.run(s(5));
    assert_eq!(causes(&world), [], "speech needs no signalling");
    let dialog = world.peers[0].dialog.take();
    reconnect(&mut world, 0, 40_002);
    world.peers[0].dialog = dialog;
    let now = world.now.mono;
    world.peers[1].hang_up(now);
    world.run(s(1));
    assert!(world.peers[0].told_goodbye, "our BYE takes the new connection");
    world.assert_comes_to_rest();
}

#[test]
fn a_phone_that_a_nat_gave_another_port_hangs_up_from_there() {
    for registers in [true, false] {
        let mut world = colleagues(World::new(2, 6));
        world.peers[0].addr.set_port(61_000);
        if registers {
            let dialog = world.peers[0].dialog.take();
            let now = world.now.mono;
            world.peers[0].register(now, 300);
            world.run(s(1));
            world.peers[0].dialog = dialog;
        }
        let now = world.now.mono;
        world.peers[0].hang_up(now);
        world.run(s(1));
        // Without a registration from there anybody could have sent it.
        let (ended, strange) = (!causes(&world).is_empty(), world.switch.counters().get(Counter::WrongFlow) > 0);
        assert_eq!((ended, strange), (registers, !registers));
    }
}

#[test]
fn a_rebound_phone_is_told_goodbye_where_it_is_now() {
    let mut world = colleagues(World::new(2, 7));
    world.peers[0].addr.set_port(61_000);
    let dialog = world.peers[0].dialog.take();
    let now = world.now.mono;
    world.peers[0].register(now, 300);
    world.run(s(1));
    world.peers[0].dialog = dialog;
    // It shows itself in the dialog, too: from then on the dialog is there.
    let now = world.now.mono;
    world.peers[0].in_dialog(now, Method::Options, |_| {});
    world.run(s(1));
    let now = world.now.mono;
    world.peers[1].hang_up(now);
    world.run(s(1));
    assert!(world.peers[0].told_goodbye);
    world.assert_comes_to_rest();
}

#[test]
fn a_trunk_whose_connection_died_is_called_back_at_its_contact() {
    let mut world = World::new(1, 8);
    world.ready();
    let caller = world.caller("+442071234567");
    world.peers[caller].transport = Transport::Tcp;
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |_| {});
    world.until("talk", s(10), |world| world.peers[caller].is_up());
    world.run(s(1));
    let flow = tcp(world.peers[caller].addr);
    world.input(Input::FlowClosed { flow });
    world.connects.clear();
    let now = world.now.mono;
    world.peers[0].hang_up(now);
    world.run(s(1));
    assert_eq!(world.connects.iter().filter(|(_, connect)| *connect).map(|(flow, _)| *flow).collect::<Vec<_>>(), [flow]);
    assert!(world.peers[caller].told_goodbye);
    world.assert_comes_to_rest();
}

#[test]
fn only_requests_to_trunks_may_open_a_connection() {
    let mut world = colleagues(on_tcp(2, 9));
    let now = world.now.mono;
    world.peers[1].hang_up(now);
    world.run(s(1));
    assert!(world.connects.iter().all(|(_, connect)| !connect), "{:?}", world.connects);
}

#[test]
fn udp_bindings_are_kept_alive_every_25_seconds_and_not_after_their_end() {
    let mut world = World::new(3, 10);
    for _ in 0..4 {
        world.run(s(50));
        for n in 0..3 {
            let now = world.now.mono;
            world.peers[n].register(now, 300);
        }
    }
    world.run(s(1));
    for peer in &world.peers {
        let gaps: Vec<Duration> = peer.kept_alive.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(peer.kept_alive.len(), 8, "in 200 s");
        assert!(gaps.iter().all(|gap| *gap == s(25)), "{gaps:?}");
    }
    let now = world.now.mono;
    world.peers[0].register(now, 0);
    world.run(s(60));
    assert_eq!(world.peers[0].kept_alive.len(), 8);
    assert!(world.peers[1].kept_alive.len() > 8);
}

#[test]
fn keep_alives_of_ten_thousand_bindings_that_were_loaded_are_spread() {
    let mut world = World::new(1, 11);
    let template = bindings(&world).pop().expect("written");
    let loaded = (0..10_000_u32).map(|n| Binding {
        phone: crate::ids::PhoneId::new(world.now.wall, [0, 0, 0, 0, 0, 0, 7, 7, n.to_le_bytes()[1], n.to_le_bytes()[0]]),
        source: SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n), 5060)),
        ..template.clone()
    });
    let loaded: Vec<Binding> = loaded.collect();
    world.input(Input::Bindings(loaded));
    world.connects.clear();
    for second in 0..25 {
        let before = world.connects.len();
        world.run(s(1));
        let sent = world.connects.len() - before;
        assert!((250..650).contains(&sent), "{sent} in second {second}");
    }
}

#[test]
fn a_binding_over_a_connection_does_not_outlive_a_restart() {
    let mut world = on_tcp(1, 12);
    let written = bindings(&world);
    assert!(written.last().is_some_and(|binding| binding.over_connection));
    let mut switch = crate::domain::switch::Switch::new(super::world::config(40), [9; 32], 2, world.now);
    std::mem::swap(&mut world.switch, &mut switch);
    world.take_people();
    // The record keeps the last state of each.
    world.input(Input::Bindings(written.into_iter().last().into_iter().collect()));
    assert!(!world.view(0).phone_registered);
}
