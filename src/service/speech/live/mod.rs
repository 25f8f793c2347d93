//! Words while they speak: the live front end.
//!
//! ```text
//! recorder's drain ─ pieces, bounded, drops ─▶ speech-front-N: LiveCall ─ Ask ─▶ pool ═▶ worker
//!                                desks ◀─ Words ─┘    └ what became of each utterance ─▶ job after the call
//! ```
//! Media threads are not touched, and nothing here waits: without a worker, words come after the call.

pub mod activity;
pub mod after;
pub mod call;
pub mod cutter;
mod due;
pub mod ear;
pub mod front;
pub mod results;
pub mod shown;

#[cfg(test)]
mod tests;

pub use after::LiveHeard;
pub use front::{FrontConfig, FrontCounters, FrontEnd, LiveTranscriber};
pub use results::{LiveResult, LiveResults};
pub use shown::{Mask, NoMask, Settled};
