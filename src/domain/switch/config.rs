//! What the switch is told once, at start: listeners, trunks, ports, policies and every limit with its default.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

pub use crate::domain::call::policy::{ListenerConfig, Policy, RecordPolicy, Timing};
pub use crate::domain::routing::destination::{CallingGroup, Destinations, EmergencyNumbers, Route};
use crate::{
    domain::media::plan::PortPair,
    ids::PhoneNumber,
    protocol::sip::{client_digest::ClientAccount, flow::Transport},
};

/// The switch's configuration.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// This node's short name; letters and digits, it is part of every Call-ID, tag and branch.
    pub node: String,
    /// What calls go by: addresses, recording, waits.
    pub policy: Policy,
    /// The trunks, known by their addresses.
    pub trunks: Vec<TrunkConfig>,
    /// Where dialled numbers go, and who may dial them; what sheds load asks [`Destinations::emergency`] first.
    pub destinations: Destinations,
    /// Every pair of ports that the media threads have bound.
    pub ports: Vec<PortPair>,
    /// Bounds.
    pub limits: Limits,
}

/// One trunk.
#[derive(Clone, Debug)]
pub struct TrunkConfig {
    /// Its name.
    pub name: String,
    /// Networks from which its requests come, by any port.
    pub networks: Vec<IpNet>,
    /// ISO 3166 alpha-2: the home of numbers that come without a country.
    pub country: String,
    /// The numbers that are dialled, each with the name of the queue that it leads to.
    pub numbers: Vec<(PhoneNumber, String)>,
    /// Calls at once, both directions together; `None`: as many as there is room for.
    pub max_calls: Option<usize>,
    /// How long a caller of it who waits hears words and music before the answer, as early media; `None`: answered first.
    pub early_media: Option<Duration>,
    /// How calls go out by it; `None` where it only brings calls.
    pub outbound: Option<OutboundTrunk>,
}

/// How calls go out by a trunk.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundTrunk {
    /// What stands in Request-URI, To and From: its address or name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
    /// Name of our listener towards it; `None`: the first of the same address family.
    pub listener: Option<String>,
    /// Who we are to it; `None` where it knows us by our address.
    pub account: Option<Arc<ClientAccount>>,
    /// How long a registration is asked for, seconds; `None`: we do not register.
    pub register_seconds: Option<u32>,
    /// The number that called parties see; it is written by us, whatever a phone says.
    pub caller_number: Option<PhoneNumber>,
    /// Other numbers for some extensions.
    pub callers: Vec<(String, PhoneNumber)>,
    /// Calls begun within a second.
    pub max_calls_per_second: usize,
}

impl TrunkConfig {
    /// Whether a datagram from `source` is this trunk's.
    pub fn owns(&self, source: SocketAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&source.ip()))
    }
}

/// Bounds on every table of the switch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at once; a call holds two pairs of ports.
    pub max_calls: usize,
    /// Outputs that may wait to be drained; more is a fault of the caller's loop, the oldest live facts go first.
    pub max_live_outputs: usize,
    /// Bindings of one phone account.
    pub max_bindings_per_phone: usize,
    /// Panics within 60 s after which the node says that it is not ready.
    pub panics_before_not_ready: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_calls: 1_000, max_live_outputs: 10_000, max_bindings_per_phone: 4, panics_before_not_ready: 5 }
    }
}
