//! Waiting in the record: places, sounds, missed calls with their wait, and the day's figures from rows.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        fact::{SoundKind, WorkItemKind},
        routing::{Day, Figures, Promise},
    },
    ids::SoundId,
};

const PROMISE: Promise = Promise { answer_within: Duration::from_secs(20), short_abandon: Duration::from_secs(5) };

#[tokio::test]
async fn the_demos_day_has_figures_that_a_house_could_have_and_is_made_up_once() {
    let (store, _dir, daniel) = seeded().await;
    let from = NOW.plus_ms(-9 * HOUR);
    for _ in 0..2 {
        seed_demo_day(&store, from, NOW).await.expect("the day");
    }
    let figures = store.queue_figures(&promises(), from).await.expect("read").remove("support").expect("the queue");
    assert!(figures.offered >= 22 && figures.answered >= 19, "{figures:?}");
    assert_eq!((figures.abandoned, figures.abandoned_short, figures.turned_away), (2, 1, 0));
    assert!((80..95).contains(&figures.service_level_percent().expect("calls")), "{figures:?}");
    assert!(store.work_of(daniel).await.expect("read").iter().all(|item| item.kind != WorkItemKind::MissedCall || item.opened_at < from));
    let again = store.queue_figures(&promises(), from).await.expect("read").remove("support").expect("the queue");
    assert_eq!(figures, again);

    let (young, _dir, _) = seeded().await;
    seed_demo_day(&young, NOW.plus_ms(-HOUR / 2), NOW).await.expect("the day");
    let figures = young.queue_figures(&promises(), NOW.plus_ms(-HOUR / 2)).await.expect("read").remove("support").expect("the queue");
    assert_eq!(figures.offered, 2, "nobody called yesterday today");
}

fn promises() -> Vec<(String, Promise)> {
    vec![("support".to_owned(), PROMISE)]
}

/// A caller who waits `wait_ms` on the third place and hears music; how it ends is told last.
fn waits(n: u8, wait_ms: u32) -> Vec<Fact> {
    let CallIds { interaction, customer_leg, .. } = ids(n);
    let [queue, queue_ended] = segment(n, 1, customer_leg, None, SegmentKind::Queue, (0, wait_ms));
    let Fact::SegmentOpened { segment, .. } = queue else { unreachable!("the first opens") };
    let sound = SoundId::new(NOW, [n; 10]);
    vec![
        opened(n, Some("+442079460150")),
        leg(n, Party::Customer, None, 0),
        queue,
        Fact::Queued { interaction, segment, position: 3, estimate_ms: Some(90_000) },
        Fact::Queued { interaction, segment, position: 1, estimate_ms: None },
        Fact::SoundBegan { sound, interaction, leg: customer_leg, kind: SoundKind::Music, clip: "music.wav".to_owned(), from_ms: 5 },
        Fact::SoundEnded { sound, to_ms: wait_ms },
        queue_ended,
    ]
}

fn ended(n: u8, at_ms: u32, cause: EndCause) -> Fact {
    Fact::InteractionEnded { interaction: ids(n).interaction, at_ms, cause, answered_by: None }
}

#[tokio::test]
async fn the_page_of_a_call_shows_the_place_in_the_queue_and_what_was_heard() {
    let (store, _dir, daniel) = seeded().await;
    let mut facts = waits(1, 72_000);
    facts.push(ended(1, 72_000, EndCause::Abandoned));
    store.apply(&facts).await.expect("facts");
    store.apply(&facts).await.expect("the same again");
    let page = store.interaction_page(ids(1).interaction, daniel).await.expect("a page");
    assert_eq!(page.segments[0].position, Some(3), "the place when it was clear that they must wait");
    let heard: Vec<_> = page.sounds.iter().map(|sound| (sound.kind, sound.clip.as_str(), sound.from_ms, sound.to_ms)).collect();
    assert_eq!(heard, [(SoundKind::Music, "music.wav", 5, Some(72_000))]);
    let missed = store.work_of(daniel).await.expect("work").into_iter().find(|item| item.interaction == Some(ids(1).interaction));
    let missed = missed.expect("a missed call for the team");
    assert_eq!((missed.kind, missed.waited_ms), (WorkItemKind::MissedCall, Some(72_000)));
}

#[tokio::test]
async fn a_caller_who_waited_when_the_process_died_is_closed_with_work_for_somebody() {
    let (store, _dir, daniel) = seeded().await;
    let waiting = waits(1, 30_000);
    store.apply(&waiting[..6]).await.expect("facts up to the music");
    store.close_crashed(&[], NOW.plus_ms(60_000)).await.expect("recovery");
    let page = store.interaction_page(ids(1).interaction, daniel).await.expect("a page");
    assert_eq!((page.state, page.cause), (InteractionState::Closed, Some(EndCause::Crash)));
    assert!(page.sounds.iter().all(|sound| sound.to_ms.is_some()) && page.segments.iter().all(|segment| segment.to_ms.is_some()));
    let work = store.work_of(daniel).await.expect("work");
    assert_eq!(work.iter().filter(|item| item.interaction == Some(ids(1).interaction)).count(), 1);
    let figures = store.queue_figures(&promises(), NOW).await.expect("figures")["support"];
    assert_eq!((figures.offered, figures.turned_away), (1, 1));
}

#[derive(Clone, Debug)]
enum Ending {
    Answered,
    Ended(EndCause),
    Waits,
}

fn endings() -> impl Strategy<Value = Vec<(u32, Ending)>> {
    let ending = prop_oneof![
        Just(Ending::Answered),
        Just(Ending::Waits),
        prop_oneof![Just(EndCause::Abandoned), Just(EndCause::NoAgent), Just(EndCause::SignallingLost), Just(EndCause::Crash)]
            .prop_map(Ending::Ended),
    ];
    // Around the limits, where a mistake would be.
    let wait = prop_oneof![0u32..60_000, Just(4_999), Just(5_000), Just(20_000), Just(20_001)];
    proptest::collection::vec((wait, ending), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn figures_from_rows_equal_the_figures_that_were_counted(endings in endings()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut day = Day::new(NOW, BTreeMap::new());
        let mut facts = Vec::new();
        for (n, (wait, ending)) in (1..).zip(&endings) {
            facts.extend(waits(n, *wait));
            match ending {
                Ending::Waits => {}
                Ending::Answered => {
                    let [talk, talked] = segment(n, 2, ids(n).customer_leg, None, SegmentKind::Talk, (*wait, wait + 9_000));
                    facts.extend([talk, talked, ended(n, wait + 9_000, EndCause::CustomerHungUp)]);
                }
                Ending::Ended(cause) => facts.push(ended(n, *wait, *cause)),
            }
        }
        for fact in &facts {
            day.note(fact, |_| PROMISE);
        }
        let stored = runtime.block_on(async {
            let (store, _dir) = empty().await;
            store.apply(&facts).await.expect("facts");
            store.queue_figures(&promises(), NOW).await.expect("figures")["support"]
        });
        prop_assert_eq!(stored, day.figures("support"));
    }
}

#[tokio::test]
async fn calls_of_yesterday_of_other_queues_and_of_ours_do_not_count() {
    let (store, _dir) = empty().await;
    let mut facts = waits(1, 9_000);
    facts.push(ended(1, 9_000, EndCause::Abandoned));
    store.apply(&facts).await.expect("facts");
    let queues = [("support".to_owned(), PROMISE), ("sales".to_owned(), PROMISE)];
    let from = |from| store.queue_figures(&queues, from);
    assert_eq!(from(NOW).await.expect("figures")["support"].abandoned, 1);
    assert_eq!(from(NOW.plus_ms(1)).await.expect("figures")["support"], Figures::default());
    assert_eq!(from(NOW).await.expect("figures")["sales"], Figures::default());
}
