//! Time in a call: when something is due, and what.

use std::time::Instant;

use super::{
    counters::Counter,
    leg::Leg,
    state::{Call, Gate, Offering, Stage},
    turn::Turn,
};
use crate::domain::{call::policy::Timing, fact::EndCause};

/// What is due in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    LookUp,
    Pop,
    PhoneSilent,
    AgentRing { alive: bool },
    CallerRings,
    Answer,
    WaitedTooLong,
    SoundOver,
    TellPlace,
    TurnedAway(EndCause),
    Cap(EndCause),
    MediaNeverClosed,
    WrapUp,
}

impl Call {
    /// When [`Call::handle_timeout`] is due.
    pub fn next_timeout(&self, timing: &Timing) -> Option<Instant> {
        let own = self.due(timing).into_iter().map(|(at, _)| at);
        own.chain(self.legs().filter_map(Leg::next_timeout)).min()
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        // One thing at a time: each may change what else is due. Bounded, so that a mistake here cannot spin.
        for _ in 0..8 {
            let timing = turn.house.policy.timing;
            let Some((_, due)) = self.due(&timing).into_iter().filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at) else { break };
            self.run(turn, due);
        }
        if let Some(event) = self.near.leg.handle_timeout(turn) {
            self.on_leg_event(turn, true, event);
        }
        let far = self.far.as_ref().map(|far| far.leg.id());
        if let Some(event) = self.far.as_mut().and_then(|far| far.leg.handle_timeout(turn))
            && self.far.as_ref().map(|far| far.leg.id()) == far
        {
            self.on_leg_event(turn, false, event);
        }
        for leg in &mut self.leaving {
            let _ = leg.handle_timeout(turn);
        }
        self.leaving.retain(|leg| !leg.is_gone());
    }

    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        std::iter::once(&self.near.leg).chain(self.far.as_ref().map(|far| &far.leg)).chain(&self.leaving)
    }

    fn due(&self, timing: &Timing) -> Vec<(Instant, Due)> {
        let mut due = Vec::with_capacity(4);
        let max_ring = self.start.mono + timing.max_ring;
        match &self.stage {
            Stage::LookingUp { until } => due.push((*until, Due::LookUp)),
            Stage::Offering(Offering { gate: Gate::Shut { until }, .. }) => {
                due.push((*until, Due::Pop));
            }
            Stage::Offering(Offering { gate: Gate::Rung { until, alive, silent_at, .. }, .. }) => {
                due.push((*until, Due::AgentRing { alive: *alive }));
                due.extend((!alive).then_some((*silent_at, Due::AgentRing { alive: false })));
            }
            Stage::Ringing { alive, silent_at } => {
                due.push((max_ring, Due::Cap(EndCause::NoAnswer)));
                due.extend((!alive).then_some((*silent_at, Due::PhoneSilent)));
            }
            Stage::Talking { since, held, .. } => {
                due.push((since.mono + timing.max_call, Due::Cap(EndCause::Limit)));
                due.extend(held.map(|held| (held.mono + timing.max_hold, Due::Cap(EndCause::Limit))));
            }
            Stage::Waiting => due.extend(self.give_up_at().map(|at| (at, Due::WaitedTooLong))),
            Stage::TurnedAway { until, cause } => due.push((*until, Due::TurnedAway(*cause))),
            Stage::Choosing | Stage::Ended => {}
        }
        due.extend(self.answer_at(timing.max_ring).map(|at| (at, Due::Answer)));
        due.extend(self.sound_over_at().map(|at| (at, Due::SoundOver)));
        due.extend(self.place_due_at().map(|at| (at, Due::TellPlace)));
        due.extend(self.ring_near_at.map(|at| (at, Due::CallerRings)));
        due.extend(self.close_media_by.map(|at| (at, Due::MediaNeverClosed)));
        due.extend(self.wrap_up.as_ref().map(|wrap_up| (wrap_up.until, Due::WrapUp)));
        due
    }

    fn run(&mut self, turn: &mut Turn<'_>, due: Due) {
        match due {
            Due::LookUp => self.look_up_is_late(turn),
            Due::Pop => self.pop_missed(turn),
            Due::AgentRing { alive } => self.agent_silent(turn, alive),
            Due::PhoneSilent if self.dialled_by().is_some() => self.trunk_silent(turn),
            Due::PhoneSilent => self.end(turn, EndCause::SignallingLost),
            Due::CallerRings => self.ring_near(turn),
            Due::Answer => self.answer_waiting(turn),
            Due::WaitedTooLong => self.turn_away(turn, EndCause::NoAgent),
            Due::SoundOver => self.sound_over(turn),
            Due::TellPlace => self.tell_place(turn),
            Due::TurnedAway(cause) => self.end(turn, cause),
            Due::Cap(cause) => self.end(turn, cause),
            Due::MediaNeverClosed => {
                self.close_media_by = None;
                turn.count(Counter::MediaNotClosed);
            }
            Due::WrapUp => self.wrap_up_ran_out(turn),
        }
    }
}
