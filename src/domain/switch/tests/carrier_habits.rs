//! What carriers and phones really do at the edges of the RFC: numbers with parameters, identities twice, a session said only once.

use std::time::Duration;

use super::{
    super::Counter,
    carrier::NUMBER,
    peer::OnInvite,
    world::{CALLED, PeerNo, World},
};
use crate::protocol::sip::{
    build::{AddressHeader, Body, Header, Request, TextHeader},
    field::{Address, Text, UriBuf},
};

const SECOND: Duration = Duration::from_secs(1);

fn address(uri: &str) -> Address {
    Address::new(UriBuf::new(uri).expect("URI"))
}

/// A caller of the trunk whose INVITE is bent like this.
fn bent(world: &mut World, change: impl FnOnce(&mut Request)) -> PeerNo {
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, change);
    world.until("talk", 5 * SECOND, |world| world.peers[caller].is_up());
    caller
}

fn from(invite: &mut Request, uri: &str) {
    let tag = invite.from.tag().expect("a tag of its own").to_owned();
    invite.from = address(uri).with_tag(&tag);
}

#[test]
fn a_called_number_with_parameters_of_the_network_leads_to_its_queue() {
    for called in [
        "sip:+442079460000;npdi;rn=+442079469999@192.0.2.1;user=phone",
        "sip:+44-20-7946-0000;phone-context=+44@192.0.2.1;user=phone",
        "sip:02079460000;npdi=yes@192.0.2.1",
        "tel:+442079460000;npdi",
    ] {
        let mut world = World::new(1, 1);
        world.ready();
        let caller = bent(&mut world, |invite| invite.uri = UriBuf::new(called).expect("URI"));
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn a_calling_number_with_parameters_of_the_network_is_the_number() {
    for uri in [
        "sip:+442071234567;cpc=ordinary;oli=00@carrier.example;user=phone",
        "sip:+442071234567;npdi;rn=+442079469999@carrier.example",
        "sip:02071234567;phone-context=+44@carrier.example;user=phone",
        "tel:+44-20-7123-4567;cpc=payphone",
    ] {
        let mut world = World::new(1, 2);
        world.ready();
        let caller = bent(&mut world, |invite| from(invite, uri));
        assert_eq!(world.look_ups[0].number.as_ref().map(|number| number.as_str()), Some("+442071234567"), "{uri}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn help_is_called_however_the_phone_writes_its_number() {
    for called in
        ["sip:999;phone-context=+44@192.0.2.1;user=phone", "sip:9%39%39;phone-context=example.com@192.0.2.1", "tel:999;phone-context=+44"]
    {
        let (mut world, trunk) = World::outside(1, 3, |config| config.destinations.groups.clear());
        let now = world.now.mono;
        world.peers[0].call(now, "999", |invite| invite.uri = UriBuf::new(called).expect("URI"));
        world.until("help", 10 * SECOND, |world| world.peers[trunk + 1].is_up() && world.peers[0].is_up());
        let invite = world.peers[trunk + 1].last("INVITE").expect("called");
        assert!(invite.starts_with("INVITE sip:999@198.18.0.9 SIP/2.0\r\n"), "{invite}");
        world.assert_comes_to_rest_after_hang_up(0);
    }
}

#[test]
fn of_two_asserted_identities_the_number_counts_in_either_order() {
    let both = ["sip:reception@carrier.example", "tel:+442071234567"];
    for order in [[0, 1], [1, 0]] {
        let mut world = World::new(1, 4);
        world.ready();
        let caller = bent(&mut world, |invite| {
            from(invite, "sip:+442070000000@carrier.example");
            for one in order {
                invite.headers.push(Header::Address(AddressHeader::PAssertedIdentity, address(both[one])));
            }
        });
        assert_eq!(world.look_ups[0].number.as_ref().map(|number| number.as_str()), Some("+442071234567"), "{order:?}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn a_name_that_says_that_there_is_none_is_none() {
    for name in ["Anonymous", "UNKNOWN", "Unavailable", "Private", "Restricted"] {
        let mut world = World::new(1, 5);
        world.ready();
        let caller = bent(&mut world, |invite| invite.from = invite.from.clone().with_display(name));
        let look_up = &world.look_ups[0];
        assert_eq!(look_up.number.as_ref().map(|number| number.as_str()), Some("+442071234567"), "{name}");
        assert_eq!(look_up.display_name, None, "{name}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn an_answer_without_a_session_after_one_in_a_183_is_an_answer() {
    let (mut world, trunk) = World::outside(1, 6, |_| {});
    world.ready();
    world.peers[trunk].on_invite = OnInvite::EarlyThenBare;
    world.dial(0, NUMBER);
    world.until("talk", 10 * SECOND, |world| world.peers[0].is_up() && world.peers[trunk].is_up());
    world.run(40 * SECOND);
    assert!(world.peers[0].is_up() && world.peers[trunk].is_up(), "what the 183 said holds");
    assert_eq!(world.plans.values().next().expect("planned").0.hears.len(), 2, "both hear each other");
    world.assert_comes_to_rest_after_hang_up(0);
}

#[test]
fn an_ack_counts_for_its_answer_whatever_was_refused_since() {
    for late_offer in [false, true] {
        let mut world = World::new(1, 7);
        world.ready();
        let caller = world.caller("+442071234567");
        let now = world.now.mono;
        world.peers[caller].acks = false;
        world.peers[caller].call(now, CALLED, |invite| {
            if late_offer {
                invite.body = None;
            }
        });
        world.until("answered", 5 * SECOND, |world| world.peers[caller].count("200 INVITE") > 0);
        let answer = world.peers[caller].last("200 INVITE").expect("answered");
        world.peers[caller].adopt(&answer);
        // Fax, before its ACK has come through.
        let now = world.now.mono;
        world.peers[caller].in_dialog(now, crate::protocol::sip::field::Method::Invite, |request| {
            request.body = Some(crate::protocol::sip::build::Body::sdp(
                "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=image 9000 udptl t38\r\n",
            ));
        });
        let refused = if late_offer { "491 INVITE" } else { "488 INVITE" };
        world.until("refused", SECOND, |world| world.peers[caller].count(refused) > 0);
        world.peers[caller].acks = true;
        world.run(60 * SECOND);
        assert!(world.peers[caller].is_up() && world.peers[0].is_up(), "the ACK came, late offer {late_offer}");
        assert!(world.peers[caller].count("200 INVITE") < 5, "and ended the repetitions");
        assert_eq!(world.plans.values().next().expect("planned").0.hears.len(), 2);
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn whoever_asks_for_privacy_is_withheld_however_it_is_spelled() {
    for privacy in ["id", "ID; critical", "header;user", "none;id", "full", " session ; user"] {
        let mut world = World::new(1, 8);
        world.ready();
        let caller = bent(&mut world, |invite| {
            invite
                .headers
                .push(Header::Address(AddressHeader::PAssertedIdentity, address("sip:+442071234567@carrier.example").with_display("Ada")));
            invite.headers.push(Header::Text(TextHeader::Privacy, Text::new(privacy)));
        });
        assert_eq!((world.look_ups[0].number.as_ref(), world.look_ups[0].display_name.as_ref()), (None, None), "{privacy}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

/// The session of an INVITE beside another part, as `multipart/mixed`.
fn with_part(invite: &mut Request, part: &str) {
    let session = invite.body.take().map(|body| String::from_utf8_lossy(&body.bytes).into_owned()).unwrap_or_default();
    let bytes = format!("--x\r\n{part}\r\n--x\r\nContent-Type: application/sdp\r\n\r\n{session}\r\n--x--\r\n").into_bytes();
    invite.body = Some(Body { content_type: Text::new("multipart/mixed;boundary=x"), bytes });
}

#[test]
fn a_session_that_comes_beside_other_parts_is_heard_and_an_unknown_part_that_must_be_understood_is_415() {
    for part in [
        "Content-Type: application/ISUP;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\nabc",
        "Content-Type: application/pidf+xml\r\nContent-ID: <here@example.com>\r\n\r\n<presence/>",
    ] {
        let mut world = World::new(1, 4);
        world.ready();
        let caller = bent(&mut world, |invite| with_part(invite, part));
        assert!(world.peers[caller].is_up(), "{part}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
    let mut world = World::new(1, 5);
    world.ready();
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| {
        with_part(invite, "Content-Type: application/x-unheard-of\r\nContent-Disposition: signal;handling=required\r\n\r\nabc");
    });
    world.run(SECOND);
    assert_eq!((world.peers[caller].status, world.switch.counters().get(Counter::BodyRefused)), (Some(415), 1));
}
