//! One thread's pairs of sockets: found by port, added and taken away when a leg moves, connected to who has been locked.

use std::{io, net::SocketAddr, ops::RangeInclusive, os::fd::AsRawFd};

use mio::{Interest, Registry, Token};

use super::{
    SocketCounters,
    pool::{Side, SocketPair},
};
use crate::domain::media::{engine::Transmit, plan::PortPair};

const NOWHERE: u32 = u32::MAX;
/// Tokens of one pair: RTP and RTCP over IPv4, then over IPv6.
pub(super) const TOKENS_PER_PAIR: usize = 4;

/// The pair that was read, whether it was RTCP, and what came from whom.
pub(super) type Received = (PortPair, bool, io::Result<(usize, SocketAddr)>);

/// The pairs of one media thread.
pub(super) struct Sockets {
    pairs: Vec<Option<SocketPair>>,
    free: Vec<usize>,
    /// Place in `pairs` by (RTP port − lowest) / 2; [`NOWHERE`] where another thread has it.
    places: Box<[u32]>,
    lowest: u16,
    pub counters: SocketCounters,
}

impl Sockets {
    /// No pairs yet; all that will ever come are in this range.
    pub fn new(ports: &RangeInclusive<u16>) -> Self {
        let lowest = ports.start() & !1;
        let places = vec![NOWHERE; usize::from((ports.end() - lowest) / 2) + 1].into_boxed_slice();
        Self { pairs: Vec::new(), free: Vec::new(), places, lowest, counters: SocketCounters::default() }
    }

    fn place(&self, rtp_port: u16) -> Option<usize> {
        let place = *self.places.get(usize::from(rtp_port.checked_sub(self.lowest)? / 2))?;
        (place != NOWHERE).then_some(place as usize)
    }

    /// Listens to a pair, and returns its first token; the others follow.
    pub fn insert(&mut self, registry: &Registry, mut pair: SocketPair) -> io::Result<usize> {
        let place = self.free.pop().unwrap_or(self.pairs.len());
        let first = TOKENS_PER_PAIR * place;
        for (n, Side { rtp, rtcp }) in pair.sides.iter_mut().enumerate().filter_map(|(n, side)| Some((n, side.as_mut()?))) {
            registry.register(rtp, Token(first + 2 * n), Interest::READABLE)?;
            registry.register(rtcp, Token(first + 2 * n + 1), Interest::READABLE)?;
        }
        if let Some(at) = pair.ports.rtp_port.checked_sub(self.lowest).and_then(|at| self.places.get_mut(usize::from(at / 2))) {
            *at = place as u32;
        }
        match self.pairs.get_mut(place) {
            Some(known) => *known = Some(pair),
            None => self.pairs.push(Some(pair)),
        }
        Ok(first)
    }

    /// Gives a pair away; packets wait in it.
    pub fn remove(&mut self, registry: &Registry, rtp_port: u16) -> Option<SocketPair> {
        let place = self.place(rtp_port)?;
        let mut pair = self.pairs.get_mut(place)?.take()?;
        self.free.push(place);
        self.places[usize::from((rtp_port - self.lowest) / 2)] = NOWHERE;
        for socket in pair.sides.iter_mut().flatten().flat_map(|side| [&mut side.rtp, &mut side.rtcp]) {
            if let Err(error) = registry.deregister(socket) {
                tracing::error!(%error, "a socket of a leg that moves cannot be let go");
            }
        }
        Some(pair)
    }

    /// Reads one datagram of the socket with this token, and says whether it is RTCP; `None` where there is no such socket.
    pub fn receive(&self, token: usize, buffer: &mut [u8]) -> Option<Received> {
        let pair = self.pairs.get(token / TOKENS_PER_PAIR)?.as_ref()?;
        let side = pair.sides[token / 2 % 2].as_ref()?;
        let is_rtcp = token % 2 == 1;
        let socket = if is_rtcp { &side.rtcp } else { &side.rtp };
        Some((pair.ports, is_rtcp, socket.recv_from(buffer)))
    }

    /// Sends, or drops and counts.
    pub fn send(&mut self, transmit: Transmit<'_>) {
        let Some(pair) = self.place(transmit.ports.rtp_port).and_then(|place| self.pairs.get(place)?.as_ref()) else { return };
        let Some(side) = pair.towards(transmit.destination) else {
            self.counters.send_failed += 1;
            return;
        };
        let sent = if transmit.rtcp {
            side.rtcp.send_to(transmit.bytes, transmit.destination)
        } else if pair.connected == Some(transmit.destination) {
            side.rtp.send(transmit.bytes)
        } else {
            side.rtp.send_to(transmit.bytes, transmit.destination)
        };
        match sent {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.counters.send_blocked += 1,
            Err(_) => self.counters.send_failed += 1,
        }
    }

    /// Connects a pair's RTP socket to its peer, or to nobody.
    pub fn connect(&mut self, rtp_port: u16, peer: Option<SocketAddr>) {
        let Some(pair) = self.place(rtp_port).and_then(|place| self.pairs.get_mut(place)?.as_mut()) else { return };
        if pair.connected == peer {
            return;
        }
        let former = pair.connected.filter(|former| peer.is_none_or(|peer| peer.is_ipv6() != former.is_ipv6()));
        let left = former.and_then(|former| pair.towards(former)).map_or(Ok(()), |side| disconnect(&side.rtp));
        let joined = peer.map_or(Ok(()), |peer| match pair.towards(peer) {
            Some(side) => side.rtp.connect(peer),
            None => Err(io::ErrorKind::Unsupported.into()),
        });
        match left.and(joined) {
            Ok(()) => pair.connected = peer,
            // The source lock refuses strangers by itself.
            Err(_) => self.counters.connect_failed += 1,
        }
    }
}

/// Takes packets from everybody again.
#[expect(unsafe_code, reason = "only connect(2) with AF_UNSPEC undoes a connect, and the standard library has no way to say it")]
fn disconnect(socket: &mio::net::UdpSocket) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the address is a valid struct of the length given.
    let result = unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
