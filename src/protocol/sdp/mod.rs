//! SDP (RFC 8866) and offer/answer (RFC 3264) for one audio stream.
//!
//! ```text
//! bytes ─ Sdp::parse ─▶ Sdp ─ Session::answer ─▶ our answer + Negotiated | Refusal (488)
//! Session::offer ─▶ bytes ─▶ … ─▶ Sdp ─ Session::read_answer ─▶ Negotiated | Refusal
//! ```
//! The parser borrows, takes what real phones send, and has a limit on everything; what is read out of it is typed.
//! A [`Session`] owns our side of one dialog: the `o=` line, its version, and the order of the m-lines.

use std::net::SocketAddr;

mod audio;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use audio::{Audio, AudioFormat, TelephoneEvent};
pub use parse::{
    Connection, MAX_FORMATS, MAX_LINE_OCTETS, MAX_LINES, MAX_MEDIA, MAX_SDP_OCTETS, MAX_TOKEN_OCTETS, Media, Origin, Sdp, SdpError,
};
pub use session::{Answer, LocalMedia, Session, read_answer};

/// Packet time that we ask for and, unless the peer wants less, send; milliseconds.
pub const PTIME_MS: u16 = 20;
/// Largest packet time that we take and say so (`a=maxptime`), milliseconds.
pub const MAX_PTIME_MS: u16 = 60;
/// Smallest packet time that we ever send, milliseconds; a smaller `maxptime` is read as this.
pub const MIN_PTIME_MS: u16 = 10;
/// Payload type of telephone-event in offers of ours: what nearly every phone uses.
pub const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;
/// Static payload type of comfort noise at 8 kHz (RFC 3389 §4, RFC 3551 §6).
pub const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;
/// Clock of G.711 and so of its telephone-event (RFC 4733 §2.1), Hz.
pub const CLOCK_HZ: u32 = 8000;

/// An audio codec that we speak on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AudioCodec {
    /// G.711 µ-law at 8 kHz.
    Pcmu,
    /// G.711 A-law at 8 kHz.
    Pcma,
}

impl AudioCodec {
    /// Every codec, in the order of an offer without a preference.
    pub const ALL: [Self; 2] = [Self::Pcma, Self::Pcmu];

    /// Every codec, `first` at the head: what an offer lists when the other leg already speaks `first`.
    pub fn preferring(first: Self) -> Vec<Self> {
        std::iter::once(first).chain(Self::ALL.into_iter().filter(|codec| *codec != first)).collect()
    }

    /// Its static payload type (RFC 3551 §6).
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// Its encoding name (RFC 3551 §6).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}

/// Who sends, seen from the side whose SDP carries the attribute (RFC 8866 §6.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Direction {
    /// Both ways; what is meant when nothing is said.
    #[default]
    SendRecv,
    /// We send, the peer listens: the usual hold.
    SendOnly,
    /// We listen.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction with these halves.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether its owner sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether its owner receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same stream seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Its attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Where a peer takes RTP and RTCP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Remote {
    /// Its RTP address.
    pub rtp: SocketAddr,
    /// Its RTCP address: `a=rtcp` (RFC 3605), else the next port.
    pub rtcp: SocketAddr,
}

/// What an offer and its answer agreed on, seen from us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// The codec that we send.
    pub codec: AudioCodec,
    /// Its payload type in packets to the peer.
    pub payload_type: u8,
    /// Everything that the peer may send: it may switch inside this set at any time. `codec` is among them.
    pub receive: Vec<AudioFormat>,
    /// Payload type of telephone-event in packets to the peer.
    pub telephone_event: Option<u8>,
    /// Payload type of telephone-event in packets from the peer; differs when it answered with another number than we offered.
    pub receive_telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389) in packets to the peer; `None` where it may not be sent.
    pub comfort_noise: Option<u8>,
    /// Payload type of comfort noise in packets from the peer.
    pub receive_comfort_noise: Option<u8>,
    /// Where the peer takes media; `None` when it named no address (`0.0.0.0`).
    pub remote: Option<Remote>,
    /// Packet time that the peer prefers, milliseconds, within what both allow.
    pub ptime_ms: u16,
    /// Largest packet time that the peer accepts, milliseconds, at most [`MAX_PTIME_MS`].
    pub max_ptime_ms: u16,
    /// Ours: whether we send and whether audio will come.
    pub direction: Direction,
    /// The peer does not want to hear us: it holds the call.
    pub peer_holds: bool,
}

/// Why an offer or an answer leads to no audio; an INVITE is answered 488 with [`Refusal::warning`] (RFC 3261 §20.43).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no audio m-line (T.38, video only, nothing).
    #[error("there is no audio stream in it")]
    NoAudio,
    /// The audio stream has port 0.
    #[error("the audio stream is switched off (port 0)")]
    Disabled,
    /// Only encrypted or otherwise unknown transports are on offer.
    #[error("audio is only offered over a transport other than RTP/AVP")]
    Transport,
    /// No codec in common.
    #[error("there is no codec in common; PCMU and PCMA are known here")]
    NoCommonCodec,
    /// The address is missing, a host name, multicast, or of another IP version than ours.
    #[error("the media address cannot be sent to")]
    Address,
    /// The answer does not have our audio stream where the offer had it.
    #[error("the answer does not fit the offer")]
    Mismatch,
}

impl Refusal {
    /// The response to an INVITE or UPDATE that carried the offer.
    pub const STATUS: u16 = 488;

    /// The code of the Warning header that goes with it (RFC 3261 §20.43).
    pub const fn warning(self) -> u16 {
        match self {
            Self::NoAudio | Self::Disabled => 304,
            Self::Transport => 302,
            Self::NoCommonCodec => 305,
            Self::Address => 300,
            Self::Mismatch => 399,
        }
    }
}
