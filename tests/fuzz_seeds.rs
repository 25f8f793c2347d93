//! The fuzz targets on stable: every seed, then every seed bent many times by a mutator whose seed is printed (`SEED`, `ROUNDS`).
//!
//! `scripts/fuzz` runs the same functions under libFuzzer with what that needs; the corpora beside the project are seeds in both.

#![expect(clippy::print_stdout, reason = "seeds and skipped corpora are told")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};
// The targets are compiled here and in the fuzz crate: both have these at their root.
use throughline::{domain, ids, protocol, service, time};

#[path = "support/bend.rs"]
mod bend;
#[path = "support/corpora.rs"]
mod corpora;
#[path = "../fuzz/src/targets.rs"]
mod targets;

/// Inputs per target unless `ROUNDS` says otherwise: a few seconds in a debug build.
const ROUNDS: u64 = 3_000;
/// What no input may grow beyond: a datagram's size, and a little over.
const MAX_INPUT: usize = 70_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The committed seeds of a target, and the corpus folders that are its kind.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = corpora::files(&own);
    assert!(seeds.len() >= 4, "{target} has {} seeds", seeds.len());
    let folders: &[&str] = match target {
        "sip_message" | "sip_stream" => &["sip-torture", "sip-devices"],
        "sdp" => &["sdp"],
        _ => &[],
    };
    if let Some(corpora) = corpora::folder() {
        seeds.extend(folders.iter().flat_map(|folder| corpora::files(&corpora.join(folder))));
    }
    seeds
}

/// Runs one input; a panic is told with the octets that caused it.
fn run(target: targets::Target, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| target.1(input))).is_err() {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/out");
        let file = kept.join(format!("crash-{}", target.0));
        let _ = std::fs::create_dir_all(&kept).and_then(|()| std::fs::write(&file, input));
        panic!("{} fails on {origin}; the input is kept as {}: {:?}", target.0, file.display(), String::from_utf8_lossy(input));
    }
}

fn fuzz(name: &str) {
    let target = *targets::ALL.iter().find(|(known, _)| *known == name).expect("a target");
    let seeds = seeds(name);
    for (path, octets) in &seeds {
        run(target, octets, &path.display().to_string());
    }
    let seed = number("SEED").unwrap_or(1);
    let rounds = number("ROUNDS").unwrap_or(ROUNDS);
    println!("{name}: {} seeds, {rounds} rounds, seed {seed} (set SEED and ROUNDS)", seeds.len());
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    for round in 0..rounds {
        let mut pick = |n: usize| random.next_u64() as usize % n.max(1);
        let mut octets = seeds[pick(seeds.len())].1.clone();
        if pick(4) == 0 {
            // Half of one and half of another.
            let other = &seeds[pick(seeds.len())].1;
            octets.truncate(pick(octets.len() + 1));
            octets.extend_from_slice(&other[pick(other.len() + 1)..]);
        }
        let mut octets = bend::bend(octets, &mut random);
        octets.truncate(MAX_INPUT);
        run(target, &octets, &format!("round {round} of seed {seed}"));
    }
}

#[test]
fn no_sip_message_breaks_the_reader_and_what_it_accepts_can_be_answered() {
    fuzz("sip_message");
}

#[test]
fn a_stream_yields_the_same_messages_however_it_is_cut() {
    fuzz("sip_stream");
}

#[test]
fn no_session_description_breaks_the_reader_and_answers_fit_their_offers() {
    fuzz("sdp");
}

#[test]
fn no_rtp_datagram_breaks_reception_and_a_track_has_no_holes() {
    fuzz("rtp");
}

#[test]
fn no_rtcp_datagram_breaks_the_reader() {
    fuzz("rtcp");
}

#[test]
fn no_digest_breaks_the_reader_and_none_is_accepted() {
    fuzz("digest");
}

#[test]
fn no_file_breaks_the_reader_of_tracks() {
    fuzz("track");
}

#[test]
fn every_target_has_a_test_here_and_a_binary_for_the_fuzzer() {
    let here = include_str!("fuzz_seeds.rs");
    for (name, _) in targets::ALL {
        assert!(here.contains(&format!("fuzz(\"{name}\")")), "{name} has no test");
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(&binary).unwrap_or_default();
        assert!(text.contains(&format!("targets::{name}(data)")), "{}", binary.display());
    }
}
