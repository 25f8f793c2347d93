//! SIP endpoint, registrar, queue and calls as one machine: inputs in, outputs out, no clock, no socket, no lock.
//!
//! ```text
//! Input ─▶ handle ─▶ gate ─▶ transaction ─▶ leg ─▶ call ─▶ actions ─▶ apply ─▶ Output
//! ```
//! One control thread owns it. A panic inside a call's turn ends that call alone.

mod apply;
mod board;
mod calling;
mod calls;
mod challenge;
mod config;
mod consistency;
mod desk;
mod endpoint;
mod flows;
pub mod gate;
mod gauges;
mod intake;
mod invite;
mod io;
mod large;
mod ledger;
mod outbound;
mod overload;
mod panics;
mod people;
mod quality;
mod queues;
mod register;
mod steady;
mod strangers;
#[cfg(test)]
mod tests;
mod trunk_registration;
mod trunks;
mod turns;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

pub use config::{
    CallingGroup, Destinations, EmergencyNumbers, Limits, ListenerConfig, OutboundTrunk, Policy, RecordPolicy, Route, SwitchConfig, Timing,
    TrunkConfig,
};
pub use gauges::Gauges;
pub use io::{Input, LookUp, Output, PeopleSnapshot, PhoneAccount};

pub use crate::domain::call::counters::{Counter, Counters};
use crate::{
    domain::{
        call::{Call, Purpose, token::Tokens},
        fact::EndCause,
        media::{
            plan::{MediaEvent, MediaEventKind},
            ports::PortPool,
        },
        routing::{Agents, Day, Waiting},
    },
    ids::{AgentId, InteractionId, LegId},
    protocol::sip::{
        digest::Authenticator,
        flow::{Flow, Transport},
        registrar::{Registrar, RegistrarLimits},
        transaction_layer::{ClientId, Limits as LayerLimits, Output as LayerOutput, ServerId, TransactionLayer},
    },
    time::Now,
};

/// How often everything is checked for a living owner.
const REAP_INTERVAL: Duration = Duration::from_secs(60);

/// The switch.
pub struct Switch {
    config: SwitchConfig,
    now: Now,
    steady: steady::Steady,
    tokens: Tokens,
    layer: TransactionLayer,
    registrar: Registrar,
    authenticator: Authenticator,
    flows: flows::Flows,
    intake: intake::Intake,
    refusals: overload::Refusals,
    strangers: strangers::Strangers,
    challenged: challenge::Challenged,
    people: people::People,
    trunks: trunks::Trunks,
    calling: calling::Calling,
    agents: Agents,
    /// The calls that wait for an agent.
    waiting: Waiting,
    /// What became of today's calls.
    day: Day,
    ports: PortPool,
    calls: calls::Calls,
    /// What has been written of each call.
    ledgers: HashMap<InteractionId, ledger::Ledger>,
    deadlines: BTreeSet<(Instant, InteractionId)>,
    deadline_of: HashMap<InteractionId, Instant>,
    /// Which call a leg belongs to, as long as it sends or awaits something.
    legs: HashMap<LegId, InteractionId>,
    /// Call-ID and our tag of every dialog, early ones included.
    dialogs: HashMap<(String, String), LegId>,
    /// The same the other way round.
    dialog_of: HashMap<LegId, (String, String)>,
    clients: HashMap<ClientId, (LegId, Purpose)>,
    /// Requests that went over a connection for their size alone, as they would be sent without one.
    datagrams: HashMap<ClientId, large::Datagram>,
    /// Connections that were made for such requests.
    large: large::Large,
    /// The INVITEs of ours that can be cancelled, by leg and branch.
    invites: BTreeMap<(LegId, u8), ClientId>,
    /// The INVITEs of peers that can be cancelled.
    invited: HashMap<ServerId, LegId>,
    outputs: VecDeque<Output>,
    /// What the transaction layer said while a call was in the middle of its turn.
    verdicts: VecDeque<LayerOutput>,
    /// Requests of ours that could not even be sent.
    unsent: VecDeque<(LegId, Purpose)>,
    to_show: BTreeSet<AgentId>,
    counters: Counters,
    scores: quality::Scores,
    alarms: BTreeMap<&'static str, String>,
    board: board::BoardClock,
    panics: panics::Panics,
    reap_at: Instant,
    stop_by: Option<Instant>,
    #[cfg(any(test, feature = "fault-injection"))]
    faults: HashMap<InteractionId, usize>,
}

impl Switch {
    /// An idle switch. `seed` must be random and new at each start; `epoch` grows with each start of this node.
    pub fn new(config: SwitchConfig, seed: [u8; 32], epoch: u32, now: Now) -> Self {
        let mut tokens = Tokens::new(seed, &config.node, epoch);
        let registrar = RegistrarLimits { max_contacts: config.limits.max_bindings_per_phone, ..RegistrarLimits::default() };
        Self {
            layer: TransactionLayer::new(config.policy.timers, LayerLimits::default()),
            registrar: Registrar::new(registrar),
            authenticator: Authenticator::new(&config.policy.domain, tokens.key()),
            flows: flows::Flows::default(),
            intake: intake::Intake::default(),
            refusals: overload::Refusals::new(tokens.mark(), &config.policy.product),
            strangers: strangers::Strangers::default(),
            challenged: challenge::Challenged::default(),
            people: people::People::default(),
            trunks: trunks::Trunks::new(&config.trunks, now.mono),
            calling: calling::Calling::default(),
            agents: Agents::default(),
            waiting: Waiting::default(),
            day: Day::new(now.wall, BTreeMap::new()),
            ports: PortPool::new(config.ports.iter().copied()),
            calls: calls::Calls::default(),
            ledgers: HashMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: HashMap::new(),
            legs: HashMap::new(),
            dialogs: HashMap::new(),
            dialog_of: HashMap::new(),
            clients: HashMap::new(),
            datagrams: HashMap::new(),
            large: large::Large::default(),
            invites: BTreeMap::new(),
            invited: HashMap::new(),
            outputs: VecDeque::new(),
            verdicts: VecDeque::new(),
            unsent: VecDeque::new(),
            to_show: BTreeSet::new(),
            counters: Counters::default(),
            scores: quality::Scores::default(),
            alarms: BTreeMap::new(),
            board: board::BoardClock::new(now.mono),
            panics: panics::Panics::default(),
            reap_at: now.mono + REAP_INTERVAL,
            stop_by: None,
            #[cfg(any(test, feature = "fault-injection"))]
            faults: HashMap::new(),
            config,
            now,
            steady: steady::Steady::new(now),
            tokens,
        }
    }

    /// Takes one input; drain [`Switch::poll_output`] afterwards.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.tick(now);
        match input {
            Input::Datagram { listener, source, bytes } => {
                self.receive(Flow { listener, transport: Transport::Udp, remote: source }, bytes);
            }
            Input::StreamMessage { flow, bytes } => {
                self.large.heard(flow);
                self.receive(flow, bytes);
            }
            Input::FlowClosed { flow } => {
                // It was said before the connection ended: an answer that waits is an answer, not a connection that broke over the question.
                for held in self.intake.take_urgent_of(flow) {
                    self.receive(held.flow, &held.bytes);
                }
                self.flow_closed(flow);
            }
            Input::Brief { interaction, brief, choice } => {
                self.turn(interaction, |call, turn| call.brief_found(turn, *brief, choice));
            }
            Input::Desk(command) => self.desk(command),
            Input::Media(event) => self.media(event),
            Input::People(snapshot) => self.take_people(snapshot),
            Input::Bindings(bindings) => self.load_bindings(bindings),
            Input::Day { from, figures } => self.begin_day(from, figures),
            Input::Alarm { part, sentence } => self.alarm(part, sentence),
            Input::TrunkAddresses { trunk, addresses } => self.trunk_addresses(trunk, addresses),
            Input::Shutdown => self.stop(),
            #[cfg(any(test, feature = "fault-injection"))]
            Input::PanicIn { interaction, after_actions } => {
                self.faults.insert(interaction, after_actions);
            }
        }
        self.finish();
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Switch::handle_timeout`] is due.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        let expiry = self.registrar.next_expiry_ms().map(|at| {
            let ms = u64::try_from(at.saturating_sub(self.steady_ms())).unwrap_or(0);
            self.now.mono + Duration::from_millis(ms)
        });
        let call = self.deadlines.first().map(|(at, _)| *at);
        let due = [self.board.due(), self.stop_by, self.steady.due(), Some(self.reap_at), self.waiting.due_at(), self.next_registration()];
        let rest = [self.layer.next_timeout(), expiry, self.flows.next_timeout(), call].into_iter().chain(due);
        rest.flatten().min()
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.tick(now);
        self.layer.handle_timeout(now.mono);
        self.drain_layer();
        self.expire_bindings();
        self.keep_flows_alive();
        let due: Vec<InteractionId> = self.deadlines.iter().take_while(|(at, _)| *at <= now.mono).map(|(_, id)| *id).collect();
        for id in due {
            self.turn(id, Call::handle_timeout);
        }
        if self.stop_by.is_some_and(|by| now.mono >= by) {
            self.stop_by = None;
            self.end_all(|_| true, EndCause::Shutdown);
            self.wrap_up_all();
        }
        self.run_registrations();
        if now.mono >= self.reap_at {
            self.sweep_calling();
            self.reap_at = now.mono + REAP_INTERVAL;
            self.reap();
        }
        self.finish();
    }

    /// The totals of everything that was dropped, refused or missed.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether new calls are taken: not while stopping, and not after too many mistakes of ours.
    pub fn is_ready(&self) -> bool {
        !self.board.is_stopping() && !self.panics.are_too_many(self.now.mono, self.config.limits.panics_before_not_ready)
    }

    /// Whether it stops: running calls go on, new ones are refused.
    pub fn is_stopping(&self) -> bool {
        self.board.is_stopping()
    }

    /// Whether no call lives: a process that stops may go.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many calls live, those that say goodbye or wrap up included.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    fn media(&mut self, event: MediaEvent) {
        let MediaEvent { call, generation, kind } = event;
        if let MediaEventKind::PortsRested { ports } = kind {
            if !self.ports.rested(ports) {
                self.counters.count(Counter::StaleMedia);
            }
            return;
        }
        // What a plan said that has been replaced since does not hold any more; a closed call has no newer one.
        let current = self.calls.get(&call).is_some_and(|known| known.generation() == generation);
        // What was measured stays true whatever is planned since.
        let holds = matches!(kind, MediaEventKind::Closed { .. } | MediaEventKind::Quality { .. });
        let closes_known = holds && self.calls.contains_key(&call);
        if !(current || closes_known) {
            self.counters.count(Counter::StaleMedia);
            return;
        }
        if let MediaEventKind::Quality { leg, quality } = &kind {
            self.note_quality(call, *leg, quality);
        }
        self.turn(call, |call, turn| call.on_media(turn, &kind));
    }

    fn alarm(&mut self, part: &'static str, sentence: Option<String>) {
        match sentence {
            Some(sentence) => self.alarms.insert(part, sentence),
            None => self.alarms.remove(part),
        };
        self.board.touch();
    }

    /// The first time new calls are refused and running ones may go on for a while; the second time they end now.
    fn stop(&mut self) {
        if self.board.is_stopping() {
            self.stop_by = Some(self.now.mono);
            return;
        }
        self.board.stop();
        self.unregister_trunks();
        self.to_show.extend(self.agents.iter().map(|agent| agent.profile.id));
        let sentence = "This server is stopping: running calls go on, new ones are refused. It ends with the last call.";
        self.alarm("stopping", Some(sentence.to_owned()));
        self.stop_by = Some(self.now.mono + self.config.policy.timing.shutdown_limit);
        let ids: Vec<InteractionId> = self.calls.values().filter(|call| !call.is_talking() && !call.is_emergency()).map(Call::id).collect();
        for id in ids {
            self.turn(id, |call, turn| call.turn_away(turn, EndCause::Shutdown));
        }
    }

    /// Whoever still writes is cut off: the call is kept as not wrapped up, with what was typed.
    fn wrap_up_all(&mut self) {
        let ids: Vec<InteractionId> = self.calls.keys().copied().collect();
        for id in ids {
            self.turn(id, Call::cut_wrap_up);
        }
    }

    fn end_all(&mut self, which: impl Fn(&Call) -> bool, cause: EndCause) {
        let ids: Vec<InteractionId> = self.calls.values().filter(|call| which(call)).map(Call::id).collect();
        for id in ids {
            self.turn(id, |call, turn| call.end(turn, cause));
        }
    }

    /// What every input ends with: desks and board as they are now.
    fn finish(&mut self) {
        self.drain_layer();
        self.dispatch();
        self.show_desks();
        self.show_board();
        self.shed_live();
    }
}
