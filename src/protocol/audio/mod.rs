//! Frames of audio: G.711, tones.

pub mod g711;
pub mod tone;
