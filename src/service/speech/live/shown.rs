//! What a live call has shown: echo is hidden, also when its source comes later; numbers are masked; every utterance is kept
//! account of for the job after the call.

use std::{collections::VecDeque, fmt, ops::Range};

use crate::{
    domain::{
        insight::utterance::{LegCoverage, Utterance},
        live::{LATER, LiveUtterance},
    },
    ids::LegId,
    service::speech::{echo, front_end::Outcome, gates::Rejection},
};

/// Utterances in which an echo or its source is looked for.
const RECENT: usize = 16;
/// Utterances of one call that are accounted for: eight hours of talk. What comes after is done from the recording.
const SETTLED: usize = 4_096;

/// Takes out of words what must not leave speech: card numbers and the like. One for each call.
pub trait Mask: Send {
    /// Masks what was heard; utterances come nearly in order of time, and one may come again with more words. Tells whether
    /// anything was taken out.
    fn mask(&mut self, utterance: &mut Utterance) -> bool;

    /// Utterances shown before that have to be shown anew, masked.
    fn changed(&mut self) -> Vec<Utterance> {
        Vec::new()
    }
}

/// Masks nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMask;

impl Mask for NoMask {
    fn mask(&mut self, _: &mut Utterance) -> bool {
        false
    }
}

/// What became of one utterance.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The leg.
    pub leg: LegId,
    /// Where it begins on the call's axis, milliseconds.
    pub from_ms: u32,
    /// Its samples in the leg's track.
    pub samples: Range<usize>,
    /// How many of them were received.
    pub received: u64,
    /// Mean level of its voice, dBov.
    pub level_db: f32,
    /// `None`: the recording has to tell.
    pub outcome: Option<Outcome>,
}

/// An utterance that has ended, with or without words.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub utterance: Utterance,
    /// The leg's place in the call.
    pub leg: usize,
    pub samples: Range<usize>,
    pub received: u64,
    pub level_db: f32,
}

/// The account of one call.
pub(super) struct Shown {
    mask: Box<dyn Mask>,
    /// Whether anything was taken out of this call's words.
    masked: bool,
    recent: VecDeque<Ended>,
    settled: Vec<Settled>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("settled", &self.settled.len()).finish_non_exhaustive()
    }
}

impl Shown {
    pub fn new(mask: Box<dyn Mask>) -> Self {
        Self { mask, masked: false, recent: VecDeque::new(), settled: Vec::new() }
    }

    pub fn settled(&self) -> &[Settled] {
        &self.settled
    }

    /// Whether anything was taken out: then the recording has to be gone through for it, from its own words.
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// Words of an utterance that is still spoken.
    pub fn early(&mut self, mut utterance: Utterance) -> Vec<LiveUtterance> {
        self.masked |= self.mask.mask(&mut utterance);
        let mut tell = self.changed();
        tell.push(LiveUtterance { utterance, partial: true });
        tell
    }

    /// Takes an utterance into the account; gives what the desks are told. `coverage` changes a leg's sum.
    pub fn add(&mut self, mut ended: Ended, mut coverage: impl FnMut(usize, &dyn Fn(&mut LegCoverage))) -> Vec<LiveUtterance> {
        let mut tell = Vec::new();
        if self.recent.iter().any(|other| echo::is_echo(&ended.utterance, ended.level_db, &other.utterance, other.level_db)) {
            hide(&mut ended.utterance);
        }
        for other in &mut self.recent {
            if echo::is_echo(&other.utterance, other.level_db, &ended.utterance, ended.level_db) {
                hide(&mut other.utterance);
                coverage(other.leg, &|sum| {
                    sum.transcribed -= other.received;
                    sum.rejected += other.received;
                });
                let echoed = |s: &&mut Settled| s.leg == other.utterance.leg && s.from_ms == other.utterance.from_ms;
                if let Some(settled) = self.settled.iter_mut().rev().find(echoed) {
                    settled.outcome = Some(Outcome::Rejected);
                }
                tell.push(LiveUtterance { utterance: other.utterance.clone(), partial: false });
            }
        }
        self.masked |= self.mask.mask(&mut ended.utterance);
        let outcome = outcome(&ended.utterance);
        coverage(ended.leg, &|sum| count(sum, ended.received, outcome));
        self.account(&ended, outcome);
        tell.extend(self.changed());
        tell.push(LiveUtterance { utterance: ended.utterance.clone(), partial: false });
        tell.sort_by_key(|live| (live.utterance.from_ms, live.utterance.leg));
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(ended);
        tell
    }

    fn account(&mut self, ended: &Ended, outcome: Option<Outcome>) {
        if self.settled.len() < SETTLED {
            let Ended { utterance: Utterance { leg, from_ms, .. }, samples, received, level_db, .. } = ended;
            let (leg, from_ms, received, level_db) = (*leg, *from_ms, *received, *level_db);
            self.settled.push(Settled { leg, from_ms, samples: samples.clone(), received, level_db, outcome });
        }
    }

    fn changed(&mut self) -> Vec<LiveUtterance> {
        let changed = self.mask.changed();
        self.masked |= !changed.is_empty();
        for utterance in &changed {
            if let Some(ended) =
                self.recent.iter_mut().find(|e| e.utterance.leg == utterance.leg && e.utterance.from_ms == utterance.from_ms)
            {
                ended.utterance = utterance.clone();
            }
        }
        changed.into_iter().map(|utterance| LiveUtterance { utterance, partial: false }).collect()
    }
}

fn hide(utterance: &mut Utterance) {
    utterance.words.clear();
    utterance.rejected = Some(Rejection::Echo.to_string());
}

/// `None`: it is still to be done, from the recording.
fn outcome(utterance: &Utterance) -> Option<Outcome> {
    match utterance.rejected.as_deref() {
        None => Some(Outcome::Transcribed),
        Some(LATER) => None,
        Some(_) => Some(Outcome::Rejected),
    }
}

fn count(sum: &mut LegCoverage, samples: u64, outcome: Option<Outcome>) {
    let Some(outcome) = outcome else { return };
    sum.pending -= samples;
    match outcome {
        Outcome::Transcribed => sum.transcribed += samples,
        Outcome::Rejected => sum.rejected += samples,
        Outcome::Failed => sum.failed += samples,
    }
}
