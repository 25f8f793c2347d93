//! The end of transactions, and those that have said all they had to say but live on to absorb what comes again
//! (RFC 3261 §17, Timers D, I, J, K; RFC 6026, L, M).
//!
//! At 2,000 calls a second 32 s of them are more than any table should hold, and their worth falls by the second. Where there is
//! no room the oldest of them give way to what is new: a repetition as late as that finds no transaction, and is answered 481,
//! acknowledged by nobody or looked at anew; a caller who was refused for its sake would have lost a call.

use std::collections::VecDeque;

use super::{ClientId, ClientMachine, Output, ServerId, TransactionId, TransactionLayer};

/// The answered ones, oldest first; those that are over meanwhile are skipped when they come up.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    servers: VecDeque<ServerId>,
    clients: VecDeque<ClientId>,
}

impl TransactionLayer {
    pub(super) fn note_lingering_server(&mut self, id: ServerId) {
        let (list, living) = (&mut self.lingering.servers, &self.servers);
        note(list, id, self.limits.max_servers, |id| living.contains_key(id));
    }

    pub(super) fn note_lingering_client(&mut self, id: ClientId) {
        let (list, living) = (&mut self.lingering.clients, &self.clients);
        note(list, id, self.limits.max_clients, |id| living.contains_key(id));
    }

    #[cfg(test)]
    pub(super) fn lingering_len(&self) -> (usize, usize) {
        (self.lingering.servers.len(), self.lingering.clients.len())
    }

    /// Whether there is room for one more request of a peer, made at the cost of the oldest answered one where need be.
    pub(super) fn make_room_for_server(&mut self) -> bool {
        while self.servers.len() >= self.limits.max_servers {
            let Some(oldest) = self.lingering.servers.pop_front() else { return false };
            if self.servers.contains_key(&oldest) {
                self.counters.evicted += 1;
                self.forget_server(oldest);
            }
        }
        true
    }

    /// The same for a request of ours.
    pub(super) fn make_room_for_client(&mut self) -> bool {
        while self.clients.len() >= self.limits.max_clients {
            let Some(oldest) = self.lingering.clients.pop_front() else { return false };
            if self.clients.contains_key(&oldest) {
                self.counters.evicted += 1;
                self.forget_client(oldest);
            }
        }
        true
    }

    pub(super) fn forget_server(&mut self, id: ServerId) {
        self.queue.set(TransactionId::Server(id), None);
        let Some(server) = self.servers.remove(&id) else { return };
        self.server_by_key.remove(&server.key);
        self.on_stream.remove(&(server.flow, TransactionId::Server(id)));
        if let Some(merge) = server.merge {
            self.server_by_merge.remove(&merge);
        }
        self.outputs.push_back(Output::Ended(TransactionId::Server(id)));
    }

    pub(super) fn forget_client(&mut self, id: ClientId) {
        self.queue.set(TransactionId::Client(id), None);
        let Some(client) = self.clients.remove(&id) else { return };
        self.client_by_key.remove(&client.key);
        self.on_stream.remove(&(client.flow, TransactionId::Client(id)));
        if !matches!(client.machine, ClientMachine::Cancel(_)) {
            self.outputs.push_back(Output::Ended(TransactionId::Client(id)));
        }
    }
}

/// Adds to the list, which never holds more than twice as many as may live.
fn note<Id>(list: &mut VecDeque<Id>, id: Id, most: usize, lives: impl Fn(&Id) -> bool) {
    while list.front().is_some_and(|oldest| !lives(oldest)) {
        list.pop_front();
    }
    if list.len() >= most.saturating_mul(2) {
        list.retain(|id| lives(id));
    }
    list.push_back(id);
}
