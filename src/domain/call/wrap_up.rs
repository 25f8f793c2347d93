//! After the call: a segment of the agent's own, one extension, and an open work item when time runs out.

use std::time::{Duration, Instant};

use super::{
    Action, AgentMove,
    counters::Counter,
    state::{Call, CallKind},
    turn::Turn,
};
use crate::{
    domain::{
        fact::{Fact, SegmentKind, WorkItemKind},
        routing::Queue,
    },
    ids::{AgentId, SegmentId, WorkItemId},
    time::{Now, UnixMs},
};

/// One agent's wrap-up of one call.
#[derive(Debug)]
pub(super) struct WrapUp {
    pub agent: AgentId,
    pub segment: SegmentId,
    pub ended_at: UnixMs,
    pub talked_ms: u32,
    pub until: Instant,
    pub until_wall: UnixMs,
    pub extended: bool,
}

impl Call {
    pub(super) fn start_wrap_up(&mut self, turn: &mut Turn<'_>, agent: AgentId, talking_since: Now) {
        let Some(queue) = self.wrap_up_queue() else { return };
        let limit = queue.wrap_up_limit;
        let segment = SegmentId::new(turn.now.wall, turn.tokens.entropy());
        let talked = turn.now.mono.saturating_duration_since(talking_since.mono);
        self.wrap_up = Some(WrapUp {
            agent,
            segment,
            ended_at: turn.now.wall,
            talked_ms: u32::try_from(talked.as_millis()).unwrap_or(u32::MAX),
            until: turn.now.mono + limit,
            until_wall: later(turn.now.wall, limit),
            extended: false,
        });
        turn.fact(Fact::SegmentOpened {
            segment,
            interaction: self.id,
            leg: None,
            agent: Some(agent),
            kind: SegmentKind::WrapUp,
            from_ms: self.axis_ms(turn.now),
        });
        Self::move_agent(turn, agent, AgentMove::WrapUp);
        turn.act(Action::Show(agent));
    }

    /// The queue whose wrap-up applies.
    fn wrap_up_queue(&self) -> Option<&Queue> {
        match &self.kind {
            CallKind::Queue(queue) => Some(queue),
            CallKind::Outbound(outbound) => outbound.queue.as_ref(),
            CallKind::Internal { .. } => None,
        }
    }

    /// The agent is done.
    pub fn wrap_up_finished(&mut self, turn: &mut Turn<'_>, agent: AgentId) {
        match self.wrap_up.take_if(|wrap_up| wrap_up.agent == agent) {
            Some(wrap_up) => self.close_wrap_up(turn, &wrap_up, true),
            None => turn.count(Counter::StaleDesk),
        }
    }

    /// The one extension: as much time again, from now.
    pub fn wrap_up_extended(&mut self, turn: &mut Turn<'_>, agent: AgentId) {
        let Some(queue) = self.wrap_up_queue().cloned() else { return turn.count(Counter::StaleDesk) };
        match self.wrap_up.as_mut().filter(|wrap_up| wrap_up.agent == agent && !wrap_up.extended) {
            Some(wrap_up) => {
                wrap_up.extended = true;
                wrap_up.until = turn.now.mono + queue.wrap_up_limit;
                wrap_up.until_wall = later(turn.now.wall, queue.wrap_up_limit);
                turn.act(Action::Show(agent));
            }
            None => turn.count(Counter::StaleDesk),
        }
    }

    /// The server stops: as if time had run out.
    pub fn cut_wrap_up(&mut self, turn: &mut Turn<'_>) {
        self.wrap_up_ran_out(turn);
    }

    /// Time ran out: saved as it is, and somebody has to finish it.
    pub(super) fn wrap_up_ran_out(&mut self, turn: &mut Turn<'_>) {
        let Some(wrap_up) = self.wrap_up.take() else { return };
        if let Some(queue) = self.wrap_up_queue() {
            let fact = Fact::WorkItemOpened {
                work_item: WorkItemId::new(turn.now.wall, turn.tokens.entropy()),
                kind: WorkItemKind::NotWrappedUp,
                interaction: self.id,
                queue: queue.name.clone(),
                priority: queue.priority,
                at: turn.now.wall,
                due: None,
            };
            turn.fact(fact);
        }
        self.close_wrap_up(turn, &wrap_up, false);
    }

    fn close_wrap_up(&self, turn: &mut Turn<'_>, wrap_up: &WrapUp, wrapped_up: bool) {
        let at_ms = self.axis_ms(turn.now);
        turn.fact(Fact::SegmentClosed { segment: wrap_up.segment, to_ms: at_ms });
        turn.fact(Fact::InteractionClosed { interaction: self.id, at_ms, wrapped_up });
        Self::move_agent(turn, wrap_up.agent, AgentMove::Free);
        turn.act(Action::Show(wrap_up.agent));
    }
}

fn later(at: UnixMs, by: Duration) -> UnixMs {
    at.plus_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}
