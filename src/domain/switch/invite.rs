//! An INVITE outside of any dialog: checks in the RFC's order, then a call from a trunk to a queue, from a phone to a colleague, or
//! from a phone to somebody outside.

use super::{Counter, Switch, calling::NoCall, challenge::Identified, endpoint::unknown_extensions, gate::Source, people::People};
use crate::{
    domain::{
        call::{
            Arrival, Call, Caller, InternalCall, OutboundCall, PhoneTarget, Place, Turn,
            leg::{Incoming, IncomingError, Leg, LegRole, MAX_BRANCHES, MIN_SESSION_SECONDS, SessionTimer, in_dialog::warning},
        },
        media::plan::PortPair,
        routing::Queue,
    },
    ids::{AgentId, InteractionId, Party, PhoneId, PhoneNumber},
    protocol::{
        sdp::Refusal,
        sip::{
            build::{Header, NumberHeader, Response, TextHeader, TokensHeader},
            field::Text,
            flow::Flow,
            header::{HeaderId, NameAddr},
            message::Message,
            multipart::{ACCEPTED, Session},
            registrar::Registrar,
            transaction_layer::ServerId,
        },
    },
};

/// What networks write in the place of a caller whom they do not know or may not name.
const NOBODY: [&str; 8] = ["", "anonymous", "restricted", "unavailable", "unknown", "withheld", "private", "blocked"];
/// Asserted identities that are looked at: a network asserts one or two (RFC 3325 §9.1).
const MAX_ASSERTED: usize = 4;

/// Who an admitted INVITE is from and for.
pub(super) enum Route {
    Queue { trunk: usize, queue: Queue },
    Colleague { caller: PhoneId, target: PhoneTarget },
    Outside { called: String, call: OutboundCall },
}

/// Where a phone is reached: every binding, one for each flow; an old Contact of the same flow is the same phone.
pub(super) fn phone_target(registrar: &Registrar, people: &People, steady_ms: i64, phone: PhoneId) -> Option<PhoneTarget> {
    let account = &people.phone(phone)?.account;
    let aor = phone.to_string();
    let mut places: Vec<Place> = Vec::new();
    for binding in registrar.bindings(steady_ms, &aor) {
        if places.iter().all(|place| place.flow != binding.flow) {
            places.push(Place { flow: binding.flow, contact: binding.contact.clone() });
        }
    }
    let mut places = places.into_iter();
    Some(PhoneTarget {
        phone,
        place: places.next()?,
        others: places.take(MAX_BRANCHES - 1).collect(),
        user: account.user.clone(),
        display_name: account.display_name.clone(),
    })
}

impl Switch {
    pub(super) fn invite(&mut self, flow: Flow, request: &Message<'_>, source: Source) {
        let phone = match source {
            Source::Trunk(_) => None,
            Source::Phone(_) | Source::Unknown => match self.identify(flow, request) {
                Identified::Account(phone) => Some(phone),
                Identified::Answer(answer) => return self.send_stateless(flow, request, &answer),
            },
        };
        self.proven(flow);
        let emergency = phone.is_some() && self.calls_help(request);
        if let Some(refusal) = self.inadmissible(flow, request, emergency) {
            return self.send_stateless(flow, request, &refusal);
        }
        let route = match (phone, source) {
            (Some(phone), _) => self.route_phone(request, phone),
            (None, Source::Trunk(trunk)) => self.route_inbound(request, trunk).map_err(NoCall::from),
            (None, Source::Phone(_) | Source::Unknown) => Err(NoCall::from(403)),
        };
        let route = match route {
            Ok(Route::Queue { trunk, .. }) if self.trunk_is_full(trunk) => {
                // 503 lets a carrier try another way to us; 486 would tell its customer that somebody is busy.
                self.counters.count(Counter::TrunkFullInbound);
                return self.refuse_call(flow, request, NoCall::from(503));
            }
            Ok(route) => route,
            Err(refusal) => return self.refuse_call(flow, request, refusal),
        };
        let ports = if emergency || self.has_room() { self.ports.acquire::<2>() } else { None };
        let Some(ports) = ports else {
            self.counters.count(Counter::NoRoom);
            // A trunk gets no Retry-After: it would silence the trunk as a whole.
            let mut response = self.reply(request, 503, flow.remote);
            if phone.is_some() {
                response.headers.push(Header::Number(NumberHeader::RetryAfter, 5 + self.tokens.below(26)));
            }
            return self.send_stateless(flow, request, &response);
        };
        match self.open(flow, request) {
            Some(server) => self.start_call(flow, request, server, route, ports),
            None => ports.into_iter().for_each(|pair| {
                self.ports.give_back(pair);
            }),
        }
    }

    /// Whether one more call can be. Each call that has not ended holds two pairs; one that is only wrapped up holds none.
    pub(super) fn has_room(&self) -> bool {
        self.ports.in_use().len() / 2 < self.config.limits.max_calls && self.ports.free() >= 2
    }

    /// The checks that need no state (RFC 3261 §8.2, §16.3; RFC 4028 §9), in order.
    fn inadmissible(&mut self, flow: Flow, request: &Message<'_>, emergency: bool) -> Option<Response> {
        if !self.is_ready() && !emergency {
            self.counters.count(Counter::Stopping);
            return Some(self.reply(request, 503, flow.remote));
        }
        if request.max_forwards() == Some(0) {
            self.counters.count(Counter::TooManyHops);
            return Some(self.reply(request, 483, flow.remote));
        }
        if let Some(unknown) = unknown_extensions(request) {
            self.counters.count(Counter::ExtensionRefused);
            let unsupported = Header::Tokens(TokensHeader::Unsupported, unknown);
            return Some(self.reply(request, 420, flow.remote).with(unsupported));
        }
        let encoded = request.header(HeaderId::ContentEncoding).is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if encoded || request.session() == Session::Unknown {
            self.counters.count(Counter::BodyRefused);
            return Some(self.reply(request, 415, flow.remote).with(Header::Text(TextHeader::Accept, Text::new(ACCEPTED))));
        }
        if SessionTimer::of(request) == SessionTimer::TooShort {
            return Some(self.reply(request, 422, flow.remote).with(Header::Number(NumberHeader::MinSe, MIN_SESSION_SECONDS)));
        }
        None
    }

    fn route_inbound(&self, request: &Message<'_>, trunk: usize) -> Result<Route, u16> {
        let config = self.config.trunks.get(trunk).ok_or(403_u16)?;
        let called = request.request_uri().and_then(|uri| uri.dialled().map(|user| user.into_owned())).ok_or(404_u16)?;
        let called = self.called_by_trunk(request, config, called);
        let number = PhoneNumber::parse_in(&called, &config.country).ok();
        let name = config.numbers.iter().find(|(known, _)| number.as_ref() == Some(known) || called == known.as_str());
        let queue = name.and_then(|(_, queue)| self.people.queue(queue)).ok_or(404_u16)?;
        Ok(Route::Queue { trunk, queue: queue.clone() })
    }

    pub(super) fn route_internal(&self, caller: PhoneId, phone: PhoneId) -> Result<Route, u16> {
        if phone == caller {
            return Err(486);
        }
        let target = phone_target(&self.registrar, &self.people, self.steady_ms(), phone).ok_or(480_u16)?;
        Ok(Route::Colleague { caller, target })
    }

    fn start_call(&mut self, flow: Flow, request: &Message<'_>, server: ServerId, route: Route, ports: [PortPair; 2]) {
        let id = InteractionId::new(self.now.wall, self.tokens.entropy());
        let local_tag = self.tokens.tag();
        let prepared = self.prepare(request, &route);
        let (role, networks) = match &route {
            Route::Queue { trunk, .. } => (LegRole { party: Party::Customer, agent: None }, self.trunk_networks(*trunk)),
            Route::Outside { call, .. } => (LegRole { party: Party::Agent, agent: self.agent_of(call.phone) }, Vec::new()),
            Route::Colleague { caller, .. } => (LegRole { party: Party::Agent, agent: self.agent_of(*caller) }, Vec::new()),
        };
        let early_media = match &route {
            Route::Queue { trunk, .. } => self.config.trunks.get(*trunk).and_then(|trunk| trunk.early_media),
            Route::Outside { .. } | Route::Colleague { .. } => None,
        };
        let incoming = Incoming { invite: request, server, flow, role, networks, local_tag, ports: ports[0] };
        let (actions, started) = self.guarded(id, |turn: &mut Turn<'_>| {
            let leg = Leg::incoming(turn, incoming)?;
            Ok(match (route, prepared) {
                (Route::Queue { queue, trunk }, Prepared { arrival, .. }) => {
                    let mut call = Call::start_inbound(turn, id, arrival, queue, leg, ports);
                    call.came_by(trunk, early_media);
                    call
                }
                (Route::Outside { call, .. }, Prepared { arrival, .. }) => Call::start_outbound(turn, id, arrival, call, leg, ports),
                (Route::Colleague { target, .. }, Prepared { arrival, caller, callee }) => {
                    Call::start_internal(turn, id, arrival, InternalCall { caller, target, callee }, leg, ports)
                }
            })
        });
        match started {
            Some(Ok(call)) => {
                if let Some(leg) = call.leg_to_cancel() {
                    self.invited.insert(server, leg);
                }
                self.apply(id, ports, actions);
                self.board.touch();
                self.keep(Box::new(call));
            }
            Some(Err(error)) => self.refuse_incoming(flow, request, server, ports, error),
            // A panic before there was a call: nothing of it was applied, the caller hears 500.
            None => {
                self.counters.count(Counter::CallPanicked);
                self.panics.note(self.now.mono);
                let response = self.reply(request, 500, flow.remote);
                self.respond(server, &response);
                ports.into_iter().for_each(|pair| {
                    self.ports.give_back(pair);
                });
            }
        }
    }

    fn refuse_incoming(&mut self, flow: Flow, request: &Message<'_>, server: ServerId, ports: [PortPair; 2], error: IncomingError) {
        ports.into_iter().for_each(|pair| {
            self.ports.give_back(pair);
        });
        let response = match error {
            IncomingError::Dialog(_) => self.reply(request, 400, flow.remote),
            IncomingError::Offer(refusal) => {
                self.counters.count(Counter::NotAcceptable);
                self.reply(request, Refusal::STATUS, flow.remote).with(warning(refusal))
            }
        };
        self.respond(server, &response);
    }

    fn agent_of(&self, phone: PhoneId) -> Option<AgentId> {
        self.agents.by_phone(phone).map(|agent| agent.profile.id)
    }

    fn prepare(&self, request: &Message<'_>, route: &Route) -> Prepared {
        let called = request.request_uri().and_then(|uri| uri.dialled().map(|user| user.into_owned())).unwrap_or_default();
        match route {
            Route::Queue { trunk, .. } => {
                let trunk = self.config.trunks.get(*trunk);
                let country = trunk.map_or("", |trunk| trunk.country.as_str());
                let (caller_raw, number, display_name) = caller_of(request, country);
                let via = trunk.map(|trunk| trunk.name.clone()).unwrap_or_default();
                let caller = Caller { number: number.clone(), display_name: display_name.clone(), user: String::new() };
                Prepared { arrival: Arrival { caller_raw, number, display_name, called, via }, caller, callee: None }
            }
            Route::Outside { called, call } => self.prepare_outside(called, call),
            Route::Colleague { caller, target } => {
                let account = self.people.phone(*caller).map(|phone| &phone.account);
                let user = account.map(|account| account.extension.clone()).unwrap_or_default();
                let name = account.map(|account| account.display_name.clone());
                let via = account.map(|account| account.user.clone()).unwrap_or_default();
                let arrival = Arrival { caller_raw: Some(user.clone()), number: None, display_name: name.clone(), called, via };
                let caller = Caller { number: None, display_name: name, user };
                Prepared { arrival, caller, callee: self.agent_of(target.phone) }
            }
        }
    }
}

/// What is read of the INVITE before its call begins.
pub(super) struct Prepared {
    pub arrival: Arrival,
    pub caller: Caller,
    pub callee: Option<AgentId>,
}

/// Who calls, as a trunk says: P-Asserted-Identity before From (RFC 3325 §9.1); withheld numbers stay withheld.
fn caller_of(request: &Message<'_>, country: &str) -> (Option<String>, Option<PhoneNumber>, Option<String>) {
    let private = request.header_lines(HeaderId::Privacy).any(|value| {
        value.split(|octet| *octet == b';' || *octet == b',').any(|token| {
            let token = token.trim_ascii();
            [b"id".as_slice(), b"user", b"full", b"header"].iter().any(|kind| token.eq_ignore_ascii_case(kind))
        })
    });
    // A network may assert two, a name and a number (RFC 3325 §9.1): the number says who calls.
    let is_number = |one: &NameAddr<'_>| one.uri.dialled().is_some_and(|user| PhoneNumber::parse_in(&user, country).is_ok());
    let mut asserted = request.addresses(HeaderId::PAssertedIdentity).take(MAX_ASSERTED);
    let first = asserted.next();
    let asserted = first.filter(is_number).or_else(|| asserted.find(is_number)).or(first);
    let address: &NameAddr<'_> = asserted.as_ref().unwrap_or_else(|| request.from());
    let user = address.uri.dialled().map(|user| user.into_owned()).unwrap_or_default();
    let host_hides = address.uri.host().is_some_and(|host| host.to_string().eq_ignore_ascii_case("anonymous.invalid"));
    let is_nobody = |text: &str| NOBODY.iter().any(|hidden| text.trim().eq_ignore_ascii_case(hidden));
    if private || host_hides || is_nobody(&user) {
        return (None, None, None);
    }
    let number = PhoneNumber::parse_in(&user, country).ok();
    let name = address.display_name().or_else(|| request.from().display_name()).map(|name| name.into_owned());
    // Many networks repeat the number as the name, or say in it that there is none.
    let name = name.filter(|name| !is_nobody(name) && PhoneNumber::parse_in(name, country).is_err());
    (Some(user), number, name)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::protocol::sip::parse::parse;

    const FROM: &str = "+442071230001";
    const ASSERTED: [&str; 2] = ["+442071230002", "+442071230003"];

    fn identity(number: &'static str) -> impl Strategy<Value = String> {
        let uri =
            select(vec!["<sip:{}@h>", "<sip:{};cpc=ordinary;oli=00@h;user=phone>", "<tel:{};npdi>", "<sip:{}@[2001:db8::1]:5062>;x=y"]);
        let name = select(vec!["", "Ada ", "\"B, <A>; \\\"C\\\"\" ", "\"Anonymous\" ", "\"+44 20 7123 0009\" "]);
        (name, uri).prop_map(move |(name, uri)| format!("{name}{}", uri.replace("{}", number)))
    }

    fn privacy() -> impl Strategy<Value = (String, bool)> {
        let words = vec!["id", "ID", "user", "header", "full", "none", "session", "critical", "history", "idx"];
        (vec(select(words), 1..4), select(vec![";", "; ", ",", " ;\t"])).prop_map(|(words, by)| {
            let hides = words.iter().any(|word| ["id", "user", "header", "full"].contains(&word.to_ascii_lowercase().as_str()));
            (format!("Privacy: {}\r\n", words.join(by)), hides)
        })
    }

    proptest! {
        /// Whoever wants to be withheld is, in every spelling; and where a network vouches for a number, what the caller claims is not it.
        #[test]
        fn who_is_withheld_is_nobody_and_who_is_vouched_for_is_not_who_they_claim_to_be(
            from in identity(FROM),
            asserted in (identity(ASSERTED[0]), identity(ASSERTED[1]), 0usize..5),
            privacy in vec(privacy(), 0..3),
        ) {
            let (first, second, how) = asserted;
            let asserted = match how {
                0 => String::new(),
                1 => format!("P-Asserted-Identity: {first}\r\n"),
                2 => format!("p-asserted-identity:\r\n {first} ,\t{second}\r\n"),
                3 => format!("P-Asserted-Identity: {first}\r\nP-Asserted-Identity: {second}\r\n"),
                _ => format!("P-Asserted-Identity: <sip:reception@h>, {first}\r\n"),
            };
            let lines: String = privacy.iter().map(|(line, _)| line.as_str()).collect();
            let text = format!(
                "INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: {from};tag=1\r\nTo: <sip:1@h>\r\ni: c\r\nCSeq: 1 INVITE\r\n{asserted}{lines}\r\n"
            );
            let message = parse(text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error:?}: {text}")))?;
            let (raw, number, name) = caller_of(&message, "GB");
            if privacy.iter().any(|(_, hides)| *hides) {
                prop_assert_eq!((raw, number, name), (None, None, None), "{}", text);
                return Ok(());
            }
            let expected = if how == 0 { FROM } else { ASSERTED[0] };
            prop_assert_eq!(number.as_ref().map(PhoneNumber::as_str), Some(expected), "{}", text);
            prop_assert!(name.as_ref().is_none_or(|name| name == "Ada" || name == "B, <A>; \"C\""), "{:?} in {}", name, text);
        }
    }
}
