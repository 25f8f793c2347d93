//! Callers hear where they stand: once it is clear that they wait, then from time to time, never into other words.

use std::time::Duration;

use super::{
    queue_waiting::{SECOND, hears, house, make_ready, plan, queue, sound, sounds},
    world::{CLIP, World},
};
use crate::domain::{
    fact::SoundKind,
    media::clip::ClipId,
    routing::{Places, Queue, Sounds},
};

const EVERY: Duration = Duration::from_secs(30);

fn placed() -> Queue {
    let numbered = vec![sound(11, "next").expect("a sound"), sound(12, "two").expect("a sound")];
    let plain = queue("support");
    let places = Some(Places { numbered, more: sound(13, "more") });
    Queue { sounds: Sounds { places, ..plain.sounds.clone() }, place_every: Some(EVERY), ..plain }
}

fn kinds(world: &World) -> Vec<SoundKind> {
    sounds(world).into_iter().map(|(kind, ..)| kind).collect()
}

#[test]
fn each_caller_hears_their_own_place_after_the_announcement_and_then_music() {
    let mut world = house(1, 1, vec![placed()]);
    for number in ["+442071234567", "+442071234568", "+442071234569"] {
        let caller = world.incoming(number);
        world.until("answered", SECOND, |world| world.peers[caller].is_up());
    }
    assert_eq!((0..3).map(|n| hears(&world, n)).collect::<Vec<_>>(), [Some(ClipId(0)); 3], "the announcement first");
    world.run(CLIP);
    let heard: Vec<_> = (0..3).map(|n| hears(&world, n)).collect();
    assert_eq!(heard, [Some(ClipId(11)), Some(ClipId(12)), Some(ClipId(13))]);
    assert!(!plan(&world, 0).sources[0].looped);
    world.run(CLIP + SECOND);
    assert_eq!(hears(&world, 2), Some(ClipId(1)));
}

#[test]
fn a_place_is_told_again_as_the_line_moves_and_the_music_goes_on_where_it_stopped() {
    let mut world = house(1, 2, vec![placed()]);
    let first = world.incoming("+442071234567");
    let second = world.incoming("+442071234568");
    world.until("both answered", SECOND, |world| world.peers[first].is_up() && world.peers[second].is_up());
    world.run(2 * CLIP + SECOND);
    let now = world.now.mono;
    world.peers[first].hang_up(now);
    world.run(SECOND);
    assert_eq!(hears(&world, 1), Some(ClipId(1)), "nobody is interrupted for it");
    world.until("the place", EVERY, |world| hears(world, 1) == Some(ClipId(11)));
    world.until("music again", 2 * CLIP, |world| hears(world, 1) == Some(ClipId(1)));
    let start_ms = u128::from(plan(&world, 1).sources[0].start_ms);
    let heard = EVERY - CLIP;
    assert!(start_ms.abs_diff(heard.as_millis()) < 1_500, "{start_ms} of {heard:?}");
    world.until("the place again, though it is the same", EVERY, |world| hears(world, 1) == Some(ClipId(11)));
    world.run(CLIP + SECOND);
    use SoundKind::{Announcement, Music, Place};
    let kinds = kinds(&world);
    assert_eq!(kinds.iter().filter(|kind| **kind == Announcement).count(), 2, "one each");
    assert_eq!(kinds.iter().filter(|kind| **kind == Place).count(), 4, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == Music).count(), 4, "{kinds:?}");
}

#[test]
fn no_place_is_told_while_an_agents_phone_rings_and_it_is_told_after_when_nobody_answers() {
    let mut world = house(1, 3, vec![placed()]);
    let caller = world.incoming("+442071234567");
    world.until("answered", SECOND, |world| world.peers[caller].is_up());
    world.run(2 * CLIP + SECOND);
    world.peers[0].on_invite = super::peer::OnInvite::Ring;
    world.run(EVERY - 8 * SECOND);
    make_ready(&mut world, 0);
    world.until("offered", SECOND, |world| world.view(0).offer.is_some());
    let offered = world.now.mono;
    while world.view(0).offer.is_some() {
        assert_eq!(hears(&world, 0), Some(ClipId(1)), "music while it rings");
        world.run(SECOND);
    }
    assert!(world.now.mono - offered > 10 * SECOND, "it rang past the time for the place");
    world.run(SECOND);
    assert_eq!(hears(&world, 0), Some(ClipId(11)));
}

#[test]
fn a_place_may_be_told_once_and_where_there_are_no_words_none_is_told() {
    let once = Queue { place_every: None, ..placed() };
    let mut world = house(1, 4, vec![once]);
    let caller = world.incoming("+442071234567");
    world.until("answered", SECOND, |world| world.peers[caller].is_up());
    world.run(10 * EVERY);
    assert_eq!(kinds(&world), [SoundKind::Announcement, SoundKind::Place, SoundKind::Music]);

    let far = Queue { sounds: Sounds { places: Some(Places::default()), ..placed().sounds }, ..placed() };
    let mut world = house(1, 5, vec![far]);
    let caller = world.incoming("+442071234567");
    world.until("answered", SECOND, |world| world.peers[caller].is_up());
    world.run(5 * EVERY);
    assert_eq!(kinds(&world), [SoundKind::Announcement, SoundKind::Music], "the music is not begun anew for nothing");
}

#[test]
fn the_board_says_how_long_it_may_take_by_half_minutes_and_nothing_where_nobody_is_there() {
    let mut world = house(2, 6, vec![placed()]);
    for number in ["+442071234567", "+442071234568", "+442071234569"] {
        world.incoming(number);
    }
    world.run(2 * SECOND);
    let estimates = |world: &World| world.switch.board_now().callers.iter().map(|caller| caller.estimate_ms).collect::<Vec<_>>();
    assert_eq!(estimates(&world), [None; 3]);
    assert_eq!(world.switch.queue_views()[0].estimate_ms, None);
    world.peers[0].on_invite = super::peer::OnInvite::Ring;
    make_ready(&mut world, 0);
    world.run(SECOND);
    assert_eq!(estimates(&world), [None, Some(360_000), Some(540_000)], "the first is being offered; three minutes each");
    assert_eq!(world.switch.queue_views()[0].estimate_ms, Some(720_000));
}
