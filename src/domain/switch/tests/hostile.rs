//! Hostile datagrams from every kind of source: nothing panics, nothing is left behind.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use rand_chacha::rand_core::RngCore;

use super::world::World;
use crate::{
    domain::switch::{Counter, Input},
    protocol::sip::flow::ListenerId,
};

fn sources(world: &World) -> [SocketAddr; 3] {
    [SocketAddr::from(([8, 8, 8, 8], 5060)), SocketAddr::from(([203, 0, 113, 9], 5060)), world.peers[0].addr]
}

fn throw(world: &mut World, source: SocketAddr, bytes: &[u8]) {
    world.input(Input::Datagram { listener: ListenerId(0), source, bytes });
    world.run(Duration::from_millis(5));
}

/// Requests and responses of a whole call, as they were on the wire.
fn recorded(seed: u64) -> Vec<Vec<u8>> {
    let (mut world, caller) = super::queue::talking(1, seed);
    let now = world.now.mono;
    world.peers[0].reinvite(now, "sendonly");
    world.run(Duration::from_secs(1));
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.run(Duration::from_secs(1));
    world.received
}

#[test]
fn bent_messages_of_a_real_call_never_hurt() {
    let messages = recorded(1);
    assert!(messages.len() > 8);
    for seed in 0..4 {
        let mut world = World::new(2, seed);
        world.ready();
        world.peers.iter_mut().for_each(|peer| peer.forgives = true);
        for _ in 0..1500 {
            let mut pick = |n: usize| usize::try_from(world.rng.next_u32()).expect("64 bit") % n;
            let mut bytes = messages[pick(messages.len())].clone();
            for _ in 0..pick(4) {
                let at = pick(bytes.len());
                match pick(3) {
                    0 => bytes[at] = u8::try_from(pick(256)).expect("octet"),
                    1 => bytes.truncate(at.max(1)),
                    _ => {
                        let line = bytes[at..].to_vec();
                        bytes.extend(line);
                    }
                }
            }
            let source = pick(3);
            let source = sources(&world)[source];
            throw(&mut world, source, &bytes);
        }
        assert_eq!(world.switch.counters().get(Counter::InputPanicked), 0, "seed {seed}");
        assert_eq!(world.switch.counters().get(Counter::CallPanicked), 0, "seed {seed}");
        world.assert_comes_to_rest();
    }
}

#[test]
fn the_torture_corpus_never_hurts() {
    let shared = std::env::var("THROUGHLINE_SHARED").map(PathBuf::from).ok();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let places = shared.into_iter().chain([root.join("../shared"), root.join("../../shared")]);
    let Some(folder) = places.map(|place| place.join("corpora/sip-torture")).find(|folder| folder.is_dir()) else {
        println!("skipped: no corpora; set THROUGHLINE_SHARED");
        return;
    };
    let mut world = World::new(1, 1);
    world.ready();
    world.peers.iter_mut().for_each(|peer| peer.forgives = true);
    let mut thrown = 0;
    let folders = ["rfc4475", "rfc5118"].map(|name| folder.join(name));
    for entry in folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flat_map(Iterator::flatten) {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        for source in sources(&world) {
            throw(&mut world, source, &bytes);
            thrown += 1;
        }
    }
    assert!(thrown > 30, "{thrown}");
    assert_eq!(world.switch.counters().get(Counter::InputPanicked), 0);
    world.assert_comes_to_rest();
}
