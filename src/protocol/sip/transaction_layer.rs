//! The transaction layer (RFC 3261 §17): finds the transaction of a message, runs its timers, repeats its bytes.
//!
//! Sans-IO. A message goes in through `receive_*` and comes back as a verdict; what is to be sent and what the core must learn
//! beside that is drained with [`TransactionLayer::poll_output`] after every call. A new request makes no state until the core
//! calls [`TransactionLayer::open`], so that strangers and overload can be answered without any.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

pub use super::transaction_key::{RequestHead, ResponseHead};
use super::{
    build::Request,
    client_transaction::{CancelOutcome, ClientReport, ClientStep, InviteClient, InviteResponse, NonInviteClient},
    field::Method,
    flow::Flow,
    hop_request,
    server_transaction::{InviteServer, NonInviteServer, RespondError, ServerReport, ServerStep},
    timer_queue::TimerQueue,
    timers::{StatusClass, Timers},
    transaction_key::{ClientKey, MergeKey, ServerKey},
};

mod linger;
mod output;
mod repetition;
#[cfg(test)]
mod tests;

use linger::Lingering;
pub use output::{ClientId, Counters, Limits, OpenError, Output, RequestFate, ResponseFate, SendError, ServerId, TransactionId};

/// A request of ours, ready to be sent.
#[derive(Clone, Debug)]
pub struct OutgoingRequest<'a> {
    /// The method; not ACK, which has no transaction of its own ([`TransactionLayer::send_stateless`]).
    pub method: &'a Method,
    /// The branch in the topmost Via; ours and unique.
    pub branch: &'a str,
    /// Where it goes.
    pub flow: Flow,
    /// The message.
    pub bytes: Arc<[u8]>,
}

impl<'a> OutgoingRequest<'a> {
    /// Writes a request out; `None` where it has no Via with a branch.
    pub fn of(request: &'a Request, flow: Flow) -> Option<Self> {
        let branch = request.via.first()?.branch()?;
        Some(Self { method: &request.method, branch, flow, bytes: request.to_bytes().into() })
    }
}

#[derive(Debug)]
struct Server {
    key: ServerKey,
    merge: Option<MergeKey>,
    flow: Flow,
    machine: ServerMachine,
    /// It is among those that give way.
    lingers: bool,
}

#[derive(Debug)]
enum ServerMachine {
    Invite { machine: InviteServer, rejection: Option<Arc<[u8]>> },
    Other(NonInviteServer),
}

#[derive(Debug)]
struct Client {
    key: ClientKey,
    flow: Flow,
    machine: ClientMachine,
    /// It is among those that give way.
    lingers: bool,
}

#[derive(Debug)]
enum ClientMachine {
    Invite {
        machine: InviteClient,
        branch: Box<str>,
        cancel_reason: Option<Box<str>>,
    },
    Other(NonInviteClient),
    /// A CANCEL: hop by hop, its outcome is of no use to the core.
    Cancel(NonInviteClient),
}

/// All transactions of one SIP endpoint.
#[derive(Debug)]
pub struct TransactionLayer {
    timers: Timers,
    limits: Limits,
    last_id: u64,
    servers: HashMap<ServerId, Server>,
    server_by_key: HashMap<ServerKey, ServerId>,
    server_by_merge: HashMap<MergeKey, ServerId>,
    clients: HashMap<ClientId, Client>,
    client_by_key: HashMap<ClientKey, ClientId>,
    /// The transactions of each connection: they fail with it.
    on_stream: BTreeSet<(Flow, TransactionId)>,
    queue: TimerQueue<TransactionId>,
    lingering: Lingering,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl TransactionLayer {
    /// An empty layer.
    pub fn new(timers: Timers, limits: Limits) -> Self {
        Self {
            timers,
            limits,
            last_id: 0,
            servers: HashMap::new(),
            server_by_key: HashMap::new(),
            server_by_merge: HashMap::new(),
            clients: HashMap::new(),
            client_by_key: HashMap::new(),
            on_stream: BTreeSet::new(),
            queue: TimerQueue::default(),
            lingering: Lingering::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Finds what a request that came in belongs to, and answers it if it is a repetition.
    pub fn receive_request(&mut self, now: Instant, head: &RequestHead<'_>) -> RequestFate {
        if *head.method == Method::Ack {
            return self.receive_ack(now, head);
        }
        if let Some(id) = self.server_by_key.get(&ServerKey::of(head)).copied() {
            self.counters.repeated_requests += 1;
            self.step_server(id, |machine| match machine {
                ServerMachine::Invite { machine, .. } => machine.handle_repetition(),
                ServerMachine::Other(machine) => machine.handle_repetition(),
            });
            return RequestFate::Repeated;
        }
        if *head.method == Method::Cancel {
            let invite = self.find_invite(head);
            let unanswered = invite.is_some_and(|id| self.is_cancellable(id));
            return RequestFate::Cancel { invite, unanswered };
        }
        let merged = MergeKey::of(head).is_some_and(|key| self.server_by_merge.contains_key(&key));
        self.counters.merged_requests += u64::from(merged);
        RequestFate::New { merged }
    }

    /// Starts the server transaction of a request for which [`Self::receive_request`] said `New` or `Cancel`. `flow` is where
    /// responses go; `trying`, a 100, is sent at once to the sender of an INVITE.
    pub fn open(&mut self, now: Instant, head: &RequestHead<'_>, flow: Flow, trying: Option<Arc<[u8]>>) -> Result<ServerId, OpenError> {
        let key = ServerKey::of(head);
        if *head.method == Method::Ack || self.server_by_key.contains_key(&key) {
            return Err(OpenError::NotNew);
        }
        if !self.make_room_for_server() {
            self.counters.refused_servers += 1;
            return Err(OpenError::Full);
        }
        let reliable = flow.transport.is_reliable();
        let machine = if *head.method == Method::Invite {
            ServerMachine::Invite { machine: InviteServer::start(now, reliable, self.timers), rejection: None }
        } else {
            ServerMachine::Other(NonInviteServer::start(now, reliable, self.timers))
        };
        let id = ServerId(self.next_id());
        let merge = MergeKey::of(head).filter(|merge| !self.server_by_merge.contains_key(merge));
        if let Some(merge) = &merge {
            self.server_by_merge.insert(merge.clone(), id);
        }
        self.server_by_key.insert(key.clone(), id);
        self.servers.insert(id, Server { key, merge, flow, machine, lingers: false });
        self.note_stream(flow, TransactionId::Server(id));
        self.settle_server(id);
        if let Some(trying) = trying.filter(|_| *head.method == Method::Invite) {
            // A transaction that has just begun takes a provisional response.
            let _ = self.respond(now, id, 100, trying);
        }
        Ok(id)
    }

    /// Sends a response. A 2xx to an INVITE may be given again until its ACK is there (RFC 6026).
    pub fn respond(&mut self, now: Instant, id: ServerId, status: u16, response: Arc<[u8]>) -> Result<(), RespondError> {
        let class = StatusClass::of(status);
        let server = self.servers.get_mut(&id).ok_or(RespondError::Gone)?;
        let step = match &mut server.machine {
            ServerMachine::Invite { machine, rejection } => {
                let step = machine.respond(now, class, response.clone())?;
                if class == StatusClass::Rejection && !server.key.is_by_branch() {
                    *rejection = Some(response);
                }
                step
            }
            ServerMachine::Other(machine) => machine.respond(now, class, response)?,
        };
        self.apply_server_step(id, step);
        Ok(())
    }

    /// Whether the request still waits for its final response, so that a CANCEL has an effect.
    pub fn is_cancellable(&self, id: ServerId) -> bool {
        self.servers.get(&id).is_some_and(|server| match &server.machine {
            ServerMachine::Invite { machine, .. } => machine.is_cancellable(),
            ServerMachine::Other(_) => false,
        })
    }

    /// The path on which a request came and its responses go.
    pub fn server_flow(&self, id: ServerId) -> Option<Flow> {
        self.servers.get(&id).map(|server| server.flow)
    }

    /// Sends a request in a client transaction of its own.
    pub fn send_request(&mut self, now: Instant, request: OutgoingRequest<'_>) -> Result<ClientId, SendError> {
        if *request.method == Method::Ack {
            return Err(SendError::IsAck);
        }
        if !self.make_room_for_client() {
            self.counters.refused_clients += 1;
            return Err(SendError::Full);
        }
        let (reliable, timers) = (request.flow.transport.is_reliable(), self.timers);
        let machine = if *request.method == Method::Invite {
            let machine = InviteClient::start(now, request.bytes.clone(), reliable, timers);
            ClientMachine::Invite { machine, branch: request.branch.into(), cancel_reason: None }
        } else {
            ClientMachine::Other(NonInviteClient::start(now, request.bytes.clone(), reliable, timers))
        };
        self.start_client(ClientKey::new(request.branch, request.method), request.flow, request.bytes, machine)
    }

    /// Sends a message that has no transaction: the ACK of a 2xx, a stateless response.
    pub fn send_stateless(&mut self, flow: Flow, bytes: Arc<[u8]>) {
        self.outputs.push_back(Output::Send { flow, bytes, by: None });
    }

    /// Cancels an INVITE of ours: at once if a provisional response is there, else when one comes (RFC 3261 §9.1). The INVITE's
    /// own final response, or its time-out 64·T1 later, still comes; a 2xx that crosses must be acknowledged and ended with BYE.
    pub fn cancel(&mut self, now: Instant, invite: ClientId, reason: Option<&str>) -> CancelOutcome {
        let Some(Client { machine: ClientMachine::Invite { machine, cancel_reason, .. }, .. }) = self.clients.get_mut(&invite) else {
            return CancelOutcome::TooLate;
        };
        let outcome = machine.cancel(now);
        match outcome {
            CancelOutcome::Send | CancelOutcome::Waits => *cancel_reason = reason.map(Into::into),
            CancelOutcome::AlreadySent | CancelOutcome::TooLate => return outcome,
        }
        if outcome == CancelOutcome::Send {
            self.send_cancel(now, invite);
        }
        self.settle_client(invite);
        outcome
    }

    /// Finds the client transaction of a response and runs it.
    pub fn receive_response(&mut self, now: Instant, head: &ResponseHead<'_>) -> ResponseFate {
        let id = head.branch.and_then(|branch| self.client_by_key.get(&ClientKey::new(branch, head.method))).copied();
        let Some((id, client)) = id.and_then(|id| Some((id, self.clients.get_mut(&id)?))) else {
            self.counters.stray_responses += 1;
            return ResponseFate::Stray;
        };
        let class = StatusClass::of(head.status);
        let (step, is_cancel) = match &mut client.machine {
            ClientMachine::Invite { machine, .. } => {
                let response = match class {
                    StatusClass::Provisional => InviteResponse::Provisional,
                    StatusClass::Success => InviteResponse::Success,
                    StatusClass::Rejection => InviteResponse::Rejection { to: head.to.as_bytes() },
                };
                (machine.handle_response(now, response), false)
            }
            ClientMachine::Other(machine) => (machine.handle_response(now, class), false),
            ClientMachine::Cancel(machine) => (machine.handle_response(now, class), true),
        };
        let delivered = step.report == Some(ClientReport::Response) && !is_cancel;
        self.counters.absorbed_responses += u64::from(!delivered && !is_cancel);
        self.apply_client_step(now, id, step);
        if delivered { ResponseFate::Deliver(id) } else { ResponseFate::Absorbed }
    }

    /// The transport refused a message that [`Output::Send`] named `by` this transaction.
    pub fn transport_error(&mut self, now: Instant, by: TransactionId) {
        self.counters.transport_errors += 1;
        match by {
            TransactionId::Server(id) => self.step_server(id, |machine| match machine {
                ServerMachine::Invite { machine, .. } => machine.handle_transport_error(),
                ServerMachine::Other(machine) => machine.handle_transport_error(),
            }),
            TransactionId::Client(id) => self.step_client(now, id, |machine| match machine {
                ClientMachine::Invite { machine, .. } => machine.handle_transport_error(),
                ClientMachine::Other(machine) | ClientMachine::Cancel(machine) => machine.handle_transport_error(),
            }),
        }
    }

    /// A connection is no more: every transaction on it fails as if the transport had refused its next message.
    pub fn flow_closed(&mut self, now: Instant, flow: Flow) {
        let first = (flow, TransactionId::Server(ServerId(0)));
        let on_it: Vec<TransactionId> = self.on_stream.range(first..).take_while(|(of, _)| *of == flow).map(|(_, id)| *id).collect();
        for id in on_it {
            self.transport_error(now, id);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn next_timeout(&mut self) -> Option<Instant> {
        self.queue.next_at()
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.queue.pop_due(now) {
            match id {
                TransactionId::Server(id) => self.step_server(id, |machine| match machine {
                    ServerMachine::Invite { machine, .. } => machine.handle_timeout(now),
                    ServerMachine::Other(machine) => machine.handle_timeout(now),
                }),
                TransactionId::Client(id) => self.step_client(now, id, |machine| match machine {
                    ClientMachine::Invite { machine, .. } => machine.handle_timeout(now),
                    ClientMachine::Other(machine) | ClientMachine::Cancel(machine) => machine.handle_timeout(now),
                }),
            }
        }
    }

    /// The next datagram to send or thing to learn, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What was dropped, refused and repeated so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many server and client transactions live.
    pub fn len(&self) -> (usize, usize) {
        (self.servers.len(), self.clients.len())
    }

    /// Whether no transaction lives and no table holds anything.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
            && self.clients.is_empty()
            && self.server_by_key.is_empty()
            && self.server_by_merge.is_empty()
            && self.client_by_key.is_empty()
            && self.on_stream.is_empty()
            && self.queue.is_empty()
    }

    fn note_stream(&mut self, flow: Flow, id: TransactionId) {
        if flow.transport.is_reliable() {
            self.on_stream.insert((flow, id));
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn find_invite(&self, head: &RequestHead<'_>) -> Option<ServerId> {
        ServerKey::of_invite(head).find_map(|key| self.server_by_key.get(&key).copied())
    }

    fn receive_ack(&mut self, now: Instant, head: &RequestHead<'_>) -> RequestFate {
        let for_dialog = RequestFate::Ack { invite: None };
        let Some(id) = self.find_invite(head) else { return for_dialog };
        let Some(Server { machine: ServerMachine::Invite { machine, rejection }, .. }) = self.servers.get_mut(&id) else {
            return for_dialog;
        };
        // Without a unique branch only our tag tells the ACK of a rejection from that of a later 2xx (RFC 3261 §17.2.3).
        if rejection.as_ref().is_some_and(|rejection| hop_request::to_tag(rejection) != head.to_tag.map(str::as_bytes)) {
            return for_dialog;
        }
        let step = machine.handle_ack(now);
        let fate = match step.report {
            Some(ServerReport::Ack) => RequestFate::Ack { invite: Some(id) },
            Some(ServerReport::Unacknowledged | ServerReport::Unanswered | ServerReport::Unreachable) | None => {
                self.counters.absorbed_acks += 1;
                RequestFate::AckAbsorbed
            }
        };
        self.apply_server_step(id, step);
        fate
    }

    fn send_cancel(&mut self, now: Instant, invite: ClientId) {
        let Some(Client { flow, machine: ClientMachine::Invite { machine, branch, cancel_reason }, .. }) = self.clients.get(&invite) else {
            return;
        };
        let flow = *flow;
        let Some(bytes) = hop_request::cancel(machine.request(), cancel_reason.as_deref()) else { return };
        let key = ClientKey::new(branch, &Method::Cancel);
        // No limit here: there is at most one for each INVITE, and the call must stop ringing under overload too.
        let machine = NonInviteClient::start(now, bytes.clone(), flow.transport.is_reliable(), self.timers);
        let _ = self.start_client(key, flow, bytes, ClientMachine::Cancel(machine));
    }

    fn start_client(&mut self, key: ClientKey, flow: Flow, bytes: Arc<[u8]>, machine: ClientMachine) -> Result<ClientId, SendError> {
        if self.client_by_key.contains_key(&key) {
            return Err(SendError::BranchInUse);
        }
        let id = ClientId(self.next_id());
        self.client_by_key.insert(key.clone(), id);
        self.clients.insert(id, Client { key, flow, machine, lingers: false });
        self.note_stream(flow, TransactionId::Client(id));
        self.outputs.push_back(Output::Send { flow, bytes, by: Some(TransactionId::Client(id)) });
        self.settle_client(id);
        Ok(id)
    }

    fn step_server(&mut self, id: ServerId, input: impl FnOnce(&mut ServerMachine) -> ServerStep) {
        if let Some(server) = self.servers.get_mut(&id) {
            let step = input(&mut server.machine);
            self.apply_server_step(id, step);
        }
    }

    fn step_client(&mut self, now: Instant, id: ClientId, input: impl FnOnce(&mut ClientMachine) -> ClientStep) {
        if let Some(client) = self.clients.get_mut(&id) {
            let step = input(&mut client.machine);
            self.apply_client_step(now, id, step);
        }
    }

    fn apply_server_step(&mut self, id: ServerId, step: ServerStep) {
        let by = TransactionId::Server(id);
        if let (Some(bytes), Some(server)) = (step.send, self.servers.get(&id)) {
            self.outputs.push_back(Output::Send { flow: server.flow, bytes, by: Some(by) });
        }
        match step.report {
            Some(ServerReport::Unacknowledged) => self.outputs.push_back(Output::Unacknowledged(id)),
            Some(ServerReport::Unanswered) => self.outputs.push_back(Output::Unanswered(id)),
            Some(ServerReport::Unreachable) => self.outputs.push_back(Output::Unreachable(by)),
            Some(ServerReport::Ack) | None => {}
        }
        self.settle_server(id);
    }

    fn apply_client_step(&mut self, now: Instant, id: ClientId, step: ClientStep) {
        let Some(client) = self.clients.get(&id) else { return };
        let by = TransactionId::Client(id);
        let for_core = !matches!(client.machine, ClientMachine::Cancel(_));
        if let Some(bytes) = step.send {
            self.outputs.push_back(Output::Send { flow: client.flow, bytes, by: Some(by) });
        }
        match step.report {
            Some(ClientReport::TimedOut) if for_core => self.outputs.push_back(Output::TimedOut(id)),
            Some(ClientReport::Unreachable) if for_core => self.outputs.push_back(Output::Unreachable(by)),
            Some(ClientReport::TimedOut | ClientReport::Unreachable | ClientReport::Response) | None => {}
        }
        if step.cancel {
            self.send_cancel(now, id);
        }
        self.settle_client(id);
    }

    /// Sets the transaction's deadline, or forgets it when it is over.
    fn settle_server(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let (over, deadline, lingers) = match &server.machine {
            ServerMachine::Invite { machine, .. } => (machine.is_terminated(), machine.deadline(), machine.lingers()),
            ServerMachine::Other(machine) => (machine.is_terminated(), machine.deadline(), machine.lingers()),
        };
        if over {
            return self.forget_server(id);
        }
        if lingers && !std::mem::replace(&mut server.lingers, true) {
            self.note_lingering_server(id);
        }
        self.queue.set(TransactionId::Server(id), deadline);
    }

    fn settle_client(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let (over, deadline, lingers) = match &client.machine {
            ClientMachine::Invite { machine, .. } => (machine.is_terminated(), machine.deadline(), machine.lingers()),
            ClientMachine::Other(machine) | ClientMachine::Cancel(machine) => {
                (machine.is_terminated(), machine.deadline(), machine.lingers())
            }
        };
        if over {
            return self.forget_client(id);
        }
        if lingers && !std::mem::replace(&mut client.lingers, true) {
            self.note_lingering_client(id);
        }
        self.queue.set(TransactionId::Client(id), deadline);
    }
}
