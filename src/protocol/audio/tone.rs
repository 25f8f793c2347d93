//! Tones: made by test players, found again by whoever listens. A call that plays its own pair of tones shows
//! cross-talk at once.

use std::f64::consts::TAU;

/// Two sines added, sample after sample without a break between calls.
#[derive(Clone, Debug)]
pub struct DualTone {
    phase: [f64; 2],
    step: [f64; 2],
    amplitude: f64,
}

impl DualTone {
    /// `low_hz` and `high_hz` at `rate_hz` samples a second; each sine peaks at `amplitude` (at most half of full scale is used).
    pub fn new(low_hz: f64, high_hz: f64, amplitude: i16, rate_hz: u32) -> Self {
        let step = |hz: f64| hz / f64::from(rate_hz);
        Self { phase: [0.0; 2], step: [step(low_hz), step(high_hz)], amplitude: f64::from(amplitude).clamp(0.0, 16_383.0) }
    }

    /// The next sample.
    pub fn next_sample(&mut self) -> i16 {
        let mut sum = 0.0;
        for (phase, step) in self.phase.iter_mut().zip(self.step) {
            sum += (*phase * TAU).sin();
            *phase = (*phase + step).fract();
        }
        (sum * self.amplitude) as i16
    }

    /// Fills `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        out.fill_with(|| self.next_sample());
    }
}

/// The peak amplitude of `hz` in `samples` (Goertzel): about what a sine of that frequency was made with.
///
/// Frequencies are told apart down to `rate_hz / samples.len()`; no samples have no tone.
pub fn amplitude_of(samples: &[i16], hz: f64, rate_hz: u32) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let coefficient = 2.0 * (TAU * hz / f64::from(rate_hz)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in samples {
        (last, before) = (f64::from(sample) + coefficient * last - before, last);
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dual_tone_is_found_by_its_two_frequencies_and_no_other() {
        let mut samples = [0; 1600];
        let mut tone = DualTone::new(697.0, 1209.0, 8000, 8000);
        let (head, tail) = samples.split_at_mut(333);
        tone.fill(head);
        tone.fill(tail);
        for hz in [697.0, 1209.0] {
            assert!((7500.0..8500.0).contains(&amplitude_of(&samples, hz, 8000)), "{hz}");
        }
        for hz in [440.0, 941.0, 1477.0] {
            assert!(amplitude_of(&samples, hz, 8000) < 200.0, "{hz}");
        }
        assert_eq!(amplitude_of(&[], 440.0, 8000), 0.0);
    }
}
