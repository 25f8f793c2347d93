//! Tells key tones and steady tones (ringback, busy, held notes of music) from voices.
//!
//! Keys by Goertzel at the DTMF frequencies (ITU-T Q.23). Steady sound by comparing the spectrum with the one 96 ms
//! earlier: a voice has moved on, a note has not.

use std::f32::consts::TAU;

use super::RATE;

/// Window of the spectrum: 64 ms, 15.6 Hz per bin.
const WINDOW: usize = 512;
/// Step between windows.
const HOP: usize = 256;
/// Compared with so many steps before: windows that do not overlap.
const LAG: usize = 3;
/// Cosine similarity of two power spectra above which nothing moved.
const SAME: f32 = 0.93;
/// Windows this far below the loudest are pauses.
const QUIET_DB: f32 = 20.0;
/// Goertzel frame: 20 ms.
const KEY_FRAME: usize = RATE / 50;
/// Share of a frame's energy that the two tones of a key must hold.
const KEY_SHARE: f32 = 0.75;
/// Largest difference of a key's two tones.
const KEY_TWIST_DB: f32 = 9.0;
const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// Share of the loud frames that hold a DTMF key, 0…1.
pub fn key_share(samples: &[i16]) -> f32 {
    let frames: Vec<(f32, bool)> = samples.chunks_exact(KEY_FRAME).map(|f| (energy(f), is_key(f))).collect();
    let loudest = frames.iter().map(|f| f.0).fold(0.0, f32::max);
    let loud = frames.iter().filter(|f| f.0 > loudest * 0.01 && f.0 > 0.0);
    let (keys, all) = loud.fold((0, 0), |(keys, all), f| (keys + u32::from(f.1), all + 1));
    if all == 0 { 0.0 } else { keys as f32 / all as f32 }
}

fn energy(frame: &[i16]) -> f32 {
    frame.iter().map(|s| f32::from(*s).powi(2)).sum()
}

fn is_key(frame: &[i16]) -> bool {
    let total = energy(frame);
    let strongest = |tones: &[f32; 4]| tones.iter().map(|hz| goertzel(frame, *hz)).fold(0.0, f32::max);
    let (low, high) = (strongest(&LOW_HZ), strongest(&HIGH_HZ));
    let twist = 10.0 * (low.max(1.0) / high.max(1.0)).log10().abs();
    total > 0.0 && low + high > total * KEY_SHARE && twist < KEY_TWIST_DB
}

/// Energy of `frame` at `hz`, on the scale of [`energy`].
fn goertzel(frame: &[i16], hz: f32) -> f32 {
    let k = 2.0 * (TAU * hz / RATE as f32).cos();
    let (a, b) = frame.iter().fold((0.0, 0.0), |(a, b), s| (f32::from(*s) + k * a - b, a));
    2.0 * (a * a + b * b - k * a * b) / frame.len() as f32
}

/// Share of the loud windows whose spectrum is that of 96 ms before, 0…1.
pub fn steady_share(samples: &[i16]) -> f32 {
    let spectra: Vec<(f32, Vec<f32>)> = samples.windows(WINDOW).step_by(HOP).map(spectrum).collect();
    let loudest = spectra.iter().map(|s| s.0).fold(0.0, f32::max);
    let loud = |energy: f32| energy > loudest * 10f32.powf(-QUIET_DB / 10.0) && energy > 0.0;
    let pairs = spectra.iter().zip(spectra.iter().skip(LAG)).filter(|(a, b)| loud(a.0) && loud(b.0));
    let (same, all) = pairs.fold((0, 0), |(same, all), (a, b)| (same + u32::from(similarity(&a.1, &b.1) > SAME), all + 1));
    if all == 0 { 0.0 } else { same as f32 / all as f32 }
}

fn similarity(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}

/// Power per bin of one window, with its sum.
fn spectrum(window: &[i16]) -> (f32, Vec<f32>) {
    let n = window.len();
    let shape = |i: usize| 0.5 - 0.5 * (TAU * i as f32 / n as f32).cos();
    let mut re: Vec<f32> = window.iter().enumerate().map(|(i, s)| f32::from(*s) / 32_768.0 * shape(i)).collect();
    let mut im = vec![0.0; n];
    fft(&mut re, &mut im);
    let power: Vec<f32> = (1..n / 2).map(|i| re[i] * re[i] + im[i] * im[i]).collect();
    (power.iter().sum(), power)
}

/// In-place radix-2 transform; the length is a power of two.
fn fft(re: &mut [f32], im: &mut [f32]) {
    let n = re.len();
    let mut j = 0;
    for i in 1..n {
        let mut bit = n >> 1;
        while j & bit != 0 {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut len = 2;
    while len <= n {
        for start in (0..n).step_by(len) {
            for k in 0..len / 2 {
                let (sin, cos) = (-TAU * k as f32 / len as f32).sin_cos();
                let (a, b) = (start + k, start + k + len / 2);
                let (x, y) = (re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        len *= 2;
    }
}
