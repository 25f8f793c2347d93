//! One party's media: whose packets it takes, what it has received, what it sends and records.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    CLOCK_HZ,
    counters::DropReason,
    ear::Ear,
    held::{Held, HeldPacket},
    key_ends::KeyEnds,
    meter::{Measured, Meter},
    plan::{Codec, Format, LegPlan, LegQuality, LegTotals, MediaPlan},
    report::{self, Reporter, clock_units},
    sender::Sender,
    sound::{decode, encode},
    source_lock::{SourceLock, Verdict},
    tap::{TAP_PAYLOAD_MAX, TapFrame, TapOpen},
    track::{PendingTaps, Track},
};
use crate::{
    ids::{InteractionId, RecordingId},
    protocol::rtp::{
        COMFORT_NOISE,
        packet::{Header, Packet},
        rtcp::{COMPOUND_MAX, Received},
        session::{Interval, Place, Reception, Step},
    },
    time::UnixMs,
};

/// More octets than any packet that is taken.
const TOO_LONG: usize = TAP_PAYLOAD_MAX + 1;

/// Packets of one shape in a row after which it is believed to be the leg's own.
const SHAPE_RUN: u8 = 50;
/// After this long without a packet, what was heard last has died away at the listener.
const TAIL_MAX: Duration = Duration::from_millis(60);

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Speech.
    Audio(Codec),
    /// telephone-event (RFC 4733).
    Event,
    /// Comfort noise (RFC 3389).
    Noise,
    /// Nothing at all (RFC 6263 keep-alive).
    Empty,
}

/// An accepted packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub content: Content,
    pub place: Place,
    /// When it came.
    pub at: Instant,
    /// The leg's serial and the number of its source.
    pub leg: u64,
    pub source: u32,
    pub new_source: bool,
}

/// Where what a leg hears comes from.
#[derive(Debug)]
pub(super) enum Hearing {
    Nothing,
    /// Packets of the leg with this serial.
    Relay(u64),
    /// What the call's bridge makes.
    Bridge(Box<Ear>),
}

/// What a leg's packets are like: decides whether they can be relayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub codec: Codec,
    /// Samples of a packet.
    pub samples: u16,
}

impl Shape {
    /// Whether `listener` takes such packets as they are.
    pub fn fits(self, listener: &LegPlan) -> bool {
        let most = listener.max_ptime_ms.saturating_mul((CLOCK_HZ / 1000) as u16);
        self.codec == listener.codec && (most == 0 || self.samples <= most)
    }
}

/// Random numbers that one leg needs (RFC 3550 §5.1, RFC 7022).
#[derive(Clone, Copy, Debug)]
pub(super) struct LegSeed {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub cname: u64,
}

#[derive(Debug)]
pub(super) struct Leg {
    /// Never used twice in an engine.
    pub serial: u64,
    pub call: InteractionId,
    pub generation: u32,
    pub plan: LegPlan,
    pub lock: SourceLock,
    /// Set when the last packet locked the source.
    pub just_locked: bool,
    /// Set when the last packet ended a silence.
    pub woke: bool,
    pub sender: Sender,
    pub hearing: Hearing,
    /// Counts how often this leg began to hear the bridge.
    pub bridge_run: u32,
    /// Slots of the legs that this one is relayed to.
    pub listeners: Vec<u32>,
    /// Its place among the inputs of the call's bridge.
    pub input: Option<usize>,
    /// What its packets are like, as far as the way they go is concerned.
    pub shape: Shape,
    /// Another shape that its packets have had lately, and how many in a row.
    other_shape: (Shape, u8),
    /// The last octet sent to it by relay, and when.
    pub tail: Option<(Codec, u8, Instant)>,
    pub track: Track,
    pub key_ends: KeyEnds,
    pub reporter: Reporter,
    pub meter: Meter,
    pub failed: bool,
    /// Where the peer's newest report came from.
    pub reports_from: Option<SocketAddr>,
    /// To whom its RTP socket is connected.
    pub connected: Option<SocketAddr>,
    /// Packets of addresses that are not believed yet.
    held: Option<Box<Held>>,
    /// When the leg's one timer in the engine's heap fires.
    pub timer_at: Option<Instant>,
    pub dropped: u64,
    axis_start: Instant,
    axis_start_wall: UnixMs,
    reception: Option<(u32, Reception)>,
    source: u32,
    received: u64,
    lost_before: u64,
    heard_at: Instant,
    silent_told: u32,
}

impl Leg {
    pub fn new(now: Instant, serial: u64, call: &MediaPlan, plan: LegPlan, seed: LegSeed) -> Self {
        let mut lock = SourceLock::default();
        lock.set_remote(now, plan.remote);
        let shape = Shape { codec: plan.codec, samples: 0 };
        Self {
            serial,
            call: call.call,
            generation: call.generation,
            plan,
            lock,
            just_locked: false,
            woke: false,
            sender: Sender::new(seed.ssrc, seed.sequence, seed.timestamp),
            hearing: Hearing::Nothing,
            bridge_run: 0,
            listeners: Vec::new(),
            input: None,
            shape,
            other_shape: (shape, 0),
            tail: None,
            track: Track::default(),
            key_ends: KeyEnds::default(),
            reporter: Reporter::new(now, seed.cname),
            meter: Meter::new(now),
            failed: false,
            reports_from: None,
            connected: None,
            held: None,
            timer_at: None,
            dropped: 0,
            axis_start: call.axis_start,
            axis_start_wall: call.axis_start_wall,
            reception: None,
            source: 0,
            received: 0,
            lost_before: 0,
            heard_at: now,
            silent_told: 0,
        }
    }

    /// Takes a newer plan of the same leg.
    pub fn update(&mut self, now: Instant, generation: u32, plan: LegPlan) {
        if plan.ports != self.plan.ports {
            self.lock = SourceLock::default();
        }
        if plan.receive && !self.plan.receive || plan.remote.is_some() && self.plan.remote.is_none() {
            self.note_heard(now);
            self.meter.note_sound(now);
        }
        self.lock.set_remote(now, plan.remote);
        self.generation = generation;
        if !plan.accepts.iter().any(|known| known.format == Format::Audio(self.shape.codec)) {
            self.shape = Shape { codec: plan.codec, samples: 0 };
        }
        self.plan = plan;
    }

    /// Becomes a leg of `call`; on another axis its track begins anew.
    pub fn join(&mut self, now: Instant, call: InteractionId, axis: (Instant, UnixMs), taps: &mut PendingTaps) {
        if (self.axis_start, self.axis_start_wall) != axis {
            let axis_us = self.axis_us(now);
            self.track.close(self.plan.leg, axis_us, taps);
            (self.axis_start, self.axis_start_wall) = axis;
        }
        self.call = call;
    }

    /// Microseconds on the call's axis.
    pub fn axis_us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.axis_start).as_micros()).unwrap_or(u64::MAX)
    }

    /// NTP time by the call's own axis: it never jumps within a call.
    fn ntp(&self, now: Instant) -> u64 {
        report::ntp(self.axis_start_wall, self.axis_us(now))
    }

    /// Opens, pauses, resumes or closes the track as the plan has it.
    pub fn apply_recording(&mut self, now: Instant, taps: &mut PendingTaps) {
        let mut track = std::mem::take(&mut self.track);
        let open = |recording| self.tap_open(now, recording);
        track.apply(self.plan.recording, self.plan.leg, self.axis_us(now), &open, taps);
        self.track = track;
    }

    fn tap_open(&self, now: Instant, recording: RecordingId) -> TapOpen {
        TapOpen {
            recording,
            interaction: self.call,
            leg: self.plan.leg,
            party: self.plan.party,
            codec: self.plan.codec,
            axis_start_wall: self.axis_start_wall,
            axis_us: self.axis_us(now),
        }
    }

    pub fn tap_frame(&self, arrived: &Arrived, codec: Codec, payload: &[u8]) -> TapFrame {
        let len = payload.len().min(TAP_PAYLOAD_MAX);
        let mut kept = [0; TAP_PAYLOAD_MAX];
        kept[..len].copy_from_slice(&payload[..len]);
        TapFrame {
            leg: self.plan.leg,
            source: arrived.source,
            arrival_us: self.axis_us(arrived.at),
            ext_seq: arrived.place.ext_seq,
            ext_ts: arrived.place.ext_ts,
            codec,
            len: len as u16,
            payload: kept,
        }
    }

    /// Judges one packet: what it carries, and whether it is of another source than the one before.
    pub fn judge(&mut self, now: Instant, from: SocketAddr, packet: &Packet) -> Result<(Content, bool), DropReason> {
        let content = self.content(packet)?;
        match self.lock.judge(now, from, &packet.header) {
            Verdict::Accept { new_source, locked } => {
                self.just_locked = locked;
                self.note_heard(now);
                Ok((content, new_source))
            }
            Verdict::Refuse(reason) => Err(reason),
        }
    }

    /// Keeps a packet that was refused, when its address may still turn out to be the peer's.
    pub fn hold(&mut self, now: Instant, from: SocketAddr, reason: DropReason, packet: &Packet, datagram: &[u8]) {
        if self.lock.may_turn_out(from, reason) {
            self.held.get_or_insert_default().keep(now, from, reason, packet.header, datagram);
        }
    }

    /// The packets that were held back of a source that is believed now; all others are forgotten.
    pub fn take_held(&mut self, from: SocketAddr, header: &Header) -> Vec<HeldPacket> {
        self.held.take().map(|mut held| held.before(from, header)).unwrap_or_default()
    }

    /// Counts a packet that was accepted and came `at`.
    pub fn place(&mut self, at: Instant, packet: &Packet, content: Content, mut new_source: bool) -> Result<Arrived, DropReason> {
        if new_source || self.reception.is_none() {
            self.begin_source(packet);
        }
        let place = match self.count(at, packet)? {
            Some(place) => place,
            None => {
                new_source = true;
                self.begin_source(packet);
                self.count(at, packet)?.ok_or(DropReason::SequenceJump)?
            }
        };
        self.received += 1;
        self.woke |= self.meter.note_sound(at);
        if !self.plan.receive {
            return Err(DropReason::NotReceiving);
        }
        Ok(Arrived { content, place, at, leg: self.serial, source: self.source, new_source: new_source && self.source > 1 })
    }

    pub fn content(&self, packet: &Packet) -> Result<Content, DropReason> {
        let payload_type = packet.header.payload_type;
        let known = self.plan.accepts.iter().find(|known| known.payload_type == payload_type).map(|known| known.format);
        let format = known.or((payload_type == COMFORT_NOISE).then_some(Format::ComfortNoise)).ok_or(DropReason::PayloadType)?;
        match (format, packet.payload_len) {
            (_, TOO_LONG..) => Err(DropReason::Length),
            (Format::Audio(_), 0) => Ok(Content::Empty),
            (Format::ComfortNoise, _) => Ok(Content::Noise),
            (Format::Audio(codec), _) => Ok(Content::Audio(codec)),
            (Format::TelephoneEvent, _) => Ok(Content::Event),
        }
    }

    /// Notes what an accepted packet is like; true when the way it goes may be another one now.
    ///
    /// Away from what it was at the first packet that cannot be relayed, back only after a second without one.
    pub fn note_shape(&mut self, shape: Shape, relayable: bool) -> bool {
        if shape == self.shape || self.shape.samples == 0 && relayable {
            self.shape = shape;
            self.other_shape.1 = 0;
            return false;
        }
        let run = if self.other_shape.0 == shape { self.other_shape.1.saturating_add(1) } else { 1 };
        self.other_shape = (shape, run);
        let moves = !relayable || run >= SHAPE_RUN;
        if moves {
            self.shape = shape;
        }
        moves
    }

    /// Leaves the bridge, and remembers what was heard from it last.
    pub fn leave_bridge(&mut self, now: Instant) {
        if let Hearing::Bridge(ear) = &self.hearing {
            self.tail = Some((self.plan.codec, encode(self.plan.codec, ear.last()), now));
        }
    }

    /// The sample that the listener heard last, when that was a moment ago.
    pub fn heard_last(&self, now: Instant) -> Option<i16> {
        let recent = |at: Instant| now.saturating_duration_since(at) < TAIL_MAX;
        match (&self.hearing, self.tail) {
            (Hearing::Bridge(ear), _) => Some(ear.last()),
            (Hearing::Relay(_) | Hearing::Nothing, Some((codec, octet, at))) if recent(at) => Some(decode(codec, octet)),
            (Hearing::Relay(_) | Hearing::Nothing, Some(_)) => Some(0),
            (Hearing::Relay(_) | Hearing::Nothing, None) => None,
        }
    }

    /// `None` when the sender began anew.
    fn count(&mut self, now: Instant, packet: &Packet) -> Result<Option<Place>, DropReason> {
        let arrival = clock_units(now.saturating_duration_since(self.axis_start));
        let Some((_, reception)) = &mut self.reception else { return Ok(None) };
        match reception.receive(packet.header.sequence, packet.header.timestamp, arrival) {
            Step::Accepted(place) => Ok(Some(place)),
            Step::Jump => Err(DropReason::SequenceJump),
            Step::Restarted => Ok(None),
        }
    }

    fn begin_source(&mut self, packet: &Packet) {
        if let Some((_, before)) = &mut self.reception {
            self.lost_before += before.lost();
            self.meter.carry(before.interval());
        }
        self.source += 1;
        self.reception = Some((packet.header.ssrc, Reception::new(packet.header.sequence, packet.header.timestamp)));
    }

    /// Any sign of life: RTP, RTCP, comfort noise.
    pub fn note_heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.silent_told = 0;
    }

    /// When silence is next worth telling; `None` while nothing is expected.
    pub fn silent_at(&self, limit: Duration) -> Option<Instant> {
        self.sound_is_due().then(|| self.heard_at + limit.saturating_mul(self.silent_told.saturating_add(1)))
    }

    /// How long it has been silent, milliseconds, once for each `limit`.
    pub fn tell_silence(&mut self, now: Instant, limit: Duration) -> Option<u32> {
        let told = self.silent_at(limit).filter(|at| *at <= now).is_some();
        self.silent_told += u32::from(told);
        told.then(|| u32::try_from(now.saturating_duration_since(self.heard_at).as_millis()).unwrap_or(u32::MAX))
    }

    /// Writes a report about both directions, with a goodbye when the leg ends.
    pub fn write_report(&mut self, out: &mut [u8; COMPOUND_MAX], now: Instant, bye: bool) -> usize {
        let ntp = self.ntp(now);
        let reception = self.reception.as_mut().map(|(ssrc, reception)| (*ssrc, reception));
        self.reporter.write(out, now, ntp, &self.sender, reception, bye)
    }

    /// Where reports go: to the signalled address; but behind a NAT, where media comes from elsewhere than was signalled, back to
    /// where reports come from, or to the port after that of media.
    pub fn reports_to(&self) -> Option<SocketAddr> {
        let signalled = self.plan.remote?;
        let usable = |to: &SocketAddr| !to.ip().is_unspecified() && to.port() != 0;
        match self.lock.destination().filter(|media| *media != signalled.rtp) {
            None => Some(signalled.rtcp).filter(usable),
            Some(media) => {
                let next = media.port().checked_add(1).map(|port| SocketAddr::new(media.ip(), port));
                self.reports_from.filter(|from| from.ip() == media.ip()).or(next)
            }
        }
    }

    /// Takes in what the peer reports.
    pub fn note_report(&mut self, now: Instant, received: &Received) {
        self.note_heard(now);
        if let Some(info) = received.sender {
            self.reporter.heard(now, info);
        }
        let ntp = (self.ntp(now) >> 16) as u32;
        self.meter.note_report(ntp, received, self.sender.sent().0);
    }

    fn sound_is_due(&self) -> bool {
        self.plan.receive && self.plan.remote.is_some() && !self.failed
    }

    /// When the leg is measured next.
    pub fn measure_at(&self) -> Instant {
        self.meter.due_at(self.sound_is_due())
    }

    /// Ends an interval of measuring.
    pub fn measure(&mut self, now: Instant) -> Option<LegQuality> {
        let (interval, jitter) = self.reception.as_mut().map_or((Interval::default(), 0), |(_, it)| (it.interval(), it.jitter()));
        let measured = Measured {
            interval,
            jitter_us: jitter.saturating_mul(1_000_000 / super::CLOCK_HZ),
            sent: self.sender.sent().0,
            due: self.sound_is_due(),
            axis_ms: u32::try_from(self.axis_us(now) / 1_000).unwrap_or(u32::MAX),
        };
        self.meter.end(now, &measured)
    }

    /// Whether there is anything to report.
    pub fn has_media(&self) -> bool {
        self.reception.is_some() || self.sender.sent().0 > 0
    }

    pub fn totals(&self) -> LegTotals {
        let (lost, jitter) = self.reception.as_ref().map_or((0, 0), |(_, reception)| (reception.lost(), reception.jitter()));
        LegTotals {
            leg: Some(self.plan.leg),
            received: self.received,
            sent: self.sender.sent().0,
            lost: self.lost_before + lost,
            dropped: self.dropped,
            jitter_us: jitter.saturating_mul(1_000_000 / CLOCK_HZ),
            tap_dropped: self.track.total_dropped(),
        }
    }
}
