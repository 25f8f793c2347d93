//! A phone calls somebody outside: what the trunk, the phone, the desk and the record see; fail-over, early media, statuses.

use std::time::Duration;

use super::{
    carrier::NUMBER,
    peer::OnInvite,
    queue::{ended, work_items},
    world::{CALLED, World},
};
use crate::{
    domain::{
        fact::{AgentState, Direction, EndCause, Fact, SegmentKind, WorkItemKind},
        live::DeskCommand,
        media::plan::RecordingPlan,
        switch::{Counter, Input},
    },
    ids::Party,
};

const SECOND: Duration = Duration::from_secs(1);

fn talk(world: &mut World, phone: usize, trunk: usize) {
    world.dial(phone, "02079460018");
    world.until("talk", Duration::from_secs(10), |world| world.peers[phone].is_up() && world.peers[trunk].is_up());
    world.run(Duration::from_millis(50));
}

#[test]
fn a_phone_calls_outside_with_pop_record_and_wrap_up() {
    let (mut world, trunk) = World::outside(1, 1, |_| {});
    world.ready();
    world.dial(0, "02079460018");
    world.until("rings", 5 * SECOND, |world| world.peers[0].heard().contains(&"180 INVITE".to_owned()));
    let view = world.view(0);
    let call = view.call.expect("on the desk while it rings");
    assert_eq!((view.state, call.direction, call.answered_at), (AgentState::Busy, Direction::Outbound, None));
    assert_eq!(call.brief.contacts_30_days, 3, "the history of whom we call");
    assert_eq!(world.look_ups[0].number.as_ref().map(|number| number.as_str().to_owned()), Some(NUMBER.to_owned()));
    world.until("talk", 5 * SECOND, |world| world.peers[0].is_up() && world.peers[trunk].is_up());
    world.run(Duration::from_millis(50));
    assert!(world.view(0).call.expect("a call").answered_at.is_some());
    let (plan, _) = world.plans.values().next().expect("planned");
    assert_eq!((plan.legs.len(), plan.hears.len()), (2, 2));
    assert!(plan.legs.iter().all(|leg| matches!(leg.recording, RecordingPlan::On(_))), "an external call is recorded");
    let now = world.now.mono;
    world.peers[trunk].hang_up(now);
    world.run(SECOND);
    assert!(world.peers[0].told_goodbye);
    assert_eq!(ended(&world), [EndCause::CustomerHungUp]);
    let wrap_up = world.view(0).wrap_up.expect("wrap-up as after any talk with a customer");
    assert_eq!(wrap_up.direction, Direction::Outbound);
    world.assert_comes_to_rest();
    assert!(work_items(&world).is_empty(), "nobody has to call back");
}

#[test]
fn the_record_says_whom_we_called_by_which_trunk_and_who_spoke() {
    let (mut world, trunk) = World::outside(1, 2, |_| {});
    world.ready();
    talk(&mut world, 0, trunk);
    let opened = world.facts.iter().find_map(|(_, fact)| match fact {
        Fact::InteractionOpened(opened) => Some(opened.clone()),
        _ => None,
    });
    let opened = opened.expect("opened");
    assert_eq!((opened.direction, opened.called.as_str(), opened.via.as_str()), (Direction::Outbound, NUMBER, "agent0"));
    assert_eq!((opened.caller, opened.queue.as_deref(), opened.emergency), (None, Some("support"), false));
    let legs = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::LegOpened { party, agent, trunk, .. } => Some((*party, *agent, trunk.clone())),
        _ => None,
    });
    let legs: Vec<_> = legs.collect();
    assert_eq!(legs, [(Party::Agent, Some(world.agents[0]), None), (Party::Customer, None, Some("carrier".to_owned()))]);
    let now = world.now.mono;
    world.peers[0].hang_up(now);
    world.run(SECOND);
    assert_eq!(ended(&world), [EndCause::AgentHungUp]);
    let answered_by = world.facts.iter().find_map(|(_, fact)| match fact {
        Fact::InteractionEnded { answered_by, .. } => *answered_by,
        _ => None,
    });
    assert_eq!(answered_by, Some(world.agents[0]));
    world.run(Duration::from_secs(200));
    assert_eq!(work_items(&world), [WorkItemKind::NotWrappedUp], "a wrap-up that ran out is somebody's work");
    world.assert_comes_to_rest();
}

#[test]
fn the_trunk_sees_the_configured_caller_and_nothing_of_the_phones_message() {
    for (phone, caller) in [(0, CALLED), (1, "+442079460001")] {
        let (mut world, trunk) = World::outside(2, 3, |_| {});
        let now = world.now.mono;
        world.peers[phone].call(now, "02079460018", |invite| invite.from = invite.from.clone().with_display("The Boss"));
        world.run(SECOND);
        let invite = world.peers[trunk].last("INVITE").expect("called");
        assert!(invite.starts_with(&format!("INVITE sip:{NUMBER}@203.0.113.9 SIP/2.0\r\n")), "{invite}");
        assert!(invite.contains(&format!("From: <sip:{caller}@203.0.113.9>;tag=")), "{invite}");
        assert!(invite.contains(&format!("P-Asserted-Identity: <sip:{caller}@203.0.113.9>\r\n")), "{invite}");
        world.run(3 * SECOND);
        assert!(invite.contains(&format!("To: <sip:{NUMBER}@203.0.113.9>\r\n")) && invite.contains("Max-Forwards: 69\r\n"));
        for private in ["Boss", "agent0", "agent1", "198.51.100", "Example Desk Phone", "example.com"] {
            assert!(!invite.contains(private), "{private}: {invite}");
        }
        world.assert_comes_to_rest_after_hang_up(phone);
    }
}

#[test]
fn a_trunk_that_fails_is_followed_by_the_next_and_one_that_says_no_is_not() {
    for (first, second, status) in [
        (OnInvite::Refuse(503), true, 200),
        (OnInvite::Refuse(500), true, 200),
        (OnInvite::Refuse(408), true, 200),
        (OnInvite::Refuse(302), true, 200),
        (OnInvite::Dead, true, 200),
        (OnInvite::Refuse(486), false, 486),
        (OnInvite::Refuse(603), false, 603),
        (OnInvite::Refuse(404), false, 404),
        (OnInvite::Early(503), false, 503),
    ] {
        let (mut world, trunk) = World::outside(1, 4, |_| {});
        world.ready();
        world.peers[trunk].on_invite = first;
        world.dial(0, "02079460018");
        world.run(Duration::from_secs(10));
        assert_eq!(world.peers[0].status, Some(status), "{first:?}");
        assert_eq!(world.peers[trunk + 1].first_at("INVITE").is_some(), second, "{first:?}");
        assert_eq!(world.switch.counters().get(Counter::TrunkFailedOver), u64::from(second), "{first:?}");
        if status == 200 {
            world.assert_comes_to_rest_after_hang_up(0);
        } else {
            world.assert_comes_to_rest();
        }
    }
}

#[test]
fn when_every_trunk_fails_the_phone_hears_503_and_nobody_wraps_up() {
    let (mut world, trunk) = World::outside(1, 5, |_| {});
    world.ready();
    world.peers[trunk].on_invite = OnInvite::Dead;
    world.peers[trunk + 1].on_invite = OnInvite::Refuse(500);
    world.dial(0, "02079460018");
    world.run(Duration::from_secs(10));
    assert_eq!(world.peers[0].status, Some(503));
    assert_eq!(ended(&world), [EndCause::TrunkFailed]);
    assert_eq!(world.view(0).state, AgentState::Ready);
    world.assert_comes_to_rest();
}

#[test]
fn what_a_trunk_says_before_the_answer_is_heard_and_its_status_told() {
    let (mut world, trunk) = World::outside(1, 6, |_| {});
    world.ready();
    world.peers[trunk].on_invite = OnInvite::Early(404);
    world.dial(0, "02079460018");
    world.run(SECOND);
    let early = world.peers[0].last("183 INVITE").expect("told");
    assert!(early.contains("m=audio") && early.contains("To: <sip:02079460018@example.com>;tag="), "{early}");
    let (plan, _) = world.plans.values().next().expect("audio before the answer");
    assert!(plan.legs.iter().all(|leg| leg.remote.is_some() && leg.send && leg.recording == RecordingPlan::Off));
    world.run(Duration::from_secs(2));
    assert_eq!(world.peers[0].status, Some(404), "not in service");
    assert_eq!(ended(&world), [EndCause::UnknownNumber]);
    world.assert_comes_to_rest();
}

#[test]
fn the_answer_after_early_media_says_the_same_and_only_then_is_anything_recorded() {
    let (mut world, trunk) = World::outside(1, 7, |_| {});
    world.ready();
    world.peers[trunk].on_invite = OnInvite::Early(200);
    talk(&mut world, 0, trunk);
    let body = |message: String| message.split_once("\r\n\r\n").expect("a body").1.to_owned();
    let early = body(world.peers[0].last("183 INVITE").expect("told"));
    assert_eq!(body(world.peers[0].last("200 INVITE").expect("answered")), early, "the first answer holds (RFC 3261 §13.2.1)");
    let (plan, count) = world.plans.values().next().expect("planned");
    assert!(*count >= 2 && plan.legs.iter().all(|leg| matches!(leg.recording, RecordingPlan::On(_))));
    let rings = world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::SegmentOpened { kind: SegmentKind::Ring, .. })).count();
    assert_eq!(rings, 2);
    world.assert_comes_to_rest_after_hang_up(0);
}

#[test]
fn giving_up_before_the_answer_cancels_the_trunk() {
    let (mut world, trunk) = World::outside(1, 8, |_| {});
    world.ready();
    world.peers[trunk].on_invite = OnInvite::Ring;
    world.dial(0, "02079460018");
    world.run(3 * SECOND);
    let now = world.now.mono;
    world.peers[0].cancel(now);
    world.run(SECOND);
    assert_eq!(world.peers[0].status, Some(487));
    assert!(world.peers[trunk].told_goodbye);
    assert_eq!((ended(&world), world.view(0).state), (vec![EndCause::Abandoned], AgentState::Ready));
    world.assert_comes_to_rest();
}

#[test]
fn the_desk_hangs_up_while_it_rings() {
    let (mut world, trunk) = World::outside(1, 9, |_| {});
    world.ready();
    world.peers[trunk].on_invite = OnInvite::Ring;
    world.dial(0, "02079460018");
    world.run(3 * SECOND);
    let interaction = world.view(0).call.expect("on the desk").interaction;
    world.input(Input::Desk(DeskCommand::HangUp { agent: world.agents[0], interaction }));
    world.run(SECOND);
    assert!(world.peers[trunk].told_goodbye && world.peers[0].status == Some(487));
    assert_eq!(ended(&world), [EndCause::Abandoned]);
    world.assert_comes_to_rest();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    for ms in (1_900..2_100).step_by(4) {
        let (mut world, trunk) = World::outside(1, 10, |_| {});
        world.dial(0, "02079460018");
        world.run(Duration::from_millis(ms));
        let now = world.now.mono;
        world.peers[0].cancel(now);
        world.run(2 * SECOND);
        if world.peers[0].is_up() {
            world.peers[0].hang_up(world.now.mono);
        }
        world.run(SECOND);
        assert!(!world.peers[trunk].is_up(), "{ms} ms");
        world.assert_comes_to_rest();
    }
}

#[test]
fn an_agent_who_has_another_contact_on_the_desk_keeps_it() {
    let (mut world, _) = World::outside(1, 11, |_| {});
    world.ready();
    world.peers[0].on_invite = OnInvite::Ring;
    world.incoming("+442071234567");
    world.run(SECOND);
    let offer = world.view(0).offer.expect("offered");
    world.dial(0, "02079460018");
    world.run(SECOND);
    assert_eq!(world.view(0).offer.map(|now| now.offer), Some(offer.offer));
    assert!(world.view(0).call.is_none());
}

#[test]
fn a_panic_at_any_action_of_a_call_outside_ends_that_call_alone() {
    for after in 0..60 {
        let (mut world, trunk) = World::outside(1, 12, |_| {});
        world.ready();
        world.peers.iter_mut().for_each(|peer| peer.forgives = true);
        world.peers[trunk].on_invite = OnInvite::Early(200);
        world.dial(0, "02079460018");
        world.run(Duration::from_millis(10));
        let interaction = world.facts.iter().find_map(|(_, fact)| match fact {
            Fact::InteractionOpened(opened) => Some(opened.interaction),
            _ => None,
        });
        let Some(interaction) = interaction else { panic!("not begun") };
        world.input(Input::PanicIn { interaction, after_actions: after });
        world.run(3 * SECOND);
        if world.peers[trunk].is_up() {
            world.peers[trunk].hang_up(world.now.mono);
        }
        world.run(SECOND);
        world.wrap_up_all();
        world.assert_comes_to_rest();
    }
}
