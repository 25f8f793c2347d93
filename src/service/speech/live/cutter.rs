//! Voiced frames → utterances while they come: pre-roll, hangover, forced cuts as in `utterances`, one frame at a time.
//!
//! ```text
//! frame ─▶ clicks: a burst under 40 ms waits until something follows within 120 ms ─▶ the whole track's rules, on decided frames
//! ```
//! Nothing waits but such a burst and what comes after it.

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
    /// A burst of which it is not known whether it counts.
    undecided: Option<Range<usize>>,
    /// End of the last burst that counts.
    kept_end: Option<usize>,
    /// How many frames are decided, and whether the last ones of them count as voice.
    decided: usize,
    kept: VecDeque<bool>,
    open: Option<Open>,
    /// Where the last utterance ended.
    free_from: usize,
    ended: VecDeque<Range<usize>>,
}

#[derive(Debug)]
struct Open {
    from: usize,
    last_voiced: usize,
    voiced: usize,
}

impl Cutter {
    /// Takes a frame; `level_db(back)` tells the level so many frames before it. Gives the frames of an utterance that ended.
    pub fn push(&mut self, active: bool, level_db: impl Fn(usize) -> f32) -> Option<Range<usize>> {
        let i = self.next;
        self.next += 1;
        let level_db = |frame: usize| level_db(i - frame);
        match self.undecided.take() {
            // Long enough, or something follows: it counts.
            Some(burst) if active && (burst.end < i || i + 1 - burst.start >= CLICK) => {
                self.kept_end = Some(i + 1);
                (burst.start..=i).for_each(|frame| self.decide(burst.contains(&frame) || frame == i, &level_db));
            }
            Some(burst) if active => self.undecided = Some(burst.start..i + 1),
            // Alone: a click.
            Some(burst) if i + 1 - burst.end >= ALONE => (burst.start..=i).for_each(|_| self.decide(false, &level_db)),
            Some(burst) => self.undecided = Some(burst),
            None if active && self.kept_end.is_none_or(|end| i - end > ALONE) => self.undecided = Some(i..i + 1),
            None => {
                if active {
                    self.kept_end = Some(i + 1);
                }
                self.decide(active, &level_db);
            }
        }
        self.ended.pop_front()
    }

    /// Ends what is open at its last voiced frame; to be asked until there is no more.
    pub fn flush(&mut self) -> Option<Range<usize>> {
        if let Some(burst) = self.undecided.take() {
            (burst.start..self.next).for_each(|_| self.decide(false, &|_| 0.0));
        }
        if let Some(open) = self.open.take() {
            self.end(open.from..open.last_voiced + 1);
        }
        self.ended.pop_front()
    }

    /// Passes over frames in which nothing can be; no utterance is open.
    pub fn skip(&mut self, frames: usize) {
        debug_assert!(self.is_at_rest());
        self.next += frames;
        self.decided = self.next;
        self.free_from = self.next;
        self.kept.clear();
    }

    /// Where the utterance that is open began, and how many frames of it are voiced.
    pub fn running(&self) -> Option<(usize, usize)> {
        self.open.as_ref().map(|open| (open.from, open.voiced))
    }

    /// Whether neither an utterance nor what may become one is going on.
    pub fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.undecided.is_none()
    }

    /// The next frame.
    pub fn next(&self) -> usize {
        self.next
    }

    /// The next frame of which it is known whether it counts: the rules of `utterances::cut`.
    fn decide(&mut self, voiced: bool, level_db: &impl Fn(usize) -> f32) {
        let i = self.decided;
        self.decided += 1;
        if self.kept.len() == HISTORY {
            self.kept.pop_front();
        }
        self.kept.push_back(voiced);
        let Some(open) = &mut self.open else {
            if voiced {
                self.open = Some(Open { from: i.saturating_sub(PRE_ROLL).max(self.free_from), last_voiced: i, voiced: 1 });
            }
            return;
        };
        if voiced {
            (open.last_voiced, open.voiced) = (i, open.voiced + 1);
        }
        let hangover = if i - open.from > LONG { HANGOVER_LONG } else { HANGOVER };
        if i - open.last_voiced >= hangover {
            let frames = open.from..open.last_voiced + 1;
            self.open = None;
            self.end(frames);
        } else if i + 1 - open.from >= LONGEST {
            self.force(i, level_db);
        }
    }

    /// Cuts a long utterance at its quietest late point; the rest goes on as the next one.
    fn force(&mut self, i: usize, level_db: &impl Fn(usize) -> f32) {
        let Some(open) = self.open.take() else { return };
        let loudness = |frame: usize| {
            let around = frame - CUT_SMOOTH..(frame + CUT_SMOOTH + 1).min(i + 1);
            let count = around.len() as f32;
            around.map(level_db).sum::<f32>() / count
        };
        let at = (i + 1 - CUT_WITHIN..i + 1).min_by(|a, b| loudness(*a).total_cmp(&loudness(*b))).unwrap_or(i + 1);
        let kept = |frame: &usize| (self.kept.len() + frame).checked_sub(self.decided).is_some_and(|at| self.kept[at]);
        let last = (open.from..at).rev().find(kept);
        let rest: Vec<usize> = (at..=i).filter(kept).collect();
        if let Some(last) = last {
            self.end(open.from..last + 1);
        }
        if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            self.open = Some(Open { from: first.saturating_sub(PRE_ROLL).max(at), last_voiced: *last, voiced: rest.len() });
        }
    }

    fn end(&mut self, frames: Range<usize>) {
        self.free_from = frames.end;
        self.ended.push_back(frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn streamed(active: &[bool], level: &[f32]) -> Vec<Range<usize>> {
        let mut cutter = Cutter::default();
        let mut spans: Vec<_> = (0..active.len()).filter_map(|i| cutter.push(active[i], |back| level[i - back])).collect();
        spans.extend(std::iter::from_fn(|| cutter.flush()));
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

    #[test]
    fn a_burst_that_begins_before_the_hangover_shortens_joins_as_in_the_whole_track() {
        let runs = [(false, 25), (true, 542), (false, 32), (true, 4)];
        let active: Vec<bool> = runs.iter().flat_map(|(on, n)| std::iter::repeat_n(*on, *n)).collect();
        let level = vec![-10.0; active.len()];
        assert_eq!(streamed(&active, &level), whole(&active, &level));
        assert_eq!(streamed(&active, &level), std::slice::from_ref(&(0..603)));
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
