//! Test sound: a dual tone of its own for every speaker, so that cross-talk, loss and swapped legs are heard.

use std::path::Path;

use throughline::protocol::audio::tone::{DualTone, amplitude_of};

pub const RATE: u32 = 8_000;

/// A pair of frequencies, Hz.
pub type Pair = (f64, f64);

/// Pairs that share no frequency, one per speaker.
pub const PAIRS: [Pair; 6] = [(450.0, 1_050.0), (550.0, 1_250.0), (650.0, 1_450.0), (750.0, 1_650.0), (850.0, 1_850.0), (950.0, 2_050.0)];

/// Writes `seconds` of the tone as 16-bit mono WAV.
pub fn write_tone(path: &Path, pair: Pair, seconds: u32) {
    write_wav(path, &tone(pair, seconds));
}

pub fn tone(pair: Pair, seconds: u32) -> Vec<i16> {
    let mut samples = vec![0; (RATE * seconds) as usize];
    DualTone::new(pair.0, pair.1, 8_000, RATE).fill(&mut samples);
    samples
}

pub fn write_wav(path: &Path, samples: &[i16]) {
    let spec = hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).expect("a wav file");
    for sample in samples {
        writer.write_sample(*sample).expect("room on the disk");
    }
    writer.finalize().expect("a finished wav file");
}

/// The channels of a WAV file.
pub fn read_wav(path: &Path) -> Vec<Vec<i16>> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    channels(&mut reader)
}

pub fn channels<R: std::io::Read>(reader: &mut hound::WavReader<R>) -> Vec<Vec<i16>> {
    let count = usize::from(reader.spec().channels);
    let mut channels = vec![Vec::new(); count];
    for (n, sample) in reader.samples::<i16>().enumerate() {
        channels[n % count].push(sample.unwrap_or(0));
    }
    channels
}

/// Share of the 100 ms windows in which both frequencies of the pair stand out.
pub fn share(samples: &[i16], pair: Pair) -> f64 {
    let windows: Vec<_> = samples.chunks_exact(RATE as usize / 10).collect();
    let heard = windows.iter().filter(|w| [pair.0, pair.1].iter().all(|hz| amplitude_of(w, *hz, RATE) > 1_000.0)).count();
    heard as f64 / windows.len().max(1) as f64
}

/// Asserts that `samples` carry `own` for most of the time and no other known pair.
#[track_caller]
pub fn assert_only(samples: &[i16], own: Pair, least: f64, what: &str) {
    let heard = share(samples, own);
    assert!(heard >= least, "{what}: its own tone is heard {heard:.2} of the time, at least {least} is due, {} samples", samples.len());
    for other in PAIRS.iter().filter(|pair| **pair != own) {
        let leaked = share(samples, *other);
        assert!(leaked == 0.0, "{what}: the tone {other:?} of somebody else is heard {leaked:.2} of the time");
    }
}

/// Whether both frequencies of the pair stand out in this window.
fn sounds(window: &[i16], pair: Pair) -> bool {
    [pair.0, pair.1].iter().all(|hz| amplitude_of(window, *hz, RATE) > 1_000.0)
}

/// The samples from the first to the last 100 ms that carry the tone; empty where it is never heard.
pub fn span(samples: &[i16], pair: Pair) -> &[i16] {
    let length = RATE as usize / 10;
    let windows = || samples.chunks_exact(length);
    let first = windows().position(|window| sounds(window, pair));
    let last = windows().rposition(|window| sounds(window, pair));
    first.zip(last).map_or(&[], |(first, last)| &samples[first * length..(last + 1) * length])
}

/// Asserts that the tone, once begun, never stops before its end, and lasts at least this long.
#[track_caller]
pub fn assert_unbroken(samples: &[i16], pair: Pair, least_seconds: f64, what: &str) {
    let span = span(samples, pair);
    let seconds = span.len() as f64 / f64::from(RATE);
    assert!(seconds >= least_seconds, "{what}: {seconds:.1} s of its tone, at least {least_seconds} s are due");
    let heard = share(span, pair);
    assert!(heard >= 1.0, "{what}: its tone has holes, it is heard {heard:.3} of {seconds:.1} s");
}
