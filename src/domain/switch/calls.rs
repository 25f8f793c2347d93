//! The calls that live, by id. Each stays where it is in memory: it is taken out for every turn, and is some kilobytes large.

use std::collections::BTreeMap;

use crate::{domain::call::Call, ids::InteractionId};

/// All calls.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<InteractionId, Box<Call>>);

impl Calls {
    pub fn get(&self, id: &InteractionId) -> Option<&Call> {
        self.0.get(id).map(Box::as_ref)
    }

    pub fn get_mut(&mut self, id: &InteractionId) -> Option<&mut Call> {
        self.0.get_mut(id).map(Box::as_mut)
    }

    pub fn insert(&mut self, call: Box<Call>) {
        self.0.insert(call.id(), call);
    }

    pub fn remove(&mut self, id: &InteractionId) -> Option<Box<Call>> {
        self.0.remove(id)
    }

    pub fn contains_key(&self, id: &InteractionId) -> bool {
        self.0.contains_key(id)
    }

    pub fn keys(&self) -> impl Iterator<Item = &InteractionId> {
        self.0.keys()
    }

    pub fn values(&self) -> impl Iterator<Item = &Call> + Clone {
        self.0.values().map(Box::as_ref)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.0.values_mut().map(Box::as_mut)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
