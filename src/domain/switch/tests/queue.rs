//! Trunk → queue → agent: the pop before the ring, the answer, the next agent.

use std::time::Duration;

use super::{peer::OnInvite, world::World};
use crate::domain::{
    fact::{EndCause, Fact, OfferOutcome, WorkItemKind},
    live::LiveFact,
    switch::Counter,
};

pub fn ended(world: &World) -> Vec<EndCause> {
    let causes = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::InteractionEnded { cause, .. } => Some(*cause),
        _ => None,
    });
    causes.collect()
}

pub fn outcomes(world: &World) -> Vec<OfferOutcome> {
    let outcomes = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::OfferEnded { outcome, .. } => Some(*outcome),
        _ => None,
    });
    outcomes.collect()
}

pub fn work_items(world: &World) -> Vec<WorkItemKind> {
    let kinds = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::WorkItemOpened { kind, .. } => Some(*kind),
        _ => None,
    });
    kinds.collect()
}

/// A house with a call that is being talked; the caller's number.
pub fn talking(agents: u8, seed: u64) -> (World, usize) {
    let mut world = World::new(agents, seed);
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
    world.run(Duration::from_millis(100));
    (world, caller)
}

#[test]
fn the_pop_is_on_the_desk_before_the_phone_rings_and_the_lead_is_stored() {
    let (mut world, caller) = talking(1, 1);
    let pop = world.live.iter().find_map(|(at, live)| match live {
        LiveFact::Agent(view) if view.offer.is_some() => Some(*at),
        _ => None,
    });
    let rang = world.peers[0].first_at("INVITE").expect("rang");
    assert!(rang - pop.expect("popped").mono >= Duration::from_millis(30), "the desk took 30 ms to show it");
    assert_eq!(world.switch.counters().get(Counter::PopShown), 1);
    let lead = world.facts.iter().find_map(|(_, fact)| match fact {
        Fact::OfferEnded { outcome: OfferOutcome::Accepted, acked_ms, rang_ms, lead_ms, .. } => Some((*acked_ms, *rang_ms, *lead_ms)),
        _ => None,
    });
    let (acked, rang, lead) = lead.expect("accepted");
    assert_eq!(lead, Some(0), "rung in the same turn: {acked:?} {rang:?}");
    let view = world.view(0);
    assert!(view.call.as_ref().is_some_and(|call| call.recording && call.brief.contacts_30_days == 3));
    world.run(Duration::from_secs(5));
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.run(Duration::from_millis(100));
    assert!(world.peers[0].told_goodbye);
    assert!(world.view(0).wrap_up.is_some());
    assert_eq!(ended(&world), [EndCause::CustomerHungUp]);
    world.assert_comes_to_rest();
    assert!(work_items(&world).is_empty());
}

#[test]
fn a_caller_hears_100_at_once_and_180_after_a_second_where_the_phone_does_not_say_that_it_rings() {
    // A phone that is silent for two seconds, and one that says at once that it rings.
    for (silent, within) in [(true, 1_000..1_010), (false, 20..500)] {
        let mut world = World::new(1, 31);
        world.ready();
        world.peers[0].on_invite = if silent { OnInvite::Dead } else { OnInvite::Ring };
        let start = world.now.mono;
        let caller = world.incoming("+442071234567");
        world.run(Duration::from_secs(2));
        let after = |kind: &str| world.peers[caller].first_at(kind).map(|at| (at - start).as_millis());
        assert!(after("100 INVITE").is_some_and(|ms| ms <= 4), "one way there and one back: {:?}", after("100 INVITE"));
        assert!(after("180 INVITE").is_some_and(|ms| within.contains(&ms)), "silent {silent}: {:?}", after("180 INVITE"));
        assert_eq!(world.peers[caller].heard(), ["100 INVITE", "180 INVITE"], "once each");
        let ringing = world.peers[caller].last("180 INVITE").expect("rang");
        assert!(ringing.ends_with("\r\n\r\n") && ringing.contains("Content-Length: 0"), "without a session: {ringing}");
        let now = world.now.mono;
        world.peers[caller].cancel(now);
        world.assert_comes_to_rest();
    }
}

#[test]
fn a_desk_that_never_acknowledges_costs_150_ms_and_is_counted() {
    let mut world = World::new(1, 2);
    world.desk_after = None;
    world.ready();
    let start = world.now.mono;
    let caller = world.incoming("+442071234567");
    world.until("ring", Duration::from_secs(1), |world| world.peers[0].first_at("INVITE").is_some());
    let waited = world.peers[0].first_at("INVITE").expect("rang") - start;
    assert!((150..170).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(world.switch.counters().get(Counter::PopMissed), 1);
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn without_a_desk_the_phone_rings_at_once_and_shows_name_and_line() {
    let mut world = World::new(1, 3);
    let agent = world.agents[0];
    world.set_state(agent, crate::domain::fact::AgentState::Ready);
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, super::world::CALLED, |invite| {
        invite.from = invite.from.clone().with_display("Ada <b>Byron</b>");
    });
    world.until("ring", Duration::from_millis(50), |world| world.peers[0].first_at("INVITE").is_some());
    let invite = world.peers[0].last("INVITE").expect("rang");
    assert!(invite.contains("From: \"Ada <b>Byron</b>\" <sip:+442071234567@example.com>"), "{invite}");
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_slow_record_is_waited_for_300_ms_and_its_brief_fills_in_late() {
    let mut world = World::new(1, 4);
    world.brief_after = Some(Duration::from_millis(700));
    world.desk_after = None;
    world.ready();
    let start = world.now;
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_millis(310));
    let offer = world.view(0).offer.expect("offered without the brief");
    assert_eq!(offer.brief.matched, crate::domain::customer::brief::Matched::Late);
    assert!((300..310).contains(&(offer.at.0 - start.wall.0)));
    world.run(Duration::from_millis(500));
    let offer = world.view(0).offer.expect("still offered");
    assert_eq!(offer.brief.contacts_30_days, 3, "filled in place");
    assert_eq!(world.switch.counters().get(Counter::LateBrief), 1);
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_agent_who_declines_is_busy_silent_or_gone_gives_the_call_to_the_next() {
    let mut world = World::new(5, 5);
    world.peers[0].on_invite = OnInvite::Refuse(603);
    world.peers[1].on_invite = OnInvite::Refuse(486);
    world.peers[2].on_invite = OnInvite::Ring;
    world.peers[3].on_invite = OnInvite::Dead;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(40), |world| world.peers[caller].is_up());
    use OfferOutcome::{Accepted, Busy, Declined, Failed, NoAnswer};
    assert_eq!(outcomes(&world), [Declined, Busy, NoAnswer, Failed, Accepted]);
    assert!(world.peers[2].told_goodbye, "the one that rang was cancelled");
    assert!(world.peers[2].last("CANCEL").expect("cancelled").contains("Reason: SIP;cause=480"));
    let heard = world.peers[caller].heard();
    assert_eq!(heard.iter().filter(|heard| *heard == "180 INVITE").count(), 1, "the caller hears one ringing: {heard:?}");
    assert!(!world.peers[caller].last("180 INVITE").expect("rang").contains("application/sdp"));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn wrap_up_is_extended_once_and_running_out_leaves_work() {
    let (mut world, caller) = talking(1, 7);
    let now = world.now.mono;
    world.peers[caller].hang_up(now);
    world.run(Duration::from_secs(100));
    let wrap_up = world.view(0).wrap_up.expect("wrapping up");
    assert!(wrap_up.may_extend);
    let (agent, interaction) = (world.agents[0], wrap_up.interaction);
    use crate::domain::{live::DeskCommand, switch::Input};
    world.input(Input::Desk(DeskCommand::ExtendWrapUp { agent, interaction }));
    world.input(Input::Desk(DeskCommand::ExtendWrapUp { agent, interaction }));
    assert_eq!(world.switch.counters().get(Counter::StaleDesk), 1);
    world.run(Duration::from_secs(110));
    assert!(world.view(0).wrap_up.is_some_and(|wrap_up| !wrap_up.may_extend));
    world.run(Duration::from_secs(20));
    assert!(world.view(0).wrap_up.is_none());
    assert_eq!(work_items(&world), [WorkItemKind::NotWrappedUp]);
    world.assert_comes_to_rest();
}

impl World {
    /// The caller hangs up, the agents wrap up, and nothing is left.
    pub fn assert_comes_to_rest_after_hang_up(&mut self, caller: usize) {
        self.run(Duration::from_secs(1));
        let now = self.now.mono;
        self.peers[caller].hang_up(now);
        self.assert_comes_to_rest();
    }
}
