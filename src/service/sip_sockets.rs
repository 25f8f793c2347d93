//! The sockets that SIP arrives on: bound at start, read without blocking, written without waiting.
//!
//! Each listener is a UDP socket, a TCP listener, or both at one address. DSCP CS3 on what we send. Datagrams wait for
//! [`SipSockets::flush`] and leave together; one that the kernel cannot take is dropped and counted: SIP retransmits.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
    time::Instant,
};

use ipnet::IpNet;
use mio::{Interest, Registry, Token, net::UdpSocket};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    datagram_batches::{BATCH, Inbox, Outbox},
    sip_streams::{SipStreams, listen},
};
use crate::protocol::sip::{
    connections::ConnectionLimits,
    flow::{Flow, ListenerId, Transport},
};

/// DSCP CS3 (RFC 4594 §2.3), shifted into the traffic class.
const CS3: u32 = 24 << 2;
/// Receive buffer asked of the kernel: a burst of 2,000 datagrams.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Datagrams read from one socket before the others have their turn.
const READ_BUDGET: usize = 256;

/// What one listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Its address; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Whether datagrams are taken.
    pub udp: bool,
    /// Whether connections are taken.
    pub tcp: bool,
}

/// Why signalling cannot start.
#[derive(Debug, thiserror::Error)]
#[error("SIP cannot listen on {address}: {source}. Stop what uses it, or change [[listener]] bind in sip.toml")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// One place per listener, in the order of the configuration.
pub struct SipSockets {
    datagrams: Vec<Option<UdpSocket>>,
    /// What waits to be sent from each of them.
    outboxes: Vec<Outbox>,
    inbox: Inbox,
    streams: SipStreams,
    /// Datagrams that could not be sent.
    pub send_failures: u64,
}

impl SipSockets {
    /// Binds all listeners. Connections from `trusted` networks, those of trunks, need no further proof.
    pub fn bind(listeners: &[Listen], trusted: Vec<IpNet>, limits: ConnectionLimits) -> Result<Self, BindError> {
        let (mut datagrams, mut streams) = (Vec::new(), Vec::new());
        for Listen { address, udp, tcp } in listeners {
            let failed = |source| BindError { address: *address, source };
            datagrams.push(if *udp { Some(bind(*address).map_err(failed)?) } else { None });
            streams.push(if *tcp { Some(listen(*address).map_err(failed)?) } else { None });
        }
        let addresses = listeners.iter().map(|listener| listener.address).collect();
        let outboxes = datagrams.iter().map(|_| Outbox::default()).collect();
        let streams = SipStreams::new(streams, addresses, trusted, limits);
        Ok(Self { datagrams, outboxes, inbox: Inbox::default(), streams, send_failures: 0 })
    }

    /// Registers all sockets: datagrams of listener `n` have token `n`, the tokens of streams lie above.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (n, socket) in self.datagrams.iter_mut().enumerate() {
            if let Some(socket) = socket {
                registry.register(socket, Token(n), Interest::READABLE)?;
            }
        }
        self.streams.register(registry)
    }

    /// The tokens that are to be read at first.
    pub fn tokens(&self) -> std::ops::Range<usize> {
        0..2 * self.datagrams.len()
    }

    /// Something may be written.
    pub fn writable(&mut self, token: usize) {
        if token >= self.datagrams.len() {
            self.streams.writable(token);
        }
    }

    /// Reads up to a budget, giving out whole messages; true when there may be more.
    pub fn read(&mut self, now: Instant, token: usize, buffer: &mut [u8], sink: &mut dyn FnMut(Flow, &[u8])) -> bool {
        if token >= self.datagrams.len() {
            return self.streams.read(now, token, buffer, sink);
        }
        let listener = ListenerId(u16::try_from(token).unwrap_or(u16::MAX));
        for _ in 0..READ_BUDGET / BATCH {
            let Some(received) = self.receive(token) else { return false };
            for (remote, bytes) in self.inbox.datagrams(received) {
                sink(Flow { listener, transport: Transport::Udp, remote }, bytes);
            }
        }
        true
    }

    /// Sends one message: a datagram with the next [`SipSockets::flush`]; over TCP it may wait for the peer to read, or for a connection
    /// that is made if `connect`.
    pub fn send(&mut self, now: Instant, flow: Flow, bytes: &[u8], connect: bool) {
        match flow.transport {
            Transport::Tcp => self.streams.send(now, flow, bytes, connect),
            Transport::Udp => {
                let n = usize::from(flow.listener.0);
                if self.outboxes.get(n).is_some_and(|outbox| outbox.is_full(bytes.len())) {
                    self.flush_one(n);
                }
                match self.outboxes.get_mut(n) {
                    Some(outbox) => outbox.push(flow.remote, bytes),
                    None => self.send_failures += 1,
                }
            }
        }
    }

    /// Sends the datagrams that wait.
    pub fn flush(&mut self) {
        for n in 0..self.outboxes.len() {
            self.flush_one(n);
        }
    }

    fn flush_one(&mut self, n: usize) {
        let Some(outbox) = self.outboxes.get_mut(n) else { return };
        self.send_failures += match self.datagrams.get(n).and_then(Option::as_ref) {
            Some(socket) => outbox.flush(socket),
            None => outbox.discard(),
        };
    }

    /// The connections.
    pub fn streams(&self) -> &SipStreams {
        &self.streams
    }

    /// The connections.
    pub fn streams_mut(&mut self) -> &mut SipStreams {
        &mut self.streams
    }

    /// Reads a batch of datagrams; `None` when there is none left.
    fn receive(&mut self, n: usize) -> Option<usize> {
        loop {
            match self.inbox.receive(self.datagrams.get(n)?.as_ref()?) {
                Ok(received) => return Some(received),
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
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    mark(&socket, address);
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(StdSocket::from(socket)))
}

/// Marks what is sent as signalling. A courtesy to the network: without it everything still works.
pub(super) fn mark(socket: &Socket, address: SocketAddr) {
    let _ = if address.is_ipv6() { socket.set_tclass_v6(CS3) } else { socket.set_tos_v4(CS3) };
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
        time::Duration,
    };

    use super::*;
    use crate::service::media_threads::wire_marks::{heard_with_mark, hears_marks};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real sockets are sent to now")]
    fn what_is_sent_is_marked_as_signalling_over_both_ip_versions() {
        for here in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Ok(phone) = StdSocket::bind((here, 0)) else {
                println!("skipped: this machine has no {here}");
                continue;
            };
            phone.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
            hears_marks(&phone);
            let listen = Listen { address: (here, 0).into(), udp: true, tcp: false };
            let mut sockets = SipSockets::bind(&[listen], Vec::new(), ConnectionLimits::default()).expect("a port");
            let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, remote: phone.local_addr().expect("bound") };
            sockets.send(Instant::now(), flow, b"OPTIONS", false);
            sockets.flush();
            let (octets, _, mark) = heard_with_mark(&phone);
            assert_eq!((octets.as_slice(), mark), (b"OPTIONS".as_slice(), 24 << 2), "DSCP CS3 at {here}");
        }
    }
}
