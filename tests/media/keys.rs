//! Keys pressed on the phone (RFC 4733) reach the other side and leave nothing behind: a card that is typed in is in no recording.

use std::{fs, path::Path};

use throughline::{
    domain::media::{
        plan::{Codec, RecordingPlan},
        tap::{Tap, TapFrame},
    },
    protocol::rtp::{
        packet::Header,
        telephone_event::{KeyDetector, TelephoneEvent},
    },
    service::{
        recorder::{Recorder, RecorderConfig, paths},
        taps,
    },
};

use super::bench::*;

/// A test number with a right check digit, and another one.
const CARD: &str = "4111111111111111";
const OTHER_CARD: &str = "5500005555555559";
/// Packets of one key press.
const PRESS: usize = 7;

/// One key press of 100 ms: growing durations, three ends.
fn press(key: u8) -> [TelephoneEvent; PRESS] {
    let one = |n: u16| TelephoneEvent { event: key, end: n > 4, volume: 10, duration: 160 * n.min(5) };
    [1, 2, 3, 4, 5, 6, 7].map(one)
}

fn type_in(bench: &mut Bench, phone: &mut Phone, card: &str) {
    for key in card.bytes().map(|digit| digit - b'0') {
        let (first, timestamp) = (phone.header.sequence, phone.header.timestamp);
        for (n, event) in (0..).zip(press(key)) {
            let header = Header { payload_type: 101, marker: n == 0, sequence: first.wrapping_add(n), timestamp, ..phone.header };
            bench.hear(20_000, CALLER, &datagram(header, &event.to_bytes()));
            bench.pass(FRAME);
        }
        phone.header.sequence = first.wrapping_add(PRESS as u16);
        phone.header.timestamp = timestamp.wrapping_add(PRESS as u32 * 160);
        phone.speak(bench);
        bench.pass(FRAME);
    }
}

/// A call of speech, a card typed in while `recording` holds, and speech again.
fn call(card: &str, codec: Codec, recording: RecordingPlan) -> Bench {
    let mut bench = Bench::two_phones();
    bench.replan(|plan| {
        plan.legs[0].recording = RecordingPlan::On(recording_id(1));
        plan.legs[1].recording = RecordingPlan::On(recording_id(2));
        speak_codec(&mut plan.legs[1], codec);
    });
    let mut caller = Phone::caller();
    let speak = |bench: &mut Bench, caller: &mut Phone| {
        for _ in 0..25 {
            caller.speak(bench);
            bench.pass(FRAME);
        }
    };
    speak(&mut bench, &mut caller);
    bench.replan(|plan| plan.legs[0].recording = recording);
    type_in(&mut bench, &mut caller, card);
    bench.replan(|plan| plan.legs[0].recording = RecordingPlan::On(recording_id(1)));
    speak(&mut bench, &mut caller);
    bench.close();
    bench
}

/// What the other side reads.
fn keys_heard(bench: &Bench) -> String {
    let mut keys = KeyDetector::default();
    let sent = bench.sent_to(AGENT);
    sent.iter().filter(|s| s.header().payload_type == 101).filter_map(|s| keys.push(s.header().timestamp, s.payload())).collect()
}

fn with_sound(frames: &[TapFrame]) -> usize {
    frames.iter().filter(|frame| !frame.payload().is_empty()).count()
}

/// Records what was tapped and returns the octets of the caller's track.
fn on_disk(bench: &Bench, folder: &Path) -> Vec<u8> {
    let (mut sender, receiver) = taps::channel(10_000);
    let recorder = Recorder::start(&RecorderConfig::new(folder.to_owned()), receiver, |_| {}).unwrap();
    for tap in &bench.out.taps {
        match tap {
            Tap::Frame(frame) => assert!(sender.offer_frame(frame)),
            other => assert_eq!(sender.offer(other.clone()), None),
        }
    }
    sender.flush();
    drop(sender);
    recorder.shutdown();
    fs::read(paths::track(folder, call_id(1), recording_id(1))).unwrap()
}

fn holds(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Codecs of the other side: the same one is relayed, another one goes through the bridge.
const WAYS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

#[test]
fn a_card_typed_in_while_recording_reaches_the_agent_and_no_octet_of_it_is_kept() {
    for codec in WAYS {
        let bench = call(CARD, codec, RecordingPlan::On(recording_id(1)));
        assert_eq!(keys_heard(&bench), CARD, "{codec:?}");
        let frames = bench.frames(1);
        // 25 packets of speech before, one after each key, 25 at the end; a key's own packets hold their place and nothing else.
        assert_eq!((with_sound(&frames), frames.len()), (25 + CARD.len() + 25, 50 + CARD.len() * (1 + PRESS)), "{codec:?}");
        let folder = tempfile::tempdir().unwrap();
        let track = on_disk(&bench, folder.path());
        assert!(holds(&track, frames[0].payload()), "the check can see what is kept");
        for event in CARD.bytes().flat_map(|digit| press(digit - b'0')) {
            assert!(!holds(&track, &event.to_bytes()), "{event:?} is in the track");
        }
    }
}

#[test]
fn a_card_typed_in_while_recording_is_paused_leaves_not_even_its_place() {
    for codec in WAYS {
        let bench = call(CARD, codec, RecordingPlan::Paused(recording_id(1)));
        assert_eq!(keys_heard(&bench), CARD, "{codec:?}: the agent gets it");
        assert_eq!(tap_story(&bench.out.taps, 1), "open 25 pause resume 25 close", "{codec:?}");
        let folder = tempfile::tempdir().unwrap();
        let track = on_disk(&bench, folder.path());
        for event in CARD.bytes().flat_map(|digit| press(digit - b'0')) {
            assert!(!holds(&track, &event.to_bytes()), "{event:?} is in the track");
        }
    }
}

#[test]
fn two_cards_leave_the_same_traces() {
    for codec in WAYS {
        for recording in [RecordingPlan::On(recording_id(1)), RecordingPlan::Paused(recording_id(1))] {
            let [one, other] = [CARD, OTHER_CARD].map(|card| call(card, codec, recording));
            assert_ne!(keys_heard(&one), keys_heard(&other));
            assert_eq!(one.out.taps, other.out.taps, "what is kept does not depend on the keys");
            assert_eq!(format!("{:?}", one.events), format!("{:?}", other.events), "nor does what is told");
        }
    }
}
