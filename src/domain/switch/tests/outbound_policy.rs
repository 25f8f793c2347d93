//! Who may call what: deny by default, caps, the thief who is stopped, and help that always passes.

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;

use super::{
    carrier::{NUMBER, trunk_at},
    peer::{OnInvite, Peer},
    queue::ended,
    world::{World, server},
};
use crate::{
    domain::{
        fact::{EndCause, Fact},
        switch::{Counter, EmergencyNumbers, Input},
    },
    protocol::sip::flow::{Flow, ListenerId, Transport},
};

const SECOND: Duration = Duration::from_secs(1);

fn refused(world: &mut World, phone: usize, called: &str) -> (Option<u16>, String) {
    world.dial(phone, called);
    world.run(Duration::from_secs(2));
    let status = world.peers[phone].status;
    let last = status.and_then(|status| world.peers[phone].last(&format!("{status} INVITE"))).unwrap_or_default();
    (status, last)
}

fn invites(world: &World, trunk: usize) -> usize {
    world.peers[trunk..trunk + 2].iter().map(|peer| peer.heard().iter().filter(|heard| *heard == "INVITE").count()).sum()
}

#[test]
fn numbers_that_are_not_allowed_are_refused_in_words_before_any_trunk_hears_of_them() {
    let (mut world, trunk) = World::outside(1, 1, |_| {});
    for (called, status, words) in [
        ("0033140205050", 403, "Warning: 399 throughline \"calls to that country are not allowed\""),
        ("+18765550123", 403, "calls to that country"),
        ("09098790000", 403, "Warning: 399 throughline \"calls to that kind of number are not allowed\""),
        ("299", 404, "Warning: 399 throughline \"no route leads there\""),
        ("nobody", 404, "no route"),
    ] {
        let (given, response) = refused(&mut world, 0, called);
        assert_eq!(given, Some(status), "{called}");
        assert!(response.contains(words), "{called}: {response}");
    }
    assert_eq!(invites(&world, trunk), 0);
    assert_eq!(world.switch.counters().get(Counter::DestinationDenied), 3);
    world.dial(0, "004930901820");
    world.run(SECOND);
    assert_eq!(invites(&world, trunk), 1, "a country that the group names");
}

#[test]
fn a_phone_without_a_group_calls_nobody_but_help() {
    let (mut world, trunk) = World::outside(1, 2, |config| config.destinations.groups.clear());
    let (status, response) = refused(&mut world, 0, "02079460018");
    assert_eq!(status, Some(403));
    assert!(response.contains("this phone may not call outside"), "{response}");
    assert_eq!(invites(&world, trunk), 0);
    world.dial(0, "999");
    world.run(SECOND);
    assert_eq!(world.peers[trunk + 1].heard(), ["INVITE"], "by the route for help");
}

#[test]
fn a_thief_with_a_password_is_stopped_and_the_board_says_so() {
    let (mut world, trunk) = World::outside(2, 3, |_| {});
    let premium: Vec<Option<u16>> = (0..14).map(|n| refused(&mut world, 0, &format!("0909879{n:04}")).0).collect();
    assert!(premium.iter().all(|status| *status == Some(403)), "{premium:?}");
    let (status, response) = refused(&mut world, 0, "02079460018");
    assert_eq!(status, Some(403), "not even home");
    assert!(response.contains("too many refused calls"), "{response}");
    assert_eq!(invites(&world, trunk), 0, "no trunk heard of any of it");
    let alarms = world.switch.board_now().alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains("Phone 200") && alarm.contains("Change its password")), "{alarms:?}");
    world.dial(1, "02079460018");
    world.run(SECOND);
    assert_eq!(invites(&world, trunk), 1, "other phones call on");
    world.run(Duration::from_secs(3_700));
    assert!(world.switch.board_now().alarms.is_empty(), "after an hour it is over");
}

#[test]
fn a_phone_that_calls_all_the_time_comes_to_its_cap() {
    let (mut world, trunk) = World::outside(1, 4, |config| config.destinations.groups[0].max_calls_per_hour = 5);
    world.peers[trunk].on_invite = OnInvite::Refuse(486);
    let statuses: Vec<Option<u16>> = (0..8).map(|_| refused(&mut world, 0, "02079460018").0).collect();
    assert_eq!(statuses[..5], [Some(486); 5]);
    assert_eq!(statuses[5..], [Some(503); 3]);
    assert_eq!(invites(&world, trunk), 5);
    assert!(world.switch.board_now().alarms.iter().any(|alarm| alarm.contains("max_calls_per_hour")));
}

#[test]
fn calls_at_once_are_capped_per_phone_and_per_trunk() {
    let (mut world, trunk) = World::outside(3, 5, |config| {
        config.trunks[0].max_calls = Some(1);
        config.destinations.groups[0].max_calls = 1;
    });
    world.dial(0, "02079460018");
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    assert_eq!(refused(&mut world, 0, "02079460019").0, Some(503), "the phone's own cap");
    world.dial(1, "02079460018");
    world.until("by the second trunk", Duration::from_secs(10), |world| world.peers[trunk + 1].is_up());
    assert_eq!(world.peers[trunk].heard().iter().filter(|heard| *heard == "INVITE").count(), 1);
}

#[test]
fn when_every_trunk_is_full_the_phone_hears_503_in_words() {
    let (mut world, _) = World::outside(2, 6, |config| {
        for trunk in &mut config.trunks {
            trunk.max_calls = Some(1);
        }
        config.destinations.routes[0].trunks = vec![0];
    });
    world.dial(0, "02079460018");
    world.run(Duration::from_secs(5));
    let (status, response) = refused(&mut world, 1, "02079460018");
    assert_eq!(status, Some(503));
    assert!(response.contains("no trunk takes the call now") && response.contains("Retry-After: "), "{response}");
    assert_eq!(world.switch.counters().get(Counter::TrunkFull), 1);
}

#[test]
fn a_trunk_is_sent_no_more_calls_within_a_second_than_it_takes() {
    let (mut world, trunk) = World::outside(3, 7, |config| {
        config.trunks[0].outbound.as_mut().expect("host").max_calls_per_second = 1;
        config.destinations.routes[0].trunks = vec![0];
    });
    (0..3).for_each(|phone| world.dial(phone, "02079460018"));
    world.run(Duration::from_millis(500));
    assert_eq!(world.peers[trunk].heard().iter().filter(|heard| *heard == "INVITE").count(), 1);
    assert_eq!(world.switch.counters().get(Counter::TrunkFull), 2);
}

#[test]
fn help_passes_every_cap_the_stop_and_the_end_of_the_server() {
    let (mut world, trunk) = World::outside(3, 8, |config| {
        config.limits.max_calls = 1;
        config.destinations.groups[0].max_calls = 1;
        config.destinations.groups[0].max_refused_per_hour = 1;
        for trunk in &mut config.trunks {
            trunk.max_calls = Some(1);
        }
        config.destinations.routes[0].trunks = vec![1];
    });
    world.peers[trunk].on_invite = OnInvite::Ring;
    world.dial(0, "02079460018");
    world.until("the only line is taken", Duration::from_secs(10), |world| world.peers[trunk + 1].is_up());
    assert_eq!(refused(&mut world, 1, "02079460018").0, Some(503), "nothing is left");
    assert_eq!(refused(&mut world, 1, "09098790000").0, Some(403));
    assert_eq!(refused(&mut world, 1, "02079460018").0, Some(403), "and the phone is stopped");
    world.dial(1, "999");
    world.run(Duration::from_secs(2));
    assert!(
        world.peers[1].heard().contains(&"180 INVITE".to_owned()),
        "the carrier's line is taken, the other one rings: {:?}",
        world.peers[1].heard()
    );
    assert!(world.peers[trunk].last("INVITE").expect("help").starts_with("INVITE sip:999@203.0.113.9 "));
    let emergency =
        world.facts.iter().any(|(_, fact)| matches!(fact, Fact::InteractionOpened(opened) if opened.emergency && opened.called == "999"));
    assert!(emergency, "written as such");
    assert_eq!(world.switch.counters().get(Counter::Emergency), 1);
    world.input(Input::Shutdown);
    world.run(Duration::from_millis(100));
    world.dial(2, "112");
    world.run(Duration::from_secs(2));
    assert_eq!(world.switch.counters().get(Counter::Emergency), 2, "even while we stop");
    let arrived = (trunk..trunk + 2).any(|trunk| world.peers[trunk].all("INVITE").iter().any(|text| text.starts_with("INVITE sip:112@")));
    assert!(arrived, "and help is reached: {:?}, {:?}", world.peers[trunk].heard(), world.peers[trunk + 1].heard());
}

#[test]
fn a_call_that_a_full_trunk_brings_is_refused_and_help_still_goes_out_by_it() {
    let (mut world, trunk) = World::outside(2, 21, |config| {
        config.trunks[0].max_calls = Some(1);
        config.destinations.emergency_route.as_mut().expect("help").trunks = vec![0];
    });
    world.ready();
    let first = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[first].is_up());
    let second = world.incoming("+442071234568");
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[second].status, Some(503));
    let refused = world.peers[second].last("503 INVITE").expect("refused");
    assert!(!refused.contains("Retry-After"), "it would silence the whole trunk: {refused}");
    assert_eq!(world.switch.counters().get(Counter::TrunkFullInbound), 1);
    let idle = (0..2).find(|phone| !world.peers[*phone].is_up()).expect("one agent is free");
    world.dial(idle, "999");
    world.until("help", Duration::from_secs(10), |world| world.peers[trunk].is_up());
    let now = world.now.mono;
    world.peers[first].hang_up(now);
    world.run(Duration::from_secs(1));
    let now = world.now.mono;
    world.peers[idle].hang_up(now);
    world.run(Duration::from_secs(1));
    world.wrap_up_all();
    world.run(Duration::from_secs(1));
    let third = world.incoming("+442071234569");
    world.until("room again", Duration::from_secs(30), |world| world.peers[third].is_up());
}

#[test]
fn help_is_tried_by_every_trunk_whatever_the_first_one_says() {
    for first in [OnInvite::Refuse(403), OnInvite::Refuse(404), OnInvite::Refuse(486), OnInvite::Refuse(603), OnInvite::Dead] {
        let (mut world, trunk) = World::outside(1, 9, |_| {});
        world.peers[trunk + 1].on_invite = first;
        world.dial(0, "112");
        world.until("answered", Duration::from_secs(10), |world| world.peers[trunk].is_up());
        world.assert_comes_to_rest_after_hang_up(0);
    }
}

#[test]
fn an_extension_never_hides_an_emergency_number() {
    let (mut world, trunk) = World::outside(2, 10, |config| {
        config.destinations.emergency = EmergencyNumbers::new(["201".to_owned()]);
    });
    world.dial(0, "201");
    world.run(SECOND);
    assert!(world.peers[1].first_at("INVITE").is_none() && world.peers[trunk + 1].first_at("INVITE").is_some());
}

#[test]
fn a_trunk_cannot_call_out_through_us() {
    let (mut world, trunk) = World::outside(1, 11, |_| {});
    let caller = world.caller("+442071234567");
    for called in [NUMBER, "02079460018", "999", "0049301234567"] {
        let now = world.now.mono;
        world.peers[caller].call(now, called, |_| {});
        world.run(SECOND);
        assert_eq!(world.peers[caller].status, Some(404), "{called}");
    }
    assert_eq!(invites(&world, trunk), 0);
}

#[test]
fn a_call_that_the_phone_gives_up_counts_as_begun_but_not_as_refused() {
    let (mut world, trunk) = World::outside(1, 12, |config| config.destinations.groups[0].max_refused_per_hour = 1);
    world.peers[trunk].on_invite = OnInvite::Ring;
    for _ in 0..3 {
        world.dial(0, "02079460018");
        world.run(SECOND);
        let now = world.now.mono;
        world.peers[0].cancel(now);
        world.run(SECOND);
    }
    assert_eq!(ended(&world), [EndCause::Abandoned; 3]);
    assert!(world.switch.board_now().alarms.is_empty());
}

/// One hostile attempt to make us call: who from, to where, with what.
#[derive(Clone, Debug)]
struct Attempt {
    source: u8,
    method: &'static str,
    called: &'static str,
    password: &'static str,
    user: &'static str,
    to_tag: bool,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let methods =
        prop::sample::select(vec!["INVITE", "REFER", "MESSAGE", "SUBSCRIBE", "UPDATE", "BYE", "OPTIONS", "NOTIFY", "INFO", "BREW"]);
    let called = prop::sample::select(vec![NUMBER, "02079460018", "999", "112", "0049301234567", "201", "+18765550123"]);
    let user = prop::sample::select(vec!["agent0", "agent1", "nobody", "acme", "trunk", "+442079460000"]);
    let password = prop::sample::select(vec!["", "wrong", "secret0"]);
    (0u8..5, methods, called, password, user, any::<bool>()).prop_map(|(source, method, called, password, user, to_tag)| Attempt {
        source,
        method,
        called,
        password,
        user,
        to_tag,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whoever does not prove to be one of our phones never makes us send a request to a trunk, by no method and from no address.
    #[test]
    fn nobody_without_a_password_makes_us_call(attempts in prop::collection::vec(attempt(), 1..12), seed in 0u64..1000) {
        let (mut world, trunk) = World::outside(2, seed, |config| {
            config.trunks.push(trunk_at("third", "192.0.2.77", &["192.0.2.64/26"]));
        });
        world.peers.iter_mut().for_each(|peer| peer.forgives = true);
        let phone = world.peers[0].addr;
        for (n, attempt) in attempts.iter().enumerate() {
            let source = [
                SocketAddr::from(([8, 8, 8, 8], 5060)),
                SocketAddr::from(([203, 0, 113, 77], 5060)),
                phone,
                SocketAddr::from(([192, 0, 2, 77], 5060)),
                SocketAddr::from(([127, 0, 0, 1], 5060)),
            ][usize::from(attempt.source)];
            let mut peer = Peer::new(source, server(), attempt.user, u8::try_from(n).expect("few"));
            peer.password = attempt.password.to_owned();
            peer.forgives = true;
            let now = world.now.mono;
            peer.call(now, attempt.called, |_| {});
            for round in 0..3 {
                for bytes in std::mem::take(&mut peer.out) {
                    let text = String::from_utf8(bytes).expect("ASCII").replace("INVITE", attempt.method);
                    let text = if attempt.to_tag && round == 0 { text.replacen("\r\nCall-ID", ";tag=x\r\nCall-ID", 1) } else { text };
                    let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, remote: source };
                    world.input(Input::Datagram { listener: flow.listener, source, bytes: text.as_bytes() });
                }
                world.run(Duration::from_millis(20));
                let answers: Vec<String> = world.strays.drain(..).filter(|(to, _)| *to == source).map(|(_, text)| text).collect();
                for answer in answers.iter().filter(|answer| answer.starts_with("SIP/2.0")) {
                    peer.receive(world.now.mono, answer.replace(attempt.method, "INVITE").as_bytes());
                }
            }
        }
        world.run(Duration::from_secs(1));
        let requests = |text: &str| !text.starts_with("SIP/2.0");
        let to_trunks: Vec<String> = world.peers[trunk..trunk + 2].iter().flat_map(Peer::heard).filter(|heard| !heard.starts_with(|c: char| c.is_ascii_digit())).collect();
        prop_assert!(to_trunks.is_empty(), "{to_trunks:?}");
        let stray: Vec<&String> = world.strays.iter().filter(|(to, text)| to.ip() != phone.ip() && requests(text)).map(|(_, text)| text).collect();
        prop_assert!(stray.is_empty(), "{stray:?}");
    }
}
