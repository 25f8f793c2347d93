//! Commands of desks: each is checked against what the agent really does; a stale one is counted and ignored.

use super::{Counter, Switch};
use crate::{
    domain::{fact::AgentState, live::DeskCommand, routing::Wanted},
    ids::{AgentId, InteractionId},
};

/// Longest reason that is kept, characters.
const MAX_REASON_CHARS: usize = 64;

impl Switch {
    pub(super) fn desk(&mut self, command: DeskCommand) {
        match command {
            DeskCommand::Desks { agent, desks } => {
                self.agents.desks(agent, desks);
                self.to_show.insert(agent);
                self.board.touch();
            }
            DeskCommand::SetState { agent, state, reason } => self.set_state(agent, state, reason),
            DeskCommand::Ack { agent, offer, level } => {
                self.for_agent(agent, |call, turn| call.acknowledged(turn, agent, offer, level));
            }
            DeskCommand::Decline { agent, offer } => self.for_agent(agent, |call, turn| call.declined_at_desk(turn, agent, offer)),
            DeskCommand::HangUp { agent, interaction } => {
                self.for_call(agent, interaction, |call, turn| call.hung_up_at_desk(turn, agent));
            }
            DeskCommand::ChooseCustomer { agent, interaction, brief } => {
                self.for_call(agent, interaction, |call, turn| call.customer_chosen(turn, *brief));
            }
            DeskCommand::FinishWrapUp { agent, interaction } => {
                self.for_call(agent, interaction, |call, turn| call.wrap_up_finished(turn, agent));
            }
            DeskCommand::ExtendWrapUp { agent, interaction } => {
                self.for_call(agent, interaction, |call, turn| call.wrap_up_extended(turn, agent));
            }
        }
    }

    fn set_state(&mut self, agent: AgentId, state: AgentState, reason: Option<String>) {
        let wanted = match state {
            AgentState::Ready => Wanted::Ready,
            AgentState::NotReady => {
                let reason = reason.map(|reason| reason.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect());
                Wanted::NotReady { reason }
            }
            AgentState::Offline => Wanted::Offline,
            AgentState::Offered | AgentState::Busy | AgentState::WrapUp => return self.counters.count(Counter::StaleDesk),
        };
        if self.agents.want(self.now, agent, wanted) {
            self.write_agent(agent);
        }
        self.to_show.insert(agent);
    }

    /// Gives a turn to the call that occupies the agent.
    fn for_agent(&mut self, agent: AgentId, input: impl FnOnce(&mut crate::domain::call::Call, &mut crate::domain::call::Turn<'_>)) {
        match self.agents.get(agent).and_then(|agent| agent.interaction()) {
            Some(call) => self.turn(call, input),
            None => self.counters.count(Counter::StaleDesk),
        }
    }

    /// Gives a turn to this call if it is the agent's.
    fn for_call(
        &mut self,
        agent: AgentId,
        interaction: InteractionId,
        input: impl FnOnce(&mut crate::domain::call::Call, &mut crate::domain::call::Turn<'_>),
    ) {
        if self.agents.get(agent).and_then(|agent| agent.interaction()) == Some(interaction) {
            self.turn(interaction, input);
        } else {
            self.counters.count(Counter::StaleDesk);
        }
    }
}
