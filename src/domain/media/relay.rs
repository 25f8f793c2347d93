//! One accepted packet on its way to one listener.
//!
//! ```text
//! source leg ─▶ same codec, fits ─▶ Sender::map, header rewritten in the receive buffer ─▶ listener
//!            └▶ else ─▶ Bridge::push (key presses go on at once) ─▶ … tick ─▶ listener
//! ```

use std::time::Instant;

use super::{
    CLOCK_HZ,
    bridge::Bridge,
    counters::DropReason,
    engine::Transmit,
    leg::{Arrived, Content, Hearing, Leg},
    sender::{FeedKey, Outgoing},
};
use crate::protocol::rtp::packet::{Packet, write_header};

/// Forwards a packet that `arrived` on another leg with `codec`; `Ok(None)` when the bridge will play it.
pub(super) fn forward<'a>(
    listener: &mut Leg,
    now: Instant,
    arrived: &Arrived,
    packet: &Packet,
    datagram: &'a mut [u8],
) -> Result<Option<Transmit<'a>>, DropReason> {
    let relay_key = FeedKey::Relay { leg: arrived.leg, source: arrived.source };
    let payload_type = match payload_type(listener, arrived.content) {
        Ok(payload_type) => payload_type,
        Err(reason) => {
            listener.sender.skip(relay_key, arrived.place.ext_seq);
            return Err(reason);
        }
    };
    let destination = listener.lock.destination().ok_or(DropReason::NoDestination)?;
    if let Content::Audio(codec) = arrived.content
        && (codec != listener.plan.codec || !fits(listener, packet))
        && matches!(listener.hearing, Hearing::Relay(_))
    {
        begin_bridge(listener, now, &[arrived.leg]);
    }
    let outgoing = Outgoing { payload_type, marker: packet.header.marker, octets: packet.payload_len };
    let header = match (&mut listener.hearing, arrived.content) {
        (Hearing::Nothing, _) => return Ok(None),
        (Hearing::Relay(_), _) => listener.sender.map(now, relay_key, arrived.place, outgoing).ok_or(DropReason::Late)?,
        (Hearing::Bridge(_), Content::Quiet) => return Err(DropReason::ComfortNoise),
        (Hearing::Bridge(bridge), Content::Audio(codec)) => {
            let taken = bridge.push(arrived.leg, arrived.source, codec, arrived.place.ext_ts, packet.payload(datagram));
            return if taken { Ok(None) } else { Err(DropReason::BridgeLate) };
        }
        (Hearing::Bridge(bridge), Content::Event) => {
            let (timestamp, first) = bridge.event(arrived.leg, arrived.place.ext_ts);
            let key = FeedKey::Bridge { run: listener.bridge_run };
            listener.sender.produce(now, key, timestamp, Outgoing { marker: first, ..outgoing })
        }
    };
    let bytes = write_header(datagram, packet, header);
    Ok(Some(Transmit { ports: listener.plan.ports, rtcp: false, destination, bytes }))
}

/// The payload type on the listener's leg.
fn payload_type(listener: &Leg, content: Content) -> Result<u8, DropReason> {
    match content {
        Content::Audio(_) => Ok(listener.plan.payload_type),
        Content::Event => listener.plan.telephone_event.ok_or(DropReason::EventNotNegotiated),
        Content::Quiet => listener.plan.comfort_noise.ok_or(DropReason::ComfortNoise),
    }
}

/// Whether the listener accepts packets this long; a maximum of 0 is none.
fn fits(listener: &Leg, packet: &Packet) -> bool {
    listener.plan.max_ptime_ms == 0
        || packet.payload_len <= usize::from(listener.plan.max_ptime_ms).saturating_mul(CLOCK_HZ as usize / 1000)
}

/// The listener hears `sources` (leg serials) through a bridge from now on.
pub(super) fn begin_bridge(listener: &mut Leg, now: Instant, sources: &[u64]) {
    listener.bridge_run = listener.bridge_run.wrapping_add(1);
    let ptime_ms = if listener.plan.max_ptime_ms == 0 { 20 } else { listener.plan.max_ptime_ms };
    let bridge = Bridge::new(now, sources, listener.plan.codec, ptime_ms);
    listener.hearing = Hearing::Bridge(Box::new(bridge));
}
