//! Actions of calls become changes of shared state and outputs, in order.

use super::{Counter, LookUp, Output, Switch, large::Datagram};
use crate::{
    domain::{
        call::{Action, AgentMove, Purpose},
        fact::Fact,
        live::LiveFact,
        media::plan::{MediaCommand, PortPair},
    },
    ids::{AgentId, InteractionId, LegId},
    protocol::sip::{
        flow::Flow,
        transaction_layer::{ClientId, OutgoingRequest, Output as LayerOutput, TransactionId},
    },
};

/// Reason of a CANCEL after a mistake of ours (RFC 3326).
const REASON_MISTAKE: &str = "SIP;cause=500;text=\"Internal error\"";

impl Switch {
    pub(super) fn apply(&mut self, id: InteractionId, ports: [PortPair; 2], actions: Vec<Action>) {
        for action in actions {
            self.apply_one(id, ports, action);
            self.drain_sends();
        }
    }

    fn apply_one(&mut self, id: InteractionId, ports: [PortPair; 2], action: Action) {
        match action {
            Action::Respond { to, status, bytes } => {
                if status >= 200 {
                    self.invited.remove(&to);
                }
                // A peer that gave up in the meantime needs no answer.
                let _ = self.layer.respond(self.now.mono, to, status, bytes.into());
            }
            Action::Request { leg, purpose, method, branch, flow, bytes, datagram } => {
                if let Some((beside, _)) = &datagram {
                    self.takes_stream(flow, *beside);
                }
                let request = OutgoingRequest { method: &method, branch: &branch, flow, bytes: bytes.into() };
                let client = self.send_request(leg, purpose, request);
                if let (Some(client), Some((flow, bytes))) = (client, datagram) {
                    self.datagrams.insert(client, Datagram { method, branch, flow, bytes: bytes.into() });
                }
            }
            Action::Cancel { leg, branch, reason } => {
                if let Some(invite) = self.invites.get(&(leg, branch)) {
                    self.layer.cancel(self.now.mono, *invite, Some(reason));
                }
            }
            Action::Send { flow, bytes, beside } => {
                if let Some(beside) = beside {
                    self.takes_stream(flow, beside);
                }
                self.layer.send_stateless(flow, bytes.into());
            }
            Action::Index { leg, call_id, local_tag } => {
                self.ledgers.entry(id).or_default().indexed.push(leg);
                self.legs.insert(leg, id);
                self.dialogs.insert((call_id.clone(), local_tag.clone()), leg);
                self.dialog_of.insert(leg, (call_id, local_tag));
            }
            Action::LegGone(leg) => self.forget_leg(leg),
            Action::LookUp { number, display_name, queue } => {
                self.outputs.push_back(Output::LookUp(LookUp { interaction: id, number, display_name, queue }));
            }
            Action::Plan(plan) => {
                let planned = &mut self.ledgers.entry(id).or_default().planned;
                planned.extend(plan.legs.iter().map(|leg| leg.ports).filter(|pair| !planned.contains(pair)).collect::<Vec<_>>());
                self.outputs.push_back(Output::Media { thread: ports[0].thread, command: MediaCommand::Plan(plan) });
            }
            Action::CloseMedia => self.close_media(id, ports),
            Action::Agent { agent, to } => self.move_agent(id, agent, to),
            Action::Queue(to) => self.move_in_queue(id, to),
            Action::Show(agent) => {
                self.to_show.insert(agent);
                self.board.touch();
            }
            Action::OfferGone { agent, offer, why } => {
                self.outputs.push_back(Output::Live(LiveFact::OfferGone { agent, offer, why, by: None }));
            }
            Action::Fact(fact) => {
                if self.ledgers.entry(id).or_default().note(self.now.mono, &fact) {
                    self.write(fact);
                }
            }
            Action::TrunkTried(trunk) => {
                self.counters.count(Counter::TrunkTried);
                self.trunks.tried(self.now.mono, trunk);
            }
            Action::Count(counter) => self.counters.count(counter),
        }
    }

    /// Tells the media thread that the call is over, once, and only if it was told of the call. The ports rest from now on:
    /// the thread may say that they are quiet before the last goodbye or a wrap-up is done.
    pub(super) fn close_media(&mut self, id: InteractionId, ports: [PortPair; 2]) {
        let ledger = self.ledgers.entry(id).or_default();
        if !ledger.planned.is_empty() && !std::mem::replace(&mut ledger.closed_media, true) {
            self.outputs.push_back(Output::Media { thread: ports[0].thread, command: MediaCommand::Close { call: id } });
            for pair in ports {
                if ledger.planned.contains(&pair) {
                    self.ports.release(pair);
                } else {
                    // The thread never had it: it will not say that it is quiet.
                    self.ports.give_back(pair);
                }
            }
        }
    }

    pub(super) fn send_request(&mut self, leg: LegId, purpose: Purpose, request: OutgoingRequest<'_>) -> Option<ClientId> {
        match self.layer.send_request(self.now.mono, request) {
            Ok(client) => {
                self.clients.insert(client, (leg, purpose));
                if let Purpose::Invite { branch } = purpose {
                    self.invites.insert((leg, branch), client);
                }
                Some(client)
            }
            Err(_) => {
                self.counters.count(Counter::NoRoom);
                self.unsent.push_back((leg, purpose));
                None
            }
        }
    }

    /// A mistake of ours left a leg behind: whoever still rings for it is told, and nothing that comes for it is heard.
    pub(super) fn abandon_leg(&mut self, leg: LegId) {
        let invites: Vec<_> = self.invites.range((leg, 0)..=(leg, u8::MAX)).map(|(_, invite)| *invite).collect();
        for invite in invites {
            self.layer.cancel(self.now.mono, invite, Some(REASON_MISTAKE));
        }
        self.forget_leg(leg);
    }

    /// Nothing will come for this leg any more.
    pub(super) fn forget_leg(&mut self, leg: LegId) {
        self.legs.remove(&leg);
        let invites: Vec<_> = self.invites.range((leg, 0)..=(leg, u8::MAX)).map(|(key, _)| *key).collect();
        for key in invites {
            self.invites.remove(&key);
        }
        if let Some(key) = self.dialog_of.remove(&leg) {
            self.dialogs.remove(&key);
        }
    }

    fn move_agent(&mut self, id: InteractionId, agent: AgentId, to: AgentMove) {
        let now = self.now;
        let changed = match to {
            AgentMove::Offered(offer) => self.agents.offered(now, agent, offer, id),
            AgentMove::Talking => self.agents.talking(now, agent, id),
            AgentMove::WrapUp => self.agents.wrapping_up(now, agent, id),
            AgentMove::Free => self.agents.free(now, agent, id),
        };
        if changed {
            self.write_agent(agent);
        }
    }

    /// Writes an agent's new state and shows it.
    pub(super) fn write_agent(&mut self, agent: AgentId) {
        let Some(known) = self.agents.get(agent) else { return };
        self.outputs.push_back(Output::Fact(Fact::AgentState {
            agent,
            state: known.state(),
            reason: known.reason().map(str::to_owned),
            at: self.now.wall,
        }));
        self.to_show.insert(agent);
        self.board.touch();
    }

    /// Sends on a flow that is there.
    pub(super) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Send { flow, bytes, connect: false });
    }

    /// Sends a message of the transaction layer. Our requests to a trunk may open a connection, and those that are too large for a
    /// datagram; else a phone's is its own to open.
    fn send_for(&mut self, flow: Flow, bytes: Vec<u8>, by: Option<TransactionId>) {
        let is_response = matches!(by, Some(TransactionId::Server(_)));
        let ours = || self.large.is_made(flow) || self.trunk_at(flow.remote).is_some();
        let connect = !is_response && flow.transport.is_reliable() && ours();
        self.outputs.push_back(Output::Send { flow, bytes, connect });
    }

    /// Passes datagrams of the layer on, so that they stand among the other outputs in the order of their making.
    /// Verdicts wait for [`Switch::drain_layer`]: their calls may be in the middle of a turn.
    fn drain_sends(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            self.pass(output);
        }
    }

    fn pass(&mut self, output: LayerOutput) {
        match output {
            LayerOutput::Send { flow, bytes, by } => self.send_for(flow, bytes.to_vec(), by),
            other @ (LayerOutput::TimedOut(_)
            | LayerOutput::Unreachable(_)
            | LayerOutput::Unacknowledged(_)
            | LayerOutput::Unanswered(_)
            | LayerOutput::Ended(_)) => self.verdicts.push_back(other),
        }
    }

    /// Handles everything that the layer has to say.
    pub(super) fn drain_layer(&mut self) {
        self.drain_sends();
        while let Some(verdict) = self.verdicts.pop_front() {
            match verdict {
                LayerOutput::Send { .. } => {}
                LayerOutput::Unreachable(TransactionId::Client(client)) if self.goes_as_datagram(client) => {}
                LayerOutput::TimedOut(client) | LayerOutput::Unreachable(TransactionId::Client(client)) => {
                    if self.registration_unanswered(client) {
                        continue;
                    }
                    if let Some((leg, purpose)) = self.client_over(client) {
                        self.no_response(leg, purpose);
                    }
                }
                LayerOutput::Ended(TransactionId::Client(client)) => {
                    self.trunks.registering.remove(&client);
                    self.client_over(client);
                }
                LayerOutput::Ended(TransactionId::Server(server)) => {
                    self.invited.remove(&server);
                }
                LayerOutput::Unreachable(TransactionId::Server(server)) => {
                    let leg = self.invited.get(&server).copied();
                    if let Some((leg, call)) = leg.and_then(|leg| Some((leg, *self.legs.get(&leg)?))) {
                        self.turn(call, |call, turn| call.on_caller_unreachable(turn, leg));
                    }
                }
                LayerOutput::Unacknowledged(_) | LayerOutput::Unanswered(_) => {}
            }
            self.drain_sends();
        }
        // As if the network had refused it. Bounded: a leg that hears so is gone.
        while let Some((leg, purpose)) = self.unsent.pop_front() {
            self.no_response(leg, purpose);
        }
    }

    /// A request of ours has no transaction any more. An INVITE that was sent again with credentials has a newer one.
    pub(super) fn client_over(&mut self, client: ClientId) -> Option<(LegId, Purpose)> {
        self.datagrams.remove(&client);
        let (leg, purpose) = self.clients.remove(&client)?;
        if let Purpose::Invite { branch } = purpose
            && self.invites.get(&(leg, branch)) == Some(&client)
        {
            self.invites.remove(&(leg, branch));
        }
        Some((leg, purpose))
    }

    fn no_response(&mut self, leg: LegId, purpose: Purpose) {
        if let Some(call) = self.legs.get(&leg).copied() {
            self.turn(call, |call, turn| call.on_no_response(turn, leg, purpose));
        }
    }
}
