//! One worker child: started when first needed, watched, killed when it hangs or speaks nonsense, started again.
//!
//! The child is started from the executable that this process runs, opened once: replacing the file on disk while we run
//! changes nothing.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{
    RATE,
    model::{Model, Thresholds},
    ms,
    pool::WorkerProgram,
    protocol::{self, Message, VERSION},
    sound::Form,
    transcribe::{Heard, Key, Request, TranscribeError, Transcriber},
};

/// The worker gives up by itself this much before we kill it.
const ABORT_BEFORE: Duration = Duration::from_secs(5);
/// How long a worker may take before it counts as hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To load its model; large ones come from a cold disk.
    pub load: Duration,
    /// On top of twice the audio.
    pub decode: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { load: Duration::from_secs(120), decode: Duration::from_secs(30) }
    }
}

/// First wait after a death; doubles with each one in a row.
const BACKOFF_MS: u64 = 100;
/// Most doublings: 12.8 s.
const BACKOFF_DOUBLINGS: u32 = 7;
/// Tokens allowed on top of [`TOKENS_PER_SECOND`].
const TOKENS_BASE: u32 = 8;
/// Nobody says more than eight tokens a second.
const TOKENS_PER_SECOND: u32 = 8;

/// The executable that workers are started from.
#[derive(Clone, Debug)]
pub enum Executable {
    /// Ours, held open.
    Opened(Arc<File>),
    /// Another one, by path.
    Path(PathBuf),
}

impl Executable {
    /// Opens what `program` names.
    pub fn open(program: &WorkerProgram) -> io::Result<Self> {
        match program {
            WorkerProgram::ThisBinary => File::open("/proc/self/exe").map(|f| Self::Opened(Arc::new(f))),
            WorkerProgram::Path(path) => Ok(Self::Path(path.clone())),
        }
    }

    fn command(&self) -> Command {
        match self {
            // Opened close-on-exec: the kernel resolves the path before it closes the descriptor.
            Self::Opened(file) => Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())),
            Self::Path(path) => Command::new(path),
        }
    }
}

/// Models that one worker keeps loaded: the configured one, and one that somebody asked for by name.
const RESIDENT_MAX: usize = 2;

/// A supervised worker, a child per model; [`Transcriber`] for the pool's thread that owns it.
pub struct Worker {
    executable: Executable,
    model: Option<PathBuf>,
    patience: Patience,
    /// Keeps the configured model loaded when there is nothing to do: live words cannot wait for it.
    keep: bool,
    /// By the name asked for, the last used at the end.
    children: Vec<(Option<String>, Running)>,
    deaths_in_a_row: u32,
}

struct Running {
    child: Child,
    socket: UnixStream,
    model: Model,
    patience: Patience,
    audio_ctx: u32,
}

impl Worker {
    /// A worker that starts with its first utterance.
    pub fn new(executable: Executable, model: Option<PathBuf>, patience: Patience, keep: bool) -> Self {
        Self { executable, model, patience, keep, children: Vec::new(), deaths_in_a_row: 0 }
    }

    /// The child with this model, started when there is none; the one that was not used for longest makes room.
    fn running(&mut self, name: Option<&str>) -> Result<&mut Running, TranscribeError> {
        let child = match self.children.iter().position(|(n, _)| n.as_deref() == name) {
            Some(at) => self.children.remove(at),
            None => {
                let model = match name {
                    Some(name) => Model::named(name),
                    None => Model::find(self.model.as_deref()),
                };
                let model = model.map_err(|e| TranscribeError::Model(e.to_string()))?;
                if self.children.len() >= RESIDENT_MAX {
                    self.children.remove(0);
                }
                (name.map(str::to_owned), Running::start(&self.executable, model, self.patience)?)
            }
        };
        self.children.push(child);
        self.children.last_mut().map(|(_, running)| running).ok_or_else(|| TranscribeError::Lost("not running".into()))
    }
}

impl Transcriber for Worker {
    fn transcribe(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let name = request.model.as_deref();
        let answer = self.running(name).and_then(|running| running.ask(request));
        match &answer {
            Ok(_) => self.deaths_in_a_row = 0,
            Err(TranscribeError::Model(_)) => self.children.retain(|(n, _)| n.as_deref() != name),
            Err(TranscribeError::Lost(why)) => {
                tracing::warn!(why, "a speech worker was lost; it is started again");
                self.children.retain(|(n, _)| n.as_deref() != name);
                self.deaths_in_a_row = self.deaths_in_a_row.saturating_add(1);
            }
            Err(TranscribeError::Shed(_)) => {}
        }
        answer
    }

    fn idle(&mut self) {
        let keep = self.keep;
        self.children.retain(|(name, _)| keep && name.is_none());
    }

    fn rest(&self) -> Duration {
        match self.deaths_in_a_row {
            0 => Duration::ZERO,
            n => Duration::from_millis(BACKOFF_MS << (n - 1).min(BACKOFF_DOUBLINGS)),
        }
    }
}

impl Running {
    fn start(executable: &Executable, model: Model, patience: Patience) -> Result<Self, TranscribeError> {
        let lost = |e: io::Error| TranscribeError::Lost(e.to_string());
        let (ours, theirs) = UnixStream::pair().map_err(lost)?;
        let child = executable
            .command()
            .arg("speech-worker")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| TranscribeError::Lost(format!("cannot start: {e}")))?;
        let mut running = Self { child, socket: ours, model, patience, audio_ctx: 0 };
        let model = running.model.path.to_string_lossy().into_owned();
        match running.exchange(&Message::Start { version: VERSION, model }, &[], patience.load)? {
            Message::Ready { version: VERSION, audio_ctx } => running.audio_ctx = audio_ctx,
            Message::Refused { why } => return Err(TranscribeError::Model(why)),
            _ => return Err(TranscribeError::Lost("it did not say ready".into())),
        }
        Ok(running)
    }

    fn ask(&mut self, request: &Request) -> Result<Heard, TranscribeError> {
        let limit = Duration::from_millis(u64::from(ms(request.sound.len())) * 2) + self.patience.decode;
        let (form, blob) = request.sound.blob();
        let decode = decode(request, form, &self.model.thresholds, self.audio_ctx, limit);
        self.exchange(&decode, &blob, limit).and_then(|answer| believed(answer, request.key))
    }

    /// One question, one answer; any error means that the child cannot be trusted any more.
    fn exchange(&mut self, question: &Message, blob: &[u8], limit: Duration) -> Result<Message, TranscribeError> {
        let lost = |e: io::Error| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => TranscribeError::Lost("it hangs".into()),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                TranscribeError::Lost("it died".into())
            }
            _ => TranscribeError::Lost(e.to_string()),
        };
        let mut bounded = Bounded { socket: &self.socket, until: clock() + limit };
        protocol::write(&mut bounded, question, blob).map_err(lost)?;
        protocol::read(&mut bounded).map(|(answer, _)| answer).map_err(lost)
    }
}

/// What a worker said of the utterance that it was asked about; anything else is the end of it.
fn believed(answer: Message, asked: Key) -> Result<Heard, TranscribeError> {
    match answer {
        Message::Heard { key, heard } if key == asked && heard.is_bounded() => Ok(heard),
        Message::Failed { key, why } if key == asked => Err(TranscribeError::Lost(why)),
        _ => Err(TranscribeError::Lost("it answered something else".into())),
    }
}

/// What a worker is told about an utterance; `context` is all that its model can look at.
fn decode(request: &Request, form: Form, thresholds: &Thresholds, context: u32, limit: Duration) -> Message {
    let seconds = u32::try_from(request.sound.len().div_ceil(RATE)).unwrap_or(u32::MAX);
    Message::Decode {
        key: request.key,
        form,
        language: thresholds.language.clone(),
        audio_ctx: if request.full_context { context } else { thresholds.audio_ctx(request.sound.len(), context) },
        max_tokens: TOKENS_BASE.saturating_add(TOKENS_PER_SECOND.saturating_mul(seconds)),
        deadline_ms: u32::try_from(limit.saturating_sub(ABORT_BEFORE).as_millis()).unwrap_or(u32::MAX),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It holds nothing that is worth a goodbye; waiting keeps it from becoming a zombie.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket that is read and written until a moment, however slowly the octets drip.
struct Bounded<'a> {
    socket: &'a UnixStream,
    until: std::time::Instant,
}

impl Bounded<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(clock());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl io::Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        (&mut &*self.socket).read(into)
    }
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        (&mut &*self.socket).write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the supervisor owns this clock: it bounds the wait for a child")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::media::plan::Codec,
        ids::LegId,
        service::speech::{Sound, transcribe::HeardWord},
        time::UnixMs,
    };

    #[test]
    fn a_worker_is_told_the_language_a_fitted_context_eight_tokens_a_second_and_when_to_give_up() {
        let key = Key { leg: LegId::new(UnixMs(1), [1; 10]), start_ms: 7 };
        let told = |seconds: usize, full_context: bool| {
            let request = Request { key, sound: Sound::Received(Codec::Pcmu, vec![0; seconds * RATE].into()), full_context, model: None };
            let thresholds = Thresholds { language: "de".into(), ..Thresholds::default() };
            match decode(&request, request.sound.blob().0, &thresholds, 1_500, Duration::from_secs(30)) {
                Message::Decode { key: of, form: Form::Pcmu, language, audio_ctx, max_tokens, deadline_ms } if of == key => {
                    (language, audio_ctx, max_tokens, deadline_ms)
                }
                other => panic!("{other:?}"),
            }
        };
        // An utterance under 1.2 s is padded to that, so that it counts as two seconds.
        assert_eq!(told(1, false), ("de".into(), 384, 24, 25_000));
        assert_eq!(told(10, false), ("de".into(), 640, 88, 25_000));
        assert_eq!(told(10, true), ("de".into(), 1_500, 88, 25_000));
    }

    #[test]
    fn what_no_model_says_of_an_utterance_is_not_believed() {
        let key = |start_ms| Key { leg: LegId::new(UnixMs(1), [1; 10]), start_ms };
        let answer = |words: usize, word: &str, logprob: f32| {
            let word = HeardWord { text: word.into(), from_ms: 0, to_ms: 100, probability: 0.9 };
            Message::Heard { key: key(7), heard: Heard { language: "en".into(), no_speech: 0.0, logprob, words: vec![word; words] } }
        };
        assert!(believed(answer(88, "yes", -0.1), key(7)).is_ok());
        let refused = [
            (answer(1, "yes", -0.1), "for another utterance"),
            (answer(20_000, "a", -0.1), "a flood of words"),
            (answer(1, &"a".repeat(900_000), -0.1), "one endless word"),
            (answer(1, "yes", f32::INFINITY), "surer than sure"),
            (Message::Failed { key: key(8), why: "no".into() }, "its failing at another one"),
            (Message::Ready { version: VERSION, audio_ctx: 1_500 }, "ready in the middle"),
        ];
        for (n, (answer, what)) in refused.into_iter().enumerate() {
            let asked = if n == 0 { key(8) } else { key(7) };
            assert!(matches!(believed(answer, asked), Err(TranscribeError::Lost(_))), "{what}");
        }
    }
}
