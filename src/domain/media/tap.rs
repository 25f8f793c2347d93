//! What a media thread hands to the recorder and, later, to the speech front end: the payload as received.
//!
//! Taps are taken at ingress, alike in relay and bridge. The channel is bounded; a frame that finds it full is
//! dropped and counted, while `Open`, `Pause`, `Resume` and `Close` wait in the engine until there is room.

use super::plan::Codec;
use crate::{
    ids::{InteractionId, LegId, Party, RecordingId},
    time::UnixMs,
};

/// Longest payload that a tap carries: 60 ms of G.711, rounded up.
pub const TAP_PAYLOAD_MAX: usize = 640;

/// One message on the tap channel; those of one leg arrive in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Tap {
    /// A track begins.
    Open(TapOpen),
    /// One packet's payload.
    Frame(TapFrame),
    /// Audio from here on is not kept.
    Pause {
        /// The leg.
        leg: LegId,
        /// On the call's axis, microseconds.
        axis_us: u64,
    },
    /// Audio is kept again.
    Resume {
        /// The leg.
        leg: LegId,
        /// On the call's axis, microseconds.
        axis_us: u64,
    },
    /// The track ends.
    Close {
        /// The leg.
        leg: LegId,
        /// On the call's axis, microseconds.
        axis_us: u64,
        /// Frames of this leg that were dropped because the channel was full.
        dropped: u64,
    },
}

impl Tap {
    /// Whose it is.
    pub fn leg(&self) -> LegId {
        match self {
            Self::Open(open) => open.leg,
            Self::Frame(frame) => frame.leg,
            Self::Pause { leg, .. } | Self::Resume { leg, .. } | Self::Close { leg, .. } => *leg,
        }
    }
}

/// Everything that a track's header needs.
#[derive(Clone, Debug, PartialEq)]
pub struct TapOpen {
    /// The track.
    pub recording: RecordingId,
    /// The call.
    pub interaction: InteractionId,
    /// The leg.
    pub leg: LegId,
    /// Who speaks on it.
    pub party: Party,
    /// Its codec.
    pub codec: Codec,
    /// Wall time of the axis' zero.
    pub axis_start_wall: UnixMs,
    /// Where the track begins on the call's axis, microseconds.
    pub axis_us: u64,
}

/// One received RTP packet, without its header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TapFrame {
    /// The leg.
    pub leg: LegId,
    /// Counts the leg's sources: a new SSRC or address is a new source.
    pub source: u32,
    /// Arrival on the call's axis, microseconds.
    pub arrival_us: u64,
    /// Extended sequence number (RFC 3550 §A.1).
    pub ext_seq: u64,
    /// Extended RTP timestamp, units of the codec's clock.
    pub ext_ts: u64,
    /// The codec of the payload.
    pub codec: Codec,
    /// Octets used in `payload`; 0 for a packet without sound: a key, comfort noise.
    pub len: u16,
    /// The payload as received.
    pub payload: [u8; TAP_PAYLOAD_MAX],
}

impl TapFrame {
    /// A packet of this leg without sound.
    pub fn empty(leg: LegId) -> Self {
        Self { leg, source: 0, arrival_us: 0, ext_seq: 0, ext_ts: 0, codec: Codec::Pcmu, len: 0, payload: [0; TAP_PAYLOAD_MAX] }
    }

    /// The payload's octets.
    pub fn payload(&self) -> &[u8] {
        &self.payload[..usize::from(self.len).min(TAP_PAYLOAD_MAX)]
    }
}
