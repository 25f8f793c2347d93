//! Compares voice detectors on the signals that our tests write: what they miss, what they take for a voice, what WebRTC's costs.
//!
//! `THROUGHLINE_MEASURE=1 cargo test --lib measure_detectors -- --nocapture` writes them to `target/voice-activity`; then
//! `cargo run --release --manifest-path scripts/compare/voice-activity/Cargo.toml --target-dir target/compare target/voice-activity`.

use std::{collections::BTreeMap, env, error::Error, fs, path::Path, time::Instant};

use webrtc_vad::{SampleRate, Vad, VadMode};

/// Samples of a frame: 10 ms at 8 kHz.
const FRAME: usize = 80;
/// Frames kept before a voice, and pauses that do not part an utterance, as in the product.
const PRE_ROLL: usize = 25;
const HANGOVER: usize = 48;

type Mode = (&'static str, fn() -> VadMode);
const MODES: [Mode; 4] = [
    ("webrtc-vad 0 (quality)", || VadMode::Quality),
    ("webrtc-vad 1", || VadMode::LowBitrate),
    ("webrtc-vad 2", || VadMode::Aggressive),
    ("webrtc-vad 3 (very aggressive)", || VadMode::VeryAggressive),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("say where the signals are: target/voice-activity")?;
    let mut names: Vec<_> = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    names.retain(|path| path.extension().is_some_and(|end| end == "frames"));
    names.sort();
    let (mut seconds, mut cost) = (0.0, BTreeMap::new());
    println!("| signal | detector | missed frames | missed after cutting | false frames |\n| --- | --- | --- | --- | --- |");
    for path in &names {
        let (truth, mut answers) = read(path)?;
        let pcm = fs::read(path.with_extension("pcm"))?;
        let samples: Vec<i16> = pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        seconds += samples.len() as f64 / 8_000.0;
        for (name, mode) in MODES {
            let mut vad = Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, mode());
            let begun = Instant::now();
            let found = samples.chunks_exact(FRAME).map(|frame| vad.is_voice_segment(frame)).collect::<Result<Vec<_>, _>>();
            *cost.entry(name).or_insert(0.0) += begun.elapsed().as_secs_f64();
            answers.push((name.to_owned(), found.map_err(|()| "a frame of 10 ms was refused")?));
        }
        let signal = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        for (name, active) in answers {
            let inside = cut(&active);
            let share = |flags: &[bool], of: char, is: bool| percent(&truth, of, |frame| flags.get(frame).copied().unwrap_or(false) == is);
            let (missed, after) = (share(&active, 'v', false), share(&inside, 'v', false));
            println!("| {signal} | {name} | {missed} | {after} | {} |", share(&active, 'n', true));
        }
    }
    for (name, cost) in cost {
        println!("{name}: {:.0} µs a second of sound", cost * 1e6 / seconds);
    }
    Ok(())
}

/// What is true of each frame, and what each detector said of it.
fn read(path: &Path) -> Result<(Vec<char>, Vec<(String, Vec<bool>)>), Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
    let (_, truth) = lines.next().ok_or("no frames")?;
    let answers = lines.map(|(name, flags)| (name.to_owned(), flags.chars().map(|flag| flag == '1').collect()));
    Ok((truth.chars().collect(), answers.collect()))
}

/// Frames inside utterances: pre-roll, and short pauses bridged.
fn cut(active: &[bool]) -> Vec<bool> {
    let mut inside = vec![false; active.len()];
    let mut last: Option<usize> = None;
    for frame in (0..active.len()).filter(|frame| active[*frame]) {
        let from = last.filter(|last| frame - last <= HANGOVER).unwrap_or(frame.saturating_sub(PRE_ROLL));
        inside[from..=frame].fill(true);
        last = Some(frame);
    }
    inside
}

fn percent(truth: &[char], of: char, is: impl Fn(usize) -> bool) -> String {
    let frames: Vec<usize> = (0..truth.len()).filter(|frame| truth[*frame] == of).collect();
    let hits = frames.iter().filter(|frame| is(**frame)).count();
    if frames.is_empty() {
        "–".into()
    } else {
        format!("{:.1} %", 100.0 * hits as f64 / frames.len() as f64)
    }
}
