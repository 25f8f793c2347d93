//! Words while they speak ([`live`]) and after the call: voice activity, utterances, supervised Whisper workers, gates against invented words.
//!
//! ```text
//! track ─▶ front_end (voice activity ─▶ utterances) ─▶ gates ─▶ pool ═socket═▶ speech-worker child
//!                                        transcript ◀─ echo ◀─ gates ◀─ words ══════┘
//! ```
//! The model lives in child processes of this same binary, so that its abort or hang never touches a call.

mod call;
pub mod catalogue;
pub mod check;
pub mod decode;
pub mod echo;
pub mod endpoint;
pub mod fetch;
pub mod file;
pub mod front_end;
pub mod gates;
pub mod live;
pub mod model;
pub mod pool;
pub mod protocol;
pub mod resample;
pub mod schedule;
pub mod sound;
pub mod supervisor;
pub mod tones;
pub mod transcribe;
pub mod utterances;
pub mod voice_activity;
pub mod word_errors;
mod word_times;
pub mod worker;

#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use file::transcribe_file;
pub use front_end::{Gap, GapKind, TrackAudio};
pub use model::{Thresholds, samples};
pub use pool::{Answer, Pool, PoolConfig, SpeechError, WorkerProgram};
pub use schedule::{Load, Shed, Urgency};
pub use sound::Sound;
pub use supervisor::Patience;
pub use transcribe::{Heard, HeardWord, Key, Request, TranscribeError, Transcriber};

/// Samples per second of everything before the worker: telephone audio.
pub const RATE: usize = 8_000;

/// Samples as milliseconds, rounded to the nearest.
pub(crate) fn ms(samples: usize) -> u32 {
    u32::try_from((samples * 1_000 + RATE / 2) / RATE).unwrap_or(u32::MAX)
}
