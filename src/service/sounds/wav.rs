//! A recording of any sensible kind becomes 8 kHz linear samples: channels are added, the rate is changed with a windowed sinc.

use std::{f64::consts::PI, fs::File, io, path::Path};

use super::RATE;

/// Longest recording, seconds: at 8 kHz it is 4.8 MB in memory.
const LONGEST_S: u32 = 300;
/// Rates that are taken.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Largest file that is opened: five minutes of the largest format that is taken.
const LARGEST_OCTETS: u64 = 120 << 20;
/// Zero crossings of the filter on either side.
const CROSSINGS: f64 = 16.0;
/// Places between two samples for which the filter is worked out; more would not be heard in eight bits.
const PHASES: usize = 160;

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The file cannot be opened.
    #[error("it cannot be opened ({0})")]
    Unreadable(#[from] io::Error),
    /// It is no WAV file, or damaged.
    #[error("it is no WAV file that can be read ({0})")]
    Format(#[from] hound::Error),
    /// Rate or channels.
    #[error("it has {rate} Hz and {channels} channels")]
    Kind {
        /// Samples per second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
    /// Too long.
    #[error("it is longer than {LONGEST_S} seconds")]
    TooLong,
}

impl WavError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "Name a file that this user may read, or leave the key out",
            Self::Format(_) | Self::Kind { .. } => "Give mono or stereo WAV of 8 to 48 kHz: sox IN -r 8000 -c 1 -b 16 OUT.wav",
            Self::TooLong => "Cut it: music begins again by itself",
        }
    }
}

/// Reads a file.
pub fn read_file(path: &Path) -> Result<Vec<i16>, WavError> {
    let file = File::open(path)?;
    if file.metadata()?.len() > LARGEST_OCTETS {
        return Err(WavError::TooLong);
    }
    decode(hound::WavReader::new(io::BufReader::new(file))?)
}

/// Reads a file's octets.
pub fn read(octets: &[u8]) -> Result<Vec<i16>, WavError> {
    decode(hound::WavReader::new(octets)?)
}

fn decode<R: io::Read>(mut reader: hound::WavReader<R>) -> Result<Vec<i16>, WavError> {
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) || !matches!(spec.channels, 1 | 2) {
        return Err(WavError::Kind { rate: spec.sample_rate, channels: spec.channels });
    }
    if reader.duration() > LONGEST_S * spec.sample_rate {
        return Err(WavError::TooLong);
    }
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let full = 2.0_f32.powi(i32::from(spec.bits_per_sample) - 1);
            reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 / full)).collect::<Result<_, _>>()?
        }
    };
    let channels = usize::from(spec.channels);
    let mono: Vec<f32> = samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    let telephone = if spec.sample_rate == RATE { mono } else { to_8_khz(&mono, spec.sample_rate) };
    Ok(telephone.into_iter().map(|sample| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).collect())
}

/// Changes the rate; what 8 kHz cannot carry is taken away first, by the same filter.
fn to_8_khz(samples: &[f32], rate: u32) -> Vec<f32> {
    let step = f64::from(rate) / f64::from(RATE);
    // A little below the edge: the filter needs room to fall.
    let edge = 0.93 / step;
    let reach = (CROSSINGS / edge).ceil() as usize;
    let kernels: Vec<Vec<f32>> = (0..PHASES).map(|phase| kernel(phase as f64 / PHASES as f64, edge, reach)).collect();
    let count = (samples.len() as f64 / step) as usize;
    let at = |i: usize| -> f32 { i.checked_sub(reach).and_then(|i| samples.get(i)).copied().unwrap_or(0.0) };
    (0..count)
        .map(|n| {
            let place = n as f64 * step;
            let mut whole = place as usize;
            let mut phase = ((place - whole as f64) * PHASES as f64).round() as usize;
            if phase == PHASES {
                (whole, phase) = (whole + 1, 0);
            }
            kernels[phase].iter().enumerate().map(|(i, tap)| tap * at(whole + i)).sum()
        })
        .collect()
}

/// The filter for a place `fraction` behind a sample: a sinc with a raised-cosine window, its sum one.
fn kernel(fraction: f64, edge: f64, reach: usize) -> Vec<f32> {
    let tap = |i: usize| {
        let x = i as f64 - reach as f64 - fraction;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * edge * x).sin() / (PI * edge * x) };
        let window = 0.5 + 0.5 * (PI * x / (reach as f64 + 1.0)).cos().max(-1.0);
        if x.abs() > reach as f64 + 1.0 { 0.0 } else { sinc * window }
    };
    let taps: Vec<f64> = (0..=2 * reach).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| (tap / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::audio::tone::amplitude_of;

    fn wav(rate: u32, channels: u16, format: hound::SampleFormat, bits: u16, hz: f64, seconds: u32) -> Vec<u8> {
        let mut octets = io::Cursor::new(Vec::new());
        let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
        let mut writer = hound::WavWriter::new(&mut octets, spec).expect("a writer");
        for n in 0..rate * seconds {
            let sample = 0.3 * (2.0 * PI * hz * f64::from(n) / f64::from(rate)).sin();
            for _ in 0..channels {
                match format {
                    hound::SampleFormat::Float => writer.write_sample(sample as f32).expect("room"),
                    hound::SampleFormat::Int => writer.write_sample((sample * 2.0_f64.powi(i32::from(bits) - 1)) as i32).expect("room"),
                }
            }
        }
        writer.finalize().expect("finished");
        octets.into_inner()
    }

    #[test]
    fn every_rate_and_format_brings_the_same_tone_at_the_same_level() {
        use hound::SampleFormat::{Float, Int};
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000] {
            for (channels, format, bits) in [(1, Int, 16), (2, Int, 16), (1, Int, 24), (2, Float, 32)] {
                let samples = read(&wav(rate, channels, format, bits, 440.0, 1)).expect("read");
                assert!(samples.len().abs_diff(8_000) <= 1, "{rate} Hz: {} samples", samples.len());
                let level = amplitude_of(&samples[800..7_200], 440.0, RATE);
                assert!((level - 9_830.0).abs() < 200.0, "{rate} Hz, {channels} channels, {bits} bit: {level}");
            }
        }
    }

    #[test]
    fn what_8_khz_cannot_carry_does_not_come_back_as_another_tone() {
        for rate in [16_000, 44_100, 48_000] {
            let samples = read(&wav(rate, 1, hound::SampleFormat::Int, 16, 5_500.0, 1)).expect("read");
            assert!(samples[400..7_600].iter().all(|sample| sample.unsigned_abs() < 150), "{rate} Hz");
        }
    }

    #[test]
    fn strange_kinds_and_endless_files_are_refused() {
        assert!(matches!(read(b"RIFF"), Err(WavError::Format(_))));
        assert!(matches!(read(&wav(96_000, 1, hound::SampleFormat::Int, 16, 440.0, 1)), Err(WavError::Kind { rate: 96_000, .. })));
        assert!(matches!(read(&wav(8_000, 3, hound::SampleFormat::Int, 16, 440.0, 1)), Err(WavError::Kind { channels: 3, .. })));
        assert!(matches!(read(&wav(8_000, 1, hound::SampleFormat::Int, 16, 440.0, 301)), Err(WavError::TooLong)));
    }
}
