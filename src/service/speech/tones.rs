//! Tells key tones and steady tones (ringback, busy, held notes of music) from voices.
//!
//! Keys by Goertzel at the DTMF frequencies (ITU-T Q.23). Steady sound by comparing the spectrum with the one 96 ms
//! earlier: a voice has moved on, a note has not.

use std::{f32::consts::TAU, sync::OnceLock};

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
    let loudest = samples.chunks_exact(KEY_FRAME).map(energy).fold(0.0, f32::max);
    let loud = samples.chunks_exact(KEY_FRAME).filter(|f| energy(f) > loudest * 0.01);
    let (keys, all) = loud.fold((0, 0), |(keys, all), f| (keys + u32::from(is_key(f)), all + 1));
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

/// How many loud windows have the spectrum of 96 ms before, and of how many.
pub fn steady(samples: &[i16]) -> (u32, u32) {
    let windows: Vec<&[i16]> = samples.windows(WINDOW).step_by(HOP).collect();
    let mut spectra: Vec<(f32, Vec<f32>)> = windows.chunks(2).flat_map(|pair| spectra(pair[0], pair[pair.len() - 1])).collect();
    spectra.truncate(windows.len());
    let loudest = spectra.iter().map(|s| s.0).fold(0.0, f32::max);
    let loud = |energy: f32| energy > loudest * 10f32.powf(-QUIET_DB / 10.0) && energy > 0.0;
    let pairs = spectra.iter().zip(spectra.iter().skip(LAG)).filter(|(a, b)| loud(a.0) && loud(b.0));
    pairs.fold((0, 0), |(same, all), (a, b)| (same + u32::from(similarity(&a.1, &b.1) > SAME), all + 1))
}

fn similarity(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}

/// Power per bin of two windows, with its sum each. One transform does both: they are its real and its imaginary part.
fn spectra(one: &[i16], other: &[i16]) -> [(f32, Vec<f32>); 2] {
    let n = one.len();
    let tables = tables();
    let shaped = |window: &[i16]| window.iter().zip(&tables.shape).map(|(s, shape)| f32::from(*s) / 32_768.0 * shape).collect::<Vec<f32>>();
    let (mut re, mut im) = (shaped(one), shaped(other));
    fft(&mut re, &mut im, &tables.turns);
    let power = |sign: f32| -> Vec<f32> {
        let bin = |i: usize| ((re[i] + sign * re[n - i]).powi(2) + (im[i] - sign * im[n - i]).powi(2)) / 4.0;
        (1..n / 2).map(bin).collect()
    };
    [power(1.0), power(-1.0)].map(|power| (power.iter().sum(), power))
}

/// What every window needs, computed once.
struct Tables {
    /// Hann window.
    shape: Vec<f32>,
    /// Sine and cosine of −2πk/n.
    turns: Vec<(f32, f32)>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let turn = |i: usize| TAU * i as f32 / WINDOW as f32;
        Tables {
            shape: (0..WINDOW).map(|i| 0.5 - 0.5 * turn(i).cos()).collect(),
            turns: (0..WINDOW / 2).map(|k| (-turn(k)).sin_cos()).collect(),
        }
    })
}

/// In-place radix-2 transform of [`WINDOW`] values.
fn fft(re: &mut [f32], im: &mut [f32], turns: &[(f32, f32)]) {
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
                let (sin, cos) = turns[k * (n / len)];
                let (a, b) = (start + k, start + k + len / 2);
                let (x, y) = (re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        len *= 2;
    }
}
