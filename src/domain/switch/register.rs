//! REGISTER: digest, then the registrar; each change is written through before the phone hears 200.

use super::{Output, Switch, challenge::Identified, flows::NOWHERE, io::PeopleSnapshot, people::People};
use crate::{
    domain::fact::{Binding, Fact},
    ids::{PhoneId, SipCallId},
    protocol::sip::{
        flow::{Flow, ListenerId, Transport},
        message::Message,
        registrar::{self, BindingChange, Jitter},
    },
    time::UnixMs,
};

impl Switch {
    pub(super) fn register(&mut self, flow: Flow, request: &Message<'_>) {
        let phone = match self.identify(flow, request) {
            Identified::Account(phone) => phone,
            Identified::Answer(answer) => return self.send_stateless(flow, request, &answer),
        };
        self.proven(flow);
        // An account registers itself and nobody else (RFC 3261 §10.3 steps 4 and 5).
        let own = self.people.phone(phone).is_some_and(|known| request.to().uri.user().as_deref() == Some(known.account.user.as_str()));
        if !own {
            return self.refuse(flow, request, 403);
        }
        let Some(server) = self.open(flow, request) else { return };
        let jitter = Jitter::new(self.tokens.below(u32::MAX));
        let response = match self.registrar.register(self.steady_ms(), &phone.to_string(), request, flow, jitter) {
            Ok(registered) => {
                self.write_bindings(registered.changes);
                let mut response = self.reply(request, 200, flow.remote);
                response.headers.extend(registered.headers);
                response
            }
            Err(error) => {
                let mut response = self.reply(request, error.status(), flow.remote);
                response.headers.extend(error.header());
                response
            }
        };
        self.respond(server, &response);
    }

    pub(super) fn write_bindings(&mut self, changes: Vec<BindingChange>) {
        for change in changes {
            let (aor, fact) = match change {
                BindingChange::Stored(binding) => {
                    let Some(fact) = self.written(&binding) else { continue };
                    self.phone_is_at(binding.flow, fact.phone, binding.expires_at_ms, false);
                    (binding.aor, fact)
                }
                BindingChange::Removed { aor, contact, flow } => {
                    let Ok(phone) = aor.parse::<PhoneId>() else { continue };
                    self.phone_left(flow, phone);
                    (aor, removed(phone, contact))
                }
            };
            self.outputs.push_back(Output::Fact(Fact::Binding(fact)));
            self.note_reach(&aor);
        }
    }

    /// Tells routing and desk whether the phone can be reached.
    fn note_reach(&mut self, aor: &str) {
        let Ok(phone) = aor.parse::<PhoneId>() else { return };
        let registered = !self.registrar.bindings(self.steady_ms(), aor).is_empty();
        if let Some(agent) = self.agents.phone_registered(phone, registered) {
            self.to_show.insert(agent);
            self.board.touch();
        }
    }

    pub(super) fn written(&self, binding: &registrar::Binding) -> Option<Binding> {
        let listener = self.config.policy.listeners.get(usize::from(binding.flow.listener.0))?;
        Some(Binding {
            phone: binding.aor.parse().ok()?,
            contact: binding.contact.clone(),
            source: binding.flow.remote,
            over_connection: binding.flow.transport.is_reliable(),
            listener: listener.name.clone(),
            sip_call_id: SipCallId(binding.call_id.clone()),
            cseq: binding.cseq,
            user_agent: binding.user_agent.clone(),
            expires_at: self.wall_of(binding.expires_at_ms),
        })
    }

    /// Bindings as they were written before a restart. Connections did not survive it: their phones come back by themselves.
    pub(super) fn load_bindings(&mut self, bindings: Vec<Binding>) {
        for binding in bindings.into_iter().filter(|binding| !binding.over_connection) {
            let listeners = &self.config.policy.listeners;
            let Some(place) = listeners.iter().position(|listener| listener.name == binding.listener) else { continue };
            let Ok(place) = u16::try_from(place) else { continue };
            let aor = binding.phone.to_string();
            let expires_at_ms = self.steady_of(binding.expires_at);
            let flow = Flow { listener: ListenerId(place), transport: Transport::Udp, remote: binding.source };
            let loaded = self.registrar.load(
                self.steady_ms(),
                registrar::Binding {
                    aor: aor.clone(),
                    contact: binding.contact,
                    params: Vec::new(),
                    q_thousandths: 1000,
                    call_id: binding.sip_call_id.0,
                    cseq: binding.cseq,
                    expires_at_ms,
                    flow,
                    user_agent: binding.user_agent,
                },
            );
            if loaded {
                self.phone_is_at(flow, binding.phone, expires_at_ms, true);
                self.note_reach(&aor);
            }
        }
    }

    pub(super) fn expire_bindings(&mut self) {
        let changes = self.registrar.expire(self.steady_ms());
        self.write_bindings(changes);
    }

    /// Who works here has changed.
    pub(super) fn take_people(&mut self, snapshot: PeopleSnapshot) {
        let (people, unreadable) = People::new(snapshot.phones, snapshot.queues);
        self.people = people;
        let sentence = "Some phones have no readable password; set it anew.";
        match unreadable {
            0 => self.alarms.remove("phones"),
            _ => self.alarms.insert("phones", format!("{sentence} ({unreadable})")),
        };
        self.agents.replace(self.now, snapshot.agents);
        let phones: Vec<PhoneId> = self.people.phones().map(|phone| phone.account.id).collect();
        for phone in phones {
            self.note_reach(&phone.to_string());
        }
        self.to_show.extend(self.agents.iter().map(|agent| agent.profile.id));
        self.board.touch();
    }
}

/// A binding that is over: what told where it was is of no use any more.
fn removed(phone: PhoneId, contact: String) -> Binding {
    Binding {
        phone,
        contact,
        source: NOWHERE,
        over_connection: false,
        listener: String::new(),
        sip_call_id: SipCallId(String::new()),
        cseq: 0,
        user_agent: None,
        expires_at: UnixMs(0),
    }
}
