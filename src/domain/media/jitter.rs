//! Evens out the arrival of one source's packets: as little delay as its jitter allows, 40 to 200 ms.
//!
//! ```text
//! slack = how long before it is needed a packet came, samples
//! target = greatest − smallest slack of the last 4 to 8 s + 10 ms, within 40 to 200 ms
//! greatest slack < target: stretch by 10 ms      > target + 20 ms: shorten by 10 ms
//! ```
//! Where it is quiet at once, in speech rarely and with a cross-fade; drift of the source's clock is put right the same way.

use std::time::Instant;

use super::{
    CLOCK_HZ,
    plan::Codec,
    sound::{FADE, Fade, cross, decode},
};

/// Samples of one pull: 20 ms.
pub const FRAME: usize = 160;
/// Samples that a buffer holds: half a second.
const CAPACITY: usize = 4096;
/// Least delay, samples: 40 ms.
const DELAY_MIN: i64 = 320;
/// Greatest delay, samples: 200 ms.
const DELAY_MAX: i64 = 1600;
/// Added to the jitter that was seen, samples: 10 ms.
const MARGIN: i64 = 80;
/// One step of stretching or shortening, samples: 10 ms.
const STEP: usize = 80;
/// More delay than the target by this is taken out, samples: 20 ms.
const EXCESS: i64 = 160;
/// A buffer that holds more than this (a burst after a stall) begins anew: 320 ms.
const BACKLOG_MAX: u64 = 2560;
/// So many late packets in a row mean that the source's clock moved, not that packets are late.
const LATE_RUN_MAX: u8 = 3;
/// Half of the window over which slack is measured, samples: 4 s.
const HALF: u32 = 32_000;
/// Packets that say enough to stretch by, and to shorten by.
const ENOUGH: u32 = 10;
const PLENTY: u32 = 50;
/// Frames between two steps inside speech: 200 ms.
const SPEECH_STEP_FRAMES: u32 = 10;
/// Frames for which too long a delay is borne inside speech before it is shortened there: 5 s.
const PATIENCE_FRAMES: u32 = 250;
/// Samples below this are quiet: about −44 dBFS.
const QUIET: u16 = 200;
/// Marks a place in the ring that no packet has filled; no G.711 octet decodes to it.
const MISSING: i16 = i16::MIN;

/// Greatest and smallest slack of one half of the window.
#[derive(Clone, Copy, Debug)]
struct Extremes {
    min: i64,
    max: i64,
    count: u32,
}

/// What the arrival of packets says about the delay that is needed.
#[derive(Clone, Copy, Debug, Default)]
struct Timing {
    before: Option<Extremes>,
    now: Option<Extremes>,
    pulled: u32,
}

impl Timing {
    fn note(&mut self, slack: i64) {
        if self.pulled > HALF && self.now.is_some_and(|now| now.count >= PLENTY) {
            *self = Self { before: self.now, now: None, pulled: 0 };
        }
        let now = self.now.get_or_insert(Extremes { min: slack, max: slack, count: 0 });
        now.min = now.min.min(slack);
        now.max = now.max.max(slack);
        now.count += 1;
    }

    /// The source is played `by` samples later from now on.
    fn shift(&mut self, by: i64) {
        for half in [&mut self.before, &mut self.now].into_iter().flatten() {
            half.min += by;
            half.max += by;
        }
    }

    fn both(&self) -> Option<Extremes> {
        match (self.before, self.now) {
            (Some(a), Some(b)) => Some(Extremes { min: a.min.min(b.min), max: a.max.max(b.max), count: a.count + b.count }),
            (one, None) | (None, one) => one,
        }
    }
}

/// What a pull does beside playing on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    None,
    Stretch,
    Shorten,
    /// Nothing is there to play, and more delay is wanted: wait.
    Wait,
}

/// Linear samples of one source, placed by its timestamps.
#[derive(Debug)]
pub struct JitterBuffer {
    ring: Box<[i16; CAPACITY]>,
    /// Extended timestamp of the next sample to play, and the end of the newest packet; `None` before the first packet.
    window: Option<(u64, u64)>,
    /// The source was heard until now by another way: its first packet is played at once.
    warm: bool,
    late_run: u8,
    timing: Timing,
    target: i64,
    pulled_at: Option<Instant>,
    since_change: u32,
    excess_for: u32,
    fade: Fade,
    last: i16,
    gap: bool,
}

impl JitterBuffer {
    /// An empty buffer; `warm` when the listener has heard this source until now.
    pub fn new(warm: bool) -> Self {
        Self {
            ring: Box::new([MISSING; CAPACITY]),
            window: None,
            warm,
            late_run: 0,
            timing: Timing::default(),
            target: DELAY_MIN,
            pulled_at: None,
            since_change: 0,
            excess_for: 0,
            fade: Fade::default(),
            last: 0,
            gap: true,
        }
    }

    /// Forgets what is in it: another source begins.
    pub fn clear(&mut self) {
        self.ring.fill(MISSING);
        self.window = None;
        self.late_run = 0;
        self.timing = Timing::default();
    }

    /// The delay that is aimed at, milliseconds.
    #[cfg(test)]
    pub fn target_ms(&self) -> u32 {
        u32::try_from(self.target / 8).unwrap_or(0)
    }

    /// Takes a packet; false when all of it came too late to be played.
    pub fn push(&mut self, now: Instant, codec: Codec, ext_ts: u64, payload: &[u8]) -> bool {
        let end = ext_ts + payload.len() as u64;
        if let Some((next, newest)) = self.window {
            // Phones stop their clock while they hold: what follows on after such a silence is no straggler.
            let stood_still = ext_ts >= newest && next >= newest + DELAY_MAX.unsigned_abs();
            if end <= next && stood_still {
                self.clear();
            } else if end <= next {
                self.late_run += 1;
                if self.late_run < LATE_RUN_MAX {
                    self.note(now, ext_ts, next);
                    return false;
                }
                self.clear();
            } else if end > next + BACKLOG_MAX {
                self.clear();
            }
        }
        let (next, newest) = self.window.unwrap_or_else(|| {
            let delay = if std::mem::take(&mut self.warm) { 0 } else { self.target.unsigned_abs() };
            (ext_ts.saturating_sub(delay), end)
        });
        self.window = Some((next, newest.max(end)));
        self.late_run = 0;
        self.note(now, ext_ts, next);
        for (at, &octet) in (ext_ts..).zip(payload).skip_while(|(at, _)| *at < next) {
            self.ring[at as usize % CAPACITY] = decode(codec, octet);
        }
        true
    }

    fn note(&mut self, now: Instant, ext_ts: u64, next: u64) {
        let since = self.pulled_at.map_or(0, |at| now.saturating_duration_since(at).as_micros());
        let since = i64::try_from(since).unwrap_or(0) * i64::from(CLOCK_HZ) / 1_000_000;
        self.timing.note(ext_ts as i64 - next as i64 + FRAME as i64 - since.min(2 * FRAME as i64));
        if let Some(seen) = self.timing.both() {
            let wanted = (seen.max - seen.min + MARGIN).clamp(DELAY_MIN, DELAY_MAX);
            self.target = if seen.count >= PLENTY { wanted } else { self.target.max(wanted) };
        }
    }

    /// The next 20 ms; missing samples are silence. False when none of them was there.
    pub fn pull(&mut self, now: Instant, out: &mut [i16; FRAME]) -> bool {
        self.pulled_at = Some(now);
        self.since_change += 1;
        let mut raw = [MISSING; FRAME];
        if let Some((next, newest)) = self.window {
            self.timing.pulled = self.timing.pulled.saturating_add(FRAME as u32);
            let used = match self.change(next, newest) {
                Change::None => self.read(next, &mut raw),
                Change::Stretch => self.stretch(next, &mut raw),
                Change::Shorten => self.shorten(next, &mut raw),
                Change::Wait => {
                    self.timing.shift(FRAME as i64);
                    0
                }
            };
            let next = next + used as u64;
            let over = next >= newest + CAPACITY as u64 + DELAY_MIN as u64;
            self.window = (!over).then_some((next, newest));
        }
        let any = raw.iter().any(|sample| *sample != MISSING);
        for (out, raw) in out.iter_mut().zip(raw) {
            let gap = raw == MISSING;
            if gap != self.gap {
                self.gap = gap;
                self.fade.begin(self.last);
            }
            self.last = self.fade.next(if gap { 0 } else { raw });
            *out = self.last;
        }
        any
    }

    fn change(&mut self, next: u64, newest: u64) -> Change {
        let Some(seen) = self.timing.both() else { return Change::None };
        let (lack, excess) = (self.target - seen.max, seen.max - self.target);
        let empty = newest <= next;
        if seen.count >= ENOUGH && lack >= STEP as i64 {
            if empty {
                return if lack >= FRAME as i64 { Change::Wait } else { Change::None };
            }
            let now = self.since_change >= SPEECH_STEP_FRAMES || self.is_quiet(next, STEP + FADE);
            return if now && self.is_there(next, STEP + FADE) { Change::Stretch } else { Change::None };
        }
        if seen.count < PLENTY || self.timing.before.is_none() || excess < EXCESS {
            self.excess_for = 0;
            return Change::None;
        }
        self.excess_for += 1;
        let overdue = self.excess_for >= PATIENCE_FRAMES && self.since_change >= SPEECH_STEP_FRAMES;
        let now = overdue || self.is_quiet(next, FRAME + STEP);
        if now && self.is_there(next, FRAME + STEP) { Change::Shorten } else { Change::None }
    }

    fn at(&self, at: u64) -> i16 {
        self.ring[at as usize % CAPACITY]
    }

    fn is_there(&self, next: u64, samples: usize) -> bool {
        (next..next + samples as u64).all(|at| self.at(at) != MISSING)
    }

    fn is_quiet(&self, next: u64, samples: usize) -> bool {
        (next..next + samples as u64).all(|at| self.at(at).unsigned_abs() < QUIET)
    }

    /// Takes samples out; the places are free again.
    fn read(&mut self, next: u64, raw: &mut [i16]) -> usize {
        for (at, raw) in (next..).zip(raw.iter_mut()) {
            *raw = std::mem::replace(&mut self.ring[at as usize % CAPACITY], MISSING);
        }
        raw.len()
    }

    /// 10 ms are played twice: on from them into their own beginning, which ends where the next frame goes on.
    fn stretch(&mut self, next: u64, raw: &mut [i16; FRAME]) -> usize {
        for place in 0..STEP {
            let at = next + place as u64;
            raw[place] = self.at(at);
            raw[STEP + place] = if place < FADE { cross(self.at(at + STEP as u64), self.at(at), place) } else { self.at(at) };
        }
        self.forget(next, STEP);
        self.timing.shift(STEP as i64);
        self.since_change = 0;
        STEP
    }

    /// 10 ms are left out.
    fn shorten(&mut self, next: u64, raw: &mut [i16; FRAME]) -> usize {
        for (place, raw) in raw.iter_mut().enumerate() {
            let at = next + place as u64;
            *raw = cross(self.at(at), self.at(at + STEP as u64), place);
        }
        self.forget(next, FRAME + STEP);
        self.timing.shift(-(STEP as i64));
        self.since_change = 0;
        FRAME + STEP
    }

    fn forget(&mut self, next: u64, samples: usize) {
        for at in next..next + samples as u64 {
            self.ring[at as usize % CAPACITY] = MISSING;
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as the test's zero")]
fn zero() -> Instant {
    Instant::now()
}

#[cfg(test)]
#[path = "jitter_tests.rs"]
mod tests;
