//! A call's turn: the call is taken out, does its work in a `catch_unwind`, its actions are applied, its deadline is set anew.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Switch, invite::phone_target, large::phone_takes_connections};
use crate::{
    domain::call::{Action, Call, House, Turn},
    ids::InteractionId,
    protocol::sip::flow::Flow,
};

impl Switch {
    /// Gives a call a turn; nothing happens where the call is gone.
    pub(super) fn turn(&mut self, id: InteractionId, input: impl FnOnce(&mut Call, &mut Turn<'_>)) {
        let _ = self.turn_or_panic(id, input);
    }

    /// The same; false where the call panicked.
    pub(super) fn turn_or_panic(&mut self, id: InteractionId, input: impl FnOnce(&mut Call, &mut Turn<'_>)) -> bool {
        let Some(mut call) = self.calls.remove(&id) else { return true };
        let (actions, done) = self.guarded(id, |turn| input(&mut call, turn));
        self.apply(id, call.ports(), actions);
        match done {
            Some(()) => self.keep(call),
            None => self.call_panicked(call),
        }
        done.is_some()
    }

    /// Runs call code with a fresh turn. The second value is `None` where it panicked; the actions until then are valid.
    pub(super) fn guarded<T>(&mut self, id: InteractionId, work: impl FnOnce(&mut Turn<'_>) -> T) -> (Vec<Action>, Option<T>) {
        let mut actions = Vec::new();
        let (registrar, people, steady_ms) = (&self.registrar, &self.people, self.steady_ms());
        let reach = |phone| phone_target(registrar, people, steady_ms, phone);
        let flows = &self.flows;
        let (config, trunks, calls, now) = (&self.config, &self.trunks, &self.calls, self.now.mono);
        let large = &self.large;
        let stream_beside = |flow: Flow, is_trunk: bool| {
            let may_open = || is_trunk || phone_takes_connections(registrar, flows, steady_ms, flow);
            flows.stream_beside(steady_ms, flow).or_else(|| large.stream(now, flow).filter(|_| may_open()))
        };
        let trunk_has_room = |trunk| trunks.has_room(&config.trunks, calls, now, trunk);
        let (waiting, agents) = (&self.waiting, &self.agents);
        let standing = |call| waiting.standing(call, agents);
        let house = House {
            standing: &standing,
            trunk_has_room: &trunk_has_room,
            policy: &self.config.policy,
            agents: &self.agents,
            reach: &reach,
            stream_beside: &stream_beside,
        };
        #[cfg(any(test, feature = "fault-injection"))]
        let mut panic_after = self.faults.remove(&id);
        #[cfg(not(any(test, feature = "fault-injection")))]
        let _ = id;
        let mut turn = Turn {
            now: self.now,
            house,
            tokens: &mut self.tokens,
            actions: &mut actions,
            #[cfg(any(test, feature = "fault-injection"))]
            panic_after: &mut panic_after,
        };
        // Whatever a panic leaves half done is in the call, which is ended, or among the actions, each of which is whole.
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut turn))).ok();
        #[cfg(any(test, feature = "fault-injection"))]
        if let (Some(left), true) = (panic_after, done.is_some()) {
            self.faults.insert(id, left);
        }
        (actions, done)
    }

    /// Puts a call back, or forgets it where nothing is left to do.
    pub(super) fn keep(&mut self, call: Box<Call>) {
        let id = call.id();
        if let Some(at) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(at, id));
        }
        if call.is_over() {
            return self.forget(&call);
        }
        if let Some(at) = call.next_timeout(&self.config.policy.timing) {
            self.deadlines.insert((at, id));
            self.deadline_of.insert(id, at);
        }
        self.calls.insert(call);
    }

    /// Lets go of what a call held.
    pub(super) fn forget(&mut self, call: &Call) {
        let id = call.id();
        self.waiting.leave(id);
        self.close_media(id, call.ports());
        let ledger = self.ledgers.remove(&id).unwrap_or_default();
        for leg in ledger.indexed {
            self.forget_leg(leg);
        }
        if ledger.planned.is_empty() {
            // No media thread was told of them: they need not rest.
            for pair in call.ports() {
                self.ports.give_back(pair);
            }
        }
        #[cfg(any(test, feature = "fault-injection"))]
        self.faults.remove(&id);
        self.board.touch();
    }
}
