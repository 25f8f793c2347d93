//! The queues at work: who waits is put to who is ready, at the end of every input, so that nobody is overtaken.

use std::{collections::BTreeMap, time::Duration};

use super::{Output, Switch};
use crate::{
    domain::{
        call::QueueMove,
        fact::{EndCause, Fact, SegmentKind},
        live::{CALLERS_SHOWN, QueueView, WaitingCaller},
        routing::{Figures, Promise, Queue},
    },
    ids::InteractionId,
    time::UnixMs,
};

/// Offers that one input may lead to; the rest follows with the next. More than any house has agents who become ready at once.
const MAX_OFFERS: usize = 1_000;

impl Switch {
    pub(super) fn move_in_queue(&mut self, id: InteractionId, to: QueueMove) {
        match to {
            QueueMove::Join { queue, priority, since } => self.waiting.join(id, &queue, priority, since),
            QueueMove::Passed { agent, until } => self.waiting.passed(id, agent, until),
            QueueMove::Leave => {
                self.waiting.leave(id);
            }
        }
        self.board.touch();
    }

    /// Puts calls that wait to agents who are ready; those whom nobody is free for are told that they must wait.
    pub(super) fn dispatch(&mut self) {
        if !(self.agents.take_changed() | self.waiting.is_due(self.now.mono)) {
            return;
        }
        for _ in 0..MAX_OFFERS {
            self.waiting.looked(self.now.mono);
            let Some((id, agent)) = self.waiting.next_match(&self.agents, self.now.mono) else { break };
            self.waiting.offered(id);
            self.turn(id, |call, turn| call.offer_to(turn, agent));
            self.drain_layer();
        }
        for id in self.waiting.take_fresh() {
            self.must_wait(id);
        }
    }

    fn must_wait(&mut self, id: InteractionId) {
        let Some(standing) = self.waiting.standing(id, &self.agents) else { return };
        let queue = self.waiting.queue_of(id).and_then(|queue| self.people.queue(queue));
        let room = queue.is_none_or(|queue| usize::try_from(standing.position).is_ok_and(|position| position <= queue.max_waiting));
        if room {
            self.turn(id, |call, turn| call.must_wait(turn, standing));
        } else {
            self.turn(id, |call, turn| call.turn_away(turn, EndCause::NoAgent));
        }
    }

    /// Writes a fact down, and counts what it means for its queue's day.
    pub(super) fn write(&mut self, fact: Fact) {
        let people = &self.people;
        let promise = |queue: &str| people.queue(queue).map_or(Promise::NONE, Queue::promise);
        if let Some((queue, talk_ms)) = self.day.note(&fact, promise) {
            self.waiting.talked(&queue, talk_ms);
        }
        if matches!(fact, Fact::InteractionEnded { .. } | Fact::SegmentOpened { kind: SegmentKind::Talk, .. }) {
            self.board.touch();
        }
        self.outputs.push_back(Output::Fact(fact));
    }

    /// Who waits, by queue and place.
    pub(super) fn waiting_callers(&self) -> Vec<WaitingCaller> {
        let line = self.waiting.in_line(&self.agents).take(CALLERS_SHOWN);
        line.filter_map(|line| {
            let call = self.calls.get(&line.interaction)?;
            let (name, number) = call.who();
            let agent = call.agent().filter(|_| line.offered).and_then(|agent| self.agents.get(agent));
            Some(WaitingCaller {
                interaction: line.interaction,
                name,
                number,
                queue: line.queue.to_owned(),
                since: line.since,
                position: line.position,
                estimate_ms: line.estimate.filter(|_| !line.offered).map(rounded_ms),
                offered_to: agent.map(|agent| agent.profile.name.clone()),
            })
        })
        .collect()
    }

    /// Every queue now and today.
    pub fn queue_views(&self) -> Vec<QueueView> {
        let mut now: BTreeMap<&str, (u32, UnixMs)> = BTreeMap::new();
        for line in self.waiting.in_line(&self.agents) {
            let (waiting, longest) = now.entry(line.queue).or_insert((0, line.since));
            *waiting += 1;
            *longest = (*longest).min(line.since);
        }
        let view = |queue: &Queue| {
            let figures = self.day.figures(&queue.name);
            let waits = now.get(queue.name.as_str());
            QueueView {
                queue: queue.name.clone(),
                waiting: waits.map_or(0, |(waiting, _)| *waiting),
                longest_since: waits.map(|(_, longest)| *longest),
                estimate_ms: waits
                    .and_then(|(waiting, _)| Some(rounded_ms(self.waiting.turn_length(&queue.name, &self.agents)? * (waiting + 1)))),
                offered: figures.offered,
                answered: figures.answered,
                answered_in_time: figures.answered_in_time,
                abandoned: figures.abandoned,
                abandoned_short: figures.abandoned_short,
                turned_away: figures.turned_away,
                longest_ms: figures.longest_ms,
                average_answer_ms: figures.average_answer_ms(),
                service_level: figures.service_level_percent(),
                target: queue.target_percent,
                within_s: queue.answer_within.as_secs(),
            }
        };
        self.people.queues().map(view).collect()
    }

    pub(super) fn begin_day(&mut self, from: UnixMs, figures: BTreeMap<String, Figures>) {
        self.day.begin(from, figures);
        self.board.touch();
    }
}

/// An estimate as it is shown: by half minutes, so that nobody reads more into it, and desks are not told of each second.
fn rounded_ms(estimate: Duration) -> u64 {
    const STEP_MS: u64 = 30_000;
    u64::try_from(estimate.as_millis()).unwrap_or(u64::MAX).div_ceil(STEP_MS).saturating_mul(STEP_MS)
}

impl Promise {
    /// A queue that is no longer configured promises nothing.
    const NONE: Self = Self { answer_within: Duration::ZERO, short_abandon: Duration::ZERO };
}
