//! The threads that own media sockets: each has its pool of port pairs, its epoll and its engine, and shares nothing.
//!
//! ```text
//! control ── send ──▶ bounded channel + waker ──▶ ┌ worker ─────────────┐ ──▶ taps: bounded, drops with a count
//! sockets ── epoll, edge-triggered ─────────────▶ │ Engine, no locks    │ ──▶ on_event: control's own channel
//! other workers ── legs that move, with sockets ▶ └─────────────────────┘ ──▶ send
//! ```
//! A call has one place for a plan that waits to be read, so that a newer one replaces it and none is ever refused.

mod pool;
mod priority;
mod sockets;
#[cfg(test)]
pub(super) mod wire_marks;
mod worker;

use std::{
    collections::HashMap,
    fmt, io,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Sender, TrySendError, bounded};
use crossbeam_utils::atomic::AtomicCell;
use mio::Waker;

use crate::{
    domain::media::{
        clip::ClipStore,
        counters::{Counters, DropReason},
        engine::{EngineConfig, SILENCE_LIMIT},
        handover::MovedLeg,
        plan::{MediaCommand, MediaEvent, MediaPlan, PortPair},
    },
    ids::{InteractionId, LegId},
    service::taps::TapSender,
};

/// Commands that may wait for one thread beyond those that pairs of ports can cause.
const COMMANDS_SPARE: usize = 64;
/// Commands that wait at most for each pair of all threads: its call's newest plan and close, its leg's leaving and coming.
const COMMANDS_PER_PAIR: usize = 4;

/// What the media threads are started with.
#[derive(Clone, Debug)]
pub struct MediaThreadsConfig {
    /// The addresses that media sockets are bound to: one of each IP version at most. Every pair has sockets on each.
    pub bind: Vec<IpAddr>,
    /// UDP ports; each leg takes an even one for RTP and the next for RTCP.
    pub ports: RangeInclusive<u16>,
    /// How many threads; one for each core that media may use.
    pub threads: u16,
    /// Silence that is reported to control.
    pub silence_limit: Duration,
    /// Ask the system to prefer these threads; where it refuses, they run as others do.
    pub raise_priority: bool,
    /// What players may play.
    pub clips: ClipStore,
}

impl MediaThreadsConfig {
    /// The usual settings on this address and these ports: one thread.
    pub fn new(bind: IpAddr, ports: RangeInclusive<u16>) -> Self {
        Self { bind: vec![bind], ports, threads: 1, silence_limit: SILENCE_LIMIT, raise_priority: true, clips: ClipStore::default() }
    }
}

/// Why media cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MediaStartError {
    /// The range holds no even port followed by another.
    #[error("the media ports {first}–{last} hold no pair: give a range with at least one even port and the next, such as 20000–29999")]
    NoPair {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// No media thread was asked for.
    #[error("at least one media thread is needed")]
    NoThread,
    /// Every port of the range belongs to somebody else.
    #[error("all media ports {first}–{last} on {bind} are in use: stop the program that holds them (ss -lunp) or choose another range")]
    AllInUse {
        /// The addresses.
        bind: String,
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// The process may not open so many sockets.
    #[error(
        "the media ports {first}–{last} need {needed} sockets and the limit of open files is reached: raise it (ulimit -n, LimitNOFILE=) or choose a smaller range"
    )]
    TooManyOpenFiles {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
        /// Sockets that the range needs.
        needed: usize,
    },
    /// The address is not one of this machine's, or the port is privileged.
    #[error(
        "cannot bind media port {port} of {first}–{last} on {bind}: {source}; is this an address of this machine, and are the ports above 1023?"
    )]
    Bind {
        /// The address.
        bind: IpAddr,
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
        /// The port that failed.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The system refused something that a media thread needs.
    #[error("cannot start a media thread: {0}")]
    System(#[from] io::Error),
}

/// Why a command did not reach its media thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MediaSendError {
    /// There is no such thread.
    #[error("there is no media thread {0}")]
    NoSuchThread(u16),
    /// More commands wait than its calls can cause.
    #[error("the media thread does not keep up: its commands are full")]
    Full,
    /// It has ended.
    #[error("the media thread has ended")]
    Stopped,
}

/// The newest plan of one call that has not been read.
#[derive(Default)]
struct PlanSlot(AtomicCell<Option<Box<MediaPlan>>>);

/// What a worker is told.
enum Command {
    /// There is a plan to be read.
    Plan(Arc<PlanSlot>),
    Close(InteractionId),
    Evict {
        call: InteractionId,
        legs: Vec<LegId>,
        into: InteractionId,
        to: u16,
    },
    /// Legs come from another thread.
    Adopt(Vec<Arriving>),
    Stop,
}

/// A leg between two threads.
struct Arriving {
    moved: MovedLeg,
    sockets: pool::SocketPair,
}

/// The ways into all workers, known to each before any of them runs.
type Peers = Arc<OnceLock<Vec<(Sender<Command>, Arc<Waker>)>>>;

/// What a worker counts beyond its engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocketCounters {
    /// Packets that the kernel had no room for.
    pub send_blocked: u64,
    /// Packets that the kernel refused to send.
    pub send_failed: u64,
    /// Panics caught in a leg's step.
    pub panics: u64,
    /// Sockets that could not be connected to their peer, or to nobody again.
    pub connect_failed: u64,
}

const ENGINE_FIELDS: usize = 9;
const SOCKET_FIELDS: usize = 4;

/// One thread's totals, published after each round.
struct Published([AtomicU64; ENGINE_FIELDS + SOCKET_FIELDS + DropReason::ALL.len()]);

impl Published {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn store(&self, engine: &Counters, sockets: &SocketCounters) {
        let Counters { received, sent, encoded, rtcp_received, rtcp_sent, new_sources, stale_plans, refused_legs, failed_legs, dropped } =
            *engine;
        let head: [u64; ENGINE_FIELDS] =
            [received, sent, encoded, rtcp_received, rtcp_sent, new_sources, stale_plans, refused_legs, failed_legs];
        let own = [sockets.send_blocked, sockets.send_failed, sockets.panics, sockets.connect_failed];
        for (place, value) in self.0.iter().zip(head.into_iter().chain(own).chain(dropped)) {
            place.store(value, Ordering::Relaxed);
        }
    }

    fn add_to(&self, total: &mut MediaCounters) {
        let Counters { received, sent, encoded, rtcp_received, rtcp_sent, new_sources, stale_plans, refused_legs, failed_legs, dropped } =
            &mut total.engine;
        let head = [received, sent, encoded, rtcp_received, rtcp_sent, new_sources, stale_plans, refused_legs, failed_legs];
        let own =
            [&mut total.sockets.send_blocked, &mut total.sockets.send_failed, &mut total.sockets.panics, &mut total.sockets.connect_failed];
        for (place, value) in self.0.iter().zip(head.into_iter().chain(own).chain(dropped)) {
            *value += place.load(Ordering::Relaxed);
        }
    }
}

/// Totals over all media threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MediaCounters {
    /// What the engines count.
    pub engine: Counters,
    /// What the sockets count.
    pub sockets: SocketCounters,
}

struct Thread {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    /// Calls that have been given a plan and no close. Senders share it; the worker never touches it.
    plans: Mutex<HashMap<InteractionId, Arc<PlanSlot>>>,
    published: Arc<Published>,
    join: Option<JoinHandle<()>>,
}

/// The running media threads; dropping them shuts them down.
pub struct MediaThreads {
    threads: Vec<Thread>,
    ports: Vec<PortPair>,
}

impl fmt::Debug for MediaThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaThreads").field("threads", &self.threads.len()).field("pairs", &self.ports.len()).finish()
    }
}

impl MediaThreads {
    /// Binds all ports and starts the threads.
    ///
    /// `on_event` runs on a media thread: it must hand the event on and return at once, without waiting or panicking.
    /// Ports of the range that another program holds are left out, with a warning.
    ///
    /// # Errors
    /// See [`MediaStartError`]: each names the range and the remedy.
    pub fn start(
        config: MediaThreadsConfig,
        taps: TapSender,
        on_event: impl Fn(MediaEvent) + Send + Sync + 'static,
    ) -> Result<Self, MediaStartError> {
        let pools = pool::bind(&config)?;
        let mut ports: Vec<PortPair> = pools.iter().flatten().map(|pair| pair.ports).collect();
        ports.sort_unstable_by_key(|pair| pair.rtp_port);
        let on_event: worker::OnEvent = Arc::new(on_event);
        let room = ports.len() * COMMANDS_PER_PAIR + COMMANDS_SPARE;
        let peers: Peers = Arc::default();
        let mut workers = Vec::with_capacity(pools.len());
        for (thread, pairs) in (0..).zip(pools) {
            let (commands, inbox) = bounded(room);
            let published = Arc::new(Published::new());
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(io::Error::from)?;
            let engine = EngineConfig { thread, seed, silence_limit: config.silence_limit, clips: config.clips.clone() };
            let links = worker::Links {
                commands: inbox,
                taps: taps.clone(),
                on_event: Arc::clone(&on_event),
                published: Arc::clone(&published),
                peers: Arc::clone(&peers),
            };
            let (worker, waker) = worker::Worker::new(engine, config.ports.clone(), pairs, links)?;
            workers.push((worker, Thread { commands, waker, plans: Mutex::default(), published, join: None }));
        }
        let ways = workers.iter().map(|(_, thread)| (thread.commands.clone(), Arc::clone(&thread.waker))).collect();
        // Set once, here.
        let _ = peers.set(ways);
        let mut running = Self { threads: Vec::with_capacity(workers.len()), ports };
        for (n, (worker, thread)) in workers.into_iter().enumerate() {
            let raise_priority = config.raise_priority;
            let join = std::thread::Builder::new().name(format!("media-{n}")).spawn(move || {
                if raise_priority {
                    priority::raise();
                }
                worker.run();
            })?;
            running.threads.push(Thread { join: Some(join), ..thread });
        }
        Ok(running)
    }

    /// Every pair of ports that is bound, by port.
    pub fn ports(&self) -> Vec<PortPair> {
        self.ports.clone()
    }

    /// Hands a command to the thread that holds the call's ports; never waits.
    ///
    /// There is room for every plan and close of as many calls as there are pairs of ports.
    ///
    /// # Errors
    /// When it cannot be taken; a call that gets this is in trouble and should be ended.
    pub fn send(&self, thread: u16, command: MediaCommand) -> Result<(), MediaSendError> {
        let target = self.threads.get(usize::from(thread)).ok_or(MediaSendError::NoSuchThread(thread))?;
        let mut plans = target.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let command = match command {
            MediaCommand::Plan(plan) => {
                let slot = Arc::clone(plans.entry(plan.call).or_default());
                let unread = slot.0.swap(Some(Box::new(plan))).is_some();
                if unread {
                    return Ok(());
                }
                Command::Plan(slot)
            }
            MediaCommand::Close { call } => {
                plans.remove(&call);
                Command::Close(call)
            }
            MediaCommand::Evict { call, legs, into, to } => Command::Evict { call, legs, into, to },
        };
        drop(plans);
        target.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => MediaSendError::Full,
            TrySendError::Disconnected(_) => MediaSendError::Stopped,
        })?;
        target.waker.wake().map_err(|_| MediaSendError::Stopped)
    }

    /// Totals over all threads, as of each one's last round.
    pub fn counters(&self) -> MediaCounters {
        let mut total = MediaCounters::default();
        for thread in &self.threads {
            thread.published.add_to(&mut total);
        }
        total
    }

    /// Closes every call, its tracks included, and ends the threads.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        for thread in &self.threads {
            // A full channel is drained by the worker within a round; a disconnected one has ended already.
            let _ = thread.commands.send_timeout(Command::Stop, worker::DRAIN_MAX);
            let _ = thread.waker.wake();
        }
        for thread in &mut self.threads {
            if let Some(join) = thread.join.take()
                && join.join().is_err()
            {
                tracing::error!("a media thread ended by a panic outside any leg");
            }
        }
    }
}

impl Drop for MediaThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
