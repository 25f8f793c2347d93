//! One input's turn in a call: the time, the house as it is, tokens, and the actions that the call leaves.

use super::{action::Action, counters::Counter, policy::Policy, token::Tokens};
use crate::{
    domain::{
        fact::Fact,
        routing::{Agents, Standing},
    },
    ids::{InteractionId, PhoneId},
    protocol::sip::flow::Flow,
    time::Now,
};

/// Where a phone is reached now.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneTarget {
    /// The account.
    pub phone: PhoneId,
    /// Its most wanted, newest place.
    pub place: Place,
    /// Every other place where it is registered: all ring at once.
    pub others: Vec<Place>,
    /// User part of its address of record, for To.
    pub user: String,
    /// The name that colleagues see.
    pub display_name: String,
}

impl PhoneTarget {
    /// Every place, the most wanted first.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.place).chain(&self.others)
    }
}

/// One registration of a phone.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where its REGISTER came from: requests go there.
    pub flow: Flow,
    /// Its Contact, as registered: the Request-URI.
    pub contact: String,
}

/// The house, read-only during a turn.
pub struct House<'a> {
    /// What calls go by.
    pub policy: &'a Policy,
    /// Agents and their states.
    pub agents: &'a Agents,
    /// Where a call stands in its queue, while it is in line.
    pub standing: &'a dyn Fn(InteractionId) -> Option<Standing>,
    /// Whether a trunk, by its place in the configuration, takes one more call.
    pub trunk_has_room: &'a dyn Fn(usize) -> bool,
    /// Where phones are reached.
    pub reach: &'a dyn Fn(PhoneId) -> Option<PhoneTarget>,
    /// The connection of the peer behind a UDP flow, for requests that are too large for a datagram: one that is open, or one that may
    /// be tried. The second argument says whether the peer is a trunk; a phone's registration says whether it takes connections.
    pub stream_beside: &'a dyn Fn(Flow, bool) -> Option<Flow>,
}

/// One input's turn.
pub struct Turn<'a> {
    /// The time.
    pub now: Now,
    /// The house.
    pub house: House<'a>,
    /// Chance.
    pub tokens: &'a mut Tokens,
    /// What the call wants done, in order.
    pub actions: &'a mut Vec<Action>,
    /// How many more actions this call takes before it panics: fault injection.
    #[cfg(any(test, feature = "fault-injection"))]
    pub panic_after: &'a mut Option<usize>,
}

impl Turn<'_> {
    /// Leaves an action.
    ///
    /// # Panics
    /// In test builds, when a fault was injected here.
    pub fn act(&mut self, action: Action) {
        #[cfg(any(test, feature = "fault-injection"))]
        if let Some(left) = self.panic_after.as_mut() {
            assert!(*left > 0, "injected fault");
            *left -= 1;
        }
        self.actions.push(action);
    }

    /// Writes a fact down.
    pub fn fact(&mut self, fact: Fact) {
        self.act(Action::Fact(fact));
    }

    /// Counts.
    pub fn count(&mut self, counter: Counter) {
        self.act(Action::Count(counter));
    }
}
