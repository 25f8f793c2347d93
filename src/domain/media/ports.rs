//! The pool of RTP/RTCP port pairs, as values: free, in use, resting. The media threads hold the sockets.
//!
//! ```text
//! free ── acquire ──▶ in use ── release ──▶ resting ── rested ──▶ free (at the back: longest-rested first)
//! ```
//! A pair rests because packets of its last call may still be under way; the media thread says when it is quiet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::plan::PortPair;

/// All pairs of all media threads.
#[derive(Clone, Debug, Default)]
pub struct PortPool {
    free: BTreeMap<u16, VecDeque<PortPair>>,
    in_use: BTreeSet<PortPair>,
    resting: BTreeSet<PortPair>,
}

impl PortPool {
    /// A pool in which every pair is free.
    pub fn new(pairs: impl IntoIterator<Item = PortPair>) -> Self {
        let mut pool = Self::default();
        for pair in pairs {
            pool.free.entry(pair.thread).or_default().push_back(pair);
        }
        pool
    }

    /// Takes `N` pairs of one media thread, the one with most free pairs; `None` when no thread has as many.
    pub fn acquire<const N: usize>(&mut self) -> Option<[PortPair; N]> {
        let queue = self.free.values_mut().max_by_key(|queue| queue.len())?;
        if queue.len() < N {
            return None;
        }
        let taken: Vec<PortPair> = queue.drain(..N).collect();
        self.in_use.extend(&taken);
        taken.try_into().ok()
    }

    /// Puts a used pair to rest until [`PortPool::rested`]; false when it was not in use.
    pub fn release(&mut self, pair: PortPair) -> bool {
        self.in_use.remove(&pair) && self.resting.insert(pair)
    }

    /// Gives back a pair that no media thread was told about: it need not rest. False when it was not in use.
    pub fn give_back(&mut self, pair: PortPair) -> bool {
        let was = self.in_use.remove(&pair);
        if was {
            self.free.entry(pair.thread).or_default().push_back(pair);
        }
        was
    }

    /// A resting pair is quiet and may be used again; false when it was not resting.
    pub fn rested(&mut self, pair: PortPair) -> bool {
        let was = self.resting.remove(&pair);
        if was {
            self.free.entry(pair.thread).or_default().push_back(pair);
        }
        was
    }

    /// A pair's leg moves to another media thread, sockets and all; returns the pair as it is there, `None` when not in use.
    pub fn move_to(&mut self, pair: PortPair, thread: u16) -> Option<PortPair> {
        let moved = PortPair { thread, ..pair };
        (self.in_use.remove(&pair) && self.in_use.insert(moved)).then_some(moved)
    }

    /// How many pairs may be taken now.
    pub fn free(&self) -> usize {
        self.free.values().map(VecDeque::len).sum()
    }

    /// The pairs that calls hold.
    pub fn in_use(&self) -> &BTreeSet<PortPair> {
        &self.in_use
    }

    /// How many pairs rest.
    pub fn resting(&self) -> usize {
        self.resting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(thread: u16, ports: std::ops::Range<u16>) -> impl Iterator<Item = PortPair> {
        ports.step_by(2).map(move |rtp_port| PortPair { thread, rtp_port })
    }

    #[test]
    fn both_pairs_of_a_call_are_on_one_media_thread() {
        let mut pool = PortPool::new(pairs(0, 40_000..40_006).chain(pairs(1, 41_000..41_004)));
        for _ in 0..2 {
            let [a, b] = pool.acquire::<2>().expect("free");
            assert_eq!(a.thread, b.thread);
        }
        assert!(pool.acquire::<2>().is_none(), "one single pair is left, on thread 0");
        assert!(pool.acquire::<1>().is_some());
    }

    #[test]
    fn a_released_pair_rests_and_comes_back_last() {
        let mut pool = PortPool::new(pairs(0, 40_000..40_006));
        let [first] = pool.acquire::<1>().expect("free");
        assert!(pool.release(first) && !pool.release(first));
        assert_eq!((pool.free(), pool.resting()), (2, 1));
        assert!(pool.rested(first) && !pool.rested(first));
        let taken: Vec<_> = std::iter::from_fn(|| pool.acquire::<1>()).flatten().collect();
        assert_eq!(taken.last(), Some(&first));
    }

    #[test]
    fn a_pair_that_moves_rests_and_is_taken_where_it_went() {
        let mut pool = PortPool::new(pairs(0, 40_000..40_002));
        let [pair] = pool.acquire::<1>().expect("free");
        let moved = pool.move_to(pair, 3).expect("in use");
        assert!(pool.move_to(pair, 4).is_none() && !pool.release(pair));
        assert!(pool.release(moved) && pool.rested(moved));
        assert_eq!(pool.acquire::<1>(), Some([moved]));
    }

    #[test]
    fn a_pair_that_media_never_saw_need_not_rest() {
        let mut pool = PortPool::new(pairs(0, 40_000..40_002));
        let [pair] = pool.acquire::<1>().expect("free");
        assert!(pool.give_back(pair) && !pool.give_back(pair));
        assert_eq!((pool.free(), pool.resting(), pool.in_use().len()), (1, 0, 0));
    }
}
