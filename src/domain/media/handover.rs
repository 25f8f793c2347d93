//! A leg moves from one media thread to another in mid-speech: the whole value goes, packets wait in its sockets.
//!
//! ```text
//! Evict ─▶ engine A: leg leaves its slot ── MovedLeg (and its sockets) ──▶ engine B: slot, ports, then the plan that awaits it
//! ```
//! All legs of a call live on one thread; legs of different calls that come together are moved to one first.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use super::{
    engine::{Engine, Outlet, TimerKind},
    leg::{Hearing, Leg},
    plan::{LegPlan, MediaEventKind, PortPair},
    tap::Tap,
};
use crate::ids::{InteractionId, LegId};

/// A leg that arrived, or a plan that awaits one, waits this long for the other; handing over takes microseconds.
const MEETING_MAX: Duration = Duration::from_secs(2);

/// Legs that are sent on before they arrived; more at once means that control moves them to and fro without end.
const FORWARDS_MAX: usize = 63;

/// A leg that is to go on to another thread when it arrives here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward {
    leg: LegId,
    into: InteractionId,
    to: u16,
}

/// A leg on its way to another media thread.
#[derive(Debug)]
pub struct MovedLeg {
    leg: Box<Leg>,
    into: InteractionId,
    to: u16,
    /// What its track still has to tell the recorder.
    taps: Vec<Tap>,
}

impl MovedLeg {
    /// Its sockets, under the thread that it leaves.
    pub fn ports(&self) -> PortPair {
        self.leg.plan.ports
    }

    /// The thread that it goes to.
    pub fn to(&self) -> u16 {
        self.to
    }

    /// Which leg it is.
    pub fn leg(&self) -> LegId {
        self.leg.plan.leg
    }

    /// The call that it goes to.
    pub fn into_call(&self) -> InteractionId {
        self.into
    }
}

impl Engine {
    /// The next leg that leaves this thread; its sockets go with it.
    pub fn poll_moved(&mut self) -> Option<MovedLeg> {
        self.moved.pop_front()
    }

    pub(super) fn evict(&mut self, now: Instant, call: InteractionId, id: LegId, into: InteractionId, to: u16) {
        let known = self.calls.get(&call).map(|state| state.slots.clone()).unwrap_or_default();
        let slot = known.into_iter().find(|slot| self.leg(*slot).is_some_and(|leg| leg.plan.leg == id));
        let Some((slot, mut leg)) = slot.and_then(|slot| Some((slot, self.legs.get_mut(slot as usize)?.take()?))) else {
            let Some(state) = self.calls.get_mut(&call).filter(|state| state.awaiting.iter().any(|leg| leg.leg == id)) else {
                return self.tell(into, 0, MediaEventKind::Failed { leg: id });
            };
            state.awaiting.retain(|leg| leg.leg != id);
            self.forwards.truncate(FORWARDS_MAX);
            return self.forwards.insert(0, Forward { leg: id, into, to });
        };
        if let Some(state) = self.calls.get_mut(&call) {
            state.slots.retain(|known| *known != slot);
        }
        self.free.push(slot);
        self.ports.leave(leg.plan.ports.rtp_port);
        leg.leave_bridge(now);
        leg.hearing = Hearing::Nothing;
        leg.sender.detach();
        leg.listeners.clear();
        (leg.input, leg.timer_at) = (None, None);
        let taps = self.taps.take_of(id);
        self.moved.push_back(MovedLeg { leg: Box::new(leg), into, to, taps });
    }

    /// Takes a leg from another thread; its sockets are this thread's from now on.
    pub fn adopt(&mut self, now: Instant, moved: MovedLeg, out: &mut dyn Outlet) {
        if let Some(place) = self.forwards.iter().position(|forward| forward.leg == moved.leg()) {
            let Forward { into, to, .. } = self.forwards.swap_remove(place);
            return self.moved.push_back(MovedLeg { into, to, ..moved });
        }
        let MovedLeg { mut leg, into, taps, .. } = moved;
        self.serial += 1;
        leg.serial = self.serial;
        leg.plan.ports.thread = self.config.thread;
        let (id, serial, rtp_port) = (leg.plan.leg, leg.serial, leg.plan.ports.rtp_port);
        let slot = self.put(*leg);
        self.ports.take(rtp_port, slot);
        taps.into_iter().for_each(|tap| self.taps.wait(tap));
        self.arm(slot);
        let awaited = self.calls.get_mut(&into).and_then(|state| {
            let place = state.awaiting.iter().position(|plan| plan.leg == id)?;
            Some(state.awaiting.swap_remove(place))
        });
        match awaited {
            Some(plan) => {
                self.join(now, into, slot, plan);
                self.connect(now, into);
            }
            None => {
                self.adopted.push((id, slot));
                self.timers.push(Reverse((now + MEETING_MAX, TimerKind::Adopted(slot, serial))));
            }
        }
        self.flush_taps(now, out);
    }

    /// The leg that arrived before its plan.
    pub(super) fn take_adopted(&mut self, id: LegId) -> Option<u32> {
        let place = self.adopted.iter().position(|(adopted, _)| *adopted == id)?;
        Some(self.adopted.swap_remove(place).1)
    }

    /// Makes a leg that arrived one of the call's.
    pub(super) fn join(&mut self, now: Instant, call: InteractionId, slot: u32, plan: LegPlan) {
        let Self { calls, legs, taps, .. } = self;
        let Some(state) = calls.get_mut(&call) else { return };
        let Some(leg) = legs.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        leg.join(now, call, state.axis, taps);
        leg.update(now, state.generation, plan);
        if !leg.failed {
            leg.apply_recording(now, taps);
        }
        state.slots.push(slot);
        self.arm(slot);
    }

    /// Waits for the legs of a plan that are still on their way.
    pub(super) fn await_legs(&mut self, now: Instant, call: InteractionId, generation: u32) {
        self.timers.push(Reverse((now + MEETING_MAX, TimerKind::Awaited(call, generation))));
    }

    pub(super) fn awaited_due(&mut self, call: InteractionId, generation: u32) {
        let state = self.calls.get_mut(&call).filter(|state| state.generation == generation);
        let missing = state.map(|state| std::mem::take(&mut state.awaiting)).unwrap_or_default();
        for plan in missing {
            self.counters.refused_legs += 1;
            self.tell(call, generation, MediaEventKind::Failed { leg: plan.leg });
        }
    }

    pub(super) fn adopted_due(&mut self, now: Instant, slot: u32, serial: u64, out: &mut dyn Outlet) {
        let Some(place) = self.adopted.iter().position(|(_, adopted)| *adopted == slot) else { return };
        let Some((call, id)) = self.leg(slot).filter(|leg| leg.serial == serial).map(|leg| (leg.call, leg.plan.leg)) else { return };
        self.adopted.swap_remove(place);
        self.remove(now, slot, out);
        self.flush_taps(now, out);
        self.counters.refused_legs += 1;
        self.tell(call, 0, MediaEventKind::Failed { leg: id });
    }
}
