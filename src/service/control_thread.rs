//! The thread that owns the [`Switch`]: one queue in, effects out, no lock on a decision.
//!
//! ```text
//! SIP sockets ─┐                        ┌─▶ SIP sockets
//! desks, jobs ─┼─▶ [ handle → outputs ] ┼─▶ media threads · spool · live ring · look-ups
//! media ───────┘                        └── next_timeout() is how long it sleeps
//! ```

use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use mio::{Events, Poll, Token, Waker};

use super::{clock, datagram_batches::DATAGRAM, sip_sockets::SipSockets};
use crate::{
    domain::{
        customer::brief::Brief,
        fact::{CustomerChoice, Fact},
        live::{DeskCommand, LiveFact, QueueView},
        media::plan::{MediaCommand, MediaEvent},
        switch::{Input, LookUp, Output, PeopleSnapshot, Switch},
    },
    ids::InteractionId,
    time::UnixMs,
};

/// Messages that may wait; media's use the whole of it, desks' half, so that a busy desk cannot make media wait.
const QUEUE: usize = 16_384;
/// How long messages are served before the sockets are read again: some hundred datagrams fit into the kernel's smallest buffer.
const WORK_SLICE: Duration = Duration::from_millis(2);
/// Messages taken from the queue before the sockets have their turn.
const MESSAGE_BUDGET: usize = 256;
const WAKE: Token = Token(usize::MAX);
/// Longest sleep, so that the metrics below stay fresh on an idle server.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// What other threads tell control.
#[derive(Debug)]
pub enum ControlMessage {
    /// A desk did something.
    Desk(DeskCommand),
    /// The record answered.
    Brief {
        /// The call.
        interaction: InteractionId,
        /// What the agent is to see.
        brief: Box<Brief>,
        /// How the customer was found.
        choice: CustomerChoice,
    },
    /// A media thread tells something.
    Media(MediaEvent),
    /// Who works here.
    People(Box<PeopleSnapshot>),
    /// An alarm of another part; `None` takes it back.
    Alarm {
        /// Which part.
        part: &'static str,
        /// One sentence with the remedy.
        sentence: Option<String>,
    },
    /// A day begins: the queues' figures start from zero.
    Day {
        /// Its beginning.
        from: UnixMs,
    },
    /// The name of a trunk was looked up.
    TrunkAddresses {
        /// The trunk's place in the configuration.
        trunk: usize,
        /// Its addresses, first choice first.
        addresses: Vec<std::net::SocketAddr>,
    },
    /// End all calls and stop.
    Shutdown,
}

/// The way in; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlHandle {
    queue: Sender<ControlMessage>,
    waker: Arc<Waker>,
    refused: Arc<AtomicU64>,
    status: Arc<Status>,
}

/// What control last said of itself, for metrics and readiness.
#[derive(Debug, Default)]
pub struct Status {
    text: std::sync::Mutex<String>,
    ready: std::sync::atomic::AtomicBool,
    stopping: std::sync::atomic::AtomicBool,
}

impl ControlHandle {
    /// Tells control; false when the queue is full, which is counted.
    pub fn send(&self, message: ControlMessage) -> bool {
        let desk_waits = matches!(message, ControlMessage::Desk(_)) && self.queue.len() > QUEUE / 2;
        let sent = !desk_waits && !matches!(self.queue.try_send(message), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)));
        if !sent {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        // A failed wake-up only means that control looks within MAX_SLEEP.
        let _ = self.waker.wake();
        sent
    }

    /// The switch's metrics in Prometheus' text form.
    pub fn metrics(&self) -> String {
        let text = self.status.text.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        format!("{text}throughline_control_refused_total {}\n", self.refused.load(Ordering::Relaxed))
    }

    /// Why no new calls are taken; `None` when they are.
    pub fn not_ready(&self) -> Option<&'static str> {
        let (ready, stopping) = (self.status.ready.load(Ordering::Relaxed), self.status.stopping.load(Ordering::Relaxed));
        match (ready, stopping) {
            (true, _) => None,
            (false, true) => Some("draining: running calls go on, new ones are refused"),
            (false, false) => Some("the switch takes no new calls"),
        }
    }
}

/// Where outputs go. None of them may wait.
pub struct Effects {
    /// To a media thread; control reserved the room.
    pub media: Box<dyn FnMut(u16, MediaCommand) + Send>,
    /// To the record.
    pub look_up: Box<dyn FnMut(LookUp) + Send>,
    /// To the spool.
    pub fact: Box<dyn FnMut(Fact) + Send>,
    /// To the desks.
    pub live: Box<dyn FnMut(LiveFact) + Send>,
}

/// The poll and the queue, made before the parts that need the handle.
pub struct Control {
    poll: Poll,
    queue: Receiver<ControlMessage>,
    handle: ControlHandle,
}

impl Control {
    /// Prepares the thread.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, queue) = crossbeam_channel::bounded(QUEUE);
        let handle = ControlHandle { queue: sender, waker, refused: Arc::default(), status: Arc::default() };
        Ok(Self { poll, queue, handle })
    }

    /// The way in.
    pub fn handle(&self) -> ControlHandle {
        self.handle.clone()
    }

    /// Starts the thread; it ends when the switch has shut down.
    pub fn start(self, switch: Switch, mut sockets: SipSockets, effects: Effects) -> io::Result<thread::JoinHandle<()>> {
        sockets.register(self.poll.registry())?;
        let Self { poll, queue, handle } = self;
        let mut running = Running { switch, sockets, effects, queue, status: handle.status, buffer: vec![0; DATAGRAM], stopping: false };
        thread::Builder::new().name("control".to_owned()).spawn(move || running.run(poll))
    }
}

struct Running {
    switch: Switch,
    sockets: SipSockets,
    effects: Effects,
    queue: Receiver<ControlMessage>,
    status: Arc<Status>,
    buffer: Vec<u8>,
    stopping: bool,
}

impl Running {
    fn run(&mut self, mut poll: Poll) {
        let mut events = Events::with_capacity(256);
        let mut unread: Vec<usize> = self.sockets.tokens().collect();
        self.publish_status();
        let mut published = clock::now().mono;
        loop {
            let busy = !unread.is_empty() || !self.queue.is_empty() || self.switch.has_work();
            let sleep = if busy { Duration::ZERO } else { self.until_timeout() };
            if let Err(error) = poll.poll(&mut events, Some(sleep))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the control thread cannot wait for its sockets; the server stops");
                return;
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                if event.is_writable() {
                    self.sockets.writable(event.token().0);
                }
                unread.push(event.token().0);
            }
            unread.sort_unstable();
            unread.dedup();
            unread.retain(|token| self.read_socket(*token));
            self.sockets.flush();
            self.work();
            self.sockets.flush();
            self.read_queue();
            unread.extend(self.handle_timeout());
            self.sockets.flush();
            let now = clock::now().mono;
            if now.duration_since(published) >= MAX_SLEEP || self.switch.is_ready() != self.status.ready.load(Ordering::Relaxed) {
                self.publish_status();
                published = now;
            }
            if self.stopping && self.switch.is_idle() {
                return;
            }
        }
    }

    fn until_timeout(&mut self) -> Duration {
        let next = self.switch.next_timeout().into_iter().chain(self.sockets.streams_mut().next_timeout()).min();
        next.map_or(MAX_SLEEP, |at| at.saturating_duration_since(clock::now().mono).min(MAX_SLEEP))
    }

    /// Runs what is due; sockets that may be read again come back.
    fn handle_timeout(&mut self) -> std::ops::Range<usize> {
        let now = clock::now();
        let again = self.sockets.streams_mut().handle_timeout(now.mono);
        if self.switch.next_timeout().is_some_and(|at| at <= now.mono) {
            self.switch.handle_timeout(now);
        }
        self.drain();
        again
    }

    /// Reads up to the budget into the switch's intake; true when there may be more.
    fn read_socket(&mut self, token: usize) -> bool {
        let (now, switch) = (clock::now(), &mut self.switch);
        let more = self.sockets.read(now.mono, token, &mut self.buffer, &mut |flow, bytes| switch.offer(now, flow, bytes));
        self.drain();
        more
    }

    /// Serves what waits in the intake, but returns to the sockets before the kernel's buffers are full.
    fn work(&mut self) {
        let mut now = clock::now();
        let until = now.mono + WORK_SLICE;
        while now.mono < until && self.switch.work(now) {
            self.drain();
            now = clock::now();
        }
    }

    fn read_queue(&mut self) {
        for _ in 0..MESSAGE_BUDGET {
            let Ok(message) = self.queue.try_recv() else { return };
            let input = match message {
                ControlMessage::Desk(command) => Input::Desk(command),
                ControlMessage::Brief { interaction, brief, choice } => Input::Brief { interaction, brief, choice },
                ControlMessage::Media(event) => Input::Media(event),
                ControlMessage::People(people) => Input::People(*people),
                ControlMessage::TrunkAddresses { trunk, addresses } => Input::TrunkAddresses { trunk, addresses },
                ControlMessage::Alarm { part, sentence } => Input::Alarm { part, sentence },
                ControlMessage::Day { from } => Input::Day { from, figures: BTreeMap::new() },
                ControlMessage::Shutdown => {
                    self.stopping = true;
                    Input::Shutdown
                }
            };
            self.switch.handle(clock::now(), input);
            self.drain();
        }
    }

    /// Does what the switch wants done, and tells it of connections that ended over it.
    fn drain(&mut self) {
        loop {
            let now = clock::now().mono;
            self.drain_outputs(now);
            let sockets = &mut self.sockets;
            self.switch.drain_refusals(|flow, bytes| sockets.send(now, flow, bytes, false));
            let Some(flow) = self.sockets.streams_mut().next_closed() else { return };
            self.switch.handle(clock::now(), Input::FlowClosed { flow });
        }
    }

    fn drain_outputs(&mut self, now: Instant) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { flow, bytes, connect } => self.sockets.send(now, flow, &bytes, connect),
                Output::Trust { flow } => self.sockets.streams_mut().trust(flow),
                Output::Media { thread, command } => (self.effects.media)(thread, command),
                Output::LookUp(look_up) => (self.effects.look_up)(look_up),
                Output::Fact(fact) => (self.effects.fact)(fact),
                Output::Live(fact) => (self.effects.live)(fact),
                Output::Mistake(what) => tracing::error!(what, "the reaper found something without an owner and let it go"),
            }
        }
    }

    /// Leaves the counters where the metrics page finds them; skipped when the page is being read right now.
    fn publish_status(&self) {
        self.status.stopping.store(self.switch.is_stopping(), Ordering::Relaxed);
        self.status.ready.store(self.switch.is_ready(), Ordering::Relaxed);
        if let Ok(mut text) = self.status.text.try_lock() {
            text.clear();
            let gauges = self.switch.gauges();
            for (name, value) in [
                ("calls", gauges.calls),
                ("calls_talking", gauges.talking),
                ("calls_held", gauges.held),
                ("calls_waiting", gauges.waiting),
                ("agents_ready", gauges.agents_ready),
            ] {
                let _ = writeln!(text, "throughline_{name} {value}");
            }
            queue_lines(&mut text, &self.switch.queue_views(), clock::now().wall);
            for (counter, total) in self.switch.counters().iter() {
                let _ = writeln!(text, "throughline_{}_total {total}", counter.label());
            }
            for (name, total) in self.switch.transaction_counters() {
                let _ = writeln!(text, "throughline_sip_{name}_total {total}");
            }
            self.switch.write_scores(&mut text);
            let _ = writeln!(text, "throughline_sip_send_failures_total {}", self.sockets.send_failures);
            let _ = writeln!(text, "throughline_sip_connections {}", self.sockets.streams().len());
            for (reason, total) in self.sockets.streams().counters() {
                let _ = writeln!(text, "throughline_sip_connections_closed_total{{reason=\"{reason}\"}} {total}");
            }
        }
    }
}

/// The queues now and today, a line per figure and queue.
fn queue_lines(text: &mut String, queues: &[QueueView], now: UnixMs) {
    for queue in queues {
        let name = queue.queue.replace(['\\', '"', '\n'], "_");
        let longest_s = queue.longest_since.map_or(0, |since| u64::try_from(now.0 - since.0).unwrap_or(0) / 1_000);
        for (figure, value) in [
            ("waiting", u64::from(queue.waiting)),
            ("longest_wait_seconds", longest_s),
            ("offered_today", queue.offered),
            ("answered_today", queue.answered),
            ("answered_in_time_today", queue.answered_in_time),
            ("abandoned_today", queue.abandoned),
            ("abandoned_short_today", queue.abandoned_short),
            ("turned_away_today", queue.turned_away),
            ("longest_wait_today_seconds", queue.longest_ms / 1_000),
        ] {
            let _ = writeln!(text, "throughline_queue_{figure}{{queue=\"{name}\"}} {value}");
        }
        // Before the first call of the day there is no level: a line that is missing is better than a wrong one.
        for (figure, value) in
            [("service_level_percent", queue.service_level.map(u64::from)), ("average_answer_ms_today", queue.average_answer_ms)]
        {
            if let Some(value) = value {
                let _ = writeln!(text, "throughline_queue_{figure}{{queue=\"{name}\"}} {value}");
            }
        }
    }
}
