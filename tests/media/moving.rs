//! A leg moves from one media thread to another in mid-speech.

use std::time::Duration;

use throughline::domain::media::{
    engine::{Engine, EngineConfig, SILENCE_LIMIT},
    plan::{Codec, MediaCommand, MediaEventKind, RecordingPlan},
};

use super::bench::*;

fn engine(thread: u16) -> Engine {
    Engine::new(EngineConfig { thread, seed: [7; 32], silence_limit: SILENCE_LIMIT, clips: clips() })
}

/// Moves both legs to `other`, plan first or last, and goes on with it; returns the engine that they left.
fn move_all(bench: &mut Bench, mut other: Engine, to: u16, plan_first: bool) -> Engine {
    bench.command(MediaCommand::Evict { call: call_id(1), legs: vec![leg_id(1), leg_id(2)], into: call_id(1), to });
    let moved: Vec<_> = std::iter::from_fn(|| bench.engine.poll_moved()).collect();
    assert_eq!(moved.len(), 2);
    bench.command(MediaCommand::Close { call: call_id(1) });
    std::mem::swap(&mut bench.engine, &mut other);
    let plan = |bench: &mut Bench| {
        bench.replan(|plan| plan.legs.iter_mut().for_each(|leg| (leg.ports.thread, leg.moving) = (to, true)));
    };
    if plan_first {
        plan(bench);
    }
    for leg in moved {
        bench.engine.adopt(bench.now, leg, &mut bench.out);
    }
    if !plan_first {
        plan(bench);
    }
    other
}

#[test]
fn a_call_moves_between_threads_in_mid_speech_as_one_stream_and_one_track() {
    for plan_first in [true, false] {
        let mut bench = Bench::two_phones();
        bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
        let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
        talk(&mut bench, &mut caller, &mut agent, 50);
        let left = move_all(&mut bench, engine(1), 1, plan_first);
        talk(&mut bench, &mut caller, &mut agent, 50);
        let back = move_all(&mut bench, left, 0, plan_first);
        talk(&mut bench, &mut caller, &mut agent, 50);
        for address in [CALLER, AGENT] {
            assert_one_stream(&bench, address);
            assert_eq!((bench.sent_to(address).len(), longest_gap(&bench, address)), (150, FRAME));
        }
        assert_tones(&played(&bench, AGENT, Codec::Pcmu), &CALLER_TONE);
        let totals = bench.close();
        assert_eq!((totals[0].received, totals[0].lost), (150, 0), "what was counted goes with it");
        assert_eq!(tap_story(&bench.out.taps, 1), "open 150 close");
        let frames = bench.frames(1);
        assert!(frames.windows(2).all(|pair| pair[1].ext_seq == pair[0].ext_seq + 1 && pair[1].source == pair[0].source));
        drop(back);
    }
}

#[test]
fn what_a_full_tap_held_back_moves_along_in_order() {
    let mut bench = Bench::two_phones();
    bench.out.room = 0;
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
    let mut caller = Phone::caller();
    caller.speak(&mut bench);
    let left = move_all(&mut bench, engine(1), 1, true);
    bench.out.room = 100;
    caller.speak(&mut bench);
    bench.close();
    assert_eq!(tap_story(&bench.out.taps, 1), "open 1 close");
    drop(left);
}

#[test]
fn a_leg_that_never_arrives_and_one_that_nobody_awaits_are_told_and_freed() {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.legs.push(leg_plan(3, STRANGER, 20_004));
        plan.legs[2].moving = true;
    });
    bench.pass(Duration::from_millis(1));
    bench.command(MediaCommand::Evict { call: call_id(1), legs: vec![leg_id(9)], into: call_id(1), to: 1 });
    bench.command(MediaCommand::Evict { call: call_id(1), legs: vec![leg_id(2)], into: call_id(7), to: 0 });
    let moved = bench.engine.poll_moved().unwrap();
    bench.engine.adopt(bench.now, moved, &mut bench.out);
    bench.pass(Duration::from_secs(5));
    let failed: Vec<_> =
        bench.events.iter().filter(|event| matches!(event.kind, MediaEventKind::Failed { .. })).map(|event| event.kind.clone()).collect();
    let of = |n| MediaEventKind::Failed { leg: leg_id(n) };
    assert_eq!(failed, [of(9), of(3), of(2)]);
    assert!(bench.events.iter().any(|event| matches!(event.kind, MediaEventKind::PortsRested { ports } if ports.rtp_port == 20_002)));
}

#[test]
fn a_leg_that_is_sent_on_before_it_arrived_goes_on() {
    let mut bench = Bench::two_phones();
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 10);
    let legs = vec![leg_id(1), leg_id(2)];
    bench.command(MediaCommand::Evict { call: call_id(1), legs: legs.clone(), into: call_id(1), to: 1 });
    let moved: Vec<_> = std::iter::from_fn(|| bench.engine.poll_moved()).collect();
    let mut between = engine(1);
    let mut plan = bench.plan.clone();
    plan.generation += 1;
    plan.legs.iter_mut().for_each(|leg| (leg.ports.thread, leg.moving) = (1, true));
    between.handle_command(bench.now, MediaCommand::Plan(plan), &mut bench.out);
    between.handle_command(bench.now, MediaCommand::Evict { call: call_id(1), legs, into: call_id(1), to: 0 }, &mut bench.out);
    for leg in moved {
        between.adopt(bench.now, leg, &mut bench.out);
    }
    bench.plan.generation += 1;
    bench.replan(|plan| plan.legs.iter_mut().for_each(|leg| leg.moving = true));
    while let Some(leg) = between.poll_moved() {
        assert_eq!(leg.to(), 0);
        bench.engine.adopt(bench.now, leg, &mut bench.out);
    }
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert_one_stream(&bench, CALLER);
    assert_eq!(bench.sent_to(CALLER).len(), 20);
}
