//! A queue of deadlines, one per owner, with lazy cancellation.
//!
//! Moving a deadline later or dropping an owner costs nothing: the old entry is skipped when it comes up. Entries that can only
//! be skipped are swept when they outnumber the living ones, so the queue holds at most `2 × owners + 64` entries.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::Hash,
    time::Instant,
};

/// Below this many entries a sweep is not worth its cost.
const SWEEP_FLOOR: usize = 64;

/// Deadlines ordered by time; `K` names the owner of one.
#[derive(Debug)]
pub struct TimerQueue<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    armed: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Default for TimerQueue<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), armed: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> TimerQueue<K> {
    /// Sets the one deadline of `owner`, or clears it with `None`.
    pub fn set(&mut self, owner: K, at: Option<Instant>) {
        match at {
            Some(at) => {
                if self.armed.insert(owner, at) != Some(at) {
                    self.heap.push(Reverse((at, owner)));
                }
            }
            None => {
                self.armed.remove(&owner);
            }
        }
        if self.heap.len() > SWEEP_FLOOR + 2 * self.armed.len() {
            let armed = &self.armed;
            self.heap.retain(|Reverse((at, owner))| armed.get(owner) == Some(at));
        }
    }

    /// The next deadline.
    pub fn next_at(&mut self) -> Option<Instant> {
        self.skip_cancelled();
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one owner whose deadline has come; it has no deadline afterwards.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        self.skip_cancelled();
        let Reverse((at, owner)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        self.armed.remove(&owner);
        Some(owner)
    }

    /// How many owners have a deadline.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Whether no owner has a deadline.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    fn skip_cancelled(&mut self) {
        while let Some(Reverse((at, owner))) = self.heap.peek() {
            if self.armed.get(owner) == Some(at) {
                return;
            }
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn base() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
        Instant::now()
    }

    proptest! {
        #[test]
        fn deadlines_come_up_once_each_in_order_and_the_queue_stays_small(sets in prop::collection::vec((0u8..20, prop::option::of(0u64..1000)), 0..2000)) {
            let start = base();
            let mut queue = TimerQueue::default();
            let mut expected = std::collections::BTreeMap::new();
            for (owner, at) in sets {
                queue.set(owner, at.map(|ms| start + Duration::from_millis(ms)));
                match at { Some(at) => { expected.insert(owner, at); } None => { expected.remove(&owner); } }
                prop_assert!(queue.heap.len() <= SWEEP_FLOOR + 2 * queue.len());
            }
            prop_assert_eq!(queue.len(), expected.len());
            let mut last = start;
            while let Some(at) = queue.next_at() {
                prop_assert!(at >= last);
                last = at;
                let owner = queue.pop_due(at).expect("due at its own deadline");
                prop_assert_eq!(expected.remove(&owner).map(|ms| start + Duration::from_millis(ms)), Some(at));
            }
            prop_assert!(expected.is_empty() && queue.is_empty());
        }
    }

    #[test]
    fn a_deadline_set_back_to_an_old_value_comes_up_once() {
        let (start, mut queue) = (base(), TimerQueue::default());
        let at = |ms| Some(start + Duration::from_millis(ms));
        queue.set(1, at(10));
        queue.set(1, at(20));
        queue.set(1, at(10));
        assert_eq!(queue.pop_due(start + Duration::from_millis(30)), Some(1));
        assert_eq!(queue.pop_due(start + Duration::from_millis(30)), None);
    }
}
