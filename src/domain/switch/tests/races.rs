//! Lost races: each is a transition, and each leaves one outcome and no orphan.

use std::time::Duration;

use super::{
    peer::OnInvite,
    queue::{ended, outcomes, talking, work_items},
    world::World,
};
use crate::domain::{
    fact::{EndCause, Fact, OfferOutcome, WorkItemKind},
    live::{DeskCommand, LiveFact, OfferGone},
    media::plan::{MediaEvent, MediaEventKind},
    switch::{Counter, Input},
};

/// A caller in the queue of one agent whose phone does this.
fn ringing(on_invite: OnInvite, seed: u64) -> (World, usize) {
    let mut world = World::new(1, seed);
    world.peers[0].on_invite = on_invite;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("ring", Duration::from_secs(2), |world| world.peers[0].first_at("INVITE").is_some());
    (world, caller)
}

fn gone(world: &World) -> Vec<OfferGone> {
    let gone = world.live.iter().filter_map(|(_, live)| if let LiveFact::OfferGone { why, .. } = live { Some(*why) } else { None });
    gone.collect()
}

#[test]
fn a_caller_who_gives_up_ends_ring_offer_and_leaves_a_missed_call() {
    let (mut world, caller) = ringing(OnInvite::Ring, 1);
    world.run(Duration::from_secs(2));
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[caller].status, Some(487));
    assert!(world.peers[0].last("CANCEL").expect("cancelled").contains("Reason: SIP;cause=487"));
    assert_eq!((ended(&world), outcomes(&world)), (vec![EndCause::Abandoned], vec![OfferOutcome::Abandoned]));
    assert_eq!((gone(&world), work_items(&world)), (vec![OfferGone::CallerHungUp], vec![WorkItemKind::MissedCall]));
    world.assert_comes_to_rest();
}

#[test]
fn cancel_crosses_the_answer_at_every_millisecond() {
    for ms in 0..12 {
        let (mut world, caller) = ringing(OnInvite::Answer(Duration::from_millis(500)), ms);
        world.run(Duration::from_millis(492 + ms));
        let now = world.now.mono;
        world.peers[caller].cancel(now);
        world.run(Duration::from_secs(2));
        if world.peers[caller].is_up() {
            assert_eq!(world.peers[caller].status, Some(200), "the CANCEL came too late");
            let now = world.now.mono;
            world.peers[caller].hang_up(now);
        } else {
            assert_eq!(world.peers[caller].status, Some(487));
        }
        world.run(Duration::from_secs(2));
        assert!(world.peers[0].told_goodbye && !world.peers[0].is_up(), "after {ms} ms");
        world.assert_comes_to_rest();
        assert_eq!(ended(&world).len(), 1);
    }
}

#[test]
fn a_cancel_during_the_look_up_rings_nobody() {
    let mut world = World::new(1, 3);
    world.brief_after = None;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_millis(50));
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[caller].status, Some(487));
    assert!(world.peers[0].first_at("INVITE").is_none() && outcomes(&world).is_empty());
    let look_up = world.look_ups[0].clone();
    world.answer_look_up(&look_up);
    world.assert_comes_to_rest();
}

#[test]
fn the_second_of_two_answers_is_acknowledged_and_ended() {
    let (mut world, caller) = ringing(OnInvite::AnswerTwice, 4);
    world.until("talk", Duration::from_secs(2), |world| world.peers[caller].is_up());
    world.run(Duration::from_secs(1));
    assert_eq!(world.switch.counters().get(Counter::SecondAnswer), 1);
    let heard = world.peers[0].heard();
    assert_eq!(heard.iter().filter(|heard| *heard == "ACK").count(), 2, "{heard:?}");
    assert_eq!(heard.iter().filter(|heard| *heard == "BYE").count(), 1, "{heard:?}");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_answer_that_fits_no_offer_is_ended_and_the_caller_waits_for_another() {
    let (mut world, caller) = ringing(OnInvite::AnswerNonsense, 5);
    world.run(Duration::from_secs(1));
    assert!(world.peers[caller].is_up() && world.peers[0].told_goodbye);
    assert_eq!(outcomes(&world), [OfferOutcome::Failed]);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn declining_at_the_desk_cancels_the_phone() {
    let (mut world, caller) = ringing(OnInvite::Ring, 6);
    world.run(Duration::from_secs(1));
    let offer = world.view(0).offer.expect("offered");
    assert!(offer.ringing);
    let agent = world.agents[0];
    world.input(Input::Desk(DeskCommand::Decline { agent, offer: offer.offer }));
    world.input(Input::Desk(DeskCommand::Decline { agent, offer: offer.offer }));
    world.run(Duration::from_secs(1));
    assert!(world.peers[0].told_goodbye && world.peers[caller].is_up(), "the caller waits");
    assert_eq!((outcomes(&world), gone(&world)), (vec![OfferOutcome::Declined], vec![OfferGone::Declined]));
    assert_eq!(world.switch.counters().get(Counter::StaleDesk), 1, "the second is stale");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn hanging_up_at_the_desk_ends_both_sides() {
    let (mut world, caller) = talking(1, 7);
    let (agent, interaction) = (world.agents[0], world.view(0).call.expect("talks").interaction);
    world.input(Input::Desk(DeskCommand::HangUp { agent, interaction }));
    world.run(Duration::from_secs(1));
    assert!(world.peers[0].told_goodbye && world.peers[caller].told_goodbye);
    assert_eq!(ended(&world), [EndCause::AgentHungUp]);
    world.assert_comes_to_rest();
}

#[test]
fn both_say_goodbye_at_once() {
    let (mut world, caller) = talking(1, 8);
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.peers[0].hang_up(now);
    world.run(Duration::from_secs(1));
    assert_eq!(ended(&world).len(), 1);
    world.assert_comes_to_rest();
}

#[test]
fn an_answer_that_is_never_acknowledged_is_repeated_and_ended_after_64_t1() {
    let mut world = World::new(1, 9);
    world.ready();
    let caller = world.caller("+442071234567");
    world.peers[caller].acks = false;
    let now = world.now.mono;
    world.peers[caller].call(now, super::world::CALLED, |_| {});
    world.run(Duration::from_secs(40));
    let repeated = world.peers[caller].heard().iter().filter(|heard| *heard == "200 INVITE").count();
    assert_eq!(repeated, 11, "the first and ten repetitions");
    assert!(world.peers[caller].heard().contains(&"BYE".to_owned()) && world.peers[0].told_goodbye);
    assert_eq!(ended(&world), [EndCause::SignallingLost]);
    world.assert_comes_to_rest();
}

#[test]
fn a_hang_up_before_the_ack_waits_for_it() {
    let mut world = World::new(1, 10);
    world.ready();
    let caller = world.caller("+442071234567");
    world.peers[caller].acks = false;
    let now = world.now.mono;
    world.peers[caller].call(now, super::world::CALLED, |_| {});
    world.until("200", Duration::from_secs(5), |world| world.peers[caller].heard().contains(&"200 INVITE".to_owned()));
    let now = world.now.mono;
    world.peers[0].hang_up(now);
    world.run(Duration::from_secs(2));
    assert!(!world.peers[caller].heard().contains(&"BYE".to_owned()), "RFC 3261 §15: no BYE before the ACK");
    world.peers[caller].acks = true;
    world.run(Duration::from_secs(5));
    assert!(world.peers[caller].told_goodbye);
    world.assert_comes_to_rest();
}

#[test]
fn media_that_dies_asks_once_and_ends_the_call_only_if_the_peer_is_gone() {
    for gone in [false, true] {
        let (mut world, caller) = talking(1, 11);
        let (plan, _) = world.plans.values().next().expect("planned").clone();
        if gone {
            world.peers[caller].dialog = None;
        }
        let kind = MediaEventKind::Silent { leg: plan.legs[0].leg, silent_ms: 30_000 };
        world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation - 1, kind: kind.clone() }));
        assert_eq!(world.switch.counters().get(Counter::StaleMedia), 1, "an older plan's event means nothing");
        world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation, kind }));
        world.run(Duration::from_secs(1));
        let asked = world.peers[caller].heard().iter().filter(|heard| *heard == "OPTIONS").count();
        assert_eq!(asked, 1);
        if gone {
            assert_eq!(ended(&world), [EndCause::MediaLost]);
            assert!(world.peers[0].told_goodbye);
            world.assert_comes_to_rest();
        } else {
            assert!(world.view(0).call.expect("goes on").trouble.is_some());
            world.assert_comes_to_rest_after_hang_up(caller);
        }
    }
}

#[test]
fn a_phone_that_crashed_in_a_call_is_found_by_its_silence() {
    let (mut world, caller) = talking(1, 12);
    let (plan, _) = world.plans.values().next().expect("planned").clone();
    let dead = world.peers[0].addr;
    world.peers[0].addr = std::net::SocketAddr::from(([198, 51, 100, 200], 1));
    let kind = MediaEventKind::Silent { leg: plan.legs[1].leg, silent_ms: 30_000 };
    world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation, kind }));
    world.run(Duration::from_secs(33));
    assert!(world.strays.iter().any(|(to, text)| *to == dead && text.starts_with("OPTIONS")));
    assert_eq!(ended(&world), [EndCause::MediaLost]);
    assert!(world.peers[caller].told_goodbye);
    world.assert_comes_to_rest();
}

#[test]
fn a_media_thread_that_never_reports_does_not_keep_the_call_alive() {
    let (mut world, caller) = talking(1, 13);
    world.media_answers = false;
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.run(Duration::from_secs(50));
    world.wrap_up_all();
    world.run(Duration::from_secs(1));
    assert_eq!((world.switch.calls(), world.switch.counters().get(Counter::MediaNotClosed)), (0, 1));
}

#[test]
fn totals_of_both_legs_are_written_after_the_close() {
    let (mut world, caller) = talking(1, 14);
    world.assert_comes_to_rest_after_hang_up(caller);
    assert_eq!(world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::LegMeasured { .. })).count(), 2);
}

#[test]
fn caps_end_what_nobody_else_ends() {
    let (mut world, caller) = talking(1, 15);
    world.run(Duration::from_secs(4 * 3600 + 5));
    assert_eq!(ended(&world), [EndCause::Limit]);
    assert!(world.peers[caller].told_goodbye);
    world.assert_comes_to_rest();
}

#[test]
fn a_second_shutdown_ends_running_calls_at_once_and_cuts_the_wrap_up() {
    let (mut world, caller) = talking(1, 17);
    world.input(Input::Shutdown);
    world.run(Duration::from_secs(1));
    assert!(world.peers[caller].is_up());
    world.input(Input::Shutdown);
    world.run(Duration::from_secs(1));
    assert!(world.peers[caller].told_goodbye && world.peers[0].told_goodbye);
    assert_eq!(ended(&world), [EndCause::Shutdown]);
    world.run(Duration::from_secs(5));
    assert!(world.switch.is_idle(), "nothing is left to wait for");
}

#[test]
fn a_stopping_server_is_done_with_its_last_call_and_takes_registrations_till_then() {
    let (mut world, caller) = talking(1, 18);
    world.input(Input::Shutdown);
    let now = world.now.mono;
    world.peers[0].register(now, 300);
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[0].status, Some(200));
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.run(Duration::from_secs(1));
    assert_eq!(ended(&world), [EndCause::CustomerHungUp]);
    assert!(!world.switch.is_idle(), "the agent still wraps up");
    world.wrap_up_all();
    world.run(Duration::from_secs(40));
    assert!(world.switch.is_idle());
}

#[test]
fn shutdown_refuses_new_calls_and_ends_running_ones_in_time() {
    let (mut world, caller) = talking(1, 16);
    world.input(Input::Shutdown);
    let late = world.incoming("+442070000000");
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[late].status, Some(503));
    assert!(world.peers[caller].is_up());
    world.run(Duration::from_secs(290));
    assert!(world.peers[caller].is_up(), "it may finish");
    assert!(world.view(0).notice.is_some_and(|notice| notice.contains("restarts")));
    world.run(Duration::from_secs(10));
    assert!(world.peers[caller].told_goodbye && world.peers[0].told_goodbye);
    let bye = world.peers[caller].last("BYE").expect("a BYE");
    assert!(bye.contains("Reason: SIP;cause=503;text=\"Shutting down\""), "{bye}");
    assert_eq!(ended(&world), [EndCause::Shutdown]);
    world.assert_comes_to_rest();
}
