//! The answering side: 100 and 180 at once, then 200 or 486; answers CANCEL and BYE; repeats its 2xx until the ACK.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use throughline::protocol::sip::{
    answer_retransmission::{AnswerRetransmission, AnswerStep},
    build::{AddressHeader, Header, Response},
    dialog::{Dialog, DialogId, RequestOrder},
    field::{Address, Method, UriBuf},
    message::Message,
    parse::parse,
    timers::Timers,
    transaction_layer::{Limits, Output, RequestFate, RequestHead, ServerId, TransactionLayer},
};

use super::{Outcome, Script, caller::flow};

const US: &str = "192.0.2.2:5060";
const THEM: &str = "192.0.2.1:5060";

struct Call {
    script: Script,
    server: ServerId,
    invite: Vec<u8>,
    dialog: Dialog,
    decide_at: Option<Instant>,
    answer: Option<AnswerRetransmission>,
    outcome: Option<Outcome>,
}

pub struct Answerer {
    layer: TransactionLayer,
    scripts: HashMap<usize, Script>,
    calls: HashMap<usize, Call>,
}

fn number(message: &Message<'_>) -> usize {
    message.call_id().strip_prefix("call-").and_then(|text| text.parse().ok()).expect("a Call-ID of the caller")
}

impl Answerer {
    pub fn new() -> Self {
        Self { layer: TransactionLayer::new(Timers::default(), Limits::default()), scripts: HashMap::new(), calls: HashMap::new() }
    }

    pub fn plan(&mut self, call: usize, script: Script) {
        self.scripts.insert(call, script);
    }

    pub fn outcome(&self, call: usize) -> Option<Outcome> {
        self.calls.get(&call).and_then(|call| call.outcome)
    }

    pub fn is_idle(&self) -> bool {
        self.layer.is_empty() && self.calls.values().all(|call| call.answer.is_none() && call.outcome.is_some())
    }

    pub fn left(&self) -> ((usize, usize), Vec<usize>) {
        (self.layer.len(), self.calls.iter().filter(|(_, call)| call.outcome.is_none()).map(|(call, _)| *call).collect())
    }

    pub fn next_at(&mut self) -> Option<Instant> {
        let wishes = self.calls.values().flat_map(|call| [call.decide_at, call.answer.as_ref().map(AnswerRetransmission::deadline)]);
        wishes.chain([self.layer.next_timeout()]).flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for call in self.calls.values_mut() {
            if call.decide_at.take_if(|at| *at <= now).is_some() {
                let message = parse(&call.invite).expect("it was read before");
                let status = if call.script.accepts { 200 } else { 486 };
                let bytes = response(&message, status);
                self.layer.respond(now, call.server, status, bytes.clone()).expect("nothing was answered yet");
                if status == 200 {
                    call.dialog.confirm(None);
                    call.answer = Some(AnswerRetransmission::start(now, bytes, Timers::default()));
                } else {
                    call.outcome = Some(Outcome::Rejected);
                }
            }
            match call.answer.as_mut().filter(|answer| answer.deadline() <= now).map(|answer| answer.handle_timeout(now)) {
                Some(AnswerStep::Send(bytes)) => self.layer.respond(now, call.server, 200, bytes).expect("accepted until Timer L"),
                // A real core sends BYE here; this one only notes the end.
                Some(AnswerStep::GiveUp) => {
                    call.answer = None;
                    call.outcome = call.outcome.or(Some(Outcome::TimedOut));
                }
                Some(AnswerStep::Wait) | None => {}
            }
        }
        self.layer.handle_timeout(now);
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let message = parse(datagram).expect("the caller writes well");
        let head = RequestHead::of(&message).expect("the caller only asks");
        match self.layer.receive_request(now, &head) {
            RequestFate::New { merged } => {
                assert!(!merged);
                let server = self.layer.open(now, &head, flow(THEM), Some(response(&message, 100))).expect("room");
                match message.method() {
                    Method::Invite => self.ring(now, server, &message),
                    _ => self.hang_up(now, server, &message),
                }
            }
            RequestFate::Cancel { invite, unanswered } => {
                let cancel = self.layer.open(now, &head, flow(THEM), None).expect("room");
                let status = if invite.is_some() { 200 } else { 481 };
                self.layer.respond(now, cancel, status, response(&message, status)).expect("a new request");
                if let Some(invite) = invite.filter(|_| unanswered) {
                    let call = self.calls.get_mut(&number(&message)).expect("a call");
                    assert_eq!(call.server, invite);
                    call.decide_at = None;
                    let rejection = response(&parse(&call.invite).expect("it was read before"), 487);
                    self.layer.respond(now, invite, 487, rejection).expect("unanswered");
                    assert_eq!(call.outcome.replace(Outcome::Cancelled), None);
                }
            }
            RequestFate::Ack { .. } => {
                let call = self.calls.get_mut(&number(&message)).expect("a call");
                assert_eq!(call.dialog.receive(&message), RequestOrder::Next);
                call.answer = None;
            }
            RequestFate::Repeated | RequestFate::AckAbsorbed => {}
        }
    }

    pub fn drain(&mut self, mut send: impl FnMut(&Arc<[u8]>)) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::Send { bytes, flow: to, .. } => {
                    assert_eq!(to, flow(THEM));
                    send(&bytes);
                }
                Output::Ended(_) | Output::Unacknowledged(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn ring(&mut self, now: Instant, server: ServerId, invite: &Message<'_>) {
        let number = number(invite);
        let script = self.scripts.remove(&number).expect("each INVITE is seen once");
        let contact = Address::new(UriBuf::new(&format!("sip:desk@{US}")).expect("a URI"));
        let dialog = Dialog::answering(invite, "desk", contact).expect("a Contact");
        self.layer.respond(now, server, 180, response(invite, 180)).expect("a new request");
        let decide_at = Some(now + script.decide_after.max(Duration::from_millis(1)));
        let call = Call { script, server, invite: invite.datagram().to_vec(), dialog, decide_at, answer: None, outcome: None };
        self.calls.insert(number, call);
    }

    fn hang_up(&mut self, now: Instant, server: ServerId, bye: &Message<'_>) {
        assert_eq!(*bye.method(), Method::Bye);
        let call = self.calls.get_mut(&number(bye)).expect("a call");
        assert_eq!(DialogId::of_request(bye).as_ref(), Some(call.dialog.id()));
        assert_eq!(call.dialog.receive(bye), RequestOrder::Next, "each BYE is seen once");
        // The peer that sends BYE has our 2xx, also where its ACK was lost.
        call.answer = None;
        call.outcome = Some(Outcome::Talked);
        self.layer.respond(now, server, 200, response(bye, 200)).expect("a new request");
    }
}

/// Any response of this side, with a Contact.
fn response(request: &Message<'_>, status: u16) -> Arc<[u8]> {
    let contact = Address::new(UriBuf::new(&format!("sip:desk@{US}")).expect("a URI"));
    let response = Response::to(request, status, "desk", THEM.parse().expect("an address"));
    response.with(Header::Address(AddressHeader::Contact, contact)).to_bytes().into()
}
