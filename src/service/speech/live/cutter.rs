//! Voiced frames → utterances while they come: pre-roll, hangover, forced cuts as in `utterances`, one frame at a time.
//!
//! A burst under 40 ms with nothing within 120 ms of it is a click; it counts once something follows.

use std::{collections::VecDeque, ops::Range};

use super::activity::HISTORY;
use crate::service::speech::{
    utterances::{CUT_SMOOTH, CUT_WITHIN, HANGOVER, HANGOVER_LONG, LONG, LONGEST, PRE_ROLL},
    voice_activity::{ALONE, CLICK},
};

/// Finds utterances; frames are counted from 0.
#[derive(Debug, Default)]
pub struct Cutter {
    /// The next frame.
    next: usize,
    /// Whether the last frames count as voice.
    kept: VecDeque<bool>,
    /// The burst that is going on or just ended.
    burst: Option<Burst>,
    /// End of the last burst that counts.
    kept_end: Option<usize>,
    open: Option<Open>,
    /// Where the last utterance ended.
    free_from: usize,
}

#[derive(Debug)]
struct Open {
    from: usize,
    last_voiced: usize,
    voiced: usize,
}

#[derive(Debug)]
struct Burst {
    frames: Range<usize>,
    counts: bool,
}

impl Cutter {
    /// Takes a frame; `level_db(back)` tells the level so many frames before it. Gives the frames of an utterance that ended.
    pub fn push(&mut self, active: bool, level_db: impl Fn(usize) -> f32) -> Option<Range<usize>> {
        let i = self.next;
        self.next += 1;
        if self.kept.len() == HISTORY {
            self.kept.pop_front();
        }
        self.kept.push_back(false);
        if active {
            self.voice(i);
        }
        let open = self.open.as_ref()?;
        let hangover = if i - open.from > LONG { HANGOVER_LONG } else { HANGOVER };
        if i - open.last_voiced >= hangover && !self.is_undecided(hangover) {
            return self.flush();
        }
        (i + 1 - open.from >= LONGEST).then(|| self.force(i, level_db)).flatten()
    }

    /// Ends the utterance that is open, at its last voiced frame.
    pub fn flush(&mut self) -> Option<Range<usize>> {
        let open = self.open.take()?;
        self.free_from = open.last_voiced + 1;
        Some(open.from..open.last_voiced + 1)
    }

    /// Passes over frames in which nothing can be; no utterance is open.
    pub fn skip(&mut self, frames: usize) {
        debug_assert!(self.open.is_none());
        self.next += frames;
        self.free_from = self.next;
        self.kept.clear();
        self.burst = None;
    }

    /// Where the utterance that is open began, and how many frames of it are voiced.
    pub fn running(&self) -> Option<(usize, usize)> {
        self.open.as_ref().map(|open| (open.from, open.voiced))
    }

    /// Whether neither an utterance nor what may become one is going on.
    pub fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.burst.as_ref().is_none_or(|burst| self.next - burst.frames.end > ALONE)
    }

    /// The next frame.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Whether a burst that may still count began before the utterance's end was certain.
    fn is_undecided(&self, hangover: usize) -> bool {
        let (Some(open), Some(burst)) = (&self.open, &self.burst) else { return false };
        !burst.counts && burst.frames.start - open.last_voiced.min(burst.frames.start) <= hangover && self.next - burst.frames.end <= ALONE
    }

    fn voice(&mut self, i: usize) {
        let before = self.burst.take();
        let burst = match before {
            Some(Burst { frames, counts }) if frames.end == i => Burst { frames: frames.start..i + 1, counts },
            // Something follows: the click before was none.
            Some(Burst { frames, counts }) if i - frames.end <= ALONE => {
                if !counts {
                    self.keep(frames);
                }
                Burst { frames: i..i + 1, counts: true }
            }
            Some(_) | None => Burst { frames: i..i + 1, counts: self.kept_end.is_some_and(|end| i - end <= ALONE) },
        };
        let counts = burst.counts || burst.frames.len() >= CLICK;
        if counts {
            self.keep(if burst.counts { i..i + 1 } else { burst.frames.clone() });
        }
        self.burst = Some(Burst { counts, ..burst });
    }

    fn keep(&mut self, frames: Range<usize>) {
        for frame in frames.clone() {
            let at = (self.kept.len() + frame).checked_sub(self.next);
            if let Some(kept) = at.and_then(|at| self.kept.get_mut(at)) {
                *kept = true;
            }
        }
        self.kept_end = Some(frames.end);
        let free_from = self.free_from;
        let begins = || Open { from: frames.start.saturating_sub(PRE_ROLL).max(free_from), last_voiced: 0, voiced: 0 };
        let open = self.open.get_or_insert_with(begins);
        open.last_voiced = frames.end - 1;
        open.voiced += frames.len();
    }

    /// Cuts a long utterance at its quietest late point; the rest goes on as the next one.
    fn force(&mut self, i: usize, level_db: impl Fn(usize) -> f32) -> Option<Range<usize>> {
        let open = self.open.take()?;
        let loudness = |frame: usize| {
            let around = frame - CUT_SMOOTH..(frame + CUT_SMOOTH + 1).min(i + 1);
            let count = around.len() as f32;
            around.map(|f| level_db(i - f)).sum::<f32>() / count
        };
        let at = (i + 1 - CUT_WITHIN..i + 1).min_by(|a, b| loudness(*a).total_cmp(&loudness(*b))).unwrap_or(i + 1);
        let kept = |frame: &usize| (self.kept.len() + frame).checked_sub(self.next).is_some_and(|at| self.kept[at]);
        let end = (open.from..at).rev().find(kept).map_or(open.from, |last| last + 1);
        let rest: Vec<usize> = (at..=i).filter(kept).collect();
        let undecided = self.burst.as_ref().is_some_and(|burst| !burst.counts && self.next - burst.frames.end <= ALONE);
        self.free_from = if undecided { at } else { end };
        if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            self.open = Some(Open { from: first.saturating_sub(PRE_ROLL).max(at), last_voiced: *last, voiced: rest.len() });
        }
        (end > open.from).then_some(open.from..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn streamed(active: &[bool], level: &[f32]) -> Vec<Range<usize>> {
        let mut cutter = Cutter::default();
        let mut spans: Vec<_> = (0..active.len()).filter_map(|i| cutter.push(active[i], |back| level[i - back])).collect();
        spans.extend(cutter.flush());
        spans
    }

    /// The whole track's way: clicks taken out, then cut.
    fn whole(active: &[bool], level: &[f32]) -> Vec<Range<usize>> {
        let mut active = active.to_vec();
        crate::service::speech::voice_activity::drop_clicks(&mut active);
        crate::service::speech::utterances::cut(&active, level).into_iter().map(|s| s.frames).collect()
    }

    #[test]
    fn a_click_opens_no_utterance_and_does_not_hold_one_open() {
        let pattern = |parts: &[(bool, usize)]| parts.iter().flat_map(|(on, n)| std::iter::repeat_n(*on, *n)).collect::<Vec<bool>>();
        let spans = |parts: &[(bool, usize)]| streamed(&pattern(parts), &vec![-60.0; pattern(parts).len()]);
        assert!(spans(&[(false, 100), (true, 3), (false, 100)]).is_empty());
        assert_eq!(spans(&[(false, 50), (true, 30), (false, 20), (true, 2), (false, 100)]), std::slice::from_ref(&(25..80)));
        assert_eq!(spans(&[(false, 50), (true, 3), (false, 5), (true, 3), (false, 100)]), std::slice::from_ref(&(25..61)));
    }

    proptest! {
        #[test]
        fn frame_by_frame_it_cuts_as_the_whole_track_does(
            runs in proptest::collection::vec((any::<bool>(), 1usize..90, -60f32..-10.0), 1..60),
        ) {
            let frames: Vec<(bool, f32)> = runs.iter().flat_map(|(on, n, db)| (0..*n).map(move |i| (*on, *db + (i % 7) as f32))).collect();
            let (active, level): (Vec<bool>, Vec<f32>) = frames.into_iter().unzip();
            prop_assert_eq!(streamed(&active, &level), whole(&active, &level));
        }
    }
}
