//! What was measured reaches the record, and the agent's desk while it matters.

use std::time::Duration;

use super::world::World;
use crate::{
    domain::{
        fact::Fact,
        live::CallView,
        media::plan::{LegQuality, MediaEvent, MediaEventKind, MediaPlan, ReportedQuality},
        switch::Input,
    },
    time::UnixMs,
};

fn talking(seed: u64) -> (World, usize, MediaPlan) {
    let mut world = World::new(1, seed);
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up());
    world.run(Duration::from_secs(1));
    let plan = world.plans.values().next().expect("planned").0.clone();
    (world, caller, plan)
}

fn measured(world: &mut World, plan: &MediaPlan, leg: usize, quality: LegQuality) {
    let kind = MediaEventKind::Quality { leg: plan.legs[leg].leg, quality };
    world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation, kind }));
}

fn call(world: &World) -> CallView {
    world.view(0).call.expect("a call")
}

const WELL: LegQuality = LegQuality {
    to_ms: 5_000,
    interval_ms: 5_000,
    received: 250,
    lost: 0,
    bursts: 0,
    jitter_us: 0,
    round_trip_us: None,
    silent_ms: 0,
    peer_alive: true,
    mos_x100: Some(438),
    sent: 250,
    reported: None,
};

#[test]
fn one_way_audio_is_said_at_the_desk_since_when_and_its_end_takes_it_back() {
    let (mut world, caller, plan) = talking(41);
    measured(&mut world, &plan, 0, WELL);
    assert_eq!(call(&world).trouble, None);
    measured(&mut world, &plan, 0, LegQuality { received: 0, mos_x100: None, silent_ms: 6_000, ..WELL });
    let view = call(&world);
    assert!(view.trouble.expect("said").starts_with("No sound from the customer"));
    assert_eq!(view.trouble_since, Some(UnixMs(world.now.wall.0 - 6_000)));
    measured(&mut world, &plan, 0, WELL);
    assert_eq!((call(&world).trouble, call(&world).trouble_since), (None, None));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_customer_who_hears_nothing_is_said_at_the_desk() {
    let (mut world, caller, plan) = talking(42);
    let deaf = Some(ReportedQuality { deaf: true, mos_x100: 438, ..ReportedQuality::default() });
    measured(&mut world, &plan, 0, LegQuality { reported: deaf, ..WELL });
    assert!(call(&world).trouble.expect("said").contains("cannot hear you"));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn poor_sound_shows_while_it_lasts_and_every_interval_is_written() {
    let (mut world, caller, plan) = talking(43);
    measured(&mut world, &plan, 0, LegQuality { received: 220, lost: 30, mos_x100: Some(320), ..WELL });
    let sound = call(&world).sound.expect("poor");
    assert_eq!((sound.mos_x100, sound.text.as_str()), (320, "Customer hard to hear: 12 % lost"));
    measured(&mut world, &plan, 0, LegQuality { to_ms: 10_000, ..WELL });
    assert_eq!(call(&world).sound, None);
    let written = world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::LegQuality { .. })).count();
    assert_eq!(written, 2);
    let mut text = String::new();
    world.switch.write_scores(&mut text);
    assert!(text.contains("throughline_leg_mos_bucket{trunk=\"carrier\",party=\"customer\",le=\"3.60\"} 1"), "{text}");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn what_was_measured_under_an_older_plan_is_still_true() {
    let (mut world, caller, plan) = talking(44);
    let kind = MediaEventKind::Quality { leg: plan.legs[0].leg, quality: WELL };
    world.input(Input::Media(MediaEvent { call: plan.call, generation: plan.generation - 1, kind }));
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::LegQuality { .. })));
    world.assert_comes_to_rest_after_hang_up(caller);
}
