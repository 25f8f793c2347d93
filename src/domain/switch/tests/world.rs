//! A house in simulated time: the switch, a lossy network, a trunk, phones, and doubles of desk, record and media.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::peer::Peer;
use crate::{
    domain::{
        customer::brief::{Brief, Matched},
        fact::{AgentState, CustomerChoice, Fact},
        live::{AckLevel, AgentView, DeskCommand, LiveFact},
        media::plan::{Codec, LegTotals, MediaCommand, MediaEvent, MediaEventKind, MediaPlan, PortPair, SourceId},
        routing::{AgentProfile, Queue},
        switch::*,
    },
    ids::{AgentId, InteractionId, PhoneId, PhoneNumber},
    protocol::sip::{
        digest::{Algorithm, ChallengeOffer, Ha1},
        flow::{Flow, ListenerId, Transport},
        timers::Timers,
    },
    time::{Now, UnixMs},
};

pub const CALLED: &str = "+442079460000";
/// Leads to the queue "urgent", where a test has one.
pub const URGENT: &str = "+442079460009";
const LATENCY: Duration = Duration::from_millis(2);
/// How long every clip plays.
pub const CLIP: Duration = Duration::from_secs(3);

/// The number of a peer in [`World::peers`].
pub type PeerNo = usize;

pub struct World {
    pub now: Now,
    pub switch: Switch,
    pub peers: Vec<Peer>,
    pub agents: Vec<AgentId>,
    pub facts: Vec<(Now, Fact)>,
    pub live: Vec<(Now, LiveFact)>,
    pub look_ups: Vec<LookUp>,
    /// The queues; every agent serves all of them.
    pub queues: Vec<Queue>,
    /// Sources that played to their end or were heard at all, per call.
    played: BTreeSet<(InteractionId, SourceId)>,
    /// The newest plan of each call, and how often a plan came.
    pub plans: BTreeMap<InteractionId, (MediaPlan, usize)>,
    /// How long desks take to show an offer; `None`: they never do.
    pub desk_after: Option<Duration>,
    /// How long the record takes; `None`: it never answers.
    pub brief_after: Option<Duration>,
    pub media_answers: bool,
    /// Datagrams lost in each direction, per thousand.
    pub loss: u32,
    pub rng: ChaCha12Rng,
    /// Where everything was sent, and whether a connection might be made.
    pub connects: Vec<(Flow, bool)>,
    /// Connections that are no more.
    pub closed: BTreeSet<Flow>,
    /// Connections whose peer has proven itself.
    pub trusted: Vec<Flow>,
    /// Datagrams that come twice, per thousand.
    pub doubled: u32,
    /// Datagrams that reached the switch.
    pub received: Vec<Vec<u8>>,
    /// Datagrams that it sent, also those that were lost.
    pub sent: Vec<Vec<u8>>,
    /// Datagrams to addresses where nobody listens.
    pub strays: Vec<(SocketAddr, String)>,
    /// Where the switch listens, in the order of its listeners.
    binds: Vec<SocketAddr>,
    wire: VecDeque<(Now, SocketAddr, SocketAddr, Vec<u8>)>,
    later: Vec<(Now, Later)>,
}

enum Later {
    Brief(LookUp),
    Ack(DeskCommand),
    Media(MediaEvent),
    Closed(Flow),
}

#[expect(clippy::disallowed_methods, reason = "one origin for simulated time")]
fn origin() -> Now {
    Now { mono: std::time::Instant::now(), wall: UnixMs(1_790_000_000_000) }
}

pub fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

pub fn config(pairs: u16) -> SwitchConfig {
    SwitchConfig {
        node: "a".to_owned(),
        policy: Policy {
            domain: "example.com".to_owned(),
            product: "Throughline".to_owned(),
            listeners: vec![ListenerConfig {
                name: "lan".to_owned(),
                bind: server(),
                address: server().ip(),
                external_address: None,
                local_networks: Vec::new(),
                digest: ChallengeOffer::Both,
            }],
            media_addresses: vec![server().ip()],
            record: RecordPolicy::External,
            record_on_hold: false,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            max_offers_per_call: 20,
            timers: Timers::default(),
            timing: Timing::default(),
        },
        trunks: vec![TrunkConfig {
            name: "carrier".to_owned(),
            networks: vec!["203.0.113.0/24".parse().expect("network")],
            country: "GB".to_owned(),
            numbers: [(CALLED, "support"), (URGENT, "urgent")]
                .map(|(number, queue)| (PhoneNumber::parse_e164(number).expect("number"), queue.to_owned()))
                .to_vec(),
            max_calls: None,
            early_media: None,
            outbound: None,
        }],
        destinations: Destinations::default(),
        ports: (0..pairs).map(|n| PortPair { thread: 0, rtp_port: 20_000 + 2 * n }).collect(),
        limits: Limits::default(),
    }
}

impl World {
    /// A house with so many agents, their phones registered, nobody ready yet.
    pub fn new(agents: u8, seed: u64) -> Self {
        println!("seed {seed}");
        Self::with(agents, seed, config(40))
    }

    pub fn with(agents: u8, seed: u64, config: SwitchConfig) -> Self {
        let now = origin();
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let binds = config.policy.listeners.iter().map(|listener| listener.bind).collect();
        let ids: Vec<AgentId> = (0..agents).map(|n| AgentId::new(now.wall, [n; 10])).collect();
        let mut world = Self {
            now,
            switch: Switch::new(config, bytes, 1, now),
            peers: Vec::new(),
            agents: ids.clone(),
            facts: Vec::new(),
            live: Vec::new(),
            look_ups: Vec::new(),
            queues: vec![Queue { missed_due: Duration::from_secs(3600), ..Queue::named("support") }],
            played: BTreeSet::new(),
            plans: BTreeMap::new(),
            desk_after: Some(Duration::from_millis(30)),
            brief_after: Some(Duration::from_millis(5)),
            media_answers: true,
            loss: 0,
            rng: ChaCha12Rng::seed_from_u64(seed),
            connects: Vec::new(),
            closed: BTreeSet::new(),
            trusted: Vec::new(),
            doubled: 0,
            received: Vec::new(),
            sent: Vec::new(),
            strays: Vec::new(),
            binds,
            wire: VecDeque::new(),
            later: Vec::new(),
        };
        world.take_people();
        for n in 0..agents {
            let addr = SocketAddr::from(([198, 51, 100, 10 + n], 5060));
            let peer = Peer::new(addr, server(), &format!("agent{n}"), n);
            world.peers.push(peer);
            world.peers[usize::from(n)].register(now.mono, 300);
        }
        world.run(Duration::from_millis(500));
        world
    }

    /// The record says who works here.
    pub fn take_people(&mut self) {
        let snapshot = people(&self.agents, &self.queues);
        self.input(Input::People(snapshot));
    }

    /// Desks open and agents ready, in their order.
    pub fn ready(&mut self) {
        for agent in self.agents.clone() {
            self.input(Input::Desk(DeskCommand::Desks { agent, desks: 1 }));
            self.set_state(agent, AgentState::Ready);
            self.run(Duration::from_millis(10));
        }
    }

    pub fn set_state(&mut self, agent: AgentId, state: AgentState) {
        self.input(Input::Desk(DeskCommand::SetState { agent, state, reason: None }));
    }

    /// Another call of the trunk: its own address, so that each is a peer.
    pub fn caller(&mut self, number: &str) -> PeerNo {
        let port = 6000 + u16::try_from(self.peers.len()).expect("few");
        let seed = u8::try_from(100 + self.peers.len() % 100).expect("few");
        self.peers.push(Peer::new(SocketAddr::from(([203, 0, 113, 5], port)), server(), number, seed));
        self.peers.len() - 1
    }

    /// A caller dials the queue.
    pub fn incoming(&mut self, number: &str) -> PeerNo {
        let caller = self.caller(number);
        let now = self.now.mono;
        self.peers[caller].call(now, CALLED, |_| {});
        caller
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.switch.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { flow, bytes, connect } => {
                    self.connects.push((flow, connect));
                    self.sent.push(bytes.clone());
                    match self.closed.contains(&flow) {
                        true => self.later.push((self.now, Later::Closed(flow))),
                        false => self.post(server(), flow.remote, bytes),
                    }
                }
                Output::Trust { flow } => self.trusted.push(flow),
                Output::Media { command, .. } => self.media(command),
                Output::LookUp(look_up) => {
                    self.look_ups.push(look_up.clone());
                    if let Some(after) = self.brief_after {
                        self.later.push((self.now.plus(after), Later::Brief(look_up)));
                    }
                }
                Output::Fact(fact) => self.facts.push((self.now, fact)),
                Output::Mistake(what) => panic!("the reaper found: {what}"),
                Output::Live(live) => {
                    self.desk(&live);
                    self.live.push((self.now, live));
                }
            }
        }
        let faults = self.switch.inconsistencies();
        assert!(faults.is_empty(), "{faults:?}");
    }

    fn desk(&mut self, live: &LiveFact) {
        let (LiveFact::Agent(view), Some(after)) = (live, self.desk_after) else { return };
        if let Some(offer) = view.offer.as_ref().filter(|offer| !offer.ringing) {
            let ack = DeskCommand::Ack { agent: view.agent, offer: offer.offer, level: AckLevel::Rendered };
            self.later.push((self.now.plus(after), Later::Ack(ack)));
        }
    }

    fn media(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Plan(plan) => {
                let count = self.plans.get(&plan.call).map_or(0, |(_, count)| *count);
                if let Some((before, _)) = self.plans.get(&plan.call) {
                    assert!(plan.generation > before.generation, "plans only grow");
                }
                self.play(&plan);
                self.plans.insert(plan.call, (plan, count + 1));
            }
            MediaCommand::Close { call } if self.media_answers => {
                assert!(self.plans.contains_key(&call), "media is told only of calls that it knows");
                let (plan, _) = &self.plans[&call];
                let legs = plan.legs.iter().map(|leg| LegTotals { leg: Some(leg.leg), received: 50, sent: 50, ..LegTotals::default() });
                let kind = MediaEventKind::Closed { legs: legs.collect() };
                let generation = plan.generation;
                self.later.push((self.now.plus(LATENCY), Later::Media(MediaEvent { call, generation, kind })));
                for leg in &plan.legs {
                    let kind = MediaEventKind::PortsRested { ports: leg.ports };
                    self.later.push((self.now.plus(Duration::from_secs(2)), Later::Media(MediaEvent { call, generation, kind })));
                }
            }
            MediaCommand::Close { .. } | MediaCommand::Evict { .. } => {}
        }
    }

    /// A player that is not looped says when it is over: every clip of this house lasts [`CLIP`].
    fn play(&mut self, plan: &MediaPlan) {
        for source in plan.sources.iter().filter(|source| !source.looped && self.media_answers) {
            if self.played.insert((plan.call, source.id)) {
                let kind = MediaEventKind::SourceEnded { source: source.id };
                let event = MediaEvent { call: plan.call, generation: plan.generation, kind };
                self.later.push((self.now.plus(CLIP), Later::Media(event)));
            }
        }
    }

    /// Puts a datagram on the wire; some are lost, some come twice.
    pub fn post(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.doubled > 0 && self.rng.next_u32() % 1000 < self.doubled {
            self.wire.push_back((self.now.plus(LATENCY), from, to, bytes.clone()));
        }
        if self.rng.next_u32() % 1000 >= self.loss {
            self.wire.push_back((self.now.plus(LATENCY), from, to, bytes));
        }
    }

    /// Lets so much time pass.
    pub fn run(&mut self, by: Duration) {
        let end = self.now.plus(by);
        for _ in 0..2_000_000 {
            self.collect();
            let Some(next) = self.next().filter(|next| *next <= end.mono) else { break };
            if next > self.now.mono {
                self.now = self.now.plus(next - self.now.mono);
            }
            self.step();
        }
        self.now = end;
    }

    /// Runs until something holds, at most so long.
    pub fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) {
        let step = Duration::from_millis(5);
        let mut passed = Duration::ZERO;
        while !holds(self) {
            assert!(passed < limit, "waited {limit:?} for: {what}");
            self.run(step);
            passed += step;
        }
    }

    fn collect(&mut self) {
        let out = |peer: &mut Peer| peer.out.drain(..).map(|bytes| (peer.addr, peer.server, bytes)).collect::<Vec<_>>();
        let sent: Vec<_> = self.peers.iter_mut().flat_map(out).collect();
        for (from, to, bytes) in sent {
            self.post(from, to, bytes);
        }
    }

    fn next(&mut self) -> Option<std::time::Instant> {
        let wire = self.wire.front().map(|(at, ..)| at.mono);
        let later = self.later.iter().map(|(at, _)| at.mono).min();
        let peers = self.peers.iter_mut().filter_map(Peer::next_timeout).min();
        [wire, later, peers, self.switch.next_timeout()].into_iter().flatten().min()
    }

    fn step(&mut self) {
        let now = self.now;
        while self.wire.front().is_some_and(|(at, ..)| at.mono <= now.mono) {
            let Some((_, from, to, bytes)) = self.wire.pop_front() else { break };
            if let Some(at) = self.binds.iter().position(|bind| *bind == to) {
                let listener = ListenerId(u16::try_from(at).expect("few"));
                self.received.push(bytes.clone());
                let is_stream = self.peers.iter().any(|peer| peer.addr == from && peer.transport.is_reliable());
                match is_stream {
                    true => {
                        let flow = Flow { listener, transport: Transport::Tcp, remote: from };
                        self.input(Input::StreamMessage { flow, bytes: &bytes });
                    }
                    false => self.input(Input::Datagram { listener, source: from, bytes: &bytes }),
                }
            } else if let Some(peer) = self.peers.iter_mut().find(|peer| peer.addr == to) {
                peer.receive(now.mono, &bytes);
            } else {
                self.strays.push((to, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        let (due, rest) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| at.mono <= now.mono);
        self.later = rest;
        let due: Vec<(Now, Later)> = due;
        for (_, later) in due {
            match later {
                Later::Brief(look_up) => self.answer_look_up(&look_up),
                Later::Ack(command) => self.input(Input::Desk(command)),
                Later::Media(event) => self.input(Input::Media(event)),
                Later::Closed(flow) => self.input(Input::FlowClosed { flow }),
            }
        }
        for peer in &mut self.peers {
            if peer.next_timeout().is_some_and(|at| at <= now.mono) {
                peer.handle_timeout(now.mono);
            }
        }
        if self.switch.next_timeout().is_some_and(|at| at <= now.mono) {
            self.switch.handle_timeout(now);
            self.drain();
        }
    }

    pub fn answer_look_up(&mut self, look_up: &LookUp) {
        let mut brief = Brief::late(look_up.number.clone(), look_up.display_name.clone());
        brief.matched = Matched::Unknown;
        brief.contacts_30_days = 3;
        self.input(Input::Brief { interaction: look_up.interaction, brief: Box::new(brief), choice: CustomerChoice::Unknown });
    }

    /// An agent's desk as it was last shown.
    pub fn view(&self, agent: usize) -> AgentView {
        let views = self.live.iter().rev().filter_map(|(_, live)| match live {
            LiveFact::Agent(view) if view.agent == self.agents[agent] => Some((**view).clone()),
            _ => None,
        });
        views.into_iter().next().expect("shown once")
    }

    /// Finishes every wrap-up that is open.
    pub fn wrap_up_all(&mut self) {
        for n in 0..self.agents.len() {
            if let Some(wrap_up) = self.view(n).wrap_up {
                let command = DeskCommand::FinishWrapUp { agent: self.agents[n], interaction: wrap_up.interaction };
                self.input(Input::Desk(command));
            }
        }
    }

    /// Lets everything come to rest: then no table may hold anything.
    pub fn assert_comes_to_rest(&mut self) {
        self.run(Duration::from_secs(40));
        self.wrap_up_all();
        self.run(Duration::from_secs(100));
        self.wrap_up_all();
        self.run(Duration::from_secs(300));
        assert_eq!(self.switch.leftovers(), Vec::<&str>::new());
        assert_eq!(self.switch.counters().get(Counter::Orphan), 0);
        super::record::check(&self.facts);
    }
}

fn people(agents: &[AgentId], queues: &[Queue]) -> PeopleSnapshot {
    let phone = |n: usize| PhoneId::new(UnixMs(1), [u8::try_from(n).expect("few"); 10]);
    let profile = |(n, id): (usize, &AgentId)| AgentProfile {
        id: *id,
        name: format!("Agent {n}"),
        queues: queues.iter().map(|queue| queue.name.clone()).collect(),
        phone: Some(phone(n)),
    };
    let account = |n: usize| {
        let ha1 = Ha1::of(&format!("agent{n}"), "example.com", "secret");
        PhoneAccount {
            id: phone(n),
            user: format!("agent{n}"),
            extension: format!("{}", 200 + n),
            display_name: format!("Agent {n}"),
            ha1_md5: ha1.to_hex(Algorithm::Md5),
            ha1_sha256: ha1.to_hex(Algorithm::Sha256).expect("both"),
        }
    };
    PeopleSnapshot {
        agents: agents.iter().enumerate().map(profile).collect(),
        phones: (0..agents.len()).map(account).collect(),
        queues: queues.to_vec(),
    }
}
