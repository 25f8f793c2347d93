//! Who waits, in which order, and for whom: the one line of all queues.
//!
//! The highest priority goes first, then the longest wait. An item that is offered keeps its place until it is taken, so
//! that an agent who declines costs the caller nothing; that agent is passed over for a while, the others are not.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use super::{
    agent::{Agent, Doing, Wanted},
    agents::Agents,
};
use crate::{
    ids::{AgentId, InteractionId},
    time::{Now, UnixMs},
};

/// Agents that one item remembers to pass over; the oldest is forgotten first.
const MAX_PASSED: usize = 32;
/// Talk time that is assumed before the first call of a queue has shown its own.
const FIRST_TALK: Duration = Duration::from_secs(180);
/// One talk moves the average by one part in so many.
const TALK_WEIGHT: u32 = 8;

/// Priority, arrival, and the order in which those who came at the same moment joined.
type Place = (Reverse<u8>, Instant, u64);

/// What is known of an item in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has said yet whether it must wait.
    Fresh,
    Waiting,
    Offered,
}

#[derive(Clone, Debug)]
struct Item {
    interaction: InteractionId,
    queue: String,
    since: Now,
    state: State,
    passed: Vec<(AgentId, Instant)>,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// 1 is next among those of its queue.
    pub position: u32,
    /// How long it may take; `None` where nobody is there who could answer.
    pub estimate: Option<Duration>,
}

/// One item, for those who watch.
#[derive(Clone, Debug, PartialEq)]
pub struct InLine<'a> {
    /// The call.
    pub interaction: InteractionId,
    /// Its queue.
    pub queue: &'a str,
    /// When it came.
    pub since: UnixMs,
    /// 1 is next among those of its queue.
    pub position: u32,
    /// How long until an agent is free for it, by what is known now; `None` where nobody is there who could answer.
    pub estimate: Option<Duration>,
    /// Whether an agent has it as an offer now.
    pub offered: bool,
}

/// Everything that waits on this node.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    items: BTreeMap<Place, Item>,
    places: HashMap<InteractionId, Place>,
    /// Items that have joined.
    joined: u64,
    /// Average talk per queue, milliseconds.
    talks: BTreeMap<String, u32>,
    /// Whether somebody came or was passed over since the last look.
    changed: bool,
    /// When an agent is no longer passed over.
    retry_at: Option<Instant>,
}

impl Waiting {
    /// Puts an item in line; its place follows from its priority and from when it came.
    pub fn join(&mut self, interaction: InteractionId, queue: &str, priority: u8, since: Now) {
        self.joined += 1;
        let place = (Reverse(priority), since.mono, self.joined);
        self.places.insert(interaction, place);
        self.items.insert(place, Item { interaction, queue: queue.to_owned(), since, state: State::Fresh, passed: Vec::new() });
        self.changed = true;
    }

    /// Takes an item out; true where it was in.
    pub fn leave(&mut self, interaction: InteractionId) -> bool {
        self.places.remove(&interaction).is_some_and(|place| self.items.remove(&place).is_some())
    }

    /// An agent has it as an offer.
    pub fn offered(&mut self, interaction: InteractionId) {
        if let Some(item) = self.item_mut(interaction) {
            item.state = State::Offered;
        }
    }

    /// The agent did not take it: it is anybody else's at once, and theirs again after `until`.
    pub fn passed(&mut self, interaction: InteractionId, agent: AgentId, until: Instant) {
        let Some(item) = self.item_mut(interaction) else { return };
        item.state = State::Fresh;
        if item.passed.len() == MAX_PASSED {
            item.passed.remove(0);
        }
        item.passed.push((agent, until));
        self.changed = true;
        self.retry_at = Some(self.retry_at.map_or(until, |at| at.min(until)));
    }

    fn item_mut(&mut self, interaction: InteractionId) -> Option<&mut Item> {
        self.places.get(&interaction).and_then(|place| self.items.get_mut(place))
    }

    /// Whether somebody has to look for matches, where agents have not changed.
    pub fn is_due(&self, now: Instant) -> bool {
        self.changed || self.retry_at.is_some_and(|at| at <= now)
    }

    /// When [`Waiting::is_due`] is true by time alone.
    pub fn due_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Notes that all matches have been made.
    pub fn looked(&mut self, now: Instant) {
        self.changed = false;
        if self.retry_at.is_some_and(|at| at <= now) {
            for item in self.items.values_mut() {
                item.passed.retain(|(_, until)| *until > now);
            }
            self.retry_at = self.items.values().flat_map(|item| &item.passed).map(|(_, until)| *until).min();
        }
    }

    /// The next item that somebody is ready for, and who: the longest idle of those who serve its queue.
    pub fn next_match(&self, agents: &Agents, now: Instant) -> Option<(InteractionId, AgentId)> {
        if self.items.is_empty() {
            return None;
        }
        let ready: Vec<&Agent> = agents.iter().filter(|agent| agent.may_be_offered()).collect();
        if ready.is_empty() {
            return None;
        }
        self.items.values().filter(|item| item.state != State::Offered).find_map(|item| {
            let passed = |agent: AgentId| item.passed.iter().any(|(who, until)| *who == agent && *until > now);
            let fit = ready.iter().filter(|agent| agent.serves(&item.queue) && !passed(agent.profile.id));
            let agent = fit.min_by_key(|agent| (agent.idle_since, agent.profile.id))?;
            Some((item.interaction, agent.profile.id))
        })
    }

    /// Those who were told nothing yet, in order; from now on they count as told.
    pub fn take_fresh(&mut self) -> Vec<InteractionId> {
        let fresh = self.items.values_mut().filter(|item| item.state == State::Fresh);
        fresh
            .map(|item| {
                item.state = State::Waiting;
                item.interaction
            })
            .collect()
    }

    /// Where an item stands among those of its queue.
    pub fn standing(&self, interaction: InteractionId, agents: &Agents) -> Option<Standing> {
        let place = self.places.get(&interaction)?;
        let queue = &self.items.get(place)?.queue;
        let ahead = self.items.range(..place).filter(|(_, item)| item.queue == *queue).count();
        let position = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
        let estimate = self.turn_length(queue, agents).map(|turn| turn.saturating_mul(position));
        Some(Standing { position, estimate })
    }

    /// How long it takes until the next one of a queue is served: an average talk, shared by those who are there.
    pub fn turn_length(&self, queue: &str, agents: &Agents) -> Option<Duration> {
        let there = agents.iter().filter(|agent| agent.wanted == Wanted::Ready || agent.doing != Doing::Nothing);
        let staffed = u32::try_from(there.filter(|agent| agent.serves(queue)).count()).unwrap_or(u32::MAX);
        let talk = self.talks.get(queue).map_or(FIRST_TALK, |ms| Duration::from_millis(u64::from(*ms)));
        (staffed > 0).then(|| talk / staffed.max(1))
    }

    /// A call of the queue was talked for so long: later estimates go by it.
    pub fn talked(&mut self, queue: &str, talk_ms: u32) {
        match self.talks.get_mut(queue) {
            Some(average) => *average = *average - *average / TALK_WEIGHT + talk_ms / TALK_WEIGHT,
            None => {
                self.talks.insert(queue.to_owned(), talk_ms);
            }
        }
    }

    /// Everybody in line, those who are offered included, in order.
    pub fn in_line<'a>(&'a self, agents: &'a Agents) -> impl Iterator<Item = InLine<'a>> {
        let mut counts: BTreeMap<&str, (u32, Option<Duration>)> = BTreeMap::new();
        self.items.values().map(move |item| {
            let (position, turn) = counts.entry(&item.queue).or_insert_with(|| (0, self.turn_length(&item.queue, agents)));
            *position += 1;
            InLine {
                interaction: item.interaction,
                queue: &item.queue,
                since: item.since.wall,
                position: *position,
                estimate: turn.map(|turn| turn.saturating_mul(*position)),
                offered: item.state == State::Offered,
            }
        })
    }

    /// The queue of an item in line.
    pub fn queue_of(&self, interaction: InteractionId) -> Option<&str> {
        self.places.get(&interaction).and_then(|place| self.items.get(place)).map(|item| item.queue.as_str())
    }

    /// Whether it is in line.
    pub fn contains(&self, interaction: InteractionId) -> bool {
        self.places.contains_key(&interaction)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
