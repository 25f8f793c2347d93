//! Music for those who wait, made at start: slow chords under single plucked notes, one loop without a seam.
//!
//! Everything sounds between 130 Hz and 1.4 kHz: that is what a telephone carries well. Notes that outlast the loop ring on into
//! its beginning, so that nobody hears where it begins.

use std::f64::consts::TAU;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::RATE;

/// Seconds of one chord.
const CHORD_S: f64 = 4.0;
/// Plucked notes in one chord.
const NOTES: u32 = 8;
/// The loudest sample; speech on the telephone is about as loud.
const PEAK: f64 = 7_000.0;
/// Chords as semitones above C3 (130.8 Hz), the bass first: C, A minor, F, G, twice with other tops.
const CHORDS: [[i32; 4]; 8] = [
    [0, 16, 19, 23],
    [9, 12, 19, 24],
    [5, 12, 16, 21],
    [7, 14, 17, 23],
    [4, 12, 19, 23],
    [9, 16, 19, 24],
    [2, 12, 17, 21],
    [7, 12, 17, 21],
];
const LOWEST_HZ: f64 = 130.81;

/// A tune of 32 seconds at 8 kHz; the same seed makes the same tune.
pub fn tune(seed: u64) -> Vec<i16> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let length = (CHORD_S * CHORDS.len() as f64) as usize * RATE as usize;
    let mut sound = vec![0.0; length];
    for (n, chord) in CHORDS.iter().enumerate() {
        let begin = n as f64 * CHORD_S;
        for (voice, note) in chord.iter().enumerate() {
            pad(&mut sound, begin, hz(*note), if voice == 0 { 1.0 } else { 0.5 });
        }
        for step in 0..NOTES {
            // Now and then a rest: a tune that never breathes is a machine's.
            if random.next_u32().is_multiple_of(4) {
                continue;
            }
            let tone = chord[1 + (random.next_u32() % 3) as usize];
            let octave = if random.next_u32().is_multiple_of(3) { 12 } else { 0 };
            pluck(&mut sound, begin + f64::from(step) * CHORD_S / f64::from(NOTES), hz(tone + octave), 0.7);
        }
    }
    let loudest = sound.iter().fold(1.0_f64, |most, sample| most.max(sample.abs()));
    sound.into_iter().map(|sample| (sample * PEAK / loudest) as i16).collect()
}

fn hz(semitones: i32) -> f64 {
    LOWEST_HZ * 2.0_f64.powf(f64::from(semitones) / 12.0)
}

/// A soft voice that swells, holds and fades into the chord after it.
fn pad(sound: &mut [f64], begin: f64, hz: f64, level: f64) {
    const FADE_S: f64 = 1.2;
    let lasts = CHORD_S + FADE_S;
    add(sound, begin, lasts, |t| {
        let swell = (t / FADE_S).min((lasts - t) / FADE_S).clamp(0.0, 1.0);
        let envelope = 0.5 - 0.5 * (swell * TAU / 2.0).cos();
        let slow = 1.0 + 0.002 * (t * 0.7 * TAU).sin();
        let tone = (t * hz * TAU).sin() + 0.35 * (t * hz * slow * TAU + 0.5).sin() + 0.12 * (2.0 * t * hz * TAU).sin();
        level * 0.5 * envelope * tone
    });
}

/// A plucked string: bright at first, then soft.
fn pluck(sound: &mut [f64], begin: f64, hz: f64, level: f64) {
    add(sound, begin, 2.5, |t| {
        let attack = (t / 0.008).min(1.0);
        let tone = (t * hz * TAU).sin() * (-1.8 * t).exp() + 0.3 * (2.0 * t * hz * TAU).sin() * (-4.5 * t).exp();
        level * attack * tone
    });
}

/// Adds a voice; what lasts beyond the end goes on at the beginning.
fn add(sound: &mut [f64], begin: f64, lasts: f64, voice: impl Fn(f64) -> f64) {
    let rate = f64::from(RATE);
    let (first, count, length) = ((begin * rate) as usize, (lasts * rate) as usize, sound.len());
    for n in 0..count {
        sound[(first + n) % length] += voice(n as f64 / rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::audio::tone::amplitude_of;

    #[test]
    fn the_tune_has_no_seam_no_hole_and_no_peak_that_hurts() {
        let tune = tune(7);
        assert_eq!(tune.len(), 32 * 8_000);
        assert_eq!(tune, super::tune(7), "the same every time");
        assert_ne!(tune, super::tune(8));
        assert!(tune.iter().all(|sample| sample.unsigned_abs() <= 7_000));
        let steps = |samples: &[i16]| samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or(0);
        let seam = [&tune[tune.len() - 400..], &tune[..400]].concat();
        assert!(steps(&seam) <= steps(&tune), "nobody hears where it begins");
        let quietest = tune.chunks(2_000).map(|part| part.iter().map(|sample| sample.unsigned_abs()).max()).min();
        assert!(quietest.flatten() > Some(400), "{quietest:?}");
    }

    #[test]
    fn it_is_chords_that_change_and_not_a_tone() {
        let tune = tune(7);
        let (c, f) = (hz(0), hz(5));
        let chord = |n: usize| &tune[n * 32_000 + 12_000..n * 32_000 + 28_000];
        assert!(amplitude_of(chord(0), c, RATE) > 4.0 * amplitude_of(chord(0), f, RATE));
        assert!(amplitude_of(chord(2), f, RATE) > 4.0 * amplitude_of(chord(2), c, RATE));
    }
}
