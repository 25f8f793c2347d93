//! What calls are told about the house: addresses, names, what is recorded, waits and caps.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    domain::media::plan::Codec,
    protocol::sip::{digest::ChallengeOffer, flow::ListenerId, timers::Timers},
};

/// What every call goes by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The SIP domain of our accounts, and the realm of their digests.
    pub domain: String,
    /// What we call ourselves in Server and User-Agent.
    pub product: String,
    /// The sockets; `ListenerId` is the place in this list.
    pub listeners: Vec<ListenerConfig>,
    /// The addresses of ours that RTP sockets are bound to, one of each IP version at most. An unspecified one (`0.0.0.0`, `::`)
    /// stands for the address of whichever listener the peer came to.
    pub media_addresses: Vec<IpAddr>,
    /// Which calls are recorded.
    pub record: RecordPolicy,
    /// Whether audio is kept while the customer is on hold.
    pub record_on_hold: bool,
    /// What we offer, best first, where the caller's codec does not decide.
    pub codecs: Vec<Codec>,
    /// Agents that one call may be offered to.
    pub max_offers_per_call: usize,
    /// Base values of the SIP timers.
    pub timers: Timers,
    /// Waits and caps.
    pub timing: Timing,
}

impl Policy {
    /// Where a peer that came to this listener from `remote` sends its media in this IP version, where that is served: what stands
    /// in our `c=` line.
    pub fn media_address(&self, listener: ListenerId, remote: IpAddr, ipv6: bool) -> Option<IpAddr> {
        let bound = self.media_addresses.iter().copied().find(|address| address.is_ipv6() == ipv6)?;
        let of_version = |listener: &&ListenerConfig| listener.bind.is_ipv6() == ipv6;
        let own = self.listeners.get(usize::from(listener.0)).filter(of_version);
        let listener = own.or_else(|| self.listeners.iter().find(of_version));
        let external = listener.and_then(|listener| listener.external_for(remote)).filter(|external| external.is_ipv6() == ipv6);
        let listening = || listener.map(|listener| listener.address).filter(|address| !address.is_unspecified());
        external.or_else(|| if bound.is_unspecified() { listening() } else { Some(bound) })
    }
}

/// One UDP socket for SIP.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Its name in the configuration.
    pub name: String,
    /// What it is bound to.
    pub bind: SocketAddr,
    /// The address of ours that peers in `local_networks` reach (the bound one, or the host's where all are bound).
    pub address: IpAddr,
    /// The address that everybody else reaches, where a NAT lies between.
    pub external_address: Option<IpAddr>,
    /// Networks from which `address` is reached.
    pub local_networks: Vec<IpNet>,
    /// By which algorithms those who come here prove who they are.
    pub digest: ChallengeOffer,
}

impl ListenerConfig {
    /// The address that we write into Via, Contact and c= for this destination.
    pub fn address_for(&self, destination: IpAddr) -> IpAddr {
        self.external_for(destination).unwrap_or(self.address)
    }

    /// The address outside of our NAT, where this destination lies there.
    pub fn external_for(&self, destination: IpAddr) -> Option<IpAddr> {
        let local = destination.is_loopback() || self.local_networks.iter().any(|net| net.contains(&destination));
        self.external_address.filter(|_| !local)
    }
}

/// Which calls are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RecordPolicy {
    /// Calls with customers.
    #[default]
    External,
    /// Calls among colleagues as well.
    All,
    /// None.
    None,
}

/// Waits and caps on time.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a call waits for the brief before it goes on without.
    pub look_up_limit: Duration,
    /// How long the phone waits for the desk's acknowledgement; passing it is a miss.
    pub pop_limit: Duration,
    /// After this long the trunk hears ringing even if the phone has not said so.
    pub ringing_after: Duration,
    /// How often an unanswered 18x is repeated (RFC 3261 §13.3.1.1).
    pub ringing_repeat: Duration,
    /// How long one agent's phone rings before the next agent is tried.
    pub agent_ring: Duration,
    /// How long a phone may leave an INVITE without any response before it is taken for gone.
    pub phone_silence: Duration,
    /// Longest wait for an answer, over all agents or for a direct call.
    pub max_ring: Duration,
    /// Longest call.
    pub max_call: Duration,
    /// Longest single hold.
    pub max_hold: Duration,
    /// How long a call that has ended waits for its media totals.
    pub media_close_limit: Duration,
    /// The least time between two boards.
    pub board_interval: Duration,
    /// How long running calls may take to end at shutdown before they are forgotten.
    pub shutdown_limit: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            look_up_limit: Duration::from_millis(300),
            pop_limit: Duration::from_millis(150),
            ringing_after: Duration::from_secs(1),
            ringing_repeat: Duration::from_secs(60),
            agent_ring: Duration::from_secs(20),
            phone_silence: Duration::from_secs(4),
            max_ring: Duration::from_secs(180),
            max_call: Duration::from_secs(4 * 3600),
            max_hold: Duration::from_secs(1800),
            media_close_limit: Duration::from_secs(40),
            board_interval: Duration::from_millis(250),
            shutdown_limit: Duration::from_secs(300),
        }
    }
}
