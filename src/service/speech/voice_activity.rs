//! Which 10 ms frames of a whole track hold sound that stands out of the line's noise.
//!
//! Energy against the level of the pauses around and against the leg's loud moments, in two bands: all of it, and the
//! difference signal, which hears "s" and "f". Steady noise and steady tones are their own floor and never stand out.
//! Why not a neural detector: docs/decisions/voice-activity.md.

use std::ops::Range;

use super::RATE;

/// Frame length, samples: 10 ms.
pub const FRAME: usize = RATE / 100;
/// The floor is the level that a fifth of the frames around do not reach: pauses are never rarer.
pub(super) const FLOOR_SHARE: f32 = 0.2;
/// Frames on either side that the floor is taken from: 4 s.
const FLOOR_REACH: usize = 400;
/// A frame is active at least this far above the floor …
pub(super) const ABOVE_FLOOR_DB: f32 = 2.0;
/// … and further where the noise itself goes up and down: this often the distance from its lowest to its fifth …
pub(super) const UNSTEADY: f32 = 1.5;
/// … but never more than this.
pub(super) const ABOVE_UNSTEADY_DB: f32 = 12.0;
/// No floor is lower: a voice under −50 dBov is somebody else's in the room.
pub(super) const LOWEST_FLOOR_DB: f32 = -58.0;
/// So many frames of one and the same sample are no line's noise but an idle codec, a muted microphone, a filled gap. They say nothing of the pauses …
pub(super) const IDLE: usize = 20;
/// … unless it is the pause itself, on a phone that gates its noise; then the quietest fifth of the rest is voice, and not this far below the loud moments.
pub(super) const VOICE_DEPTH_DB: f32 = 34.0;
/// Whatever is this far below the leg's loud moments around is not the speaker either.
pub(super) const BELOW_LOUD_DB: f32 = 34.0;
/// Loud moments are those above this share of the frames within [`LOUD_REACH`].
pub(super) const LOUD_SHARE: f32 = 0.97;
/// Frames on either side that the loud moments are taken from: 10 s.
const LOUD_REACH: usize = 1_000;
/// The window moves in steps of this many frames.
const STEP: usize = 25;
/// Sound shorter than this many frames, alone, is a click.
pub(super) const CLICK: usize = 4;
/// Alone means: nothing else within this many frames.
pub(super) const ALONE: usize = 12;

/// One track, frame by frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// Whether the frame stands out.
    pub active: Vec<bool>,
    /// Energy, dBov.
    pub level_db: Vec<f32>,
    /// The noise floor there, dBov.
    pub floor_db: Vec<f32>,
}

/// Looks at a whole track (8 kHz mono); a last part frame counts as a frame.
pub fn activity(samples: &[i16]) -> Activity {
    let level_db: Vec<f32> = samples.chunks(FRAME).map(|f| energy_db(f.iter().map(|s| f32::from(*s)), f.len())).collect();
    let hiss_db: Vec<f32> =
        samples.chunks(FRAME).map(|f| energy_db(f.windows(2).map(|w| (f32::from(w[1]) - f32::from(w[0])) * 0.5), f.len())).collect();
    let idle = idle(samples);
    let (level_db, hiss_db) = (smooth(&level_db), smooth(&hiss_db));
    let (floor_db, threshold) = thresholds(&level_db, &idle);
    let (_, hiss_threshold) = thresholds(&hiss_db, &idle);
    let mut active: Vec<bool> = (0..level_db.len()).map(|i| level_db[i] > threshold[i] || hiss_db[i] > hiss_threshold[i]).collect();
    drop_clicks(&mut active);
    Activity { active, level_db, floor_db }
}

fn energy_db(values: impl Iterator<Item = f32>, count: usize) -> f32 {
    let sum: f32 = values.map(|v| v * v).sum();
    let mean = sum / count.max(1) as f32;
    10.0 * (mean / (32_768.0 * 32_768.0)).max(1e-10).log10()
}

/// Mean power over three frames, in dB.
fn smooth(level: &[f32]) -> Vec<f32> {
    let power: Vec<f32> = level.iter().map(|db| 10f32.powf(db / 10.0)).collect();
    let mean = |i: usize| {
        let around = &power[i.saturating_sub(1)..(i + 2).min(power.len())];
        around.iter().sum::<f32>() / around.len() as f32
    };
    (0..power.len()).map(|i| 10.0 * mean(i).log10()).collect()
}

/// Frames within [`IDLE`] or more that hold nothing but one value.
fn idle(samples: &[i16]) -> Vec<bool> {
    let mut idle: Vec<bool> = samples.chunks(FRAME).map(|f| f.iter().all(|s| *s == f[0])).collect();
    for run in idle.chunk_by_mut(|a, b| a == b) {
        if run.len() < IDLE {
            run.fill(false);
        }
    }
    idle
}

/// Floor and threshold for every frame.
fn thresholds(level: &[f32], idle: &[bool]) -> (Vec<f32>, Vec<f32>) {
    let (mut floor, mut threshold) = (Vec::with_capacity(level.len()), Vec::with_capacity(level.len()));
    for start in (0..level.len()).step_by(STEP) {
        let loud = share(&mut level[around(level, start, LOUD_REACH)].to_vec(), LOUD_SHARE);
        let (fifth, low) = pauses(level, idle, around(level, start, FLOOR_REACH), loud);
        let above = ((fifth - low) * UNSTEADY).clamp(ABOVE_FLOOR_DB, ABOVE_UNSTEADY_DB);
        let here = fifth.max(LOWEST_FLOOR_DB);
        let count = STEP.min(level.len() - start);
        floor.extend(std::iter::repeat_n(here, count));
        threshold.extend(std::iter::repeat_n((here + above).max(loud - BELOW_LOUD_DB), count));
    }
    (floor, threshold)
}

/// How loud the pauses are, and how quiet they get.
fn pauses(level: &[f32], idle: &[bool], near: Range<usize>, loud: f32) -> (f32, f32) {
    let mut alive: Vec<f32> = near.clone().filter(|i| !idle[*i]).map(|i| level[i]).collect();
    let some_idle = alive.len() < near.len();
    let (fifth, low) = (share(&mut alive, FLOOR_SHARE), share(&mut alive, FLOOR_SHARE / 4.0));
    if !some_idle || (!alive.is_empty() && fifth <= loud - VOICE_DEPTH_DB) {
        return (fifth, low);
    }
    let mut all = level[near].to_vec();
    (share(&mut all, FLOOR_SHARE), share(&mut all, FLOOR_SHARE / 4.0))
}

fn around(level: &[f32], at: usize, reach: usize) -> Range<usize> {
    at.saturating_sub(reach)..(at + reach).min(level.len())
}

/// The level that this share of the frames does not reach.
fn share(levels: &mut [f32], share: f32) -> f32 {
    let at = ((levels.len() as f32 * share) as usize).min(levels.len().saturating_sub(1));
    if levels.is_empty() { LOWEST_FLOOR_DB } else { *levels.select_nth_unstable_by(at, f32::total_cmp).1 }
}

/// Takes out bursts of under [`CLICK`] frames with nothing near them.
pub(super) fn drop_clicks(active: &mut [bool]) {
    let mut i = 0;
    let mut last_end: Option<usize> = None;
    while i < active.len() {
        if !active[i] {
            i += 1;
            continue;
        }
        let start = i;
        while i < active.len() && active[i] {
            i += 1;
        }
        let before = last_end.is_none_or(|end| start - end > ALONE);
        let after = !active[i..(i + ALONE).min(active.len())].contains(&true);
        if i - start < CLICK && before && after {
            active[start..i].fill(false);
        } else {
            last_end = Some(i);
        }
    }
}
