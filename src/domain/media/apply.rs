//! Makes a call's legs what the newest plan says: the difference is found here, control only says how it shall be.

use std::{collections::HashSet, time::Instant};

use rand_chacha::rand_core::RngCore;

use super::{
    engine::{CallState, Engine, Outlet},
    leg::{Leg, LegSeed},
    plan::{LegPlan, LegTotals, MediaCommand, MediaEventKind, MediaPlan},
    port_table::PortUse,
};
use crate::ids::{InteractionId, LegId};

/// Legs of one call; more than any conference of this house has.
const CALL_LEGS_MAX: usize = 32;
/// Players of one call.
const SOURCES_MAX: usize = 16;
/// Totals kept of legs that left a call: rings that nobody answered, over a long wait.
const DEPARTED_MAX: usize = 256;

impl Engine {
    /// Takes a command of control's.
    pub fn handle_command(&mut self, now: Instant, command: MediaCommand, out: &mut dyn Outlet) {
        match command {
            MediaCommand::Plan(plan) => self.apply(now, plan, out),
            MediaCommand::Close { call } => self.close(now, call, out),
            MediaCommand::Evict { call, legs, into, to } => {
                legs.into_iter().for_each(|leg| self.evict(now, call, leg, into, to));
                self.connect(now, call);
            }
        }
        self.flush_taps(now, out);
    }

    fn apply(&mut self, now: Instant, mut plan: MediaPlan, out: &mut dyn Outlet) {
        let known = self.calls.get(&plan.call);
        if known.is_some_and(|call| plan.generation <= call.generation) {
            self.counters.stale_plans += 1;
            return;
        }
        let (call, generation, legs) = (plan.call, plan.generation, std::mem::take(&mut plan.legs));
        let known = self.calls.remove(&call).map(|state| (state.slots, state.departed, state.bridge));
        let (slots, mut departed, bridge) = known.unwrap_or_default();
        let wanted: HashSet<LegId> = legs.iter().map(|leg| leg.leg).collect();
        let (mut slots, gone): (Vec<u32>, Vec<u32>) =
            slots.into_iter().partition(|slot| self.leg(*slot).is_some_and(|leg| wanted.contains(&leg.plan.leg)));
        for slot in gone {
            let totals = self.remove(now, slot, out);
            departed.extend(totals.filter(|_| departed.len() < DEPARTED_MAX));
        }
        let (mut awaiting, mut joining) = (Vec::new(), Vec::new());
        for leg in legs {
            let slot = slots.iter().copied().find(|slot| self.leg(*slot).is_some_and(|known| known.plan.leg == leg.leg));
            match slot {
                Some(slot) => self.update_leg(now, slot, &plan, leg, out),
                None => match self.take_adopted(leg.leg) {
                    Some(slot) => joining.push((slot, leg)),
                    None if leg.moving => awaiting.push(leg),
                    None => slots.extend(self.add_leg(now, &plan, leg, slots.len(), out)),
                },
            }
        }
        plan.sources.truncate(SOURCES_MAX);
        awaiting.truncate(CALL_LEGS_MAX);
        if !awaiting.is_empty() {
            self.await_legs(now, call, generation);
        }
        let MediaPlan { sources, hears, axis_start, axis_start_wall, .. } = plan;
        let axis = (axis_start, axis_start_wall);
        self.calls.insert(call, CallState { generation, axis, awaiting, slots, departed, sources, hears, bridge });
        for (slot, leg) in joining {
            self.join(now, call, slot, leg);
        }
        self.connect(now, call);
    }

    /// Whether this engine can give the pair to the leg in `slot`, or to a new leg.
    fn may_use(&self, leg: &LegPlan, slot: Option<u32>) -> bool {
        let ours = leg.ports.thread == self.config.thread && leg.ports.rtp_port.is_multiple_of(2);
        ours && match self.ports.get(leg.ports.rtp_port) {
            PortUse::Unused | PortUse::Resting => true,
            PortUse::Leg(user) => Some(user) == slot,
        }
    }

    fn refuse_leg(&mut self, plan: &MediaPlan, leg: LegId) {
        self.counters.refused_legs += 1;
        self.tell(plan.call, plan.generation, MediaEventKind::Failed { leg });
    }

    fn add_leg(&mut self, now: Instant, plan: &MediaPlan, leg: LegPlan, legs: usize, out: &mut dyn Outlet) -> Option<u32> {
        if legs >= CALL_LEGS_MAX || !self.may_use(&leg, None) {
            self.refuse_leg(plan, leg.leg);
            return None;
        }
        self.serial += 1;
        let seed = LegSeed {
            ssrc: self.random.next_u32(),
            sequence: (self.random.next_u32() >> 16) as u16,
            timestamp: self.random.next_u32(),
            cname: self.random.next_u64(),
        };
        let rtp_port = leg.ports.rtp_port;
        // Whatever became of the call before: this one hears everybody until its peer is known.
        out.connect(leg.ports, None);
        let mut leg = Leg::new(now, self.serial, plan, leg, seed);
        leg.apply_recording(now, &mut self.taps);
        let slot = self.put(leg);
        self.ports.take(rtp_port, slot);
        self.arm(slot);
        Some(slot)
    }

    pub(super) fn put(&mut self, leg: Leg) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.legs[slot as usize] = Some(leg);
            return slot;
        }
        self.legs.push(Some(leg));
        (self.legs.len() - 1) as u32
    }

    fn update_leg(&mut self, now: Instant, slot: u32, plan: &MediaPlan, new: LegPlan, out: &mut dyn Outlet) {
        if !self.may_use(&new, Some(slot)) {
            self.refuse_leg(plan, new.leg);
            return;
        }
        let Some(leg) = self.legs.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let (before, after) = (leg.plan.ports, new.ports);
        leg.update(now, plan.generation, new);
        if !leg.failed {
            leg.apply_recording(now, &mut self.taps);
        }
        if before != after {
            leg.connected = None;
            out.connect(before, None);
            out.connect(after, None);
            self.rest(now, before, plan.call, plan.generation);
            self.ports.take(after.rtp_port, slot);
        }
        self.connect_socket(slot, out);
        self.arm(slot);
    }

    /// Takes a leg away: goodbye, end of its track, rest for its ports.
    pub(super) fn remove(&mut self, now: Instant, slot: u32, out: &mut dyn Outlet) -> Option<LegTotals> {
        self.send_report(now, slot, true, out);
        let mut leg = self.legs.get_mut(slot as usize)?.take()?;
        if let Some(quality) = leg.meter.has_rest(now).then(|| leg.measure(now)).flatten() {
            self.tell(leg.call, leg.generation, MediaEventKind::Quality { leg: leg.plan.leg, quality });
        }
        out.connect(leg.plan.ports, None);
        let axis_us = leg.axis_us(now);
        leg.track.close(leg.plan.leg, axis_us, &mut self.taps);
        self.rest(now, leg.plan.ports, leg.call, leg.generation);
        self.free.push(slot);
        Some(leg.totals())
    }

    /// Closes every call, as at shutdown.
    pub fn close_all(&mut self, now: Instant, out: &mut dyn Outlet) {
        let calls: Vec<InteractionId> = self.calls.keys().copied().collect();
        for call in calls {
            self.handle_command(now, MediaCommand::Close { call }, out);
        }
        for (_, slot) in std::mem::take(&mut self.adopted) {
            self.remove(now, slot, out);
        }
        self.flush_taps(now, out);
    }

    /// Gives up a call whose command panicked half-way: its legs end as they are, control is told of each.
    pub fn abandon(&mut self, now: Instant, call: InteractionId) {
        self.calls.remove(&call);
        for slot in 0..self.legs.len() as u32 {
            let Some(mut leg) = self.legs[slot as usize].take_if(|leg| leg.call == call) else { continue };
            let axis_us = leg.axis_us(now);
            leg.track.close(leg.plan.leg, axis_us, &mut self.taps);
            self.rest(now, leg.plan.ports, call, leg.generation);
            self.free.push(slot);
            self.adopted.retain(|(_, adopted)| *adopted != slot);
            self.counters.failed_legs += 1;
            self.tell(call, leg.generation, MediaEventKind::Failed { leg: leg.plan.leg });
        }
    }

    fn close(&mut self, now: Instant, call: InteractionId, out: &mut dyn Outlet) {
        let state = self.calls.remove(&call);
        let generation = state.as_ref().map_or(0, |state| state.generation);
        let (slots, mut legs) = state.map(|state| (state.slots, state.departed)).unwrap_or_default();
        for slot in slots {
            legs.extend(self.remove(now, slot, out));
        }
        self.tell(call, generation, MediaEventKind::Closed { legs });
    }
}
