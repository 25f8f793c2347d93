//! What reaches the recorder: every message once, in order, whatever the tap's room.

use std::time::Duration;

use throughline::{
    domain::media::{
        counters::DropReason,
        plan::{Codec, RecordingPlan},
        tap::{Tap, TapFrame},
    },
    ids::Party,
};

use super::bench::*;

fn recorded() -> (Bench, Phone, Phone) {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.legs[0].recording = RecordingPlan::On(recording_id(1));
        plan.legs[1].recording = RecordingPlan::On(recording_id(2));
    });
    (bench, Phone::caller(), Phone::agent())
}

fn samples(frames: &[TapFrame]) -> Vec<i16> {
    frames.iter().flat_map(|frame| frame.payload().iter().map(|octet| decode(frame.codec, *octet))).collect()
}

#[test]
fn each_leg_has_its_own_track_with_its_own_speech_as_received() {
    let (mut bench, mut caller, mut agent) = recorded();
    bench.pass(Duration::from_millis(1500));
    talk(&mut bench, &mut caller, &mut agent, 100);
    bench.close();
    assert_eq!((tap_story(&bench.out.taps, 1), tap_story(&bench.out.taps, 2)), ("open 100 close".into(), "open 100 close".into()));
    assert_tones(&samples(&bench.frames(1)), &CALLER_TONE);
    assert_tones(&samples(&bench.frames(2)), &AGENT_TONE);
    let frames = bench.frames(1);
    assert_eq!(frames[0].arrival_us, 1_500_000);
    for pair in frames.windows(2) {
        assert_eq!((pair[1].ext_seq - pair[0].ext_seq, pair[1].ext_ts - pair[0].ext_ts), (1, 160));
        assert_eq!((pair[1].arrival_us - pair[0].arrival_us, pair[1].source), (20_000, pair[0].source));
    }
    let opened = bench.out.taps.iter().find_map(|tap| match tap {
        Tap::Open(open) if open.leg == leg_id(1) => Some(open.clone()),
        _ => None,
    });
    let open = opened.unwrap();
    assert_eq!((open.recording, open.interaction, open.party, open.codec), (recording_id(1), call_id(1), Party::Customer, Codec::Pcmu));
    assert_eq!((open.axis_us, open.axis_start_wall), (0, START_WALL));
}

#[test]
fn pause_and_resume_come_once_each_and_nothing_is_kept_between() {
    let (mut bench, mut caller, mut agent) = recorded();
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::Paused(recording_id(1)));
    bench.replan(|_| {});
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::Off);
    talk(&mut bench, &mut caller, &mut agent, 10);
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::Paused(recording_id(3)));
    bench.close();
    assert_eq!(tap_story(&bench.out.taps, 1), "open 10 pause resume 10 close open pause close");
    assert_eq!(tap_story(&bench.out.taps, 2), "open 40 close");
}

#[test]
fn a_full_tap_drops_frames_with_a_count_and_keeps_what_opens_and_closes() {
    let mut bench = Bench::two_phones();
    bench.out.room = 0;
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
    let (mut caller, mut agent) = (Phone::caller(), Phone::agent());
    talk(&mut bench, &mut caller, &mut agent, 5);
    assert!(bench.out.taps.is_empty());
    bench.out.room = 4;
    talk(&mut bench, &mut caller, &mut agent, 10);
    assert_eq!(tap_story(&bench.out.taps, 1), "open 3");
    let totals = bench.close();
    assert_eq!(tap_story(&bench.out.taps, 1), "open 3", "the close waits");
    bench.out.room = 10;
    bench.pass(Duration::from_millis(20));
    assert_eq!(tap_story(&bench.out.taps, 1), "open 3 close");
    assert!(matches!(bench.out.taps.last(), Some(Tap::Close { dropped: 12, .. })));
    assert_eq!((totals[0].tap_dropped, totals[1].tap_dropped), (12, 0));
    assert_eq!(bench.engine.counters().dropped_for(DropReason::TapFull), 12);
    assert_eq!(bench.sent_to(AGENT).len(), 15, "the talk itself never waits");
}

#[test]
fn a_new_source_of_a_leg_is_told_apart_in_its_track() {
    let (mut bench, mut caller, _) = recorded();
    for n in 0..120 {
        if n == 60 {
            (caller.header.ssrc, caller.header.sequence) = (99, 3);
        }
        caller.speak(&mut bench);
        bench.pass(FRAME);
    }
    let frames = bench.frames(1);
    assert_eq!(frames.iter().filter(|frame| frame.source == 1).count(), 60);
    assert_eq!(frames.iter().filter(|frame| frame.source == 2).count(), 60);
}

#[test]
fn a_stranger_adds_nothing_to_a_recording() {
    let (mut bench, mut caller, mut agent) = recorded();
    let mut sprayer = Phone::new(STRANGER, 20_000, [1477.0, 852.0]);
    for _ in 0..100 {
        talk(&mut bench, &mut caller, &mut agent, 1);
        sprayer.speak(&mut bench);
    }
    let frames = bench.frames(1);
    assert_eq!(frames.len(), 100);
    assert_tones(&samples(&frames), &CALLER_TONE);
}

#[test]
fn the_tap_is_the_same_in_relay_and_bridge() {
    let stories = [Codec::Pcmu, Codec::Pcma].map(|codec| {
        let (mut bench, mut caller, _) = recorded();
        bench.replan(|plan| speak_codec(&mut plan.legs[1], codec));
        for _ in 0..50 {
            caller.speak(&mut bench);
            bench.pass(FRAME);
        }
        bench.frames(1)
    });
    assert_eq!(stories[0], stories[1]);
}
