//! The first packets of an address or stream that is not believed yet: kept until it is, and then used after all.
//!
//! A phone behind NAT, or one whose 200 is still under way, is so heard from its first word on; who is never believed is
//! never heard.

use std::{collections::VecDeque, net::SocketAddr, time::Instant};

use super::{counters::DropReason, tap::TAP_PAYLOAD_MAX};
use crate::protocol::rtp::packet::{HEADER_LEN, Header};

/// Packets kept of one address: as many as are needed to believe it, and one of before.
const OF_ONE_MAX: usize = 5;
/// Packets kept in all.
const HELD_MAX: usize = 16;
/// Longest datagram that is kept: what has no extension and can be recorded.
const OCTETS_MAX: usize = HEADER_LEN + TAP_PAYLOAD_MAX;

/// One packet that waits.
#[derive(Clone, Debug)]
pub(super) struct HeldPacket {
    /// When it came.
    pub at: Instant,
    /// Why it was refused, and counted as such.
    pub reason: DropReason,
    from: SocketAddr,
    header: Header,
    len: usize,
    bytes: [u8; OCTETS_MAX],
}

impl HeldPacket {
    /// The datagram as it came.
    pub fn datagram(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// What waits on one leg.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<HeldPacket>);

impl Held {
    /// Keeps a packet; older ones make room.
    pub fn keep(&mut self, at: Instant, from: SocketAddr, reason: DropReason, header: Header, datagram: &[u8]) {
        if datagram.len() > OCTETS_MAX {
            return;
        }
        let of_one = self.0.iter().filter(|packet| packet.from == from).count();
        let oldest = if of_one >= OF_ONE_MAX {
            self.0.iter().position(|packet| packet.from == from)
        } else {
            (self.0.len() >= HELD_MAX).then_some(0)
        };
        if let Some(place) = oldest {
            self.0.remove(place);
        }
        let mut bytes = [0; OCTETS_MAX];
        bytes[..datagram.len()].copy_from_slice(datagram);
        self.0.push_back(HeldPacket { at, reason, from, header, len: datagram.len(), bytes });
    }

    /// Those that lead up to this packet of `from`, number by number, oldest first.
    pub fn before(&mut self, from: SocketAddr, header: &Header) -> Vec<HeldPacket> {
        let mut found = VecDeque::new();
        let mut wanted = header.sequence.wrapping_sub(1);
        while let Some(place) =
            self.0.iter().position(|known| known.from == from && known.header.ssrc == header.ssrc && known.header.sequence == wanted)
        {
            found.extend(self.0.remove(place));
            wanted = wanted.wrapping_sub(1);
        }
        found.into_iter().rev().collect()
    }
}
