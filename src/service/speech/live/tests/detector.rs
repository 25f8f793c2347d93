//! The streaming detector and cutter, beside the whole track's.

use super::*;
use crate::service::speech::{
    RATE, front_end,
    live::activity::StreamingActivity,
    tests::{add, call_with_noise, carried_call, leg, no_speech, noise, percent, sines},
    utterances as whole, voice_activity,
    voice_activity::FRAME,
};

/// Frames inside utterances.
pub(super) fn inside(samples: &[i16]) -> Vec<bool> {
    let mut inside = vec![false; samples.len().div_ceil(FRAME)];
    for piece in utterances(samples, false) {
        inside[piece.range.start / FRAME..piece.range.end.div_ceil(FRAME)].fill(true);
    }
    inside
}

/// What the detector says of each frame while it comes.
pub(super) fn active(samples: &[i16]) -> Vec<bool> {
    let mut detector = StreamingActivity::default();
    let mut frames: Vec<bool> =
        samples.chunks_exact(FRAME).filter_map(|f| detector.push(f.try_into().expect("a frame"))).map(|f| f.active).collect();
    frames.extend(detector.flush().map(|f| f.active));
    frames
}

#[test]
fn live_speech_at_known_places_is_found_at_10_db_over_noise_and_noise_is_not_taken_for_it() {
    for snr_db in [60.0, 20.0, 10.0] {
        for (samples, voiced, far) in call_with_noise(snr_db) {
            let (inside, active) = (inside(&samples), active(&samples));
            let missed = percent(voiced.iter().filter(|i| !inside[**i]).count(), voiced.len());
            let wrong = percent(far.iter().filter(|i| active[**i]).count(), far.len());
            let kept = percent(far.iter().filter(|i| inside[**i]).count(), far.len());
            println!(
                "SNR {snr_db} dB: missed {missed:.2} % of voiced frames; of the others {wrong:.2} % taken for voice, {kept:.2} % in utterances"
            );
            assert!(missed <= 1.0 && wrong <= 2.0);
        }
    }
}

#[test]
fn live_and_whole_track_utterances_hold_the_same_frames_but_for_three_percent() {
    for snr_db in [60.0, 20.0, 10.0] {
        for (samples, _, _) in call_with_noise(snr_db) {
            let live = inside(&samples);
            let found = voice_activity::activity(&samples);
            let mut all = vec![false; live.len()];
            for span in whole::cut(&found.active, &found.level_db) {
                all[span.frames].fill(true);
            }
            let of_all = all.iter().filter(|inside| **inside).count();
            let missed = percent(all.iter().zip(&live).filter(|(all, live)| **all && !**live).count(), of_all);
            let more = percent(all.iter().zip(&live).filter(|(all, live)| !**all && **live).count(), of_all);
            println!("SNR {snr_db} dB: of the whole track's frames in utterances live misses {missed:.2} %, adds {more:.2} %");
            assert!(missed <= 3.0 && more <= 3.0);
        }
    }
}

#[test]
fn live_yes_no_and_four_of_300_ms_come_out_with_their_pre_roll() {
    let word = sines(RATE * 3 / 10, |i| vec![(180.0 + 40.0 * (i as f32 / 800.0).sin(), 0.1), (620.0 + i as f32 / 8.0, 0.1)]);
    let silence = noise(RATE, 20, 1);
    let samples: Vec<i16> = [silence.clone(), word.clone(), silence.clone(), word.clone(), silence].concat();
    let pieces = utterances(&samples, false);
    assert_eq!(pieces.len(), 2);
    for (piece, start) in pieces.iter().zip([RATE, RATE * 23 / 10]) {
        assert_eq!(piece.refused, None);
        assert!(piece.range.start.abs_diff(start - RATE / 4) <= 2 * FRAME && piece.range.end.abs_diff(start + RATE * 3 / 10) <= 2 * FRAME);
        assert!(piece.sound.len() >= RATE * 12 / 10, "padded for the model");
    }
}

#[test]
fn a_call_that_begins_in_mid_sentence_keeps_its_beginning() {
    for call in carried_call() {
        let first = front_end::listen(&call).pieces[0].range.clone();
        // 300 ms into the first utterance: the line's noise has never been heard.
        let cut = first.start + RATE * 55 / 100;
        let pieces = utterances(&call.samples[cut..], false);
        let start = pieces.first().expect("speech").range.start;
        assert!(start <= RATE / 10, "the first utterance begins at sample {start}");
    }
}

#[test]
fn idle_g711_and_a_hold_before_the_talk_change_nothing_live() {
    for call in carried_call() {
        let plain = utterances(&call.samples, false).len();
        for seconds in [1, 3, 6] {
            let idle = vec![8; RATE * seconds];
            assert_eq!(utterances(&[idle.as_slice(), &call.samples].concat(), false).len(), plain, "{seconds} s before");
            assert_eq!(utterances(&[call.samples.as_slice(), &idle].concat(), false).len(), plain, "{seconds} s after");
        }
        let mut ear = LegEar::new(&head(leg(1), Party::Customer));
        ear.push(&Chunk { axis_start_us: 0, duration_us: 600_000_000, kind: ChunkKind::Paused });
        for mut chunk in packets(&call.samples) {
            chunk.axis_start_us += 600_000_000;
            ear.push(&chunk);
        }
        ear.close(600_000_000 + call.samples.len() as u64 * 125);
        let found = std::iter::from_fn(|| ear.next_event()).filter(|event| matches!(event, EarEvent::Utterance(_))).count();
        assert_eq!((found, ear.coverage().paused), (plain, 4_800_000));
    }
}

#[test]
fn when_the_peer_stops_sending_an_utterance_ends_all_the_same() {
    let call = &carried_call()[0];
    let first = front_end::listen(call).pieces.into_iter().find(|piece| piece.refused.is_none()).expect("speech").range;
    let mut ear = LegEar::new(&head(leg(1), Party::Customer));
    packets(&call.samples[..first.end]).iter().for_each(|chunk| ear.push(chunk));
    let end_us = first.end as u64 * 125;
    while ear.next_event().is_some() {}
    ear.poll(end_us + 500_000);
    assert!(ear.next_event().is_none());
    ear.poll(end_us + 800_000);
    let Some(EarEvent::Utterance(piece)) = ear.next_event() else { panic!("no utterance") };
    assert!(piece.range.end.abs_diff(first.end) <= 4 * FRAME);
}

/// Measured for docs/decisions/voice-activity.md when `THROUGHLINE_MEASURE` is set; it asserts nothing.
#[test]
fn measure_the_streaming_detector() {
    if std::env::var_os("THROUGHLINE_MEASURE").is_none() {
        return;
    }
    for snr_db in [60.0, 20.0, 10.0, 5.0] {
        for (samples, voiced, far) in call_with_noise(snr_db) {
            let (inside, active) = (inside(&samples), active(&samples));
            let missed = |found: &[bool]| percent(voiced.iter().filter(|i| !found[**i]).count(), voiced.len());
            let wrong = percent(far.iter().filter(|i| active[**i]).count(), far.len());
            println!("SNR {snr_db} dB: missed {:.1} %, after cutting {:.2} %, false {wrong:.1} %", missed(&active), missed(&inside));
        }
    }
    for (name, samples) in no_speech(60) {
        let active = active(&samples);
        let share = percent(active.iter().filter(|a| **a).count(), active.len());
        let pieces = utterances(&samples, false);
        let passed = pieces.iter().filter(|p| p.refused.is_none()).count();
        println!("{name}: active {share:.1} %, {} utterances, {passed} past the gates", pieces.len());
    }
    let call = &carried_call()[0];
    let loud: Vec<i16> = (0..20).flat_map(|_| add(&call.samples, &noise(call.samples.len(), 30, 3))).collect();
    let chunks = packets(&loud);
    let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut ear = LegEar::new(&head(leg(1), Party::Customer));
    chunks.iter().for_each(|chunk| ear.push(chunk));
    let took = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default() - begun;
    let seconds = loud.len() as f64 / RATE as f64;
    println!("{seconds:.0} s of a talking leg: {:.4} % of a core", 100.0 * took.as_secs_f64() / seconds);
}
