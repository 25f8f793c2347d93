//! The wall clock is set while calls and registrations live: nothing that lives by time may notice.

use std::time::Duration;

use super::world::{World, config};
use crate::domain::{
    fact::Fact,
    live::LiveFact,
    switch::{Counter, Input, Switch},
};

const DAY_MS: i64 = 86_400_000;
const JUMPS: [i64; 2] = [DAY_MS, -DAY_MS];

fn set_clock(world: &mut World, by_ms: i64) {
    world.now.wall = world.now.wall.plus_ms(by_ms);
}

fn clock_alarm(world: &World) -> Option<String> {
    let boards = world.live.iter().rev().filter_map(|(_, live)| if let LiveFact::Board(board) = live { Some(board) } else { None });
    boards.into_iter().next()?.alarms.iter().find(|alarm| alarm.contains("clock")).cloned()
}

#[test]
fn a_clock_that_is_set_by_a_day_costs_no_registration() {
    for jump in JUMPS {
        let mut world = World::new(2, 31);
        world.ready();
        world.run(Duration::from_secs(20));
        set_clock(&mut world, jump);
        // The longest that an idle switch sleeps.
        world.run(Duration::from_secs(60));
        assert!(world.view(0).phone_registered && world.view(1).phone_registered);
        assert_eq!(world.switch.counters().get(Counter::ClockSet), 1);
        let caller = world.incoming("+442071234567");
        world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn a_registration_still_ends_by_itself_after_the_clock_was_set() {
    for jump in JUMPS {
        let mut world = World::new(1, 32);
        set_clock(&mut world, jump);
        world.run(Duration::from_secs(200));
        assert!(world.view(0).phone_registered, "it has a while to live");
        world.run(Duration::from_secs(140));
        assert!(!world.view(0).phone_registered, "it was not renewed");
    }
}

#[test]
fn a_call_goes_on_when_the_clock_is_set_and_its_length_is_what_it_was() {
    for jump in JUMPS {
        let mut world = World::new(1, 33);
        world.ready();
        let caller = world.incoming("+442071234567");
        world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
        set_clock(&mut world, jump);
        world.run(Duration::from_secs(30));
        assert!(world.peers[caller].is_up());
        world.assert_comes_to_rest_after_hang_up(caller);
        let ends =
            world.facts.iter().filter_map(|(_, fact)| if let Fact::InteractionEnded { at_ms, .. } = fact { Some(*at_ms) } else { None });
        let ends: Vec<u32> = ends.collect();
        assert!(matches!(ends.as_slice(), [30_000..40_000]), "{ends:?}");
    }
}

#[test]
fn a_nonce_from_before_the_clock_was_set_is_still_good() {
    for jump in JUMPS {
        let mut world = World::new(1, 34);
        let challenged = world.switch.counters().get(Counter::Challenged);
        set_clock(&mut world, jump);
        let now = world.now.mono;
        world.peers[0].register(now, 300);
        world.run(Duration::from_secs(1));
        assert_eq!(world.peers[0].status, Some(200));
        let more = world.switch.counters().get(Counter::Challenged) - challenged;
        assert!(more <= 1, "asked {more} times");
    }
}

#[test]
fn bindings_are_written_anew_so_that_phones_ring_after_a_crash_too() {
    for jump in JUMPS {
        let mut world = World::new(1, 35);
        set_clock(&mut world, jump);
        world.run(Duration::from_secs(60));
        let mut bindings =
            world.facts.iter().filter_map(|(_, fact)| if let Fact::Binding(binding) = fact { Some(binding.clone()) } else { None });
        let last = bindings.next_back().expect("written");
        let left = last.expires_at.0 - world.now.wall.0;
        assert!((190_000..=330_000).contains(&left), "{left}");
        let mut switch = Switch::new(config(40), [9; 32], 2, world.now);
        std::mem::swap(&mut world.switch, &mut switch);
        world.take_people();
        world.input(Input::Bindings(vec![last]));
        assert!(world.view(0).phone_registered);
    }
}

#[test]
fn the_board_says_for_a_while_that_the_clock_was_set() {
    let mut world = World::new(1, 36);
    world.run(Duration::from_secs(1));
    assert_eq!(clock_alarm(&world), None);
    set_clock(&mut world, -DAY_MS);
    world.run(Duration::from_secs(62));
    let alarm = clock_alarm(&world).expect("said");
    assert!(alarm.contains("set back by 24 hours") && alarm.contains("NTP"), "{alarm}");
    world.run(Duration::from_secs(16 * 60));
    assert_eq!(clock_alarm(&world), None);
}
