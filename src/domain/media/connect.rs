//! Who hears whom becomes ways: a relay where one leg's packets can go as they are, else the call's bridge.

use std::{cmp::Reverse, time::Instant};

use super::{
    bridge::{Bridge, Inputs},
    ear::Ear,
    engine::{CallState, Engine, TimerKind},
    leg::{Hearing, Leg},
    plan::{AudioSource, Hears, LegPlan},
};
use crate::ids::InteractionId;

/// What one listener is to hear.
enum Way {
    Nothing,
    /// The leg in this slot, as it is.
    Relay(u32),
    /// What is in the bridge under the sources of its rows.
    Bridge,
}

impl Engine {
    /// Sets the ways of a call's audio, and leaves alone what already is as it should be.
    pub(super) fn connect(&mut self, now: Instant, call: InteractionId) {
        let Some(mut state) = self.calls.remove(&call) else { return };
        let ways: Vec<Way> = state.slots.iter().map(|slot| self.way(&state, *slot)).collect();
        let warm: Vec<u32> =
            state.slots.iter().copied().filter(|slot| self.leg(*slot).is_some_and(|leg| !leg.listeners.is_empty())).collect();
        for slot in &state.slots {
            if let Some(leg) = self.leg_mut(*slot) {
                leg.listeners.clear();
                leg.input = None;
            }
        }
        let bridged = ways.iter().any(|way| matches!(way, Way::Bridge));
        if bridged || !state.sources.is_empty() {
            self.fill_bridge(now, call, &mut state, &ways, &warm);
        } else {
            state.bridge = None;
        }
        let slots = state.slots.clone();
        for (slot, way) in slots.into_iter().zip(ways) {
            match way {
                Way::Nothing => self.set_nothing(now, slot),
                Way::Relay(source) => self.set_relay(now, slot, source),
                Way::Bridge => self.set_ear(now, slot, &state),
            }
        }
        self.calls.insert(call, state);
    }

    fn way(&self, state: &CallState, slot: u32) -> Way {
        let Some(listener) = self.leg(slot).filter(|leg| leg.plan.send && !leg.failed) else { return Way::Nothing };
        let mut sources = state.hears.iter().filter(|hears| hears.listener == listener.plan.leg);
        let mut heard = sources.by_ref().filter_map(|hears| self.source(state, slot, hears));
        match (heard.next(), heard.next()) {
            (None, _) => Way::Nothing,
            (Some(Some(source)), None) if self.leg(source).is_some_and(|source| source.shape.fits(&listener.plan)) => Way::Relay(source),
            (Some(_), _) => Way::Bridge,
        }
    }

    /// What one row of the matrix means for the listener in `slot`: a leg that may be heard, `Some(None)` for a player.
    fn source(&self, state: &CallState, slot: u32, hears: &Hears) -> Option<Option<u32>> {
        match hears.source {
            AudioSource::Leg(id) => {
                let audible = |leg: &Leg| leg.plan.leg == id && leg.plan.receive && !leg.failed;
                let source = state.slots.iter().copied().find(|source| self.leg(*source).is_some_and(audible));
                source.filter(|source| *source != slot).map(Some)
            }
            AudioSource::Player(id) => state.sources.iter().any(|source| source.id == id).then_some(None),
        }
    }

    /// Gives the bridge the inputs that it needs: legs that a bridged listener hears, and every player.
    fn fill_bridge(&mut self, now: Instant, call: InteractionId, state: &mut CallState, ways: &[Way], warm: &[u32]) {
        let mut bridge = state.bridge.take().unwrap_or_else(|| {
            self.bridge_runs = self.bridge_runs.wrapping_add(1);
            let bridge = Bridge::new(now, self.bridge_runs);
            self.timers.push(Reverse((bridge.due_at(), TimerKind::Bridge(call, bridge.run()))));
            Box::new(bridge)
        });
        let mut wanted: Inputs = 0;
        for plan in &state.sources {
            wanted |= bridge.player_input(*plan, &self.config.clips).map_or(0, |place| 1 << place);
        }
        for (slot, _) in state.slots.iter().zip(ways).filter(|(_, way)| matches!(way, Way::Bridge)) {
            let Some(listener) = self.leg(*slot).map(|leg| leg.plan.leg) else { continue };
            for hears in state.hears.iter().filter(|hears| hears.listener == listener) {
                let Some(Some(source)) = self.source(state, *slot, hears) else { continue };
                let Some(leg) = self.leg_mut(source) else { continue };
                leg.input = bridge.leg_input(leg.serial, warm.contains(&source));
                wanted |= leg.input.map_or(0, |place| 1 << place);
            }
        }
        state.bridge = bridge.keep(wanted).then_some(bridge);
    }

    fn set_nothing(&mut self, now: Instant, slot: u32) {
        let Some(leg) = self.leg_mut(slot) else { return };
        if !matches!(leg.hearing, Hearing::Nothing) {
            leg.leave_bridge(now);
            leg.hearing = Hearing::Nothing;
            leg.sender.detach();
        }
    }

    fn set_relay(&mut self, now: Instant, slot: u32, source: u32) {
        let Some(serial) = self.leg(source).map(|leg| leg.serial) else { return };
        if let Some(leg) = self.leg_mut(slot)
            && !matches!(leg.hearing, Hearing::Relay(heard) if heard == serial)
        {
            leg.leave_bridge(now);
            leg.hearing = Hearing::Relay(serial);
            leg.sender.detach();
        }
        if let Some(source) = self.leg_mut(source) {
            source.listeners.push(slot);
        }
    }

    fn set_ear(&mut self, now: Instant, slot: u32, state: &CallState) {
        let Some(bridge) = &state.bridge else { return self.set_nothing(now, slot) };
        let Some(id) = self.leg(slot).map(|leg| leg.plan.leg) else { return };
        let mut hears: Inputs = 0;
        for row in state.hears.iter().filter(|row| row.listener == id) {
            let place = match self.source(state, slot, row) {
                Some(Some(source)) => self.leg(source).and_then(|leg| leg.input),
                Some(None) => match row.source {
                    AudioSource::Player(id) => bridge.place(super::bridge::InputKey::Player(id)),
                    AudioSource::Leg(_) => None,
                },
                None => None,
            };
            hears |= place.map_or(0, |place| 1 << place);
        }
        let Some(leg) = self.leg_mut(slot) else { return };
        if !matches!(leg.hearing, Hearing::Bridge(_)) {
            let ear = new_ear(leg, &leg.plan, now);
            leg.hearing = Hearing::Bridge(Box::new(ear));
            leg.bridge_run = leg.bridge_run.wrapping_add(1);
        }
        if let Leg { hearing: Hearing::Bridge(ear), plan, .. } = leg {
            ear.set(hears, plan);
        }
    }
}

fn new_ear(leg: &Leg, plan: &LegPlan, now: Instant) -> Ear {
    Ear::new(plan, leg.heard_last(now))
}
