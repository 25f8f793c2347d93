//! A phone's call to somebody outside: help before everything else, colleagues before the network, and the rest only where the
//! destination policy, the caps and a trunk with room say so.

use super::{
    Counter, Switch, TrunkConfig,
    calling::NoCall,
    invite::{Prepared, Route},
};
use crate::{
    domain::{
        call::{Arrival, Caller, OutboundCall},
        routing::Queue,
    },
    ids::PhoneId,
    protocol::sip::{
        build::{Header, NumberHeader, TextHeader},
        field::Text,
        flow::Flow,
        message::Message,
    },
};

/// Retry-After of a phone whose call found no room, seconds: from 5 to 30, so that phones do not come back together.
const RETRY_AFTER: (u32, u32) = (5, 26);

fn called(request: &Message<'_>) -> Option<String> {
    request.request_uri().and_then(|uri| uri.dialled().map(|user| user.into_owned()))
}

impl Switch {
    /// Whether a request calls help: then nothing but a missing password stands in its way.
    pub(super) fn calls_help(&self, request: &Message<'_>) -> bool {
        called(request).is_some_and(|called| self.config.destinations.emergency.contains(&called))
    }

    /// Where an authenticated phone's call goes.
    pub(super) fn route_phone(&mut self, request: &Message<'_>, caller: PhoneId) -> Result<Route, NoCall> {
        let called = called(request).ok_or(404)?;
        let colleague = self.people.dialled(&called).map(|phone| phone.account.id);
        match colleague.filter(|_| !self.config.destinations.emergency.contains(&called)) {
            Some(phone) => Ok(self.route_internal(caller, phone)?),
            None => self.route_outside(caller, &called),
        }
    }

    fn route_outside(&mut self, phone: PhoneId, called: &str) -> Result<Route, NoCall> {
        let extension = self.people.phone(phone).map(|known| known.account.extension.clone()).ok_or(403)?;
        let destination = match self.config.destinations.decide(&extension, called) {
            Ok(destination) => destination,
            Err(denied) => return Err(self.denied(phone, &extension, denied)),
        };
        let emergency = destination.is_emergency();
        if emergency {
            self.counters.count(Counter::Emergency);
        } else {
            self.within_caps(phone, &extension)?;
        }
        let targets = self.targets(&destination, &extension);
        let has_room = emergency || targets.iter().any(|target| self.trunk_has_room(target.trunk));
        if targets.is_empty() || !has_room {
            self.counters.count(Counter::TrunkFull);
            return Err(NoCall { status: 503, warning: Some("no trunk takes the call now".to_owned()) });
        }
        let call = OutboundCall { phone, number: destination.number().cloned(), emergency, queue: self.queue_of(phone), targets };
        Ok(Route::Outside { called: destination.recorded().to_owned(), call })
    }

    /// The queue whose wrap-up applies to what an agent dials: the first that they serve.
    fn queue_of(&self, phone: PhoneId) -> Option<Queue> {
        let agent = self.agents.by_phone(phone)?;
        agent.profile.queues.iter().find_map(|name| self.people.queue(name)).cloned()
    }

    /// What is written of the call. The caller is the account, never what its message says.
    pub(super) fn prepare_outside(&self, called: &str, call: &OutboundCall) -> Prepared {
        let account = self.people.phone(call.phone).map(|phone| &phone.account);
        let user = account.map(|account| account.extension.clone()).unwrap_or_default();
        let via = account.map(|account| account.user.clone()).unwrap_or_default();
        let arrival = Arrival { caller_raw: Some(user.clone()), number: None, display_name: None, called: called.to_owned(), via };
        Prepared { arrival, caller: Caller { number: None, display_name: None, user }, callee: None }
    }

    /// A call that goes nowhere: one response without state, with the reason in words.
    pub(super) fn refuse_call(&mut self, flow: Flow, request: &Message<'_>, refusal: NoCall) {
        if refusal.status == 404 {
            self.counters.count(Counter::UnknownNumber);
        }
        let mut response = self.reply(request, refusal.status, flow.remote);
        if let Some(warning) = refusal.warning {
            response.headers.push(Header::Text(TextHeader::Warning, Text::new(&format!("399 throughline \"{warning}\""))));
            if refusal.status == 503 {
                let seconds = RETRY_AFTER.0 + self.tokens.below(RETRY_AFTER.1);
                response.headers.push(Header::Number(NumberHeader::RetryAfter, seconds));
            }
        }
        self.send_stateless(flow, request, &response);
    }

    /// What was dialled, as a trunk says it. Where we are registered, carriers call our account's name and put the number into To.
    pub(super) fn called_by_trunk(&self, request: &Message<'_>, trunk: &TrunkConfig, called: String) -> String {
        let account = trunk.outbound.as_ref().and_then(|outbound| outbound.account.as_ref());
        let by_name = account.is_some_and(|account| account.username == called) || called == self.tokens.mark();
        let to = request.to().uri.dialled().map(|user| user.into_owned());
        to.filter(|_| by_name).unwrap_or(called)
    }
}
