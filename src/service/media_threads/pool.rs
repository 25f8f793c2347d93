//! Binds the media ports at start, so that no call can fail for want of a socket after it was answered.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use super::{MediaStartError, MediaThreadsConfig};
use crate::domain::media::plan::PortPair;

/// DSCP Expedited Forwarding (RFC 3246) in the upper six bits of the traffic class.
const EXPEDITED_FORWARDING: u32 = 46 << 2;

/// Two bound sockets of one IP version.
pub(super) struct Side {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

/// The sockets of one pair of ports: two of each IP version that media is served on.
pub(super) struct SocketPair {
    pub ports: PortPair,
    /// IPv4, then IPv6.
    pub sides: [Option<Side>; 2],
    /// To whom an RTP socket is connected: the system drops what others send.
    pub connected: Option<SocketAddr>,
}

impl SocketPair {
    /// The sockets that reach this address.
    pub fn towards(&self, address: SocketAddr) -> Option<&Side> {
        self.sides[usize::from(address.is_ipv6())].as_ref()
    }
}

/// Binds every pair of the range and deals them out to the threads in turn.
pub(super) fn bind(config: &MediaThreadsConfig) -> Result<Vec<Vec<SocketPair>>, MediaStartError> {
    let (first, last) = (*config.ports.start(), *config.ports.end());
    if config.threads == 0 {
        return Err(MediaStartError::NoThread);
    }
    let evens = (first..=last).filter(|port| port.is_multiple_of(2) && *port > 0 && *port < last);
    let needed = 2 * evens.clone().count() * config.bind.len();
    if needed == 0 {
        return Err(MediaStartError::NoPair { first, last });
    }
    let mut pools: Vec<Vec<SocketPair>> = (0..config.threads).map(|_| Vec::new()).collect();
    let (mut bound, mut in_use) = (0usize, 0usize);
    for rtp_port in evens {
        let thread = (bound % pools.len()) as u16;
        let ports = PortPair { thread, rtp_port };
        match bind_pair(&config.bind, ports) {
            Ok(pair) => {
                pools[usize::from(thread)].push(pair);
                bound += 1;
            }
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => in_use += 1,
            Err((_, error)) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                return Err(MediaStartError::TooManyOpenFiles { first, last, needed });
            }
            Err((bind, source)) => return Err(MediaStartError::Bind { bind, first, last, port: rtp_port, source }),
        }
    }
    if bound == 0 {
        return Err(MediaStartError::AllInUse { bind: joined(&config.bind), first, last });
    }
    if in_use > 0 {
        tracing::warn!(in_use, bound, first, last, "some media ports belong to another program and are left out");
    }
    Ok(pools)
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ")
}

/// All sockets of a pair, or none; an error names the address that it is about.
fn bind_pair(addresses: &[IpAddr], ports: PortPair) -> Result<SocketPair, (IpAddr, io::Error)> {
    let mut pair = SocketPair { ports, sides: [None, None], connected: None };
    for bind in addresses {
        let at = |port| open(SocketAddr::new(*bind, port)).map_err(|error| (*bind, error));
        pair.sides[usize::from(bind.is_ipv6())] = Some(Side { rtp: at(ports.rtp_port)?, rtcp: at(ports.rtp_port + 1)? });
    }
    Ok(pair)
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Marking is a courtesy to the network; where it is not permitted, media flows unmarked.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        let _ = socket.set_tclass_v6(EXPEDITED_FORWARDING);
    } else {
        let _ = socket.set_tos_v4(EXPEDITED_FORWARDING);
    }
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}
