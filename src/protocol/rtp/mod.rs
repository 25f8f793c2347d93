//! RTP and RTCP (RFC 3550), telephone-event (RFC 4733).
//!
//! ```text
//! datagram ─▶ packet::parse ─▶ session::Reception (extended sequence, loss, jitter)
//!                           ─▶ packet::write_header (in front of the payload, in the same buffer)
//! ```

pub mod e_model;
pub mod packet;
pub mod rtcp;
pub mod session;
pub mod telephone_event;

/// Payload type of comfort noise at 8 kHz (RFC 3389 §4, static).
pub const COMFORT_NOISE: u8 = 13;
