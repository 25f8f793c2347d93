//! One media thread's legs as a machine: commands, packets and time in; packets, taps and events out.
//!
//! ```text
//! packet ─▶ port_table ─▶ Leg::receive (source lock, statistics) ─▶ tap
//!                                ├─▶ relay::forward ─▶ Outlet::transmit   (for each listener; no allocation)
//!                                └─▶ Bridge::push ─▶ every 20 ms ─▶ Ear ─▶ Outlet::transmit
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
    bridge::Bridge,
    clip::ClipStore,
    counters::{Counters, DropReason},
    handover::{Forward, MovedLeg},
    leg::{Hearing, Leg},
    plan::{Hears, LegPlan, LegTotals, MediaEvent, MediaEventKind, PortPair, SourcePlan},
    port_table::{PortTable, PortUse},
    tap::{Tap, TapFrame},
    track::PendingTaps,
};
use crate::{
    ids::{InteractionId, LegId},
    protocol::rtp::rtcp::{self, COMPOUND_MAX},
    time::UnixMs,
};

/// Events and timers that there is room for from the start, so that a packet's step needs none.
const ROOM: usize = 256;
/// Bridges whose frames are made before the sockets have their turn: about a quarter of a millisecond's work.
const BRIDGES_AT_ONCE: u32 = 16;
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
    /// Offers a packet to the tap; false when there is no room.
    fn tap_frame(&mut self, frame: &TapFrame) -> bool {
        self.tap(Tap::Frame(*frame)).is_none()
    }
    /// Connects the pair's RTP socket to its locked peer, so that the system itself drops what others send; `None` undoes it.
    fn connect(&mut self, _ports: PortPair, _peer: Option<SocketAddr>) {}
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
pub(super) enum TimerKind {
    /// RTCP and silence of the leg in a slot, with its serial.
    Leg(u32, u64),
    /// The bridge of a call, with its run.
    Bridge(InteractionId, u32),
    /// A resting pair.
    Rest(u16),
    /// The leg that came to this slot from another thread, with its serial.
    Adopted(u32, u64),
    /// Legs of a call that are on their way, as of a plan's generation.
    Awaited(InteractionId, u32),
}

#[derive(Debug)]
pub(super) struct CallState {
    pub generation: u32,
    /// Zero of its axis, monotonic and on the wall.
    pub axis: (Instant, UnixMs),
    /// Legs that are on their way from another thread.
    pub awaiting: Vec<LegPlan>,
    pub slots: Vec<u32>,
    /// Legs that newer plans left out.
    pub departed: Vec<LegTotals>,
    pub sources: Vec<SourcePlan>,
    pub hears: Vec<Hears>,
    /// There while somebody hears what cannot be relayed, or something is played.
    pub bridge: Option<Box<Bridge>>,
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
    pub(super) events: VecDeque<MediaEvent>,
    pub(super) timers: BinaryHeap<Reverse<(Instant, TimerKind)>>,
    taps_retry_at: Option<Instant>,
    /// The leg, and the call, whose step is being done: who it was when a step panics.
    pub(super) stepping: Option<u32>,
    pub(super) stepping_call: Option<InteractionId>,
    pub(super) bridge_runs: u32,
    /// Legs that leave this thread.
    pub(super) moved: VecDeque<MovedLeg>,
    /// Legs that go on when they arrive.
    pub(super) forwards: Vec<Forward>,
    /// Legs that came from another thread before their plan.
    pub(super) adopted: Vec<(LegId, u32)>,
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
            stepping_call: None,
            bridge_runs: 0,
            moved: VecDeque::new(),
            forwards: Vec::new(),
            adopted: Vec::new(),
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

    /// RTCP is a sign of life and carries the peer's clock; it never teaches an address and is never forwarded.
    fn take_rtcp(&mut self, now: Instant, slot: u32, source: SocketAddr, datagram: &[u8]) -> Result<(), DropReason> {
        let Some(leg) = self.leg_mut(slot) else { return Err(DropReason::UnusedPort) };
        if !leg.lock.is_peer(source) {
            return Err(DropReason::RtcpWrongSource);
        }
        let received = rtcp::parse_compound(datagram, leg.sender.ssrc()).map_err(|_| DropReason::RtcpMalformed)?;
        leg.reports_from = Some(source);
        leg.note_report(now, &received);
        self.counters.rtcp_received += 1;
        Ok(())
    }

    /// Does what is due; call it again at [`Self::next_timeout`].
    ///
    /// It returns after a few bridges' frames though more are due, so that sockets have their turn in between.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outlet) {
        self.flush_taps(now, out);
        let mut bridges = 0;
        while let Some(Reverse((at, kind))) = self.timers.peek().copied()
            && at <= now
            && bridges < BRIDGES_AT_ONCE
        {
            self.timers.pop();
            match kind {
                TimerKind::Leg(slot, serial) => self.leg_due(now, at, slot, serial, out),
                TimerKind::Bridge(call, run) => {
                    bridges += 1;
                    self.bridge_due(now, call, run, out);
                }
                TimerKind::Rest(rtp_port) => self.rest_due(now, rtp_port),
                TimerKind::Adopted(slot, serial) => self.adopted_due(now, slot, serial, out),
                TimerKind::Awaited(call, generation) => self.awaited_due(call, generation),
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
        let relearn_at = leg.connected.and_then(|_| leg.lock.relearn_at());
        let due_at = [Some(leg.reporter.due_at), Some(leg.measure_at()), leg.silent_at(limit), relearn_at, leg.key_ends.due_at()];
        let due_at = due_at.into_iter().flatten().min();
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
        if leg.connected.is_some() && leg.lock.relearn_at().is_some_and(|at| at <= now) {
            // The peer's address may have changed: whoever sends now is judged by the source lock.
            leg.connected = None;
            out.connect(leg.plan.ports, None);
        }
        let silent = leg.tell_silence(now, limit);
        let (call, generation, id) = (leg.call, leg.generation, leg.plan.leg);
        let quality = if leg.measure_at() <= now { leg.measure(now) } else { None };
        let report = leg.reporter.due_at <= now;
        if report {
            leg.reporter.schedule(now, random);
        }
        self.stepping = Some(slot);
        if let Some((arrived, missing)) = self.leg_mut(slot).and_then(|leg| leg.key_ends.overdue(now, leg.serial)) {
            self.end_key(now, slot, &arrived, missing, out);
        }
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

    /// Sends a report, once media has flowed.
    pub(super) fn send_report(&mut self, now: Instant, slot: u32, bye: bool, out: &mut dyn Outlet) {
        let Some(leg) = self.leg_mut(slot).filter(|leg| leg.has_media() && !leg.failed) else { return };
        let Some(destination) = leg.reports_to() else { return };
        let mut bytes = [0; COMPOUND_MAX];
        let len = leg.write_report(&mut bytes, now, bye);
        out.transmit(Transmit { ports: leg.plan.ports, rtcp: true, destination, bytes: &bytes[..len] });
        self.counters.rtcp_sent += 1;
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

    /// Ends the media of the leg whose step panicked: its packets are dropped, its track is closed, control is told. Where no
    /// leg was being stepped but a call's bridge was, the call's media ends.
    ///
    /// Returns the leg, or `None` when no leg was being stepped.
    pub fn fail_stepping(&mut self, now: Instant) -> Option<LegId> {
        let call = self.stepping_call.take();
        let Some(slot) = self.stepping.take() else {
            call.into_iter().for_each(|call| self.abandon(now, call));
            return None;
        };
        let Self { legs, taps, .. } = self;
        let leg = legs.get_mut(slot as usize)?.as_mut()?;
        leg.failed = true;
        leg.listeners.clear();
        leg.hearing = Hearing::Nothing;
        leg.input = None;
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
