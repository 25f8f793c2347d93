//! The pool: a thread per worker, and the queue between them and whoever has utterances.
//!
//! Each worker's thread takes what [`Schedule`] says is next. Live and partial words have workers of their own, and those
//! after the call theirs, which run only where processors are left.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;

use super::{
    model::{Model, Thresholds},
    schedule::{Entry, Lane, Load, Schedule, Shed, Urgency},
    supervisor::{Executable, Patience, Worker},
    transcribe::{Heard, Key, Request, TranscribeError, Transcriber},
};

/// Most workers: beyond this, machines of their own.
const WORKERS_MAX: usize = 64;

/// Why there is no transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// No model file.
    #[error("There is no speech model: put a ggml file into models/, or name its path as `model` in speech.toml. Calls wait for it.")]
    NoModel,
    /// The model file is there but cannot be used.
    #[error("The speech model cannot be used: {0}")]
    Model(String),
    /// The thresholds file is wrong.
    #[error("{path}: {why}; correct it or remove it")]
    Thresholds {
        /// The file.
        path: PathBuf,
        /// The mistake.
        why: String,
    },
    /// The pool could not be set up.
    #[error("speech workers cannot be started: {0}")]
    Start(String),
    /// The pool is shutting down.
    #[error("speech is shutting down")]
    Stopped,
    /// The audio file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        why: String,
    },
}

/// Where workers come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WorkerProgram {
    /// The executable of this process.
    #[default]
    ThisBinary,
    /// Another executable; tests run the built binary.
    Path(PathBuf),
}

/// How to start a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolConfig {
    /// The ggml file; `None`: the demo model in `models/`.
    pub model: Option<PathBuf>,
    /// Worker processes; 0: one less than the processors, at least one.
    pub workers: usize,
    /// Where workers come from.
    pub program: WorkerProgram,
    /// When a worker counts as hung.
    pub patience: Patience,
}

/// What comes on the channel of a [`Pool::submit`].
pub type Answer = (Key, Result<Heard, TranscribeError>);

/// Worker threads and their queue; dropping it ends the workers.
pub struct Pool {
    model: ModelSource,
    shared: Arc<Shared>,
}

enum ModelSource {
    /// Looked for again for each call: it may be installed while we run.
    File(Option<PathBuf>),
    /// A service or a double, with a name and thresholds.
    Other(Box<(String, Thresholds)>),
}

impl Pool {
    /// Starts the threads; workers themselves start with the first utterance. A missing model is not an error here.
    pub fn start(config: PoolConfig) -> Result<Self, SpeechError> {
        let executable = Executable::open(&config.program).map_err(|e| SpeechError::Start(e.to_string()))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if config.workers == 0 { processors.saturating_sub(1).max(1) } else { config.workers.min(WORKERS_MAX) };
        let worker = |_| Box::new(Worker::new(executable.clone(), config.model.clone(), config.patience)) as Box<dyn Transcriber>;
        let lane = |lane: Lane| (0..workers).map(worker).map(move |w| (lane, w));
        let transcribers = lane(Lane::Live).chain(lane(Lane::AfterCall)).collect();
        Self::spawn(ModelSource::File(config.model.clone()), transcribers).map_err(|e| SpeechError::Start(e.to_string()))
    }

    /// A pool of other transcribers: a service, or a double in tests.
    pub fn of(name: &str, thresholds: Thresholds, transcribers: Vec<Box<dyn Transcriber>>) -> Result<Self, SpeechError> {
        let source = ModelSource::Other(Box::new((name.to_owned(), thresholds)));
        let transcribers = transcribers.into_iter().map(|t| (Lane::Any, t)).collect();
        Self::spawn(source, transcribers).map_err(|e| SpeechError::Start(e.to_string()))
    }

    fn spawn(model: ModelSource, transcribers: Vec<(Lane, Box<dyn Transcriber>)>) -> io::Result<Self> {
        let lanes = transcribers.iter().map(|(lane, _)| *lane).collect();
        let state = Mutex::new(State { schedule: Schedule::new(lanes), stopped: false });
        // From here on an error drops the pool, which ends the threads that were started.
        let pool = Self { model, shared: Arc::new(Shared { state, changed: Condvar::new() }) };
        for (n, (_, transcriber)) in transcribers.into_iter().enumerate() {
            let shared = pool.shared.clone();
            std::thread::Builder::new().name(format!("speech-{n}")).spawn(move || run(transcriber, n, &shared))?;
        }
        Ok(pool)
    }

    /// The name and thresholds of the model that the next call will use.
    pub fn model(&self) -> Result<(String, Thresholds), SpeechError> {
        match &self.model {
            ModelSource::File(path) => Model::find(path.as_deref()).map(|m| (m.name(), m.thresholds)),
            ModelSource::Other(other) => Ok(other.as_ref().clone()),
        }
    }

    /// Hands one utterance to the workers; never blocks. The answer comes on `reply`, which must have room for all that
    /// was submitted with it: an answer that does not fit is dropped and counted. A retry on another worker is our affair.
    pub fn submit(&self, request: Request, urgency: Urgency, reply: Sender<Answer>) -> Result<(), Shed> {
        let now = clock();
        let (key, samples) = (request.key, request.samples.len());
        self.shared.push(Entry::new(key, urgency, samples, now, Work { request, reply }))
    }

    /// What waits and who works.
    pub fn load(&self) -> Load {
        self.shared.lock().schedule.load(clock())
    }

    /// Blocks until something in the queue changes, at most `longest`.
    pub(super) fn wait_for_change(&self, longest: Duration) {
        let state = self.shared.lock();
        drop(self.shared.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        let left = state.schedule.drain();
        drop(state);
        shed(left, Shed::Stopped);
        self.shared.changed.notify_all();
    }
}

/// What a waiting utterance is to be done with.
struct Work {
    request: Request,
    reply: Sender<Answer>,
}

/// The queue, and the bell that rings when it changes. The lock is held for a look through the queue, never for a decode.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    schedule: Schedule<Work>,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: Entry<Work>) -> Result<(), Shed> {
        let mut gone = Vec::new();
        let mut state = self.lock();
        let pushed = if state.stopped { Err(Shed::Stopped) } else { state.schedule.push(entry, &mut gone) };
        drop(state);
        shed(gone, Shed::Full);
        self.changed.notify_all();
        pushed
    }

    /// The next work of `worker`, which rests first; `None` when the pool ends.
    fn next(&self, worker: usize, rest: Duration) -> Option<Entry<Work>> {
        let rested_at = clock() + rest;
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let now = clock();
            shed(state.schedule.expired(now), Shed::Late);
            if now >= rested_at
                && let Some(entry) = state.schedule.take(worker, now)
            {
                return Some(entry);
            }
            let look_again = state.schedule.look_again_at().filter(|at| *at > now);
            let until = [look_again, Some(rested_at).filter(|at| *at > now)].into_iter().flatten().min();
            state = match until {
                Some(at) => self.changed.wait_timeout(state, at - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn settle(&self, worker: usize, entry: Entry<Work>, answer: Result<Heard, TranscribeError>) {
        let mut state = self.lock();
        let settled = match &answer {
            Err(TranscribeError::Lost(_)) if !state.stopped => state.schedule.lost(worker, entry, clock()),
            Ok(_) | Err(_) => {
                state.schedule.done(worker);
                Some(entry)
            }
        };
        drop(state);
        if let Some(entry) = settled {
            reply(&entry.work, answer);
        }
        self.changed.notify_all();
    }
}

/// A caller that gave up has dropped its end, or has no room: both are its own choice.
fn reply(work: &Work, answer: Result<Heard, TranscribeError>) {
    if work.reply.try_send((work.request.key, answer)).is_err() {
        tracing::debug!("an utterance's words came when nobody waited for them");
    }
}

fn shed(entries: Vec<Entry<Work>>, why: Shed) {
    for entry in entries {
        reply(&entry.work, Err(TranscribeError::Shed(why)));
    }
}

fn run(mut transcriber: Box<dyn Transcriber>, worker: usize, shared: &Shared) {
    while let Some(entry) = shared.next(worker, transcriber.rest()) {
        let answer = transcriber.transcribe(&entry.work.request);
        shared.settle(worker, entry, answer);
    }
}

#[expect(clippy::disallowed_methods, reason = "the pool owns this clock: deadlines of utterances")]
fn clock() -> Instant {
    Instant::now()
}
