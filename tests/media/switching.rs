//! A phone that changes its law in mid-call, and keys through a network that loses packets.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};
use throughline::{
    domain::media::plan::{Codec, PayloadFormat, RecordingPlan},
    protocol::rtp::{
        packet::Header,
        telephone_event::{KeyDetector, TelephoneEvent},
    },
};

use super::bench::*;

/// Two phones whose caller may send either law at any time.
fn either_law() -> (Bench, Phone, Phone) {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.legs[0].accepts = PayloadFormat::set(&[(0, Codec::Pcmu), (8, Codec::Pcma)], Some(101), None);
        plan.legs[0].recording = RecordingPlan::On(recording_id(1));
    });
    (bench, Phone::caller(), Phone::agent())
}

fn switch(phone: &mut Phone, codec: Codec) {
    phone.codec = codec;
    phone.header.payload_type = payload_type(codec);
}

#[test]
fn a_phone_that_changes_its_law_and_changes_back_is_heard_on_in_one_stream() {
    let (mut bench, mut caller, mut agent) = either_law();
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::Pcmu] {
        switch(&mut caller, codec);
        talk(&mut bench, &mut caller, &mut agent, 100);
    }
    bench.pass(FRAME * 5);
    assert!(bench.sent_to(AGENT).iter().all(|sent| sent.header().payload_type == 0), "the listener speaks one law");
    assert_one_stream(&bench, AGENT);
    let heard = bench.heard_at(AGENT, Codec::Pcmu);
    for third in [&heard[..15_500], &heard[17_000..31_500], &heard[33_500..47_500]] {
        assert_tones(third, &CALLER_TONE);
    }
    assert_tones(&bench.heard_at(CALLER, Codec::Pcmu), &AGENT_TONE);
    assert_eq!(bench.engine.counters().dropped.iter().sum::<u64>(), 0, "nothing is lost on the way");
}

#[test]
fn a_recording_keeps_each_packet_in_the_law_in_which_it_came() {
    let (mut bench, mut caller, mut agent) = either_law();
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::Pcmu] {
        switch(&mut caller, codec);
        talk(&mut bench, &mut caller, &mut agent, 50);
    }
    let frames = bench.frames(1);
    assert_eq!(frames.len(), 150);
    for (n, frame) in frames.iter().enumerate() {
        let codec = if (50..100).contains(&n) { Codec::Pcma } else { Codec::Pcmu };
        assert_eq!((frame.codec, frame.source), (codec, frames[0].source), "packet {n}");
    }
    let samples: Vec<i16> = frames.iter().flat_map(|frame| frame.payload().iter().map(|octet| decode(frame.codec, *octet))).collect();
    assert_tones(&samples, &CALLER_TONE);
    assert!(greatest_step(&samples) < 12_000, "no click where the law changes");
}

#[test]
fn a_law_that_changes_with_every_packet_is_heard_all_the_same() {
    let (mut bench, mut caller, mut agent) = either_law();
    for n in 0..200 {
        switch(&mut caller, if n % 2 == 0 { Codec::Pcmu } else { Codec::Pcma });
        talk(&mut bench, &mut caller, &mut agent, 1);
    }
    bench.pass(FRAME * 5);
    assert_one_stream(&bench, AGENT);
    assert_tones(&bench.heard_at(AGENT, Codec::Pcmu)[1600..30_000], &CALLER_TONE);
}

/// So many of a hundred packets of keys are lost on the way to us; returns the keys of which anything came, and those that the agent got.
fn keys_through_loss(listener: Codec, seed: u64, percent: u32) -> (Vec<char>, Vec<char>) {
    const KEYS: usize = 400;
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        speak_codec(&mut plan.legs[1], listener);
        plan.legs[1].telephone_event = Some(96);
    });
    let (mut caller, mut came) = (Phone::caller(), Vec::new());
    for n in 0..10 + KEYS {
        caller.speak(&mut bench);
        bench.pass(FRAME);
        if n < 10 {
            continue;
        }
        let event = (random.next_u32() & 15) as u8;
        let start = caller.header;
        let mut reached = false;
        for (step, duration, end) in [(0, 160, false), (1, 320, false), (2, 480, true), (3, 480, true), (4, 480, true)] {
            let lost = random.next_u32() % 100 < percent;
            let header = Header { payload_type: 101, marker: step == 0, sequence: start.sequence.wrapping_add(step), ..start };
            let packet = TelephoneEvent { event, end, volume: 10, duration };
            if !lost {
                reached = true;
                bench.hear(20_000, CALLER, &datagram(header, &packet.to_bytes()));
            }
            bench.pass(FRAME);
        }
        caller.header.sequence = start.sequence.wrapping_add(5);
        caller.header.timestamp = start.timestamp.wrapping_add(800);
        came.extend(TelephoneEvent { event, end: true, volume: 10, duration: 480 }.key().filter(|_| reached));
    }
    let mut detector = KeyDetector::default();
    let mut told = Vec::new();
    let mut presses: Vec<(u32, usize)> = Vec::new();
    for sent in bench.sent_to(AGENT).into_iter().filter(|sent| sent.header().payload_type == 96) {
        let timestamp = sent.header().timestamp;
        if presses.last().is_none_or(|(last, _)| *last != timestamp) {
            presses.push((timestamp, 0));
        }
        presses.last_mut().unwrap().1 += usize::from(TelephoneEvent::parse(sent.payload()).unwrap().end);
        told.extend(detector.push(timestamp, sent.payload()));
    }
    assert_eq!(presses.len(), came.len(), "one timestamp for each press");
    assert!(presses.iter().all(|(_, ends)| (1..=3).contains(ends)), "every press ends, and no end is sent a fourth time");
    (came, told)
}

#[test]
fn every_key_of_which_one_packet_came_is_delivered_exactly_once_and_ends_in_relay_and_bridge() {
    for (seed, percent, least) in [(4733, 10, 390), (99, 10, 390), (7, 40, 350)] {
        for listener in [Codec::Pcmu, Codec::Pcma] {
            let (came, told) = keys_through_loss(listener, seed, percent);
            assert!(came.len() >= least, "seed {seed}: only {} keys", came.len());
            assert_eq!(told, came, "seed {seed}, {listener:?}");
        }
    }
}

#[test]
fn an_end_that_comes_after_it_was_made_again_is_not_sent_a_second_time() {
    let mut bench = Bench::two_phones();
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    let start = caller.header;
    let event = |step: u16, end| {
        let header = Header { payload_type: 101, marker: step == 0, sequence: start.sequence.wrapping_add(step), ..start };
        datagram(header, &TelephoneEvent { event: 5, end, volume: 10, duration: 160 * (step + 1) }.to_bytes())
    };
    bench.hear(20_000, CALLER, &event(0, false));
    caller.header.sequence = start.sequence.wrapping_add(4);
    caller.header.timestamp = start.timestamp.wrapping_add(800);
    caller.speak(&mut bench);
    bench.hear(20_000, CALLER, &event(2, true));
    let numbers: Vec<u16> = bench.sent_to(AGENT).iter().map(|sent| sent.header().sequence).collect();
    assert_eq!(numbers, (0..6).map(|n| numbers[0].wrapping_add(n)).collect::<Vec<_>>(), "the ends fill the hole that they left");
}
