//! Overload and strangers: what is not even looked at, what is answered 503, and what a stranger gets.

use std::time::Instant;

use super::{
    Counter, Switch,
    gate::Source,
    intake::{Class, Next, Taken},
};
use crate::{
    protocol::sip::{
        build::{Header, NumberHeader},
        field::{Method, Text},
        flow::{Flow, Transport},
        header::Via,
        message::Message,
        parse::parse,
        peek::Peek,
        refusal::Refusal,
    },
    time::Now,
};

/// A phone that was shed comes back after 5 to 30 s, by chance, so that not all come back at once.
const RETRY_AFTER_MIN: u32 = 5;
const RETRY_AFTER_SPREAD: u32 = 26;

/// Whether the branch tells this request from all others (RFC 3261 §8.1.1.7).
fn has_unique_branch(peek: &Peek<'_>) -> bool {
    peek.via.is_some_and(|via| memchr::memmem::find(via, b"branch=z9hG4bK").is_some())
}

/// Refusals that wait to be sent, one behind the other: hundreds come at once, and none is worth an allocation of its own.
#[derive(Debug)]
pub(super) struct Refusals {
    octets: Vec<u8>,
    /// Where each goes, and where it ends in `octets`.
    ends: Vec<(Flow, usize)>,
    /// Tokens of dialogs have no 0, so that the ACK to what was shed is known at a glance and costs next to nothing.
    to_tag: String,
    server: Text,
}

impl Refusals {
    pub fn new(mark: &str, product: &str) -> Self {
        Self { octets: Vec::new(), ends: Vec::new(), to_tag: format!("{mark}-0"), server: Text::new(product) }
    }

    /// Writes a refusal from the request's octets; false where the request has to be parsed.
    fn write(&mut self, flow: Flow, request: &[u8], peek: &Peek<'_>, retry_after: Option<u32>) -> bool {
        let Some(method) = &peek.method else { return false };
        let start = self.octets.len();
        let refusal = Refusal { to_tag: &self.to_tag, server: self.server.as_str(), retry_after };
        let Some(target) = refusal.write(&mut self.octets, request, method, flow.remote) else { return false };
        // Only a datagram's source may be forged.
        let (remote, is_too_much) = match flow.transport {
            Transport::Udp => (target, self.octets.len() - start > 2 * request.len()),
            Transport::Tcp => (flow.remote, false),
        };
        if is_too_much {
            self.octets.truncate(start);
            return false;
        }
        self.ends.push((Flow { remote, ..flow }, self.octets.len()));
        true
    }
}

impl Switch {
    /// Gives out the refusals since the last time, oldest first.
    pub fn drain_refusals(&mut self, mut sink: impl FnMut(Flow, &[u8])) {
        let mut start = 0;
        for (flow, end) in self.refusals.ends.drain(..) {
            sink(flow, &self.refusals.octets[start..end]);
            start = end;
        }
        self.refusals.octets.clear();
    }

    /// Takes in a message as it arrives; its turn comes with [`Switch::work`]. What there is no room for is answered here.
    pub fn offer(&mut self, now: Now, flow: Flow, bytes: &[u8]) {
        self.tick(now);
        // At its arrival: the end of its connection may be told before its turn comes.
        self.large.heard(flow);
        let peek = Peek::at(bytes);
        if self.is_ours_to_ignore(&peek) {
            return self.counters.count(Counter::ShedAck);
        }
        let source = self.source(flow);
        let class = Class::of(&peek, source, |user| self.config.destinations.emergency.contains(user));
        if class != Class::Urgent && source == Source::Unknown && self.strangers.is_silenced(now.mono, flow.remote.ip()) {
            return self.counters.count(Counter::StrangerSilenced);
        }
        if class == Class::Call && !self.has_room() && (self.intake.waiting()[Class::Call as usize] > 0 || has_unique_branch(&peek)) {
            // Its turn would refuse it all the same, at many times the price. What comes alone from a peer whose repetitions cannot be
            // told by the branch is looked at.
            return self.shed(flow, bytes, &peek, class, source);
        }
        match self.intake.take(now.mono, class, flow, bytes) {
            Taken::Queued => {}
            Taken::Dropped => self.counters.count(Counter::Overrun),
            Taken::Shed(class) => self.shed(flow, bytes, &peek, class, source),
        }
    }

    /// Serves the message whose turn it is; false when none waits.
    pub fn work(&mut self, now: Now) -> bool {
        self.tick(now);
        match self.intake.next_message(now.mono) {
            Some(Next::Serve(held)) => {
                self.receive(held.flow, &held.bytes);
                self.finish();
            }
            Some(Next::Shed(held, class)) => {
                let source = self.source(held.flow);
                self.shed(held.flow, &held.bytes, &Peek::at(&held.bytes), class, source);
            }
            None => return false,
        }
        true
    }

    /// Whether messages wait for their turn.
    pub fn has_work(&self) -> bool {
        !self.intake.is_empty()
    }

    /// How many wait: urgent ones, calls, registrations, others.
    pub fn waiting(&self) -> [usize; 4] {
        self.intake.waiting()
    }

    /// Whether this INVITE has been answered before and is repeated: then it is one of a call that lives, whatever else waits.
    fn is_repeated(&self, peek: &Peek<'_>) -> bool {
        let via = peek.via.filter(|value| !value.contains(&b',')).and_then(Via::parse);
        peek.method == Some(Method::Invite) && via.is_some_and(|via| self.layer.has_invite(&via))
    }

    /// 503 without state, but never to what belongs to a call that is there. Only a registered phone is told when to come again: a
    /// trunk would be silent as a whole for so long.
    fn shed(&mut self, flow: Flow, bytes: &[u8], peek: &Peek<'_>, class: Class, source: Source) {
        if self.is_repeated(peek) {
            self.receive(flow, bytes);
            return self.finish();
        }
        self.counters.count(match class {
            Class::Urgent | Class::Call => Counter::ShedCall,
            Class::Registration => Counter::ShedRegistration,
            Class::Other => Counter::ShedOther,
        });
        let retry_after = matches!(source, Source::Phone(_)).then(|| RETRY_AFTER_MIN + self.tokens.below(RETRY_AFTER_SPREAD));
        if self.refusals.write(flow, bytes, peek, retry_after) {
            return;
        }
        let Ok(request) = parse(bytes) else { return self.counters.count(Counter::Malformed) };
        if !request.is_request() {
            return;
        }
        let mut response = self.reply(&request, 503, flow.remote);
        response.to = request.to().to_owned().with_tag(&self.refusals.to_tag);
        response.headers.extend(retry_after.map(|seconds| Header::Number(NumberHeader::RetryAfter, seconds)));
        self.send_stateless(flow, &request, &response);
    }

    fn is_ours_to_ignore(&self, peek: &Peek<'_>) -> bool {
        peek.method == Some(Method::Ack) && peek.to_tag == Some(self.refusals.to_tag.as_bytes())
    }

    /// Whether a request outside of any dialog may be looked at: strangers have a rate, and those who guess are not heard.
    pub(super) fn hears(&mut self, flow: Flow, request: &Message<'_>, source: Source) -> bool {
        if source != Source::Unknown {
            return true;
        }
        let (now, address) = (self.now.mono, flow.remote.ip());
        if self.strangers.is_silenced(now, address) {
            self.counters.count(Counter::StrangerSilenced);
            return false;
        }
        // Credentials are judged by what they are worth.
        let asks = !Peek::at(request.datagram()).has_credentials;
        if asks && !self.strangers.admit(now, address) {
            self.counters.count(Counter::StrangerLimited);
            return false;
        }
        true
    }

    /// A stranger asked without credentials, or with wrong ones. True where this was the last answer for now.
    pub(super) fn stranger_failed(&mut self, flow: Flow, wrong: bool) -> bool {
        if self.source(flow) != Source::Unknown {
            return false;
        }
        let (now, address) = (self.now.mono, flow.remote.ip());
        if !wrong {
            self.strangers.asked(now, address);
            return false;
        }
        let silenced = self.strangers.failed(now, address);
        if silenced {
            self.counters.count(Counter::Silenced);
        }
        silenced
    }

    /// Whoever was a stranger is none.
    pub(super) fn stranger_succeeded(&mut self, now: Instant, flow: Flow) {
        self.strangers.succeeded(now, flow.remote.ip());
    }
}
