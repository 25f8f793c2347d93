//! A synthesiser and a telephone line: text in, what comes out of G.711 at 8 kHz. The same samples each time.
//!
//! ```text
//! espeak-ng 22,050 Hz ─▶ 300 – 3,400 Hz at 8 kHz ─▶ −23 dBov ─▶ noise 30 dB below ─▶ A-law
//! ```
//! Rate, pitch, band and level lie in the middle of what the demo model was trained on (`scripts/demo-model/gen_data.py`).

use std::{f64::consts::PI, process::Command};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::EvalError;
use crate::{protocol::audio::g711, service::speech::RATE};

/// The program.
const PROGRAM: &str = "espeak-ng";
/// Words per minute.
const SPEED: &str = "170";
/// Of 0 – 99.
const PITCH: &str = "50";
/// What it synthesises at.
const SOURCE_RATE: usize = 22_050;
/// Its WAV header; lengths in it are not known when it writes to a pipe.
const HEADER: usize = 44;
/// Output positions between two input samples: 8,000 / 22,050 = 160 / 441.
const PHASES: usize = 160;
/// Input steps in so many output ones.
const STEPS: usize = 441;
/// Half the filter, input samples: 4 ms.
const HALF: usize = 88;
/// Upper edge of the telephone band, Hz; the filter's slope lies above.
const BAND_TOP: f64 = 3_400.0;
/// Its lower edge, Hz.
const BAND_BOTTOM: f64 = 300.0;
/// Quality factors of a fourth-order Butterworth filter.
const BUTTERWORTH: [f64; 2] = [0.541_196_1, 1.306_563];
/// Level of the voice where it speaks.
const LEVEL_DBOV: f64 = -23.0;
/// The line's noise, next to the voice.
const NOISE_DB: f64 = -30.0;
/// Softer than this share of the loudest sample is a pause.
const PAUSE: f64 = 0.01;
/// The same noise each time.
const SEED: u64 = 0x7e1e_f0ae;

/// The synthesiser, found and named.
#[derive(Clone, Debug)]
pub struct Synthesiser {
    /// "eSpeak NG 1.51".
    pub version: String,
    filter: Vec<Vec<f64>>,
}

impl Synthesiser {
    /// Looks for it.
    pub fn find() -> Result<Self, EvalError> {
        let said = run(&["--version"])?;
        let text = String::from_utf8_lossy(&said);
        let number = text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit())).unwrap_or("of unknown version");
        Ok(Self { version: format!("eSpeak NG {number}"), filter: (0..PHASES).map(phase).collect() })
    }

    /// A text in a voice, band-limited at 8 kHz and at its level, without the silence around it; full scale is 1.
    pub fn say(&self, voice: &str, text: &str) -> Result<Vec<f64>, EvalError> {
        let wav = run(&["-v", voice, "-s", SPEED, "-p", PITCH, "--stdout", "--", text])?;
        let rate = wav.get(24..28).map(|r| u32::from_le_bytes([r[0], r[1], r[2], r[3]]));
        if rate != u32::try_from(SOURCE_RATE).ok() {
            return Err(EvalError::Voices(format!("{PROGRAM} gives no {SOURCE_RATE} Hz for voice {voice}, but {rate:?}")));
        }
        let source: Vec<f64> = wav[HEADER..].chunks_exact(2).map(|s| f64::from(i16::from_le_bytes([s[0], s[1]])) / 32_768.0).collect();
        let mut line = self.to_8_khz(&source);
        BUTTERWORTH.iter().for_each(|q| high_pass(&mut line, *q));
        Ok(at_level(line))
    }

    fn to_8_khz(&self, source: &[f64]) -> Vec<f64> {
        let at = |i: usize, k: usize| (i + k).checked_sub(HALF).and_then(|i| source.get(i)).copied().unwrap_or(0.0);
        let one = |n: usize| {
            let (whole, phase) = (n * STEPS / PHASES, n * STEPS % PHASES);
            self.filter[phase].iter().enumerate().map(|(k, tap)| tap * at(whole, k)).sum()
        };
        (0..source.len() * PHASES / STEPS).map(one).collect()
    }
}

fn run(arguments: &[&str]) -> Result<Vec<u8>, EvalError> {
    let missing = |e: std::io::Error| {
        EvalError::Voices(format!(
            "{PROGRAM} cannot be started ({e}); install it (Debian, Ubuntu: apt-get install espeak-ng), or leave --spoken out"
        ))
    };
    let done = Command::new(PROGRAM).args(arguments).output().map_err(missing)?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    if done.status.success() && complaint.is_empty() {
        Ok(done.stdout)
    } else {
        Err(EvalError::Voices(format!("{PROGRAM} says: {complaint}")))
    }
}

/// The filter's taps for outputs that lie `phase` parts after an input sample.
fn phase(phase: usize) -> Vec<f64> {
    let cut = 2.0 * BAND_TOP / SOURCE_RATE as f64;
    let tap = |k: usize| {
        let x = k as f64 - HALF as f64 - phase as f64 / PHASES as f64;
        let window = 0.5 + 0.5 * (PI * x / (HALF as f64 + 1.0)).cos();
        let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * cut * x).sin() / (PI * cut * x) };
        cut * sinc * window
    };
    (0..=2 * HALF).map(tap).collect()
}

/// One second-order section of a high-pass.
fn high_pass(samples: &mut [f64], q: f64) {
    let w = 2.0 * PI * BAND_BOTTOM / RATE as f64;
    let (cos, alpha) = (w.cos(), w.sin() / (2.0 * q));
    let a0 = 1.0 + alpha;
    let (b, a1, a2) = ((1.0 + cos) / 2.0 / a0, -2.0 * cos / a0, (1.0 - alpha) / a0);
    let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
    for sample in samples {
        let x = *sample;
        let y = b * (x - 2.0 * x1 + x2) - a1 * y1 - a2 * y2;
        (x2, x1, y2, y1) = (x1, x, y1, y);
        *sample = y;
    }
}

/// Cuts the silence around a voice and brings it to [`LEVEL_DBOV`].
fn at_level(mut samples: Vec<f64>) -> Vec<f64> {
    let loudest = samples.iter().fold(0.0, |m: f64, s| m.max(s.abs()));
    let speaks = |s: &f64| s.abs() > PAUSE * loudest;
    let (Some(first), Some(last)) = (samples.iter().position(speaks), samples.iter().rposition(speaks)) else { return Vec::new() };
    samples = samples[first..=last].to_vec();
    let active: Vec<f64> = samples.iter().filter(|s| speaks(s)).map(|s| s * s).collect();
    let rms = (active.iter().sum::<f64>() / active.len() as f64).sqrt();
    let gain = 10f64.powf(LEVEL_DBOV / 20.0) / rms;
    samples.iter_mut().for_each(|s| *s *= gain);
    samples
}

/// One leg as the other end of a telephone line has it: noise over all of it, G.711.
pub fn over_the_line(leg: &[f64]) -> Vec<i16> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut even = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0;
    // Even noise of ±1 has a level of 1/√3.
    let noise = 3f64.sqrt() * 10f64.powf((LEVEL_DBOV + NOISE_DB) / 20.0);
    let heard = leg.iter().map(|s| ((s + noise * even()) * 32_768.0).clamp(-32_768.0, 32_767.0) as i16);
    heard.map(|s| g711::alaw_to_linear(g711::linear_to_alaw(s))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(hz: f64) -> f64 {
        let source: Vec<f64> = (0..SOURCE_RATE).map(|i| (2.0 * PI * hz * i as f64 / SOURCE_RATE as f64).sin()).collect();
        let synthesiser = Synthesiser { version: String::new(), filter: (0..PHASES).map(phase).collect() };
        let mut line = synthesiser.to_8_khz(&source);
        assert_eq!(line.len(), RATE);
        BUTTERWORTH.iter().for_each(|q| high_pass(&mut line, *q));
        let middle = &line[RATE / 4..RATE * 3 / 4];
        10.0 * (2.0 * middle.iter().map(|s| s * s).sum::<f64>() / middle.len() as f64).log10()
    }

    #[test]
    fn the_line_lets_a_voice_through_and_neither_hum_nor_hiss() {
        for hz in [500.0, 1_000.0, 3_000.0] {
            assert!(through(hz).abs() < 1.0, "{hz} Hz: {} dB", through(hz));
        }
        assert!(through(100.0) < -35.0 && through(300.0) > -4.0, "{} {}", through(100.0), through(300.0));
        assert!(through(4_500.0) < -40.0, "above half the rate: {}", through(4_500.0));
    }

    #[test]
    fn a_leg_is_as_loud_as_said_and_the_same_each_time() {
        let tone: Vec<f64> = (0..RATE).map(|i| (2.0 * PI * 1_013.0 * i as f64 / RATE as f64).sin()).collect();
        let mut leg = vec![0.0; 800];
        leg.extend(at_level(tone));
        let heard = over_the_line(&leg);
        let level = |of: &[i16]| 10.0 * (of.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum::<f64>() / of.len() as f64).log10();
        assert!((level(&heard[800..]) - LEVEL_DBOV).abs() < 0.5, "{}", level(&heard[800..]));
        assert!((level(&heard[..800]) - LEVEL_DBOV - NOISE_DB).abs() < 1.5, "{}", level(&heard[..800]));
        assert_eq!(heard, over_the_line(&leg));
    }
}
