//! Bytes ↔ values. No clock, no I/O, no randomness; rooms here do not import each other.

pub mod audio;
pub mod rtp;
pub mod sdp;
pub mod sip;
