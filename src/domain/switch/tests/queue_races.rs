//! What crosses while callers wait, and mistakes of ours in the middle of it.

use std::time::Duration;

use super::{
    peer::OnInvite,
    queue::{ended, outcomes, work_items},
    queue_waiting::{SECOND, hears, house, plan, queue, sounds, view},
    world::CLIP,
};
use crate::{
    domain::{
        fact::{AgentState, EndCause, Fact, OfferOutcome, SoundKind, WorkItemKind},
        live::DeskCommand,
        media::{
            clip::ClipId,
            plan::{MediaEvent, MediaEventKind},
        },
        switch::{Counter, Input},
    },
    ids::InteractionId,
};

fn opened(world: &super::world::World) -> Vec<InteractionId> {
    let opened = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::InteractionOpened(opened) => Some(opened.interaction),
        _ => None,
    });
    opened.collect()
}

#[test]
fn an_agent_becomes_ready_while_the_caller_goes() {
    for (ms, seed) in (0..30).zip(0..) {
        let mut world = house(1, seed, vec![queue("support")]);
        world.peers[0].on_invite = OnInvite::Answer(Duration::from_millis(5));
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(6));
        let agent = world.agents[0];
        world.set_state(agent, AgentState::Ready);
        world.run(Duration::from_millis(ms));
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(SECOND);
        let cause = ended(&world);
        let talked = cause == [EndCause::CustomerHungUp];
        assert!(talked || cause == [EndCause::Abandoned], "after {ms} ms: {cause:?}");
        assert!(!world.peers[0].is_up(), "after {ms} ms: the agent's phone was let go");
        world.assert_comes_to_rest();
        assert_eq!(work_items(&world).len(), usize::from(!talked), "after {ms} ms");
        assert_eq!(world.view(0).state, AgentState::Ready, "after {ms} ms");
        let view = view(&world);
        assert_eq!((view.offered, view.answered + view.abandoned), (1, 1), "after {ms} ms: one outcome");
    }
}

#[test]
fn two_callers_and_one_agent_make_one_talk_at_a_time() {
    let mut world = house(1, 41, vec![queue("support")]);
    let callers = [world.incoming("+442071111111"), world.incoming("+442072222222")];
    world.run(SECOND);
    let agent = world.agents[0];
    world.set_state(agent, AgentState::Ready);
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.run(Duration::from_secs(5));
    assert_eq!(outcomes(&world), [OfferOutcome::Accepted], "the other one waits");
    assert_eq!((world.switch.board_now().waiting, view(&world).waiting), (1, 1));
    let now = world.now.mono;
    world.peers[callers[0]].hang_up(now);
    world.run(SECOND);
    assert_eq!(outcomes(&world).len(), 1, "wrap-up comes first");
    world.wrap_up_all();
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.assert_comes_to_rest_after_hang_up(callers[1]);
    assert!(work_items(&world).is_empty());
}

#[test]
fn a_phone_that_registers_is_as_good_as_an_agent_who_gets_ready() {
    let mut world = house(1, 42, vec![queue("support")]);
    let now = world.now.mono;
    world.peers[0].register(now, 0);
    world.run(SECOND);
    let agent = world.agents[0];
    world.set_state(agent, AgentState::Ready);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(3));
    assert!(outcomes(&world).is_empty() && world.peers[caller].is_up());
    let now = world.now.mono;
    world.peers[0].register(now, 300);
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_caller_who_never_acknowledges_our_answer_is_let_go() {
    let mut world = house(1, 43, vec![queue("support")]);
    let caller = world.caller("+442071234567");
    world.peers[caller].acks = false;
    let now = world.now.mono;
    world.peers[caller].call(now, super::world::CALLED, |_| {});
    world.run(Duration::from_secs(40));
    assert_eq!(ended(&world), [EndCause::SignallingLost]);
    assert_eq!(work_items(&world), [WorkItemKind::MissedCall]);
    assert_eq!(sounds(&world).iter().filter(|(.., to)| *to == u32::MAX).count(), 0, "what was heard has an end");
    world.assert_comes_to_rest();
}

#[test]
fn a_waiting_caller_from_whom_nothing_comes_is_asked_and_let_go_when_gone() {
    for gone in [false, true] {
        let mut world = house(1, 44, vec![queue("support")]);
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(5));
        if gone {
            world.peers[caller].dialog = None;
        }
        let kind = MediaEventKind::Silent { leg: plan(&world, 0).legs[0].leg, silent_ms: 30_000 };
        let (call, generation) = (plan(&world, 0).call, plan(&world, 0).generation);
        world.input(Input::Media(MediaEvent { call, generation, kind }));
        world.run(SECOND);
        assert!(world.peers[caller].last("OPTIONS").is_some());
        if gone {
            assert_eq!(ended(&world), [EndCause::MediaLost]);
        } else {
            assert!(world.peers[caller].is_up() && ended(&world).is_empty());
            let now = world.now.mono;
            world.peers[caller].hang_up(now);
        }
        world.assert_comes_to_rest();
    }
}

#[test]
fn a_waiting_caller_may_hold_and_come_back() {
    let mut world = house(1, 45, vec![queue("support")]);
    let caller = world.incoming("+442071234567");
    world.run(CLIP + SECOND);
    for (direction, sends) in [("sendonly", false), ("sendrecv", true)] {
        let now = world.now.mono;
        world.peers[caller].reinvite(now, direction);
        world.run(SECOND);
        assert_eq!(world.peers[caller].status, Some(200));
        assert_eq!(plan(&world, 0).legs[0].send, sends, "{direction}");
        assert_eq!(hears(&world, 0), Some(ClipId(1)), "the music goes on where it is");
    }
    assert_eq!(sounds(&world).iter().filter(|(kind, ..)| *kind == SoundKind::Music).count(), 1);
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.assert_comes_to_rest();
}

#[test]
fn a_media_thread_that_never_says_that_words_are_over_does_not_keep_the_caller_in_silence() {
    let mut world = house(1, 46, vec![queue("support")]);
    world.media_answers = false;
    let caller = world.incoming("+442071234567");
    world.run(CLIP + SECOND);
    assert_eq!(hears(&world, 0), Some(ClipId(1)));
    world.media_answers = true;
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.assert_comes_to_rest();
}

#[test]
fn a_stopping_server_tells_those_who_wait_and_lets_them_go() {
    let mut world = house(2, 47, vec![queue("support")]);
    world.peers[0].on_invite = OnInvite::Ring;
    let waits = world.incoming("+442071111111");
    world.run(Duration::from_secs(2));
    let agent = world.agents[1];
    world.set_state(agent, AgentState::Ready);
    world.input(Input::Desk(DeskCommand::Desks { agent, desks: 0 }));
    world.run(Duration::from_secs(10));
    let later = world.incoming("+442072222222");
    world.run(SECOND);
    world.input(Input::Shutdown);
    world.run(Duration::from_millis(100));
    assert_eq!(hears(&world, 1), Some(ClipId(2)), "told so");
    assert!(world.peers[later].is_up());
    world.run(Duration::from_secs(302));
    assert!(world.peers[later].told_goodbye && world.peers[waits].told_goodbye);
    assert!(ended(&world).iter().all(|cause| *cause == EndCause::Shutdown));
    assert!(work_items(&world).contains(&WorkItemKind::MissedCall));
}

#[test]
fn a_panic_at_any_action_of_waiting_ends_that_call_alone_and_frees_its_place() {
    for after_actions in 0..40 {
        let mut world = house(1, 200 + u64::try_from(after_actions).expect("few"), vec![queue("support")]);
        let other = world.incoming("+442071111111");
        world.run(SECOND);
        let caller = world.incoming("+442072222222");
        world.until("opened", SECOND, |world| opened(world).len() == 2);
        let interaction = opened(&world)[1];
        world.input(Input::PanicIn { interaction, after_actions });
        world.run(Duration::from_secs(5));
        let now = world.now.mono;
        world.peers[other].hang_up(now);
        world.run(SECOND);
        let agent = world.agents[0];
        world.set_state(agent, AgentState::Ready);
        world.run(Duration::from_secs(6));
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(SECOND);
        world.wrap_up_all();
        assert!(!world.peers[caller].is_up() && !world.peers[0].is_up(), "after {after_actions}: both sides are free");
        assert!(
            after_actions > 25 || world.switch.counters().get(Counter::CallPanicked) == 1,
            "after {after_actions}: the fault was there"
        );
        world.assert_comes_to_rest();
        let view = view(&world);
        assert_eq!(
            (view.offered, view.abandoned_short + view.abandoned + view.answered + view.turned_away),
            (2, 2),
            "after {after_actions}"
        );
        assert!(sounds(&world).iter().all(|(_, from, to)| from <= to && *to != u32::MAX), "after {after_actions}");
    }
}

#[test]
fn many_callers_and_agents_come_to_rest_whatever_they_do() {
    use rand_chacha::rand_core::RngCore;
    for seed in 0..20 {
        let mut world =
            house(3, seed, vec![queue("support"), crate::domain::routing::Queue { priority: 8, max_waiting: 3, ..queue("urgent") }]);
        let mut callers = Vec::new();
        for _ in 0..60 {
            let chance = world.rng.next_u32();
            let now = world.now.mono;
            let agent = world.agents[usize::try_from(chance >> 8).expect("64 bit") % 3];
            match chance % 8 {
                0..=2 => callers.push(world.incoming("+442071234567")),
                3 => {
                    let caller = world.caller("+442079999999");
                    world.peers[caller].call(now, super::world::URGENT, |_| {});
                    callers.push(caller);
                }
                4 => world.set_state(agent, AgentState::Ready),
                5 => world.set_state(agent, AgentState::NotReady),
                6 => world.wrap_up_all(),
                _ => {
                    if let Some(caller) = callers.pop() {
                        world.peers[caller].hang_up(now);
                        world.peers[caller].cancel(now);
                    }
                }
            }
            let pause = Duration::from_millis(u64::from(world.rng.next_u32() % 4_000));
            world.run(pause);
        }
        for caller in callers {
            let now = world.now.mono;
            world.peers[caller].hang_up(now);
            world.peers[caller].cancel(now);
            world.run(SECOND);
        }
        world.run(Duration::from_secs(30));
        world.assert_comes_to_rest();
        for view in world.switch.queue_views() {
            let ended = view.answered + view.abandoned + view.abandoned_short + view.turned_away;
            assert_eq!((view.waiting, view.offered), (0, ended), "seed {seed}: every call has one outcome: {view:?}");
        }
    }
}
