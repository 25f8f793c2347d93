//! What is refused, with which status, without state and without amplifying.

use std::{net::SocketAddr, time::Duration};

use super::world::{CALLED, World, config, server};
use crate::{
    domain::switch::{Counter, Input},
    protocol::sip::{
        build::{Body, Header, Request, TokensHeader},
        field::{Text, Token},
        flow::ListenerId,
    },
};

fn stranger() -> SocketAddr {
    SocketAddr::from(([8, 8, 8, 8], 5060))
}

/// Sends a text from this address and returns what comes back to it.
fn say(world: &mut World, from: SocketAddr, text: &str) -> Vec<String> {
    world.strays.clear();
    let bytes = text.replace('\n', "\r\n");
    world.input(Input::Datagram { listener: ListenerId(0), source: from, bytes: bytes.as_bytes() });
    world.run(Duration::from_millis(100));
    world.strays.iter().map(|(_, text)| text.clone()).collect()
}

fn message(method: &str, extra: &str) -> String {
    format!(
        "{method} sip:{CALLED}@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 8.8.8.8:5060;branch=z9hG4bK{method}{};rport\nMax-Forwards: 70\n\
         From: <sip:x@example.com>;tag=1\nTo: <sip:y@example.com>\nCall-ID: {method}@8.8.8.8\nCSeq: 1 {method}\n\
         Contact: <sip:x@8.8.8.8>\nUser-Agent: a phone with a name that is long enough to be answered in full\n{extra}Content-Length: 0\n\n",
        extra.len()
    )
}

fn invite_refused(change: impl FnOnce(&mut Request)) -> (Option<u16>, World) {
    let mut world = World::new(1, 1);
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, change);
    world.run(Duration::from_secs(1));
    (world.peers[caller].status, world)
}

#[test]
fn every_refusal_of_an_invite_has_its_status_and_its_counter() {
    let (status, world) = invite_refused(|invite| invite.max_forwards = 0);
    assert_eq!((status, world.switch.counters().get(Counter::TooManyHops)), (Some(483), 1));
    let (status, world) = invite_refused(|invite| {
        invite.headers.push(Header::Tokens(TokensHeader::Require, vec![Token::new("precondition").expect("token")]));
    });
    assert_eq!((status, world.switch.counters().get(Counter::ExtensionRefused)), (Some(420), 1));
    assert!(world.peers[1].last("420 INVITE").expect("refused").contains("Unsupported: precondition"));
    let (status, world) =
        invite_refused(|invite| invite.body = Some(Body { content_type: Text::new("text/plain"), bytes: b"hello".to_vec() }));
    assert_eq!((status, world.switch.counters().get(Counter::BodyRefused)), (Some(415), 1));
    let (status, world) = invite_refused(|invite| {
        invite.body = Some(Body::sdp("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\n"));
    });
    assert_eq!((status, world.switch.counters().get(Counter::NotAcceptable)), (Some(488), 1));
    assert!(world.peers[1].last("488 INVITE").expect("refused").contains("Warning: 305"));
}

#[test]
fn an_unknown_number_is_404() {
    let mut world = World::new(1, 2);
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, "+442079999999", |_| {});
    world.run(Duration::from_secs(1));
    assert_eq!((world.peers[caller].status, world.switch.counters().get(Counter::UnknownNumber)), (Some(404), 1));
    let now = world.now.mono;
    world.peers[caller].call(now, "02079460000", |_| {});
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[caller].status, Some(200), "the same number as it is dialled at home leads to the queue");
}

#[test]
fn without_ports_a_trunk_hears_a_bare_503() {
    let mut world = World::with(2, 3, config(2));
    world.ready();
    let first = world.incoming("+442071234567");
    world.run(Duration::from_secs(1));
    let second = world.incoming("+442071234568");
    world.run(Duration::from_secs(5));
    assert!(world.peers[first].is_up());
    assert_eq!((world.peers[second].status, world.switch.counters().get(Counter::NoRoom)), (Some(503), 1));
    assert!(!world.peers[second].last("503 INVITE").expect("refused").contains("Retry-After"), "it would silence the whole trunk");
    world.assert_comes_to_rest_after_hang_up(first);
    let now = world.now.mono;
    world.peers[0].register(now, 300);
    world.run(Duration::from_secs(1));
    let third = world.incoming("+442071234569");
    world.until("talk", Duration::from_secs(10), |world| world.peers[third].is_up());
    world.assert_comes_to_rest_after_hang_up(third);
}

#[test]
fn the_same_invite_by_two_ways_is_482() {
    let mut world = World::new(1, 4);
    world.brief_after = None;
    let from = SocketAddr::from(([203, 0, 113, 9], 5060));
    let first = message("INVITE", "").replace("8.8.8.8:5060", "203.0.113.9:5060");
    let second = first.replace("z9hG4bKINVITE", "z9hG4bKother");
    assert!(say(&mut world, from, &first)[0].starts_with("SIP/2.0 100"));
    assert!(say(&mut world, from, &second)[0].starts_with("SIP/2.0 482"));
    assert_eq!(world.switch.counters().get(Counter::Merged), 1);
}

#[test]
fn a_stranger_gets_one_final_answer_without_state() {
    let mut world = World::new(1, 5);
    for (method, status) in [
        ("INVITE", "401"),
        ("REGISTER", "401"),
        ("OPTIONS", "200"),
        ("MESSAGE", "405"),
        ("SUBSCRIBE", "405"),
        ("BREW", "405"),
        ("BYE", "481"),
        ("UPDATE", "481"),
        ("CANCEL", "481"),
    ] {
        let answers = say(&mut world, stranger(), &message(method, ""));
        assert_eq!(answers.len(), 1, "{method}: {answers:?}");
        assert!(answers[0].starts_with(&format!("SIP/2.0 {status}")), "{method}: {}", answers[0]);
        if status == "405" {
            assert!(answers[0].contains("Allow: INVITE"));
        }
    }
    assert!(say(&mut world, stranger(), &message("ACK", "")).is_empty());
    let in_dialog = message("BYE", "").replace("To: <sip:y@example.com>", "To: <sip:y@example.com>;tag=none");
    assert!(say(&mut world, stranger(), &in_dialog)[0].starts_with("SIP/2.0 481"));
    world.run(Duration::from_secs(60));
    assert!(world.switch.is_empty());
}

#[test]
fn an_answer_is_never_twice_as_large_as_the_question() {
    let mut world = World::new(1, 6);
    let tiny = "OPTIONS sip:a SIP/2.0\nv: SIP/2.0/UDP h;branch=z9hG4bKa\nf: <sip:a>;tag=1\nt: <sip:b>\ni: c\nCSeq: 1 OPTIONS\n\n";
    assert!(say(&mut world, stranger(), tiny).is_empty());
    let small = "REGISTER sip:a SIP/2.0\nv: SIP/2.0/UDP hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh;branch=z9hG4bKa\nf: <sip:a>;tag=1\nt: <sip:b>\n\
                 i: cccccccccccccccccccccccccccccccccccccccccccccccccccc\nCSeq: 1 REGISTER\n\n";
    for answer in say(&mut world, stranger(), small) {
        assert!(answer.len() <= 2 * small.len() && answer.matches("WWW-Authenticate").count() == 1, "{answer}");
    }
    assert!(world.switch.counters().get(Counter::Amplification) >= 1);
}

#[test]
fn nonsense_is_counted_or_answered_and_never_hurts() {
    let mut world = World::new(1, 7);
    assert!(say(&mut world, stranger(), "\n\n").is_empty());
    assert!(say(&mut world, stranger(), "GET / HTTP/1.1\n\n").is_empty());
    let bad = message("INVITE", "").replace("CSeq: 1 INVITE", "CSeq: x INVITE");
    assert!(say(&mut world, stranger(), &bad)[0].starts_with("SIP/2.0 400"));
    assert!(
        say(
            &mut world,
            stranger(),
            "SIP/2.0 200 OK\nv: SIP/2.0/UDP h;branch=z9hG4bKa\nf: <sip:a>;tag=1\nt: <sip:b>;tag=2\ni: c\nCSeq: 1 INVITE\n\n"
        )
        .is_empty()
    );
    let counters = world.switch.counters();
    let counted = [Counter::KeepAlive, Counter::Malformed, Counter::MalformedAnswered, Counter::StrayResponse];
    assert_eq!(counted.map(|counter| counters.get(counter)), [1, 1, 1, 1]);
}

#[test]
fn a_request_in_a_dialog_from_elsewhere_is_refused() {
    let (mut world, caller) = super::queue::talking(1, 8);
    let ack = world.peers[0].last("ACK").expect("acknowledged");
    let line = |name: &str| ack.lines().find(|line| line.starts_with(name)).expect(name).split_once(": ").expect("header").1.to_owned();
    let bye = format!(
        "BYE sip:a@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 8.8.8.8:5060;branch=z9hG4bKevil;rport\nMax-Forwards: 70\nFrom: {}\nTo: {}\n\
         Call-ID: {}\nCSeq: 99 BYE\nContent-Length: 0\n\n",
        line("To"),
        line("From"),
        line("Call-ID")
    );
    assert!(say(&mut world, stranger(), &bye)[0].starts_with("SIP/2.0 481"));
    assert_eq!(world.switch.counters().get(Counter::WrongFlow), 1);
    assert!(world.peers[caller].is_up() && world.peers[0].is_up());
    assert_eq!(server().port(), 5060);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn withheld_numbers_stay_withheld_and_long_names_are_cut() {
    let mut world = World::new(1, 9);
    let caller = world.caller("anonymous");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |_| {});
    world.run(Duration::from_secs(1));
    assert_eq!((world.look_ups[0].number.as_ref(), world.look_ups[0].display_name.as_ref()), (None, None));
    let caller = world.caller("02071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| invite.from = invite.from.clone().with_display(&"n".repeat(500)));
    world.run(Duration::from_secs(1));
    let look_up = &world.look_ups[1];
    assert_eq!(look_up.number.as_ref().map(|number| number.as_str()), Some("+442071234567"), "read in the trunk's country");
    assert_eq!(look_up.display_name.as_ref().map(String::len), Some(128));
}
