//! A queue of work: how its callers are answered, how long they may wait, what they hear, and what it promises.

use std::{sync::Arc, time::Duration};

use super::Promise;

/// When a caller of the queue hears our 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Answer {
    /// When an agent answers, or when it is clear that the caller must wait: nobody pays for a ringing phone.
    #[default]
    Agent,
    /// At once: announcement, then music, even where an agent is free.
    Queue,
}

/// A piece of sound that the media threads hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Its number there.
    pub clip: u16,
    /// What the record calls it.
    pub name: Arc<str>,
    /// How long it plays once.
    pub length: Duration,
}

/// What the queue's callers hear; what is missing is silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sounds {
    /// Once, at the beginning of the wait.
    pub announcement: Option<Sound>,
    /// Over and over until somebody answers.
    pub music: Option<Sound>,
    /// Where the caller stands, at the beginning of the wait and from time to time.
    pub places: Option<Places>,
    /// Once, before the caller is let go without having spoken to anybody.
    pub closing: Option<Sound>,
}

/// The words for places in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// For the first place, the second, and so on.
    pub numbered: Vec<Sound>,
    /// For every place behind those.
    pub more: Option<Sound>,
}

impl Places {
    /// The words for a place, where there are any; 1 is next.
    pub fn words(&self, position: u32) -> Option<&Sound> {
        let at = usize::try_from(position).ok()?.checked_sub(1)?;
        self.numbered.get(at).or(self.more.as_ref())
    }
}

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name: unique, and what trunks' numbers, agents and reports refer to.
    pub name: String,
    /// How long wrap-up may take before the interaction is saved as not wrapped up; the one extension gives as much again.
    pub wrap_up_limit: Duration,
    /// When a missed call must have been called back, counted from the miss.
    pub missed_due: Duration,
    /// 0 (lowest) to 9: a higher one is offered first; work items that come out of its calls carry it.
    pub priority: u8,
    /// When its callers are answered.
    pub answer: Answer,
    /// Longest wait, from the INVITE on.
    pub max_wait: Duration,
    /// Callers who may wait at once; one more is let go at once.
    pub max_waiting: usize,
    /// Answered within this long counts for the service level.
    pub answer_within: Duration,
    /// The share of calls that should be, percent.
    pub target_percent: u8,
    /// A caller who gives up sooner than this is counted apart: nobody could have answered.
    pub short_abandon: Duration,
    /// What its callers hear.
    pub sounds: Sounds,
    /// How often callers hear their place again; `None` tells it once.
    pub place_every: Option<Duration>,
}

impl Queue {
    /// What counts as in time, and as short.
    pub fn promise(&self) -> Promise {
        Promise { answer_within: self.answer_within, short_abandon: self.short_abandon }
    }

    /// A queue with the defaults of `queues.toml`, and without sounds.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            wrap_up_limit: Duration::from_secs(120),
            missed_due: Duration::from_secs(3600),
            priority: 5,
            answer: Answer::Agent,
            max_wait: Duration::from_secs(900),
            max_waiting: 50,
            answer_within: Duration::from_secs(20),
            target_percent: 80,
            short_abandon: Duration::from_secs(5),
            sounds: Sounds::default(),
            place_every: Some(Duration::from_secs(60)),
        }
    }
}
