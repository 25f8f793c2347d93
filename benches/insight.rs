//! What a card and a mood cost: a call of thirty minutes, made of the labelled dialogues one after another. The aim is 50 ms for both.

use std::path::Path;

use divan::{Bencher, black_box};
use throughline::{
    domain::insight::{
        card::{Context, card},
        sentiment::sentiment,
        slots::Known,
        utterance::Transcript,
    },
    service::eval::{dialogues, transcripts},
};

/// Milliseconds.
const HALF_AN_HOUR: u32 = 30 * 60 * 1_000;

fn main() {
    divan::main();
}

fn long_call() -> Transcript {
    let all = dialogues::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues")).expect("the dialogues");
    let mut parts = transcripts(&all, None).into_iter();
    let mut call = parts.next().expect("a dialogue");
    for part in parts {
        let start = call.utterances.last().map_or(0, |u| u.to_ms);
        if start >= HALF_AN_HOUR {
            break;
        }
        for mut utterance in part.utterances {
            utterance.from_ms += start;
            utterance.to_ms += start;
            utterance.words.iter_mut().for_each(|w| (w.from_ms, w.to_ms) = (w.from_ms + start, w.to_ms + start));
            call.utterances.push(utterance);
        }
    }
    call
}

#[divan::bench]
fn card_of_thirty_minutes(bencher: Bencher<'_, '_>) {
    let call = long_call();
    let known = Known { call: time::macros::date!(2026 - 03 - 05), references: &[], products: &[], patterns: &[] };
    bencher.bench(|| card(black_box(&call), &Context { known, subjects: &[] }));
}

#[divan::bench]
fn mood_of_thirty_minutes(bencher: Bencher<'_, '_>) {
    let call = long_call();
    bencher.bench(|| sentiment(black_box(&call)));
}
