//! Carriers that ask who we are: challenges, registration, names that are looked up.

use std::{net::SocketAddr, time::Duration};

use super::{
    carrier::{Carrier, NUMBER, REALM},
    queue::ended,
    world::{CALLED, World},
};
use crate::{
    domain::{
        call::leg::wire,
        fact::EndCause,
        switch::{Counter, Input},
    },
    protocol::sip::{
        build::{ChallengeHeader, Header, Refresher},
        digest::ChallengeOffer,
        field::Method,
        flow::{Flow, ListenerId, Transport},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn talk(world: &mut World, trunk: usize) {
    world.dial(0, "02079460018");
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up() && world.peers[trunk].is_up());
    world.run(Duration::from_millis(50));
}

fn registering(seed: u64) -> (World, usize) {
    World::outside(1, seed, |config| {
        config.trunks[0].outbound.as_mut().expect("host").register_seconds = Some(600);
    })
}

#[test]
fn a_trunk_that_asks_is_told_who_we_are_in_invite_ack_and_bye() {
    for header in [ChallengeHeader::WwwAuthenticate, ChallengeHeader::ProxyAuthenticate] {
        for offer in [ChallengeOffer::Both, ChallengeOffer::Sha256Only, ChallengeOffer::Md5Only] {
            let (mut world, trunk) = World::outside(1, 1, |_| {});
            world.peers[trunk].carrier = Some(Carrier { offer, ..Carrier::new(REALM, header) });
            talk(&mut world, trunk);
            let name = if header == ChallengeHeader::WwwAuthenticate { "\r\nAuthorization: " } else { "\r\nProxy-Authorization: " };
            let line = |message: &str| {
                let text = message.to_owned();
                text.split(name).nth(1).and_then(|rest| rest.split("\r\n").next()).map(str::to_owned)
            };
            let invite = world.peers[trunk].last("INVITE").expect("called");
            let ack = world.peers[trunk].last("ACK").expect("acknowledged");
            assert!(line(&invite).is_some_and(|sent| sent.contains("username=\"acme\"")), "{invite}");
            assert_eq!(line(&invite), line(&ack), "the ACK has the credentials of its INVITE (RFC 3261 §22.1)");
            assert!(invite.contains("CSeq: 2 INVITE") && !invite.contains("secret"));
            let now = world.now.mono;
            world.peers[0].hang_up(now);
            world.run(SECOND);
            let accepted = world.peers[trunk].carrier.as_ref().expect("carrier").accepted.clone();
            assert_eq!(accepted, [Method::Invite, Method::Bye], "{header:?} {offer:?}: the BYE is proven at once");
            assert!(!world.peers[0].heard().iter().any(|heard| heard.starts_with("407")), "the phone hears nothing of it");
            world.assert_comes_to_rest();
        }
    }
}

#[test]
fn a_bye_that_is_asked_again_is_proven_again() {
    let (mut world, trunk) = World::outside(1, 2, |_| {});
    world.peers[trunk].carrier = Some(Carrier { methods: vec![Method::Bye], ..Carrier::new(REALM, ChallengeHeader::ProxyAuthenticate) });
    talk(&mut world, trunk);
    let now = world.now.mono;
    world.peers[0].hang_up(now);
    world.run(SECOND);
    assert_eq!(world.peers[trunk].carrier.as_ref().expect("carrier").accepted, [Method::Bye]);
    assert!(world.peers[trunk].told_goodbye);
    world.assert_comes_to_rest();
}

/// A call to a trunk that wants us to refresh the session, by UPDATE where it serves that.
fn refreshed_by_us(seed: u64, update: bool) -> (World, usize) {
    let (mut world, trunk) = World::outside(1, seed, |_| {});
    world.peers[trunk].adds = vec![Header::SessionExpires(120, Some(Refresher::Uac))];
    if update {
        world.peers[trunk].adds.push(wire::allow());
    }
    talk(&mut world, trunk);
    (world, trunk)
}

#[test]
fn a_refresh_that_is_asked_for_credentials_comes_again_with_them_and_so_does_the_bye() {
    for (update, method) in [(true, Method::Update), (false, Method::Invite)] {
        let (mut world, trunk) = refreshed_by_us(13, update);
        // It asks from now on, for everything: the call began without a word of who we are.
        let methods = vec![method.clone(), Method::Bye];
        world.peers[trunk].carrier = Some(Carrier { methods, ..Carrier::new(REALM, ChallengeHeader::ProxyAuthenticate) });
        let before = world.peers[trunk].count(method.as_str());
        let plans = world.plans.values().next_back().expect("planned").1;
        world.run(Duration::from_secs(65));
        let accepted = |world: &World| world.peers[trunk].carrier.as_ref().expect("carrier").accepted.clone();
        assert_eq!(accepted(&world), std::slice::from_ref(&method), "{method:?}");
        assert_eq!(world.peers[trunk].count(method.as_str()) - before, 2, "once without and once with credentials");
        let [.., first, second] = &world.peers[trunk].all(method.as_str())[..] else { panic!("two of them") };
        let number = |text: &str| text.split("CSeq: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok()).expect("CSeq");
        assert_eq!(number(second), number(first) + 1);
        assert!(!first.contains("Proxy-Authorization") && second.contains("Proxy-Authorization: Digest username=\"acme\""), "{second}");
        assert!(second.contains("Session-Expires: 120;refresher=uac"), "{second}");
        if method == Method::Invite {
            let body = |text: &str| text.split("\r\n\r\n").nth(1).expect("body").to_owned();
            assert_eq!(body(first), body(second), "the same offer, version and all");
            let ack = world.peers[trunk].last("ACK").expect("acknowledged");
            assert!(ack.contains("Proxy-Authorization: Digest username=\"acme\""), "{ack}");
        }
        assert_eq!(world.plans.values().next_back().expect("planned").1, plans, "nothing of the media changed");
        world.run(Duration::from_secs(120));
        assert!(world.peers[0].is_up() && world.peers[trunk].is_up(), "and it goes on");
        let now = world.now.mono;
        world.peers[0].hang_up(now);
        world.run(SECOND);
        assert_eq!(accepted(&world).last(), Some(&Method::Bye));
        assert!(world.peers[trunk].told_goodbye);
        world.assert_comes_to_rest();
    }
}

#[test]
fn a_refresh_that_is_asked_for_credentials_again_and_again_is_given_up_and_the_call_goes_on() {
    for update in [true, false] {
        let (mut world, trunk) = refreshed_by_us(14, update);
        let methods = vec![Method::Update, Method::Invite];
        let carrier = Carrier { never_content: true, methods, ..Carrier::new(REALM, ChallengeHeader::WwwAuthenticate) };
        world.peers[trunk].carrier = Some(carrier);
        world.run(Duration::from_secs(65));
        assert_eq!(world.peers[trunk].carrier.as_ref().expect("carrier").told, 2, "two answers");
        assert!(world.peers[0].is_up() && world.peers[trunk].is_up(), "until the session's time is over");
        world.peers[trunk].carrier = None;
        world.run(Duration::from_secs(120));
        assert_eq!(ended(&world), [EndCause::SignallingLost]);
        world.assert_comes_to_rest();
    }
}

#[test]
fn another_realm_hears_no_answer_and_the_next_trunk_is_tried() {
    let (mut world, trunk) = World::outside(1, 3, |_| {});
    world.peers[trunk].carrier = Some(Carrier::new("attacker.example", ChallengeHeader::WwwAuthenticate));
    world.dial(0, "02079460018");
    world.until("by the other", Duration::from_secs(10), |world| world.peers[trunk + 1].is_up());
    assert_eq!(world.peers[trunk].carrier.as_ref().expect("carrier").told, 0);
    assert_eq!(world.switch.counters().get(Counter::ChallengeNotAnswered), 1);
    world.assert_comes_to_rest_after_hang_up(0);
}

#[test]
fn a_trunk_that_is_never_content_hears_two_answers() {
    let (mut world, trunk) = World::outside(1, 4, |config| config.destinations.routes[0].trunks = vec![0]);
    world.peers[trunk].carrier = Some(Carrier { never_content: true, ..Carrier::new(REALM, ChallengeHeader::WwwAuthenticate) });
    world.dial(0, "02079460018");
    world.run(Duration::from_secs(5));
    assert_eq!(world.peers[trunk].carrier.as_ref().expect("carrier").told, 2);
    assert_eq!(world.peers[0].status, Some(503), "the phone never hears a trunk's challenge");
    assert_eq!(ended(&world), [EndCause::TrunkFailed]);
    world.assert_comes_to_rest();
}

#[test]
fn a_challenge_in_a_dialog_that_we_did_not_begin_hears_no_answer() {
    let (mut world, _) = World::outside(1, 5, |_| {});
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up() && world.peers[0].is_up());
    // It names the very realm that we have an account for, in a call that it made.
    world.peers[caller].carrier = Some(Carrier::new(REALM, ChallengeHeader::WwwAuthenticate));
    world.peers[0].carrier = Some(Carrier::new(REALM, ChallengeHeader::ProxyAuthenticate));
    world.run(SECOND);
    let now = world.now.mono;
    world.peers[0].hang_up(now);
    world.run(Duration::from_secs(5));
    assert!(world.peers[caller].heard().contains(&"BYE".to_owned()));
    for peer in [0, caller] {
        assert_eq!(world.peers[peer].carrier.as_ref().expect("carrier").told, 0);
    }
}

#[test]
fn a_phone_that_challenges_our_invite_hears_no_answer() {
    let (mut world, _) = World::outside(2, 6, |_| {});
    world.peers[1].carrier = Some(Carrier::new(REALM, ChallengeHeader::WwwAuthenticate));
    world.dial(0, "201");
    world.run(Duration::from_secs(5));
    assert_eq!(world.peers[1].carrier.as_ref().expect("carrier").told, 0);
    assert_eq!(world.peers[0].status, Some(480));
}

#[test]
fn a_trunk_is_registered_at_refreshed_and_left() {
    let (mut world, trunk) = registering(7);
    world.peers[trunk].carrier = Some(Carrier::new(REALM, ChallengeHeader::WwwAuthenticate));
    world.run(Duration::from_secs(40));
    let carrier = |world: &World| world.peers[trunk].carrier.as_ref().expect("carrier").accepted.len();
    assert_eq!(carrier(&world), 1);
    let register = world.peers[trunk].last("REGISTER").expect("registered");
    assert!(
        register.starts_with("REGISTER sip:203.0.113.9 SIP/2.0\r\n") && register.contains("Contact: <sip:acme@192.0.2.1:5060>"),
        "{register}"
    );
    assert!(register.contains("Expires: 600\r\n") && register.contains("To: <sip:acme@203.0.113.9>\r\n"), "{register}");
    world.run(Duration::from_secs(170));
    assert_eq!(carrier(&world), 3, "granted 100 s: refreshed every 80 s");
    assert!(world.switch.board_now().alarms.is_empty());
    world.input(Input::Shutdown);
    world.run(Duration::from_secs(2));
    assert!(world.peers[trunk].last("REGISTER").expect("left").contains("Expires: 0\r\n"));
}

#[test]
fn a_carrier_that_does_not_know_us_is_an_alarm_and_is_asked_less_and_less_often() {
    let (mut world, trunk) = registering(8);
    world.peers[trunk].carrier = Some(Carrier { never_content: true, ..Carrier::new(REALM, ChallengeHeader::WwwAuthenticate) });
    world.run(Duration::from_secs(60));
    let alarms = world.switch.board_now().alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains("not registered at trunk carrier") && alarm.contains("password")), "{alarms:?}");
    let sent = |world: &World| world.peers[trunk].heard().iter().filter(|heard| *heard == "REGISTER").count();
    let in_a_minute = sent(&world);
    world.run(Duration::from_secs(3_600));
    let in_an_hour = sent(&world) - in_a_minute;
    assert!((3..=40).contains(&in_an_hour), "{in_an_hour} in an hour");
    world.peers[trunk].carrier.as_mut().expect("carrier").never_content = false;
    world.run(Duration::from_secs(3_600));
    assert!(world.switch.board_now().alarms.is_empty(), "and over once it does");
}

#[test]
fn a_carrier_that_wants_a_longer_registration_gets_it() {
    let (mut world, trunk) = registering(9);
    world.peers[trunk].carrier = Some(Carrier { register: 423, ..Carrier::new(REALM, ChallengeHeader::WwwAuthenticate) });
    world.run(Duration::from_secs(40));
    assert!(world.peers[trunk].last("REGISTER").expect("again").contains("Expires: 1200\r\n"));
    assert!(world.switch.board_now().alarms.is_empty());
}

#[test]
fn a_silent_carrier_is_an_alarm_and_calls_take_the_other_one_first() {
    let (mut world, trunk) = registering(10);
    world.peers[trunk].addr = SocketAddr::from(([203, 0, 113, 99], 5060));
    world.run(Duration::from_secs(60));
    assert!(world.switch.board_now().alarms.iter().any(|alarm| alarm.contains("does not answer")));
    world.dial(0, "02079460018");
    world.run(Duration::from_millis(100));
    assert!(world.peers[trunk + 1].first_at("INVITE").is_some());
}

#[test]
fn a_call_to_our_account_at_a_carrier_is_for_the_number_in_to() {
    let (mut world, trunk) = registering(11);
    world.peers[trunk].carrier = Some(Carrier::new(REALM, ChallengeHeader::WwwAuthenticate));
    world.ready();
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, "acme", |invite| {
        invite.to = crate::protocol::sip::field::Address::new(
            crate::protocol::sip::field::UriBuf::new(&format!("sip:{CALLED}@carrier.example")).expect("uri"),
        );
    });
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
}

#[test]
fn the_addresses_of_a_name_are_tried_in_order_and_kept_when_the_name_fails() {
    let (mut world, trunk) = World::outside(1, 12, |config| {
        config.trunks[0].outbound.as_mut().expect("host").host = "sip.carrier.example".to_owned();
        config.trunks[0].networks.clear();
        config.destinations.routes[0].trunks = vec![0];
    });
    world.dial(0, "02079460018");
    world.run(SECOND);
    assert_eq!(world.peers[0].status, Some(503), "the name was never found");
    let dead = SocketAddr::from(([203, 0, 113, 1], 5060));
    let address = world.peers[trunk].addr;
    world.input(Input::TrunkAddresses { trunk: 0, addresses: vec![dead, address] });
    world.input(Input::TrunkAddresses { trunk: 0, addresses: Vec::new() });
    world.dial(0, "02079460018");
    world.until("by the second address", Duration::from_secs(10), |world| world.peers[trunk].is_up());
    let invite = world.peers[trunk].last("INVITE").expect("called");
    assert!(invite.starts_with(&format!("INVITE sip:{NUMBER}@sip.carrier.example SIP/2.0")), "{invite}");
    world.assert_comes_to_rest_after_hang_up(0);
    let now = world.now.mono;
    world.peers[0].register(now, 300);
    world.run(SECOND);
    world.ready();
    let now = world.now.mono;
    world.peers[trunk].call(now, CALLED, |_| {});
    world.until("a call from that address is the trunk's", Duration::from_secs(10), |world| world.peers[0].first_at("INVITE").is_some());
}

#[test]
fn a_request_too_large_for_a_datagram_goes_by_tcp_and_by_udp_where_that_is_refused() {
    let (mut world, trunk) = World::outside(1, 15, |config| config.policy.product = "x".repeat(700));
    let at = world.peers[trunk].addr;
    let stream = Flow { listener: ListenerId(0), transport: Transport::Tcp, remote: at };
    let tried = |world: &World| world.connects.iter().filter(|(flow, connect)| *flow == stream && *connect).count();
    talk(&mut world, trunk);
    let invite = world.peers[trunk].last("INVITE").expect("called");
    assert!(invite.len() > 1_300 && invite.contains("Via: SIP/2.0/TCP 192.0.2.1:5060;"), "{invite}");
    assert_eq!(tried(&world), 1);
    world.assert_comes_to_rest_after_hang_up(0);

    let register = |world: &mut World| {
        let now = world.now.mono;
        world.peers[0].register(now, 300);
        world.run(SECOND);
    };
    register(&mut world);
    world.closed.insert(stream);
    talk(&mut world, trunk);
    let invite = world.peers[trunk].last("INVITE").expect("called");
    assert!(invite.contains("Via: SIP/2.0/UDP 192.0.2.1:5060;"), "{invite}");
    assert_eq!((tried(&world), world.switch.counters().get(Counter::LargeByDatagram)), (2, 1));
    assert_eq!(ended(&world), [EndCause::AgentHungUp], "the first call alone has ended");
    world.assert_comes_to_rest_after_hang_up(0);

    register(&mut world);
    talk(&mut world, trunk);
    assert_eq!(tried(&world), 2, "what was refused lately is not tried again");
    world.assert_comes_to_rest_after_hang_up(0);
    world.closed.clear();
    world.run(Duration::from_secs(600));
    register(&mut world);
    talk(&mut world, trunk);
    assert_eq!(tried(&world), 3, "but after ten minutes");
    world.assert_comes_to_rest_after_hang_up(0);
}

#[test]
fn a_call_that_is_given_up_while_its_connection_is_made_is_not_sent_as_a_datagram() {
    let (mut world, trunk) = World::outside(1, 16, |config| {
        config.policy.product = "x".repeat(700);
        config.destinations.routes[0].trunks = vec![0];
    });
    let at = world.peers[trunk].addr;
    let stream = Flow { listener: ListenerId(0), transport: Transport::Tcp, remote: at };
    // Nobody hears what goes over the connection that is being made.
    world.peers[trunk].addr = SocketAddr::from(([203, 0, 113, 99], 5060));
    world.dial(0, "02079460018");
    world.run(SECOND);
    let now = world.now.mono;
    world.peers[0].cancel(now);
    world.run(Duration::from_millis(100));
    world.input(Input::FlowClosed { flow: stream });
    world.run(SECOND);
    assert_eq!(world.switch.counters().get(Counter::LargeByDatagram), 0);
    world.assert_comes_to_rest();
}
