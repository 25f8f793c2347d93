//! One accepted packet on its way to one listener, as it is: only its header is rewritten, in the receive buffer.
//!
//! ```text
//! source leg ─▶ same codec, fits ─▶ Sender::map ─▶ listener          (seam faded where another feed was heard before)
//! ```

use std::time::Instant;

use super::{
    counters::DropReason,
    engine::Transmit,
    leg::{Arrived, Content, Leg},
    sender::{FeedKey, Outgoing},
    sound::fade_into,
};
use crate::protocol::rtp::packet::{HEADER_LEN, Packet, encode_header, write_header};

/// Longest payload whose beginning is faded: longer ones are no audio of ours.
const SEAM_MAX: usize = 640;

/// Forwards a packet that `arrived` on another leg.
pub(super) fn forward(
    listener: &mut Leg,
    now: Instant,
    arrived: &Arrived,
    packet: &Packet,
    datagram: &mut [u8],
    send: &mut dyn FnMut(Transmit<'_>),
) -> Result<(), DropReason> {
    let key = FeedKey::Relay { leg: arrived.leg, source: arrived.source };
    let payload_type = payload_type(listener, arrived.content).inspect_err(|_| listener.sender.skip(key, arrived.place.ext_seq))?;
    let destination = listener.lock.destination().ok_or(DropReason::NoDestination)?;
    let seam = match arrived.content {
        Content::Audio(codec) if !listener.sender.feeds(key) => listener.heard_last(now).map(|last| (codec, last)),
        Content::Audio(_) | Content::Event | Content::Noise | Content::Empty => None,
    };
    let samples = if matches!(arrived.content, Content::Audio(_)) { packet.payload_len as u32 } else { 0 };
    let outgoing = Outgoing { payload_type, marker: packet.header.marker, octets: packet.payload_len, samples };
    let header = listener.sender.map(now, key, arrived.place, outgoing).ok_or(DropReason::Late)?;
    if let (Content::Audio(codec), Some(octet)) = (arrived.content, packet.payload(datagram).last()) {
        listener.tail = Some((codec, *octet, now));
    }
    let ports = listener.plan.ports;
    match seam.filter(|_| packet.payload_len <= SEAM_MAX) {
        None => send(Transmit { ports, rtcp: false, destination, bytes: write_header(datagram, packet, header) }),
        Some((codec, last)) => {
            // Other listeners get the packet as it came.
            let mut copy = [0; HEADER_LEN + SEAM_MAX];
            let copy = &mut copy[..HEADER_LEN + packet.payload_len];
            encode_header(copy, header);
            copy[HEADER_LEN..].copy_from_slice(packet.payload(datagram));
            fade_into(codec, last, &mut copy[HEADER_LEN..]);
            send(Transmit { ports, rtcp: false, destination, bytes: copy });
        }
    }
    Ok(())
}

/// The payload type on the listener's leg.
pub(super) fn payload_type(listener: &Leg, content: Content) -> Result<u8, DropReason> {
    match content {
        Content::Audio(_) => Ok(listener.plan.payload_type),
        Content::Event => listener.plan.telephone_event.ok_or(DropReason::EventNotNegotiated),
        Content::Noise => listener.plan.comfort_noise.ok_or(DropReason::ComfortNoise),
        Content::Empty => Err(DropReason::ComfortNoise),
    }
}
