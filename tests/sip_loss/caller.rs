//! The calling side: INVITE, perhaps CANCEL, ACK every 2xx, BYE.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use throughline::protocol::sip::{
    build::{AddressHeader, Header, Request, ViaBuf},
    dialog::{DialogId, DialogSet, ForkOutcome},
    field::{Address, CallId, Method, UriBuf},
    flow::{Flow, ListenerId, Transport},
    message::Message,
    parse::parse,
    timers::Timers,
    transaction_layer::{
        ClientId, Limits, OutgoingRequest, Output, RequestFate, RequestHead, ResponseFate, ResponseHead, TransactionId, TransactionLayer,
    },
};

use super::{Outcome, Script};

const US: &str = "192.0.2.1:5060";
const THEM: &str = "192.0.2.2:5060";

/// The path from one test address to the other.
pub fn flow(remote: &str) -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote: remote.parse().expect("an address") }
}

struct Call {
    script: Script,
    set: DialogSet,
    outcome: Option<Outcome>,
    cancel_at: Option<Instant>,
    hang_up_at: Option<(Instant, DialogId)>,
}

pub struct Caller {
    layer: TransactionLayer,
    planned: BTreeMap<(Instant, usize), Script>,
    calls: HashMap<usize, Call>,
    by_client: HashMap<ClientId, (usize, Method)>,
    branches: u64,
}

impl Caller {
    pub fn new() -> Self {
        let layer = TransactionLayer::new(Timers::default(), Limits::default());
        Self { layer, planned: BTreeMap::new(), calls: HashMap::new(), by_client: HashMap::new(), branches: 0 }
    }

    pub fn plan(&mut self, at: Instant, call: usize, script: Script) {
        self.planned.insert((at, call), script);
    }

    pub fn outcome(&self, call: usize) -> Option<Outcome> {
        self.calls.get(&call).and_then(|call| call.outcome)
    }

    pub fn is_idle(&self) -> bool {
        self.layer.is_empty() && self.by_client.is_empty()
    }

    pub fn left(&self) -> ((usize, usize), Vec<usize>) {
        (self.layer.len(), self.calls.iter().filter(|(_, call)| call.outcome.is_none()).map(|(call, _)| *call).collect())
    }

    pub fn next_at(&mut self) -> Option<Instant> {
        let planned = self.planned.keys().next().map(|(at, _)| *at);
        let wishes = self.calls.values().flat_map(|call| [call.cancel_at, call.hang_up_at.as_ref().map(|(at, _)| *at)]);
        wishes.chain([planned, self.layer.next_timeout()]).flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(((_, call), script)) = self.planned.first_key_value().filter(|((at, _), _)| *at <= now) {
            let (call, script) = (*call, *script);
            self.planned.pop_first();
            self.start(now, call, script);
        }
        let mut byes = Vec::new();
        for (number, call) in &mut self.calls {
            if call.cancel_at.take_if(|at| *at <= now).is_some() {
                let client = self.by_client.iter().find(|(_, what)| **what == (*number, Method::Invite)).map(|(client, _)| *client);
                if let Some(client) = client {
                    self.layer.cancel(now, client, Some("SIP;cause=487"));
                }
            }
            if let Some((_, id)) = call.hang_up_at.take_if(|(at, _)| *at <= now) {
                let bye = call.set.dialog(&id).expect("a dialog").request(Method::Bye);
                byes.push((*number, bye));
            }
        }
        for (number, bye) in byes {
            self.send(now, number, bye);
        }
        self.layer.handle_timeout(now);
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let message = parse(datagram).expect("the answerer writes well");
        if message.is_request() {
            let fate = self.layer.receive_request(now, &RequestHead::of(&message).expect("a request"));
            assert_eq!(fate, RequestFate::New { merged: false }, "the answerer never calls");
            return;
        }
        if let ResponseFate::Deliver(client) = self.layer.receive_response(now, &ResponseHead::of(&message).expect("a response")) {
            let (number, method) = self.by_client.get(&client).cloned().expect("known until its end");
            match method {
                Method::Invite => self.invite_answered(now, number, &message),
                _ if message.status() >= Some(200) => self.end(number, Outcome::Talked),
                _ => {}
            }
        }
    }

    pub fn drain(&mut self, mut send: impl FnMut(&Arc<[u8]>)) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::Send { bytes, flow: to, .. } => {
                    assert_eq!(to, flow(THEM));
                    send(&bytes);
                }
                Output::TimedOut(client) => {
                    let (number, method) = self.by_client.get(&client).cloned().expect("known until its end");
                    // An unanswered BYE ends the call all the same.
                    self.end(number, if method == Method::Bye { Outcome::Talked } else { Outcome::TimedOut });
                }
                Output::Ended(id) => self.by_client.retain(|client, _| TransactionId::Client(*client) != id),
                other => panic!("{other:?}"),
            }
        }
    }

    fn start(&mut self, now: Instant, number: usize, script: Script) {
        let uri = |text: &str| UriBuf::new(text).expect("a URI");
        let contact = Address::new(uri(&format!("sip:caller@{US}")));
        let from = Address::new(uri("sip:caller@x")).with_tag("caller");
        let call_id = CallId::new(&format!("call-{number}")).expect("a Call-ID");
        let mut invite = Request::new(Method::Invite, uri(&format!("sip:desk@{THEM}")), from, Address::new(uri("sip:desk@y")), call_id, 1);
        invite.headers.push(Header::Address(AddressHeader::Contact, contact.clone()));
        let call = Call {
            script,
            set: DialogSet::new(invite.clone(), contact),
            outcome: None,
            cancel_at: script.cancel_after.map(|after| now + after),
            hang_up_at: None,
        };
        self.calls.insert(number, call);
        self.send(now, number, invite);
    }

    fn send(&mut self, now: Instant, number: usize, mut request: Request) {
        self.stamp(&mut request);
        let outgoing = OutgoingRequest::of(&request, flow(THEM)).expect("a Via");
        let client = self.layer.send_request(now, outgoing).expect("room");
        self.by_client.insert(client, (number, request.method));
    }

    fn stamp(&mut self, request: &mut Request) {
        self.branches += 1;
        let sent_by: SocketAddr = US.parse().expect("an address");
        request.via.push(ViaBuf::udp(sent_by, &format!("z9hG4bK{}", self.branches)));
    }

    fn invite_answered(&mut self, now: Instant, number: usize, response: &Message<'_>) {
        let call = self.calls.get_mut(&number).expect("a call");
        let cseq = response.cseq().seq;
        match call.set.receive(response) {
            ForkOutcome::Answered { id, first } => {
                assert!(first, "one answerer, one answer");
                let cancelled = call.cancel_at.take().is_none() && call.script.cancel_after.is_some();
                // A 2xx that crossed the CANCEL is acknowledged and hung up at once.
                let talk = if cancelled { Duration::ZERO } else { call.script.talk };
                call.hang_up_at = Some((now + talk, id.clone()));
                let mut ack = call.set.dialog(&id).expect("a dialog").ack(cseq);
                self.stamp(&mut ack);
                let bytes: Arc<[u8]> = ack.to_bytes().into();
                self.layer.send_stateless(flow(THEM), bytes.clone());
                let call = self.calls.get_mut(&number).expect("a call");
                call.set.dialog(&id).expect("a dialog").remember_ack(cseq, bytes);
            }
            ForkOutcome::AnsweredAgain(id) => {
                let ack = call.set.dialog(&id).and_then(|dialog| dialog.remembered_ack(cseq)).expect("the ACK as sent").clone();
                self.layer.send_stateless(flow(THEM), ack);
            }
            ForkOutcome::NoDialog => match response.status() {
                Some(487) => self.end(number, Outcome::Cancelled),
                Some(300..) => self.end(number, Outcome::Rejected),
                Some(_) | None => {}
            },
            ForkOutcome::NewEarly(_) | ForkOutcome::Early(_) => {}
            ForkOutcome::TooMany => panic!("one answerer, one fork"),
        }
    }

    fn end(&mut self, number: usize, outcome: Outcome) {
        let call = self.calls.get_mut(&number).expect("a call");
        assert_eq!(call.outcome.replace(outcome), None, "call {number} ends once");
        call.cancel_at = None;
    }
}
