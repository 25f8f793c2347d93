//! Word error rate of the carried samples through front end, worker and gates, beside the model alone on the same audio.
//!
//! Synthetic voices of the demo model: a regression figure for the path, not a promise about people.

mod support;

use support::speech::{self, Alone, Law, samples};
use throughline::{
    domain::insight::{redaction::Rules, utterance::Transcript},
    ids::{LegId, Party},
    service::speech::{
        Pool, PoolConfig, TrackAudio, WorkerProgram, file, transcribe_file,
        word_errors::{errors, words},
    },
    time::UnixMs,
};

fn pool() -> Pool {
    let program = WorkerProgram::Path(env!("CARGO_BIN_EXE_throughline").into());
    Pool::start(PoolConfig { workers: 1, program, ..PoolConfig::default() }).expect("threads start")
}

fn text_of(transcript: &Transcript, party: Party) -> Vec<String> {
    let all: Vec<String> = transcript.utterances.iter().filter(|u| u.party == party).map(|u| u.text()).collect();
    words(&all.join(" "))
}

/// What is said: (audio of one leg, words).
fn material() -> Vec<(TrackAudio, Vec<String>)> {
    let table = std::fs::read_to_string(samples().join("transcripts.tsv")).expect("carried");
    let mut all: Vec<_> = table
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split('\t');
            let (name, text) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            (file::read_wav(&samples().join(name)).expect("a WAV file").remove(0), words(text))
        })
        .collect();
    let tracks = file::read_wav(&samples().join("call.wav")).expect("a WAV file");
    all.extend(tracks.into_iter().zip([Party::Customer, Party::Agent]).map(|(track, party)| (track, speech::said_words(party))));
    for (n, (track, _)) in all.iter_mut().enumerate() {
        track.leg = LegId::new(UnixMs(n as i64), [1; 10]);
        track.samples = Law::A.there_and_back(&track.samples);
    }
    all
}

#[test]
fn the_whole_path_costs_at_most_three_points_of_word_error() {
    let mut model = Alone::load();
    let pool = pool();
    let (mut total, mut path_errors, mut alone_errors) = (0, 0, 0);
    for (n, (track, wanted)) in material().iter().enumerate() {
        let transcript = pool.transcribe_call(std::slice::from_ref(track)).expect("transcribes");
        let got = text_of(&transcript, track.party);
        let alone = match n {
            8.. => model.call(&track.samples, track.party),
            _ => model.piece(&track.samples),
        };
        println!("{:>2} path  {}\n   alone {}", n + 1, got.join(" "), alone.join(" "));
        (total, path_errors, alone_errors) =
            (total + wanted.len(), path_errors + errors(wanted, &got), alone_errors + errors(wanted, &alone));
        let sum = &transcript.coverage[0];
        assert_eq!(sum.received, sum.voiced + sum.unvoiced + sum.lost + sum.paused);
        assert_eq!(sum.voiced, sum.transcribed + sum.rejected + sum.pending + sum.failed);
        assert!(
            transcript
                .utterances
                .iter()
                .all(|u| u.words.iter().all(|w| u.from_ms <= w.from_ms && w.from_ms <= w.to_ms && w.to_ms <= u.to_ms))
        );
    }
    let percent = |errors: usize| 100.0 * errors as f64 / total as f64;
    println!(
        "synthetic voices, {total} words, G.711: whole path {:.1} %, model alone {:.1} %",
        percent(path_errors),
        percent(alone_errors)
    );
    assert!(percent(path_errors) <= percent(alone_errors) + 3.0);
}

#[test]
fn a_file_is_transcribed_with_times_and_coverage() {
    let pool = pool();
    let mut out = Vec::new();
    transcribe_file(&pool, &samples().join("call.wav"), false, &Rules::default(), &mut out).expect("transcribes");
    let text = String::from_utf8(out).expect("text");
    println!("{text}");
    assert!(text.contains("charged twice") && text.contains("channel 2:"));
    let mut out = Vec::new();
    transcribe_file(&pool, &samples().join("sample-2.wav"), true, &Rules::default(), &mut out).expect("transcribes");
    let transcript: Transcript = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(transcript.model, "demo-phone.en");
}

#[test]
fn the_demo_call_gets_a_sensible_card_from_recognised_words() {
    use throughline::domain::insight::{
        card::{Context, Label, Outcome, card},
        sentiment::sentiment,
        slots::Known,
    };
    let tracks = file::read_wav(&samples().join("call.wav")).expect("a WAV file");
    let transcript = pool().transcribe_call(&tracks).expect("transcribes");
    let call = time::macros::date!(2026 - 03 - 05);
    let known = Known { call, references: &[], products: &[], patterns: &[] };
    let card = card(&transcript, &Context { known, subjects: &[] }).expect("enough is understood");
    println!("{card:#?}");
    let text = |label: Label| card.lines.iter().find(|l| l.label == label).map_or("", |l| l.text.as_str());
    assert!(text(Label::Reason).contains("nobody answered") && text(Label::Reason).contains("charged twice"));
    assert_eq!(text(Label::Details), "order 48215 · $45 · March 3rd");
    assert!(text(Label::Agreed).contains("I will refund $45 to your card"));
    assert_eq!(card.outcome, Outcome::Solved);
    assert_eq!(card.promises.iter().map(|p| p.due).collect::<Vec<_>>(), [Some(time::macros::date!(2026 - 03 - 08))]);
    for line in &card.lines {
        assert!(line.evidence.iter().all(|e| e.from_ms < e.to_ms && e.to_ms < 48_760), "{line:?}");
    }
    let mood = sentiment(&transcript);
    println!("{mood:?}");
    assert!(mood.trend.is_some_and(|[start, end]| start < end));
}

#[test]
fn a_single_yes_and_a_single_no_of_a_third_of_a_second_are_heard() {
    let tracks = file::read_wav(&samples().join("call.wav")).expect("a WAV file");
    for (from, to, word) in [(23.6, 24.2, "Yes."), (43.2, 43.75, "No.")] {
        let at = |s: f64| (s * 8_000.0) as usize;
        let mut track = tracks[0].clone();
        let quiet = &tracks[0].samples[at(30.0)..at(31.5)];
        track.samples = [quiet, &tracks[0].samples[at(from)..at(to)], quiet].concat();
        let transcript = pool().transcribe_call(std::slice::from_ref(&track)).expect("transcribes");
        assert_eq!(transcript.utterances.iter().map(|u| u.text()).collect::<Vec<_>>(), [word]);
    }
}
