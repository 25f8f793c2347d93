//! Tests of the whole path with doubles in the worker's place.

use std::f32::consts::TAU;

use super::{
    front_end::{self, Cut, TrackAudio},
    model::Thresholds,
    pool::Pool,
    transcribe::{Heard, HeardWord, Request, TranscribeError, Transcriber},
    voice_activity::{self, FRAME},
    *,
};
use crate::{
    domain::insight::redaction::Rules,
    ids::{LegId, Party},
    time::UnixMs,
};

/// Invents a confident sentence for whatever it is given.
pub(super) struct Inventor;

impl Transcriber for Inventor {
    fn transcribe(&mut self, _: &Request) -> Result<Heard, TranscribeError> {
        let word = |text: &str, n: u32| HeardWord { text: text.into(), from_ms: n * 100, to_ms: n * 100 + 90, probability: 0.97 };
        let words = vec![word("I", 0), word("was", 1), word("charged", 2), word("twice.", 3)];
        Ok(Heard { language: "en".into(), no_speech: 0.01, logprob: -0.1, words })
    }
}

fn inventor() -> Pool {
    Pool::of("double", Thresholds::default(), vec![Box::new(Inventor)]).expect("threads start")
}

pub(super) fn leg(n: u8) -> LegId {
    LegId::new(UnixMs(1), [n; 10])
}

fn track(samples: Vec<i16>) -> TrackAudio {
    TrackAudio { leg: leg(1), party: Party::Customer, start_ms: 0, samples, gaps: vec![] }
}

/// Uniform noise of the given peak.
pub(super) fn noise(n: usize, peak: i32, seed: u64) -> Vec<i16> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as i32
    };
    (0..n).map(|_| (next() % (2 * peak + 1) - peak) as i16).collect()
}

pub(super) fn sines(n: usize, parts: impl Fn(usize) -> Vec<(f32, f32)>) -> Vec<i16> {
    let sample = |i: usize| parts(i).iter().map(|(hz, amp)| amp * (TAU * hz * i as f32 / RATE as f32).sin()).sum::<f32>();
    (0..n).map(|i| (sample(i) * 32_767.0) as i16).collect()
}

pub(super) fn add(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)).collect()
}

/// What a line carries when nobody speaks, named.
pub(super) fn no_speech(seconds: usize) -> Vec<(&'static str, Vec<i16>)> {
    let n = seconds * RATE;
    let on = |i: usize, on_ms: usize, off_ms: usize| (i * 1_000 / RATE) % (on_ms + off_ms) < on_ms;
    let gated = |yes: bool, parts: [(f32, f32); 2]| if yes { parts.to_vec() } else { vec![] };
    let ringback = sines(n, |i| gated(on(i, 1_000, 4_000), [(425.0, 0.2), (425.0, 0.0)]));
    let us_ringback = sines(n, |i| gated(on(i, 2_000, 4_000), [(440.0, 0.1), (480.0, 0.1)]));
    let busy = sines(n, |i| gated(on(i, 480, 480), [(425.0, 0.2), (0.0, 0.0)]));
    let keys = [(697.0, 1_209.0), (770.0, 1_336.0), (852.0, 1_477.0), (941.0, 1_336.0)];
    let dtmf = sines(n, |i| {
        let (low, high) = keys[(i / (RATE / 5)) % 4];
        gated(on(i, 100, 100), [(low, 0.15), (high, 0.15)])
    });
    let chords = [[262.0, 330.0, 392.0], [220.0, 262.0, 330.0], [349.0, 440.0, 523.0], [392.0, 494.0, 587.0]];
    let music = sines(n, |i| {
        let (beat, t) = (i / (RATE / 2), (i % (RATE / 2)) as f32 / (RATE / 2) as f32);
        let notes = chords[beat / 2 % 4];
        let melody = notes[beat % 3] * 2.0;
        let tone = |hz: f32, amp: f32| [(hz, amp), (hz * 2.0, amp * 0.4), (hz * 3.0, amp * 0.2)];
        notes.iter().flat_map(|hz| tone(*hz, 0.05)).chain(tone(melody, 0.1 * (1.0 - 0.6 * t))).collect()
    });
    let hiss = noise(n, 300, 11);
    vec![
        ("digital silence", vec![0; n]),
        ("idle line", noise(n, 8, 3)),
        ("loud noise", noise(n, 6_000, 5)),
        ("ringback", add(&ringback, &noise(n, 20, 7))),
        ("US ringback", add(&us_ringback, &noise(n, 20, 8))),
        ("busy tone", add(&busy, &noise(n, 20, 9))),
        ("DTMF", add(&dtmf, &noise(n, 20, 10))),
        ("music", add(&music, &hiss)),
    ]
}

fn words(pool: &Pool, track: &TrackAudio, cut: Cut) -> usize {
    let transcript = pool.transcribe_cuts(std::slice::from_ref(track), vec![cut]).expect("doubles answer");
    transcript.utterances.iter().map(|u| u.words.len()).sum()
}

#[test]
fn a_model_that_invents_text_for_everything_gets_no_word_through_ten_minutes_of_no_speech() {
    let pool = inventor();
    for (name, samples) in no_speech(600) {
        let track = track(samples);
        let mut activity = voice_activity::activity(&track.samples);
        assert_eq!(words(&pool, &track, front_end::cut(&track, &activity)), 0, "{name}");
        activity.active.fill(true);
        assert_eq!(words(&pool, &track, front_end::cut(&track, &activity)), 0, "{name}, voice detector forced open");
    }
}

/// The sample call with white noise added; per channel: audio at −30 dBov, frames with voice, frames far from any.
pub(super) fn call_with_noise(snr_db: f32) -> Vec<(Vec<i16>, Vec<usize>, Vec<usize>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples");
    let script: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(folder.join("call.json")).unwrap()).unwrap();
    let tracks = file::read_wav(&folder.join("call.wav")).unwrap();
    let channel = |(c, t): (usize, &TrackAudio)| {
        let frames = t.samples.len() / FRAME;
        let level = voice_activity::activity(&t.samples).level_db;
        let mut spoken = vec![false; frames];
        for s in script["segments"].as_array().unwrap().iter().filter(|s| s["channel"] == c) {
            let frame = |key: &str| (s[key].as_f64().unwrap() * 100.0) as usize;
            spoken[frame("start")..frame("end").min(frames)].fill(true);
        }
        let loudest = level.iter().copied().fold(-100.0, f32::max);
        let voiced: Vec<usize> = (0..frames).filter(|i| spoken[*i] && level[*i] > loudest - 25.0).collect();
        let far = (0..frames).filter(|i| !spoken[i.saturating_sub(30)..(i + 30).min(frames)].contains(&true)).collect();
        let power = voiced.iter().map(|i| 10f32.powf(level[*i] / 10.0)).sum::<f32>() / voiced.len() as f32;
        let gain = 10f32.powf((-30.0 - 10.0 * power.log10()) / 20.0);
        let peak = (32_768.0 * 10f32.powf((-30.0 - snr_db) / 20.0) * 3f32.sqrt()) as i32;
        let quiet: Vec<i16> = t.samples.iter().map(|s| (f32::from(*s) * gain) as i16).collect();
        (add(&quiet, &noise(quiet.len(), peak, 77)), voiced, far)
    };
    tracks.iter().enumerate().map(channel).collect()
}

pub(super) fn percent(part: usize, of: usize) -> f32 {
    100.0 * part as f32 / of.max(1) as f32
}

#[test]
fn speech_at_known_places_is_found_at_10_db_over_noise_and_noise_is_not_taken_for_it() {
    for snr_db in [60.0, 20.0, 10.0] {
        for (samples, voiced, far) in call_with_noise(snr_db) {
            let found = voice_activity::activity(&samples);
            let mut inside = vec![false; found.active.len()];
            for span in utterances::cut(&found.active, &found.level_db) {
                inside[span.frames].fill(true);
            }
            let missed = percent(voiced.iter().filter(|i| !inside[**i]).count(), voiced.len());
            let wrong = percent(far.iter().filter(|i| found.active[**i]).count(), far.len());
            println!("SNR {snr_db} dB: missed {missed:.2} % of voiced frames, {wrong:.2} % of the others taken for voice");
            assert!(missed <= 1.0 && wrong <= 2.0);
        }
    }
}

pub(super) fn carried_call() -> Vec<TrackAudio> {
    file::read_wav(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/call.wav")).expect("carried")
}

/// Utterances as (from, to) in frames.
fn spans(samples: &[i16]) -> Vec<(usize, usize)> {
    let cut = front_end::listen(&track(samples.to_vec()));
    cut.pieces.iter().map(|p| (p.range.start / FRAME, p.range.end / FRAME)).collect()
}

#[test]
fn idle_g711_after_the_talk_does_not_make_the_rooms_noise_a_voice() {
    for call in carried_call() {
        let plain = spans(&call.samples);
        for seconds in 1..=6 {
            // The idle octet of A-law decodes to 8.
            let idle = vec![8; RATE * seconds];
            let after = spans(&[call.samples.as_slice(), &idle].concat());
            assert_eq!(after.len(), plain.len(), "{seconds} s after: {after:?} but {plain:?}");
            let before = spans(&[idle.as_slice(), &call.samples].concat());
            assert_eq!(before.len(), plain.len(), "{seconds} s before: {before:?} but {plain:?}");
        }
    }
}

#[test]
fn on_a_phone_that_gates_its_noise_every_word_is_still_found() {
    for call in carried_call() {
        let plain = voice_activity::activity(&call.samples).active;
        let spoken = spans(&call.samples);
        let mut gated = vec![8; call.samples.len()];
        for (from, to) in &spoken {
            gated[from * FRAME..to * FRAME].copy_from_slice(&call.samples[from * FRAME..to * FRAME]);
        }
        let found = spans(&gated);
        let missed = (0..plain.len()).filter(|i| plain[*i] && !found.iter().any(|(from, to)| (*from..*to).contains(i))).count();
        let voiced = plain.iter().filter(|v| **v).count();
        assert!(percent(missed, voiced) <= 1.5, "{missed} of {voiced} voiced frames are missed");
    }
}

#[test]
fn yes_no_and_four_of_300_ms_come_out_with_their_pre_roll() {
    let word = sines(RATE * 3 / 10, |i| vec![(180.0 + 40.0 * (i as f32 / 800.0).sin(), 0.1), (620.0 + i as f32 / 8.0, 0.1)]);
    let silence = noise(RATE, 20, 1);
    let samples: Vec<i16> = [silence.clone(), word.clone(), silence.clone(), word.clone(), silence].concat();
    let cut = front_end::listen(&track(samples));
    assert_eq!(cut.pieces.len(), 2);
    for (piece, start) in cut.pieces.iter().zip([RATE, RATE * 23 / 10]) {
        assert_eq!(piece.refused, None);
        assert!(piece.range.start.abs_diff(start - RATE / 4) <= 2 * FRAME && piece.range.end.abs_diff(start + RATE * 3 / 10) <= 2 * FRAME);
        assert!(piece.sound.len() >= RATE * 12 / 10, "padded for the model");
    }
}

fn heard(text: &str, change: impl Fn(&mut Heard)) -> Heard {
    let word = |(w, n): (&str, u32)| HeardWord { text: w.into(), from_ms: n * 200, to_ms: n * 200 + 180, probability: 0.9 };
    let words = text.split_whitespace().zip(0..).map(word).collect();
    let mut heard = Heard { language: "en".into(), no_speech: 0.0, logprob: -0.2, words };
    change(&mut heard);
    heard
}

#[test]
fn what_is_too_short_or_too_quiet_for_words_never_reaches_the_model_and_says_why() {
    use gates::{Rejection, before};
    let voice = &carried_call()[0].samples[..];
    let judged = |voiced_ms, level_db| {
        before(&gates::Sound { samples: &voice[RATE..4 * RATE], voiced_ms, level_db, floor_db: -50.0, moving_min: 0 })
    };
    assert_eq!(judged(240, -44.0), None);
    assert_eq!(judged(239, -20.0), Some(Rejection::TooShort));
    assert_eq!(judged(2_000, -44.1), Some(Rejection::TooQuiet), "not 6 dB over the noise of the leg");
    let of = |name: &str| no_speech(4).into_iter().find(|(n, _)| *n == name).expect("is there").1;
    for (name, why) in [("DTMF", Rejection::Keys), ("busy tone", Rejection::Tones), ("music", Rejection::Tones)] {
        let samples = of(name);
        let sound = gates::Sound { samples: &samples, voiced_ms: 2_000, level_db: -20.0, floor_db: -50.0, moving_min: 0 };
        assert_eq!(before(&sound), Some(why), "{name}");
    }
}

#[test]
fn every_gate_after_the_model_says_why() {
    use gates::{Rejection, after};
    let t = Thresholds::default();
    let judged = |h: &Heard, voiced_ms| after(h, voiced_ms, voiced_ms, &t);
    let long = "I sent you an email two hours ago and nobody answered it until now";
    assert_eq!(judged(&heard(long, |_| ()), 4_000), None);
    assert_eq!(judged(&heard("", |_| ()), 4_000), Some(Rejection::Nothing));
    assert_eq!(judged(&heard("", |h| h.no_speech = 0.9), 4_000), Some(Rejection::NoSpeech));
    assert_eq!(judged(&heard(long, |h| (h.no_speech, h.logprob) = (0.9, -1.2)), 4_000), Some(Rejection::NoSpeech));
    assert_eq!(judged(&heard(long, |h| h.no_speech = 0.9), 4_000), None, "sure words outweigh it");
    assert_eq!(judged(&heard(long, |h| h.logprob = -1.6), 4_000), Some(Rejection::Unsure));
    assert_eq!(judged(&heard(long, |_| ()), 1_000), Some(Rejection::TooFast));
    let circle = "thank you so much thank you so much thank you so much thank you so much";
    assert_eq!(judged(&heard(circle, |_| ()), 9_000), Some(Rejection::Repeats));
    assert_eq!(judged(&heard("my number is 5 5 5 5 5", |_| ()), 3_000), None, "digits may repeat");
    assert_eq!(judged(&heard("you", |_| ()), 400), Some(Rejection::StockPhrase));
    assert_eq!(judged(&heard("Thank you.", |_| ()), 400), None);
    assert_eq!(judged(&heard("Thank you.", |h| h.logprob = -0.9), 400), Some(Rejection::StockPhrase));
    let beyond = heard("I see", |h| h.words[1].from_ms = 9_000);
    assert_eq!(judged(&beyond, 1_000), Some(Rejection::BeyondAudio));
    let demo = Thresholds { no_speech_alone: true, ..Thresholds::default() };
    assert_eq!(after(&heard(long, |h| h.no_speech = 0.9), 4_000, 4_000, &demo), Some(Rejection::NoSpeech));
}

#[test]
fn an_answer_of_a_megabyte_is_judged_by_its_beginning_alone() {
    let numbered: String = (0..160_000_u64).map(|n| format!("{:06x}", n.wrapping_mul(2_654_435_761) % 0x00ff_ffff)).collect();
    let judged = |text: &str| gates::after(&heard(text, |_| ()), 30_000, 30_000, &Thresholds::default());
    assert_eq!(judged(&numbered), None, "one word without an end does not pack");
    assert_eq!(judged(&"again".repeat(200_000)), Some(gates::Rejection::Repeats));
}

/// Goes round in circles until it is asked to look at the full context; then too, when `always`.
struct Circles {
    always: bool,
}

impl Transcriber for Circles {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let good = request.full_context && !self.always;
        Ok(heard(if good { "It came late." } else { "It came late it came late it came late it came late" }, |_| ()))
    }
}

#[test]
fn a_decode_that_goes_round_in_circles_is_asked_once_more_and_then_cut() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    let tracks = file::read_wav(&sample).unwrap();
    for always in [false, true] {
        let pool = Pool::of("double", Thresholds::default(), vec![Box::new(Circles { always })]).unwrap();
        let text = pool.transcribe_call(&tracks).unwrap().utterances[0].text();
        assert_eq!(text.to_lowercase().trim_end_matches('.'), "it came late");
    }
}

#[test]
fn the_other_legs_words_heard_through_are_hidden_as_echo_and_real_ones_stay() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    let loud = file::read_wav(&sample).unwrap().remove(0);
    for (gain, hidden) in [(0.1, true), (0.9, false)] {
        let quiet: Vec<i16> = loud.samples.iter().map(|s| (f32::from(*s) * gain) as i16).collect();
        let echo = TrackAudio { leg: leg(2), party: Party::Agent, start_ms: 150, samples: quiet, gaps: vec![] };
        let transcript = inventor().transcribe_call(&[loud.clone(), echo]).unwrap();
        let of_echo = transcript.utterances.iter().find(|u| u.leg == leg(2)).unwrap();
        assert_eq!(of_echo.rejected.as_deref() == Some("echo"), hidden, "{transcript:?}");
        assert_eq!(transcript.coverage[1].rejected > 0, hidden, "coverage counts it");
    }
}

/// Answers, loses, or invents nothing, by the seed.
struct Moody(u64);

impl Transcriber for Moody {
    fn transcribe(&mut self, _: &Request) -> Result<Heard, TranscribeError> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match self.0 >> 62 {
            0 => Ok(heard("It came late.", |_| ())),
            1 => Ok(heard("", |_| ())),
            _ => Err(TranscribeError::Lost("moody".into())),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn every_sample_is_counted_exactly_once(
        parts in proptest::collection::vec((proptest::bool::ANY, 1usize..30_000), 0..8),
        gaps in proptest::collection::vec((0usize..90_000, 0usize..40_000, proptest::bool::ANY), 0..6),
        seed in proptest::num::u64::ANY,
    ) {
        let samples: Vec<i16> = parts.iter().flat_map(|(loud, n)| noise(*n, if *loud { 9_000 } else { 10 }, seed)).collect();
        let gap = |(from, len, paused): &(usize, usize, bool)| Gap {
            samples: *from..from + len,
            kind: if *paused { GapKind::Paused } else { GapKind::Lost },
        };
        let track = TrackAudio { gaps: gaps.iter().map(gap).collect(), ..track(samples) };
        let pool = Pool::of("double", Thresholds::default(), vec![Box::new(Moody(seed))]).unwrap();
        let transcript = pool.transcribe_call(std::slice::from_ref(&track)).unwrap();
        let sum = &transcript.coverage[0];
        proptest::prop_assert_eq!(sum.received, track.samples.len() as u64);
        proptest::prop_assert_eq!(sum.received, sum.voiced + sum.unvoiced + sum.lost + sum.paused);
        proptest::prop_assert_eq!(sum.voiced, sum.transcribed + sum.rejected + sum.failed);
        proptest::prop_assert_eq!(sum.pending, 0);
        proptest::prop_assert!(transcript.utterances.windows(2).all(|w| w[0].from_ms <= w[1].from_ms), "in order of time");
        let inside = |u: &crate::domain::insight::utterance::Utterance| u.words.iter().all(|w| u.from_ms <= w.from_ms && w.from_ms <= w.to_ms && w.to_ms <= u.to_ms);
        proptest::prop_assert!(transcript.utterances.iter().all(inside));
    }
}

/// Reads out a card number, whatever it is given.
struct CardReader;

impl Transcriber for CardReader {
    fn transcribe(&mut self, _: &Request) -> Result<Heard, TranscribeError> {
        let text = "My card number is 4111 1111 1111 1111.";
        let word = |(text, n): (&str, u32)| HeardWord { text: text.into(), from_ms: n * 200, to_ms: n * 200 + 180, probability: 0.9 };
        Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: text.split(' ').zip(0..).map(word).collect() })
    }
}

#[test]
fn a_file_that_is_transcribed_shows_no_card_number_unless_redaction_is_off() {
    let pool = Pool::of("double", Thresholds::default(), vec![Box::new(CardReader)]).expect("threads start");
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    for (off, json) in [(false, false), (false, true), (true, false)] {
        let mut out = Vec::new();
        file::transcribe_file(&pool, &sample, json, &Rules { off, ..Rules::default() }, &mut out).expect("transcribes");
        let out = String::from_utf8(out).expect("text");
        assert_eq!((out.contains("1111"), out.contains("[card number]")), (off, !off), "{out}");
    }
}
