//! What listening costs, and what words cost: ours beside whisper.cpp's own way and beside re-encoding every second; same model, same audio, same thread.
//!
//! `cargo bench --bench speech [MODEL]`. Processor time of this thread, so that other work on the machine counts little.

#![allow(clippy::print_stdout, reason = "a bench says what it finds")]

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use throughline::{
    domain::media::{
        plan::Codec,
        tap::TapOpen,
        time_axis::{Chunk, ChunkKind},
    },
    ids::{InteractionId, RecordingId},
    protocol::audio::g711::linear_to_alaw,
    service::speech::{
        RATE,
        decode::{Engine, Limits},
        file,
        front_end::{self, TrackAudio},
        live::ear::LegEar,
        model::Model,
        samples,
    },
    time::UnixMs,
};

/// A leg speaks this much of a call; the carried call is denser, so that its figure is per second of speech.
const TALK: f64 = 0.45;
/// Workers busier than this let utterances wait.
const BUSY: f64 = 0.8;
/// What a model with Whisper's architecture looks at: 30 s.
const WINDOW: usize = 30 * RATE;

struct Bench {
    engine: Engine,
    model: Model,
}

impl Bench {
    /// Decodes, in processor seconds; `fitted`: with a context for this audio, else the whole 30 s.
    fn decode(&mut self, audio: &[i16], fitted: bool) -> anyhow::Result<(f64, String)> {
        let most = self.engine.audio_ctx();
        let audio_ctx = if fitted { self.model.thresholds.audio_ctx(audio.len(), most) } else { most };
        let limits = Limits { language: &self.model.thresholds.language, audio_ctx, max_tokens: 248, deadline: Duration::from_secs(300) };
        let begun = processor_s();
        let heard = self.engine.decode(audio, limits).map_err(anyhow::Error::msg)?;
        let text = heard.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
        Ok((processor_s() - begun, text))
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|a| a == "--bench" || a == "measure") {
        println!("say that it shall measure: cargo bench --bench speech [MODEL]");
        return Ok(());
    }
    let name = arguments.iter().find(|a| !a.starts_with('-') && *a != "measure").map(PathBuf::from);
    let model = Model::find(name.as_deref())?;
    let engine = Engine::load(&model.path).map_err(anyhow::Error::msg)?;
    println!("{}: {} on one thread", model.name(), model.path.display());
    let mut bench = Bench { engine, model };
    let tracks = file::read_wav(&samples().context("models/samples is not found")?.join("call.wav"))?;
    let pieces: Vec<(&TrackAudio, Vec<front_end::Piece>)> = tracks.iter().map(|t| (t, front_end::listen(t).pieces)).collect();
    let utterances: Vec<Vec<i16>> =
        pieces.iter().flat_map(|(_, p)| p.iter().filter(|p| p.refused.is_none()).map(|p| p.sound.samples())).collect();
    let speech_s = utterances.iter().map(|u| u.len()).sum::<usize>() as f64 / RATE as f64;
    println!(
        "the carried call: 2 legs of {:.1} s, {} utterances, {speech_s:.1} s of speech\n",
        tracks[0].samples.len() as f64 / RATE as f64,
        utterances.len()
    );
    listening(&tracks[0]);
    println!("| way | processor s | × ours | ms per s of speech | legs per core |\n| --- | --- | --- | --- | --- |");
    // The first decode of each size allocates; it is no part of what the next one costs.
    bench.decode(&utterances[0], true)?;
    bench.decode(&utterances[0], false)?;
    let ours = sum(&mut bench, utterances.iter().map(|u| (u.to_vec(), true)))?;
    row("ours: each utterance once, context fitted", ours, ours, speech_s);
    let windows = sum(&mut bench, utterances.iter().map(|u| (u.to_vec(), false)))?;
    row("each utterance once in whisper.cpp's 30 s window", windows, ours, speech_s);
    let growing = |fitted: bool| {
        utterances.iter().flat_map(move |u| (1..=u.len().div_ceil(RATE)).map(move |s| (u[..(s * RATE).min(u.len())].to_vec(), fitted)))
    };
    let fitted = sum(&mut bench, growing(true))?;
    row("the utterance so far, again every second, context fitted", fitted, ours, speech_s);
    let whole = sum(&mut bench, growing(false))?;
    row("the utterance so far, again every second, 30 s window", whole, ours, speech_s);
    let chunks = sum(&mut bench, tracks.iter().flat_map(|t| t.samples.chunks(WINDOW).map(|c| (c.to_vec(), false)).collect::<Vec<_>>()))?;
    row("for comparison, no live words: the recording in 30 s pieces, pauses and all", chunks, ours, speech_s);
    println!("\nLegs per core: {:.0} % of the time spoken, core {:.0} % busy.", TALK * 100.0, BUSY * 100.0);
    Ok(())
}

/// What the live front end takes for a leg: decode, voice activity, utterances and the gates before the model.
fn listening(track: &TrackAudio) {
    const TIMES: usize = 40;
    const PACKET: usize = RATE / 50;
    let at = UnixMs(1_700_000_000_000);
    let head = TapOpen {
        recording: RecordingId::new(at, [1; 10]),
        interaction: InteractionId::new(at, [2; 10]),
        leg: track.leg,
        party: track.party,
        codec: Codec::Pcma,
        axis_start_wall: at,
        axis_us: 0,
    };
    let octets: Vec<u8> = track.samples.iter().map(|sample| linear_to_alaw(*sample)).collect();
    let packets = (0..TIMES).flat_map(|_| octets.chunks_exact(PACKET)).enumerate();
    let chunk = |(n, payload): (usize, &[u8])| Chunk {
        axis_start_us: n as u64 * 20_000,
        duration_us: 20_000,
        kind: ChunkKind::Audio { codec: Codec::Pcma, payload: payload.to_vec() },
    };
    let chunks: Vec<Chunk> = packets.map(chunk).collect();
    let mut ear = LegEar::new(&head);
    let (begun, mut utterances) = (processor_s(), 0);
    for chunk in &chunks {
        ear.push(chunk);
        utterances += std::iter::from_fn(|| ear.next_event()).count();
    }
    let (cost, seconds) = (processor_s() - begun, chunks.len() as f64 / 50.0);
    println!("listening to a leg for {seconds:.0} s, {utterances} utterances: {:.4} % of a core\n", 100.0 * cost / seconds);
}

fn sum(bench: &mut Bench, all: impl Iterator<Item = (Vec<i16>, bool)>) -> anyhow::Result<f64> {
    let mut cost = 0.0;
    for (audio, fitted) in all {
        cost += bench.decode(&audio, fitted)?.0;
    }
    Ok(cost)
}

fn row(name: &str, cost: f64, ours: f64, speech_s: f64) {
    let per_s = cost / speech_s;
    println!("| {name} | {cost:.2} | {:.1} | {:.0} | {:.0} |", cost / ours, per_s * 1_000.0, BUSY / (per_s * TALK));
}

/// Processor time of this process: the decode runs on this thread alone.
fn processor_s() -> f64 {
    #[expect(unsafe_code, reason = "clock_gettime fills a struct of two integers on our stack")]
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
        time
    };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
