//! One leg's recording as the tap sees it: `Open`, frames, `Pause`, `Resume`, `Close`, each exactly once and in order.
//!
//! What opens and closes waits in [`PendingTaps`] until the channel has room; a frame never waits.

use std::collections::VecDeque;

use super::{
    engine::Outlet,
    plan::RecordingPlan,
    tap::{Tap, TapFrame, TapOpen},
};
use crate::ids::{LegId, RecordingId};

/// Tap messages that must not be lost and have found no room yet.
#[derive(Debug, Default)]
pub struct PendingTaps(VecDeque<Tap>);

impl PendingTaps {
    /// Puts a message behind those that wait.
    pub fn wait(&mut self, tap: Tap) {
        self.0.push_back(tap);
    }

    /// Takes out what waits of one leg, in order.
    pub fn take_of(&mut self, leg: LegId) -> Vec<Tap> {
        let (own, others) = std::mem::take(&mut self.0).into_iter().partition(|tap| tap.leg() == leg);
        self.0 = others;
        Vec::from(own)
    }

    /// Offers what waits to `tap`, which gives a message back when it is full; true when nothing waits any more.
    pub fn flush(&mut self, tap: &mut dyn FnMut(Tap) -> Option<Tap>) -> bool {
        while let Some(waiting) = self.0.pop_front() {
            if let Some(refused) = tap(waiting) {
                self.0.push_front(refused);
                return false;
            }
        }
        true
    }
}

/// Whether a leg's audio is handed out now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Off,
    On(RecordingId),
    Paused(RecordingId),
}

/// The recording of one leg.
#[derive(Debug, Default)]
pub struct Track {
    state: State,
    /// Frames dropped since this track was opened.
    dropped: u64,
    /// Frames dropped over all tracks of the leg.
    dropped_total: u64,
}

impl Track {
    /// Whether frames are wanted.
    pub fn is_on(&self) -> bool {
        matches!(self.state, State::On(_))
    }

    /// Frames of this leg that found the tap full.
    pub fn total_dropped(&self) -> u64 {
        self.dropped_total
    }

    /// Makes the track what the plan wants; `open` describes a track that begins now.
    pub fn apply(
        &mut self,
        wanted: RecordingPlan,
        leg: LegId,
        axis_us: u64,
        open: &dyn Fn(RecordingId) -> TapOpen,
        taps: &mut PendingTaps,
    ) {
        let next = match (self.state, wanted) {
            (State::Off, RecordingPlan::Off) => return,
            (State::On(now) | State::Paused(now), RecordingPlan::On(then) | RecordingPlan::Paused(then)) if now != then => {
                self.close(leg, axis_us, taps);
                return self.apply(wanted, leg, axis_us, open, taps);
            }
            (State::On(_), RecordingPlan::On(_)) | (State::Paused(_), RecordingPlan::Paused(_)) => return,
            (State::On(_) | State::Paused(_), RecordingPlan::Off) => return self.close(leg, axis_us, taps),
            (State::Off, RecordingPlan::On(recording)) => {
                taps.0.push_back(Tap::Open(open(recording)));
                State::On(recording)
            }
            (State::Off, RecordingPlan::Paused(recording)) => {
                taps.0.push_back(Tap::Open(open(recording)));
                taps.0.push_back(Tap::Pause { leg, axis_us });
                State::Paused(recording)
            }
            (State::Paused(_), RecordingPlan::On(recording)) => {
                taps.0.push_back(Tap::Resume { leg, axis_us });
                State::On(recording)
            }
            (State::On(_), RecordingPlan::Paused(recording)) => {
                taps.0.push_back(Tap::Pause { leg, axis_us });
                State::Paused(recording)
            }
        };
        self.state = next;
    }

    /// Ends the track, if one is open.
    pub fn close(&mut self, leg: LegId, axis_us: u64, taps: &mut PendingTaps) {
        if self.state != State::Off {
            taps.0.push_back(Tap::Close { leg, axis_us, dropped: self.dropped });
            self.state = State::Off;
            self.dropped = 0;
        }
    }

    /// Hands out one frame; false when it had to be dropped because the tap is full or messages before it still wait.
    pub fn frame(&mut self, frame: &TapFrame, taps: &mut PendingTaps, out: &mut dyn Outlet) -> bool {
        let taken = taps.flush(&mut |tap| out.tap(tap)) && out.tap_frame(frame);
        if !taken {
            self.dropped += 1;
            self.dropped_total += 1;
        }
        taken
    }
}
