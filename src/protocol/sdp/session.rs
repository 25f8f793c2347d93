//! Our side of one dialog's offer/answer (RFC 3264): what we said last, its version, and the order of the m-lines.
//!
//! The `o=` line stays the same for the dialog's life but for its version, which grows by one when anything changed
//! (RFC 3264 §8). An m-line that was ever there stays at its place; those that we do not take have port 0.

use std::{fmt::Write, net::IpAddr};

use super::{
    Audio, AudioCodec, AudioFormat, CLOCK_HZ, COMFORT_NOISE_PAYLOAD_TYPE, Direction, MAX_PTIME_MS, Media, Negotiated, PTIME_MS, Refusal,
    Sdp, TELEPHONE_EVENT_PAYLOAD_TYPE,
};

/// What we bring to a negotiation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalMedia {
    /// Our address in the `c=` line, as the peer reaches it.
    pub address: IpAddr,
    /// The same in the other IP version, where we have one: for an offer that names an address of that version.
    pub other_address: Option<IpAddr>,
    /// Our RTP port; RTCP is the next.
    pub rtp_port: u16,
    /// The codecs that we allow, most wanted first: an answer takes the first that was offered.
    pub codecs: Vec<AudioCodec>,
    /// Whether an offer lists comfort noise (RFC 3389); an answer takes it wherever it was offered.
    pub comfort_noise: bool,
    /// What we want; an answer may have to want less.
    pub direction: Direction,
}

/// An answer of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The body, `application/sdp`.
    pub sdp: Vec<u8>,
    /// What it agrees to.
    pub negotiated: Negotiated,
}

/// Our side of one dialog.
#[derive(Clone, Debug)]
pub struct Session {
    id: u64,
    /// The version of what holds.
    version: u64,
    /// The highest version that was ever said: it stands, even where it was taken back.
    said: u64,
    origin: Option<IpAddr>,
    body: String,
    lines: Vec<Line>,
    telephone_event: u8,
    comfort_noise: u8,
}

/// One m-line as it stands between us and the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Line {
    /// The audio stream that is spoken over, with its transport.
    Audio { transport: String },
    /// One that we do not take.
    Rejected { kind: String, transport: String, format: String },
}

impl Session {
    /// A session that has said nothing yet. `id` is random and stands in the `o=` line (RFC 8866 §5.2).
    pub fn new(id: u64) -> Self {
        Self {
            id,
            version: 0,
            said: 0,
            origin: None,
            body: String::new(),
            lines: Vec::new(),
            telephone_event: TELEPHONE_EVENT_PAYLOAD_TYPE,
            comfort_noise: COMFORT_NOISE_PAYLOAD_TYPE,
        }
    }

    /// What we said last; empty before the first time. A refresh without an offer gets this again.
    pub fn last(&self) -> Vec<u8> {
        let Some(origin) = self.origin else { return Vec::new() };
        format!("v=0\r\no=- {} {} IN {}\r\n{}", self.id, self.version, address(origin), self.body).into_bytes()
    }

    /// Answers an offer with one codec and, if offered, telephone-event and comfort noise. A refused offer leaves the session as it was.
    ///
    /// # Errors
    /// Why there would be no audio: the offer is answered 488.
    pub fn answer(&mut self, offer: &Sdp<'_>, local: &LocalMedia) -> Result<Answer, Refusal> {
        let audio = choose(offer)?;
        let remote = audio.remote()?;
        let reaches = |ours: &IpAddr| remote.is_none_or(|remote| remote.rtp.is_ipv4() == ours.is_ipv4());
        let address = std::iter::once(local.address).chain(local.other_address).find(reaches).ok_or(Refusal::Address)?;
        let local = &LocalMedia { address, ..local.clone() };
        let find = |codec: &AudioCodec| audio.codecs.iter().find(|offered| offered.codec == *codec).copied();
        let chosen = local.codecs.iter().find_map(find).ok_or(Refusal::NoCommonCodec)?;
        let telephone_event = audio.telephone_event();
        let direction = audio.direction().reversed().and(local.direction);
        self.lines = offer.media().iter().enumerate().map(|(index, media)| Line::read(media, index == audio.index)).collect();
        self.telephone_event = telephone_event.unwrap_or(self.telephone_event);
        self.comfort_noise = audio.comfort_noise.unwrap_or(self.comfort_noise);
        let said = Said { formats: &[chosen], comfort_noise: audio.comfort_noise, telephone_event };
        self.say(local, said, direction);
        let negotiated = Negotiated {
            codec: chosen.codec,
            payload_type: chosen.payload_type,
            receive: vec![chosen],
            telephone_event,
            receive_telephone_event: telephone_event,
            comfort_noise: audio.comfort_noise,
            receive_comfort_noise: audio.comfort_noise,
            remote,
            ptime_ms: audio.preferred_ptime_ms(),
            max_ptime_ms: audio.max_ptime_ms(),
            direction,
            peer_holds: !audio.direction().receives(),
        };
        Ok(Answer { sdp: self.last(), negotiated })
    }

    /// Makes an offer: every codec of `local` in order, comfort noise where `local` has it, and telephone-event.
    pub fn offer(&mut self, local: &LocalMedia) -> Vec<u8> {
        if self.lines.is_empty() {
            self.lines.push(Line::Audio { transport: "RTP/AVP".to_owned() });
        }
        let formats: Vec<_> = local.codecs.iter().map(|codec| AudioFormat { codec: *codec, payload_type: codec.payload_type() }).collect();
        let free = |number: &u8| formats.iter().all(|format| format.payload_type != *number);
        let telephone_event = Some(self.telephone_event).filter(free);
        let comfort_noise =
            Some(self.comfort_noise).filter(|number| local.comfort_noise && free(number) && telephone_event != Some(*number));
        self.say(local, Said { formats: &formats, comfort_noise, telephone_event }, local.direction);
        self.last()
    }

    /// The peer refused our last offer: `before` it holds again (RFC 3261 §14.1). Its version is not used a second time.
    pub fn take_back(&mut self, before: Self) {
        *self = Self { said: self.said, ..before };
    }

    /// Reads the answer to our last offer.
    ///
    /// # Errors
    /// Why there is no audio: the dialog is ended, or stays as it was before the offer.
    pub fn read_answer(&self, answer: &Sdp<'_>) -> Result<Negotiated, Refusal> {
        let ours = self.last();
        let offer = Sdp::parse(&ours).map_err(|_| Refusal::Mismatch)?;
        read_answer(&offer, answer)
    }

    /// Sets what we say; the version grows only when it differs from what we said last.
    fn say(&mut self, local: &LocalMedia, said: Said<'_>, direction: Direction) {
        self.origin = self.origin.or(Some(local.address));
        let mut body = format!("s=-\r\nc=IN {}\r\nt=0 0\r\n", address(local.address));
        for line in &self.lines {
            match line {
                Line::Rejected { kind, transport, format } => push(&mut body, format_args!("m={kind} 0 {transport} {format}")),
                Line::Audio { transport } => {
                    let numbers: String = said.numbers().map(|number| format!(" {number}")).collect();
                    push(&mut body, format_args!("m=audio {} {transport}{numbers}", local.rtp_port));
                    push_audio_attributes(&mut body, said, direction);
                }
            }
        }
        if body != self.body {
            self.said += 1;
            self.version = self.said;
            self.body = body;
        }
    }
}

/// The formats of an audio m-line of ours.
#[derive(Clone, Copy)]
struct Said<'a> {
    formats: &'a [AudioFormat],
    comfort_noise: Option<u8>,
    telephone_event: Option<u8>,
}

impl Said<'_> {
    fn numbers(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().map(|format| format.payload_type).chain(self.comfort_noise).chain(self.telephone_event)
    }
}

impl Line {
    fn read(media: &Media<'_>, is_ours: bool) -> Self {
        let transport = media.transport.to_owned();
        if is_ours {
            return Self::Audio { transport };
        }
        Self::Rejected { kind: media.kind.to_owned(), transport, format: media.formats().next().unwrap_or("0").to_owned() }
    }
}

/// Reads the peer's answer to `offer`, which is ours. Of several codecs in it the first is used; the peer may switch to the others.
///
/// # Errors
/// Why there is no audio.
pub fn read_answer(offer: &Sdp<'_>, answer: &Sdp<'_>) -> Result<Negotiated, Refusal> {
    let ours = choose(offer)?;
    let media = answer.media().get(ours.index).filter(|media| media.kind.eq_ignore_ascii_case("audio")).ok_or(Refusal::Mismatch)?;
    let theirs = Audio::read(answer, ours.index, media);
    theirs.check()?;
    let remote = theirs.remote()?;
    let our_address = ours.connection.and_then(super::Connection::unicast);
    if let (Some(remote), Some(address)) = (remote, our_address)
        && remote.rtp.is_ipv4() != address.is_ipv4()
    {
        return Err(Refusal::Address);
    }
    let offered = |format: &&AudioFormat| ours.codecs.iter().any(|offered| offered.codec == format.codec);
    let first = *theirs.codecs.iter().find(offered).ok_or(Refusal::NoCommonCodec)?;
    // The peer sends under the numbers of our offer (RFC 3264 §6.1), whatever numbers its own side of the mapping uses.
    let answered = |format: &&AudioFormat| theirs.codecs.iter().any(|theirs| theirs.codec == format.codec);
    let direction = theirs.direction().reversed().and(ours.direction());
    let telephone_event = theirs.telephone_event().filter(|_| ours.telephone_event().is_some());
    let comfort_noise = theirs.comfort_noise.filter(|_| ours.comfort_noise.is_some());
    Ok(Negotiated {
        codec: first.codec,
        payload_type: first.payload_type,
        receive: ours.codecs.iter().filter(answered).copied().collect(),
        telephone_event,
        receive_telephone_event: telephone_event.and(ours.telephone_event()),
        comfort_noise,
        receive_comfort_noise: comfort_noise.and(ours.comfort_noise),
        remote,
        ptime_ms: theirs.preferred_ptime_ms(),
        max_ptime_ms: theirs.max_ptime_ms(),
        direction,
        peer_holds: !theirs.direction().receives(),
    })
}

/// The first audio stream that can be spoken over; else why the first cannot.
fn choose<'a>(sdp: &Sdp<'a>) -> Result<Audio<'a>, Refusal> {
    let audio = sdp.audio().ok_or(Refusal::NoAudio)?;
    audio.check().map(|()| audio)
}

fn push_audio_attributes(body: &mut String, said: Said<'_>, direction: Direction) {
    for format in said.formats {
        push(body, format_args!("a=rtpmap:{} {}/{CLOCK_HZ}", format.payload_type, format.codec.name()));
    }
    if let Some(number) = said.comfort_noise {
        push(body, format_args!("a=rtpmap:{number} CN/{CLOCK_HZ}"));
    }
    if let Some(number) = said.telephone_event {
        push(body, format_args!("a=rtpmap:{number} telephone-event/{CLOCK_HZ}\r\na=fmtp:{number} 0-15"));
    }
    push(body, format_args!("a=ptime:{PTIME_MS}\r\na=maxptime:{MAX_PTIME_MS}\r\na={}", direction.name()));
}

fn push(body: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(body, "{line}\r\n");
}

fn address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("IP4 {v4}"),
        IpAddr::V6(v6) => format!("IP6 {v6}"),
    }
}
