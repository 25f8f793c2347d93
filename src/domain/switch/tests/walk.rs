//! Loss, chance and mistakes of ours: whatever happens, everything comes to rest with one owner each.

use std::time::Duration;

use rand_chacha::rand_core::RngCore;

use super::{peer::OnInvite, queue::ended, world::World};
use crate::{
    domain::{
        fact::{AgentState, EndCause, Fact},
        live::DeskCommand,
        media::plan::{MediaEvent, MediaEventKind},
        switch::Input,
    },
    ids::InteractionId,
};

#[test]
fn a_call_survives_five_percent_loss_in_both_directions() {
    for seed in 0..60 {
        let mut world = World::new(1, seed);
        world.ready();
        world.loss = 50;
        let caller = world.incoming("+442071234567");
        world.until("talk", Duration::from_secs(60), |world| world.peers[caller].is_up() && world.peers[0].is_up());
        world.run(Duration::from_secs(20));
        for direction in ["sendonly", "sendrecv"] {
            let now = world.now.mono;
            world.peers[0].reinvite(now, direction);
            world.run(Duration::from_secs(20));
        }
        assert!(world.peers[caller].is_up() && world.peers[0].is_up(), "seed {seed}: the call was lost");
        assert_eq!(world.plans.values().next().expect("planned").0.hears.len(), 2, "seed {seed}: resumed");
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(Duration::from_secs(40));
        assert!(!world.peers[0].is_up(), "seed {seed}");
        assert_eq!(ended(&world), [EndCause::CustomerHungUp], "seed {seed}");
        world.loss = 0;
        world.assert_comes_to_rest();
    }
}

fn one_of(world: &mut World, n: usize) -> usize {
    usize::try_from(world.rng.next_u32()).expect("64 bit") % n
}

fn random_deed(world: &mut World) {
    let now = world.now.mono;
    let (agents, peers) = (world.agents.len(), world.peers.len());
    let peer = one_of(world, peers);
    let agent_no = one_of(world, agents);
    let agent = world.agents[agent_no];
    match one_of(world, 16) {
        0..=2 => {
            world.incoming("+442071234567");
        }
        3 => world.peers[peer].cancel(now),
        4 | 5 => world.peers[peer].hang_up(now),
        6 => world.peers[peer].reinvite(now, "sendonly"),
        7 => world.peers[peer].reinvite(now, "sendrecv"),
        8 => {
            let kinds = [
                OnInvite::Answer(Duration::from_millis(700)),
                OnInvite::Ring,
                OnInvite::Refuse(486),
                OnInvite::Dead,
                OnInvite::AnswerTwice,
                OnInvite::AnswerNonsense,
            ];
            world.peers[agent_no].on_invite = kinds[one_of(world, kinds.len())];
        }
        9 => {
            let state = [AgentState::Ready, AgentState::Ready, AgentState::NotReady, AgentState::Offline][one_of(world, 4)];
            world.set_state(agent, state);
        }
        10 => {
            let view = world.view(agent_no);
            if let Some(offer) = view.offer {
                world.input(Input::Desk(DeskCommand::Decline { agent, offer: offer.offer }));
            }
            if let Some(call) = view.call {
                world.input(Input::Desk(DeskCommand::HangUp { agent, interaction: call.interaction }));
            }
        }
        11 => world.wrap_up_all(),
        12 => {
            let plans: Vec<_> = world.plans.values().map(|(plan, _)| plan.clone()).collect();
            if let Some(plan) = plans.last() {
                let kind = MediaEventKind::Silent { leg: plan.legs[one_of(world, plan.legs.len())].leg, silent_ms: 30_000 };
                world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation, kind }));
            }
        }
        13 if !world.peers[agent_no].is_up() => {
            let called = format!("{}", 200 + one_of(world, agents));
            world.peers[agent_no].call(now, &called, |_| {});
        }
        _ => world.peers[agent_no].register(now, 300),
    }
}

#[test]
fn a_random_walk_leaves_no_orphan() {
    for seed in 0..40 {
        let mut world = World::new(4, seed);
        world.ready();
        world.loss = if seed % 2 == 0 { 0 } else { 30 };
        for _ in 0..80 {
            random_deed(&mut world);
            let pause = Duration::from_millis(u64::try_from(one_of(&mut world, 1500)).expect("few"));
            world.run(pause);
        }
        world.loss = 0;
        for peer in 0..world.peers.len() {
            let now = world.now.mono;
            world.peers[peer].cancel(now);
            world.peers[peer].hang_up(now);
        }
        world.run(Duration::from_secs(200));
        for peer in 0..world.peers.len() {
            let now = world.now.mono;
            world.peers[peer].hang_up(now);
        }
        world.assert_comes_to_rest();
        let idle = [AgentState::Ready, AgentState::NotReady, AgentState::Offline];
        for agent in 0..world.agents.len() {
            assert!(idle.contains(&world.view(agent).state), "seed {seed}: agent {agent} is still {:?}", world.view(agent).state);
        }
    }
}

pub fn opened(world: &World) -> Vec<InteractionId> {
    let opened = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::InteractionOpened(opened) => Some(opened.interaction),
        _ => None,
    });
    opened.collect()
}

#[test]
fn more_than_five_panics_in_a_minute_make_the_node_not_ready() {
    let mut world = World::new(1, 1);
    world.brief_after = None;
    world.ready();
    for n in 1..=6 {
        assert!(world.switch.is_ready(), "before panic {n}");
        world.incoming("+442071234567");
        world.until("opened", Duration::from_secs(1), |world| opened(world).len() == n);
        let interaction = opened(&world)[n - 1];
        world.input(Input::PanicIn { interaction, after_actions: 0 });
        world.run(Duration::from_secs(2));
    }
    assert!(!world.switch.is_ready());
    assert_eq!(world.switch.board_now().alarms.len(), 1);
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[caller].status, Some(503));
}
