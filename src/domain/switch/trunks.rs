//! Trunks as they are now: their addresses, how many calls they carry, and which of them a call is sent to.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use super::{Switch, TrunkConfig, calls::Calls, trunk_registration::Registration};
use crate::{
    domain::{call::leg::TrunkTarget, routing::destination::Destination},
    protocol::sip::{
        flow::{Flow, ListenerId},
        transaction_layer::ClientId,
    },
};

/// The port that goes without saying (RFC 3261 §19.1.2).
const DEFAULT_PORT: u16 = 5060;
/// Addresses of one trunk that a call is sent to in turn.
const ADDRESSES_PER_TRUNK: usize = 3;
/// Addresses that one call is sent to in all.
const MAX_TARGETS: usize = 6;
/// Addresses kept of one name.
const MAX_ADDRESSES: usize = 16;
/// What `max_calls_per_second` is counted over.
const SECOND: Duration = Duration::from_secs(1);

/// One trunk.
#[derive(Debug)]
pub(super) struct Trunk {
    /// Where it is reached, first choice first; empty until its name was looked up.
    pub addresses: Vec<SocketAddr>,
    pub registration: Registration,
    /// When calls were sent to it, within the last second.
    begun: VecDeque<Instant>,
}

/// All of them, by their place in the configuration.
#[derive(Debug, Default)]
pub(super) struct Trunks {
    pub all: Vec<Trunk>,
    /// Whose REGISTER a transaction is.
    pub registering: HashMap<ClientId, usize>,
}

impl Trunks {
    pub fn new(config: &[TrunkConfig], now: Instant) -> Self {
        let trunk = |config: &TrunkConfig| {
            let outbound = config.outbound.as_ref();
            let literal = outbound.and_then(|outbound| Some(SocketAddr::new(outbound.host.parse::<IpAddr>().ok()?, outbound.port)));
            Trunk { addresses: literal.into_iter().collect(), registration: Registration::new(outbound, now), begun: VecDeque::new() }
        };
        Self { all: config.iter().map(trunk).collect(), registering: HashMap::new() }
    }

    /// The trunk that a host belongs to because its name leads there.
    pub fn at(&self, host: IpAddr) -> Option<usize> {
        self.all.iter().position(|trunk| trunk.addresses.iter().any(|address| address.ip() == host))
    }

    /// A call is sent to a trunk.
    pub fn tried(&mut self, now: Instant, trunk: usize) {
        if let Some(trunk) = self.all.get_mut(trunk) {
            while trunk.begun.front().is_some_and(|at| now.saturating_duration_since(*at) >= SECOND) {
                trunk.begun.pop_front();
            }
            trunk.begun.push_back(now);
        }
    }

    /// Whether a trunk takes one more call.
    pub fn has_room(&self, config: &[TrunkConfig], calls: &Calls, now: Instant, trunk: usize) -> bool {
        let Some((state, outbound)) = self.all.get(trunk).zip(config.get(trunk).and_then(|config| config.outbound.as_ref())) else {
            return false;
        };
        let begun = state.begun.iter().filter(|at| now.saturating_duration_since(**at) < SECOND).count();
        !Self::is_full(config, calls, trunk) && begun < outbound.max_calls_per_second
    }

    /// Whether a trunk carries as many calls as it may, both directions together.
    pub fn is_full(config: &[TrunkConfig], calls: &Calls, trunk: usize) -> bool {
        let live = || calls.values().filter(|call| !call.has_ended() && call.trunk() == Some(trunk)).count();
        config.get(trunk).and_then(|config| config.max_calls).is_some_and(|most| live() >= most)
    }
}

impl Switch {
    /// A trunk's name was looked up. An empty answer changes nothing: what was known goes on being used.
    pub(super) fn trunk_addresses(&mut self, trunk: usize, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(MAX_ADDRESSES);
        let Some(known) = self.trunks.all.get_mut(trunk).filter(|_| !addresses.is_empty()) else { return };
        known.addresses = addresses;
        self.run_registrations();
    }

    /// The trunk at an address: by the configuration, or because its name leads there.
    pub(super) fn trunk_at(&self, remote: SocketAddr) -> Option<usize> {
        self.config.trunks.iter().position(|trunk| trunk.owns(remote)).or_else(|| self.trunks.at(remote.ip()))
    }

    /// The path to an address of a trunk.
    pub(super) fn trunk_flow(&self, trunk: usize, address: SocketAddr) -> Option<Flow> {
        let outbound = self.config.trunks.get(trunk)?.outbound.as_ref()?;
        let fits = |listener: &&super::ListenerConfig| match &outbound.listener {
            Some(name) => listener.name == *name,
            None => listener.bind.is_ipv4() == address.is_ipv4(),
        };
        let place = self.config.policy.listeners.iter().position(|listener| fits(&listener))?;
        Some(Flow { listener: ListenerId(u16::try_from(place).ok()?), transport: outbound.transport, remote: address })
    }

    /// Networks that a trunk's requests come from: those of the configuration and the addresses of its name.
    pub(super) fn trunk_networks(&self, trunk: usize) -> Vec<IpNet> {
        let configured = self.config.trunks.get(trunk).map(|trunk| trunk.networks.clone()).unwrap_or_default();
        let found = self.trunks.all.get(trunk).into_iter().flat_map(|trunk| &trunk.addresses);
        configured.into_iter().chain(found.map(|address| IpNet::from(address.ip()))).collect()
    }

    /// Whether a call may go to this trunk now.
    pub(super) fn trunk_has_room(&self, trunk: usize) -> bool {
        self.trunks.has_room(&self.config.trunks, &self.calls, self.now.mono, trunk)
    }

    /// Whether a call that this trunk brings is one too many.
    pub(super) fn trunk_is_full(&self, trunk: usize) -> bool {
        Trunks::is_full(&self.config.trunks, &self.calls, trunk)
    }

    /// The addresses that a call is sent to, in order; trunks that are not registered though they should be come last.
    pub(super) fn targets(&self, to: &Destination, extension: &str) -> Vec<TrunkTarget> {
        let mut trunks = to.trunks().to_vec();
        trunks.sort_by_key(|trunk| self.trunks.all.get(*trunk).is_none_or(|trunk| !trunk.registration.is_usable(self.now.mono)));
        let each = trunks.into_iter().flat_map(|trunk| {
            let addresses = self.trunks.all.get(trunk).map(|known| known.addresses.as_slice()).unwrap_or_default();
            addresses.iter().take(ADDRESSES_PER_TRUNK).filter_map(move |address| self.target(trunk, *address, to, extension))
        });
        each.take(MAX_TARGETS).collect()
    }

    fn target(&self, trunk: usize, address: SocketAddr, to: &Destination, extension: &str) -> Option<TrunkTarget> {
        let config = self.config.trunks.get(trunk)?;
        let outbound = config.outbound.as_ref()?;
        let own = outbound.callers.iter().find(|(phone, _)| phone == extension).map(|(_, number)| number);
        Some(TrunkTarget {
            trunk,
            name: config.name.clone(),
            flow: self.trunk_flow(trunk, address)?,
            networks: self.trunk_networks(trunk),
            host: outbound.host.clone(),
            port: Some(outbound.port).filter(|port| *port != DEFAULT_PORT),
            number: to.written().to_owned(),
            caller: own.or(outbound.caller_number.as_ref()).map(|number| number.as_str().to_owned()),
            account: outbound.account.clone(),
        })
    }
}
