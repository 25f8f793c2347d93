//! What control wants of the media threads: the whole desired state of one call, never a delta.
//!
//! ```text
//! control ── MediaCommand::Plan(whole call, generation n) ──▶ media thread
//! control ◀── MediaEvent { call, generation, … } ─────────── media thread
//! ```
//! A newer plan replaces an unread older one; an event of an older generation is ignored.

use std::{net::SocketAddr, time::Instant};

use crate::{
    ids::{InteractionId, LegId, Party, RecordingId},
    time::UnixMs,
};

/// An audio codec that a leg may use on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// G.711 µ-law, 8 kHz (RFC 3551 §4.5.14, static payload type 0).
    Pcmu,
    /// G.711 A-law, 8 kHz (RFC 3551 §4.5.14, static payload type 8).
    Pcma,
}

/// A pair of bound UDP sockets in a media thread's pool, named by thread and place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PortPair {
    /// Which media thread holds the sockets.
    pub thread: u16,
    /// Even UDP port for RTP; RTCP is the next one (RFC 3550 §11).
    pub rtp_port: u16,
}

/// Where and what one leg sends and receives.
#[derive(Clone, PartialEq, Debug)]
pub struct LegPlan {
    /// The leg.
    pub leg: LegId,
    /// Who is speaking on it.
    pub party: Party,
    /// Our sockets for it.
    pub ports: PortPair,
    /// The peer's signalled RTP and RTCP addresses; `None` before its SDP is known.
    pub remote: Option<RemoteMedia>,
    /// The negotiated codec and its payload type towards us and towards the peer.
    pub codec: Codec,
    /// Payload type of `codec` on this leg.
    pub payload_type: u8,
    /// Payload type of telephone-event (RFC 4733) on this leg, when negotiated.
    pub telephone_event: Option<u8>,
    /// Largest packet time the peer accepts, milliseconds.
    pub max_ptime_ms: u16,
    /// Whether we send to it.
    pub send: bool,
    /// Whether we expect audio from it.
    pub receive: bool,
    /// Whether and how its audio is recorded.
    pub recording: RecordingPlan,
}

/// The peer's media address as signalled in SDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemoteMedia {
    /// Where RTP goes.
    pub rtp: SocketAddr,
    /// Where RTCP goes (RFC 3605, else RTP port + 1).
    pub rtcp: SocketAddr,
    /// Counts the peer's SDP versions; a change permits re-learning the source address.
    pub epoch: u32,
}

/// Whether a leg's audio is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordingPlan {
    /// Not recorded.
    Off,
    /// Recorded into this track.
    On(RecordingId),
    /// The track exists, audio is not kept for now (hold, payment); the gap is marked.
    Paused(RecordingId),
}

/// The whole desired media state of one call.
#[derive(Clone, PartialEq, Debug)]
pub struct MediaPlan {
    /// The call.
    pub call: InteractionId,
    /// Grows with each plan of this call.
    pub generation: u32,
    /// Zero of the call's time axis: arrival of its INVITE.
    pub axis_start: Instant,
    /// The same moment on the wall clock, written once into tracks.
    pub axis_start_wall: UnixMs,
    /// All legs that have sockets.
    pub legs: Vec<LegPlan>,
    /// Who hears whom.
    pub hears: Vec<Hears>,
}

/// `listener` hears `source`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hears {
    /// The leg that the audio is sent to.
    pub listener: LegId,
    /// The leg that it comes from.
    pub source: LegId,
}

/// Control → media. Room for one plan and one close per call is reserved at admission.
#[derive(Clone, PartialEq, Debug)]
pub enum MediaCommand {
    /// Make the call look like this.
    Plan(MediaPlan),
    /// End the call: close tracks, report totals, put the ports to rest.
    Close {
        /// The call.
        call: InteractionId,
    },
}

/// Media → control.
#[derive(Clone, PartialEq, Debug)]
pub struct MediaEvent {
    /// The call it is about.
    pub call: InteractionId,
    /// Generation of the plan that was in force.
    pub generation: u32,
    /// What happened.
    pub kind: MediaEventKind,
}

/// What a media thread tells control.
#[derive(Clone, PartialEq, Debug)]
pub enum MediaEventKind {
    /// Five packets in a row came from one address: it is the leg's source now.
    SourceLocked {
        /// The leg.
        leg: LegId,
        /// Its address.
        source: SocketAddr,
    },
    /// Nothing (RTP, RTCP, CN) came for `silent_ms` while our direction included receiving.
    Silent {
        /// The leg.
        leg: LegId,
        /// How long, milliseconds.
        silent_ms: u32,
    },
    /// The call's legs are gone; one entry per leg.
    Closed {
        /// Totals per leg.
        legs: Vec<LegTotals>,
    },
    /// A mistake of ours ended this leg's media; its packets are dropped until the call is closed.
    Failed {
        /// The leg.
        leg: LegId,
    },
    /// A pair of ports has rested and may be used again.
    PortsRested {
        /// The pair.
        ports: PortPair,
    },
}

/// What passed over one leg during its life.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct LegTotals {
    /// The leg; `None` only in a default value.
    pub leg: Option<LegId>,
    /// RTP packets accepted from the peer.
    pub received: u64,
    /// RTP packets sent to the peer.
    pub sent: u64,
    /// Packets missing in the peer's sequence (RFC 3550 §A.3).
    pub lost: u64,
    /// Packets refused: wrong source, malformed, payload type not negotiated.
    pub dropped: u64,
    /// Interarrival jitter at the end, microseconds (RFC 3550 §A.8).
    pub jitter_us: u32,
    /// Recorded frames that found the tap full.
    pub tap_dropped: u64,
}
