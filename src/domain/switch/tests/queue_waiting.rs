//! Callers who wait: what they hear, who is first, how it ends, and how it is counted.

use std::{sync::Arc, time::Duration};

use super::{
    peer::OnInvite,
    queue::{ended, outcomes, work_items},
    world::{CLIP, World},
};
use crate::{
    domain::{
        fact::{AgentState, EndCause, Fact, OfferOutcome, SegmentKind, SoundKind, WorkItemKind},
        live::{DeskCommand, QueueView},
        media::{
            clip::ClipId,
            plan::{AudioSource, MediaPlan},
        },
        routing::{Answer, Queue, Sound, Sounds},
        switch::Input,
    },
    time::UnixMs,
};

pub const SECOND: Duration = Duration::from_secs(1);

pub fn sound(clip: u16, name: &str) -> Option<Sound> {
    Some(Sound { clip, name: Arc::from(name), length: CLIP })
}

/// A queue whose callers hear something.
pub fn queue(name: &str) -> Queue {
    let sounds =
        Sounds { announcement: sound(0, "please wait"), music: sound(1, "music"), closing: sound(2, "we call back"), places: None };
    Queue { sounds, ..Queue::named(name) }
}

pub fn house(agents: u8, seed: u64, queues: Vec<Queue>) -> World {
    let mut world = World::new(agents, seed);
    world.queues = queues;
    world.take_people();
    world
}

/// The plan of the call that came as the `n`th.
pub fn plan(world: &World, n: usize) -> &MediaPlan {
    &world.plans.values().nth(n).expect("planned").0
}

/// Which clip the callers hear, by the newest plan of the call that came as the `n`th.
pub fn hears(world: &World, n: usize) -> Option<ClipId> {
    let plan = plan(world, n);
    let near = plan.legs[0].leg;
    plan.hears.iter().filter(|hears| hears.listener == near).find_map(|hears| match hears.source {
        AudioSource::Player(id) => plan.sources.iter().find(|source| source.id == id).map(|source| source.clip),
        AudioSource::Leg(_) => None,
    })
}

pub fn sounds(world: &World) -> Vec<(SoundKind, u32, u32)> {
    let mut found = Vec::new();
    for (_, fact) in &world.facts {
        match fact {
            Fact::SoundBegan { sound, kind, from_ms, .. } => found.push((*sound, *kind, *from_ms, None)),
            Fact::SoundEnded { sound, to_ms } => {
                let began = found.iter_mut().find(|(known, ..)| known == sound).expect("began");
                assert!(began.3.replace(*to_ms).is_none(), "ended once");
            }
            _ => {}
        }
    }
    found.into_iter().map(|(_, kind, from, to)| (kind, from, to.unwrap_or(u32::MAX))).collect()
}

pub fn view(world: &World) -> QueueView {
    world.switch.queue_views().remove(0)
}

pub fn make_ready(world: &mut World, agent: usize) {
    let id = world.agents[agent];
    world.input(Input::Desk(DeskCommand::Desks { agent: id, desks: 1 }));
    world.set_state(id, AgentState::Ready);
}

#[test]
fn a_caller_for_whom_nobody_is_free_is_answered_told_so_and_hears_music_until_an_agent_answers() {
    let mut world = house(1, 1, vec![queue("support")]);
    let caller = world.incoming("+442071234567");
    world.until("answered", SECOND, |world| world.peers[caller].is_up());
    assert_eq!(hears(&world, 0), Some(ClipId(0)), "the announcement first");
    assert_eq!(plan(&world, 0).legs.len(), 1);
    world.run(CLIP + SECOND);
    assert_eq!(hears(&world, 0), Some(ClipId(1)), "then music");
    assert!(plan(&world, 0).sources[0].looped);
    let board = world.switch.board_now();
    assert_eq!((board.waiting, board.callers.len(), board.callers[0].position), (1, 1, 1));
    let queued = world.facts.iter().find_map(|(_, fact)| match fact {
        Fact::Queued { position, estimate_ms, .. } => Some((*position, *estimate_ms)),
        _ => None,
    });
    assert_eq!(queued, Some((1, None)), "nobody is there: no estimate is better than a wrong one");

    make_ready(&mut world, 0);
    world.run(SECOND);
    assert!(world.view(0).offer.is_some_and(|offer| offer.waited_ms > 3_500));
    assert_eq!(hears(&world, 0), Some(ClipId(1)), "music goes on while the phone rings");
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.run(Duration::from_millis(50));
    let talk = plan(&world, 0);
    assert_eq!((talk.legs.len(), talk.sources.len(), talk.hears.len()), (2, 0, 2), "now they hear each other");
    let heard = sounds(&world);
    assert_eq!(heard.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [SoundKind::Announcement, SoundKind::Music]);
    assert_eq!(heard[0].2, heard[1].1, "one follows the other at once");
    assert_eq!(world.peers[caller].heard().iter().filter(|heard| *heard == "200 INVITE").count(), 1, "answered once");
    world.assert_comes_to_rest_after_hang_up(caller);
    assert_eq!(ended(&world), [EndCause::CustomerHungUp]);
    let view = view(&world);
    assert_eq!((view.offered, view.answered, view.answered_in_time, view.service_level), (1, 1, 1, Some(100)));
    assert!(view.longest_ms > 3_500 && view.average_answer_ms == Some(view.longest_ms));
}

#[test]
fn a_queue_that_answers_does_so_at_once_even_where_an_agent_is_free() {
    let mut world = house(1, 2, vec![Queue { answer: Answer::Queue, ..queue("support") }]);
    world.ready();
    let start = world.now.mono;
    let caller = world.incoming("+442071234567");
    world.until("answered", SECOND, |world| world.peers[caller].is_up());
    assert!(world.now.mono - start < Duration::from_millis(20), "before the look-up is back");
    assert_eq!(hears(&world, 0), Some(ClipId(0)));
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    assert!(!world.peers[caller].heard().contains(&"180 INVITE".to_owned()));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_agent_who_is_free_is_rung_without_a_word_to_the_caller_until_it_is_clear_that_they_must_wait() {
    let mut world = house(1, 3, vec![queue("support")]);
    world.peers[0].on_invite = OnInvite::Ring;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(19));
    assert!(!world.peers[caller].is_up(), "ringing costs the caller nothing");
    assert!(world.peers[caller].heard().contains(&"180 INVITE".to_owned()));
    world.run(Duration::from_secs(2));
    assert!(world.peers[caller].is_up(), "the only agent did not answer: the caller must wait");
    assert_eq!(hears(&world, 0), Some(ClipId(0)));
    assert_eq!(outcomes(&world), [OfferOutcome::NoAnswer]);
    world.peers[0].on_invite = OnInvite::Answer(SECOND);
    world.run(Duration::from_secs(20));
    assert!(world.peers[0].is_up(), "asked again after a while");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_agent_who_declines_never_reaches_the_caller_who_keeps_the_place() {
    let mut world = house(2, 4, vec![queue("support")]);
    let first = world.incoming("+442071111111");
    world.run(Duration::from_secs(2));
    let second = world.incoming("+442072222222");
    world.run(Duration::from_secs(2));
    world.peers[0].on_invite = OnInvite::Refuse(603);
    make_ready(&mut world, 0);
    world.run(Duration::from_millis(100));
    let board = world.switch.board_now();
    let places: Vec<_> =
        board.callers.iter().map(|caller| (caller.number.clone().map(|n| n.as_str().to_owned()), caller.position)).collect();
    assert_eq!(places, [(Some("+442071111111".to_owned()), 1), (Some("+442072222222".to_owned()), 2)]);
    assert!(world.peers[first].is_up() && world.peers[second].is_up());
    assert_eq!(
        outcomes(&world),
        [OfferOutcome::Declined, OfferOutcome::Declined],
        "the second is put to the same agent: somebody may help them"
    );
    make_ready(&mut world, 1);
    world.until("talk", Duration::from_secs(10), |world| world.peers[1].is_up());
    world.run(SECOND);
    assert_eq!(world.view(1).call.and_then(|call| call.brief.number).map(|n| n.as_str().to_owned()).as_deref(), Some("+442071111111"));
    assert_eq!(world.peers[first].heard(), ["100 INVITE", "200 INVITE"], "all that the caller saw");
    let now = world.now.mono;
    world.peers[second].hang_up(now);
    world.assert_comes_to_rest_after_hang_up(first);
}

#[test]
fn of_two_callers_the_one_who_waits_longer_is_first_and_a_higher_priority_before_both() {
    let urgent = Queue { priority: 8, ..queue("urgent") };
    let mut world = house(1, 5, vec![queue("support"), urgent]);
    let first = world.incoming("+442071111111");
    world.run(SECOND);
    let second = world.incoming("+442072222222");
    world.run(SECOND);
    let vip = world.caller("+442073333333");
    let now = world.now.mono;
    world.peers[vip].call(now, super::world::URGENT, |_| {});
    world.run(SECOND);
    make_ready(&mut world, 0);
    for expected in [vip, first, second] {
        world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
        world.run(SECOND);
        let number = world.view(0).call.and_then(|call| call.brief.number).map(|n| n.as_str().to_owned());
        assert_eq!(number.as_deref(), Some(world.peers[expected].user.as_str()));
        let now = world.now.mono;
        world.peers[expected].hang_up(now);
        world.run(SECOND);
        world.wrap_up_all();
    }
    world.assert_comes_to_rest();
}

#[test]
fn whoever_waits_too_long_is_told_let_go_and_called_back() {
    let mut world = house(1, 6, vec![Queue { max_wait: Duration::from_secs(60), ..queue("support") }]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(61));
    assert_eq!(hears(&world, 0), Some(ClipId(2)), "the closing words");
    assert!(world.peers[caller].is_up());
    assert_eq!(world.switch.board_now().waiting, 0, "nobody will be offered this call any more");
    make_ready(&mut world, 0);
    world.run(CLIP);
    assert!(world.peers[caller].told_goodbye);
    assert_eq!(ended(&world), [EndCause::NoAgent]);
    let due = world.facts.iter().find_map(|(_, fact)| match fact {
        Fact::WorkItemOpened { kind: WorkItemKind::MissedCall, at, due, .. } => Some(due.expect("due").0 - at.0),
        _ => None,
    });
    assert_eq!(due, Some(3_600_000));
    world.assert_comes_to_rest();
    assert!(outcomes(&world).is_empty());
    assert_eq!(view(&world).turned_away, 1);
    assert_eq!(view(&world).service_level, Some(0));
}

#[test]
fn a_full_queue_lets_the_next_caller_go_at_once_with_words_and_work() {
    let mut world = house(1, 7, vec![Queue { max_waiting: 2, ..queue("support") }]);
    let waiting = [world.incoming("+442071111111"), world.incoming("+442072222222")];
    world.run(SECOND);
    let third = world.incoming("+442073333333");
    world.run(SECOND);
    assert_eq!(hears(&world, 2), Some(ClipId(2)));
    world.run(CLIP);
    assert!(world.peers[third].told_goodbye && waiting.iter().all(|caller| world.peers[*caller].is_up()));
    assert_eq!((ended(&world), work_items(&world)), (vec![EndCause::NoAgent], vec![WorkItemKind::MissedCall]));
    for caller in waiting {
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
    }
    world.assert_comes_to_rest();
}

#[test]
fn without_closing_words_a_caller_who_was_not_answered_is_refused() {
    let mut world = house(1, 8, vec![Queue { max_waiting: 0, ..Queue::named("support") }]);
    let caller = world.incoming("+442071234567");
    world.run(SECOND);
    assert_eq!(world.peers[caller].status, Some(480));
    assert_eq!((ended(&world), work_items(&world)), (vec![EndCause::NoAgent], vec![WorkItemKind::MissedCall]));
    world.assert_comes_to_rest();
}

#[test]
fn giving_up_is_one_outcome_before_and_after_our_answer_and_short_ones_are_counted_apart() {
    let mut world = house(1, 9, vec![queue("support")]);
    world.peers[0].on_invite = OnInvite::Ring;
    world.ready();
    let rings = world.incoming("+442071111111");
    world.run(Duration::from_secs(6));
    let now = world.now.mono;
    world.peers[rings].cancel(now);
    world.run(Duration::from_millis(10));
    let agent = world.agents[0];
    world.set_state(agent, AgentState::NotReady);
    for wait in [3, 30] {
        let waits = world.incoming("+442072222222");
        world.run(Duration::from_secs(wait));
        let now = world.now.mono;
        world.peers[waits].hang_up(now);
        world.run(SECOND);
    }
    assert_eq!(ended(&world), [EndCause::Abandoned; 3]);
    assert_eq!(work_items(&world), [WorkItemKind::MissedCall; 3]);
    let view = view(&world);
    assert_eq!((view.offered, view.abandoned, view.abandoned_short, view.waiting), (3, 2, 1, 0));
    assert!((30_000..30_100).contains(&view.longest_ms));
    world.assert_comes_to_rest();
}

#[test]
fn an_invite_without_an_offer_hears_music_as_soon_as_its_ack_says_where() {
    let mut world = house(1, 10, vec![queue("support")]);
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, super::world::CALLED, |invite| invite.body = None);
    world.until("answered", SECOND, |world| world.peers[caller].is_up());
    world.run(Duration::from_millis(20));
    assert_eq!(hears(&world, 0), Some(ClipId(0)));
    make_ready(&mut world, 0);
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.run(SECOND);
    assert_eq!(plan(&world, 0).hears.len(), 2);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_day_begins_with_what_the_record_knows_and_older_calls_do_not_count() {
    let mut world = house(1, 11, vec![queue("support")]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(10));
    let known = crate::domain::routing::Figures { offered: 7, answered: 4, answered_in_time: 3, longest_ms: 99_000, ..Default::default() };
    let from = UnixMs(world.now.wall.0);
    world.input(Input::Day { from, figures: [("support".to_owned(), known)].into() });
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.run(SECOND);
    let after = view(&world);
    assert_eq!((after.offered, after.answered, after.abandoned, after.longest_ms), (7, 4, 0, 99_000), "yesterday's caller");
    assert_eq!(after.service_level, Some(75));
    world.assert_comes_to_rest();
}

#[test]
fn the_wait_is_one_segment_of_the_caller_and_the_phone_rings_in_its_own() {
    let mut world = house(1, 12, vec![queue("support")]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(5));
    make_ready(&mut world, 0);
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
    let kinds: Vec<SegmentKind> = world
        .facts
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::SegmentOpened { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect();
    use SegmentKind::{Queue, Ring, Talk, WrapUp};
    assert_eq!(kinds, [Queue, Ring, Talk, Talk, WrapUp]);
}
