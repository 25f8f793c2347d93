//! One phone calls another: From from the account, no pop, no wrap-up, statuses that reach the caller.

use std::time::Duration;

use super::{
    peer::OnInvite,
    queue::{ended, work_items},
    world::World,
};
use crate::domain::{
    fact::{AgentState, Direction, EndCause, Fact},
    media::plan::RecordingPlan,
};

fn calls(world: &mut World, from: usize, called: &str) {
    let now = world.now.mono;
    world.peers[from].call(now, called, |_| {});
}

#[test]
fn two_phones_talk_and_nothing_is_recorded_or_wrapped_up() {
    let mut world = World::new(2, 1);
    world.ready();
    calls(&mut world, 0, "201");
    world.until("talk", Duration::from_secs(10), |world| world.peers[0].is_up() && world.peers[1].is_up());
    world.run(Duration::from_millis(50));
    let (plan, _) = world.plans.values().next().expect("planned");
    assert_eq!((plan.legs.len(), plan.hears.len()), (2, 2));
    assert!(plan.legs.iter().all(|leg| leg.recording == RecordingPlan::Off && leg.send && leg.receive && leg.remote.is_some()));
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::InteractionOpened(opened) if opened.direction == Direction::Internal)));
    assert_eq!((world.view(0).state, world.view(1).state), (AgentState::Busy, AgentState::Busy));
    let now = world.now.mono;
    world.peers[1].hang_up(now);
    world.run(Duration::from_secs(1));
    assert!(world.peers[0].told_goodbye);
    assert_eq!((world.view(0).state, world.view(1).state), (AgentState::Ready, AgentState::Ready));
    assert!(work_items(&world).is_empty());
    world.assert_comes_to_rest();
}

#[test]
fn from_is_written_from_the_account_whatever_the_phone_says() {
    let mut world = World::new(2, 2);
    let now = world.now.mono;
    world.peers[0].call(now, "agent1", |invite| invite.from = invite.from.clone().with_display("The Boss"));
    world.until("ring", Duration::from_secs(2), |world| world.peers[1].first_at("INVITE").is_some());
    let invite = world.peers[1].last("INVITE").expect("rang");
    assert!(invite.contains("From: \"Agent 0\" <sip:200@example.com>;tag="), "{invite}");
    assert!(invite.contains("P-Asserted-Identity: \"Agent 0\" <sip:200@example.com>"), "{invite}");
    assert!(invite.contains("Max-Forwards: 69") && !invite.contains("Boss"));
    world.run(Duration::from_secs(5));
    world.assert_comes_to_rest_after_hang_up(0);
}

#[test]
fn the_caller_hears_why_a_colleague_does_not_answer() {
    for (on_invite, status) in [
        (OnInvite::Refuse(486), 486),
        (OnInvite::Refuse(603), 603),
        (OnInvite::Refuse(500), 480),
        (OnInvite::Refuse(488), 488),
        (OnInvite::Dead, 480),
        (OnInvite::AnswerNonsense, 488),
    ] {
        let mut world = World::new(2, 3);
        world.peers[1].on_invite = on_invite;
        calls(&mut world, 0, "201");
        world.run(Duration::from_secs(10));
        assert_eq!(world.peers[0].status, Some(status), "{on_invite:?}");
        world.assert_comes_to_rest();
    }
    let mut world = World::new(2, 3);
    calls(&mut world, 0, "999");
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[0].status, Some(404));
    calls(&mut world, 0, "200");
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[0].status, Some(486), "oneself");
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut world = World::new(2, 4);
    world.peers[1].on_invite = OnInvite::Ring;
    calls(&mut world, 0, "201");
    world.run(Duration::from_secs(3));
    let now = world.now.mono;
    world.peers[0].cancel(now);
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[0].status, Some(487));
    assert!(world.peers[1].told_goodbye);
    assert_eq!(ended(&world), [EndCause::Abandoned]);
    world.assert_comes_to_rest();
}

#[test]
fn ringing_is_repeated_every_minute_and_ends_after_three() {
    let mut world = World::new(2, 6);
    world.peers[1].on_invite = OnInvite::Ring;
    calls(&mut world, 0, "201");
    world.run(Duration::from_secs(175));
    assert_eq!(world.peers[0].heard().iter().filter(|heard| *heard == "180 INVITE").count(), 3, "at once, after 60 s and 120 s");
    world.run(Duration::from_secs(10));
    assert_eq!(world.peers[0].status, Some(480));
    assert!(world.peers[1].told_goodbye);
    assert_eq!(ended(&world), [EndCause::NoAnswer]);
    world.assert_comes_to_rest();
}

#[test]
fn a_phone_without_the_password_cannot_call() {
    let mut world = World::new(2, 5);
    world.peers[0].password = "wrongly".to_owned();
    calls(&mut world, 0, "201");
    world.run(Duration::from_secs(2));
    assert_eq!(world.peers[0].status, Some(401));
    assert!(world.peers[1].first_at("INVITE").is_none());
    assert!(!world.peers[0].heard().contains(&"100 INVITE".to_owned()), "an unproven source gets one final response, no 100");
}
