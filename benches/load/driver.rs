//! Callers, phones and desks in one thread: one epoll, no state at the phones, as little as possible at the callers.
//!
//! Nothing is sent twice: what the server or the kernel loses is counted as lost, so that a figure never hides a repetition.

mod messages;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use mio::{Interest, Poll, Token, net::UdpSocket};
use throughline::protocol::sip::field::Method;

use super::{
    desk::Desk,
    server::{CALLED, Server, TRUNK, password},
    sip::{self, Account, Ask, Place},
    stats::Samples,
};

/// A REGISTER without an answer is sent anew after this long (RFC 3261: T1).
const RETRY: Duration = Duration::from_millis(500);
/// A call that is not through by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(8);
const DESKS: usize = 1 << 20;
/// The line of the trunk; phones follow.
const TRUNK_LINE: usize = 0;

/// Who calls whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// From the trunk to the queue, with brief, pop, acknowledgement and wrap-up.
    Queue,
    /// From one phone to the next, which is free.
    Phones,
    /// The same, whether it is free or not.
    BusyPhones,
}

/// When calls begin.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many at a time, each followed by the next.
    AtOnce(usize),
    /// So many a second, whatever becomes of them.
    PerSecond(f64),
}

/// What is to be called.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub kind: Kind,
    pub pace: Pace,
    /// How long both talk; `None` talks on until told.
    pub talk: Option<Duration>,
    /// For how long calls are begun, and how many at most.
    pub time: Duration,
    pub calls: u64,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Outcome {
    pub begun: u64,
    pub talked: u64,
    pub completed: u64,
    pub lost: u64,
    /// By status.
    pub refused: BTreeMap<u16, u64>,
    /// Our INVITE to the INVITE at the phone.
    pub invite: Samples,
    /// Our BYE to its 200.
    pub bye: Samples,
    /// Our INVITE to the pop at the desk.
    pub pop: Samples,
    /// The offer decided, by the server's clock in milliseconds, to the pop at the desk.
    pub offer: Samples,
    pub seconds: f64,
}

enum State {
    Inviting,
    Talking,
    Ending(Instant),
}

struct Call {
    serial: u64,
    line: usize,
    kind: Kind,
    user: String,
    target: String,
    to: String,
    cseq: u32,
    began: Instant,
    state: State,
    challenged: bool,
    /// Its time is over: it ends as soon as it is answered.
    over: bool,
    /// The server's ports towards caller and phone.
    ports: [u16; 2],
}

struct Line {
    socket: UdpSocket,
    local: SocketAddr,
    account: Option<Account>,
    registered: Option<Instant>,
    asked: Option<Instant>,
    /// When the last REGISTER left, and how long its answer may take before it is sent anew.
    sent: Instant,
    patience: Duration,
    cseq: u32,
    tries: u32,
}

/// The whole load.
pub struct Driver<'a> {
    server: &'a Server,
    poll: Poll,
    lines: Vec<Line>,
    desks: Vec<Desk>,
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
    by_user: HashMap<String, usize>,
    /// Pairs of phones that are not in a call.
    pairs: VecDeque<usize>,
    ends: VecDeque<(Instant, usize, u64)>,
    losses: VecDeque<(Instant, usize, u64)>,
    serial: u64,
    live: usize,
    inviting: usize,
    /// A caller who was told that there is no room waits a moment; the next one does too.
    held_back_until: Instant,
    out: Vec<u8>,
    outcome: Outcome,
    /// When the run began, and when its last call may have.
    began: Instant,
    last: Instant,
    /// Where both sides want their RTP, and in which codec.
    pub media: [(SocketAddr, u8); 2],
    /// The number of a caller; the argument counts calls.
    pub number: Box<dyn Fn(u64) -> String>,
    /// How long first REGISTER to 200 took, and the refused.
    pub registrations: (Samples, BTreeMap<u16, u64>),
    /// REGISTER requests that were sent anew for want of an answer.
    pub again: u64,
}

impl<'a> Driver<'a> {
    /// A trunk, and phones with these users, all at one address.
    pub fn new(server: &'a Server, users: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        Self::spread(server, users, |_| [127, 0, 0, 1].into())
    }

    /// The same with an address for each phone, counted from 1.
    pub fn spread(server: &'a Server, users: impl Iterator<Item = String>, address: impl Fn(usize) -> IpAddr) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut lines = Vec::new();
        let accounts = users.map(|user| Some(Account::new(user.clone(), password(&user))));
        for (n, account) in std::iter::once(None).chain(accounts).enumerate() {
            let ip = if n == TRUNK_LINE { TRUNK.into() } else { address(n) };
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
            let _ = socket.set_recv_buffer_size(if n == TRUNK_LINE { 8 << 20 } else { 1 << 18 });
            socket.set_nonblocking(true)?;
            socket.bind(&SocketAddr::new(ip, 0).into()).context("a phone's socket")?;
            let mut socket = UdpSocket::from_std(socket.into());
            poll.registry().register(&mut socket, Token(n), Interest::READABLE)?;
            let local = socket.local_addr()?;
            lines.push(Line {
                socket,
                local,
                account,
                registered: None,
                asked: None,
                sent: Instant::now(),
                patience: RETRY,
                cseq: 0,
                tries: 0,
            });
        }
        let nowhere = (SocketAddr::from(([127, 0, 0, 1], 9)), 8);
        Ok(Self {
            server,
            poll,
            pairs: (0..(lines.len() - 1) / 2).collect(),
            lines,
            desks: Vec::new(),
            calls: Vec::new(),
            free: Vec::new(),
            by_user: HashMap::new(),
            ends: VecDeque::new(),
            losses: VecDeque::new(),
            serial: 0,
            live: 0,
            inviting: 0,
            held_back_until: Instant::now(),
            out: Vec::new(),
            outcome: Outcome::default(),
            began: Instant::now(),
            last: Instant::now(),
            media: [nowhere; 2],
            number: Box::new(|n| format!("+4479{:08}", n % 100_000_000)),
            registrations: Default::default(),
            again: 0,
        })
    }

    /// Registers all phones at this pace, and waits for the last.
    pub fn register(&mut self, per_second: f64) -> anyhow::Result<()> {
        let begin = Instant::now();
        let phones = self.lines.len() - 1;
        let patience = Duration::from_secs_f64(phones as f64 / per_second) + LOST_AFTER;
        let (mut asked, mut looked) = (0, begin);
        while begin.elapsed() < patience && self.lines[1..].iter().any(|line| line.registered.is_none()) {
            let due = ((begin.elapsed().as_secs_f64() * per_second) as usize + 1).min(phones);
            while asked < due {
                asked += 1;
                self.send_register(asked);
            }
            if looked.elapsed() >= RETRY / 5 {
                looked = Instant::now();
                self.register_again(asked);
            }
            self.turn(Duration::from_millis(1))?;
        }
        Ok(())
    }

    /// Those who were not answered ask anew, after twice the time each time.
    fn register_again(&mut self, asked: usize) {
        for n in 1..=asked {
            let line = &mut self.lines[n];
            if line.registered.is_none() && line.sent.elapsed() >= line.patience {
                (line.tries, line.patience) = (0, (2 * line.patience).min(8 * RETRY));
                self.again += 1;
                self.send_register(n);
            }
        }
    }

    /// How many phones are registered.
    pub fn registered(&self) -> usize {
        self.lines.iter().filter(|line| line.registered.is_some()).count()
    }

    fn send_register(&mut self, n: usize) {
        let server = self.server.sip();
        let line = &mut self.lines[n];
        let Some(account) = &mut line.account else { return };
        line.cseq += 1;
        line.sent = Instant::now();
        line.asked.get_or_insert_with(Instant::now);
        let target = format!("sip:{server}");
        let extra = format!("{}Expires: 300\r\n", account.line(&Method::Register, &target));
        let (call_id, to) = (format!("r{n}x{}", line.local.port()), format!("<sip:{}@{server}>", account.user));
        let place = Place { local: line.local, user: &account.user, server, call_id: &call_id };
        place.request(&mut self.out, &Ask { method: "REGISTER", target: &target, to: &to, cseq: line.cseq, extra: &extra, body: "" });
        self.send(n);
    }

    /// Opens the agents' desks: all are ready afterwards.
    pub fn open_desks(&mut self) -> anyhow::Result<()> {
        for (n, token) in self.server.tokens.iter().enumerate() {
            let mut desk = Desk::open(self.server.http(), token)?;
            self.poll.registry().register(&mut desk.stream, Token(DESKS + n), Interest::READABLE)?;
            self.desks.push(desk);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.server.metric("throughline_agents_ready ") < self.desks.len() as f64 {
            ensure!(Instant::now() < deadline, "the agents do not become ready");
            self.turn(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Places calls and sees them through.
    pub fn run(&mut self, load: &Load) -> anyhow::Result<Outcome> {
        self.start();
        while self.step(load)? {}
        Ok(self.finish())
    }

    /// The same for two at a time; both end when the first does.
    pub fn together(one: (&mut Self, &Load), other: (&mut Self, &Load)) -> anyhow::Result<(Outcome, Outcome)> {
        one.0.start();
        other.0.start();
        let (mut first, mut second) = (true, true);
        while first || second {
            first = one.0.step(one.1)?;
            second = other.0.step(other.1)?;
        }
        Ok((one.0.finish(), other.0.finish()))
    }

    fn start(&mut self) {
        self.outcome = Outcome::default();
        self.began = Instant::now();
        self.last = self.began;
    }

    /// False when all is over.
    fn step(&mut self, load: &Load) -> anyhow::Result<bool> {
        let now = Instant::now();
        let since = now - self.began;
        let over = since >= load.time || self.outcome.begun >= load.calls;
        if !over {
            self.last = now;
            self.begin_calls(load, since);
        }
        self.due(now);
        self.turn(Duration::from_millis(1))?;
        Ok(!over || if load.talk.is_none() { self.inviting > 0 } else { self.live > 0 })
    }

    fn finish(&mut self) -> Outcome {
        self.outcome.seconds = (self.last - self.began).as_secs_f64();
        std::mem::take(&mut self.outcome)
    }

    fn begin_calls(&mut self, load: &Load, since: Duration) {
        /// Calls begun before answers are read again.
        const BURST: usize = 64;
        for _ in 0..BURST {
            let wanted = match load.pace {
                Pace::AtOnce(calls) => self.live < calls && Instant::now() >= self.held_back_until,
                Pace::PerSecond(rate) => (self.outcome.begun as f64) < since.as_secs_f64() * rate,
            };
            if !wanted || self.outcome.begun >= load.calls || !self.begin(load) {
                return;
            }
        }
    }

    /// False where no phone is free.
    fn begin(&mut self, load: &Load) -> bool {
        let server = self.server.sip();
        self.serial += 1;
        let (line, user, callee) = match load.kind {
            Kind::Queue => (TRUNK_LINE, (self.number)(self.serial), CALLED.to_owned()),
            Kind::Phones | Kind::BusyPhones => {
                let Some(pair) = self.pairs.pop_front() else { return false };
                if load.kind == Kind::BusyPhones {
                    self.pairs.push_back(pair);
                }
                let user = |n: usize| self.lines[n].account.as_ref().map(|account| account.user.clone()).unwrap_or_default();
                (1 + 2 * pair, user(1 + 2 * pair), user(2 + 2 * pair))
            }
        };
        let target = format!("sip:{callee}@{server}");
        let call = Call {
            serial: self.serial,
            line,
            kind: load.kind,
            to: format!("<{target}>"),
            target,
            cseq: 1,
            began: Instant::now(),
            state: State::Inviting,
            challenged: false,
            over: false,
            ports: [0; 2],
            user: user.clone(),
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.calls.push(None);
            self.calls.len() - 1
        });
        self.by_user.insert(user, slot);
        self.losses.push_back((call.began + LOST_AFTER, slot, call.serial));
        if let Some(talk) = load.talk {
            self.ends.push_back((call.began + talk, slot, call.serial));
        }
        self.calls[slot] = Some(call);
        self.live += 1;
        self.inviting += 1;
        self.outcome.begun += 1;
        self.invite(slot);
        true
    }

    fn invite(&mut self, slot: usize) {
        let Some(call) = &self.calls[slot] else { return };
        let extra = match &mut self.lines[call.line].account {
            Some(account) => account.line(&Method::Invite, &call.target),
            None => String::new(),
        };
        let body = sip::sdp(self.media[0].0, self.media[0].1);
        self.ask(slot, "INVITE", &extra, &body);
    }

    fn ask(&mut self, slot: usize, method: &str, extra: &str, body: &str) {
        let Some(call) = &self.calls[slot] else { return };
        let local = self.lines[call.line].local;
        let call_id = format!("c{slot}x{}x{}", call.serial, local.port());
        let place = Place { local, user: &call.user, server: self.server.sip(), call_id: &call_id };
        place.request(&mut self.out, &Ask { method, target: &call.target, to: &call.to, cseq: call.cseq, extra, body });
        let line = call.line;
        self.send(line);
    }

    fn send(&mut self, line: usize) {
        // What the kernel does not take is lost, and counted with its call.
        let _ = self.lines[line].socket.send_to(&self.out, self.server.sip());
    }

    fn due(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, slot, serial)) = self.ends.pop_front() else { return };
            let Some(call) = self.calls[slot].as_mut().filter(|call| call.serial == serial) else { continue };
            match call.state {
                State::Talking => self.hang_up(slot),
                State::Inviting => call.over = true,
                State::Ending(_) => {}
            }
        }
        while self.losses.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, slot, serial)) = self.losses.pop_front() else { return };
            let lost = self.calls[slot].as_ref().is_some_and(|call| call.serial == serial && !matches!(call.state, State::Talking));
            if lost {
                self.outcome.lost += 1;
                if self.calls[slot].as_ref().is_some_and(|call| matches!(call.state, State::Inviting)) {
                    self.ask(slot, "CANCEL", "", "");
                }
                self.forget(slot);
            }
        }
    }

    /// Says goodbye to every call that is talked.
    pub fn hang_up_all(&mut self) -> anyhow::Result<Outcome> {
        self.outcome = Outcome::default();
        let slots: Vec<usize> = (0..self.calls.len()).filter(|slot| self.calls[*slot].is_some()).collect();
        let deadline = Instant::now() + LOST_AFTER;
        for group in slots.chunks(8) {
            for slot in group {
                self.hang_up(*slot);
            }
            self.turn(Duration::from_millis(1))?;
        }
        while self.live > 0 && Instant::now() < deadline {
            self.turn(Duration::from_millis(5))?;
        }
        self.outcome.lost += self.live as u64;
        Ok(std::mem::take(&mut self.outcome))
    }

    fn hang_up(&mut self, slot: usize) {
        if let Some(call) = &mut self.calls[slot] {
            call.cseq += 1;
            call.state = State::Ending(Instant::now());
            let lost = (Instant::now() + LOST_AFTER, slot, call.serial);
            self.losses.push_back(lost);
            self.ask(slot, "BYE", "", "");
        }
    }

    fn forget(&mut self, slot: usize) {
        let Some(call) = self.calls[slot].take() else { return };
        if self.by_user.get(&call.user) == Some(&slot) {
            self.by_user.remove(&call.user);
        }
        if call.kind == Kind::Phones {
            self.pairs.push_back((call.line - 1) / 2);
        }
        if matches!(call.state, State::Inviting) {
            self.inviting -= 1;
        }
        self.live -= 1;
        self.free.push(slot);
    }

    /// The server's ports of the calls that are talked: towards caller and phone.
    pub fn ports(&self) -> Vec<[u16; 2]> {
        self.calls.iter().flatten().filter(|call| matches!(call.state, State::Talking)).map(|call| call.ports).collect()
    }
}
