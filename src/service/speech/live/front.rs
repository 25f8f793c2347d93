//! The threads of the live front end: each owns its calls, none of them ever waits for a worker, a desk or the disk.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::{
    call::{LiveCall, Out},
    results::{LiveResult, LiveResults},
    shown::Mask,
};
use crate::{
    domain::{
        live::LiveWords,
        media::{feed::Feed, tap::TapOpen},
    },
    ids::{InteractionId, LegId},
    service::speech::{
        model::Thresholds,
        pool::{Answer, Pool},
        schedule::{Shed, Urgency},
        transcribe::{Heard, Key, Request, TranscribeError},
    },
};

/// Pieces that wait for one thread: 80 legs for two seconds. A full channel drops, with a counter.
const FEED: usize = 8_192;
/// Calls of one thread; more get their words after the call.
const CALLS: usize = 2_048;
/// Answers that may be under way to one thread; more utterances are left to the recording.
const ANSWERS: usize = 512;
/// How often time passes for the calls.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// The same where there is no call.
const IDLE_EVERY: Duration = Duration::from_millis(500);
/// How long pieces gather once the channel is empty: a wake-up costs more than the work.
const REST: Duration = Duration::from_millis(15);
/// Pieces taken between two looks at answers.
const BATCH: usize = 1_024;
/// The model is looked for this often: it may be installed while we run.
const MODEL_EVERY: Duration = Duration::from_secs(5);

/// What turns utterances into words, as the front end sees it.
pub trait LiveTranscriber: Send + Sync {
    /// Name and thresholds of the model of live words; `None` without one.
    fn live_model(&self) -> Option<(String, Thresholds)>;
    /// Hands an utterance on; never blocks. The answer comes on `reply`.
    fn ask(&self, request: Request, urgency: Urgency, reply: &Sender<Answer>) -> Result<(), Shed>;
    /// Whether there is time for words that may change.
    fn has_time(&self) -> bool;
}

impl LiveTranscriber for Pool {
    fn live_model(&self) -> Option<(String, Thresholds)> {
        Self::live_model(self).ok()
    }

    fn ask(&self, request: Request, urgency: Urgency, reply: &Sender<Answer>) -> Result<(), Shed> {
        self.submit(request, urgency, reply.clone())
    }

    fn has_time(&self) -> bool {
        let load = self.load();
        load.live == 0 && load.partial == 0 && load.busy < load.workers
    }
}

/// How to start the front end.
#[derive(Clone)]
pub struct FrontConfig {
    /// Threads; a call stays on one.
    pub threads: usize,
    /// Whether words are shown before an utterance ends.
    pub partial: bool,
    /// Makes what masks the words of one call.
    pub mask: Arc<dyn Fn() -> Box<dyn Mask> + Send + Sync>,
}

/// What the front end has counted since it started.
#[derive(Debug, Default)]
pub struct FrontCounters {
    /// Calls that are listened to now.
    pub calls: AtomicU64,
    /// Calls, legs and pieces beyond a limit or of a leg that is not known.
    pub refused: AtomicU64,
    /// Utterances that were given to the workers.
    pub asked: AtomicU64,
    /// Utterances that the workers would not take.
    pub shed: AtomicU64,
    /// Looks at utterances that were still spoken.
    pub partial_asked: AtomicU64,
    /// Such looks for which there was no time.
    pub partial_shed: AtomicU64,
    /// Answers that nobody waited for: of a leg that had not asked, or too late.
    pub stray: AtomicU64,
    /// Messages to the desks.
    pub told: AtomicU64,
    /// The longest lag of all calls at the last look, milliseconds.
    pub lag_ms: AtomicU64,
}

/// The running front end; its threads end when the last feed is dropped.
pub struct FrontEnd {
    feeds: Vec<Sender<Feed>>,
    counters: Arc<FrontCounters>,
}

impl FrontEnd {
    /// Starts the threads; `publish` hands words to the desks and must not wait.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        config: &FrontConfig,
        pool: Arc<dyn LiveTranscriber>,
        results: Arc<LiveResults>,
        publish: Arc<dyn Fn(LiveWords) + Send + Sync>,
    ) -> io::Result<Self> {
        let counters = Arc::new(FrontCounters::default());
        let mut feeds = Vec::new();
        for n in 0..config.threads.max(1) {
            let (feed, fed) = bounded(FEED);
            let thread = Thread::new(config.clone(), pool.clone(), results.clone(), publish.clone(), counters.clone());
            std::thread::Builder::new().name(format!("speech-front-{n}")).spawn(move || thread.run(&fed))?;
            feeds.push(feed);
        }
        Ok(Self { feeds, counters })
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Arc<FrontCounters> {
        &self.counters
    }

    /// Where the recorder puts the pieces of all tracks; gives back what finds no room. All legs of a call go to one thread.
    pub fn sink(self) -> impl FnMut(InteractionId, Feed) -> Option<Feed> + Send + 'static {
        move |interaction, feed| {
            let thread = interaction.0.as_u128() as usize % self.feeds.len();
            match self.feeds[thread].try_send(feed) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => None,
                Err(TrySendError::Full(feed)) => Some(feed),
            }
        }
    }
}

/// One thread's calls.
struct Thread {
    config: FrontConfig,
    pool: Arc<dyn LiveTranscriber>,
    results: Arc<LiveResults>,
    publish: Arc<dyn Fn(LiveWords) + Send + Sync>,
    counters: Arc<FrontCounters>,
    calls: HashMap<InteractionId, Running>,
    legs: HashMap<LegId, InteractionId>,
    model: Option<(String, Thresholds)>,
    model_at: Option<Instant>,
    answers: (Sender<Answer>, Receiver<Answer>),
    early: (Sender<Answer>, Receiver<Answer>),
    /// Answers that are under way.
    under_way: [usize; 2],
}

struct Running {
    call: LiveCall,
    legs: Vec<LegId>,
    /// When `opened_us` on its axis was, nearly.
    opened: Instant,
    opened_us: u64,
}

impl Running {
    fn axis_us(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.opened).as_micros();
        self.opened_us.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl Thread {
    fn new(
        config: FrontConfig,
        pool: Arc<dyn LiveTranscriber>,
        results: Arc<LiveResults>,
        publish: Arc<dyn Fn(LiveWords) + Send + Sync>,
        counters: Arc<FrontCounters>,
    ) -> Self {
        Self {
            config,
            pool,
            results,
            publish,
            counters,
            calls: HashMap::new(),
            legs: HashMap::new(),
            model: None,
            model_at: None,
            answers: bounded(ANSWERS),
            early: bounded(ANSWERS),
            under_way: [0; 2],
        }
    }

    /// Until the recorder is gone.
    fn run(mut self, fed: &Receiver<Feed>) {
        let mut polled = clock();
        loop {
            let wait = if self.calls.is_empty() { IDLE_EVERY } else { POLL_EVERY };
            match fed.recv_timeout(wait) {
                Ok(first) => {
                    let now = clock();
                    self.take(first, now);
                    fed.try_iter().take(BATCH).for_each(|feed| self.take(feed, now));
                    if fed.is_empty() {
                        std::thread::park_timeout(REST);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock();
            self.take_answers(now);
            if now.saturating_duration_since(polled) >= POLL_EVERY {
                polled = now;
                self.poll(now);
            }
        }
    }

    fn take(&mut self, feed: Feed, now: Instant) {
        let leg = feed.leg();
        if let Feed::Open(head) = feed {
            return self.open(&head, now);
        }
        let Some((interaction, running)) = self.legs.get(&leg).and_then(|id| Some((*id, self.calls.get_mut(id)?))) else {
            self.counters.refused.fetch_add(1, Relaxed);
            return;
        };
        let axis_us = running.axis_us(now);
        match feed {
            Feed::Open(_) => {}
            Feed::Chunk { leg, chunk } => running.call.chunk(leg, &chunk, axis_us),
            Feed::Close { leg, axis_us } => running.call.close(leg, axis_us),
        }
        self.act(interaction, now);
    }

    fn open(&mut self, head: &TapOpen, now: Instant) {
        let interaction = head.interaction;
        if self.calls.len() >= CALLS && !self.calls.contains_key(&interaction) {
            self.counters.refused.fetch_add(1, Relaxed);
            return;
        }
        let running = self.calls.entry(interaction).or_insert_with(|| {
            self.counters.calls.fetch_add(1, Relaxed);
            self.results.begin(interaction);
            let call = LiveCall::new(interaction, self.config.partial, (self.config.mask)());
            Running { call, legs: Vec::new(), opened: now, opened_us: head.axis_us }
        });
        if running.call.open(head) {
            running.legs.push(head.leg);
            self.legs.insert(head.leg, interaction);
        } else {
            self.counters.refused.fetch_add(1, Relaxed);
        }
        self.look_for_model(now);
    }

    /// It may come and go while we run.
    fn look_for_model(&mut self, now: Instant) {
        if self.model_at.is_none_or(|at| now.saturating_duration_since(at) >= MODEL_EVERY) {
            (self.model, self.model_at) = (self.pool.live_model(), Some(now));
        }
    }

    fn take_answers(&mut self, now: Instant) {
        for early in [false, true] {
            let answers = if early { &self.early.1 } else { &self.answers.1 };
            let answers: Vec<Answer> = answers.try_iter().collect();
            for (key, answer) in answers {
                let under_way = &mut self.under_way[usize::from(early)];
                *under_way = under_way.saturating_sub(1);
                self.answered(key, answer, early, now);
            }
        }
    }

    fn answered(&mut self, key: Key, answer: Result<Heard, TranscribeError>, early: bool, now: Instant) {
        let Some((interaction, running)) = self.legs.get(&key.leg).and_then(|id| Some((*id, self.calls.get_mut(id)?))) else {
            self.counters.stray.fetch_add(1, Relaxed);
            return;
        };
        let axis_us = running.axis_us(now);
        let thresholds = self.model.as_ref().map(|(_, thresholds)| thresholds);
        let asked = match early {
            true => running.call.early_answer(key, answer, thresholds, axis_us),
            false => running.call.answer(key, answer, thresholds, axis_us),
        };
        self.counters.stray.fetch_add(u64::from(!asked), Relaxed);
        self.act(interaction, now);
    }

    fn poll(&mut self, now: Instant) {
        if !self.calls.is_empty() {
            self.look_for_model(now);
        }
        let has_time = self.config.partial && !self.calls.is_empty() && self.pool.has_time();
        let mut lag_ms = 0;
        for interaction in self.calls.keys().copied().collect::<Vec<_>>() {
            if let Some(running) = self.calls.get_mut(&interaction) {
                let axis_us = running.axis_us(now);
                let left_out = running.call.poll(axis_us, has_time);
                self.counters.partial_shed.fetch_add(left_out as u64, Relaxed);
                lag_ms = lag_ms.max(running.call.lag_ms(axis_us));
            }
            self.act(interaction, now);
        }
        self.counters.lag_ms.store(u64::from(lag_ms), Relaxed);
    }

    /// Does what the call wants, and lets go of it when it is over.
    fn act(&mut self, interaction: InteractionId, now: Instant) {
        let Some(mut running) = self.calls.remove(&interaction) else { return };
        while let Some(out) = running.call.next_out() {
            match out {
                Out::Words(words) => {
                    self.counters.told.fetch_add(1, Relaxed);
                    (self.publish)(words);
                }
                Out::Ask { request, partial, deadline_us } => self.ask(&mut running, request, partial, deadline_us, now),
            }
        }
        if running.call.is_over() {
            let (model, language) = self.model.as_ref().map(|(name, t)| (name.clone(), t.language.clone())).unwrap_or_default();
            // Where numbers were masked, the job finds them by itself: it has to take them out of the sound too.
            let keeps = !model.is_empty() && !running.call.is_masked();
            let (settled, coverage) = (running.call.settled().to_vec(), running.call.coverage());
            self.results.finish(interaction, LiveResult { model, language, keeps, settled, coverage });
            for leg in &running.legs {
                self.legs.remove(leg);
            }
            self.counters.calls.fetch_sub(1, Relaxed);
        } else {
            self.calls.insert(interaction, running);
        }
    }

    fn ask(&mut self, running: &mut Running, request: Request, partial: bool, deadline_us: u64, now: Instant) {
        let key = request.key;
        let axis_us = running.axis_us(now);
        let deadline = now + Duration::from_micros(deadline_us.saturating_sub(axis_us));
        let (urgency, reply) = match partial {
            true => (Urgency::Partial { deadline }, &self.early.0),
            false => (Urgency::Live { deadline }, &self.answers.0),
        };
        let under_way = &mut self.under_way[usize::from(partial)];
        let refused = if *under_way >= ANSWERS || (partial && !self.pool.has_time()) {
            Err(Shed::Full)
        } else {
            self.pool.ask(request, urgency, reply)
        };
        let [taken, shed] = match partial {
            true => [&self.counters.partial_asked, &self.counters.partial_shed],
            false => [&self.counters.asked, &self.counters.shed],
        };
        let Err(why) = refused else {
            *under_way += 1;
            taken.fetch_add(1, Relaxed);
            return;
        };
        shed.fetch_add(1, Relaxed);
        let answer = Err(TranscribeError::Shed(why));
        match partial {
            true => running.call.early_answer(key, answer, None, axis_us),
            false => running.call.answer(key, answer, None, axis_us),
        };
    }
}

#[cfg(test)]
mod tests;

#[expect(clippy::disallowed_methods, reason = "the front end's threads own a clock; what they decide takes the time as an argument")]
fn clock() -> Instant {
    Instant::now()
}
