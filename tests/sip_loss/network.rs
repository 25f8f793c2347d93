//! The network: loses, doubles, delays; every choice comes from the seed.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::Script;

/// Who a datagram goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    Caller,
    Answerer,
}

/// How bad the network is.
#[derive(Clone, Debug)]
pub struct Conditions {
    pub loss_percent: u32,
    pub double_percent: u32,
    pub delay_ms: Range<u64>,
}

/// A datagram on its way: when it arrives, its number, to whom, what.
type UnderWay = (Instant, usize, Side, Arc<[u8]>);

pub struct Network {
    random: ChaCha8Rng,
    conditions: Conditions,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    sent: usize,
}

impl Network {
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), conditions, under_way: BinaryHeap::new(), sent: 0 }
    }

    /// What the call is meant to do: a third is answered, a third declined, a third cancelled around the time of the answer.
    pub fn script(&mut self, call: usize) -> Script {
        let decide_ms = self.below(3000);
        let gap_ms = self.below(200);
        Script {
            decide_after: Duration::from_millis(decide_ms),
            accepts: !call.is_multiple_of(3),
            cancel_after: (call % 3 == 1).then(|| Duration::from_millis((decide_ms + gap_ms).saturating_sub(100))),
            talk: Duration::from_millis(self.below(5000)),
        }
    }

    pub fn send(&mut self, now: Instant, to: Side, datagram: &Arc<[u8]>) {
        self.sent += 1;
        let copies = 1 + u32::from(self.below(100) < u64::from(self.conditions.double_percent));
        for _ in 0..copies {
            if self.below(100) < u64::from(self.conditions.loss_percent) {
                continue;
            }
            let Range { start, end } = self.conditions.delay_ms;
            let delay = Duration::from_millis(start + self.below(end - start));
            let order = self.under_way.len() + self.sent;
            self.under_way.push(Reverse((now + delay, order, to, datagram.clone())));
        }
    }

    pub fn next_at(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn take(&mut self, now: Instant) -> Option<(Side, Arc<[u8]>)> {
        self.next_at().filter(|at| *at <= now)?;
        self.under_way.pop().map(|Reverse((_, _, side, datagram))| (side, datagram))
    }

    pub fn sent(&self) -> usize {
        self.sent
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit.max(1)
    }
}
