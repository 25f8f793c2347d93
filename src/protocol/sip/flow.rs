//! Where a datagram came from and where an answer leaves: the socket of ours and the address of the peer.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One socket of ours that SIP is served on, by its place in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListenerId(pub u16);

/// How a message travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams: transactions retransmit.
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
}

/// A path to a peer: answers leave from the socket that the request came in on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Our socket.
    pub listener: ListenerId,
    /// The transport of that socket.
    pub transport: Transport,
    /// The peer's address as seen on the wire.
    pub remote: SocketAddr,
}
