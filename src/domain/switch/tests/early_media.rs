//! A caller who waits at a trunk that wants early media: 183 with words and music, and the 200 when an agent answers.

use std::time::Duration;

use super::{
    peer::OnInvite,
    queue::{ended, outcomes, work_items},
    queue_waiting::{SECOND, hears, make_ready, plan, queue, sounds, view},
    walk::opened,
    world::{CALLED, CLIP, World, config},
};
use crate::domain::{
    fact::{AgentState, EndCause, OfferOutcome, SoundKind, WorkItemKind},
    media::{clip::ClipId, plan::LegPlan},
    routing::{Answer, Queue},
    switch::{Counter, Input},
};

/// A house whose trunk wants early media for two minutes at most.
fn house(agents: u8, seed: u64, queues: Vec<Queue>) -> World {
    house_for(agents, seed, queues, Duration::from_secs(120))
}

/// The same for at most so long.
fn house_for(agents: u8, seed: u64, queues: Vec<Queue>, limit: Duration) -> World {
    println!("seed {seed}");
    let mut config = config(40);
    config.trunks[0].early_media = Some(limit);
    let mut world = World::with(agents, seed, config);
    world.queues = queues;
    world.take_people();
    world
}

/// What a caller heard without the copies of what was told before.
fn story(world: &World, caller: usize) -> Vec<String> {
    let mut heard = world.peers[caller].heard();
    heard.dedup();
    heard
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").expect("a body").1
}

/// What of a leg's plan its stream hangs on.
fn stream(plan: &LegPlan) -> impl PartialEq + std::fmt::Debug + use<> {
    (plan.leg, plan.ports, plan.remote, plan.codec, plan.payload_type, plan.send)
}

#[test]
fn a_caller_hears_words_and_music_before_the_answer_which_is_the_agents_and_changes_nothing_on_the_wire() {
    let mut world = house(1, 1, vec![queue("support")]);
    let caller = world.incoming("+442071234567");
    world.run(SECOND);
    assert_eq!(story(&world, caller), ["100 INVITE", "183 INVITE"]);
    assert_eq!(hears(&world, 0), Some(ClipId(0)), "the announcement first");
    let early = plan(&world, 0).legs[0].clone();
    assert!(early.send && !early.receive, "we are heard, and wait for no sound of theirs");
    world.run(CLIP + SECOND);
    assert_eq!(hears(&world, 0), Some(ClipId(1)), "then music");
    assert_eq!(world.switch.board_now().waiting, 1);

    make_ready(&mut world, 0);
    world.run(SECOND);
    assert_eq!(hears(&world, 0), Some(ClipId(1)), "music goes on while the phone rings");
    assert!(!world.peers[caller].is_up(), "nobody pays for a ringing phone");
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up() && world.peers[caller].is_up());
    world.run(Duration::from_millis(50));
    assert_eq!(story(&world, caller), ["100 INVITE", "183 INVITE", "200 INVITE"], "no ringing in between");
    let talk = plan(&world, 0);
    assert_eq!((talk.legs.len(), talk.sources.len(), talk.hears.len()), (2, 0, 2), "now they hear each other");
    assert_eq!(stream(&talk.legs[0]), stream(&early), "one stream from the first word on");
    assert!(talk.legs[0].receive);
    let peer = &world.peers[caller];
    let [told, answer] = ["183 INVITE", "200 INVITE"].map(|kind| peer.last(kind).expect("came"));
    assert_eq!(body(&told), body(&answer), "the answer is what was told before");
    assert_eq!(sounds(&world).iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [SoundKind::Announcement, SoundKind::Music]);
    world.assert_comes_to_rest_after_hang_up(caller);
    assert_eq!(ended(&world), [EndCause::CustomerHungUp]);
    let view = view(&world);
    assert_eq!((view.offered, view.answered, view.abandoned), (1, 1, 0));
}

#[test]
fn by_a_trunk_that_did_not_ask_for_it_a_caller_who_waits_is_answered() {
    let mut world = World::new(1, 2);
    world.queues = vec![queue("support")];
    world.take_people();
    let caller = world.incoming("+442071234567");
    world.run(SECOND);
    assert_eq!(story(&world, caller), ["100 INVITE", "200 INVITE"]);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn nothing_acknowledges_a_183_so_it_comes_again_after_two_seconds_and_then_every_minute() {
    let mut world = house(1, 3, vec![queue("support")]);
    let caller = world.incoming("+442071234567");
    let told = |world: &World| world.peers[caller].count("183 INVITE");
    world.run(SECOND);
    assert_eq!(told(&world), 1);
    world.run(2 * SECOND);
    assert_eq!(told(&world), 2);
    world.run(Duration::from_secs(58));
    assert_eq!(told(&world), 2);
    world.run(2 * SECOND);
    assert_eq!(told(&world), 3);
    let all = world.peers[caller].all("183 INVITE");
    assert!(all.iter().all(|one| body(one) == body(&all[0])), "each says the same");
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.assert_comes_to_rest();
}

#[test]
fn a_caller_who_waits_longer_than_a_carrier_leaves_them_unanswered_is_answered_and_hears_the_music_go_on() {
    let mut world = house(1, 4, vec![Queue { place_every: None, ..queue("support") }]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(119));
    assert!(!world.peers[caller].is_up());
    let early = plan(&world, 0).legs[0].clone();
    world.run(2 * SECOND);
    assert!(world.peers[caller].is_up(), "answered after two minutes");
    assert_eq!(world.switch.counters().get(Counter::EarlyMediaLimit), 1);
    let late = &plan(&world, 0).legs[0];
    assert_eq!(stream(late), stream(&early));
    assert!(late.receive, "from now on a caller from whom nothing comes is asked whether they are there");
    assert_eq!(hears(&world, 0), Some(ClipId(1)));
    assert_eq!(sounds(&world).iter().filter(|(kind, ..)| *kind == SoundKind::Music).count(), 1, "the music never stopped");
    make_ready(&mut world, 0);
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.run(SECOND);
    assert_eq!(world.peers[caller].count("200 INVITE"), 1);
    world.assert_comes_to_rest_after_hang_up(caller);
    assert_eq!(ended(&world), [EndCause::CustomerHungUp]);
}

#[test]
fn the_limit_counts_while_an_agents_phone_rings_too() {
    let mut world = house(1, 5, vec![queue("support")]);
    world.peers[0].on_invite = OnInvite::Ring;
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(110));
    make_ready(&mut world, 0);
    world.run(Duration::from_secs(9));
    let rings = |world: &World| world.view(0).offer.is_some_and(|offer| offer.ringing);
    assert!(!world.peers[caller].is_up() && rings(&world));
    world.run(2 * SECOND);
    assert!(world.peers[caller].is_up() && rings(&world), "answered, and the phone rings on");
    world.assert_comes_to_rest_after_hang_up(caller);
    assert_eq!(ended(&world), [EndCause::Abandoned]);
}

#[test]
fn a_wait_that_begins_after_the_limit_begins_with_the_answer() {
    let mut world = house_for(1, 14, vec![queue("support")], Duration::from_secs(10));
    world.peers[0].on_invite = OnInvite::Ring;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(19));
    assert_eq!(story(&world, caller), ["100 INVITE", "180 INVITE"]);
    world.run(2 * SECOND);
    assert_eq!(story(&world, caller), ["100 INVITE", "180 INVITE", "200 INVITE"]);
    assert_eq!(hears(&world, 0), Some(ClipId(0)));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_caller_who_goes_while_they_hear_music_has_abandoned_and_media_ends() {
    for (ready, wait, counted) in [(false, 3, (0, 1)), (false, 30, (1, 0)), (true, 6, (1, 0))] {
        let mut world = house(1, 6, vec![queue("support")]);
        world.peers[0].on_invite = OnInvite::Ring;
        let caller = world.incoming("+442071234567");
        world.run(SECOND);
        if ready {
            make_ready(&mut world, 0);
        }
        world.run(Duration::from_secs(wait - 1));
        let now = world.now.mono;
        world.peers[caller].cancel(now);
        world.run(SECOND);
        assert_eq!(world.peers[caller].status, Some(487));
        assert_eq!((ended(&world), work_items(&world)), (vec![EndCause::Abandoned], vec![WorkItemKind::MissedCall]));
        let view = view(&world);
        assert_eq!((view.abandoned, view.abandoned_short), counted, "after {wait} s");
        assert_eq!(outcomes(&world), if ready { vec![OfferOutcome::Abandoned] } else { Vec::new() });
        world.assert_comes_to_rest();
    }
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_both_sides_with_one_outcome() {
    let (mut abandoned, mut talked) = (0, 0);
    for ms in 0..24 {
        let mut world = house(1, 100 + ms, vec![queue("support")]);
        world.peers[0].on_invite = OnInvite::Answer(Duration::from_millis(30));
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(6));
        make_ready(&mut world, 0);
        world.run(Duration::from_millis(50 + ms));
        let now = world.now.mono;
        world.peers[caller].cancel(now);
        world.run(SECOND);
        if world.peers[caller].is_up() {
            // The 200 was first: it is acknowledged, and the goodbye follows (RFC 3261 §9.1).
            talked += 1;
            let now = world.now.mono;
            world.peers[caller].hang_up(now);
        } else {
            abandoned += 1;
            assert_eq!(world.peers[caller].status, Some(487), "after {ms} ms");
        }
        world.run(SECOND);
        assert!(!world.peers[0].is_up(), "after {ms} ms: the agent's phone was let go");
        let cause = ended(&world);
        assert_eq!(cause.len(), 1, "after {ms} ms: {cause:?}");
        world.assert_comes_to_rest();
        let view = view(&world);
        assert_eq!((view.offered, view.answered + view.abandoned), (1, 1), "after {ms} ms: one outcome");
    }
    assert!(abandoned > 3 && talked > 3, "both happened: {abandoned} and {talked}");
}

#[test]
fn an_agent_who_declines_is_busy_or_silent_changes_nothing_for_a_caller_who_hears_music() {
    for what in [OnInvite::Refuse(603), OnInvite::Refuse(486), OnInvite::Refuse(500), OnInvite::Dead] {
        let mut world = house(2, 7, vec![queue("support")]);
        let caller = world.incoming("+442071234567");
        world.run(CLIP + SECOND);
        world.peers[0].on_invite = what;
        make_ready(&mut world, 0);
        world.run(Duration::from_secs(6));
        assert_eq!(outcomes(&world).len(), 1, "{what:?}");
        assert_eq!(hears(&world, 0), Some(ClipId(1)), "{what:?}");
        make_ready(&mut world, 1);
        world.until("talk", Duration::from_secs(10), |world| world.peers[1].is_up() && world.peers[caller].is_up());
        assert_eq!(story(&world, caller), ["100 INVITE", "183 INVITE", "200 INVITE"], "{what:?}: all that the caller saw");
        assert_eq!(sounds(&world).iter().filter(|(kind, ..)| *kind == SoundKind::Music).count(), 1, "{what:?}");
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn whoever_is_turned_away_unanswered_hears_why_and_then_a_refusal() {
    let waits_long = Queue { max_wait: Duration::from_secs(60), ..queue("support") };
    let is_full = Queue { max_waiting: 0, ..queue("support") };
    let wordless = Queue { max_waiting: 0, ..Queue::named("support") };
    let rows = [
        (waits_long, 61, false, 480, EndCause::NoAgent, true),
        (is_full, 1, false, 480, EndCause::NoAgent, true),
        (wordless, 1, false, 480, EndCause::NoAgent, false),
        (queue("support"), 5, true, 503, EndCause::Shutdown, true),
    ];
    for (queue, seconds, stops, status, cause, words) in rows {
        let mut world = house(1, 8, vec![queue]);
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(seconds));
        if stops {
            world.input(Input::Shutdown);
            world.run(Duration::from_millis(10));
        }
        if words {
            assert_eq!(hears(&world, 0), Some(ClipId(2)), "{cause:?}: the closing words");
            assert!(world.peers[caller].status.is_none());
        }
        world.run(CLIP + SECOND);
        assert_eq!((world.peers[caller].status, world.peers[caller].count("200 INVITE")), (Some(status), 0), "{cause:?}");
        assert_eq!((ended(&world), work_items(&world)), (vec![cause], vec![WorkItemKind::MissedCall]));
        if !stops {
            assert_eq!(view(&world).turned_away, 1);
            world.assert_comes_to_rest();
        }
    }
}

#[test]
fn whoever_goes_during_the_closing_words_was_turned_away() {
    let mut world = house(1, 9, vec![Queue { max_wait: Duration::from_secs(60), ..queue("support") }]);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(61));
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.run(SECOND);
    assert_eq!((world.peers[caller].status, ended(&world)), (Some(487), vec![EndCause::NoAgent]));
    world.assert_comes_to_rest();
    assert_eq!((view(&world).turned_away, view(&world).abandoned), (1, 0));
}

#[test]
fn an_invite_without_an_offer_and_a_queue_that_answers_by_itself_are_answered() {
    let mut world = house(1, 10, vec![queue("support")]);
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    // Our offer in a 183 would need its acknowledgement (RFC 3262), which we do not ask for.
    world.peers[caller].call(now, CALLED, |invite| invite.body = None);
    world.run(SECOND);
    assert_eq!(story(&world, caller), ["100 INVITE", "200 INVITE"]);
    assert_eq!(hears(&world, 0), Some(ClipId(0)));
    world.assert_comes_to_rest_after_hang_up(caller);

    let mut world = house(1, 11, vec![Queue { answer: Answer::Queue, ..queue("support") }]);
    let caller = world.incoming("+442071234567");
    world.run(SECOND);
    assert_eq!(story(&world, caller), ["100 INVITE", "200 INVITE"]);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_caller_who_is_rung_for_first_hears_music_once_it_is_clear_that_they_must_wait() {
    let mut world = house(1, 12, vec![queue("support")]);
    world.peers[0].on_invite = OnInvite::Ring;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(21));
    assert_eq!(story(&world, caller), ["100 INVITE", "180 INVITE", "183 INVITE"]);
    assert_eq!(hears(&world, 0), Some(ClipId(0)));
    world.peers[0].on_invite = OnInvite::Answer(SECOND);
    world.until("talk", Duration::from_secs(30), |world| world.peers[0].is_up() && world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_panic_at_any_action_before_the_answer_ends_that_call_alone() {
    for after_actions in 0..30 {
        let mut world = house(1, 200 + u64::try_from(after_actions).expect("few"), vec![queue("support")]);
        let caller = world.incoming("+442071234567");
        world.until("opened", SECOND, |world| opened(world).len() == 1);
        let interaction = opened(&world)[0];
        world.input(Input::PanicIn { interaction, after_actions });
        world.run(Duration::from_secs(5));
        let agent = world.agents[0];
        world.set_state(agent, AgentState::Ready);
        world.run(Duration::from_secs(6));
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.peers[caller].cancel(now);
        world.run(SECOND);
        world.wrap_up_all();
        assert!(!world.peers[caller].is_up() && !world.peers[0].is_up(), "after {after_actions}: both sides are free");
        world.assert_comes_to_rest();
        assert!(sounds(&world).iter().all(|(_, from, to)| from <= to && *to != u32::MAX), "after {after_actions}");
    }
}

#[test]
fn whatever_is_lost_on_the_way_many_such_callers_come_to_rest() {
    use rand_chacha::rand_core::RngCore;
    for seed in 300..312 {
        let mut world = house(2, seed, vec![Queue { max_wait: Duration::from_secs(150), max_waiting: 4, ..queue("support") }]);
        world.ready();
        world.loss = 150;
        world.doubled = 100;
        let mut callers = Vec::new();
        for _ in 0..30 {
            let (chance, now) = (world.rng.next_u32(), world.now.mono);
            match chance % 4 {
                0 | 1 => callers.push(world.incoming("+442071234567")),
                2 => world.wrap_up_all(),
                _ => {
                    if let Some(caller) = callers.pop() {
                        world.peers[caller].hang_up(now);
                        world.peers[caller].cancel(now);
                    }
                }
            }
            let pause = Duration::from_millis(u64::from(world.rng.next_u32() % 9_000));
            world.run(pause);
        }
        for caller in callers {
            let now = world.now.mono;
            world.peers[caller].hang_up(now);
            world.peers[caller].cancel(now);
        }
        world.run(Duration::from_secs(60));
        for caller in world.peers.iter_mut().skip(2) {
            caller.hang_up(world.now.mono);
        }
        world.loss = 0;
        world.run(Duration::from_secs(60));
        world.assert_comes_to_rest();
        let view = view(&world);
        let ended = view.answered + view.abandoned + view.abandoned_short + view.turned_away;
        assert_eq!((view.waiting, view.offered), (0, ended), "seed {seed}: every call has one outcome: {view:?}");
    }
}
