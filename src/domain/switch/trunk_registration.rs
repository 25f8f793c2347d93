//! Our registration at carriers (RFC 3261 §10.2): asked for, refreshed, tried again with longer and longer waits (RFC 5626 §4.5),
//! and an alarm as long as a carrier does not know us.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{Counter, OutboundTrunk, Switch};
use crate::{
    domain::call::leg::wire,
    protocol::sip::{
        build::{AddressHeader, Header, NumberHeader, Request, TextHeader, ViaBuf},
        client_digest::ClientDigest,
        field::{Address, CallId, HostBuf, Method, Text, UriBuf},
        header::HeaderId,
        message::Message,
        transaction_layer::ClientId,
    },
};

/// Wait after the first failure, doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// Longest wait (RFC 5626 §4.5).
const LONGEST_WAIT: Duration = Duration::from_secs(1_800);
/// Wait for a name that has not been looked up yet.
const NO_ADDRESS_WAIT: Duration = Duration::from_secs(1);
/// Longest registration that a carrier may make us ask for.
const LONGEST_ASKED: u32 = 86_400;
/// Shortest time between two refreshes, whatever a carrier grants.
const SHORTEST_REFRESH: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This trunk needs none.
    Off,
    /// The next REGISTER goes out then.
    Waiting(Instant),
    /// One waits for its answer.
    Trying,
}

/// One trunk's registration.
#[derive(Debug)]
pub(super) struct Registration {
    state: State,
    /// How long we ask for, seconds.
    asked: u32,
    /// Until when the carrier knows us.
    until: Option<Instant>,
    digest: Option<ClientDigest>,
    /// Call-ID and our tag, the same for every REGISTER to one carrier (RFC 3261 §10.2.4).
    dialog: Option<(String, String)>,
    cseq: u32,
    failures: u32,
    /// Why the last try failed.
    trouble: Option<String>,
}

impl Registration {
    pub fn new(outbound: Option<&OutboundTrunk>, now: Instant) -> Self {
        let asked = outbound.and_then(|outbound| outbound.register_seconds);
        Self {
            state: asked.map_or(State::Off, |_| State::Waiting(now)),
            asked: asked.unwrap_or(0),
            until: None,
            digest: outbound.and_then(|outbound| outbound.account.clone()).map(ClientDigest::new),
            dialog: None,
            cseq: 0,
            failures: 0,
            trouble: None,
        }
    }

    /// Whether calls can be sent: the carrier knows us, or need not.
    pub fn is_usable(&self, now: Instant) -> bool {
        self.state == State::Off || self.until.is_some_and(|until| until > now)
    }

    /// When something is to be done.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(at) => Some(at),
            State::Off | State::Trying => None,
        }
    }
}

impl Switch {
    /// When the next REGISTER goes out.
    pub(super) fn next_registration(&self) -> Option<Instant> {
        self.trunks.all.iter().filter_map(|trunk| trunk.registration.due()).min()
    }

    /// Sends every REGISTER that is due.
    pub(super) fn run_registrations(&mut self) {
        let now = self.now.mono;
        for trunk in 0..self.trunks.all.len() {
            if self.trunks.all[trunk].registration.due().is_some_and(|at| at <= now) && !self.board.is_stopping() {
                self.register_at(trunk, None);
            }
        }
    }

    /// Tells every carrier that knows us that we go.
    pub(super) fn unregister_trunks(&mut self) {
        for trunk in 0..self.trunks.all.len() {
            if self.trunks.all[trunk].registration.until.is_some() {
                self.register_at(trunk, Some(0));
            }
        }
    }

    fn register_at(&mut self, trunk: usize, expires: Option<u32>) {
        let now = self.now.mono;
        let Some((address, host, username)) = self.registrar_of(trunk) else {
            self.trunks.all[trunk].registration.state = State::Waiting(now + NO_ADDRESS_WAIT);
            return;
        };
        let Some(flow) = self.trunk_flow(trunk, address) else {
            return self.registration_failed(trunk, "no listener of ours reaches it. Set listener in trunks.toml".to_owned());
        };
        let (new_id, new_tag, branch) = (self.tokens.call_id(), self.tokens.tag(), self.tokens.branch());
        let product = self.config.policy.product.clone();
        let ours = wire::our_address(&self.config.policy, flow);
        let registration = &mut self.trunks.all[trunk].registration;
        let (call_id, tag) = registration.dialog.get_or_insert((new_id, new_tag)).clone();
        registration.cseq += 1;
        let aor = Address::new(UriBuf::sip(Some(&username), &host, None));
        let registrar = UriBuf::sip(None, &host, None);
        let id = CallId::new(&call_id).unwrap_or_else(|| unreachable!("tokens are letters, digits and hyphens"));
        let mut request = Request::new(Method::Register, registrar, aor.clone().with_tag(&tag), aor, id, registration.cseq);
        request.via.push(ViaBuf::new(flow.transport, ours, &branch));
        let contact = Address::new(UriBuf::sip(Some(&username), &HostBuf::Ip(ours.ip()), Some(ours.port())));
        request.headers.push(Header::Address(AddressHeader::Contact, contact));
        request.headers.push(Header::Number(NumberHeader::Expires, expires.unwrap_or(registration.asked)));
        request.headers.push(Header::Text(TextHeader::UserAgent, Text::new(&product)));
        let digest = registration.digest.as_mut();
        request.headers.extend(digest.and_then(|digest| digest.credentials(&Method::Register, request.uri.as_str())));
        registration.state = State::Trying;
        match self.send_sized(&branch, flow, &request) {
            Ok(client) => {
                self.trunks.registering.insert(client, trunk);
            }
            Err(_) => self.registration_failed(trunk, "there is no room for a request of ours".to_owned()),
        }
    }

    /// Where a trunk's registrar is; after a failure its next address.
    fn registrar_of(&self, trunk: usize) -> Option<(SocketAddr, HostBuf, String)> {
        let known = self.trunks.all.get(trunk)?;
        let outbound = self.config.trunks.get(trunk)?.outbound.as_ref()?;
        let turn = usize::try_from(known.registration.failures).unwrap_or(0).checked_rem(known.addresses.len())?;
        let address = *known.addresses.get(turn)?;
        let host = HostBuf::new(&outbound.host).unwrap_or(HostBuf::Ip(address.ip()));
        Some((address, host, outbound.account.as_ref()?.username.clone()))
    }

    /// A response that belongs to a REGISTER of ours; false where it does not.
    pub(super) fn registration_response(&mut self, client: ClientId, response: &Message<'_>) -> bool {
        let Some(trunk) = self.trunks.registering.get(&client).copied() else { return false };
        let Some(status) = response.status().filter(|status| *status >= 200) else { return true };
        self.trunks.registering.remove(&client);
        if self.board.is_stopping() {
            return true;
        }
        let cnonce = self.tokens.tag();
        let registration = &mut self.trunks.all[trunk].registration;
        match status {
            200..=299 => self.registered(trunk, response),
            401 | 407 => match registration.digest.as_mut().map(|digest| digest.challenged(response, &cnonce)) {
                Some(Ok(())) => {
                    self.counters.count(Counter::ChallengeAnswered);
                    self.register_at(trunk, None);
                }
                Some(Err(error)) => {
                    self.counters.count(Counter::ChallengeNotAnswered);
                    self.registration_failed(trunk, format!("{error}. Check username, password and realm in trunks.toml"));
                }
                None => self.registration_failed(trunk, "it asks for a password. Add an account in trunks.toml".to_owned()),
            },
            423 => match response.seconds(HeaderId::MinExpires).filter(|least| (registration.asked + 1..=LONGEST_ASKED).contains(least)) {
                Some(least) => {
                    registration.asked = least;
                    registration.state = State::Waiting(self.now.mono + NO_ADDRESS_WAIT);
                }
                None => self.registration_failed(trunk, "it wants another time than it says (423)".to_owned()),
            },
            _ => self.registration_failed(trunk, format!("it answers {status}. Ask the carrier")),
        }
        true
    }

    /// A REGISTER was never answered; false where the transaction is none.
    pub(super) fn registration_unanswered(&mut self, client: ClientId) -> bool {
        let Some(trunk) = self.trunks.registering.remove(&client) else { return false };
        if !self.board.is_stopping() {
            self.registration_failed(trunk, "it does not answer. Check host, port and transport in trunks.toml".to_owned());
        }
        true
    }

    fn registered(&mut self, trunk: usize, response: &Message<'_>) {
        let now = self.now.mono;
        let registration = &mut self.trunks.all[trunk].registration;
        // Where the carrier lists several contacts, the shortest time is not too long for ours.
        let of_contact = response.contacts().filter_map(|contact| contact.params.get("expires")?.parse::<u32>().ok()).min();
        let seconds = of_contact.or(response.expires()).unwrap_or(registration.asked).clamp(1, LONGEST_ASKED);
        let granted = Duration::from_secs(seconds.into());
        if let Some(digest) = registration.digest.as_mut() {
            digest.settled();
        }
        registration.failures = 0;
        registration.trouble = None;
        registration.until = Some(now + granted);
        registration.state = State::Waiting(now + (granted * 4 / 5).max(SHORTEST_REFRESH));
        self.tell_registrations();
    }

    fn registration_failed(&mut self, trunk: usize, trouble: String) {
        let now = self.now.mono;
        self.counters.count(Counter::RegistrationFailed);
        let doublings = self.trunks.all[trunk].registration.failures.min(6);
        let longest = (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT);
        // Somewhere in the upper half, so that many of us do not come back together.
        let percent = 50 + self.tokens.below(51);
        let registration = &mut self.trunks.all[trunk].registration;
        registration.failures += 1;
        registration.trouble = Some(trouble);
        registration.state = State::Waiting(now + longest * percent / 100);
        if let Some(digest) = registration.digest.as_mut() {
            digest.settled();
        }
        self.tell_registrations();
    }

    /// The board says which carriers do not know us, and why.
    fn tell_registrations(&mut self) {
        let now = self.now.mono;
        let all = self.trunks.all.iter().zip(&self.config.trunks);
        let unknown = all.filter(|(trunk, _)| !trunk.registration.is_usable(now));
        let told = unknown.filter_map(|(trunk, config)| {
            let trouble = trunk.registration.trouble.as_ref()?;
            Some(format!("We are not registered at trunk {}: {trouble}.", config.name))
        });
        let sentence = told.reduce(|all, one| format!("{all} {one}"));
        if self.alarms.get("trunks") != sentence.as_ref() {
            self.alarm("trunks", sentence);
        }
    }
}
