//! Bounded rings of live facts, one for each agent with a desk: control and jobs publish, desks read by cursor (epoch, n).
//!
//! ```text
//! control thread ─┐   agent's own ──▶ ring (256) ─▶ that agent's desks (WebSocket)
//! jobs, speech ───┴─▶ the house's ──▶ every ring … a reader that falls behind takes the snapshot
//! ```
//! Words of a call go to the agents in it and to the supervisors who watch it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::sync::broadcast;

use super::{clock, live_redaction::LiveRedaction, live_words::LiveWordsStore};
use crate::{
    domain::{
        insight::redaction::Rules,
        live::{AgentView, Board, LiveFact, LiveWords, QueueView},
    },
    ids::{AgentId, InteractionId},
};

/// Live facts kept for a reader that is behind; more are replaced by a snapshot.
const RING: usize = 256;
/// Calls that one supervisor's desks watch at once, a tab each; the one chosen first is let go.
const WATCHED: usize = 8;

/// A fact with its place in the ring.
#[derive(Debug)]
pub struct Numbered {
    /// Grows by one with each fact of this process.
    pub cursor: u64,
    /// The fact.
    pub fact: LiveFact,
    /// The fact as desks are sent it, once one of them has needed it: what concerns the house goes to each.
    pub text: OnceLock<Arc<str>>,
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
    readers: HashMap<AgentId, Reader>,
}

/// The desks of one agent: what concerns another agent does not wake them, however many work here.
#[derive(Debug)]
struct Reader {
    /// Whether they show the house.
    board: bool,
    /// Calls of others whose words they show.
    watched: VecDeque<InteractionId>,
    ring: broadcast::Sender<Arc<Numbered>>,
}

impl Latest {
    /// Hands a fact to those whom it concerns, and lets go of readers that are gone.
    fn send(&mut self, numbered: &Arc<Numbered>) {
        match &numbered.fact {
            LiveFact::Agent(view) => self.send_to(view.agent, numbered),
            LiveFact::OfferGone { agent, .. } => self.send_to(*agent, numbered),
            LiveFact::Board(_) => self.readers.retain(|_, reader| !reader.board || reader.ring.send(numbered.clone()).is_ok()),
            LiveFact::Queues { .. } | LiveFact::Changed { .. } => {
                self.readers.retain(|_, reader| reader.ring.send(numbered.clone()).is_ok())
            }
            LiveFact::Words(words) => self.send_words(words, numbered),
        }
    }

    fn send_words(&mut self, words: &LiveWords, numbered: &Arc<Numbered>) {
        let agents = &self.agents;
        let in_it = |agent: &AgentId| agents.get(agent).is_some_and(|view| takes_part(view, words.interaction));
        self.readers.retain(|agent, reader| {
            !(in_it(agent) || reader.watched.contains(&words.interaction)) || reader.ring.send(numbered.clone()).is_ok()
        });
    }

    fn send_to(&mut self, agent: AgentId, numbered: &Arc<Numbered>) {
        if self.readers.get(&agent).is_some_and(|reader| reader.ring.send(numbered.clone()).is_err()) {
            self.readers.remove(&agent);
        }
    }
}

/// Whether the call is the agent's, talked or just ended.
fn takes_part(view: &AgentView, interaction: InteractionId) -> bool {
    view.call.as_ref().is_some_and(|call| call.interaction == interaction)
        || view.wrap_up.as_ref().is_some_and(|wrap_up| wrap_up.interaction == interaction)
}

/// The rings; cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveHub {
    epoch: u64,
    latest: Arc<Mutex<Latest>>,
    words: Arc<LiveWordsStore>,
    redaction: Arc<LiveRedaction>,
}

impl LiveHub {
    /// An empty ring; `epoch` tells this start of the process from earlier ones.
    pub fn new(epoch: u64) -> Self {
        Self::redacting(epoch, Arc::default())
    }

    /// The same, taking other numbers out of words than the usual ones.
    pub fn redacting(epoch: u64, rules: Arc<Rules>) -> Self {
        Self { epoch, latest: Arc::default(), words: Arc::default(), redaction: Arc::new(LiveRedaction::new(rules)) }
    }

    /// This start of the process.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was heard in calls in progress.
    pub fn words(&self) -> &Arc<LiveWordsStore> {
        &self.words
    }

    /// From now on this supervisor's desks are sent the words of this call.
    pub fn watch(&self, agent: AgentId, interaction: InteractionId) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reader) = latest.readers.get_mut(&agent) else { return };
        reader.watched.retain(|watched| *watched != interaction);
        reader.watched.push_back(interaction);
        if reader.watched.len() > WATCHED {
            reader.watched.pop_front();
        }
    }

    /// Adds a fact; never waits for a reader.
    pub fn publish(&self, mut fact: LiveFact) {
        if let LiveFact::Words(words) = &mut fact {
            // Words leave speech by this door only.
            self.redaction.mask(words, clock::now().mono);
            self.words.put(words);
        }
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.cursor += 1;
        match &fact {
            LiveFact::Agent(view) => {
                latest.agents.insert(view.agent, view.clone());
            }
            LiveFact::Board(board) => latest.board = board.clone(),
            LiveFact::Queues { queues } => latest.queues.clone_from(queues),
            LiveFact::OfferGone { .. } | LiveFact::Changed { .. } | LiveFact::Words(_) => {}
        }
        // Sent under the lock, so that a reader's snapshot and its stream join without a gap.
        let numbered = Arc::new(Numbered { cursor: latest.cursor, fact, text: OnceLock::new() });
        latest.send(&numbered);
    }

    /// What this agent's desk begins with, and everything after it that concerns the agent, or the house where `board` asks for it.
    pub fn subscribe(&self, agent: AgentId, board: bool) -> (Snapshot, broadcast::Receiver<Arc<Numbered>>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = Snapshot {
            cursor: latest.cursor,
            agent: latest.agents.get(&agent).cloned(),
            board: latest.board.clone(),
            queues: latest.queues.clone(),
        };
        let reader =
            latest.readers.entry(agent).or_insert_with(|| Reader { board, watched: VecDeque::new(), ring: broadcast::channel(RING).0 });
        reader.board = board;
        (snapshot, reader.ring.subscribe())
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
    use crate::{
        domain::{
            customer::brief::Brief,
            fact::{AgentState, Direction},
            live::CallView,
        },
        time::UnixMs,
    };

    fn changed(n: u8) -> LiveFact {
        LiveFact::changed(InteractionId::new(UnixMs(i64::from(n)), [n; 10]), None)
    }

    fn in_call(agent: AgentId, interaction: InteractionId) -> AgentView {
        let call = CallView {
            interaction,
            direction: Direction::Inbound,
            started_at: UnixMs(1),
            answered_at: None,
            held_since: None,
            recording: true,
            trouble: None,
            trouble_since: None,
            sound: None,
            queue: "service".into(),
            brief: Brief::late(None, None),
        };
        AgentView {
            agent,
            name: "Ann".into(),
            state: AgentState::Busy,
            reason: None,
            since: UnixMs(1),
            phone_registered: true,
            queues: vec![],
            notice: None,
            offer: None,
            call: Some(call),
            wrap_up: None,
        }
    }

    #[test]
    fn words_of_a_call_go_to_the_agent_in_it_and_to_the_supervisor_who_watches_it_alone() {
        let hub = LiveHub::new(1);
        let [mine, colleague, supervisor] = [1, 2, 3].map(|n| AgentId::new(UnixMs(1), [n; 10]));
        let interaction = InteractionId::new(UnixMs(9), [9; 10]);
        let words = || LiveFact::Words(LiveWords { interaction, lag_ms: 0, utterances: vec![] });
        hub.publish(LiveFact::Agent(Box::new(in_call(mine, interaction))));
        let (mut of_mine, mut of_colleague, mut of_supervisor) =
            (hub.subscribe(mine, false).1, hub.subscribe(colleague, false).1, hub.subscribe(supervisor, true).1);
        hub.publish(words());
        assert!(of_mine.try_recv().is_ok() && of_colleague.try_recv().is_err() && of_supervisor.try_recv().is_err());
        hub.watch(supervisor, interaction);
        hub.publish(words());
        assert!(of_mine.try_recv().is_ok() && of_colleague.try_recv().is_err() && of_supervisor.try_recv().is_ok());
    }

    #[test]
    fn a_desk_that_connects_late_gets_a_snapshot_and_then_no_gap() {
        let hub = LiveHub::new(1);
        let agent = AgentId::new(UnixMs(1), [1; 10]);
        hub.publish(LiveFact::Board(Board { waiting: 3, ..Board::default() }));
        hub.publish(changed(1));
        let (snapshot, mut stream) = hub.subscribe(agent, true);
        hub.publish(changed(2));
        assert_eq!((snapshot.cursor, snapshot.board.waiting, snapshot.agent.is_none()), (2, 3, true));
        let next = stream.try_recv().expect("one fact after the snapshot");
        assert_eq!((next.cursor, &next.fact), (3, &changed(2)));
        assert!(stream.try_recv().is_err());
    }

    #[test]
    fn what_concerns_one_agent_reaches_no_other_and_the_board_only_who_shows_it() {
        let hub = LiveHub::new(1);
        let [own, other] = [1, 2].map(|n| AgentId::new(UnixMs(1), [n; 10]));
        let (_, mut agent) = hub.subscribe(own, false);
        let (_, mut supervisor) = hub.subscribe(other, true);
        let gone = LiveFact::OfferGone {
            agent: own,
            offer: crate::ids::OfferId::new(UnixMs(1), [3; 10]),
            why: crate::domain::live::OfferGone::CallerHungUp,
            by: None,
        };
        hub.publish(gone);
        hub.publish(LiveFact::Board(Board::default()));
        hub.publish(changed(1));
        let read = |stream: &mut broadcast::Receiver<Arc<Numbered>>| -> Vec<u64> {
            std::iter::from_fn(|| stream.try_recv().ok()).map(|numbered| numbered.cursor).collect()
        };
        assert_eq!((read(&mut agent), read(&mut supervisor)), (vec![1, 3], vec![2, 3]));
        drop(agent);
        hub.publish(changed(2));
        assert_eq!(hub.latest.lock().expect("no panic").readers.len(), 1, "nobody reads for the agent any more");
    }

    #[test]
    fn a_reader_that_falls_behind_is_told_so_and_nobody_waits_for_it() {
        let hub = LiveHub::new(1);
        let (_, mut stream) = hub.subscribe(AgentId::new(UnixMs(1), [1; 10]), false);
        for n in 0..=u8::MAX {
            for _ in 0..8 {
                hub.publish(changed(n));
            }
        }
        assert!(matches!(stream.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}
