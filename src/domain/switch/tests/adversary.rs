//! A peer that says anything at any time within its dialog, over a network that loses and doubles: each request has one final answer,
//! the tables agree at every step (the reaper looks after each), and everything comes to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand_chacha::rand_core::RngCore;

use super::{
    peer::OnInvite,
    world::{CALLED, PeerNo, World},
};
use crate::protocol::sip::{
    build::{AddressHeader, Body, Header, NumberHeader, Refresher, Request, TokensHeader},
    field::{Address, Method, Text, Token, UriBuf},
    parse::parse,
};

/// Descriptions that are refused, or that an ordinary phone would not send.
const ODD: [&str; 8] = [
    "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=image 9000 udptl t38\r\n",
    "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0 8\r\n",
    "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n",
    "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nb=AS:64\r\nt=0 0\r\nm=audio 9000 RTP/SAVP 0\r\nm=audio 9002 RTP/AVP 8 101\r\nc=IN IP4 203.0.113.6\r\nb=TIAS:64000\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-mux\r\na=ptime:30\r\n",
    "v=0\r\no=- 1 9 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n",
    "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 224.1.1.1/127\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n",
    "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=video 9004 RTP/AVP 96\r\nm=audio 9000 RTP/AVP 18 0\r\na=inactive\r\n",
    "nonsense",
];

fn pick<T: Copy>(world: &mut World, from: &[T]) -> T {
    from[world.rng.next_u32() as usize % from.len()]
}

fn chance(world: &mut World, percent: u32) -> bool {
    world.rng.next_u32() % 100 < percent
}

/// Whatever may stand in a request of a dialog.
fn bend(world: &mut World, peer: PeerNo, method: &Method) -> Box<dyn FnOnce(&mut Request)> {
    let direction = pick(world, &["sendrecv", "sendonly", "recvonly", "inactive"]);
    let fair = world.peers[peer].sdp(direction);
    let body = match world.rng.next_u32() % 10 {
        0..=3 => Some(fair),
        4..=6 => Some(Body::sdp(pick(world, &ODD))),
        7 => Some(Body { content_type: Text::new("application/dtmf-relay"), bytes: b"Signal=5\r\nDuration=160\r\n".to_vec() }),
        _ => None,
    };
    let body = body.filter(|_| matches!(method, Method::Invite | Method::Update | Method::Info));
    let seconds = pick(world, &[1, 89, 90, 120, 1_800]);
    let timer = chance(world, 20).then_some(Header::SessionExpires(seconds, Some(Refresher::Uac)));
    let knows = chance(world, 50).then(|| Header::Tokens(TokensHeader::Supported, vec![Token::new("timer").expect("token")]));
    let requires = chance(world, 5).then(|| Header::Tokens(TokensHeader::Require, vec![Token::new("100rel").expect("token")]));
    let min_se = chance(world, 5).then_some(Header::Number(NumberHeader::MinSe, 90));
    let (no_contact, other_contact, stale) = (chance(world, 10), chance(world, 10), chance(world, 10));
    Box::new(move |request| {
        if no_contact || other_contact {
            request.headers.retain(|header| !matches!(header, Header::Address(AddressHeader::Contact, _)));
        }
        if other_contact {
            let elsewhere = Address::new(UriBuf::new("sip:elsewhere@192.0.2.77:5099;transport=udp").expect("URI"));
            request.headers.push(Header::Address(AddressHeader::Contact, elsewhere));
        }
        request.headers.extend(timer.into_iter().chain(knows).chain(requires).chain(min_se));
        request.body = body;
        if stale {
            request.cseq = 1;
        }
    })
}

/// One thing that a peer does to the call.
fn act(world: &mut World, peer: PeerNo) {
    let now = world.now.mono;
    let methods = [
        Method::Invite,
        Method::Invite,
        Method::Invite,
        Method::Update,
        Method::Update,
        Method::Info,
        Method::Options,
        Method::Prack,
        Method::Refer,
    ];
    match world.rng.next_u32() % 14 {
        0 => world.peers[peer].acks = false,
        1 => world.peers[peer].acks = true,
        2 => world.peers[peer].refuses.push((Method::Invite, 491)),
        3 if chance(world, 30) => world.peers[peer].hang_up(now),
        4 => {
            let flood = Method::Other(Token::new("SPLICE").expect("token"));
            world.peers[peer].in_dialog(now, flood, |_| {});
        }
        _ => {
            let method = methods[world.rng.next_u32() as usize % methods.len()].clone();
            let change = bend(world, peer, &method);
            world.peers[peer].in_dialog(now, method, change);
        }
    }
}

/// Each request of a transaction of a peer heard one final status, never two; `all`: none was left without.
fn check_answers(world: &World, peer: PeerNo, all: bool, seed: u64) -> BTreeSet<u16> {
    let mut finals: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for (_, bytes) in &world.peers[peer].inbox {
        let message = parse(bytes).expect("what we send can be read");
        if let Some(status) = message.status().filter(|status| *status >= 200) {
            finals.entry(message.via().branch.expect("ours has one").to_owned()).or_default().push(status);
        }
    }
    for (branch, mut statuses) in finals.clone() {
        statuses.dedup();
        assert_eq!(statuses.len(), 1, "seed {seed}: {branch} was answered {statuses:?}");
    }
    let from = world.peers[peer].addr;
    for bytes in world.received.iter().filter(|_| all) {
        let Ok(request) = parse(bytes) else { continue };
        let sent_by = request.via().host.ip().zip(request.via().port);
        if request.is_request() && *request.method() != Method::Ack && sent_by == Some((from.ip(), from.port())) {
            let branch = request.via().branch.expect("ours has one");
            assert!(finals.contains_key(branch), "seed {seed}: {} {branch} has no answer", request.method());
        }
    }
    finals.into_values().flatten().collect()
}

/// One call; returns the final statuses that its peers heard.
fn adversity(seed: u64, loss: u32) -> BTreeSet<u16> {
    let mut world = World::new(1, seed);
    world.ready();
    (world.loss, world.doubled) = (loss, 30);
    let caller = world.caller("+442071234567");
    let late_offer = chance(&mut world, 30);
    let now = world.now.mono;
    world.peers[0].on_invite = pick(&mut world, &[OnInvite::Answer(Duration::from_millis(400)), OnInvite::AtOnce, OnInvite::AnswerTwice]);
    world.peers[caller].call(now, CALLED, |invite| invite.body = invite.body.take().filter(|_| !late_offer));
    world.run(Duration::from_secs(2));
    for _ in 0..12 {
        let peer = pick(&mut world, &[0, caller]);
        act(&mut world, peer);
        let pause = pick(&mut world, &[0, 0, 1, 3, 700, 5_000]);
        world.run(Duration::from_millis(pause));
    }
    world.loss = 0;
    for peer in [0, caller] {
        world.peers[peer].acks = true;
        world.peers[peer].refuses.clear();
        let now = world.now.mono;
        world.peers[peer].hang_up(now);
    }
    world.assert_comes_to_rest();
    [0, caller].into_iter().flat_map(|peer| check_answers(&world, peer, loss == 0, seed)).collect()
}

#[test]
fn whatever_a_peer_says_in_its_dialog_is_answered_once_and_comes_to_rest() {
    let heard: BTreeSet<u16> = (0..120).flat_map(|seed| adversity(seed, 0)).collect();
    assert!([200, 405, 415, 420, 422, 481, 488, 491, 500].iter().all(|status| heard.contains(status)), "every way was tried: {heard:?}");
}

#[test]
fn whatever_a_peer_says_over_a_bad_network_comes_to_rest() {
    for seed in 1_000..1_060 {
        adversity(seed, 100);
    }
}
