//! REGISTER and its digest: who gets in, who does not, and that nobody can tell why.

use std::{net::SocketAddr, time::Duration};

use super::{
    peer::Peer,
    world::{World, config, server},
};
use crate::{
    domain::{
        fact::Fact,
        switch::{Counter, Input, Switch},
    },
    protocol::sip::digest::{Algorithm, ChallengeOffer},
};

fn phone(world: &mut World, user: &str, change: impl FnOnce(&mut Peer)) -> usize {
    let port = 7000 + u16::try_from(world.peers.len()).expect("few");
    let mut peer = Peer::new(SocketAddr::from(([198, 51, 100, 99], port)), server(), user, 200);
    change(&mut peer);
    peer.register(world.now.mono, 300);
    world.peers.push(peer);
    world.run(Duration::from_secs(1));
    world.peers.len() - 1
}

#[test]
fn a_phone_registers_by_digest_and_its_binding_is_written_through() {
    let mut world = World::new(1, 1);
    assert_eq!(world.peers[0].status, Some(200));
    assert!(world.view(0).phone_registered);
    let bindings = world.facts.iter().filter_map(|(_, fact)| if let Fact::Binding(binding) = fact { Some(binding) } else { None });
    let binding = bindings.collect::<Vec<_>>().pop().expect("written").clone();
    assert_eq!((binding.source, binding.listener.as_str()), (world.peers[0].addr, "lan"));
    let granted = binding.expires_at.0 - world.now.wall.0;
    assert!((260_000..=330_000).contains(&granted), "{granted}");
    let now = world.now.mono;
    world.peers[0].register(now, 0);
    world.run(Duration::from_secs(1));
    assert!(!world.view(0).phone_registered);
}

#[test]
fn a_phone_that_knows_no_sha_256_is_let_in_by_md5() {
    let mut world = World::new(2, 2);
    let both = phone(&mut world, "agent0", |peer| peer.knows = vec![Algorithm::Md5]);
    assert_eq!(world.peers[both].status, Some(200), "it takes the second of two challenges");
    let challenges = world.peers[both].last("401 REGISTER").expect("challenged");
    assert_eq!(challenges.matches("WWW-Authenticate").count(), 2);
    assert!(challenges.find("SHA-256") < challenges.find("MD5"));
    // One that stops at the first algorithm it does not know comes again without an answer.
    let stubborn = phone(&mut world, "agent1", |peer| peer.knows = Vec::new());
    assert_eq!(world.peers[stubborn].status, Some(401));
    let now = world.now.mono;
    world.peers[stubborn].knows = vec![Algorithm::Md5];
    world.peers[stubborn].register(now, 300);
    world.run(Duration::from_secs(1));
    let alone = world.peers[stubborn].last("401 REGISTER").expect("challenged again");
    assert_eq!(alone.matches("WWW-Authenticate").count(), 1);
    assert!(alone.contains("MD5"));
    assert_eq!(world.peers[stubborn].status, Some(200));
    assert_eq!(world.switch.counters().get(Counter::ChallengedMd5), 1);
    // It never learns SHA-256: neither its next registration nor its calls stop there again.
    world.run(Duration::from_secs(1_500));
    let now = world.now.mono;
    world.peers[stubborn].register(now, 300);
    world.run(Duration::from_secs(1));
    let again = world.peers[stubborn].last("401 REGISTER").expect("challenged again");
    assert_eq!(again.matches("WWW-Authenticate").count(), 1);
    assert_eq!(world.peers[stubborn].status, Some(200));
}

/// A house with a second listener, which offers this.
fn with_a_second_listener(digest: ChallengeOffer, seed: u64) -> (World, SocketAddr) {
    println!("seed {seed}");
    let mut config = config(40);
    let mut second = config.policy.listeners[0].clone();
    second.name = "old".to_owned();
    second.bind.set_port(5070);
    second.digest = digest;
    let bind = second.bind;
    config.policy.listeners.push(second);
    (World::with(1, seed, config), bind)
}

/// A phone that registers at this listener; its challenges, and what became of it.
fn at_listener(world: &mut World, listener: SocketAddr, source: [u8; 4], change: impl FnOnce(&mut Peer)) -> (Vec<String>, Option<u16>) {
    let mut peer = Peer::new(SocketAddr::from((source, 5060)), listener, "agent0", source[3]);
    change(&mut peer);
    peer.register(world.now.mono, 300);
    world.peers.push(peer);
    world.run(Duration::from_secs(1));
    let peer = world.peers.last().expect("pushed");
    let texts = peer.inbox.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    (texts.filter(|text| text.starts_with("SIP/2.0 401")).collect(), peer.status)
}

fn algorithms(challenge: &str) -> Vec<&str> {
    let named = |line: &&str| line.starts_with("WWW-Authenticate");
    let lines = challenge.lines().filter(named);
    lines.map(|line| if line.contains("SHA-256") { "SHA-256" } else { "MD5" }).collect()
}

#[test]
fn each_listener_asks_by_its_own_algorithms_in_its_own_order() {
    let rows = [
        (ChallengeOffer::Md5Only, vec!["MD5"]),
        (ChallengeOffer::Sha256Only, vec!["SHA-256"]),
        (ChallengeOffer::BothMd5First, vec!["MD5", "SHA-256"]),
        (ChallengeOffer::Both, vec!["SHA-256", "MD5"]),
    ];
    for (n, (offer, expected)) in rows.into_iter().enumerate() {
        let (mut world, second) = with_a_second_listener(offer, 20 + n as u64);
        let (asked, status) = at_listener(&mut world, second, [198, 51, 100, 61], |_| {});
        assert_eq!(asked.iter().map(|text| algorithms(text)).collect::<Vec<_>>(), [expected], "{offer:?}");
        assert_eq!(status, Some(200), "{offer:?}");
        let (asked, _) = at_listener(&mut world, server(), [198, 51, 100, 62], |_| {});
        assert_eq!(algorithms(&asked[0]), ["SHA-256", "MD5"], "the first listener is as it was");
    }
}

#[test]
fn an_algorithm_that_the_listener_does_not_offer_lets_nobody_in() {
    let (mut world, second) = with_a_second_listener(ChallengeOffer::Sha256Only, 24);
    // A phone that answers by MD5 whatever it is asked for.
    let stubborn = |peer: &mut Peer| peer.answers_by = Some(Algorithm::Md5);
    let (asked, status) = at_listener(&mut world, second, [198, 51, 100, 63], stubborn);
    assert_eq!(status, Some(401), "its password is right");
    assert!(asked.len() >= 2 && asked.iter().all(|text| algorithms(text) == ["SHA-256"]), "{asked:?}");
    assert_eq!(world.switch.counters().get(Counter::DigestNotOffered), 1);
    assert_eq!(world.switch.counters().get(Counter::WrongCredentials), 0, "nobody looked at it");
    let (_, status) = at_listener(&mut world, server(), [198, 51, 100, 64], stubborn);
    assert_eq!(status, Some(200), "the other listener takes it");
}

#[test]
fn a_phone_of_which_we_know_that_it_is_old_is_asked_by_what_its_listener_offers() {
    let (mut world, second) = with_a_second_listener(ChallengeOffer::Sha256Only, 25);
    let old = |peer: &mut Peer| peer.knows = vec![Algorithm::Md5];
    let source = [198, 51, 100, 65];
    assert_eq!(at_listener(&mut world, server(), source, old).1, Some(200));
    world.peers.pop();
    let (asked, status) = at_listener(&mut world, second, source, old);
    assert_eq!((algorithms(&asked[0]), status), (vec!["SHA-256"], Some(401)));
}

#[test]
fn strangers_cannot_make_us_forget_which_phones_know_md5_alone() {
    let mut world = World::new(1, 7);
    let old = phone(&mut world, "agent0", |peer| peer.knows = vec![Algorithm::Md5]);
    for n in 0..5_000u16 {
        let mut stranger = Peer::new(SocketAddr::from(([203, 0, 113, 7], 10_000 + n)), server(), "agent0", 200);
        stranger.knows = Vec::new();
        stranger.register(world.now.mono, 300);
        world.peers.push(stranger);
        if n % 500 == 499 {
            world.run(Duration::from_millis(100));
            world.peers.truncate(old + 1);
        }
    }
    assert!(world.switch.counters().get(Counter::Challenged) > 5_000, "all of them were challenged");
    let now = world.now.mono;
    world.peers[old].register(now, 300);
    world.run(Duration::from_secs(1));
    let again = world.peers[old].last("401 REGISTER").expect("challenged");
    assert_eq!(again.matches("WWW-Authenticate").count(), 1, "{again}");
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let mut answers = Vec::new();
    for (user, password) in [("agent0", "wrongly"), ("nobody", "wrongly")] {
        let mut world = World::new(1, 3);
        let peer = phone(&mut world, "agent0", |peer| {
            peer.user = user.to_owned();
            peer.password = password.to_owned();
        });
        assert_eq!(world.peers[peer].status, Some(401));
        let text = world.peers[peer].last("401 REGISTER").expect("refused").replace("nobody", "agent0");
        let without_nonce = text.split("nonce=\"").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest)).collect::<String>();
        let without_tags: Vec<&str> = without_nonce.lines().filter(|line| !line.starts_with("To:")).collect();
        answers.push((text.len(), without_tags.join("\n")));
        assert_eq!(world.switch.counters().get(Counter::WrongCredentials), 1);
    }
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn an_account_registers_itself_and_nobody_else() {
    let mut world = World::new(2, 4);
    let peer = phone(&mut world, "agent0", |_| {});
    assert_eq!(world.peers[peer].status, Some(200));
    let now = world.now.mono;
    let mut thief = Peer::new(SocketAddr::from(([198, 51, 100, 98], 5060)), server(), "agent0", 9);
    thief.register_for(now, "agent1");
    world.peers.push(thief);
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers.last().expect("pushed").status, Some(403));
}

#[test]
fn after_a_restart_the_phone_rings_without_registering_again() {
    let mut world = World::new(1, 5);
    let bindings = world.facts.iter().filter_map(|(_, fact)| if let Fact::Binding(binding) = fact { Some(binding.clone()) } else { None });
    let bindings: Vec<_> = bindings.collect();
    let mut switch = Switch::new(config(40), [9; 32], 2, world.now);
    std::mem::swap(&mut world.switch, &mut switch);
    world.take_people();
    world.input(Input::Bindings(bindings));
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_registration_that_is_not_renewed_ends_by_itself() {
    let mut world = World::new(1, 6);
    world.run(Duration::from_secs(340));
    assert!(!world.view(0).phone_registered);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(1));
    assert!(world.peers[0].first_at("INVITE").is_none() && world.peers[caller].is_up(), "the caller waits for a phone");
}
