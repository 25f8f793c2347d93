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
    endpoint::{Endpoint, Service},
    model::{Model, Thresholds},
    schedule::{Entry, Lane, Load, Schedule, Shed, Urgency},
    supervisor::{Executable, Patience, Worker},
    transcribe::{Heard, Key, Request, TranscribeError, Transcriber},
};
use crate::config::EndpointFor;

/// A worker that had nothing to do for so long gives its memory back.
const IDLE: Duration = Duration::from_secs(120);
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
    /// For words after the call: a name in `models/` or a ggml file; `None`: the demo model.
    pub model: Option<PathBuf>,
    /// For words while they are said; `None`: the same one.
    pub live_model: Option<PathBuf>,
    /// A service in the workers' place, and for what.
    pub endpoint: Option<(Endpoint, EndpointFor, usize)>,
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
    after_call: ModelSource,
    live: ModelSource,
    shared: Arc<Shared>,
}

#[derive(Clone)]
enum ModelSource {
    /// Looked for again for each call: it may be installed while we run.
    File(Option<PathBuf>),
    /// A service or a double, with a name and thresholds.
    Other(Box<(String, Thresholds)>),
}

impl ModelSource {
    fn of(endpoint: &Endpoint) -> Self {
        let thresholds = Thresholds { language: endpoint.language.clone(), ..Thresholds::default() };
        Self::Other(Box::new((endpoint.model.clone(), thresholds)))
    }

    fn find(&self) -> Result<(String, Thresholds), SpeechError> {
        match self {
            Self::File(path) => Model::find(path.as_deref()).map(|m| (m.name(), m.thresholds)),
            Self::Other(other) => Ok(other.as_ref().clone()),
        }
    }
}

impl Pool {
    /// Starts the threads; workers themselves start with the first utterance. A missing model is not an error here.
    pub fn start(config: PoolConfig) -> Result<Self, SpeechError> {
        let executable = Executable::open(&config.program).map_err(|e| SpeechError::Start(e.to_string()))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = worker_count(config.workers, processors);
        let live_model = config.live_model.clone().or_else(|| config.model.clone());
        let mut transcribers: Vec<(Lane, Box<dyn Transcriber>)> = Vec::new();
        let (mut live, mut after_call) = (ModelSource::File(live_model.clone()), ModelSource::File(config.model.clone()));
        let served = config.endpoint.as_ref().map(|(_, serves, _)| *serves);
        if let Some((endpoint, serves, parallel)) = &config.endpoint {
            let (lane, sources) = match serves {
                EndpointFor::Both => (Lane::Any, vec![&mut live, &mut after_call]),
                EndpointFor::Live => (Lane::Live, vec![&mut live]),
                EndpointFor::AfterCall => (Lane::AfterCall, vec![&mut after_call]),
            };
            sources.into_iter().for_each(|source| *source = ModelSource::of(endpoint));
            transcribers.extend((0..(*parallel).clamp(1, WORKERS_MAX)).map(|_| (lane, Box::new(Service::new(endpoint.clone())) as _)));
        }
        for (lane, by, model) in [(Lane::Live, EndpointFor::Live, live_model), (Lane::AfterCall, EndpointFor::AfterCall, config.model)] {
            if served != Some(EndpointFor::Both) && served != Some(by) {
                let worker = || Worker::new(executable.clone(), model.clone(), config.patience, lane == Lane::Live);
                transcribers.extend((0..workers).map(|_| (lane, Box::new(worker()) as _)));
            }
        }
        Self::spawn((live, after_call), transcribers, served.is_none()).map_err(|e| SpeechError::Start(e.to_string()))
    }

    /// A pool of other transcribers: a service, or a double in tests.
    pub fn of(name: &str, thresholds: Thresholds, transcribers: Vec<Box<dyn Transcriber>>) -> Result<Self, SpeechError> {
        let source = ModelSource::Other(Box::new((name.to_owned(), thresholds)));
        let transcribers = transcribers.into_iter().map(|t| (Lane::Any, t)).collect();
        Self::spawn((source.clone(), source), transcribers, true).map_err(|e| SpeechError::Start(e.to_string()))
    }

    fn spawn(
        (live, after_call): (ModelSource, ModelSource),
        transcribers: Vec<(Lane, Box<dyn Transcriber>)>,
        one_machine: bool,
    ) -> io::Result<Self> {
        let lanes = transcribers.iter().map(|(lane, _)| *lane).collect();
        let schedule = if one_machine { Schedule::new(lanes) } else { Schedule::of_two_machines(lanes) };
        let state = Mutex::new(State { schedule, stopped: false });
        // From here on an error drops the pool, which ends the threads that were started.
        let pool = Self { live, after_call, shared: Arc::new(Shared { state, changed: Condvar::new() }) };
        for (n, (_, transcriber)) in transcribers.into_iter().enumerate() {
            let shared = pool.shared.clone();
            std::thread::Builder::new().name(format!("speech-{n}")).spawn(move || run(transcriber, n, &shared))?;
        }
        Ok(pool)
    }

    /// The name and thresholds of the model that the next call will use once it is over.
    pub fn model(&self) -> Result<(String, Thresholds), SpeechError> {
        self.after_call.find()
    }

    /// The name and thresholds of the model for words while they are said.
    pub fn live_model(&self) -> Result<(String, Thresholds), SpeechError> {
        self.live.find()
    }

    /// The name and thresholds of the model of this name; `None`: the configured one for words after the call.
    pub fn model_named(&self, name: Option<&str>) -> Result<(String, Thresholds), SpeechError> {
        match (name, &self.after_call) {
            (None, _) => self.model(),
            (Some(name), ModelSource::Other(other)) if other.0 == name => self.model(),
            (Some(name), ModelSource::Other(_)) => Err(SpeechError::Model(format!("the service is not asked for a model \"{name}\""))),
            (Some(name), ModelSource::File(_)) => Model::named(name).map(|m| (m.name(), m.thresholds)),
        }
    }

    /// Names that [`Request::model`] may have: the models in `models/`, or the service's.
    pub fn models(&self) -> Vec<String> {
        match &self.after_call {
            ModelSource::Other(other) => vec![other.0.clone()],
            ModelSource::File(_) => Model::installed().iter().map(Model::name).collect(),
        }
    }

    /// Hands one utterance to the workers; never blocks. The answer comes on `reply`, which must have room for all that
    /// was submitted with it: an answer that does not fit is dropped and counted. A retry on another worker is our affair.
    pub fn submit(&self, request: Request, urgency: Urgency, reply: Sender<Answer>) -> Result<(), Shed> {
        let now = clock();
        let (key, samples) = (request.key, request.sound.len());
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

/// Workers for each kind of words: as configured, else all processors but the one that calls need.
fn worker_count(configured: usize, processors: usize) -> usize {
    if configured == 0 { processors.saturating_sub(1).max(1) } else { configured.min(WORKERS_MAX) }
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

    /// The next work of `worker`, which rests first; or that there has been none for a while, where it wants to know.
    fn next(&self, worker: usize, rest: Duration, tell_idle: bool) -> Next {
        let begun = clock();
        let rested_at = begun + rest;
        let idle_at = tell_idle.then(|| begun + IDLE);
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Next::End;
            }
            let now = clock();
            shed(state.schedule.expired(now), Shed::Late);
            if now >= rested_at
                && let Some(entry) = state.schedule.take(worker, now)
            {
                return Next::Work(entry);
            }
            if idle_at.is_some_and(|at| now >= at) {
                return Next::Idle;
            }
            let times = [state.schedule.look_again_at(), Some(rested_at), idle_at];
            let until = times.into_iter().flatten().filter(|at| *at > now).min();
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

/// What a worker's thread does next.
enum Next {
    Work(Entry<Work>),
    Idle,
    End,
}

fn run(mut transcriber: Box<dyn Transcriber>, worker: usize, shared: &Shared) {
    let mut tell_idle = false;
    loop {
        match shared.next(worker, transcriber.rest(), tell_idle) {
            Next::Work(entry) => {
                let answer = transcriber.transcribe(&entry.work.request);
                shared.settle(worker, entry, answer);
                tell_idle = true;
            }
            Next::Idle => {
                transcriber.idle();
                tell_idle = false;
            }
            Next::End => return,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the pool owns this clock: deadlines of utterances")]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_processor_is_left_to_calls_where_there_is_more_than_one() {
        assert_eq!([1, 2, 8].map(|processors| worker_count(0, processors)), [1, 1, 7]);
        assert_eq!([worker_count(3, 1), worker_count(1_000, 8)], [3, WORKERS_MAX]);
    }
}
