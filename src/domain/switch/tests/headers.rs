//! Header rules in dialogs: who may speak, what crosses, along which route.

use std::time::Duration;

use super::{queue::talking, world::World};
use crate::{
    domain::switch::Counter,
    protocol::sip::{
        build::{AddressHeader, Header, TokensHeader},
        field::{Address, Method, Token, UriBuf},
    },
};

fn address(uri: &str) -> Address {
    Address::new(UriBuf::new(uri).expect("URI"))
}

#[test]
fn a_foreign_from_crosses_in_no_method() {
    for from_trunk in [true, false] {
        for method in [Method::Invite, Method::Update, Method::Options, Method::Info, Method::Bye] {
            let (mut world, caller) = talking(1, 1);
            let from = if from_trunk { caller } else { 0 };
            let now = world.now.mono;
            let body = world.peers[from].sdp("sendonly");
            let offers = matches!(method, Method::Invite | Method::Update);
            world.peers[from].in_dialog(now, method.clone(), |request| {
                let tag = request.from.tag().expect("in a dialog").to_owned();
                request.from = address("sip:mallory@evil.example").with_display("Mallory").with_tag(&tag);
                request.headers.push(Header::Address(AddressHeader::PAssertedIdentity, address("sip:mallory@evil.example")));
                request.body = offers.then_some(body);
            });
            world.run(Duration::from_secs(1));
            let others = world.peers.iter().enumerate().filter(|(n, _)| *n != from).flat_map(|(_, peer)| &peer.inbox);
            let crossed = others.filter(|(_, bytes)| String::from_utf8_lossy(bytes).to_lowercase().contains("mallory")).count();
            assert_eq!(crossed, 0, "{method} from peer {from}");
            world.assert_comes_to_rest_after_hang_up(caller);
        }
    }
}

#[test]
fn our_requests_follow_the_route_of_the_dialog_loose_and_strict() {
    for (route, first_line, last_route) in [
        ("sip:203.0.113.9;lr", "BYE sip:+442071234567@203.0.113.5", "Route: <sip:203.0.113.9;lr>"),
        ("sip:203.0.113.9", "BYE sip:203.0.113.9 SIP/2.0", "Route: <sip:+442071234567@203.0.113.5"),
    ] {
        let mut world = World::new(1, 2);
        world.ready();
        let caller = world.caller("+442071234567");
        let now = world.now.mono;
        world.peers[caller].call(now, super::world::CALLED, |invite| {
            invite.headers.push(Header::Address(AddressHeader::RecordRoute, address(route)));
        });
        world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
        let now = world.now.mono;
        world.peers[0].hang_up(now);
        world.run(Duration::from_secs(1));
        let (to, bye) = world.strays.iter().find(|(_, text)| text.starts_with("BYE")).expect("sent to the route").clone();
        assert_eq!(to.to_string(), "203.0.113.9:5060", "{route}");
        assert!(bye.starts_with(first_line) && bye.contains(last_route), "{bye}");
        world.assert_comes_to_rest();
    }
}

#[test]
fn ack_and_bye_to_a_phone_carry_its_route_and_go_to_its_flow() {
    for (route, ack_line, bye_line) in [
        ("sip:198.51.100.99;lr", "ACK sip:agent0@198.51.100.10", "BYE sip:agent0@198.51.100.10"),
        ("sip:198.51.100.99", "ACK sip:198.51.100.99 SIP/2.0", "BYE sip:198.51.100.99 SIP/2.0"),
    ] {
        let mut world = World::new(1, 3);
        world.peers[0].adds = vec![Header::Address(AddressHeader::RecordRoute, address(route))];
        world.ready();
        let caller = world.incoming("+442071234567");
        world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
        world.run(Duration::from_millis(100));
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(Duration::from_secs(1));
        for (kind, line) in [("ACK", ack_line), ("BYE", bye_line)] {
            let text = world.peers[0].last(kind).expect("by its flow");
            assert!(text.starts_with(line) && text.contains("Route: <sip:"), "{text}");
        }
        world.assert_comes_to_rest();
    }
}

#[test]
fn an_older_number_is_500_and_an_unknown_extension_420() {
    let (mut world, caller) = talking(1, 4);
    let now = world.now.mono;
    world.peers[caller].in_dialog(now, Method::Options, |_| {});
    world.run(Duration::from_millis(100));
    let now = world.now.mono;
    world.peers[caller].in_dialog(now, Method::Options, |request| request.cseq = 1);
    world.run(Duration::from_millis(100));
    assert!(world.peers[caller].heard().contains(&"500 OPTIONS".to_owned()), "{:?}", world.peers[caller].heard());
    let now = world.now.mono;
    world.peers[caller].in_dialog(now, Method::Update, |request| {
        request.headers.push(Header::Tokens(TokensHeader::Require, vec![Token::new("100rel").expect("token")]));
    });
    world.run(Duration::from_millis(100));
    assert!(world.peers[caller].last("420 UPDATE").expect("refused").contains("Unsupported: 100rel"));
    assert!(world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_colleagues_phone_cannot_speak_in_somebody_elses_dialog() {
    let (mut world, caller) = talking(2, 5);
    let talks = usize::from(!world.peers[0].is_up());
    let stolen = world.peers[talks].dialog.clone();
    world.peers[1 - talks].dialog = stolen;
    let now = world.now.mono;
    world.peers[1 - talks].in_dialog(now, Method::Bye, |_| {});
    world.run(Duration::from_secs(1));
    assert!(world.peers[1 - talks].heard().contains(&"481 BYE".to_owned()));
    assert_eq!(world.switch.counters().get(Counter::WrongFlow), 1);
    assert!(world.peers[talks].is_up() && world.peers[caller].is_up());
    world.peers[1 - talks].dialog = None;
    world.assert_comes_to_rest_after_hang_up(caller);
}
