//! One media thread's legs as a machine: commands, packets and time in; packets, taps and events out.
//!
//! ```text
//! packet ─▶ port_table ─▶ Leg::receive (source lock, statistics) ─▶ tap
//!                                └─▶ relay::forward ─▶ Outlet::transmit   (for each listener; no allocation)
//! timer  ─▶ RTCP, silence, bridge frames, resting ports
//! ```

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::{
    bridge::FRAME_MAX,
    clip::ClipStore,
    counters::{Counters, DropReason},
    leg::{Content, Hearing, Leg},
    plan::{LegTotals, MediaEvent, MediaEventKind, PortPair},
    port_table::{PortTable, PortUse},
    relay,
    sender::{FeedKey, Outgoing},
    tap::Tap,
    track::PendingTaps,
};
use crate::{
    ids::{InteractionId, LegId},
    protocol::rtp::{
        packet::{self, HEADER_LEN},
        rtcp::{self, COMPOUND_MAX},
    },
};

/// Events and timers that there is room for from the start, so that a packet's step needs none.
const ROOM: usize = 256;
/// How soon a full tap is tried again.
const TAP_RETRY: Duration = Duration::from_millis(10);

/// A packet to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit<'a> {
    /// From which pair of sockets.
    pub ports: PortPair,
    /// From its RTCP socket rather than its RTP socket.
    pub rtcp: bool,
    /// To whom.
    pub destination: SocketAddr,
    /// The datagram; lives in the receive buffer or on the stack.
    pub bytes: &'a [u8],
}

/// Where the engine puts what must leave at once.
pub trait Outlet {
    /// Sends a packet, or drops it: media never waits.
    fn transmit(&mut self, transmit: Transmit<'_>);
    /// Offers a message to the tap; `Some` gives it back when there is no room.
    fn tap(&mut self, tap: Tap) -> Option<Tap>;
}

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The media thread that it runs on.
    pub thread: u16,
    /// Entropy for SSRCs, sequence numbers, timestamps and names.
    pub seed: [u8; 32],
    /// Silence of this length is reported.
    pub silence_limit: Duration,
    /// What players may play.
    pub clips: ClipStore,
}

/// Default of [`EngineConfig::silence_limit`].
pub const SILENCE_LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum TimerKind {
    /// RTCP and silence of the leg in a slot, with its serial.
    Leg(u32, u64),
    /// The bridge of the leg in a slot, with its serial and the bridge's run.
    Tick(u32, u64, u32),
    /// A resting pair.
    Rest(u16),
}

#[derive(Debug)]
pub(super) struct CallState {
    pub generation: u32,
    pub slots: Vec<u32>,
    /// Legs that newer plans left out.
    pub departed: Vec<LegTotals>,
}

/// The media machine of one thread.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: EngineConfig,
    pub(super) random: ChaCha8Rng,
    pub(super) legs: Vec<Option<Leg>>,
    pub(super) free: Vec<u32>,
    pub(super) serial: u64,
    pub(super) calls: HashMap<InteractionId, CallState>,
    pub(super) ports: PortTable,
    pub(super) taps: PendingTaps,
    pub(super) counters: Counters,
    events: VecDeque<MediaEvent>,
    timers: BinaryHeap<Reverse<(Instant, TimerKind)>>,
    taps_retry_at: Option<Instant>,
    stepping: Option<u32>,
}

impl Engine {
    /// An engine without calls.
    pub fn new(config: EngineConfig) -> Self {
        Self {
            random: ChaCha8Rng::from_seed(config.seed),
            config,
            legs: Vec::new(),
            free: Vec::new(),
            serial: 0,
            calls: HashMap::new(),
            ports: PortTable::new(),
            taps: PendingTaps::default(),
            counters: Counters::default(),
            events: VecDeque::with_capacity(ROOM),
            timers: BinaryHeap::with_capacity(ROOM),
            taps_retry_at: None,
            stepping: None,
        }
    }

    /// Totals since the engine was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The next thing that control should know.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        match (timer, self.taps_retry_at) {
            (Some(timer), Some(retry)) => Some(timer.min(retry)),
            (at, None) | (None, at) => at,
        }
    }

    /// Takes one datagram that came to `ports` from `source`; it is rewritten in place where it is relayed.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        ports: PortPair,
        is_rtcp: bool,
        source: SocketAddr,
        datagram: &mut [u8],
        out: &mut dyn Outlet,
    ) {
        match self.ports.get(ports.rtp_port) {
            PortUse::Unused => self.counters.drop(DropReason::UnusedPort),
            PortUse::Resting => {
                self.ports.disturb(now, ports.rtp_port);
                self.counters.drop(DropReason::RestingPort);
            }
            PortUse::Leg(slot) => {
                self.stepping = Some(slot);
                let taken =
                    if is_rtcp { self.take_rtcp(now, slot, source, datagram) } else { self.take_rtp(now, slot, source, datagram, out) };
                if let Err(reason) = taken {
                    self.refuse(slot, reason);
                }
                self.stepping = None;
            }
        }
    }

    fn refuse(&mut self, slot: u32, reason: DropReason) {
        self.counters.drop(reason);
        if let Some(leg) = self.leg_mut(slot) {
            leg.dropped += 1;
        }
    }

    pub(super) fn leg(&self, slot: u32) -> Option<&Leg> {
        self.legs.get(slot as usize)?.as_ref()
    }

    pub(super) fn leg_mut(&mut self, slot: u32) -> Option<&mut Leg> {
        self.legs.get_mut(slot as usize)?.as_mut()
    }

    fn take_rtp(
        &mut self,
        now: Instant,
        slot: u32,
        source: SocketAddr,
        datagram: &mut [u8],
        out: &mut dyn Outlet,
    ) -> Result<(), DropReason> {
        let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) else { return Err(DropReason::UnusedPort) };
        if leg.failed {
            return Err(DropReason::LegFailed);
        }
        let packet = packet::parse(datagram).map_err(|_| DropReason::Malformed)?;
        let arrived = leg.receive(now, source, &packet);
        if leg.just_locked {
            leg.just_locked = false;
            let kind = MediaEventKind::SourceLocked { leg: leg.plan.leg, source };
            self.events.push_back(MediaEvent { call: leg.call, generation: leg.generation, kind });
        }
        let woke = std::mem::take(&mut leg.woke);
        let arrived = arrived?;
        self.counters.received += 1;
        self.counters.new_sources += u64::from(arrived.new_source);
        if leg.track.is_on() {
            // A key or comfort noise goes as an empty frame: its sequence number is not lost.
            let (codec, payload) = match arrived.content {
                Content::Audio(codec) => (codec, packet.payload(datagram)),
                Content::Event | Content::Quiet => (leg.plan.codec, &[][..]),
            };
            let frame = leg.tap_frame(now, &arrived, codec, payload);
            if !leg.track.frame(frame, &mut self.taps, &mut |tap| out.tap(tap)) {
                self.counters.drop(DropReason::TapFull);
            }
        }
        if woke {
            self.arm(slot);
        }
        let mut next = 0;
        while let Some(listener) = self.leg(slot).and_then(|leg| leg.listeners.get(next).copied()) {
            next += 1;
            let Some(listener_leg) = self.legs.get_mut(listener as usize).and_then(Option::as_mut) else { continue };
            let run = listener_leg.bridge_run;
            match relay::forward(listener_leg, now, &arrived, &packet, datagram) {
                Ok(Some(transmit)) => {
                    self.counters.sent += 1;
                    out.transmit(transmit);
                }
                Ok(None) => {}
                Err(reason) => self.counters.drop(reason),
            }
            if listener_leg.bridge_run != run {
                self.start_ticking(listener);
            }
        }
        Ok(())
    }

    /// RTCP is a sign of life and carries the peer's clock; it never teaches an address and is never forwarded.
    fn take_rtcp(&mut self, now: Instant, slot: u32, source: SocketAddr, datagram: &[u8]) -> Result<(), DropReason> {
        let Some(leg) = self.leg_mut(slot) else { return Err(DropReason::UnusedPort) };
        if !leg.lock.is_peer(source) {
            return Err(DropReason::RtcpWrongSource);
        }
        let received = rtcp::parse_compound(datagram, leg.sender.ssrc()).map_err(|_| DropReason::RtcpMalformed)?;
        leg.note_report(now, &received);
        self.counters.rtcp_received += 1;
        Ok(())
    }

    /// Does what is due; call it again at [`Self::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outlet) {
        self.flush_taps(now, out);
        while let Some(Reverse((at, kind))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            match kind {
                TimerKind::Leg(slot, serial) => self.leg_due(now, at, slot, serial, out),
                TimerKind::Tick(slot, serial, run) => self.tick_due(now, slot, serial, run, out),
                TimerKind::Rest(rtp_port) => self.rest_due(now, rtp_port),
            }
            self.stepping = None;
        }
    }

    pub(super) fn flush_taps(&mut self, now: Instant, out: &mut dyn Outlet) {
        let empty = self.taps.flush(&mut |tap| out.tap(tap));
        self.taps_retry_at = (!empty).then(|| now + TAP_RETRY);
    }

    /// Sets the leg's timer for whatever of it comes first.
    pub(super) fn arm(&mut self, slot: u32) {
        let limit = self.config.silence_limit;
        let Some(leg) = self.leg_mut(slot) else { return };
        let due_at = [Some(leg.reporter.due_at), Some(leg.measure_at()), leg.silent_at(limit)].into_iter().flatten().min();
        let Some(due_at) = due_at else { return };
        if leg.timer_at.is_none_or(|at| due_at < at) {
            leg.timer_at = Some(due_at);
            let serial = leg.serial;
            self.timers.push(Reverse((due_at, TimerKind::Leg(slot, serial))));
        }
    }

    fn leg_due(&mut self, now: Instant, at: Instant, slot: u32, serial: u64, out: &mut dyn Outlet) {
        let (limit, random) = (self.config.silence_limit, self.random.next_u64());
        let Some(leg) = self.leg_mut(slot).filter(|leg| leg.serial == serial && leg.timer_at == Some(at) && !leg.failed) else { return };
        leg.timer_at = None;
        let silent = leg.tell_silence(now, limit);
        let (call, generation, id) = (leg.call, leg.generation, leg.plan.leg);
        let quality = if leg.measure_at() <= now { leg.measure(now) } else { None };
        let report = leg.reporter.due_at <= now;
        if report {
            leg.reporter.schedule(now, random);
        }
        self.stepping = Some(slot);
        if let Some(silent_ms) = silent {
            self.tell(call, generation, MediaEventKind::Silent { leg: id, silent_ms });
        }
        if let Some(quality) = quality {
            self.tell(call, generation, MediaEventKind::Quality { leg: id, quality });
        }
        if report {
            self.send_report(now, slot, false, out);
        }
        self.arm(slot);
    }

    /// Sends a report to the signalled RTCP address, once media has flowed.
    pub(super) fn send_report(&mut self, now: Instant, slot: u32, bye: bool, out: &mut dyn Outlet) {
        let Some(leg) = self.leg_mut(slot).filter(|leg| leg.has_media() && !leg.failed) else { return };
        let destination = leg.plan.remote.map(|remote| remote.rtcp).filter(|to| !to.ip().is_unspecified() && to.port() != 0);
        let Some(destination) = destination else { return };
        let mut bytes = [0; COMPOUND_MAX];
        let len = leg.write_report(&mut bytes, now, bye);
        out.transmit(Transmit { ports: leg.plan.ports, rtcp: true, destination, bytes: &bytes[..len] });
        self.counters.rtcp_sent += 1;
    }

    pub(super) fn start_ticking(&mut self, slot: u32) {
        let Some(leg) = self.leg(slot) else { return };
        if let Hearing::Bridge(bridge) = &leg.hearing {
            self.timers.push(Reverse((bridge.due_at(), TimerKind::Tick(slot, leg.serial, leg.bridge_run))));
        }
    }

    fn tick_due(&mut self, now: Instant, slot: u32, serial: u64, run: u32, out: &mut dyn Outlet) {
        let current = |leg: &&mut Leg| leg.serial == serial && leg.bridge_run == run && !leg.failed;
        let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut).filter(current) else { return };
        let Hearing::Bridge(bridge) = &mut leg.hearing else { return };
        self.stepping = Some(slot);
        let mut octets = [0; FRAME_MAX];
        let frame = bridge.tick(now, &mut octets);
        self.timers.push(Reverse((bridge.due_at(), TimerKind::Tick(slot, serial, run))));
        let (Some(frame), Some(destination)) = (frame, leg.lock.destination()) else { return };
        let outgoing = Outgoing { payload_type: leg.plan.payload_type, marker: frame.marker, octets: frame.octets.len() };
        let header = leg.sender.produce(now, FeedKey::Bridge { run }, frame.timestamp, outgoing);
        let mut datagram = [0; HEADER_LEN + FRAME_MAX];
        packet::encode_header(&mut datagram, header);
        datagram[HEADER_LEN..HEADER_LEN + frame.octets.len()].copy_from_slice(frame.octets);
        let bytes = &datagram[..HEADER_LEN + frame.octets.len()];
        out.transmit(Transmit { ports: leg.plan.ports, rtcp: false, destination, bytes });
        self.counters.sent += 1;
    }

    pub(super) fn rest(&mut self, now: Instant, ports: PortPair, call: InteractionId, generation: u32) {
        let look_at = self.ports.rest(now, ports.rtp_port, call, generation);
        self.timers.push(Reverse((look_at, TimerKind::Rest(ports.rtp_port))));
    }

    fn rest_due(&mut self, now: Instant, rtp_port: u16) {
        match self.ports.wake(now, rtp_port) {
            None => {}
            Some(Err(look_at)) => self.timers.push(Reverse((look_at, TimerKind::Rest(rtp_port)))),
            Some(Ok(rested)) => {
                let ports = PortPair { thread: self.config.thread, rtp_port };
                self.tell(rested.call, rested.generation, MediaEventKind::PortsRested { ports });
            }
        }
    }

    pub(super) fn tell(&mut self, call: InteractionId, generation: u32, kind: MediaEventKind) {
        self.events.push_back(MediaEvent { call, generation, kind });
    }

    /// Ends the media of the leg whose step panicked: its packets are dropped, its track is closed, control is told.
    ///
    /// Returns the leg, or `None` when no leg was being stepped.
    pub fn fail_stepping(&mut self, now: Instant) -> Option<LegId> {
        let slot = self.stepping.take()?;
        let Self { legs, taps, .. } = self;
        let leg = legs.get_mut(slot as usize)?.as_mut()?;
        leg.failed = true;
        leg.listeners.clear();
        leg.hearing = Hearing::Nothing;
        let axis_us = leg.axis_us(now);
        leg.track.close(leg.plan.leg, axis_us, taps);
        let (call, generation, id) = (leg.call, leg.generation, leg.plan.leg);
        for other in legs.iter_mut().flatten() {
            other.listeners.retain(|listener| *listener != slot);
        }
        self.taps_retry_at.get_or_insert(now);
        self.counters.failed_legs += 1;
        self.tell(call, generation, MediaEventKind::Failed { leg: id });
        Some(id)
    }
}
