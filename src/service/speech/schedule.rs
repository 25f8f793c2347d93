//! What a worker does next: live words before partial ones before those after the call, each by deadline.
//!
//! Pure: time is an argument, and [`Schedule`] only says what is to be done. A partial is the first to be dropped, a retry
//! goes to another worker, and an utterance that took three workers down is given up.
//!
//! ```text
//! push ─▶ waiting ─▶ take(worker) ─▶ busy ─▶ done
//!            ▲ shed                    └ lost ─▶ waiting, or given up after three
//! ```

use std::time::{Duration, Instant};

use super::transcribe::Key;

/// How soon words are wanted. In this order: live before partial before after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An utterance that somebody waits for on a screen.
    Live {
        /// When it should be shown.
        deadline: Instant,
    },
    /// The beginning of an utterance that is still spoken; worthless once the utterance has ended, or after its deadline.
    Partial {
        /// When it is no longer wanted.
        deadline: Instant,
    },
    /// From a recording: as soon as nothing else is to be done.
    AfterCall,
}

/// Why work was not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shed {
    /// So much waits already.
    #[error("the speech workers are behind; the queue is full")]
    Full,
    /// So much of the same leg waits already.
    #[error("the speech workers are behind; this leg has its share of the queue")]
    Share,
    /// It would come when nobody needs it any more.
    #[error("the speech workers are behind; this came too late")]
    Late,
    /// The pool ends.
    #[error("speech is shutting down")]
    Stopped,
}

/// What a worker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everything: a double in tests, or a service.
    Any,
    /// Live and partial words.
    Live,
    /// Words after the call: a process of its own, so that a live utterance never stands behind a decode of the other kind.
    AfterCall,
}

/// What waits and who works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Live utterances that wait.
    pub live: usize,
    /// Partial ones.
    pub partial: usize,
    /// Those from recordings.
    pub after_call: usize,
    /// Workers that decode.
    pub busy: usize,
    /// Decodes that may run at once.
    pub workers: usize,
    /// How long the oldest live utterance has waited.
    pub oldest_wait: Duration,
    /// Work dropped or refused since the start.
    pub shed: u64,
    /// Tries that cost a worker since the start.
    pub lost: u64,
    /// Utterances given up after three tries since the start.
    pub given_up: u64,
}

/// Most utterances that wait: at 10 s each and one tenth of real time, five hundred are eight minutes of work for one worker.
pub const WAITING_MAX: usize = 512;
/// Most samples that wait: half an hour of audio, 29 MB.
pub const WAITING_SAMPLES_MAX: usize = 30 * 60 * super::RATE;
/// Most live utterances of one leg that wait: a talker that is further behind gets its words from the recording.
pub const LIVE_PER_LEG_MAX: usize = 8;
/// A live utterance that is so late is left to the recording: those behind it may still be in time.
pub const LATE_MAX: Duration = Duration::from_secs(10);
/// Times an utterance is tried before it is given up.
pub const ATTEMPTS: u8 = 3;
/// A lost utterance is left to the other workers for so long.
const AVOID: Duration = Duration::from_secs(2);

/// One utterance on its way; `work` is the caller's.
#[derive(Debug)]
pub struct Entry<T> {
    /// Which utterance.
    pub key: Key,
    /// How soon.
    pub urgency: Urgency,
    /// Length of its audio.
    pub samples: usize,
    /// What is to be done.
    pub work: T,
    since: Instant,
    number: u64,
    attempts: u8,
    avoid: Option<(usize, Instant)>,
}

impl<T> Entry<T> {
    /// Work that came in at `now`.
    pub fn new(key: Key, urgency: Urgency, samples: usize, now: Instant, work: T) -> Self {
        Self { key, urgency, samples, work, since: now, number: 0, attempts: 0, avoid: None }
    }

    fn is_partial(&self) -> bool {
        matches!(self.urgency, Urgency::Partial { .. })
    }

    fn too_late(&self, now: Instant) -> bool {
        match self.urgency {
            Urgency::Live { deadline } => now > deadline + LATE_MAX,
            Urgency::Partial { deadline } => now > deadline,
            Urgency::AfterCall => false,
        }
    }
}

/// The waiting line and who is busy with what.
#[derive(Debug)]
pub struct Schedule<T> {
    lanes: Vec<Lane>,
    /// What each worker decodes.
    busy: Vec<Option<(Key, Urgency)>>,
    /// Unsorted: it is short, and a decode takes a thousand times as long as looking through it.
    waiting: Vec<Entry<T>>,
    waiting_samples: usize,
    /// Live work and recordings are decoded by the same processors.
    one_machine: bool,
    next_number: u64,
    shed: u64,
    lost: u64,
    given_up: u64,
}

impl<T> Schedule<T> {
    /// Nothing waits; the workers are numbered as `lanes` are.
    pub fn new(lanes: Vec<Lane>) -> Self {
        let busy = lanes.iter().map(|_| None).collect();
        Self { lanes, busy, waiting: Vec::new(), waiting_samples: 0, one_machine: true, next_number: 0, shed: 0, lost: 0, given_up: 0 }
    }

    /// As [`Schedule::new`], where one kind of work is done elsewhere: neither waits for the other.
    pub fn of_two_machines(lanes: Vec<Lane>) -> Self {
        Self { one_machine: false, ..Self::new(lanes) }
    }

    /// Takes work on. What has to give way for it is put into `gone`, also when it is refused: to be answered as shed.
    pub fn push(&mut self, mut entry: Entry<T>, gone: &mut Vec<Entry<T>>) -> Result<(), Shed> {
        let live = |e: &Entry<T>| matches!(e.urgency, Urgency::Live { .. });
        if live(&entry) && self.waiting.iter().filter(|e| e.key.leg == entry.key.leg && live(e)).count() >= LIVE_PER_LEG_MAX {
            self.shed += 1;
            return Err(Shed::Share);
        }
        self.supersede(&entry, gone);
        while !self.has_room(entry.samples) {
            let Some(at) = self.least_wanted().filter(|_| !entry.is_partial()) else {
                self.shed += 1;
                return Err(Shed::Full);
            };
            self.shed += 1;
            gone.push(self.remove(at));
        }
        entry.number = self.next_number;
        self.next_number += 1;
        self.wait(entry);
        Ok(())
    }

    /// The next work of `worker`; it counts as busy until [`Schedule::done`] or [`Schedule::lost`].
    pub fn take(&mut self, worker: usize, now: Instant) -> Option<Entry<T>> {
        let candidates = self.waiting.iter().enumerate().filter(|(_, e)| self.may_take(worker, e, now));
        let at = candidates.min_by_key(|(_, e)| (e.urgency, self.busy_with(e), e.number)).map(|(at, _)| at)?;
        let entry = self.remove(at);
        self.busy[worker] = Some((entry.key, entry.urgency));
        Some(entry)
    }

    /// What came too late to be of use; to be answered as shed.
    pub fn expired(&mut self, now: Instant) -> Vec<Entry<T>> {
        let mut gone = Vec::new();
        while let Some(at) = self.waiting.iter().position(|e| e.too_late(now)) {
            gone.push(self.remove(at));
        }
        self.shed += gone.len() as u64;
        gone
    }

    /// The worker has answered.
    pub fn done(&mut self, worker: usize) {
        self.busy[worker] = None;
    }

    /// The worker was lost over this. It waits again, for another worker; given back when it has been tried often enough.
    pub fn lost(&mut self, worker: usize, mut entry: Entry<T>, now: Instant) -> Option<Entry<T>> {
        self.busy[worker] = None;
        self.lost += 1;
        entry.attempts += 1;
        if entry.attempts >= ATTEMPTS || entry.is_partial() {
            self.given_up += u64::from(!entry.is_partial());
            return Some(entry);
        }
        entry.avoid = Some((worker, now + AVOID));
        // It had its place before; it does not lose it for what others sent since.
        self.wait(entry);
        None
    }

    /// When a worker that found nothing should look again, besides after a push or an answer.
    pub fn look_again_at(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|e| e.avoid.map(|(_, until)| until)).min()
    }

    /// What waits and who works.
    pub fn load(&self, now: Instant) -> Load {
        let mut load = Load {
            busy: self.busy.iter().flatten().count(),
            workers: self.capacity(),
            shed: self.shed,
            lost: self.lost,
            given_up: self.given_up,
            ..Load::default()
        };
        for entry in &self.waiting {
            match entry.urgency {
                Urgency::Live { .. } => {
                    load.live += 1;
                    load.oldest_wait = load.oldest_wait.max(now.saturating_duration_since(entry.since));
                }
                Urgency::Partial { .. } => load.partial += 1,
                Urgency::AfterCall => load.after_call += 1,
            }
        }
        load
    }

    /// Everything that waits, to be answered as shed: the end.
    pub fn drain(&mut self) -> Vec<Entry<T>> {
        self.waiting_samples = 0;
        std::mem::take(&mut self.waiting)
    }

    fn wait(&mut self, entry: Entry<T>) {
        self.waiting_samples += entry.samples;
        self.waiting.push(entry);
    }

    fn remove(&mut self, at: usize) -> Entry<T> {
        let entry = self.waiting.swap_remove(at);
        self.waiting_samples -= entry.samples;
        entry
    }

    /// Earlier partial words of the same leg: the new ones begin where they do, or later.
    fn supersede(&mut self, new: &Entry<T>, gone: &mut Vec<Entry<T>>) {
        if new.urgency == Urgency::AfterCall {
            return;
        }
        let old = |e: &Entry<T>| e.is_partial() && e.key.leg == new.key.leg && e.key.start_ms <= new.key.start_ms;
        while let Some(at) = self.waiting.iter().position(old) {
            self.shed += 1;
            gone.push(self.remove(at));
        }
    }

    fn has_room(&self, samples: usize) -> bool {
        self.waiting.len() < WAITING_MAX && self.waiting_samples + samples <= WAITING_SAMPLES_MAX
    }

    /// The partial that would come last.
    fn least_wanted(&self) -> Option<usize> {
        let partial = self.waiting.iter().enumerate().filter(|(_, e)| e.is_partial());
        partial.max_by_key(|(_, e)| (e.urgency, e.number)).map(|(at, _)| at)
    }

    fn serves(lane: Lane, urgency: Urgency) -> bool {
        match lane {
            Lane::Any => true,
            Lane::Live => urgency != Urgency::AfterCall,
            Lane::AfterCall => urgency == Urgency::AfterCall,
        }
    }

    fn may_take(&self, worker: usize, entry: &Entry<T>, now: Instant) -> bool {
        if !Self::serves(self.lanes[worker], entry.urgency) {
            return false;
        }
        let others = self.lanes.iter().enumerate().any(|(n, lane)| n != worker && Self::serves(*lane, entry.urgency));
        let avoided = entry.avoid.is_some_and(|(by, until)| by == worker && now < until);
        // Work from recordings uses what live work leaves of the processors.
        let room = entry.urgency != Urgency::AfterCall || !self.one_machine || self.busy.iter().flatten().count() < self.capacity();
        room && !(avoided && others)
    }

    /// Decodes that may run at once, by processors: lanes for work after the call add none.
    fn capacity(&self) -> usize {
        let live = self.lanes.iter().filter(|lane| **lane != Lane::AfterCall).count();
        if live == 0 || !self.one_machine { self.lanes.len() } else { live }
    }

    /// After the call, the leg with the fewest workers comes first; live words go by their deadlines alone.
    fn busy_with(&self, entry: &Entry<T>) -> usize {
        match entry.urgency {
            Urgency::Live { .. } | Urgency::Partial { .. } => 0,
            Urgency::AfterCall => self.busy.iter().flatten().filter(|(key, _)| key.leg == entry.key.leg).count(),
        }
    }
}

#[cfg(test)]
mod tests;
