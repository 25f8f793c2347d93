//! One audio m-line, typed: addresses, codecs (RFC 3551), telephone-event (RFC 4733), comfort noise (RFC 3389), packet times,
//! direction.

use std::net::{IpAddr, SocketAddr};

use super::{
    AudioCodec, CLOCK_HZ, COMFORT_NOISE_PAYLOAD_TYPE, Direction, MAX_PTIME_MS, MIN_PTIME_MS, PTIME_MS, Refusal, Remote, Sdp,
    parse::{Connection, Media, connection, word},
};

/// A codec under its payload type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AudioFormat {
    /// The codec.
    pub codec: AudioCodec,
    /// Its payload type, 0 to 127.
    pub payload_type: u8,
}

/// telephone-event under its payload type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TelephoneEvent {
    /// Its payload type, 0 to 127.
    pub payload_type: u8,
    /// Its clock, Hz; usable beside a codec of the same clock only (RFC 4733 §2.1).
    pub clock_hz: u32,
}

/// What one audio m-line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audio<'a> {
    /// Which of the description's m-lines it is, from 0.
    pub index: usize,
    /// The transport as written: `RTP/AVP`, `RTP/SAVP`, …
    pub transport: &'a str,
    /// The port; 0 means rejected or switched off.
    pub port: u16,
    /// Its `c=` line, or the session's.
    pub connection: Option<Connection<'a>>,
    /// The RTCP address of `a=rtcp` (RFC 3605), as far as it says one.
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// The codecs that we know, in the peer's order.
    pub codecs: Vec<AudioFormat>,
    /// Every telephone-event, in the peer's order.
    pub telephone_events: Vec<TelephoneEvent>,
    /// Comfort noise of our codecs' clock.
    pub comfort_noise: Option<u8>,
    /// `a=ptime`, milliseconds, when it makes sense.
    pub ptime_ms: Option<u16>,
    /// `a=maxptime`, milliseconds, when it makes sense; the smallest of several.
    pub maxptime_ms: Option<u16>,
    /// The direction as written (its own, else the session's), before `0.0.0.0` is taken into account.
    pub written_direction: Direction,
}

impl<'a> Sdp<'a> {
    /// The audio m-lines in order.
    pub fn audio_lines(&self) -> impl Iterator<Item = Audio<'a>> + '_ {
        self.media().iter().enumerate().filter(|(_, media)| media.kind.eq_ignore_ascii_case("audio")).map(|(i, m)| Audio::read(self, i, m))
    }

    /// The audio stream that is meant: the first that could be spoken over, else the first.
    pub fn audio(&self) -> Option<Audio<'a>> {
        self.audio_lines().find(|audio| audio.check().is_ok()).or_else(|| self.audio_lines().next())
    }
}

impl<'a> Audio<'a> {
    pub(super) fn read(sdp: &Sdp<'a>, index: usize, media: &Media<'a>) -> Self {
        let mut audio = Self {
            index,
            transport: media.transport,
            port: media.port,
            connection: sdp.connection(media),
            rtcp: None,
            codecs: Vec::new(),
            telephone_events: Vec::new(),
            comfort_noise: None,
            ptime_ms: None,
            maxptime_ms: None,
            written_direction: direction(media.attributes()).or_else(|| direction(sdp.attributes())).unwrap_or_default(),
        };
        audio.read_formats(media);
        for (name, value) in media.attributes() {
            match name {
                "rtcp" => audio.rtcp = audio.rtcp.or_else(|| rtcp(value)),
                "ptime" => audio.ptime_ms = audio.ptime_ms.or_else(|| milliseconds(value)),
                "maxptime" => audio.maxptime_ms = [audio.maxptime_ms, milliseconds(value)].into_iter().flatten().min(),
                _ => {}
            }
        }
        audio
    }

    /// A written `rtpmap` goes before the static meaning of a payload type; without one, 0, 8 and 13 speak for themselves.
    fn read_formats(&mut self, media: &Media<'a>) {
        for format in media.formats() {
            let Some(payload_type) = format.parse().ok().filter(|pt| *pt < 128) else { continue };
            let known = match rtpmap(media, payload_type) {
                Some(encoding) => encoding,
                None => Encoding::of_static(payload_type),
            };
            match known {
                Encoding::Codec(codec) => self.codecs.push(AudioFormat { codec, payload_type }),
                Encoding::TelephoneEvent { clock_hz } => self.telephone_events.push(TelephoneEvent { payload_type, clock_hz }),
                Encoding::ComfortNoise => self.comfort_noise = self.comfort_noise.or(Some(payload_type)),
                Encoding::Unknown => {}
            }
        }
    }

    /// Whether one could speak over it at all, codecs and address apart.
    ///
    /// # Errors
    /// Port 0, or a transport that is not plain RTP.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.port == 0 {
            return Err(Refusal::Disabled);
        }
        let plain = ["RTP/AVP", "RTP/AVPF"].iter().any(|known| self.transport.eq_ignore_ascii_case(known));
        if plain { Ok(()) } else { Err(Refusal::Transport) }
    }

    /// Where its owner takes media; `None` when it says `0.0.0.0`.
    ///
    /// # Errors
    /// No address, a host name, or one that no single peer can have.
    pub fn remote(&self) -> Result<Option<Remote>, Refusal> {
        let connection = self.connection.ok_or(Refusal::Address)?;
        if connection.is_hold() {
            return Ok(None);
        }
        let address = connection.unicast().ok_or(Refusal::Address)?;
        let (rtcp_port, rtcp_address) = self.rtcp.unwrap_or((self.port.saturating_add(1), None));
        Ok(Some(Remote {
            rtp: SocketAddr::new(address, self.port),
            rtcp: SocketAddr::new(rtcp_address.filter(|own| own.is_ipv4() == address.is_ipv4()).unwrap_or(address), rtcp_port),
        }))
    }

    /// The direction as meant: an owner whose address is `0.0.0.0` does not listen (RFC 3264 §8.4).
    pub fn direction(&self) -> Direction {
        let listens = !self.connection.is_some_and(Connection::is_hold);
        self.written_direction.and(Direction::new(true, listens))
    }

    /// The telephone-event that fits our codecs' clock.
    pub fn telephone_event(&self) -> Option<u8> {
        self.telephone_events.iter().find(|event| event.clock_hz == CLOCK_HZ).map(|event| event.payload_type)
    }

    /// Largest packet time that its owner accepts, within what we ever send; milliseconds.
    pub fn max_ptime_ms(&self) -> u16 {
        self.maxptime_ms.unwrap_or(MAX_PTIME_MS).clamp(MIN_PTIME_MS, MAX_PTIME_MS)
    }

    /// Packet time that its owner prefers, within what both allow; milliseconds.
    pub fn preferred_ptime_ms(&self) -> u16 {
        self.ptime_ms.unwrap_or(PTIME_MS).clamp(MIN_PTIME_MS, self.max_ptime_ms())
    }
}

enum Encoding {
    Codec(AudioCodec),
    TelephoneEvent { clock_hz: u32 },
    ComfortNoise,
    Unknown,
}

impl Encoding {
    fn of_static(payload_type: u8) -> Self {
        match payload_type {
            COMFORT_NOISE_PAYLOAD_TYPE => Self::ComfortNoise,
            _ => AudioCodec::ALL.into_iter().find(|codec| codec.payload_type() == payload_type).map_or(Self::Unknown, Self::Codec),
        }
    }

    /// `PCMU/8000/1` → the codec. One channel may be written or not.
    fn named(encoding: &str) -> Self {
        let mut parts = encoding.split('/');
        let (name, clock, channels) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or("1"));
        let Ok(clock_hz) = clock.trim_ascii().parse::<u32>() else { return Self::Unknown };
        if name.eq_ignore_ascii_case("telephone-event") {
            return Self::TelephoneEvent { clock_hz };
        }
        if name.eq_ignore_ascii_case("CN") && clock_hz == CLOCK_HZ && channels == "1" {
            return Self::ComfortNoise;
        }
        let ours = |codec: &AudioCodec| name.eq_ignore_ascii_case(codec.name()) && clock_hz == CLOCK_HZ && channels == "1";
        AudioCodec::ALL.into_iter().find(ours).map_or(Self::Unknown, Self::Codec)
    }
}

/// What the first `a=rtpmap` of a payload type says.
fn rtpmap(media: &Media<'_>, payload_type: u8) -> Option<Encoding> {
    media.attributes().filter(|(name, _)| *name == "rtpmap").find_map(|(_, value)| {
        let (number, encoding) = word(value);
        (number.parse() == Ok(payload_type) && !encoding.trim_ascii().is_empty()).then(|| Encoding::named(word(encoding).0))
    })
}

/// `53020 IN IP4 192.0.2.1` → port and address; nonsense is as if it were not there.
fn rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let (port, rest) = word(value);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some((port, connection(rest).and_then(Connection::unicast)))
}

/// A whole number of milliseconds of at least one; a fraction is cut off.
fn milliseconds(value: &str) -> Option<u16> {
    word(value).0.split('.').next()?.parse().ok().filter(|ms| *ms > 0)
}

fn direction<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Direction> {
    const ALL: [Direction; 4] = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    attributes.into_iter().find_map(|(name, _)| ALL.into_iter().find(|known| known.name() == name))
}
