//! Where a message came from and where an answer leaves: the socket of ours, the transport and the address of the peer.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One socket of ours that SIP is served on, by its place in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListenerId(pub u16);

/// How a message travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams: transactions retransmit.
    #[default]
    Udp,
    /// A stream: nothing is retransmitted and lingering states end at once.
    Tcp,
}

impl Transport {
    /// Whether the transport itself delivers what is sent (RFC 3261 §17: "reliable").
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// The word in Via (RFC 3261 §20.42).
    pub fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The value of a URI's `transport` parameter; UDP is what goes without saying (RFC 3261 §19.1.2).
    pub fn uri_param(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
        }
    }
}

/// A path to a peer: answers leave from the socket that the request came in on, or on its connection.
///
/// Over TCP a flow is the one connection between this listener and `remote`, whoever opened it: at a phone's own port the phone
/// did, at the configured port of a trunk we may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Our socket.
    pub listener: ListenerId,
    /// The transport of that socket.
    pub transport: Transport,
    /// The peer's address as seen on the wire.
    pub remote: SocketAddr,
}
