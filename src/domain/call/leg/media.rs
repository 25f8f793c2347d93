//! The leg's media: what we say of ourselves, what was agreed, and the plan that follows from it.

use std::net::{IpAddr, Ipv4Addr};

use super::Leg;
use crate::{
    domain::{
        call::turn::Turn,
        media::plan::{Codec, LegPlan, PayloadFormat, RecordingPlan, RemoteMedia},
    },
    protocol::{
        sdp::{AudioCodec, COMFORT_NOISE_PAYLOAD_TYPE, Direction, LocalMedia, Negotiated, Sdp, TELEPHONE_EVENT_PAYLOAD_TYPE},
        sip::flow::Flow,
    },
};

pub(super) fn from_sdp(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::Pcma => Codec::Pcma,
    }
}

fn to_sdp(codec: Codec) -> AudioCodec {
    match codec {
        Codec::Pcmu => AudioCodec::Pcmu,
        Codec::Pcma => AudioCodec::Pcma,
    }
}

/// What the first offer to a peer lists, as the other side of the call would have it.
#[derive(Clone, Debug)]
pub struct Formats {
    /// Codecs, best first.
    pub codecs: Vec<Codec>,
    /// Comfort noise: worth having only where the other side may send it too.
    pub comfort_noise: bool,
}

impl Leg {
    /// What we say of ourselves towards this peer, `first` codec first.
    pub(super) fn local_media(&self, turn: &Turn<'_>, codecs: &[Codec]) -> LocalMedia {
        self.local_media_at(turn, self.flow, codecs)
    }

    /// The same towards a peer at this place.
    pub(super) fn local_media_at(&self, turn: &Turn<'_>, flow: Flow, codecs: &[Codec]) -> LocalMedia {
        // A peer may speak SIP over one IP version and take its media over the other.
        let agreed = self.negotiated.as_ref().and_then(|media| media.remote).map(|remote| remote.rtp.is_ipv6());
        let ipv6 = agreed.unwrap_or(flow.remote.is_ipv6());
        let remote = flow.remote.ip();
        let [first, second] = [ipv6, !ipv6].map(|ipv6| turn.house.policy.media_address(flow.listener, remote, ipv6));
        LocalMedia {
            // `check` refuses a listener without media of its IP version.
            address: first.or(second).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            other_address: first.and(second),
            rtp_port: self.ports.rtp_port,
            codecs: codecs.iter().copied().map(to_sdp).collect(),
            comfort_noise: self.makes_noise,
            direction: Direction::SendRecv,
        }
    }

    /// Our codecs with `first` at the head.
    pub fn codecs_from(turn: &Turn<'_>, first: Codec) -> Vec<Codec> {
        let rest = turn.house.policy.codecs.iter().copied().filter(|codec| *codec != first);
        std::iter::once(first).chain(rest).collect()
    }

    /// What a leg that this caller is led to is offered.
    pub fn formats_for_other(&self, turn: &Turn<'_>) -> Formats {
        let codecs = if self.can_hear() { Self::codecs_from(turn, self.codec()) } else { self.preferred_codecs(turn) };
        Formats { codecs, comfort_noise: self.makes_noise }
    }

    /// Our codecs in the order in which this caller offered them; those that it did not offer come last.
    pub fn preferred_codecs(&self, turn: &Turn<'_>) -> Vec<Codec> {
        let ours = &turn.house.policy.codecs;
        let offered = self.offer().and_then(|offer| Sdp::parse(offer).ok()).and_then(|sdp| {
            let audio = sdp.audio()?;
            Some(audio.codecs.iter().map(|format| from_sdp(format.codec)).filter(|codec| ours.contains(codec)).collect::<Vec<_>>())
        });
        let mut codecs = offered.unwrap_or_default();
        codecs.dedup();
        let missing: Vec<Codec> = ours.iter().copied().filter(|codec| !codecs.contains(codec)).collect();
        codecs.extend(missing);
        codecs
    }

    /// Notes what a description of the peer says that it can speak.
    pub(super) fn note_codecs(&mut self, theirs: &Sdp<'_>) {
        let Some(audio) = theirs.audio() else { return };
        self.makes_noise = audio.comfort_noise.is_some();
        let named = audio.codecs.into_iter().map(|format| from_sdp(format.codec));
        let new: Vec<Codec> = named.filter(|codec| !self.knows.contains(codec)).collect();
        self.knows.extend(new);
        self.knows.dedup();
    }

    /// Takes over what was agreed; the epoch grows when the peer's address changed.
    pub(super) fn agree(&mut self, negotiated: Negotiated) {
        let before = self.negotiated.as_ref().and_then(|media| media.remote);
        if before != negotiated.remote || self.epoch == 0 {
            self.epoch += 1;
        }
        self.negotiated = Some(negotiated);
    }

    /// The leg's part of a plan.
    pub fn plan(&self, recording: RecordingPlan) -> LegPlan {
        let media = self.negotiated.as_ref();
        let remote = media.and_then(|media| media.remote);
        LegPlan {
            leg: self.id,
            party: self.role.party,
            ports: self.ports,
            remote: remote.map(|remote| RemoteMedia { rtp: remote.rtp, rtcp: remote.rtcp, epoch: self.epoch }),
            accepts: self.accepts(),
            codec: self.codec(),
            payload_type: media.map_or(to_sdp(self.expected).payload_type(), |media| media.payload_type),
            telephone_event: media.and_then(|media| media.telephone_event),
            comfort_noise: media.and_then(|media| media.comfort_noise),
            ptime_ms: media.map_or(crate::protocol::sdp::PTIME_MS, |media| media.ptime_ms),
            max_ptime_ms: media.map_or(crate::protocol::sdp::MAX_PTIME_MS, |media| media.max_ptime_ms),
            send: remote.is_some() && media.is_some_and(|media| media.direction.sends()),
            // A peer that holds may go quiet for as long as it likes: no sound is expected, and none is missed.
            receive: media.is_none_or(|media| media.direction.receives() && !media.peer_holds),
            recording,
            moving: false,
        }
    }

    /// Everything that the peer may send; before its answer, whatever we offered.
    fn accepts(&self) -> Vec<PayloadFormat> {
        match &self.negotiated {
            Some(media) => {
                let audio: Vec<_> = media.receive.iter().map(|format| (format.payload_type, from_sdp(format.codec))).collect();
                PayloadFormat::set(&audio, media.receive_telephone_event, media.receive_comfort_noise)
            }
            None => {
                let audio = AudioCodec::ALL.map(|codec| (codec.payload_type(), from_sdp(codec)));
                PayloadFormat::set(&audio, Some(TELEPHONE_EVENT_PAYLOAD_TYPE), self.makes_noise.then_some(COMFORT_NOISE_PAYLOAD_TYPE))
            }
        }
    }
}
