//! The bounded ring of live facts: control and jobs publish, each desk's connection reads by cursor (epoch, n).
//!
//! ```text
//! control thread ─┐                 ┌─▶ desk (WebSocket)
//! jobs ───────────┴─▶ ring (1,024) ─┴─▶ desk … a reader that falls behind takes the snapshot
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast;

use crate::{
    domain::live::{AgentView, Board, LiveFact, QueueView},
    ids::AgentId,
};

/// Live facts kept for a reader that is behind; more are replaced by a snapshot.
const RING: usize = 1_024;

/// A fact with its place in the ring.
#[derive(Debug)]
pub struct Numbered {
    /// Grows by one with each fact of this process.
    pub cursor: u64,
    /// The fact.
    pub fact: LiveFact,
}

/// What a desk needs to begin.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The last fact that it contains.
    pub cursor: u64,
    /// The agent's own view.
    pub agent: Option<Box<AgentView>>,
    /// The house.
    pub board: Board,
    /// The queues.
    pub queues: Vec<QueueView>,
}

#[derive(Debug, Default)]
struct Latest {
    cursor: u64,
    agents: HashMap<AgentId, Box<AgentView>>,
    board: Board,
    queues: Vec<QueueView>,
}

/// The ring; cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveHub {
    epoch: u64,
    latest: Arc<Mutex<Latest>>,
    ring: broadcast::Sender<Arc<Numbered>>,
}

impl LiveHub {
    /// An empty ring; `epoch` tells this start of the process from earlier ones.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, latest: Arc::default(), ring: broadcast::channel(RING).0 }
    }

    /// This start of the process.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Adds a fact; never waits for a reader.
    pub fn publish(&self, fact: LiveFact) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.cursor += 1;
        match &fact {
            LiveFact::Agent(view) => {
                latest.agents.insert(view.agent, view.clone());
            }
            LiveFact::Board(board) => latest.board = board.clone(),
            LiveFact::Queues { queues } => latest.queues.clone_from(queues),
            LiveFact::OfferGone { .. } | LiveFact::Changed { .. } => {}
        }
        // Sent under the lock, so that a reader's snapshot and its stream join without a gap. No receiver is no error.
        let _ = self.ring.send(Arc::new(Numbered { cursor: latest.cursor, fact }));
    }

    /// What this agent's desk begins with, and everything after it.
    pub fn subscribe(&self, agent: AgentId) -> (Snapshot, broadcast::Receiver<Arc<Numbered>>) {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = Snapshot {
            cursor: latest.cursor,
            agent: latest.agents.get(&agent).cloned(),
            board: latest.board.clone(),
            queues: latest.queues.clone(),
        };
        (snapshot, self.ring.subscribe())
    }

    /// Who is calling, as this agent's desk shows it now.
    pub fn view(&self, agent: AgentId) -> Option<Box<AgentView>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).agents.get(&agent).cloned()
    }

    /// The queues now and today.
    pub fn queues(&self) -> Vec<QueueView> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).queues.clone()
    }

    /// The house now.
    pub fn board(&self) -> Board {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).board.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::InteractionId, time::UnixMs};

    fn changed(n: u8) -> LiveFact {
        LiveFact::Changed { interaction: InteractionId::new(UnixMs(i64::from(n)), [n; 10]), customer: None }
    }

    #[test]
    fn a_desk_that_connects_late_gets_a_snapshot_and_then_no_gap() {
        let hub = LiveHub::new(1);
        let agent = AgentId::new(UnixMs(1), [1; 10]);
        hub.publish(LiveFact::Board(Board { waiting: 3, ..Board::default() }));
        hub.publish(changed(1));
        let (snapshot, mut stream) = hub.subscribe(agent);
        hub.publish(changed(2));
        assert_eq!((snapshot.cursor, snapshot.board.waiting, snapshot.agent.is_none()), (2, 3, true));
        let next = stream.try_recv().expect("one fact after the snapshot");
        assert_eq!((next.cursor, &next.fact), (3, &changed(2)));
        assert!(stream.try_recv().is_err());
    }

    #[test]
    fn a_reader_that_falls_behind_is_told_so_and_nobody_waits_for_it() {
        let hub = LiveHub::new(1);
        let (_, mut stream) = hub.subscribe(AgentId::new(UnixMs(1), [1; 10]));
        for n in 0..=u8::MAX {
            for _ in 0..8 {
                hub.publish(changed(n));
            }
        }
        assert!(matches!(stream.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}
