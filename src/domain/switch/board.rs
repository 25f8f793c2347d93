//! What desks and supervisors see: whole views, the desk's at once, the board's at most four times a second.

use std::time::Instant;

use super::{Counter, Output, Switch};
use crate::{
    domain::{
        call::Call,
        fact::AgentState,
        live::{AgentView, Board, BoardAgent, LiveFact, QueueView},
    },
    ids::AgentId,
};

/// What every desk says while the server stops.
const STOPPING: &str = "The server restarts once the running calls are over. They go on; no new ones come.";

/// When the next board may be sent, and whether there is anything new on it.
#[derive(Debug)]
pub(super) struct BoardClock {
    changed: bool,
    not_before: Instant,
    stopping: bool,
    /// The queues as they were sent last.
    queues: Vec<QueueView>,
}

impl BoardClock {
    pub fn new(now: Instant) -> Self {
        Self { changed: false, not_before: now, stopping: false, queues: Vec::new() }
    }

    /// Something on the board changed.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    pub fn due(&self) -> Option<Instant> {
        self.changed.then_some(self.not_before)
    }

    pub fn stop(&mut self) {
        self.stopping = true;
        self.changed = true;
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }
}

impl Switch {
    /// Sends the view of every desk on which something changed.
    pub(super) fn show_desks(&mut self) {
        for agent in std::mem::take(&mut self.to_show) {
            if let Some(view) = self.agent_view(agent) {
                self.outputs.push_back(Output::Live(LiveFact::Agent(Box::new(view))));
            }
        }
    }

    /// One agent's desk as it is now.
    pub fn agent_view(&self, agent: AgentId) -> Option<AgentView> {
        let known = self.agents.get(agent)?;
        let call = known.interaction().and_then(|id| self.calls.get(&id));
        Some(AgentView {
            agent,
            name: known.profile.name.clone(),
            state: known.state(),
            reason: known.reason().map(str::to_owned),
            since: known.since,
            phone_registered: known.phone_registered,
            queues: known.profile.queues.clone(),
            notice: self.board.is_stopping().then(|| STOPPING.to_owned()),
            offer: call.and_then(|call| call.offer_view(agent)),
            call: call.and_then(|call| call.call_view(agent, self.config.policy.record_on_hold)),
            wrap_up: call.and_then(|call| call.wrap_up_view(agent)),
        })
    }

    pub(super) fn show_board(&mut self) {
        if self.board.due().is_some_and(|due| self.now.mono >= due) {
            self.board.changed = false;
            self.board.not_before = self.now.mono + self.config.policy.timing.board_interval;
            let board = self.board_now();
            self.outputs.push_back(Output::Live(LiveFact::Board(board)));
            // Every desk gets the queues: only what is new of them.
            let queues = self.queue_views();
            if queues != self.board.queues {
                self.board.queues.clone_from(&queues);
                self.outputs.push_back(Output::Live(LiveFact::Queues { queues }));
            }
        }
    }

    /// The house as it is now.
    pub fn board_now(&self) -> Board {
        let waiting = self.calls.values().filter_map(Call::waiting_since);
        Board {
            waiting: u32::try_from(waiting.clone().count()).unwrap_or(u32::MAX),
            longest_since: waiting.min(),
            callers: self.waiting_callers(),
            calls: u32::try_from(self.calls.values().filter(|call| call.is_talking()).count()).unwrap_or(u32::MAX),
            agents: self
                .agents
                .iter()
                .map(|agent| BoardAgent {
                    agent: agent.profile.id,
                    name: agent.profile.name.clone(),
                    interaction: agent.interaction().filter(|_| agent.state() == AgentState::Busy),
                    state: agent.state(),
                    reason: agent.reason().map(str::to_owned),
                    since: agent.since,
                    phone_registered: agent.phone_registered,
                })
                .collect(),
            alarms: self.alarms.values().cloned().collect(),
        }
    }

    /// Live facts are pictures: where nobody drains them, the oldest go. Everything else stays.
    pub(super) fn shed_live(&mut self) {
        let limit = self.config.limits.max_live_outputs;
        if self.outputs.len() <= limit {
            return;
        }
        let mut excess = self.outputs.len() - limit;
        let counters = &mut self.counters;
        self.outputs.retain(|output| {
            let shed = excess > 0 && matches!(output, Output::Live(_));
            if shed {
                excess -= 1;
                counters.count(Counter::LiveDropped);
            }
            !shed
        });
    }
}
