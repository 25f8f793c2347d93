//! A mistake of ours ends one call only: both sides hear goodbye, rows are closed with cause `bug`, ports and agents go free.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Counter, Switch};
use crate::{
    domain::{
        call::{Call, leg::Leg},
        fact::EndCause,
        media::plan::PortPair,
    },
    ids::{AgentId, InteractionId},
};

/// The time in which too many panics make the node not ready.
const WINDOW: Duration = Duration::from_secs(60);
/// Panics remembered: more than any sensible limit.
const MAX_REMEMBERED: usize = 64;

/// When calls panicked.
#[derive(Debug, Default)]
pub(super) struct Panics {
    at: VecDeque<Instant>,
}

impl Panics {
    pub fn note(&mut self, now: Instant) {
        if self.at.len() == MAX_REMEMBERED {
            self.at.pop_front();
        }
        self.at.push_back(now);
    }

    pub fn are_too_many(&self, now: Instant, limit: usize) -> bool {
        self.at.iter().filter(|at| now.saturating_duration_since(**at) <= WINDOW).count() > limit
    }
}

impl Switch {
    /// Ends a call whose turn panicked.
    pub(super) fn call_panicked(&mut self, mut call: Box<Call>) {
        let id = call.id();
        self.counters.count(Counter::CallPanicked);
        self.panics.note(self.now.mono);
        if self.panics.are_too_many(self.now.mono, self.config.limits.panics_before_not_ready) {
            let sentence = "Calls were ended by a mistake of ours; new calls are refused. Send the log to support, then restart.";
            self.alarms.insert("switch", sentence.to_owned());
        }
        let (actions, done) = self.guarded(id, |turn| {
            call.end(turn, EndCause::Bug);
            call.end_legs(turn);
        });
        self.apply(id, call.ports(), actions);
        self.close_what_is_open(id, call.ports());
        // A leg that was being made, or let go of, when it happened is in nobody's hands.
        let indexed = self.ledgers.get(&id).map(|ledger| ledger.indexed.clone()).unwrap_or_default();
        for leg in indexed {
            if self.legs.contains_key(&leg) && call.leg(leg).is_none_or(Leg::is_gone) {
                self.abandon_leg(leg);
            }
        }
        match done {
            Some(()) => self.keep(call),
            // Even the goodbye panicked: what others hold of the call is taken away, without asking the call.
            None => {
                if let Some(at) = self.deadline_of.remove(&id) {
                    self.deadlines.remove(&(at, id));
                }
                self.forget(&call);
            }
        }
        self.free_agents_of(id);
        self.board.touch();
    }

    /// Closes in the record and in media what the call's own goodbye left open.
    fn close_what_is_open(&mut self, id: InteractionId, ports: [PortPair; 2]) {
        let ledger = self.ledgers.entry(id).or_default();
        let lasted = ledger.began.map_or(Duration::ZERO, |began| self.now.mono.saturating_duration_since(began));
        let facts = ledger.close_all(id, u32::try_from(lasted.as_millis()).unwrap_or(u32::MAX));
        for fact in facts {
            self.write(fact);
        }
        self.waiting.leave(id);
        self.close_media(id, ports);
    }

    /// Where on its axis a call is, without asking the call.
    pub(super) fn ms_since_start(&self, id: InteractionId) -> u32 {
        u32::try_from(self.now.wall.0.saturating_sub(id.made_at().0).max(0)).unwrap_or(u32::MAX)
    }

    /// Frees agents whom a call holds that does not own up to them.
    pub(super) fn free_agents_of(&mut self, id: InteractionId) {
        let owned: Vec<AgentId> = self.calls.get(&id).map(Call::occupied).unwrap_or_default();
        let held = self.agents.iter().filter(|agent| agent.interaction() == Some(id)).map(|agent| agent.profile.id);
        let orphans: Vec<AgentId> = held.filter(|agent| !owned.contains(agent)).collect();
        for agent in orphans {
            if self.agents.free(self.now, agent, id) {
                self.write_agent(agent);
            }
        }
    }
}
