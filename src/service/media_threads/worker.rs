//! One media thread: waits for sockets, commands and time, and steps its engine.
//!
//! A panic inside a leg's step is caught here: that leg's media ends and control is told; the others go on.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, TrySendError};
use mio::{Events, Poll, Token, Waker};

use super::{
    Arriving, Command, Peers, Published,
    pool::SocketPair,
    sockets::{Sockets, TOKENS_PER_PAIR},
};
use crate::{
    domain::media::{
        engine::{Engine, EngineConfig, Outlet, Transmit},
        plan::{MediaCommand, MediaEvent, PortPair},
        tap::{Tap, TapFrame},
    },
    ids::InteractionId,
    service::taps::TapSender,
};

/// Hands an event to control.
pub(super) type OnEvent = Arc<dyn Fn(MediaEvent) + Send + Sync>;

/// Longest datagram that is read; a longer one cannot be G.711 and is cut and then refused.
const DATAGRAM_MAX: usize = 2048;
/// Packets read from one socket before the others get their turn.
const SOCKET_BUDGET: usize = 32;
/// Commands taken before the sockets get their turn.
const COMMAND_BUDGET: usize = 64;
/// Sockets that one epoll call reports.
const EVENTS_MAX: usize = 1024;
/// How long shutdown waits for others: room for a command, room for the last messages of tracks.
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(2);
const WAKE: Token = Token(usize::MAX);

/// The worker's ends of its channels.
pub(super) struct Links {
    pub commands: Receiver<Command>,
    pub taps: TapSender,
    pub on_event: OnEvent,
    pub published: Arc<Published>,
    pub peers: Peers,
}

pub(super) struct Worker {
    poll: Poll,
    engine: Engine,
    sockets: Sockets,
    links: Links,
    /// Sockets that were left with packets in them: an edge is reported only once.
    unread: VecDeque<usize>,
    /// Whether commands were left in the channel.
    more_commands: bool,
}

/// The engine's way out: this thread's sockets and the tap.
pub(super) struct Wire<'a> {
    sockets: &'a mut Sockets,
    taps: &'a mut TapSender,
    /// Until when a full tap is waited for; only at shutdown.
    patience: Option<Instant>,
}

impl Outlet for Wire<'_> {
    fn transmit(&mut self, transmit: Transmit<'_>) {
        self.sockets.send(transmit);
    }

    fn connect(&mut self, ports: PortPair, peer: Option<SocketAddr>) {
        self.sockets.connect(ports.rtp_port, peer);
    }

    fn tap(&mut self, tap: Tap) -> Option<Tap> {
        match self.patience {
            Some(until) => self.taps.offer_until(tap, until),
            None => self.taps.offer(tap),
        }
    }

    fn tap_frame(&mut self, frame: &TapFrame) -> bool {
        self.taps.offer_frame(frame)
    }
}

impl Worker {
    /// A worker with these pairs; `ports` is the range of all threads, any of which may come here later.
    pub fn new(config: EngineConfig, ports: RangeInclusive<u16>, pairs: Vec<SocketPair>, links: Links) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let mut sockets = Sockets::new(&ports);
        for pair in pairs {
            sockets.insert(poll.registry(), pair)?;
        }
        let worker = Self { poll, engine: Engine::new(config), sockets, links, unread: VecDeque::new(), more_commands: false };
        Ok((worker, waker))
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            let timeout = if self.unread.is_empty() && !self.more_commands {
                let due_at = [self.engine.next_timeout(), self.links.taps.due_at()].into_iter().flatten().min();
                due_at.map(|at| at.saturating_duration_since(clock()))
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a media thread cannot wait for its sockets and ends");
                    return self.finish();
                }
            }
            for _ in 0..self.unread.len() {
                let Some(token) = self.unread.pop_front() else { break };
                self.read(token, &mut buffer);
            }
            for event in &events {
                if event.token() != WAKE && !self.unread.contains(&event.token().0) {
                    self.read(event.token().0, &mut buffer);
                }
            }
            let stop = self.take_commands();
            let now = clock();
            if self.engine.next_timeout().is_some_and(|at| at <= now) {
                self.step(now, |engine, now, wire| engine.handle_timeout(now, wire));
            }
            self.links.taps.tick(now);
            self.tell_control();
            if stop {
                return self.finish();
            }
        }
    }

    /// Runs one step of the engine; a panic in it ends one leg's media and nothing else.
    pub fn step(&mut self, now: Instant, run: impl FnOnce(&mut Engine, Instant, &mut Wire<'_>)) {
        if self.panics(now, run) {
            let leg = self.engine.fail_stepping(now);
            tracing::error!(?leg, "a mistake of ours ended one leg's media; other legs go on");
        }
    }

    /// Takes a command; a panic in it ends the media of its call and nothing else.
    pub fn command(&mut self, now: Instant, command: MediaCommand) {
        let call = match &command {
            MediaCommand::Plan(plan) => plan.call,
            MediaCommand::Close { call } | MediaCommand::Evict { call, .. } => *call,
        };
        self.step_call(now, call, |engine, now, wire| engine.handle_command(now, command, wire));
        self.hand_over(now);
    }

    fn step_call(&mut self, now: Instant, call: InteractionId, run: impl FnOnce(&mut Engine, Instant, &mut Wire<'_>)) {
        if self.panics(now, run) {
            self.engine.abandon(now, call);
            tracing::error!(%call, "a mistake of ours ended one call's media; other calls go on");
        }
    }

    /// Sends legs that leave to their thread, with their sockets; those of one command go together.
    fn hand_over(&mut self, now: Instant) {
        let mut leaving = Vec::new();
        while let Some(moved) = self.engine.poll_moved() {
            let sockets = self.sockets.remove(self.poll.registry(), moved.ports().rtp_port);
            leaving.extend(sockets.map(|sockets| Arriving { moved, sockets }));
        }
        let Some(to) = leaving.first().map(|first| first.moved.to()) else { return };
        // What was tapped here goes before what is tapped there.
        self.links.taps.flush();
        let refused = match self.links.peers.get().and_then(|peers| peers.get(usize::from(to))) {
            None => leaving,
            Some((commands, waker)) => match commands.try_send(Command::Adopt(leaving)) {
                Ok(()) => {
                    // A failed wake-up only means that the legs wait for that thread's next packet.
                    let _ = waker.wake();
                    return;
                }
                Err(TrySendError::Full(Command::Adopt(leaving)) | TrySendError::Disconnected(Command::Adopt(leaving))) => leaving,
                Err(_) => return,
            },
        };
        tracing::error!(legs = refused.len(), to, "legs could not be handed to another media thread and end here");
        self.adopt(now, refused);
    }

    /// Takes legs from another thread: their packets have waited in their sockets.
    fn adopt(&mut self, now: Instant, arriving: Vec<Arriving>) {
        for Arriving { moved, sockets } in arriving {
            match self.sockets.insert(self.poll.registry(), sockets) {
                Ok(first) => self.unread.extend(first..first + TOKENS_PER_PAIR),
                Err(error) => tracing::error!(%error, "a leg that came from another media thread cannot be listened to"),
            }
            self.step_call(now, moved.into_call(), |engine, now, wire| engine.adopt(now, moved, wire));
        }
    }

    fn panics(&mut self, now: Instant, run: impl FnOnce(&mut Engine, Instant, &mut Wire<'_>)) -> bool {
        let mut wire = Wire { sockets: &mut self.sockets, taps: &mut self.links.taps, patience: None };
        let engine = &mut self.engine;
        let panicked = catch_unwind(AssertUnwindSafe(|| run(engine, now, &mut wire))).is_err();
        self.sockets.counters.panics += u64::from(panicked);
        panicked
    }

    fn read(&mut self, token: usize, buffer: &mut [u8; DATAGRAM_MAX]) {
        for _ in 0..SOCKET_BUDGET {
            let Some((ports, is_rtcp, received)) = self.sockets.receive(token, buffer) else { return };
            match received {
                Ok((len, source)) => {
                    self.step(clock(), |engine, now, wire| engine.handle_packet(now, ports, is_rtcp, source, &mut buffer[..len], wire));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP answer to an earlier packet; the next read goes on.
                Err(_) => {}
            }
        }
        self.unread.push_back(token);
    }

    /// True when told to stop.
    fn take_commands(&mut self) -> bool {
        self.more_commands = false;
        for _ in 0..COMMAND_BUDGET {
            match self.links.commands.try_recv() {
                Ok(Command::Plan(slot)) => {
                    if let Some(plan) = slot.0.take() {
                        self.command(clock(), MediaCommand::Plan(*plan));
                    }
                }
                Ok(Command::Close(call)) => self.command(clock(), MediaCommand::Close { call }),
                Ok(Command::Evict { call, legs, into, to }) => self.command(clock(), MediaCommand::Evict { call, legs, into, to }),
                Ok(Command::Adopt(arriving)) => {
                    let now = clock();
                    self.adopt(now, arriving);
                    self.hand_over(now);
                }
                Ok(Command::Stop) => return true,
                Err(_) => return false,
            }
        }
        // More may wait, and their wake-ups have been merged into the one just handled.
        self.more_commands = true;
        false
    }

    fn finish(mut self) {
        let now = clock();
        let mut wire = Wire { sockets: &mut self.sockets, taps: &mut self.links.taps, patience: Some(now + DRAIN_MAX) };
        self.engine.close_all(now, &mut wire);
        self.tell_control();
    }

    /// Hands on what the engine has to say, and publishes the totals.
    pub fn tell_control(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            (self.links.on_event)(event);
        }
        self.links.published.store(self.engine.counters(), &self.sockets.counters);
    }

    /// What the sockets have counted.
    #[cfg(test)]
    pub fn counters(&self) -> super::SocketCounters {
        self.sockets.counters
    }
}

#[expect(clippy::disallowed_methods, reason = "a media thread owns its clock and hands time to the engine")]
fn clock() -> Instant {
    Instant::now()
}
