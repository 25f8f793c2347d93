//! The pool: a thread per worker, and the way of one call from tracks to a transcript.
//!
//! Blocking throughout: async callers use `spawn_blocking`. The caller keeps each utterance's audio until its result is
//! accepted; a lost one goes back into the queue, and after three losses it is failed.

use std::{collections::VecDeque, io, path::PathBuf};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::{
    echo,
    front_end::{self, Cut, Outcome, Piece, TrackAudio},
    gates::{self, Rejection},
    model::{Model, Thresholds},
    ms,
    supervisor::{Executable, Patience, Worker},
    transcribe::{Heard, HeardWord, Key, Request, TranscribeError, Transcriber},
    word_times,
};
use crate::domain::insight::utterance::{Transcript, Utterance, Word};

/// Times an utterance is tried before it is failed.
const ATTEMPTS: u8 = 3;
/// Utterances of one call that are in the queue at once: a share, so that a long call leaves room for others.
const IN_FLIGHT: usize = 4;
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

struct Task {
    index: usize,
    request: Request,
    reply: Sender<(usize, Result<Heard, TranscribeError>)>,
}

/// Worker threads and their queue; dropping it ends the workers.
pub struct Pool {
    model: ModelSource,
    tasks: Sender<Task>,
    _stop: Sender<()>,
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
        let (stop, stopped) = bounded(0);
        let worker =
            |_| Box::new(Worker::new(executable.clone(), config.model.clone(), config.patience, stopped.clone())) as Box<dyn Transcriber>;
        let transcribers = (0..workers).map(worker).collect();
        Self::spawn(ModelSource::File(config.model.clone()), transcribers, stop).map_err(|e| SpeechError::Start(e.to_string()))
    }

    /// A pool of other transcribers: a service, or a double in tests.
    pub fn of(name: &str, thresholds: Thresholds, transcribers: Vec<Box<dyn Transcriber>>) -> Result<Self, SpeechError> {
        let source = ModelSource::Other(Box::new((name.to_owned(), thresholds)));
        Self::spawn(source, transcribers, bounded(0).0).map_err(|e| SpeechError::Start(e.to_string()))
    }

    fn spawn(model: ModelSource, transcribers: Vec<Box<dyn Transcriber>>, stop: Sender<()>) -> io::Result<Self> {
        let (tasks, queue) = bounded::<Task>(transcribers.len());
        for (n, transcriber) in transcribers.into_iter().enumerate() {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("speech-{n}")).spawn(move || run(transcriber, &queue))?;
        }
        Ok(Self { model, tasks, _stop: stop })
    }

    /// The name and thresholds of the model that the next call will use.
    pub fn model(&self) -> Result<(String, Thresholds), SpeechError> {
        match &self.model {
            ModelSource::File(path) => Model::find(path.as_deref()).map(|m| (m.name(), m.thresholds)),
            ModelSource::Other(other) => Ok(other.as_ref().clone()),
        }
    }

    /// The words of one call, by time, with the coverage of each leg. Blocks until all utterances are settled.
    pub fn transcribe_call(&self, tracks: &[TrackAudio]) -> Result<Transcript, SpeechError> {
        let cuts = tracks.iter().map(front_end::listen).collect();
        self.transcribe_cuts(tracks, cuts)
    }

    /// As [`Pool::transcribe_call`], with the cutting already done.
    pub fn transcribe_cuts(&self, tracks: &[TrackAudio], cuts: Vec<Cut>) -> Result<Transcript, SpeechError> {
        let (model, thresholds) = self.model()?;
        let items: Vec<(&TrackAudio, &Piece)> = tracks.iter().zip(&cuts).flat_map(|(t, c)| c.pieces.iter().map(move |p| (t, p))).collect();
        let answers = self.ask_all(&items)?;
        let mut utterances = Vec::with_capacity(items.len());
        let mut outcomes = Vec::with_capacity(items.len());
        for ((track, piece), answer) in items.iter().zip(answers) {
            let (utterance, outcome) = self.judge(track, piece, answer, &thresholds)?;
            utterances.push(utterance);
            outcomes.push(outcome);
        }
        let levels: Vec<f32> = items.iter().map(|(_, p)| p.level_db).collect();
        echo::hide(&mut utterances, &levels);
        let mut coverage: Vec<_> = cuts.iter().map(|c| c.coverage).collect();
        for (((track, piece), utterance), outcome) in items.iter().zip(&utterances).zip(outcomes) {
            let hidden = outcome == Outcome::Transcribed && utterance.rejected.is_some();
            let outcome = if hidden { Outcome::Rejected } else { outcome };
            if let Some(sum) = tracks.iter().position(|t| std::ptr::eq(t, *track)).and_then(|i| coverage.get_mut(i)) {
                front_end::settle(sum, piece, outcome);
            }
        }
        utterances.sort_by_key(|u| (u.from_ms, u.to_ms));
        Ok(Transcript { model, language: thresholds.language, utterances, coverage })
    }

    /// Asks for every piece that no gate refused; answers in the order of `items`.
    fn ask_all(&self, items: &[(&TrackAudio, &Piece)]) -> Result<Vec<Option<Result<Heard, TranscribeError>>>, SpeechError> {
        let (reply, replies) = unbounded();
        let mut answers: Vec<Option<Result<Heard, TranscribeError>>> = vec![None; items.len()];
        let mut waiting: VecDeque<(usize, u8)> = (0..items.len()).filter(|i| items[*i].1.refused.is_none()).map(|i| (i, 1)).collect();
        let mut attempts = vec![0u8; items.len()];
        let mut in_flight = 0;
        while in_flight > 0 || !waiting.is_empty() {
            while in_flight < IN_FLIGHT
                && let Some((index, attempt)) = waiting.pop_front()
            {
                attempts[index] = attempt;
                let task = Task { index, request: request(items[index].0, items[index].1, false), reply: reply.clone() };
                self.tasks.send(task).map_err(|_| SpeechError::Stopped)?;
                in_flight += 1;
            }
            let (index, answer) = replies.recv().map_err(|_| SpeechError::Stopped)?;
            in_flight -= 1;
            match answer {
                Err(TranscribeError::Model(why)) => return Err(self.model().err().unwrap_or(SpeechError::Model(why))),
                Err(TranscribeError::Lost(_)) if attempts[index] < ATTEMPTS => waiting.push_back((index, attempts[index] + 1)),
                settled => answers[index] = Some(settled),
            }
        }
        Ok(answers)
    }

    /// Turns one answer into an utterance; a decode that went round in circles is tried once more at full context.
    fn judge(
        &self,
        track: &TrackAudio,
        piece: &Piece,
        answer: Option<Result<Heard, TranscribeError>>,
        thresholds: &Thresholds,
    ) -> Result<(Utterance, Outcome), SpeechError> {
        let refused = |why: Rejection| (utterance(track, piece, &[], Some(why.to_string())), Outcome::Rejected);
        let mut heard = match answer {
            None => return Ok(refused(piece.refused.unwrap_or(Rejection::Nothing))),
            Some(Err(e)) => return Ok((utterance(track, piece, &[], Some(format!("failed: {e}"))), Outcome::Failed)),
            Some(Ok(heard)) => heard,
        };
        let audio_ms = ms(piece.range.len());
        if gates::after(&heard, piece.voiced_ms, audio_ms, thresholds) == Some(Rejection::Repeats) {
            heard = self.again(track, piece)?.unwrap_or(heard);
            if let Some(at) = gates::loop_start(&heard.words) {
                heard.words.truncate(at);
            }
        }
        Ok(match gates::after(&heard, piece.voiced_ms, audio_ms, thresholds) {
            Some(why) => refused(why),
            None => (utterance(track, piece, &heard.words, None), Outcome::Transcribed),
        })
    }

    fn again(&self, track: &TrackAudio, piece: &Piece) -> Result<Option<Heard>, SpeechError> {
        let (reply, replies) = bounded(1);
        self.tasks.send(Task { index: 0, request: request(track, piece, true), reply }).map_err(|_| SpeechError::Stopped)?;
        Ok(replies.recv().map_err(|_| SpeechError::Stopped)?.1.ok())
    }
}

fn run(mut transcriber: Box<dyn Transcriber>, queue: &Receiver<Task>) {
    for task in queue {
        let answer = transcriber.transcribe(&task.request);
        // A caller that gave up has dropped its end; the next task may have one that has not.
        let _ = task.reply.send((task.index, answer));
    }
}

fn request(track: &TrackAudio, piece: &Piece, full_context: bool) -> Request {
    Request {
        key: Key { leg: track.leg, start_ms: track.start_ms.saturating_add(ms(piece.range.start)) },
        samples: piece.audio.clone(),
        full_context,
    }
}

/// Puts words on the call's axis: inside the utterance, never backwards.
fn utterance(track: &TrackAudio, piece: &Piece, heard: &[HeardWord], rejected: Option<String>) -> Utterance {
    let on_axis = |samples: usize| track.start_ms.saturating_add(ms(samples));
    let (from_ms, to_ms) = (on_axis(piece.range.start), on_axis(piece.range.end));
    let percent = |p: f32| (p * 100.0).round().clamp(0.0, 100.0) as u8;
    let places = word_times::place(heard, to_ms - from_ms, &piece.voiced);
    let on_call = |(word, (from, to)): (&HeardWord, (u32, u32))| Word {
        text: word.text.clone(),
        from_ms: from_ms + from,
        to_ms: from_ms + to,
        confidence: percent(word.probability),
    };
    let words = heard.iter().zip(places).map(on_call).collect();
    let mean = heard.iter().map(|w| w.probability).sum::<f32>() / heard.len().max(1) as f32;
    Utterance { leg: track.leg, party: track.party, from_ms, to_ms, words, confidence: percent(mean), rejected }
}
