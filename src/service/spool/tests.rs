//! The journal: exactly once, whatever is torn, locked or full.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    Spool, SpoolAlarm, SpoolOptions,
    journal::{self, Step},
};
use crate::{
    domain::fact::Fact,
    ids::AgentId,
    service::store::{
        CallFilter, SpoolMark, Store,
        tests::{NOW, abandoned_call, answered_call, dump, empty},
    },
};

fn facts() -> Vec<Fact> {
    let agent = AgentId::new(NOW, [1; 10]);
    let mut facts = answered_call(1, Some("+442079460150"), agent);
    facts.extend(abandoned_call(2, None));
    facts
}

async fn start(dir: &Path, store: &Store, options: SpoolOptions) -> (Spool, Arc<Mutex<Vec<SpoolAlarm>>>) {
    let alarms = Arc::new(Mutex::new(Vec::new()));
    let heard = alarms.clone();
    let alarm = move |alarm| heard.lock().expect("no panic before").push(alarm);
    (Spool::start(dir, store.clone(), options, alarm).await.expect("a journal"), alarms)
}

fn journal_of(facts: &[Fact]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = journal::MAGIC.to_vec();
    let ends = facts
        .iter()
        .map(|fact| {
            assert!(journal::encode(fact, &mut bytes));
            bytes.len()
        })
        .collect();
    (bytes, ends)
}

fn read_all(mut bytes: &[u8]) -> (Vec<Fact>, usize) {
    let (mut facts, mut damaged) = (Vec::new(), 0);
    loop {
        match journal::step(bytes) {
            Step::Record { body, size } => {
                facts.push(serde_json::from_slice(body).expect("a fact"));
                bytes = &bytes[size..];
            }
            Step::Damaged { size } => {
                damaged += 1;
                bytes = &bytes[size..];
            }
            Step::End => return (facts, damaged),
        }
    }
}

#[test]
fn cut_at_any_octet_the_whole_records_before_it_stay() {
    let all = facts();
    let (bytes, ends) = journal_of(&all);
    for cut in journal::MAGIC.len()..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (found, damaged) = read_all(&bytes[journal::MAGIC.len()..cut]);
        assert_eq!((found.as_slice(), damaged), (&all[..whole], 0), "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_in_a_record_costs_that_record_only() {
    let all = facts();
    let (bytes, ends) = journal_of(&all);
    for place in ends[0] + journal::HEADER..ends[1] {
        let mut spoilt = bytes.clone();
        spoilt[place] ^= 1;
        let (found, damaged) = read_all(&spoilt[journal::MAGIC.len()..]);
        assert_eq!((found.len(), damaged), (all.len() - 1, 1), "at {place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_reach_the_database_and_whole_segments_are_removed() {
    let (store, dir) = empty().await;
    let folder = dir.path().join("spool");
    let (spool, alarms) = start(&folder, &store, SpoolOptions { segment_max: 2000, batch_max: 3, ..SpoolOptions::default() }).await;
    for fact in facts() {
        assert!(spool.handle().push(fact));
        spool.settle().await;
    }
    let (plain, _other) = empty().await;
    plain.apply(&facts()).await.expect("facts");
    assert_eq!(dump(&store).await, dump(&plain).await);
    assert!(journal::segments(&folder).expect("a folder").len() <= 3);
    assert_eq!(alarms.lock().expect("no panic before").as_slice(), []);
    spool.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_a_power_cut_took_back_by_a_segment_gets_its_facts_again() {
    let (store, dir) = empty().await;
    let folder = dir.path().join("spool");
    let options = SpoolOptions { segment_max: 2000, batch_max: 3, ..SpoolOptions::default() };
    let (spool, _) = start(&folder, &store, options.clone()).await;
    let all = facts();
    for fact in all.clone() {
        assert!(spool.handle().push(fact));
        spool.settle().await;
    }
    spool.stop().await;
    let newest = store.spool_mark().await.expect("a mark").segment;
    let kept: usize = [newest - 1, newest]
        .map(|segment| {
            let bytes = std::fs::read(journal::path(&folder, segment)).expect("the segment before the newest is still there");
            read_all(&bytes[journal::MAGIC.len()..]).0.len()
        })
        .iter()
        .sum();
    assert!(kept < all.len(), "older ones are gone");
    let (before, _other) = empty().await;
    let mark = SpoolMark { segment: newest - 1, place: 0 };
    before.apply_from_spool(&all[..all.len() - kept], mark).await.expect("what was synchronised");
    let (spool, _) = start(&folder, &before, options).await;
    assert_eq!(dump(&before).await, dump(&store).await);
    spool.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_journal_is_replayed_once_and_goes_on_in_a_new_segment() {
    let all = facts();
    let (bytes, ends) = journal_of(&all);
    for whole in [0, 1, 7, all.len() - 1] {
        let (store, dir) = empty().await;
        let cut = ends.get(whole).map_or(bytes.len(), |end| end - 3);
        std::fs::write(journal::path(dir.path(), 4), &bytes[..cut]).expect("a torn segment");
        for _ in 0..2 {
            let (spool, _) = start(dir.path(), &store, SpoolOptions::default()).await;
            assert!(journal::segments(dir.path()).expect("a folder").last() > Some(&4));
            spool.stop().await;
        }
        let (plain, _other) = empty().await;
        plain.apply(&all[..whole]).await.expect("facts");
        assert_eq!(dump(&store).await, dump(&plain).await, "{whole} whole records");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_is_waited_for_and_no_push_waits() {
    let (store, dir) = empty().await;
    let (spool, _) = start(&dir.path().join("spool"), &store, SpoolOptions::default()).await;
    let lock = store.hold_writer().await;
    assert!(facts().into_iter().all(|fact| spool.handle().push(fact)));
    assert!(store.calls(&CallFilter::default()).await.expect("calls").calls.is_empty());
    drop(lock);
    spool.settle().await;
    assert_eq!(store.calls(&CallFilter::default()).await.expect("calls").calls.len(), 2);
    spool.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_busy_minute_writes_waits_for_the_database_and_is_applied_once() {
    let agent = AgentId::new(NOW, [1; 10]);
    // Four calls a second for a minute, as many as have ids of their own here.
    let minute: Vec<Fact> = (1..=240).flat_map(|n| answered_call(n, Some("+442079460150"), agent)).collect();
    let (store, dir) = empty().await;
    let (spool, alarms) = start(&dir.path().join("spool"), &store, SpoolOptions::default()).await;
    let lock = store.hold_writer().await;
    assert!(minute.iter().all(|fact| spool.handle().push(fact.clone())), "nobody waits, nothing is refused");
    drop(lock);
    spool.settle().await;
    let handle = spool.handle();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(count(&handle.counters().applied), minute.len() as u64, "each once");
    assert_eq!((count(&handle.counters().refused), count(&handle.counters().poisoned), count(&handle.counters().backlog)), (0, 0, 0));
    spool.stop().await;
    let (plain, _other) = empty().await;
    plain.apply(&minute).await.expect("facts");
    assert_eq!(dump(&store).await, dump(&plain).await);
    // A machine that takes longer than the database waits may have said so, and then that it is over.
    assert!(alarms.lock().expect("no panic before").iter().all(|alarm| matches!(alarm, SpoolAlarm::DatabaseAway(_) | SpoolAlarm::Over)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_while_the_database_was_away_is_there_after_the_next_start() {
    let (store, dir) = empty().await;
    let folder = dir.path().join("spool");
    let (spool, alarms) = start(&folder, &store, SpoolOptions::default()).await;
    store.close().await;
    let handle = spool.handle();
    assert!(facts().into_iter().all(|fact| handle.push(fact)));
    spool.stop().await;
    assert!(matches!(alarms.lock().expect("no panic before").as_slice(), [SpoolAlarm::DatabaseAway(_)]));
    let store = Store::open(&dir.path().join("record.db")).await.expect("it is back");
    let (spool, _) = start(&folder, &store, SpoolOptions::default()).await;
    assert_eq!(store.calls(&CallFilter::default()).await.expect("calls").calls.len(), 2);
    spool.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_journal_refuses_counts_and_says_so_once() {
    let (store, dir) = empty().await;
    let (spool, alarms) = start(&dir.path().join("spool"), &store, SpoolOptions { backlog_max: 2000, ..SpoolOptions::default() }).await;
    store.close().await;
    let handle = spool.handle();
    let mut pushed = 0;
    // Bounded: the channel holds 16,384, and the thread needs one group to see the limit.
    while pushed < 100_000 && handle.push(facts().swap_remove(0)) {
        pushed += 1;
    }
    assert!(handle.is_full() || pushed < 100_000, "{pushed}");
    assert!(!handle.push(facts().swap_remove(0)));
    let counters = handle.counters();
    assert!(counters.refused.load(std::sync::atomic::Ordering::Relaxed) >= 2);
    drop(spool);
    let full = alarms.lock().expect("no panic before").iter().filter(|alarm| **alarm == SpoolAlarm::Full).count();
    assert!(full <= 1, "{full}");
}
