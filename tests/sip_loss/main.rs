//! Two user agents over a network that loses, doubles and reorders, in simulated time.
//!
//! caller (layer, dialog set) ⇄ network (loss, delay) ⇄ answerer (layer, dialog, 2xx repetition). After every call both must have
//! seen the same outcome once, and after a silence nothing may be left. The seed is printed; `THROUGHLINE_SEED` sets it.

#![expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]

mod answerer;
mod caller;
mod network;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use answerer::Answerer;
use caller::Caller;
use network::{Conditions, Network, Side};

/// How a call ended, as one side saw it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// Answered and hung up.
    Talked,
    /// The answerer declined.
    Rejected,
    /// The caller gave up before the answer.
    Cancelled,
    /// Nobody was heard.
    TimedOut,
}

/// What a call is meant to do; times count from its start.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// When the answerer decides.
    pub decide_after: Duration,
    /// Whether it then answers (else it declines).
    pub accepts: bool,
    /// When the caller gives up, if it does.
    pub cancel_after: Option<Duration>,
    /// How long after the answer the caller hangs up.
    pub talk: Duration,
}

fn seed() -> u64 {
    let seed = std::env::var("THROUGHLINE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_122);
    #[expect(clippy::print_stdout, reason = "a failing run is repeated by its seed")]
    {
        println!("seed {seed}");
    }
    seed
}

/// What a run left behind.
struct Report {
    outcomes: BTreeMap<usize, (Option<Outcome>, Option<Outcome>)>,
    datagrams: usize,
    longest: Duration,
}

/// Runs `calls` calls, one every 50 ms, to the very end.
fn run(calls: usize, seed: u64, conditions: Conditions) -> Report {
    let start = Instant::now();
    let mut network = Network::new(seed, conditions);
    let (mut caller, mut answerer) = (Caller::new(), Answerer::new());
    for call in 0..calls {
        let script = network.script(call);
        let at = start + Duration::from_millis(50) * u32::try_from(call).unwrap_or(0);
        caller.plan(at, call, script);
        answerer.plan(call, script);
    }
    let end = start + Duration::from_secs(600);
    let mut now = start;
    while let Some(next) = [network.next_at(), caller.next_at(), answerer.next_at()].into_iter().flatten().min() {
        assert!(next <= end, "still busy after {:?}: {:?} and {:?}", end - start, caller.left(), answerer.left());
        now = now.max(next);
        while let Some((side, datagram)) = network.take(now) {
            match side {
                Side::Caller => caller.receive(now, &datagram),
                Side::Answerer => answerer.receive(now, &datagram),
            }
        }
        caller.handle_timeout(now);
        answerer.handle_timeout(now);
        caller.drain(|datagram| network.send(now, Side::Answerer, datagram));
        answerer.drain(|datagram| network.send(now, Side::Caller, datagram));
    }
    assert!(caller.is_idle(), "the caller keeps {:?}", caller.left());
    assert!(answerer.is_idle(), "the answerer keeps {:?}", answerer.left());
    let outcomes = (0..calls).map(|call| (call, (caller.outcome(call), answerer.outcome(call)))).collect();
    Report { outcomes, datagrams: network.sent(), longest: now - start }
}

/// Every call, on which both sides must agree; returns how many ended in each way.
fn agreed(report: &Report) -> BTreeMap<Outcome, usize> {
    let mut totals = BTreeMap::new();
    for (call, seen) in &report.outcomes {
        let (Some(caller), Some(answerer)) = seen else { panic!("call {call} has no end: {seen:?}") };
        assert_eq!(caller, answerer, "call {call}");
        *totals.entry(*caller).or_insert(0) += 1;
    }
    totals
}

#[test]
fn on_a_clean_network_every_call_takes_no_more_datagrams_than_it_needs() {
    let report = run(300, seed(), Conditions { loss_percent: 0, double_percent: 0, delay_ms: 1..2 });
    let totals = agreed(&report);
    assert_eq!(totals.values().sum::<usize>(), 300);
    assert!(totals.len() == 3 && !totals.contains_key(&Outcome::TimedOut), "{totals:?}");
    let of = |outcome| totals.get(&outcome).copied().unwrap_or(0);
    // INVITE, 100, 180, then 200, ACK, BYE, 200, or 486, ACK, or CANCEL, 200, 487, ACK.
    let fewest = 7 * of(Outcome::Talked) + 5 * of(Outcome::Rejected) + 7 * of(Outcome::Cancelled);
    // A CANCEL that crosses the 200 is sent and answered beside that.
    let most = fewest + 2 * of(Outcome::Talked).saturating_sub(100);
    println!("{totals:?}, {} datagrams", report.datagrams);
    assert!((fewest..=most).contains(&report.datagrams), "{} datagrams, {fewest} to {most}", report.datagrams);
}

#[test]
fn with_5_percent_loss_both_sides_agree_on_every_call_and_nothing_is_left() {
    let seed = seed();
    for round in 0..8 {
        let report = run(300, seed + round, Conditions { loss_percent: 5, double_percent: 2, delay_ms: 5..120 });
        let totals = agreed(&report);
        println!("seed {}: {totals:?}, {} datagrams, {:?}", seed + round, report.datagrams, report.longest);
        assert!(!totals.contains_key(&Outcome::TimedOut), "{totals:?}");
    }
}

#[test]
fn with_30_percent_loss_and_heavy_reordering_nothing_is_left_and_nothing_is_seen_twice() {
    let seed = seed();
    for round in 0..4 {
        let report = run(200, seed + round, Conditions { loss_percent: 30, double_percent: 20, delay_ms: 1..900 });
        let talked = report.outcomes.values().filter(|seen| **seen == (Some(Outcome::Talked), Some(Outcome::Talked))).count();
        println!("seed {}: {talked} of 200 talked, {} datagrams, {:?}", seed + round, report.datagrams, report.longest);
        assert!(talked > 20);
    }
}

#[test]
fn on_a_dead_network_every_call_times_out_after_64_t1_and_nothing_is_left() {
    let report = run(100, seed(), Conditions { loss_percent: 100, double_percent: 0, delay_ms: 1..2 });
    assert!(report.outcomes.values().all(|seen| *seen == (Some(Outcome::TimedOut), None)));
    assert_eq!(report.datagrams, 700, "each INVITE seven times");
    assert_eq!(report.longest, Duration::from_millis(32_000 + 99 * 50));
}
