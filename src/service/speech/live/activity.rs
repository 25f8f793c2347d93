//! Which 10 ms frames hold a voice, told while they come: as `voice_activity`, with a past only.
//!
//! ```text
//! frame ─▶ two bands: all of it, the difference signal ─▶ histograms of the last 8 s and 10 s ─▶ threshold ─▶ active?
//! ```
//! The answer comes one frame late (levels are means over three). When an utterance has ended, its frames are judged again by
//! what is known then: what began as noise of an unknown line is no voice any more. Figures: docs/decisions/voice-activity.md.

use std::collections::VecDeque;

use crate::service::speech::voice_activity::{
    ABOVE_FLOOR_DB, ABOVE_UNSTEADY_DB, BELOW_LOUD_DB, FLOOR_SHARE, FRAME, IDLE, LOUD_SHARE, LOWEST_FLOOR_DB, UNSTEADY, VOICE_DEPTH_DB,
};

/// Frames that the floor is taken from: as many as the whole track's detector looks at.
const FLOOR_FRAMES: usize = 800;
/// Frames that the loud moments are taken from.
const LOUD_FRAMES: usize = 1_000;
/// Frames whose levels are kept: the longest utterance, its hangover, and the look around a forced cut.
pub const HISTORY: usize = 1_200;
/// Thresholds follow the line at this interval, frames.
const STEP: usize = 10;
/// A floor of fewer frames is a guess: the lowest one is taken, so that a call that begins with a voice has one.
const FIRST: usize = 20;
/// So many frames until pauses must have made up their share: before it the floor is taken further down.
const SETTLED: usize = 400;
/// Levels are kept in half decibels above −100 dBov.
const PER_DB: f32 = 2.0;
const BOTTOM_DB: f32 = -100.0;
const BINS: usize = 201;

/// One frame's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Whether it stands out.
    pub active: bool,
    /// Energy, dBov.
    pub level_db: f32,
}

/// The detector of one leg; about 10 kB.
#[derive(Debug)]
pub struct StreamingActivity {
    all: Band,
    hiss: Band,
    /// Whether each kept frame holds nothing but one value.
    idle: VecDeque<bool>,
    idle_run: usize,
    since_step: usize,
    /// Mean powers of the last two frames, per band; the first is what the answer waits for.
    powers: [Option<[f32; 2]>; 2],
    /// Whether the frame that waits is idle.
    waits_idle: bool,
}

/// One band's levels.
#[derive(Debug)]
struct Band {
    levels: VecDeque<u8>,
    /// Of all frames, and of those that are not idle.
    floor: Histogram,
    alive: Histogram,
    loud: Histogram,
    floor_db: f32,
    threshold_db: f32,
}

#[derive(Debug)]
struct Histogram {
    counts: Box<[u16; BINS]>,
    total: usize,
}

impl Default for StreamingActivity {
    fn default() -> Self {
        Self {
            all: Band::default(),
            hiss: Band::default(),
            idle: VecDeque::with_capacity(HISTORY),
            idle_run: 0,
            since_step: 0,
            powers: [None; 2],
            waits_idle: false,
        }
    }
}

impl StreamingActivity {
    /// Takes the next 10 ms; the answer is that of the frame before.
    pub fn push(&mut self, samples: &[i16; FRAME]) -> Option<Frame> {
        let all = power(samples.iter().map(|s| f32::from(*s)));
        let hiss = power(samples.windows(2).map(|w| (f32::from(w[1]) - f32::from(w[0])) * 0.5));
        let idle = samples.iter().all(|s| *s == samples[0]);
        self.advance(Some([all, hiss]), idle)
    }

    /// The answer of the last frame, when no further one comes for now.
    pub fn flush(&mut self) -> Option<Frame> {
        self.advance(None, false)
    }

    /// The noise floor as it is known now, dBov.
    pub fn floor_db(&self) -> f32 {
        self.all.floor_db
    }

    /// Level of the frame `back` frames before the last answered one, dBov.
    pub fn level_db(&self, back: usize) -> f32 {
        self.all.back(back)
    }

    /// Whether that frame is a voice by what is known now.
    pub fn judge(&self, back: usize) -> bool {
        self.all.back(back) > self.all.threshold_db || self.hiss.back(back) > self.hiss.threshold_db
    }

    fn advance(&mut self, next: Option<[f32; 2]>, idle: bool) -> Option<Frame> {
        let [before, waits] = self.powers;
        let was_idle = std::mem::replace(&mut self.waits_idle, idle);
        self.powers = [waits, next];
        let waits = waits?;
        let mean = |band: usize| {
            let around = [before, Some(waits), next].into_iter().flatten();
            let (sum, count) = around.fold((0.0, 0.0), |(sum, count), powers| (sum + powers[band], count + 1.0));
            10.0 * (sum / count).log10()
        };
        let levels = [mean(0), mean(1)];
        self.keep(levels, was_idle);
        let active = levels[0] > self.all.threshold_db || levels[1] > self.hiss.threshold_db;
        Some(Frame { active, level_db: levels[0] })
    }

    fn keep(&mut self, levels: [f32; 2], idle: bool) {
        let leaves = self.idle.len().checked_sub(FLOOR_FRAMES).and_then(|at| self.idle.get(at)).copied();
        for (band, level) in [(&mut self.all, levels[0]), (&mut self.hiss, levels[1])] {
            band.keep(level, leaves);
        }
        if self.idle.len() == HISTORY {
            self.idle.pop_front();
        }
        // A run shows only at its end that it is one: until then its frames count as noise like any other.
        self.idle_run = if idle { self.idle_run + 1 } else { 0 };
        self.idle.push_back(self.idle_run > IDLE);
        if self.idle_run > IDLE {
            self.forget_alive(0);
        } else if self.idle_run == IDLE {
            (0..IDLE).for_each(|back| self.forget_alive(back));
            self.idle.iter_mut().rev().take(IDLE).for_each(|idle| *idle = true);
        }
        self.since_step += 1;
        if self.since_step >= STEP || self.idle.len() <= FIRST {
            self.since_step = 0;
            let some_idle = self.all.alive.total < self.all.floor.total;
            self.all.step(some_idle);
            self.hiss.step(some_idle);
        }
    }

    fn forget_alive(&mut self, back: usize) {
        for band in [&mut self.all, &mut self.hiss] {
            if let Some(level) = band.levels.len().checked_sub(back + 1).and_then(|at| band.levels.get(at)) {
                band.alive.remove(*level);
            }
        }
    }
}

impl Default for Band {
    fn default() -> Self {
        Self {
            levels: VecDeque::with_capacity(HISTORY),
            floor: Histogram::default(),
            alive: Histogram::default(),
            loud: Histogram::default(),
            floor_db: LOWEST_FLOOR_DB,
            threshold_db: LOWEST_FLOOR_DB + ABOVE_FLOOR_DB,
        }
    }
}

impl Band {
    /// `leaves`: whether the frame that leaves the floor's window is idle, when one leaves.
    fn keep(&mut self, level_db: f32, leaves: Option<bool>) {
        let oldest = |window: usize, levels: &VecDeque<u8>| levels.len().checked_sub(window).and_then(|at| levels.get(at)).copied();
        if let (Some(level), Some(idle)) = (oldest(FLOOR_FRAMES, &self.levels), leaves) {
            self.floor.remove(level);
            if !idle {
                self.alive.remove(level);
            }
        }
        if let Some(level) = oldest(LOUD_FRAMES, &self.levels) {
            self.loud.remove(level);
        }
        if self.levels.len() == HISTORY {
            self.levels.pop_front();
        }
        let level = ((level_db - BOTTOM_DB) * PER_DB).round().clamp(0.0, (BINS - 1) as f32) as u8;
        self.levels.push_back(level);
        for histogram in [&mut self.floor, &mut self.alive, &mut self.loud] {
            histogram.add(level);
        }
    }

    fn back(&self, back: usize) -> f32 {
        self.levels.len().checked_sub(back + 1).and_then(|at| self.levels.get(at)).map_or(BOTTOM_DB, |level| in_db(*level))
    }

    /// Follows the line: the rules of the whole track's detector.
    fn step(&mut self, some_idle: bool) {
        if self.levels.len() < FIRST {
            return;
        }
        let loud = self.loud.share(LOUD_SHARE);
        let (fifth, low) = self.pauses(some_idle, loud);
        let above = ((fifth - low) * UNSTEADY).clamp(ABOVE_FLOOR_DB, ABOVE_UNSTEADY_DB);
        self.floor_db = fifth.max(LOWEST_FLOOR_DB);
        self.threshold_db = (self.floor_db + above).max(loud - BELOW_LOUD_DB);
    }

    fn pauses(&self, some_idle: bool, loud: f32) -> (f32, f32) {
        let pair = |histogram: &Histogram| {
            let share = FLOOR_SHARE * (histogram.total as f32 / SETTLED as f32).min(1.0);
            (histogram.share(share), histogram.share(share / 4.0))
        };
        let (fifth, low) = pair(&self.alive);
        if !some_idle || (self.alive.total > 0 && fifth <= loud - VOICE_DEPTH_DB) {
            return (fifth, low);
        }
        pair(&self.floor)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BINS]), total: 0 }
    }
}

impl Histogram {
    fn add(&mut self, level: u8) {
        self.counts[usize::from(level)] += 1;
        self.total += 1;
    }

    fn remove(&mut self, level: u8) {
        self.counts[usize::from(level)] -= 1;
        self.total -= 1;
    }

    /// The level that this share of the frames does not reach.
    fn share(&self, share: f32) -> f32 {
        let at = (self.total as f32 * share) as usize;
        let mut below = 0;
        let reached = |count: &u16| {
            below += usize::from(*count);
            below > at
        };
        self.counts.iter().position(reached).map_or(LOWEST_FLOOR_DB, |level| in_db(level as u8))
    }
}

fn in_db(level: u8) -> f32 {
    f32::from(level) / PER_DB + BOTTOM_DB
}

/// Mean power, 1 at full scale, never under −100 dBov.
fn power(values: impl Iterator<Item = f32>) -> f32 {
    let sum: f32 = values.map(|v| v * v).sum();
    (sum / FRAME as f32 / (32_768.0 * 32_768.0)).max(1e-10)
}
