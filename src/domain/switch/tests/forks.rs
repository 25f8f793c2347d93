//! One phone at several places, and forks behind a place: one answer wins, nobody keeps ringing, nobody is left in a call.

use std::{net::SocketAddr, time::Duration};

use super::{
    peer::{OnInvite, Peer},
    queue::{ended, outcomes},
    world::{World, server},
};
use crate::{
    domain::{
        fact::{EndCause, Fact, OfferOutcome},
        switch::Counter,
    },
    protocol::sip::{
        build::{AddressHeader, Body, Header, Response},
        field::{Address, Method, UriBuf},
        parse::parse,
    },
};

/// A house with one agent whose account is registered by as many phones, each doing its own.
fn places(seed: u64, deeds: &[OnInvite]) -> World {
    let mut world = World::new(1, seed);
    world.peers[0].on_invite = deeds[0];
    for (n, deed) in (1u8..).zip(&deeds[1..]) {
        let addr = SocketAddr::from(([198, 51, 100, 10], 5070 + u16::from(n)));
        let mut peer = Peer::new(addr, server(), "agent0", 50 + n);
        peer.on_invite = *deed;
        peer.register(world.now.mono, 300);
        world.peers.push(peer);
        world.run(Duration::from_millis(100));
    }
    world.ready();
    world
}

fn legs_opened(world: &World) -> usize {
    world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::LegOpened { .. })).count()
}

#[test]
fn every_place_rings_and_the_first_answer_silences_the_others() {
    let mut world = places(1, &[OnInvite::Ring, OnInvite::Answer(Duration::from_secs(1)), OnInvite::Ring]);
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.run(Duration::from_millis(100));
    assert!(world.peers[1].is_up() && !world.peers[0].is_up() && !world.peers[2].is_up());
    let invites: Vec<String> = (0..3).map(|n| world.peers[n].last("INVITE").expect("rang")).collect();
    let line = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
    for name in ["Call-ID", "From", "CSeq"] {
        assert!(invites.iter().all(|text| line(text, name) == line(&invites[0], name)), "one call, forked: {name}");
    }
    for n in [0, 2] {
        let cancel = world.peers[n].last("CANCEL").expect("cancelled");
        assert!(cancel.contains("Reason: SIP;cause=200;text=\"Call completed elsewhere\""), "{cancel}");
    }
    assert_eq!(world.peers[1].count("CANCEL"), 0);
    assert_eq!((outcomes(&world), legs_opened(&world)), (vec![OfferOutcome::Accepted], 2));
    world.assert_comes_to_rest_after_hang_up(caller);
    assert!(world.peers[1].told_goodbye);
}

#[test]
fn a_request_of_the_second_place_is_answered_with_the_second_places_address() {
    let mut world = places(11, &[OnInvite::Ring, OnInvite::Ring]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_millis(500));
    for place in [0, 1] {
        let now = world.now.mono;
        world.peers[place].in_early_dialog(now, Method::Update, |_| {});
        world.run(Duration::from_millis(100));
        let answer = world.peers[place].last("200 UPDATE").expect("answered");
        let via = answer.lines().find(|line| line.starts_with("Via")).expect("a Via").to_owned();
        let at = world.peers[place].addr;
        assert!(via.contains(&at.to_string()), "{via}");
        let noted: Vec<&str> = via.split(';').filter(|part| part.starts_with("received=") || part.starts_with("rport=")).collect();
        let own = [format!("received={}", at.ip()), format!("rport={}", at.port())];
        assert!(noted.iter().all(|part| own.iter().any(|own| own == part)), "{via} is told another place than {at}");
    }
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.assert_comes_to_rest();
}

#[test]
fn a_second_place_that_answers_at_the_same_moment_gets_its_goodbye() {
    let mut world = places(2, &[OnInvite::AtOnce, OnInvite::AtOnce]);
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.run(Duration::from_secs(1));
    let up: Vec<bool> = (0..2).map(|n| world.peers[n].is_up()).collect();
    assert_eq!(up.iter().filter(|up| **up).count(), 1, "{up:?}");
    assert_eq!(world.switch.counters().get(Counter::SecondAnswer), 1);
    let loser = up.iter().position(|up| !up).expect("one");
    assert_eq!((world.peers[loser].count("ACK"), world.peers[loser].count("BYE")), (1, 1));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_late_answer_gets_its_goodbye_even_after_the_call_is_over() {
    for ms in [0, 1, 2, 3, 4, 6, 10] {
        let mut world = places(3, &[OnInvite::Answer(Duration::from_millis(500)), OnInvite::Answer(Duration::from_millis(500 + ms))]);
        let caller = world.incoming("+442071234567");
        world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(Duration::from_secs(2));
        assert!(!world.peers[0].is_up() && !world.peers[1].is_up(), "after {ms} ms");
        world.assert_comes_to_rest();
    }
}

#[test]
fn the_call_goes_on_ringing_until_the_last_place_refused_and_a_person_counts_most() {
    for (deeds, outcome) in [
        ([OnInvite::Refuse(486), OnInvite::Refuse(503)], OfferOutcome::Busy),
        ([OnInvite::Refuse(503), OnInvite::Refuse(480)], OfferOutcome::Declined),
        ([OnInvite::Refuse(302), OnInvite::Refuse(500)], OfferOutcome::Failed),
    ] {
        let mut world = places(4, &deeds);
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(2));
        assert_eq!(outcomes(&world), [outcome], "{deeds:?}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
    let mut world = places(5, &[OnInvite::Refuse(486), OnInvite::Answer(Duration::from_secs(2))]);
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    assert!(world.peers[1].is_up(), "one busy phone does not end the ringing of the other");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn declining_on_one_phone_declines_on_all() {
    let mut world = places(6, &[OnInvite::Ring, OnInvite::Refuse(603)]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(2));
    assert_eq!(outcomes(&world), [OfferOutcome::Declined]);
    assert!(world.peers[0].told_goodbye, "the other one stops ringing");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_dead_place_does_not_keep_the_living_one_from_answering() {
    let mut world = places(7, &[OnInvite::Answer(Duration::from_secs(6)), OnInvite::Dead]);
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_caller_who_gives_up_silences_every_place() {
    let mut world = places(8, &[OnInvite::Ring, OnInvite::Ring, OnInvite::Dead]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(2));
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.run(Duration::from_secs(1));
    assert!(world.peers[0].told_goodbye && world.peers[1].told_goodbye);
    assert_eq!(ended(&world), [EndCause::Abandoned]);
    world.assert_comes_to_rest();
}

#[test]
fn an_answer_that_comes_again_is_acknowledged_again() {
    let mut world = places(9, &[OnInvite::Answer(Duration::from_secs(1))]);
    let caller = world.incoming("+442071234567");
    world.until("answer", Duration::from_secs(5), |world| world.peers[0].is_up());
    world.loss = 1000;
    world.run(Duration::from_millis(20));
    world.loss = 0;
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.run(Duration::from_secs(5));
    assert!(world.peers[0].is_up() && world.peers[0].count("ACK") >= 1);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_loss_of_five_percent_leaves_no_place_behind() {
    for seed in 0..30 {
        let mut world = places(
            100 + seed,
            &[OnInvite::Answer(Duration::from_millis(700)), OnInvite::Answer(Duration::from_millis(702)), OnInvite::Ring],
        );
        world.loss = 50;
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(30));
        assert_eq!((0..3).map(|n| usize::from(world.peers[n].is_up())).sum::<usize>(), 1, "seed {seed}: one phone talks");
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(Duration::from_secs(60));
        assert!((0..3).all(|n| !world.peers[n].is_up()), "seed {seed}");
        world.loss = 0;
        world.assert_comes_to_rest();
    }
}

#[test]
fn ringing_of_several_forks_and_after_the_answer_changes_nothing() {
    let mut world = places(11, &[OnInvite::Ring]);
    let caller = world.incoming("+442071234567");
    world.until("ring", Duration::from_secs(2), |world| world.peers[0].first_at("INVITE").is_some());
    let invite = world.peers[0].last("INVITE").expect("rang");
    let answer = |world: &mut World, status: u16, tag: &str, body: Option<Body>| {
        let request = parse(invite.as_bytes()).expect("ours");
        let contact = Address::new(UriBuf::new("sip:agent0@198.51.100.10").expect("URI"));
        let mut response = Response::to(&request, status, tag, server()).with(Header::Address(AddressHeader::Contact, contact));
        response.body = body;
        world.peers[0].out.push(response.to_bytes());
        world.run(Duration::from_millis(50));
    };
    for (status, tag) in [(180, "one"), (183, "two"), (180, "three"), (199, "one")] {
        answer(&mut world, status, tag, None);
    }
    assert_eq!(world.peers[caller].count("180 INVITE"), 1, "the caller hears one ringing");
    let sdp = world.peers[0].sdp("sendrecv");
    answer(&mut world, 200, "two", Some(sdp.clone()));
    assert!(world.peers[caller].is_up());
    answer(&mut world, 180, "three", None);
    answer(&mut world, 200, "two", Some(sdp.clone()));
    assert_eq!((world.peers[0].count("ACK"), world.peers[0].count("BYE")), (2, 0), "the same answer gets the same ACK");
    answer(&mut world, 200, "three", Some(sdp.clone()));
    answer(&mut world, 200, "three", Some(sdp));
    assert_eq!((world.peers[0].count("ACK"), world.peers[0].count("BYE")), (4, 1), "another fork is acknowledged each time and ended once");
    assert_eq!(world.switch.counters().get(Counter::SecondAnswer), 1);
    assert!(world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn what_the_only_agent_did_is_what_the_record_says() {
    for (deed, cause) in [
        (OnInvite::Refuse(603), EndCause::Declined),
        (OnInvite::Refuse(480), EndCause::Declined),
        (OnInvite::Refuse(486), EndCause::Busy),
        (OnInvite::Ring, EndCause::NoAnswer),
        (OnInvite::Refuse(500), EndCause::NoAgent),
    ] {
        let mut world = places(10, &[deed]);
        world.incoming("+442071234567");
        world.until("turned away", Duration::from_secs(3_600), |world| !ended(world).is_empty());
        assert_eq!(ended(&world), [cause], "{deed:?}");
        world.assert_comes_to_rest();
    }
}
