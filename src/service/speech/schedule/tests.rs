//! The order of work, in simulated time.

use proptest::prelude::*;

use super::*;
use crate::{ids::LegId, time::UnixMs};

const MS: Duration = Duration::from_millis(1);

fn leg(n: u8) -> LegId {
    LegId::new(UnixMs(1), [n; 10])
}

fn key(leg_number: u8, start_ms: u32) -> Key {
    Key { leg: leg(leg_number), start_ms }
}

/// The beginning of simulated time.
#[expect(clippy::disallowed_methods, reason = "an arbitrary origin for simulated time")]
fn zero() -> Instant {
    Instant::now()
}

fn live(start: Instant, in_ms: u32) -> Urgency {
    Urgency::Live { deadline: start + MS * in_ms }
}

fn partial(start: Instant, in_ms: u32) -> Urgency {
    Urgency::Partial { deadline: start + MS * in_ms }
}

fn entry(key: Key, urgency: Urgency, now: Instant) -> Entry<()> {
    Entry::new(key, urgency, 8_000, now, ())
}

/// Pushes what must be taken on and drive nothing out.
fn push(schedule: &mut Schedule<()>, entry: Entry<()>) {
    let mut gone = Vec::new();
    assert_eq!(schedule.push(entry, &mut gone), Ok(()));
    assert!(gone.is_empty());
}

fn pool_of(workers: usize) -> Schedule<()> {
    Schedule::new(vec![Lane::Any; workers])
}

/// Takes with one worker until nothing is left: the starts, in order.
fn order(schedule: &mut Schedule<()>, now: Instant) -> Vec<u32> {
    let mut starts = Vec::new();
    while let Some(entry) = schedule.take(0, now) {
        starts.push(entry.key.start_ms);
        schedule.done(0);
    }
    starts
}

#[test]
fn live_comes_before_partial_before_after_the_call_and_the_earliest_deadline_first() {
    let (t, mut s) = (zero(), pool_of(1));
    push(&mut s, entry(key(1, 6), Urgency::AfterCall, t));
    push(&mut s, entry(key(2, 5), partial(t, 900), t));
    push(&mut s, entry(key(3, 4), partial(t, 100), t));
    push(&mut s, entry(key(4, 3), live(t, 3_000), t));
    push(&mut s, entry(key(5, 1), live(t, 1_000), t));
    push(&mut s, entry(key(6, 2), live(t, 2_000), t));
    assert_eq!(order(&mut s, t), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn after_the_call_a_long_call_leaves_room_for_a_short_one() {
    let (t, mut s) = (zero(), pool_of(2));
    for start in 0..10 {
        push(&mut s, entry(key(1, start), Urgency::AfterCall, t));
    }
    push(&mut s, entry(key(2, 100), Urgency::AfterCall, t));
    assert_eq!(s.take(0, t).map(|e| e.key), Some(key(1, 0)));
    assert_eq!(s.take(1, t).map(|e| e.key), Some(key(2, 100)), "the leg without a worker comes first");
}

#[test]
fn live_work_never_stands_behind_a_recording_and_recordings_use_what_it_leaves() {
    let t = zero();
    let mut s = Schedule::new(vec![Lane::Live, Lane::AfterCall]);
    push(&mut s, entry(key(1, 1), Urgency::AfterCall, t));
    push(&mut s, entry(key(1, 2), Urgency::AfterCall, t));
    assert!(s.take(0, t).is_none(), "the live worker leaves it alone");
    assert!(s.take(1, t).is_some());
    push(&mut s, entry(key(2, 3), live(t, 1_000), t));
    assert!(s.take(0, t).is_some(), "at once, though the only other worker is busy");
    s.done(1);
    assert!(s.take(1, t).is_none(), "the one processor belongs to the live words");
    s.done(0);
    assert!(s.take(1, t).is_some());
}

#[test]
fn newer_partial_words_and_the_whole_utterance_replace_older_partial_ones_of_the_leg() {
    let (t, mut s) = (zero(), pool_of(1));
    let mut gone = Vec::new();
    push(&mut s, entry(key(1, 500), partial(t, 900), t));
    push(&mut s, entry(key(2, 700), partial(t, 900), t));
    assert_eq!(s.push(entry(key(1, 500), partial(t, 1_900), t), &mut gone), Ok(()));
    assert_eq!(s.push(entry(key(1, 500), live(t, 2_500), t), &mut gone), Ok(()));
    assert_eq!(gone.iter().map(|e| e.key.start_ms).collect::<Vec<_>>(), [500, 500]);
    assert_eq!((s.load(t).live, s.load(t).partial), (1, 1), "the other leg keeps its own");
}

#[test]
fn a_full_queue_drops_the_latest_partial_for_live_work_and_refuses_what_has_none_to_drop() {
    let (t, mut s) = (zero(), pool_of(1));
    let mut gone = Vec::new();
    for n in 0..WAITING_MAX - 2 {
        push(&mut s, entry(key(1, n as u32), Urgency::AfterCall, t));
    }
    push(&mut s, entry(key(2, 1), partial(t, 500), t));
    push(&mut s, entry(key(3, 2), partial(t, 900), t));
    assert_eq!(s.push(entry(key(4, 3), partial(t, 100), t), &mut gone), Err(Shed::Full), "a partial drives nothing out");
    assert_eq!(s.push(entry(key(4, 3), live(t, 100), t), &mut gone), Ok(()));
    assert_eq!(s.push(entry(key(5, 4), Urgency::AfterCall, t), &mut gone), Ok(()));
    assert_eq!(gone.iter().map(|e| e.key.start_ms).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(s.push(entry(key(6, 5), live(t, 100), t), &mut gone), Err(Shed::Full));
    assert_eq!(s.load(t).shed, 4);
}

#[test]
fn audio_that_waits_is_bounded_too() {
    let (t, mut s) = (zero(), pool_of(1));
    let mut gone = Vec::new();
    let long = |n: u32| Entry::new(key(1, n), Urgency::AfterCall, WAITING_SAMPLES_MAX / 2, t, ());
    push(&mut s, long(1));
    push(&mut s, long(2));
    assert_eq!(s.push(long(3), &mut gone), Err(Shed::Full));
    assert!(s.take(0, t).is_some());
    push(&mut s, long(3));
}

#[test]
fn a_leg_that_is_far_behind_has_its_share_and_no_more() {
    let (t, mut s) = (zero(), pool_of(1));
    for n in 0..LIVE_PER_LEG_MAX {
        push(&mut s, entry(key(1, n as u32), live(t, 1_000), t));
    }
    assert_eq!(s.push(entry(key(1, 99), live(t, 1_000), t), &mut Vec::new()), Err(Shed::Share));
    push(&mut s, entry(key(2, 1), live(t, 1_000), t));
}

#[test]
fn what_comes_too_late_is_dropped_a_partial_at_its_deadline_and_live_words_ten_seconds_after() {
    let (t, mut s) = (zero(), pool_of(1));
    push(&mut s, entry(key(1, 1), partial(t, 500), t));
    push(&mut s, entry(key(2, 2), live(t, 500), t));
    push(&mut s, entry(key(3, 3), Urgency::AfterCall, t));
    let gone = |s: &mut Schedule<()>, at| s.expired(at).iter().map(|e| e.key.start_ms).collect::<Vec<_>>();
    assert!(gone(&mut s, t + MS * 500).is_empty());
    assert_eq!(gone(&mut s, t + MS * 501), [1]);
    assert!(gone(&mut s, t + MS * 10_500).is_empty());
    assert_eq!(gone(&mut s, t + MS * 10_501), [2]);
    assert!(gone(&mut s, t + MS * 86_400_000).is_empty(), "a recording can wait");
}

#[test]
fn a_lost_utterance_goes_to_another_worker_keeps_its_place_and_is_given_up_after_three() {
    let (t, mut s) = (zero(), pool_of(2));
    push(&mut s, entry(key(1, 1), live(t, 1_000), t));
    push(&mut s, entry(key(2, 2), live(t, 1_000), t));
    let first = s.take(0, t).expect("waits");
    assert!(s.lost(0, first, t).is_none(), "it waits again");
    assert_eq!(s.take(0, t).map(|e| e.key.start_ms), Some(2), "not for the worker that was lost over it");
    s.done(0);
    assert!(s.take(0, t).is_none());
    assert_eq!(s.look_again_at(), Some(t + AVOID));
    let first = s.take(1, t).expect("the other worker takes it");
    assert!(s.lost(1, first, t).is_none());
    let first = s.take(0, t + AVOID).expect("waits");
    assert!(s.lost(0, first, t).is_some(), "three times are enough");
    assert_eq!((s.load(t).lost, s.load(t).given_up), (3, 1));
}

#[test]
fn the_only_worker_tries_again_itself_and_a_partial_is_never_tried_again() {
    let (t, mut s) = (zero(), pool_of(1));
    push(&mut s, entry(key(1, 1), live(t, 1_000), t));
    let taken = s.take(0, t).expect("waits");
    assert!(s.lost(0, taken, t).is_none());
    assert!(s.take(0, t).is_some());
    s.done(0);
    push(&mut s, entry(key(1, 2), partial(t, 1_000), t));
    let taken = s.take(0, t).expect("waits");
    assert!(s.lost(0, taken, t).is_some());
    assert_eq!(s.load(t).given_up, 0);
}

#[test]
fn the_load_says_what_waits_and_for_how_long() {
    let (t, mut s) = (zero(), pool_of(2));
    push(&mut s, entry(key(1, 1), live(t, 1_000), t));
    push(&mut s, entry(key(1, 2), Urgency::AfterCall, t));
    assert!(s.take(1, t).is_some());
    push(&mut s, entry(key(2, 3), live(t, 1_000), t + MS * 100));
    let load = s.load(t + MS * 350);
    assert_eq!((load.live, load.after_call, load.busy, load.workers), (1, 1, 1, 2));
    assert_eq!(load.oldest_wait, MS * 250);
}

/// One step of the property: what happens, to which leg or worker, with which number.
type Step = (u8, u8, u32);

fn urgency(kind: u8, now: Instant, in_ms: u32) -> Urgency {
    match kind % 3 {
        0 => live(now, in_ms % 3_000),
        1 => partial(now, in_ms % 1_000),
        _ => Urgency::AfterCall,
    }
}

/// Everything that was sent, and how often each piece was settled.
#[derive(Default)]
struct Books {
    settled: Vec<u32>,
}

impl Books {
    fn settle(&mut self, entries: impl IntoIterator<Item = Entry<usize>>) {
        for entry in entries {
            self.settled[entry.work] += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_happens_each_utterance_is_settled_once_and_the_order_and_limits_hold(
        lanes in prop::sample::select(vec![
            vec![Lane::Any], vec![Lane::Any; 3], vec![Lane::Live, Lane::AfterCall], vec![Lane::Live, Lane::Live, Lane::AfterCall, Lane::AfterCall],
        ]),
        steps in prop::collection::vec((0u8..8, any::<u8>(), 0u32..100_000), 0..400),
    ) {
        let steps: Vec<Step> = steps;
        let mut now = zero();
        let mut s = Schedule::new(lanes.clone());
        let mut at_work: Vec<Option<Entry<usize>>> = lanes.iter().map(|_| None).collect();
        let mut books = Books::default();
        let mut gone = Vec::new();
        for (what, who, n) in steps {
            let worker = usize::from(who) % lanes.len();
            match what {
                0..=2 => {
                    let number = books.settled.len();
                    books.settled.push(0);
                    let entry = Entry::new(key(who % 4, n), urgency(what, now, n), (n * 3) as usize, now, number);
                    if s.push(entry, &mut gone).is_err() {
                        books.settled[number] += 1;
                    }
                    books.settle(gone.drain(..));
                }
                3 | 4 if at_work[worker].is_none() => {
                    let waited = s.load(now);
                    if let Some(entry) = s.take(worker, now) {
                        let avoided = s.waiting.iter().any(|e| e.avoid.is_some());
                        let sooner = waited.live > 0 && matches!(lanes[worker], Lane::Any | Lane::Live) && !avoided;
                        prop_assert!(!sooner || matches!(entry.urgency, Urgency::Live { .. }), "live words first");
                        let earlier = |e: &Entry<usize>| !avoided && e.urgency < entry.urgency && Schedule::<usize>::serves(lanes[worker], e.urgency);
                        prop_assert!(!s.waiting.iter().any(earlier), "the earliest deadline first");
                        at_work[worker] = Some(entry);
                    }
                }
                5 => if let Some(entry) = at_work[worker].take() {
                    s.done(worker);
                    books.settle([entry]);
                },
                6 => if let Some(entry) = at_work[worker].take() {
                    books.settle(s.lost(worker, entry, now));
                },
                _ => {
                    now += MS * (n % 5_000);
                    books.settle(s.expired(now));
                }
            }
            prop_assert!(s.waiting.len() <= WAITING_MAX + lanes.len(), "those that wait again come on top");
            prop_assert_eq!(s.waiting_samples, s.waiting.iter().map(|e| e.samples).sum::<usize>());
            let after_call = at_work.iter().flatten().filter(|e| e.urgency == Urgency::AfterCall).count();
            prop_assert!(after_call <= s.load(now).workers);
        }
        books.settle(at_work.into_iter().flatten());
        books.settle(s.drain());
        prop_assert!(books.settled.iter().all(|n| *n == 1), "each is settled exactly once");
    }
}
