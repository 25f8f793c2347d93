//! Fifty planted numbers go through recorder, speech, jobs, live words, record and log: no file in the data folder holds one
//! afterwards. The control, with redaction off, finds them all.

#![allow(clippy::unwrap_used, reason = "a test stops where it must")]

mod house;
mod planted;
mod search;

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use throughline::domain::insight::redaction::{Pattern, Rules};

use house::House;
use planted::{Line, Planted};

const SEED: u64 = 0x5EED_0F50;
/// Numbers of one call.
const PER_CALL: usize = 5;

/// The log of the run that is under way.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Option<File>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.0.lock().unwrap().as_mut() {
            Some(file) => file.write(octets),
            None => Ok(octets.len()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn seed() -> u64 {
    std::env::var("THROUGHLINE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

fn calls(planted: &[Planted]) -> Vec<Vec<Line>> {
    let opening = || ("A", "Thank you for calling Northwind how can I help you".to_owned());
    let reason = || ("C", "I was charged twice and my order number is 48215".to_owned());
    let call = |some: &[Planted]| {
        let mut lines = vec![opening(), reason()];
        for number in some {
            lines.extend(number.lines.iter().cloned());
            lines.push(("A", "Thank you".to_owned()));
        }
        lines
    };
    planted.chunks(PER_CALL).map(call).collect()
}

/// Runs all calls in a folder of its own; returns the numbers that some file holds, with the file, and the words that are left.
async fn run(rules: Rules, planted: &[Planted], log: &Log, folder: &Path) -> (Vec<(usize, String)>, usize) {
    *log.0.lock().unwrap() = Some(File::create(folder.join("trace.log")).unwrap());
    let mut house = House::open(folder, Arc::new(rules)).await;
    for lines in calls(planted) {
        house.call(&lines).await;
    }
    let orders = house.close().await;
    assert!(folder.join("trace.log").metadata().unwrap().len() > 0, "the log is written to where it is searched");
    *log.0.lock().unwrap() = None;
    (search::survivors(folder, planted), orders)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_digit_of_fifty_planted_numbers_survives_anywhere() {
    let seed = seed();
    println!("seed {seed} (set THROUGHLINE_SEED to change it)");
    let log = Log::default();
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(move || to.clone());
    subscriber.init();
    let planted = planted::fifty(seed);
    assert_eq!(planted.len(), 50);

    let without = tempfile::TempDir::new().unwrap();
    let (found, orders) = run(Rules { off: true, ..Rules::default() }, &planted, &log, without.path()).await;
    let missed: Vec<_> = (0..50).filter(|n| !found.iter().any(|(at, _)| at == n)).map(|n| &planted[n].lines).collect();
    assert!(missed.is_empty(), "the check can see every number where none is masked, but not: {missed:#?}");
    assert_eq!(orders, 10, "the order number of each call is in its words");

    let with = tempfile::TempDir::new().unwrap();
    let rules = Rules { patterns: vec![Pattern::new("policy number", r"\bPX\d{6}\b").unwrap()], ..Rules::default() };
    let (found, orders) = run(rules, &planted, &log, with.path()).await;
    let found: Vec<_> = found.iter().map(|(n, file)| (&planted[*n].number, &planted[*n].lines, file)).collect();
    assert!(found.is_empty(), "{} numbers survive: {found:#?}", found.len());
    assert_eq!(orders, 10, "what is no such number stays");
}

#[test]
fn of_sixty_held_out_dialogues_without_a_card_number_hardly_a_word_is_masked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let (mut words, mut masked) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "txt")) {
        for dialogue in std::fs::read_to_string(entry.path()).unwrap().split("== ").skip(1) {
            let mut transcript = house::transcript(dialogue);
            words += transcript.utterances.iter().map(|u| u.words.len()).sum::<usize>();
            let name = dialogue.lines().next().unwrap_or_default();
            let found = throughline::domain::insight::redaction::redact(&mut transcript, &Rules::default());
            masked.extend(found.into_iter().map(|r| (name.to_owned(), r.kind)));
        }
    }
    println!("{} false masks in {words} words: {:.2} per 1,000", masked.len(), masked.len() as f64 * 1_000.0 / words as f64);
    assert!(words > 4_000 && masked.len() * 1_000 <= words, "{masked:?}");
}
