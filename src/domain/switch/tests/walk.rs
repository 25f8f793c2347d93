//! Loss and mistakes of ours: whatever happens, everything comes to rest with one owner each.

use std::time::Duration;

use super::{queue::ended, world::World};
use crate::{
    domain::{
        fact::{EndCause, Fact},
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
