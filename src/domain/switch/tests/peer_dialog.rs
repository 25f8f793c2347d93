//! What a peer heard, and what it does with requests in its dialog: answers re-INVITE and UPDATE, refuses what a test wants refused.

use std::{sync::Arc, time::Instant};

use super::peer::Peer;
use crate::protocol::sip::{
    answer_retransmission::AnswerRetransmission,
    build::{AddressHeader, Header, NumberHeader, Request, Response},
    field::Method,
    message::Message,
    parse::parse,
    timers::Timers,
    transaction_layer::ServerId,
};

impl Peer {
    /// What it got, by method or status, in order: `INVITE`, `CANCEL`, `200 INVITE`.
    pub fn heard(&self) -> Vec<String> {
        let name = |bytes: &Vec<u8>| {
            let message = parse(bytes).expect("what we send can be read");
            message.status().map_or_else(|| message.method().to_string(), |status| format!("{status} {}", message.method()))
        };
        self.inbox.iter().map(|(_, bytes)| name(bytes)).collect()
    }

    /// The last message of this kind, as text.
    pub fn last(&self, kind: &str) -> Option<String> {
        let at = self.heard().iter().rposition(|heard| heard == kind)?;
        Some(String::from_utf8_lossy(&self.inbox[at].1).into_owned())
    }

    /// When the first message of this kind came.
    pub fn first_at(&self, kind: &str) -> Option<Instant> {
        let at = self.heard().iter().position(|heard| heard == kind)?;
        Some(self.inbox[at].0)
    }

    pub(super) fn on_in_dialog(&mut self, now: Instant, request: &Message<'_>, server: ServerId) {
        if self.dialog.is_none() {
            return self.reply(now, server, request, 481, None);
        }
        if let Some(at) = self.refuses.iter().position(|(method, _)| method == request.method()) {
            let (_, status) = self.refuses.remove(at);
            let mut response = Response::to(request, status, "tag", self.server);
            if status == 422 {
                response.headers.push(Header::Number(NumberHeader::MinSe, 600));
            }
            let _ = self.layer.respond(now, server, status, response.to_bytes().into());
            return;
        }
        if *request.method() != Method::Invite {
            return self.reply(now, server, request, 200, None);
        }
        let body = self.sdp("sendrecv");
        let response = Response::to(request, 200, "tag", self.server);
        let response = response.with(Header::Address(AddressHeader::Contact, self.contact())).with_body(body);
        let bytes: Arc<[u8]> = response.to_bytes().into();
        let _ = self.layer.respond(now, server, 200, bytes.clone());
        self.answer = Some(AnswerRetransmission::start(now, bytes, Timers::default()));
        self.answer_to = Some(server);
    }

    /// Sends a request in the early dialog that its 180 made.
    pub fn in_early_dialog(&mut self, now: Instant, method: Method, change: impl FnOnce(&mut Request)) {
        let mut dialog = self.early.take().expect("rang");
        let mut request = dialog.request(method);
        change(&mut request);
        self.early = Some(dialog);
        self.send(now, request);
    }

    /// How often it heard this.
    pub fn count(&self, kind: &str) -> usize {
        self.heard().iter().filter(|heard| *heard == kind).count()
    }

    /// The messages of this kind, as text, in order.
    pub fn all(&self, kind: &str) -> Vec<String> {
        let kinds = self.heard();
        let these = self.inbox.iter().zip(&kinds).filter(|(_, heard)| *heard == kind);
        these.map(|((_, bytes), _)| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}
