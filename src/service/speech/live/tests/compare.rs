//! The detectors on what a telephone line carries: 300–3400 Hz, through G.711. Figures: docs/decisions/voice-activity.md.

use std::{f32::consts::PI, fmt::Write as _, fs, path::Path};

use super::{detector::active, *};
use crate::service::speech::{
    RATE,
    check::processor_ms,
    resample,
    tests::{call_with_noise, no_speech, percent},
    utterances as whole, voice_activity,
    voice_activity::FRAME,
};

/// Half the length of the filter: 8 ms.
const TAPS: usize = 64;

/// What comes out of a telephone line.
pub(super) fn telephone(samples: &[i16]) -> Vec<i16> {
    let low_pass = |hz: f32, n: f32| if n == 0.0 { 2.0 * hz / RATE as f32 } else { (2.0 * PI * hz * n / RATE as f32).sin() / (PI * n) };
    let tap = |n: isize| {
        let n = n as f32;
        let window = 0.54 + 0.46 * (PI * n / TAPS as f32).cos();
        (low_pass(3_400.0, n) - low_pass(300.0, n)) * window
    };
    let taps: Vec<f32> = (-(TAPS as isize)..=TAPS as isize).map(tap).collect();
    let padded: Vec<i16> = [&[0; TAPS], samples, &[0; TAPS]].concat();
    let sum = |around: &[i16]| around.iter().zip(&taps).map(|(sample, tap)| f32::from(*sample) * tap).sum::<f32>();
    let through = |sample: f32| g711::alaw_to_linear(g711::linear_to_alaw(sample.round() as i16));
    padded.windows(taps.len()).map(|around| through(sum(around))).collect()
}

/// The carried call as a line carries it, with the frames that are voiced and those far from any voice.
fn lines(snr_db: f32) -> Vec<(Vec<i16>, Vec<usize>, Vec<usize>)> {
    call_with_noise(snr_db).into_iter().map(|(samples, voiced, far)| (telephone(&samples), voiced, far)).collect()
}

fn own(samples: &[i16]) -> Vec<bool> {
    voice_activity::activity(samples).active
}

/// The neural detector takes 16 kHz and frames of 16 ms.
fn earshot(samples: &[i16]) -> Vec<bool> {
    let wide: Vec<i16> = resample::up(samples).iter().map(|s| (s * 32_767.0) as i16).collect();
    let mut detector = earshot::Detector::<earshot::DefaultPredictor>::default();
    let scores: Vec<f32> = wide.chunks_exact(256).map(|f| detector.predict_i16(f)).collect();
    (0..samples.len() / FRAME).map(|i| scores[(i * 160 / 256).min(scores.len() - 1)] > 0.5).collect()
}

#[test]
fn speech_of_a_telephones_bandwidth_is_found_at_10_db_over_noise_and_noise_is_not_taken_for_it() {
    for (samples, voiced, far) in lines(10.0) {
        let mut inside = vec![false; samples.len().div_ceil(FRAME)];
        for piece in utterances(&samples, false) {
            inside[piece.range.start / FRAME..piece.range.end.div_ceil(FRAME)].fill(true);
        }
        let found = voice_activity::activity(&samples);
        let mut after = vec![false; found.active.len()];
        whole::cut(&found.active, &found.level_db).into_iter().for_each(|span| after[span.frames].fill(true));
        for (when, inside, active) in [("live", &inside, active(&samples)), ("after the call", &after, found.active.clone())] {
            let missed = percent(voiced.iter().filter(|i| !inside[**i]).count(), voiced.len());
            let wrong = percent(far.iter().filter(|i| active[**i]).count(), far.len());
            println!("{when}: missed {missed:.2} % of voiced frames, {wrong:.2} % of the others taken for voice");
            assert!(missed <= 1.0 && wrong <= 2.0, "{when}: missed {missed} %, false {wrong} %");
        }
    }
}

/// With `THROUGHLINE_MEASURE` set it writes the signals, what is true of each frame and what our detectors and earshot say of it to
/// `target/voice-activity`, for `scripts/compare/voice-activity`, and prints what they cost; it asserts nothing.
#[test]
fn measure_detectors_on_the_same_audio() {
    if std::env::var_os("THROUGHLINE_MEASURE").is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/voice-activity");
    fs::create_dir_all(&folder).expect("a folder");
    let mut costs = [("own, whole track", 0.0), ("own, live", 0.0), ("earshot", 0.0)];
    let mut seconds = 0.0;
    let mut write = |name: &str, samples: &[i16], truth: String| {
        let mut frames = format!("truth {truth}\n");
        for ((name, cost), detect) in costs.iter_mut().zip([own, active, earshot]) {
            let before = processor_ms();
            let found = detect(samples);
            *cost += processor_ms() - before;
            let flags: String = found.iter().map(|active| if *active { '1' } else { '0' }).collect();
            let _ = writeln!(frames, "{name}\t{flags}");
        }
        seconds += samples.len() as f64 / RATE as f64;
        let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        fs::write(folder.join(format!("{name}.pcm")), pcm).expect("written");
        fs::write(folder.join(format!("{name}.frames")), frames.replacen(' ', "\t", 1)).expect("written");
    };
    for snr_db in [60.0, 20.0, 10.0, 5.0] {
        for ((samples, voiced, far), side) in lines(snr_db).into_iter().zip(["customer", "agent"]) {
            let mut truth = vec!['-'; samples.len() / FRAME];
            voiced.iter().for_each(|frame| truth[*frame] = 'v');
            far.iter().filter(|frame| **frame < samples.len() / FRAME).for_each(|frame| truth[*frame] = 'n');
            write(&format!("speech {snr_db:02} dB {side}"), &samples, truth.into_iter().collect());
        }
    }
    for super::people::Spoken { speaker, snr_db, samples, voiced, far } in super::people::lines(60, &[60.0, 20.0, 10.0, 5.0]) {
        let mut truth = vec!['-'; samples.len() / FRAME];
        voiced.iter().for_each(|frame| truth[*frame] = 'v');
        far.iter().for_each(|frame| truth[*frame] = 'n');
        write(&format!("people {snr_db:02} dB {speaker}"), &samples, truth.into_iter().collect());
    }
    for (name, samples) in no_speech(30) {
        let line = telephone(&samples);
        write(&format!("without speech, {name}"), &line, "n".repeat(line.len() / FRAME));
    }
    for (name, cost) in costs {
        println!("{name}: {:.0} µs a second of sound", cost * 1e3 / seconds);
    }
}
