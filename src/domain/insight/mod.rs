//! What is read out of an interaction: words, card, sentiment, promises, each with its evidence.
//!
//! ```text
//! Transcript ─▶ sentences ─▶ acts ─▶ slots, promises ─▶ card
//!                        └─▶ sentiment
//! ```
//! Nothing is written that nobody said: every text is a quote, every quote has its place in the audio.

pub mod acts;
mod agreed;
pub mod card;
pub mod correction;
pub mod cues;
pub mod dates;
pub mod model_card;
mod moods;
mod outcome;
pub mod promises;
pub mod redaction;
pub mod sentences;
pub mod sentiment;
pub mod slots;
pub mod support;
pub mod utterance;

#[cfg(test)]
mod dialogues;
