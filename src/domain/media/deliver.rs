//! What becomes of an accepted packet: the tap first, then each listener, by relay or through the call's bridge.

use std::{cmp::Reverse, net::SocketAddr, time::Instant};

use super::{
    bridge::{Bridge, Heard},
    counters::DropReason,
    ear::{PACKET_MAX, Quiet},
    engine::{Engine, Outlet, TimerKind, Transmit},
    held::HeldPacket,
    key_ends::MissingEnd,
    leg::{Arrived, Content, Hearing, Leg, Shape},
    plan::{MediaEvent, MediaEventKind},
    relay,
    sender::{FeedKey, Outgoing},
};
use crate::{
    ids::InteractionId,
    protocol::rtp::{
        packet::{self, HEADER_LEN, Header, Packet},
        telephone_event::EVENT_LEN,
    },
};

impl Engine {
    pub(super) fn take_rtp(
        &mut self,
        now: Instant,
        slot: u32,
        source: SocketAddr,
        datagram: &mut [u8],
        out: &mut dyn Outlet,
    ) -> Result<(), DropReason> {
        let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) else { return Err(DropReason::UnusedPort) };
        if leg.failed {
            return Err(DropReason::LegFailed);
        }
        let packet = packet::parse(datagram).map_err(|_| DropReason::Malformed)?;
        let judged = leg.judge(now, source, &packet);
        if std::mem::take(&mut leg.just_locked) {
            let (call, generation, kind) = (leg.call, leg.generation, MediaEventKind::SourceLocked { leg: leg.plan.leg, source });
            self.events.push_back(MediaEvent { call, generation, kind });
        }
        let (content, mut new_source) = judged.inspect_err(|reason| leg.hold(now, source, *reason, &packet, datagram))?;
        let early = if new_source { leg.take_held(source, &packet.header) } else { Vec::new() };
        self.connect_socket(slot, out);
        for mut held in early {
            self.replay(now, slot, &mut held, std::mem::take(&mut new_source), out);
        }
        let Some(leg) = self.leg_mut(slot) else { return Err(DropReason::UnusedPort) };
        let arrived = leg.place(now, &packet, content, new_source);
        let woke = std::mem::take(&mut leg.woke);
        let arrived = arrived?;
        if woke {
            self.arm(slot);
        }
        self.deliver(now, slot, &arrived, &packet, datagram, out);
        Ok(())
    }

    /// Uses a packet that was held back until its source was believed.
    fn replay(&mut self, now: Instant, slot: u32, held: &mut HeldPacket, new_source: bool, out: &mut dyn Outlet) {
        let (at, reason) = (held.at, held.reason);
        let (Some(leg), Ok(packet)) = (self.leg_mut(slot), packet::parse(held.datagram())) else { return };
        let placed = leg.content(&packet).and_then(|content| leg.place(at, &packet, content, new_source));
        if let Ok(arrived) = placed {
            leg.dropped = leg.dropped.saturating_sub(1);
            self.counters.restore(reason);
            self.deliver(now, slot, &arrived, &packet, held.datagram(), out);
        }
    }

    /// Has the system refuse what strangers send, once the peer is known for certain, and take it again when it is not.
    pub(super) fn connect_socket(&mut self, slot: u32, out: &mut dyn Outlet) {
        let Some(leg) = self.leg_mut(slot) else { return };
        let peer = leg.lock.connection();
        if leg.connected != peer {
            leg.connected = peer;
            out.connect(leg.plan.ports, peer);
            self.arm(slot);
        }
    }

    fn deliver(&mut self, now: Instant, slot: u32, arrived: &Arrived, packet: &Packet, datagram: &mut [u8], out: &mut dyn Outlet) {
        self.counters.received += 1;
        self.counters.new_sources += u64::from(arrived.new_source);
        let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if leg.track.is_on() {
            // A key or comfort noise goes as an empty frame: its sequence number is not lost.
            let (codec, payload) = match arrived.content {
                Content::Audio(codec) => (codec, packet.payload(datagram)),
                Content::Event | Content::Noise | Content::Empty => (leg.plan.codec, &[][..]),
            };
            let frame = leg.tap_frame(arrived, codec, payload);
            if !leg.track.frame(&frame, &mut self.taps, out) {
                self.counters.drop(DropReason::TapFull);
            }
        }
        if let Content::Audio(codec) = arrived.content {
            self.look_at_shape(now, slot, Shape { codec, samples: packet.payload_len as u16 });
        }
        let Some(leg) = self.leg_mut(slot) else { return };
        let missing = leg.key_ends.note(arrived, packet.header.payload_type, packet.payload(datagram));
        let waits_for_end = leg.key_ends.due_at().is_some() && arrived.content == Content::Event;
        if leg.key_ends.has_made(arrived) {
            self.counters.drop(DropReason::Late);
            return;
        }
        if let Some(missing) = missing {
            self.make_ends(now, slot, arrived, packet.header, missing, out);
        }
        self.pass_on(now, slot, arrived, packet, datagram, out);
        if waits_for_end {
            self.arm(slot);
        }
    }

    /// Ends a key whose phone has gone silent with it pressed.
    pub(super) fn end_key(&mut self, now: Instant, slot: u32, arrived: &Arrived, missing: MissingEnd, out: &mut dyn Outlet) {
        let header = Header { marker: false, payload_type: missing.payload_type, sequence: 0, timestamp: 0, ssrc: 0 };
        self.make_ends(now, slot, arrived, header, missing, out);
    }

    /// Passes on the ends of a key press that are missing: their numbers and timestamps are those of their places.
    fn make_ends(&mut self, now: Instant, slot: u32, arrived: &Arrived, header: Header, missing: MissingEnd, out: &mut dyn Outlet) {
        for place in missing.places() {
            let mut datagram = [0; HEADER_LEN + EVENT_LEN];
            packet::encode_header(&mut datagram, Header { marker: false, payload_type: missing.payload_type, ..header });
            datagram[HEADER_LEN..].copy_from_slice(&missing.event.to_bytes());
            let end = Arrived { content: Content::Event, place, ..*arrived };
            if let Ok(packet) = packet::parse(&datagram) {
                self.pass_on(now, slot, &end, &packet, &mut datagram, out);
            }
        }
    }

    /// Gives a packet to everybody who hears the leg.
    fn pass_on(&mut self, now: Instant, slot: u32, arrived: &Arrived, packet: &Packet, datagram: &mut [u8], out: &mut dyn Outlet) {
        self.relay_on(arrived.at, slot, arrived, packet, datagram, out);
        let Some((call, place)) = self.leg(slot).and_then(|leg| leg.input.map(|place| (leg.call, place))) else { return };
        match arrived.content {
            Content::Audio(codec) => {
                let Some(bridge) = self.calls.get_mut(&call).and_then(|state| state.bridge.as_mut()) else { return };
                if !bridge.push(now, place, arrived.source, codec, arrived.place.ext_ts, packet.payload(datagram)) {
                    self.counters.drop(DropReason::BridgeLate);
                }
            }
            Content::Noise => {
                let level = packet.payload(datagram).first().map(|level| level & 0x7f);
                if let (Some(level), Some(bridge)) = (level, self.calls.get_mut(&call).and_then(|state| state.bridge.as_mut())) {
                    bridge.push_noise(place, level);
                }
            }
            Content::Event => self.event_through_bridge(now, call, place, arrived, packet, datagram, out),
            Content::Empty => {}
        }
    }

    /// Changes the way of a leg's packets when they cannot be relayed any more, or can be again.
    fn look_at_shape(&mut self, now: Instant, slot: u32, shape: Shape) {
        let Some(leg) = self.leg(slot) else { return };
        let relayable = leg.listeners.iter().filter_map(|listener| self.leg(*listener)).all(|listener| shape.fits(&listener.plan));
        let Some(leg) = self.leg_mut(slot) else { return };
        if leg.note_shape(shape, relayable) {
            let call = leg.call;
            self.connect(now, call);
        }
    }

    fn relay_on(&mut self, now: Instant, slot: u32, arrived: &Arrived, packet: &Packet, datagram: &mut [u8], out: &mut dyn Outlet) {
        let mut next = 0;
        while let Some(listener) = self.leg(slot).and_then(|leg| leg.listeners.get(next).copied()) {
            next += 1;
            let Some(listener) = self.legs.get_mut(listener as usize).and_then(Option::as_mut) else { continue };
            match relay::forward(listener, now, arrived, packet, datagram, &mut |transmit| out.transmit(transmit)) {
                Ok(()) => self.counters.sent += 1,
                Err(reason) => self.counters.drop(reason),
            }
        }
    }

    /// A key press goes on at once to every listener in the bridge that hears the leg; it is never mixed.
    #[expect(clippy::too_many_arguments, reason = "a packet is told by what it is, where it came from and where its octets lie")]
    fn event_through_bridge(
        &mut self,
        now: Instant,
        call: InteractionId,
        place: usize,
        arrived: &Arrived,
        packet: &Packet,
        datagram: &mut [u8],
        out: &mut dyn Outlet,
    ) {
        let Self { calls, legs, counters, .. } = self;
        let Some(state) = calls.get(&call) else { return };
        let Some(clock) = state.bridge.as_ref().map(|bridge| bridge.clock()) else { return };
        for slot in &state.slots {
            let Some(leg) = legs.get_mut(*slot as usize).and_then(Option::as_mut) else { continue };
            let payload_type = relay::payload_type(leg, Content::Event);
            let Hearing::Bridge(ear) = &mut leg.hearing else { continue };
            if ear.hears() & 1 << place == 0 {
                continue;
            }
            let sent = payload_type.and_then(|payload_type| {
                let destination = leg.lock.destination().ok_or(DropReason::NoDestination)?;
                let (timestamp, first) = ear.event(arrived.leg, arrived.source, arrived.place.ext_ts, clock).ok_or(DropReason::Late)?;
                let outgoing = Outgoing { payload_type, marker: first, octets: packet.payload_len, samples: 0 };
                let header = leg.sender.produce(now, FeedKey::Bridge { run: leg.bridge_run }, timestamp, outgoing);
                let bytes = packet::write_header(datagram, packet, header);
                out.transmit(Transmit { ports: leg.plan.ports, rtcp: false, destination, bytes });
                Ok(())
            });
            match sent {
                Ok(()) => counters.sent += 1,
                Err(reason) => counters.drop(reason),
            }
        }
    }

    /// Makes the bridge's frame that is due and gives each of its listeners what it hears.
    pub(super) fn bridge_due(&mut self, now: Instant, call: InteractionId, run: u32, out: &mut dyn Outlet) {
        self.stepping_call = Some(call);
        let Self { calls, legs, counters, timers, stepping, .. } = self;
        let Some(state) = calls.get_mut(&call) else { return };
        let Some(bridge) = state.bridge.as_mut().filter(|bridge| bridge.run() == run) else { return };
        let heard = bridge.pull(now);
        timers.push(Reverse((bridge.due_at(), TimerKind::Bridge(call, run))));
        for slot in &state.slots {
            *stepping = Some(*slot);
            if let Some(leg) = legs.get_mut(*slot as usize).and_then(Option::as_mut).filter(|leg| !leg.failed) {
                counters.sent += play(leg, now, bridge, heard, out);
            }
        }
        *stepping = None;
        counters.encoded += bridge.take_encodes();
        let generation = state.generation;
        while let Some(source) = self.calls.get_mut(&call).and_then(|state| state.bridge.as_mut()?.ended()) {
            self.tell(call, generation, MediaEventKind::SourceEnded { source });
        }
        self.stepping_call = None;
    }
}

/// Sends one listener its part of the bridge's frame; returns how many packets that were.
fn play(leg: &mut Leg, now: Instant, bridge: &mut Bridge, heard: Heard, out: &mut dyn Outlet) -> u64 {
    let Leg { hearing: Hearing::Bridge(ear), sender, plan, lock, bridge_run, .. } = leg else { return 0 };
    let quiet = ear.take(bridge, heard, plan);
    let key = FeedKey::Bridge { run: *bridge_run };
    let mut datagram = [0; HEADER_LEN + PACKET_MAX];
    let mut octets = [0; PACKET_MAX];
    let mut sent = 0;
    let Some(destination) = lock.destination() else {
        while ear.packet(&mut octets).is_some() {}
        return 0;
    };
    while let Some((timestamp, marker, len)) = ear.packet(&mut octets) {
        let outgoing = Outgoing { payload_type: plan.payload_type, marker, octets: len, samples: len as u32 };
        packet::encode_header(&mut datagram, sender.produce(now, key, timestamp, outgoing));
        datagram[HEADER_LEN..HEADER_LEN + len].copy_from_slice(&octets[..len]);
        out.transmit(Transmit { ports: plan.ports, rtcp: false, destination, bytes: &datagram[..HEADER_LEN + len] });
        sent += 1;
    }
    if let (Quiet::Noise(level), Some(payload_type)) = (quiet, plan.comfort_noise) {
        let outgoing = Outgoing { payload_type, marker: false, octets: 1, samples: 0 };
        packet::encode_header(&mut datagram, sender.produce(now, key, bridge.clock(), outgoing));
        datagram[HEADER_LEN] = level;
        out.transmit(Transmit { ports: plan.ports, rtcp: false, destination, bytes: &datagram[..HEADER_LEN + 1] });
        sent += 1;
    }
    sent
}
