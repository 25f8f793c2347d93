//! The reaper finds what a mistake of ours would leave, says it, lets it go, and harms no call that is well.

use std::time::Duration;

use super::{queue::talking, world::World};
use crate::{
    domain::switch::{Counter, Output, Switch},
    ids::{InteractionId, LegId},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Lets the reaper look; what it found.
fn reaped(world: &mut World) -> Vec<String> {
    world.now = world.now.plus(MINUTE);
    world.switch.handle_timeout(world.now);
    let outputs = std::iter::from_fn(|| world.switch.poll_output());
    outputs.filter_map(|output| if let Output::Mistake(what) = output { Some(what) } else { None }).collect()
}

fn the_call(switch: &Switch) -> InteractionId {
    switch.calls.values().next().expect("one call").id()
}

type Damage = fn(&mut Switch);

#[test]
fn what_has_no_owner_is_found_told_and_let_go_and_the_call_beside_it_goes_on() {
    let damages: [(&str, Damage); 5] = [
        ("in use by no call", |switch| {
            switch.ports.acquire::<1>().expect("ports");
        }),
        ("is indexed without a call", |switch| {
            let nobody = LegId::new(crate::time::UnixMs(1), [1; 10]);
            switch.legs.insert(nobody, the_call(switch));
        }),
        ("is indexed for", |switch| {
            let leg = *switch.dialog_of.keys().next().expect("a leg");
            switch.dialogs.insert(("call".to_owned(), "tag".to_owned()), leg);
        }),
        ("rows of", |switch| {
            let gone = InteractionId::new(crate::time::UnixMs(1), [1; 10]);
            switch.ledgers.insert(gone, super::super::ledger::Ledger::default());
        }),
        ("is not woken", |switch| {
            let call = the_call(switch);
            switch.deadline_of.remove(&call);
        }),
    ];
    for (seed, (sentence, damage)) in (1..).zip(damages) {
        let (mut world, caller) = talking(1, seed);
        assert_eq!(world.switch.inconsistencies(), Vec::<String>::new());
        damage(&mut world.switch);
        let found = reaped(&mut world);
        assert!(!found.is_empty() && found.iter().all(|what| what.contains(sentence)), "{sentence}: {found:?}");
        assert_eq!(world.switch.counters().get(Counter::Orphan), found.len() as u64, "{sentence}");
        assert!(world.switch.board_now().alarms.iter().any(|alarm| format!("{alarm:?}").contains("left behind")), "{sentence}");
        assert_eq!(world.switch.inconsistencies(), Vec::<String>::new(), "{sentence}: let go");
        assert_eq!(reaped(&mut world), Vec::<String>::new());
        assert!(world.switch.board_now().alarms.is_empty(), "{sentence}: the alarm is over");
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(Duration::from_secs(1));
        assert!(world.peers[0].told_goodbye && !world.peers[0].is_up(), "{sentence}: the call was there to be ended");
    }
}

#[test]
fn a_call_that_is_lost_whole_gives_back_its_ports_its_agent_and_its_rows() {
    let (mut world, _) = talking(1, 9);
    let call = the_call(&world.switch);
    drop(world.switch.calls.remove(&call));
    let found = reaped(&mut world);
    for sentence in ["in use by no call", "which does not know it", "is indexed without a call", "rows of"] {
        assert!(found.iter().any(|what| what.contains(sentence)), "{sentence}: {found:?}");
    }
    // What only points at the first findings may need a second look.
    for _ in 0..2 {
        reaped(&mut world);
    }
    assert_eq!(world.switch.inconsistencies(), Vec::<String>::new());
    assert!(world.switch.ledgers.is_empty() && world.switch.ports.in_use().is_empty());
    assert!(world.switch.agents.get(world.agents[0]).is_some_and(|agent| agent.interaction().is_none()), "the agent is free");
}
