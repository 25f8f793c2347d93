//! Live calls: words in time, gates, echo, partial words, lag, and workers that cannot.

use super::*;
use crate::{
    domain::live::LATER,
    service::speech::{
        RATE,
        front_end::Outcome,
        schedule::Shed,
        tests::{Inventor, carried_call, leg, no_speech},
        transcribe::{Heard, HeardWord, TranscribeError},
    },
};

const DECODE_US: u64 = 300_000;

fn legs() -> [(LegId, Party); 2] {
    [(leg(1), Party::Customer), (leg(2), Party::Agent)]
}

/// Says a word for each third of a second, and so more when it hears more.
struct Teller;

impl Transcriber for Teller {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let count = (request.sound.len() * 3 / RATE / 2) as u32;
        let word = |n: u32| HeardWord { text: format!("word{n}"), from_ms: n * 300, to_ms: n * 300 + 250, probability: 0.9 };
        Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: (0..count.max(1)).map(word).collect() })
    }
}

#[test]
fn a_model_that_invents_text_gets_no_word_onto_a_desk_through_ten_minutes_of_no_speech() {
    for (name, minute) in no_speech(60) {
        let samples = minute.repeat(10);
        for forced in [false, true] {
            let mut inventor = Inventor;
            let mut scene = Scene::new(&legs()[..1], &mut inventor, DECODE_US);
            if forced {
                scene.call.ear(leg(1)).expect("is there").force_open();
            }
            scene.speak(&[(leg(1), &samples)]);
            let words: usize = scene.told.iter().flat_map(|(_, _, all)| all).map(|live| live.utterance.words.len()).sum();
            assert_eq!(words, 0, "{name}, voice detector forced open: {forced}");
        }
    }
}

#[test]
fn the_carried_call_is_told_while_it_is_spoken_by_the_right_legs_and_in_time() {
    let tracks = carried_call();
    let mut teller = Teller;
    let mut scene = Scene::new(&legs(), &mut teller, DECODE_US);
    scene.speak(&[(leg(1), &tracks[0].samples), (leg(2), &tracks[1].samples)]);
    let shown = scene.shown();
    assert!(shown.iter().all(|live| !live.partial), "every utterance is final in the end");
    for (n, track) in tracks.iter().enumerate() {
        let whole = crate::service::speech::front_end::listen(track).pieces.len();
        let live = shown.iter().filter(|live| live.utterance.leg == leg(n as u8 + 1) && live.utterance.rejected.is_none()).count();
        assert!(live.abs_diff(whole) <= 1, "leg {n}: {live} utterances live, {whole} after the call");
    }
    for (told_us, lag_ms, all) in &scene.told {
        assert!(*lag_ms < 2_000);
        for live in all.iter().filter(|live| !live.partial) {
            let late_us = told_us.saturating_sub(u64::from(live.utterance.to_ms) * 1_000);
            assert!(late_us <= 480_000 + DECODE_US + 200_000, "{} ms after its end", late_us / 1_000);
            assert!(live.utterance.words.iter().all(|w| w.to_ms <= live.utterance.to_ms), "words lie in their utterance");
        }
    }
    let pending: u64 = scene.call.coverage().iter().map(|sum| sum.pending).sum();
    assert_eq!(pending, 0);
}

#[test]
fn long_speech_shows_words_before_it_ends_and_the_final_ones_take_their_place() {
    let tracks = carried_call();
    let mut teller = Teller;
    let mut scene = Scene::new(&legs(), &mut teller, DECODE_US);
    scene.speak(&[(leg(1), &tracks[0].samples), (leg(2), &tracks[1].samples)]);
    let partial: Vec<_> =
        scene.told.iter().flat_map(|(at, _, all)| all.iter().map(move |live| (*at, live))).filter(|(_, l)| l.partial).collect();
    assert!(!partial.is_empty());
    for (at_us, live) in &partial {
        let u = &live.utterance;
        assert!(u.to_ms - u.from_ms >= 2_000, "not before two seconds of speech");
        let after = scene.told.iter().filter(|(later, ..)| later >= at_us).flat_map(|(_, _, all)| all);
        assert!(after.clone().any(|l| !l.partial && (l.utterance.leg, l.utterance.from_ms) == (u.leg, u.from_ms)), "a final one follows");
    }
    let seconds = tracks.iter().map(|t| t.samples.len() / RATE).sum::<usize>();
    assert!(scene.early <= seconds, "{} looks in {seconds} s: at most one a second", scene.early);
}

#[test]
fn while_workers_are_busy_nothing_is_looked_at_before_it_ends_and_each_look_left_out_counts() {
    let tracks = carried_call();
    let said = |has_time: bool| {
        let mut teller = Teller;
        let mut scene = Scene { has_time, ..Scene::new(&legs(), &mut teller, DECODE_US) };
        scene.speak(&[(leg(1), &tracks[0].samples), (leg(2), &tracks[1].samples)]);
        (scene.early, scene.left_out, scene.shown())
    };
    let (looks, none_left_out, with_time) = said(true);
    let (no_looks, left_out, without) = said(false);
    assert_eq!((no_looks, none_left_out), (0, 0));
    assert!(looks > 0 && left_out >= looks, "{left_out} left out where there would have been {looks}");
    assert_eq!(with_time, without, "the final words are the same");
}

/// Has no time at all.
struct Busy;

impl Transcriber for Busy {
    fn transcribe(&mut self, _: &Request) -> Result<Heard, TranscribeError> {
        Err(TranscribeError::Shed(Shed::Full))
    }
}

#[test]
fn what_nobody_has_time_for_is_shown_as_later_and_stays_pending() {
    let tracks = carried_call();
    let mut busy = Busy;
    let mut scene = Scene::new(&legs()[..1], &mut busy, 0);
    scene.speak(&[(leg(1), &tracks[0].samples)]);
    let shown = scene.shown();
    let later = |shown: &[LiveUtterance]| shown.iter().filter(|live| live.utterance.rejected.as_deref() == Some(LATER)).count();
    let left = scene.call.settled().iter().filter(|settled| settled.outcome.is_none()).count();
    assert!(left > 5 && later(&shown) == left && shown.iter().all(|live| live.utterance.words.is_empty()));
    let sum = scene.call.coverage().remove(0);
    assert_eq!(sum.pending + sum.rejected, sum.voiced);
    assert!(sum.pending > sum.rejected);
}

#[test]
fn a_worker_that_never_answers_raises_the_lag_and_is_given_up_after_twenty_seconds() {
    let tracks = carried_call();
    let mut teller = Teller;
    let mut scene = Scene::new(&legs()[..1], &mut teller, u64::MAX / 2);
    scene.speak(&[(leg(1), &tracks[0].samples)]);
    let lags: Vec<u32> = scene.told.iter().map(|(_, lag_ms, _)| *lag_ms).collect();
    let most = lags.iter().max().copied().unwrap_or(0);
    assert!((10_000..=20_100).contains(&most), "the desk is told a lag of {most} ms");
    assert!(scene.shown().iter().any(|live| live.utterance.rejected.as_deref() == Some(LATER)));
    assert!(scene.shown().iter().all(|live| live.utterance.words.is_empty()));
}

/// Goes round in circles; at the full context only where it `mends` nothing.
struct Looper {
    mends: bool,
    asked: Vec<bool>,
}

impl Transcriber for Looper {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        self.asked.push(request.full_context);
        let said = "I was charged twice";
        let loops = !(request.full_context && self.mends);
        let text = if loops { format!("{said} {}", ["thank you so"; 6].join(" ")) } else { said.to_owned() };
        let word = |(text, n): (&str, u32)| HeardWord { text: text.into(), from_ms: n * 10, to_ms: n * 10 + 9, probability: 0.9 };
        Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words: text.split(' ').zip(0..).map(word).collect() })
    }
}

#[test]
fn words_that_go_round_live_are_asked_for_once_more_at_the_full_context_and_then_cut_before_the_loop() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    let samples = crate::service::speech::file::read_wav(&sample).expect("carried").remove(0).samples;
    for (mends, text) in [(true, "I was charged twice"), (false, "I was charged twice thank you so")] {
        let mut looper = Looper { mends, asked: Vec::new() };
        let mut scene = Scene::new(&legs()[..1], &mut looper, DECODE_US);
        scene.speak(&[(leg(1), &samples)]);
        let (shown, sum) = (scene.shown(), scene.call.coverage().remove(0));
        assert!(shown.iter().all(|live| live.utterance.text() == text && live.utterance.rejected.is_none()), "{shown:?}");
        assert_eq!((sum.pending, sum.transcribed), (0, sum.voiced));
        let utterances = shown.len();
        assert_eq!(looper.asked.iter().filter(|full| **full).count(), utterances, "once for each utterance: {:?}", looper.asked);
    }
}

#[test]
fn a_second_try_that_nobody_has_time_for_is_left_to_the_recording() {
    struct Once(Looper);
    impl Transcriber for Once {
        fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
            if request.full_context { Err(TranscribeError::Shed(Shed::Full)) } else { self.0.transcribe(request) }
        }
    }
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    let samples = crate::service::speech::file::read_wav(&sample).expect("carried").remove(0).samples;
    let mut once = Once(Looper { mends: true, asked: Vec::new() });
    let mut scene = Scene::new(&legs()[..1], &mut once, DECODE_US);
    scene.speak(&[(leg(1), &samples)]);
    assert!(scene.shown().iter().all(|live| live.utterance.rejected.as_deref() == Some(LATER)));
    let sum = scene.call.coverage().remove(0);
    assert_eq!((sum.pending, sum.transcribed), (sum.voiced, 0));
}

/// Gives both legs the same words.
struct Parrot;

impl Transcriber for Parrot {
    fn transcribe(&mut self, _: &Request) -> Result<Heard, TranscribeError> {
        let word = |(text, n): (&str, u32)| HeardWord { text: text.into(), from_ms: n * 250, to_ms: n * 250 + 200, probability: 0.9 };
        let words = ["this", "came", "through", "twice"].into_iter().zip(0..).map(word).collect();
        Ok(Heard { language: "en".into(), no_speech: 0.0, logprob: -0.1, words })
    }
}

#[test]
fn an_echo_is_hidden_live_also_when_it_is_understood_before_its_source() {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/sample-2.wav");
    let loud = crate::service::speech::file::read_wav(&sample).expect("carried").remove(0).samples;
    for (gain, hidden) in [(0.1, true), (0.9, false)] {
        let quiet: Vec<i16> = loud.iter().map(|s| (f32::from(*s) * gain) as i16).collect();
        for delayed in [false, true] {
            // The echo ends first where its source is still followed by sound of its own.
            let (one, other) = (if delayed { [vec![0; RATE / 4], loud.clone()].concat() } else { loud.clone() }, quiet.clone());
            let mut parrot = Parrot;
            let mut scene = Scene::new(&legs(), &mut parrot, DECODE_US);
            scene.speak(&[(leg(1), &one), (leg(2), &other)]);
            let shown = scene.shown();
            let words = |n: u8| shown.iter().filter(|l| l.utterance.leg == leg(n)).map(|l| l.utterance.words.len()).sum::<usize>();
            assert!(words(1) > 0);
            assert_eq!(words(2) == 0, hidden, "gain {gain}, delayed {delayed}: {shown:#?}");
            let rejected = scene.call.settled().iter().filter(|s| s.leg == leg(2) && s.outcome == Some(Outcome::Rejected)).count();
            assert_eq!(rejected > 0, hidden);
            let sum = scene.call.coverage().remove(1);
            assert_eq!(sum.voiced, sum.transcribed + sum.rejected + sum.pending + sum.failed);
        }
    }
}
