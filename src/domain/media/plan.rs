//! What control wants of the media threads: the whole desired state of one call, never a delta.
//!
//! ```text
//! control ── MediaCommand::Plan(whole call, generation n) ──▶ media thread
//! control ◀── MediaEvent { call, generation, … } ─────────── media thread
//! ```
//! A newer plan replaces an unread older one; an event of an older generation is ignored. A plan never fails to arrive:
//! room for one plan and one close of each call is there before the call is admitted.

use std::{net::SocketAddr, time::Instant};

use super::clip::ClipId;
pub use super::quality::{LegQuality, ReportedQuality};
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

/// What packets of one payload type carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Speech.
    Audio(Codec),
    /// Key presses (RFC 4733).
    TelephoneEvent,
    /// The level of the noise while nobody speaks (RFC 3389).
    ComfortNoise,
}

/// A payload type that the peer may send at any time, and what it means on this leg.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PayloadFormat {
    /// 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub format: Format,
}

impl PayloadFormat {
    /// The receiving side of what was negotiated: codecs, telephone-event, comfort noise.
    pub fn set(audio: &[(u8, Codec)], telephone_event: Option<u8>, comfort_noise: Option<u8>) -> Vec<Self> {
        let audio = audio.iter().map(|(payload_type, codec)| (*payload_type, Format::Audio(*codec)));
        let event = telephone_event.map(|payload_type| (payload_type, Format::TelephoneEvent));
        let noise = comfort_noise.map(|payload_type| (payload_type, Format::ComfortNoise));
        audio.chain(event).chain(noise).map(|(payload_type, format)| Self { payload_type, format }).collect()
    }
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
    /// Everything that the peer may send, by payload type; it may switch inside this set at any time.
    pub accepts: Vec<PayloadFormat>,
    /// The codec that we send.
    pub codec: Codec,
    /// Its payload type in packets to the peer.
    pub payload_type: u8,
    /// Payload type of telephone-event (RFC 4733) in packets to the peer, when negotiated.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389) in packets to the peer, when negotiated.
    pub comfort_noise: Option<u8>,
    /// Packet time that the peer prefers, milliseconds: what the bridge and the player send. 0 is 20.
    pub ptime_ms: u16,
    /// Largest packet time that the peer accepts, milliseconds; 0 is no limit.
    pub max_ptime_ms: u16,
    /// Whether we send to it.
    pub send: bool,
    /// Whether we expect audio from it.
    pub receive: bool,
    /// Whether and how its audio is recorded.
    pub recording: RecordingPlan,
    /// The leg lives on another media thread and is on its way here ([`MediaCommand::Evict`]): it keeps its stream, its
    /// source lock and its track, and joins the call when it arrives.
    pub moving: bool,
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
    /// Everything that is played in the call.
    pub sources: Vec<SourcePlan>,
    /// Who hears whom and what. A leg may hear several; their sum is made without the listener itself.
    pub hears: Vec<Hears>,
}

/// Names a player of one call: chosen by control, not used twice within the call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(pub u32);

/// Something that is played: it starts with the plan that names it first, heard or not, and goes on until a plan leaves it out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourcePlan {
    /// The player.
    pub id: SourceId,
    /// What it plays.
    pub clip: ClipId,
    /// Begins again at its end, without a seam; otherwise [`MediaEventKind::SourceEnded`] is told at the end.
    pub looped: bool,
    /// Where in the clip it starts, milliseconds; a looped one counts on over its end. Music goes on where it was interrupted.
    pub start_ms: u32,
}

/// What a leg can hear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AudioSource {
    /// What a leg's peer says.
    Leg(LegId),
    /// What a player plays.
    Player(SourceId),
}

/// `listener` hears `source`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hears {
    /// The leg that the audio is sent to.
    pub listener: LegId,
    /// Where it comes from.
    pub source: AudioSource,
}

impl Hears {
    /// `listener` hears another leg.
    pub fn leg(listener: LegId, source: LegId) -> Self {
        Self { listener, source: AudioSource::Leg(source) }
    }

    /// `listener` hears a player.
    pub fn player(listener: LegId, source: SourceId) -> Self {
        Self { listener, source: AudioSource::Player(source) }
    }
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
    /// Hand legs over to another media thread, stream, sockets, track and all; packets wait in the sockets meanwhile.
    ///
    /// All legs of a call live on one thread: legs that come together from different calls are moved to one first. Control
    /// sends that thread the plan that names them as [`LegPlan::moving`], with `to` as the thread of their ports, and then
    /// this to the thread that has them: so the plan is there before they are, and no packet is without a way.
    Evict {
        /// The call that it is in.
        call: InteractionId,
        /// Those that go together.
        legs: Vec<LegId>,
        /// The call that they will be in; may be the same.
        into: InteractionId,
        /// The thread that they go to.
        to: u16,
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
    /// A player that is not looped has played its clip to the end, or its clip does not exist.
    SourceEnded {
        /// The player.
        source: SourceId,
    },
    /// How it sounded over the last interval: every 5 s while media flows, when sound stops or comes back, and once at the end.
    Quality {
        /// The leg.
        leg: LegId,
        /// What was measured.
        quality: LegQuality,
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
