//! Hold, resume and everything else that a peer may offer again, as seen in plans, segments and answers.

use std::time::Duration;

use super::{
    peer::OnInvite,
    queue::{ended, talking},
    world::{CALLED, World},
};
use crate::{
    domain::{
        fact::{EndCause, Fact, SegmentKind},
        media::plan::{Codec, MediaPlan, RecordingPlan},
        switch::Counter,
    },
    protocol::sip::{
        build::{Body, Header, NumberHeader, TokensHeader},
        field::{Method, Token},
    },
};

fn plan(world: &World) -> MediaPlan {
    world.plans.values().next_back().expect("planned").0.clone()
}

fn segments(world: &World) -> Vec<SegmentKind> {
    let kinds = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::SegmentOpened { agent: None, kind, .. } => Some(*kind),
        _ => None,
    });
    kinds.collect()
}

fn answer(world: &World, peer: usize) -> String {
    world.peers[peer].last("200 INVITE").expect("answered")
}

#[test]
fn the_agent_holds_and_resumes_and_only_the_segments_and_the_plan_change() {
    let (mut world, caller) = talking(1, 1);
    let heard_before = world.peers[caller].heard().len();
    let now = world.now.mono;
    world.peers[0].reinvite(now, "sendonly");
    world.run(Duration::from_secs(3));
    assert!(answer(&world, 0).contains("a=recvonly"));
    let held = plan(&world);
    assert!(held.hears.is_empty());
    assert!(held.legs.iter().all(|leg| matches!(leg.recording, RecordingPlan::Paused(_))), "nothing is kept on hold");
    assert!(!held.legs[1].send && !held.legs[1].receive && held.legs[0].receive);
    let view = world.view(0).call.expect("talks");
    assert!(view.held_since.is_some() && !view.recording);
    let now = world.now.mono;
    world.peers[0].reinvite(now, "sendrecv");
    world.run(Duration::from_secs(1));
    let resumed = plan(&world);
    assert_eq!(resumed.hears.len(), 2);
    assert!(resumed.legs.iter().all(|leg| matches!(leg.recording, RecordingPlan::On(_))));
    assert_eq!(resumed.generation, held.generation + 1);
    assert_eq!(world.peers[caller].heard().len(), heard_before, "the customer's side is told nothing");
    use SegmentKind::{Hold, Queue, Talk};
    assert_eq!(segments(&world), [Queue, Talk, Hold, Talk]);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn both_hold_and_only_when_both_are_back_they_talk() {
    let (mut world, caller) = talking(1, 2);
    for (peer, direction, holds) in [(caller, "inactive", true), (0, "sendonly", true), (caller, "sendrecv", true), (0, "sendrecv", false)]
    {
        let now = world.now.mono;
        world.peers[peer].reinvite(now, direction);
        world.run(Duration::from_secs(1));
        assert_eq!(plan(&world).hears.is_empty(), holds, "{direction}");
    }
    assert_eq!(segments(&world).iter().filter(|kind| **kind == SegmentKind::Hold).count(), 1);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_old_phone_holds_by_the_address_zero() {
    let (mut world, caller) = talking(1, 3);
    let now = world.now.mono;
    let text = "v=0\r\no=- 1 9 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0 8\r\n";
    world.peers[0].in_dialog(now, Method::Invite, |request| request.body = Some(Body::sdp(text)));
    world.run(Duration::from_secs(1));
    assert!(plan(&world).hears.is_empty());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_new_address_is_planned_and_the_same_offer_again_changes_nothing_but_the_generation() {
    let (mut world, caller) = talking(1, 4);
    let before = plan(&world);
    let now = world.now.mono;
    world.peers[caller].reinvite(now, "sendrecv");
    world.run(Duration::from_secs(1));
    let same = plan(&world);
    assert_eq!(same.legs[0].remote, before.legs[0].remote, "same address, same epoch");
    let now = world.now.mono;
    let moved = "v=0\r\no=- 1 9 IN IP4 203.0.113.77\r\ns=-\r\nc=IN IP4 203.0.113.77\r\nt=0 0\r\nm=audio 4444 RTP/AVP 0 8 101\r\n";
    world.peers[caller].in_dialog(now, Method::Update, |request| request.body = Some(Body::sdp(moved)));
    world.run(Duration::from_secs(1));
    let remote = plan(&world).legs[0].remote.expect("known");
    assert_eq!((remote.rtp.to_string().as_str(), remote.epoch), ("203.0.113.77:4444", 2));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_re_invite_without_an_offer_gets_ours_and_the_ack_brings_the_answer() {
    let (mut world, caller) = talking(1, 5);
    let generation = plan(&world).generation;
    let now = world.now.mono;
    world.peers[caller].in_dialog(now, Method::Invite, |_| {});
    world.run(Duration::from_secs(1));
    assert!(answer(&world, caller).contains("m=audio"));
    assert!(plan(&world).generation > generation);
    assert_eq!(plan(&world).hears.len(), 2);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_caller_without_an_offer_gets_ours_in_the_200() {
    let mut world = World::new(1, 6);
    world.peers[0].formats = "0 101";
    world.ready();
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| invite.body = None);
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    world.run(Duration::from_secs(1));
    assert!(answer(&world, caller).contains("RTP/AVP 0 8 101"), "the agent's codec first: {}", answer(&world, caller));
    assert!(plan(&world).legs.iter().all(|leg| leg.remote.is_some() && leg.codec == Codec::Pcmu));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_offer_that_crosses_ours_gets_491() {
    let mut world = World::new(1, 7);
    world.ready();
    let caller = world.caller("+442071234567");
    world.peers[caller].acks = false;
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| invite.body = None);
    world.until("200", Duration::from_secs(5), |world| world.peers[caller].heard().contains(&"200 INVITE".to_owned()));
    let text = world.peers[caller].last("200 INVITE").expect("answered");
    world.peers[caller].adopt(&text);
    let now = world.now.mono;
    world.peers[caller].reinvite(now, "sendonly");
    world.run(Duration::from_secs(1));
    assert_eq!(world.switch.counters().get(Counter::Glare), 1);
    assert!(world.peers[caller].heard().contains(&"491 INVITE".to_owned()));
    world.run(Duration::from_secs(60));
    assert_eq!(ended(&world), [EndCause::SignallingLost], "the answer never came");
    world.assert_comes_to_rest();
}

#[test]
fn the_callers_codec_comes_first_and_both_sides_agree_on_it() {
    for (formats, codec) in [("8 0 101", Codec::Pcma), ("0 8 101", Codec::Pcmu)] {
        let mut world = World::new(1, 8);
        world.ready();
        let caller = world.caller("+442071234567");
        world.peers[caller].formats = formats;
        let now = world.now.mono;
        world.peers[caller].call(now, CALLED, |_| {});
        world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
        world.run(Duration::from_millis(100));
        let offered = world.peers[0].last("INVITE").expect("rang");
        assert!(offered.contains(&format!("RTP/AVP {formats}")), "{offered}");
        // The phone's own order may decide otherwise: then the bridge stands between.
        let near = plan(&world).legs[0].codec;
        let far = plan(&world).legs[1].codec;
        assert_eq!(near, far, "offered {formats}");
        let _ = codec;
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn a_fax_offer_is_refused_and_the_audio_stays() {
    let (mut world, caller) = talking(1, 9);
    let before = plan(&world);
    let fax = "v=0\r\no=- 1 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=image 5000 udptl t38\r\n";
    let now = world.now.mono;
    world.peers[caller].in_dialog(now, Method::Invite, |request| request.body = Some(Body::sdp(fax)));
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[caller].status, Some(488));
    assert_eq!(plan(&world), before);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_session_that_its_peer_does_not_refresh_ends() {
    let mut world = World::new(1, 10);
    world.ready();
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| {
        invite.headers.push(Header::Tokens(TokensHeader::Supported, vec![Token::new("timer").expect("token")]));
        invite.headers.push(Header::SessionExpires(120, None));
    });
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    assert!(answer(&world, caller).contains("Session-Expires: 120;refresher=uac"), "{}", answer(&world, caller));
    world.run(Duration::from_secs(100));
    let now = world.now.mono;
    world.peers[caller].in_dialog(now, Method::Update, |request| {
        request.headers.push(Header::Tokens(TokensHeader::Supported, vec![Token::new("timer").expect("token")]));
        request.headers.push(Header::SessionExpires(120, None));
    });
    world.run(Duration::from_secs(100));
    assert!(world.peers[caller].is_up(), "refreshed");
    world.run(Duration::from_secs(30));
    assert_eq!(ended(&world), [EndCause::SignallingLost]);
    world.assert_comes_to_rest();
}

#[test]
fn a_session_interval_that_is_too_short_is_422() {
    let mut world = World::new(1, 11);
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| {
        invite.headers.push(Header::Tokens(TokensHeader::Supported, vec![Token::new("timer").expect("token")]));
        invite.headers.push(Header::SessionExpires(30, None));
        invite.headers.push(Header::Number(NumberHeader::MinSe, 30));
    });
    world.run(Duration::from_secs(1));
    assert_eq!(world.peers[caller].status, Some(422));
    assert!(world.peers[caller].last("422 INVITE").expect("refused").contains("Min-SE: 90"));
}

#[test]
fn a_hold_that_never_ends_is_ended() {
    let (mut world, caller) = talking(1, 12);
    let now = world.now.mono;
    world.peers[caller].reinvite(now, "inactive");
    world.run(Duration::from_secs(1805));
    assert_eq!(ended(&world), [EndCause::Limit]);
    world.assert_comes_to_rest();
}

#[test]
fn other_requests_in_the_dialog_are_answered() {
    let (mut world, caller) = talking(1, 13);
    for (method, status) in [(Method::Options, "200 OPTIONS"), (Method::Info, "200 INFO"), (Method::Refer, "405 REFER")] {
        let now = world.now.mono;
        world.peers[caller].in_dialog(now, method, |_| {});
        world.run(Duration::from_secs(1));
        assert!(world.peers[caller].heard().contains(&status.to_owned()), "{status}");
    }
    assert!(world.peers[caller].last("405 REFER").expect("refused").contains("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO"));
    world.peers[0].on_invite = OnInvite::Ring;
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn comfort_noise_is_offered_to_a_phone_whose_caller_offered_it_and_planned_where_it_was_answered() {
    let rows = [
        ("8 0 13 101", "8 13 101", [Some(13), Some(13)]),
        ("8 0 13 101", "8 101", [Some(13), None]),
        ("8 0 101", "8 13 101", [None, None]),
    ];
    for (caller_speaks, phone_speaks, planned) in rows {
        let mut world = World::new(1, 14);
        world.peers[0].formats = phone_speaks;
        world.ready();
        let caller = world.caller("+442071234567");
        world.peers[caller].formats = caller_speaks;
        let now = world.now.mono;
        world.peers[caller].call(now, CALLED, |_| {});
        world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
        world.run(Duration::from_millis(100));
        let offered = world.peers[0].last("INVITE").expect("rang");
        let line = format!("RTP/AVP {caller_speaks}\r\n");
        assert!(offered.contains(&line), "{caller_speaks}: {offered}");
        assert_eq!(answer(&world, caller).contains("a=rtpmap:13 CN/8000"), planned[0].is_some());
        assert_eq!([0, 1].map(|leg| plan(&world).legs[leg].comfort_noise), planned, "{caller_speaks} and {phone_speaks}");
        let accepts = |leg: usize| plan(&world).legs[leg].accepts.iter().any(|known| known.payload_type == 13);
        assert_eq!([0, 1].map(accepts), planned.map(|planned| planned.is_some()));
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn the_policy_says_which_calls_are_recorded_and_whether_holds_are() {
    use crate::domain::switch::RecordPolicy::{All, External, None as Nothing};
    for (policy, on_hold, external, internal) in
        [(External, false, true, false), (All, false, true, true), (Nothing, false, false, false), (All, true, true, true)]
    {
        for (is_internal, recorded) in [(false, external), (true, internal)] {
            let mut config = super::world::config(40);
            (config.policy.record, config.policy.record_on_hold) = (policy, on_hold);
            let mut world = World::with(2, 30, config);
            world.ready();
            let now = world.now.mono;
            let caller = match is_internal {
                true => 0,
                false => world.caller("+442071234567"),
            };
            world.peers[caller].call(now, if is_internal { "201" } else { CALLED }, |_| {});
            let answers = |world: &World| (0..2).find(|n| *n != caller && world.peers[*n].is_up());
            world.until("talk", Duration::from_secs(10), |world| world.peers[caller].is_up() && answers(world).is_some());
            world.run(Duration::from_millis(100));
            let on = |world: &World| plan(world).legs.iter().filter(|leg| matches!(leg.recording, RecordingPlan::On(_))).count();
            let tracks = |world: &World| world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::RecordingOpened { .. })).count();
            let row = format!("{policy:?}, holds {on_hold}, internal {is_internal}");
            assert_eq!((on(&world), tracks(&world)), if recorded { (2, 2) } else { (0, 0) }, "{row}");
            let (agent, now) = (answers(&world).expect("answered"), world.now.mono);
            world.peers[agent].reinvite(now, "sendonly");
            world.run(Duration::from_secs(1));
            assert!(plan(&world).hears.is_empty(), "{row}: held");
            assert_eq!(on(&world), if recorded && on_hold { 2 } else { 0 }, "{row}: held");
            world.assert_comes_to_rest_after_hang_up(caller);
        }
    }
}
