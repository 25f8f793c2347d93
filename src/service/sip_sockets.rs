//! The UDP sockets that SIP arrives on: bound at start, read without blocking, written without waiting.
//!
//! DSCP CS3 on what we send. A datagram that the kernel cannot take is dropped and counted: SIP retransmits.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
};

use mio::{Interest, Registry, Token, net::UdpSocket};
use socket2::{Domain, Protocol, Socket, Type};

/// DSCP CS3 (RFC 4594 §2.3), shifted into the traffic class.
const CS3: u32 = 24 << 2;
/// Receive buffer asked of the kernel: a burst of 2,000 datagrams.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Largest UDP payload.
pub const DATAGRAM: usize = 65_535;

/// Why signalling cannot start.
#[derive(Debug, thiserror::Error)]
#[error("SIP cannot listen on {address}: {source}. Stop what uses it, or change [[listener]] bind in sip.toml")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// One bound socket per listener, in the order of the configuration.
#[derive(Debug)]
pub struct SipSockets {
    sockets: Vec<UdpSocket>,
    /// Datagrams that could not be sent.
    pub send_failures: u64,
}

impl SipSockets {
    /// Binds all addresses; port 0 lets the kernel choose.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let sockets = addresses.iter().map(|address| bind(*address).map_err(|source| BindError { address: *address, source }));
        Ok(Self { sockets: sockets.collect::<Result<_, _>>()?, send_failures: 0 })
    }

    /// The addresses that were bound.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(UdpSocket::local_addr).collect()
    }

    /// Registers all sockets; socket `n` has token `n`.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (n, socket) in self.sockets.iter_mut().enumerate() {
            registry.register(socket, Token(n), Interest::READABLE)?;
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Reads one datagram; `None` when there is none left.
    pub fn receive(&self, n: usize, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.sockets.get(n)?.recv_from(buffer) {
                Ok(read) => return Some(read),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // An ICMP error of an earlier send is reported here; the next datagram may be well.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::debug!(%error, "a SIP socket cannot be read");
                    return None;
                }
            }
        }
    }

    /// Sends one datagram.
    pub fn send(&mut self, n: usize, destination: SocketAddr, bytes: &[u8]) {
        let sent = self.sockets.get(n).map(|socket| socket.send_to(bytes, destination));
        if !matches!(sent, Some(Ok(_))) {
            self.send_failures += 1;
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    } else {
        // Marking is a courtesy to the network; without it everything still works.
        let _ = socket.set_tos_v4(CS3);
    }
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(StdSocket::from(socket)))
}
