//! One media thread: waits for sockets, commands and time, and steps its engine.
//!
//! A panic inside a leg's step is caught here: that leg's media ends and control is told; the others go on.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use mio::{Events, Interest, Poll, Token, Waker};

use super::{Command, Published, SocketCounters, pool::SocketPair};
use crate::domain::media::{
    engine::{Engine, EngineConfig, Outlet, Transmit},
    plan::{MediaCommand, MediaEvent},
    tap::Tap,
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
    pub taps: Sender<Tap>,
    pub on_event: OnEvent,
    pub published: Arc<Published>,
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

struct Sockets {
    pairs: Vec<SocketPair>,
    /// Place in `pairs` by (RTP port − lowest) / 2; `u32::MAX` where another thread has it.
    places: Box<[u32]>,
    lowest: u16,
    counters: SocketCounters,
}

impl Sockets {
    fn new(pairs: Vec<SocketPair>) -> Self {
        let lowest = pairs.iter().map(|pair| pair.ports.rtp_port).min().unwrap_or(0);
        let highest = pairs.iter().map(|pair| pair.ports.rtp_port).max().unwrap_or(0);
        let mut places = vec![u32::MAX; usize::from((highest - lowest) / 2) + 1].into_boxed_slice();
        for (place, pair) in (0..).zip(&pairs) {
            places[usize::from((pair.ports.rtp_port - lowest) / 2)] = place;
        }
        Self { pairs, places, lowest, counters: SocketCounters::default() }
    }

    fn pair(&self, rtp_port: u16) -> Option<&SocketPair> {
        let place = *self.places.get(usize::from(rtp_port.checked_sub(self.lowest)? / 2))?;
        self.pairs.get(place as usize)
    }
}

/// The engine's way out: this thread's sockets and the tap.
pub(super) struct Wire<'a> {
    sockets: &'a mut Sockets,
    taps: &'a Sender<Tap>,
    /// Until when a full tap is waited for; only at shutdown.
    patience: Option<Instant>,
}

impl Outlet for Wire<'_> {
    fn transmit(&mut self, transmit: Transmit<'_>) {
        let Some(pair) = self.sockets.pair(transmit.ports.rtp_port) else { return };
        let socket = if transmit.rtcp { &pair.rtcp } else { &pair.rtp };
        match socket.send_to(transmit.bytes, transmit.destination) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.sockets.counters.send_blocked += 1,
            Err(_) => self.sockets.counters.send_failed += 1,
        }
    }

    fn tap(&mut self, tap: Tap) -> Option<Tap> {
        let refused = match (self.taps.try_send(tap), self.patience) {
            (Ok(()), _) => return None,
            (Err(TrySendError::Full(tap)), Some(until)) => {
                return self.taps.send_deadline(tap, until).err().map(|error| error.into_inner());
            }
            (Err(refused), _) => refused,
        };
        match refused {
            TrySendError::Full(tap) => Some(tap),
            // Nobody listens any more: keeping the message would keep it for ever.
            TrySendError::Disconnected(_) => None,
        }
    }
}

impl Worker {
    pub fn new(config: EngineConfig, mut pairs: Vec<SocketPair>, links: Links) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        for (place, pair) in pairs.iter_mut().enumerate() {
            poll.registry().register(&mut pair.rtp, Token(2 * place), Interest::READABLE)?;
            poll.registry().register(&mut pair.rtcp, Token(2 * place + 1), Interest::READABLE)?;
        }
        let worker =
            Self { poll, engine: Engine::new(config), sockets: Sockets::new(pairs), links, unread: VecDeque::new(), more_commands: false };
        Ok((worker, waker))
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            let timeout = if self.unread.is_empty() && !self.more_commands {
                self.engine.next_timeout().map(|at| at.saturating_duration_since(clock()))
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
        if self.panics(now, |engine, now, wire| engine.handle_command(now, command, wire)) {
            self.engine.abandon(now, call);
            tracing::error!(%call, "a mistake of ours ended one call's media; other calls go on");
        }
    }

    fn panics(&mut self, now: Instant, run: impl FnOnce(&mut Engine, Instant, &mut Wire<'_>)) -> bool {
        let mut wire = Wire { sockets: &mut self.sockets, taps: &self.links.taps, patience: None };
        let engine = &mut self.engine;
        let panicked = catch_unwind(AssertUnwindSafe(|| run(engine, now, &mut wire))).is_err();
        self.sockets.counters.panics += u64::from(panicked);
        panicked
    }

    fn read(&mut self, token: usize, buffer: &mut [u8; DATAGRAM_MAX]) {
        let is_rtcp = token % 2 == 1;
        for _ in 0..SOCKET_BUDGET {
            let Some(pair) = self.sockets.pairs.get(token / 2) else { return };
            let socket = if is_rtcp { &pair.rtcp } else { &pair.rtp };
            let ports = pair.ports;
            match socket.recv_from(buffer) {
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
                Ok(Command::Media(command)) => self.command(clock(), command),
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
        let mut wire = Wire { sockets: &mut self.sockets, taps: &self.links.taps, patience: Some(now + DRAIN_MAX) };
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
    pub fn counters(&self) -> SocketCounters {
        self.sockets.counters
    }
}

/// Prefers this thread over others (nice −10), where permitted.
#[expect(unsafe_code, reason = "setpriority has no safe wrapper here; it takes plain integers and touches no memory")]
pub(super) fn raise_priority() {
    // SAFETY: `setpriority` reads its three integer arguments and nothing else; 0 means the calling thread on Linux.
    let refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) } != 0;
    if refused {
        tracing::debug!("media threads run with ordinary priority: the system does not permit more");
    }
}

#[expect(clippy::disallowed_methods, reason = "a media thread owns its clock and hands time to the engine")]
fn clock() -> Instant {
    Instant::now()
}
