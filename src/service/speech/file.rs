//! `throughline transcribe FILE`: the words of a WAV file, a leg per channel, with their times and the coverage.

use std::{io::Write, path::Path};

use super::{
    RATE,
    front_end::TrackAudio,
    pool::{Pool, SpeechError},
    resample,
};
use crate::{
    domain::insight::{
        redaction::{self, Rules},
        utterance::Transcript,
    },
    ids::{LegId, Party},
    time::UnixMs,
};

/// Longest file: a day would be 1.4 GB of samples; four hours are 230 MB per channel.
const LONGEST_S: u32 = 4 * 3_600;

/// Transcribes an 8 or 16 kHz WAV file (mono: the customer; stereo: customer left, agent right) and writes text or JSON to `out`,
/// without the numbers that `rules` take out.
pub fn transcribe_file(pool: &Pool, path: &Path, json: bool, rules: &Rules, out: &mut dyn Write) -> Result<(), SpeechError> {
    let wrong = |why: String| SpeechError::File { path: path.to_owned(), why };
    let tracks = read_wav(path)?;
    let mut transcript = pool.transcribe_call(&tracks)?;
    redaction::redact(&mut transcript, rules);
    let written = if json {
        serde_json::to_writer_pretty(&mut *out, &transcript).map_err(std::io::Error::other).and_then(|()| writeln!(out))
    } else {
        print(&transcript, pool.model()?.1.note.as_deref(), out)
    };
    written.map_err(|e| wrong(format!("cannot write the result ({e})")))
}

/// Reads a WAV file as tracks, one per channel.
pub fn read_wav(path: &Path) -> Result<Vec<TrackAudio>, SpeechError> {
    let wrong = |why: String| SpeechError::File { path: path.to_owned(), why };
    let reader = hound::WavReader::open(path).map_err(|e| wrong(format!("not a WAV file that can be read ({e})")))?;
    let spec = reader.spec();
    if !matches!(spec.sample_rate, 8_000 | 16_000) || !matches!(spec.channels, 1 | 2) {
        let found = format!("{} Hz with {} channels", spec.sample_rate, spec.channels);
        return Err(wrong(format!("{found}; 8000 or 16000 Hz, mono or stereo is needed: sox IN -r 8000 -c 1 OUT.wav")));
    }
    if reader.duration() / spec.sample_rate > LONGEST_S {
        return Err(wrong("longer than four hours; cut it first".into()));
    }
    let samples = samples(reader).map_err(|e| wrong(format!("damaged ({e})")))?;
    let channels = usize::from(spec.channels);
    let channel = |c: usize| -> Vec<i16> { samples.iter().skip(c).step_by(channels).copied().collect() };
    let track = |c: usize| TrackAudio {
        leg: LegId::new(UnixMs(0), [u8::try_from(c).unwrap_or(0); 10]),
        party: if c == 0 { Party::Customer } else { Party::Agent },
        start_ms: 0,
        samples: if spec.sample_rate as usize == RATE { channel(c) } else { resample::down(&channel(c)) },
        gaps: Vec::new(),
    };
    Ok((0..channels).map(track).collect())
}

fn samples<R: std::io::Read>(reader: hound::WavReader<R>) -> Result<Vec<i16>, hound::Error> {
    let spec = reader.spec();
    match spec.sample_format {
        hound::SampleFormat::Float => reader.into_samples::<f32>().map(|s| s.map(|s| (s.clamp(-1.0, 1.0) * 32_767.0) as i16)).collect(),
        hound::SampleFormat::Int => {
            let scale = 2f64.powi(i32::from(spec.bits_per_sample) - 16);
            reader.into_samples::<i32>().map(|s| s.map(|s| (f64::from(s) / scale) as i16)).collect()
        }
    }
}

fn print(transcript: &Transcript, note: Option<&str>, out: &mut dyn Write) -> std::io::Result<()> {
    if let Some(note) = note {
        writeln!(out, "{note}")?;
    }
    let time = |ms: u32| format!("{:02}:{:02}.{:01}", ms / 60_000, ms / 1_000 % 60, ms / 100 % 10);
    for u in &transcript.utterances {
        let who = match u.party {
            Party::Customer => "customer",
            Party::Agent => "agent",
        };
        let text = u.rejected.as_ref().map_or_else(|| u.text(), |why| format!("(not understood: {why})"));
        writeln!(out, "{} – {}  {who:<8}  {text}", time(u.from_ms), time(u.to_ms))?;
    }
    for (c, n) in transcript.coverage.iter().zip(1..) {
        writeln!(out, "channel {n}: {} % of {:.1} s speech understood ({})", c.percent(), c.voiced as f64 / RATE as f64, transcript.model)?;
    }
    Ok(())
}
