//! 8 kHz ↔ 16 kHz with one half-band filter: what the model wants, and what a 16 kHz file has too much of.

use std::f32::consts::PI;

/// Taps on either side of the centre; every other one is zero.
const HALF: usize = 31;

/// Windowed sinc at half the upper band; index 0 is the centre.
fn tap(distance: usize) -> f32 {
    match distance {
        0 => 0.5,
        d if d % 2 == 0 => 0.0,
        d => {
            let x = PI * d as f32;
            let window = 0.5 + 0.5 * (x / (HALF as f32 + 1.0)).cos();
            (x / 2.0).sin() / x * window
        }
    }
}

/// Doubles the rate; −1…1 floats, as the model takes them.
pub fn up(samples: &[i16]) -> Vec<f32> {
    let taps: Vec<f32> = (0..HALF.div_ceil(2)).map(|k| 2.0 * tap(2 * k + 1)).collect();
    let at = |i: isize| usize::try_from(i).ok().and_then(|i| samples.get(i)).map_or(0.0, |s| f32::from(*s) / 32_768.0);
    let mut out = Vec::with_capacity(samples.len() * 2);
    for i in 0..samples.len() as isize {
        out.push(at(i));
        let between: f32 = taps.iter().zip(0isize..).map(|(t, k)| t * (at(i - k) + at(i + 1 + k))).sum();
        out.push(between);
    }
    out
}

/// Halves the rate.
pub fn down(samples: &[i16]) -> Vec<i16> {
    let taps: Vec<f32> = (0..=HALF).map(tap).collect();
    let at = |i: isize| usize::try_from(i).ok().and_then(|i| samples.get(i)).map_or(0.0, |s| f32::from(*s));
    (0..samples.len().div_ceil(2))
        .map(|i| {
            let c = 2 * i as isize;
            let sum: f32 = taps.iter().zip(0isize..).map(|(t, k)| if k == 0 { t * at(c) } else { t * (at(c - k) + at(c + k)) }).sum();
            sum.round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, rate: f32, n: usize) -> Vec<i16> {
        (0..n).map(|i| ((2.0 * PI * hz * i as f32 / rate).sin() * 10_000.0) as i16).collect()
    }

    #[test]
    fn a_telephone_tone_comes_through_both_ways_unchanged() {
        for hz in [300.0, 1_000.0, 3_000.0] {
            let there: Vec<i16> = up(&tone(hz, 8_000.0, 4_000)).iter().map(|s| (s * 32_768.0) as i16).collect();
            let wanted = tone(hz, 16_000.0, 8_000);
            let error =
                there[200..7_800].iter().zip(&wanted[200..]).map(|(a, b)| (f32::from(*a) - f32::from(*b)).abs()).fold(0.0, f32::max);
            assert!(error < 150.0, "{hz} Hz: off by {error}");
            let back = down(&wanted);
            let error = back[100..3_900]
                .iter()
                .zip(&tone(hz, 8_000.0, 4_000)[100..])
                .map(|(a, b)| (f32::from(*a) - f32::from(*b)).abs())
                .fold(0.0, f32::max);
            assert!(error < 150.0, "{hz} Hz: off by {error}");
        }
    }

    #[test]
    fn what_8_khz_cannot_carry_is_gone() {
        let out = down(&tone(6_000.0, 16_000.0, 8_000));
        assert!(out[100..3_900].iter().all(|s| s.abs() < 150));
    }
}
