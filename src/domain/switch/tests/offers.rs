//! Offer and answer in a call, a row each: what a peer may offer again, what we answer, what the media plan becomes.

use std::time::Duration;

use super::{queue::talking, world::World};
use crate::{
    domain::{
        media::plan::{Format, MediaPlan},
        switch::Limits,
    },
    protocol::sip::{build::Body, field::Method},
};

fn plan(world: &World) -> MediaPlan {
    world.plans.values().next_back().expect("planned").0.clone()
}

fn sdp(lines: &str) -> Body {
    let lines = lines.replace(" | ", "\r\n");
    Body::sdp(format!("v=0\r\no=- 7 9 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n{lines}\r\n"))
}

/// Status; m-lines of our answer, our port as P; codec, payload types of audio and keys; RTP address and RTCP port; longest packet;
/// how many hear somebody. Of a refusal: status and Warning code.
fn summary(world: &World, caller: usize, method: &Method) -> String {
    let kind = world.peers[caller].heard().into_iter().rfind(|heard| heard.ends_with(&format!(" {method}"))).expect("answered");
    let text = world.peers[caller].last(&kind).expect("answered");
    let status = kind.split(' ').next().expect("status").to_owned();
    if status != "200" {
        let warning = text.lines().find_map(|line| line.strip_prefix("Warning: ")).and_then(|value| value.split(' ').next());
        return format!("{status}; {}", warning.expect("why"));
    }
    let plan = plan(world);
    let leg = &plan.legs[0];
    let port = format!(" {} ", leg.ports.rtp_port);
    let media: Vec<String> = text.lines().filter(|line| line.starts_with("m=")).map(|line| line.replace(&port, " P ")).collect();
    let remote = leg.remote.map_or("-".to_owned(), |remote| format!("{}/{}", remote.rtp, remote.rtcp.port()));
    let keys = leg.telephone_event.map_or("-".to_owned(), |number| number.to_string());
    let (codec, number, longest, hear) = (leg.codec, leg.payload_type, leg.max_ptime_ms, plan.hears.len());
    format!("200; {}; {codec:?} {number} {keys}; {remote}; {longest}; {hear}", media.join(" | "))
}

const ROWS: &[(&str, &str, &str)] = &[
    (
        "the same again",
        "m=audio 7100 RTP/AVP 0 8 101 | a=rtpmap:101 telephone-event/8000",
        "200; m=audio P RTP/AVP 0 101; Pcmu 0 101; 203.0.113.5:7100/7101; 60; 2",
    ),
    (
        "video beside",
        "m=audio 7100 RTP/AVP 0 | m=video 7200 RTP/AVP 31",
        "200; m=audio P RTP/AVP 0 | m=video 0 RTP/AVP 31; Pcmu 0 -; 203.0.113.5:7100/7101; 60; 2",
    ),
    (
        "video first",
        "m=video 7200 RTP/AVP 31 | m=audio 7100 RTP/AVP 0",
        "200; m=video 0 RTP/AVP 31 | m=audio P RTP/AVP 0; Pcmu 0 -; 203.0.113.5:7100/7101; 60; 2",
    ),
    (
        "a second audio",
        "m=audio 7100 RTP/AVP 0 | m=audio 7300 RTP/AVP 8",
        "200; m=audio P RTP/AVP 0 | m=audio 0 RTP/AVP 8; Pcmu 0 -; 203.0.113.5:7100/7101; 60; 2",
    ),
    ("T.38 alone: the audio stays", "m=image 7400 udptl t38", "488; 304"),
    ("T.38 and the audio off: the audio stays", "m=audio 0 RTP/AVP 0 | m=image 7400 udptl t38", "488; 304"),
    ("SAVP alone", "m=audio 7100 RTP/SAVP 0", "488; 302"),
    ("no codec of ours", "m=audio 7100 RTP/AVP 18 9", "488; 305"),
    ("a host name", "m=audio 7100 RTP/AVP 0 | c=IN IP4 media.example.com", "488; 300"),
    (
        "c= of the stream",
        "m=audio 7100 RTP/AVP 0 | c=IN IP4 203.0.113.77",
        "200; m=audio P RTP/AVP 0; Pcmu 0 -; 203.0.113.77:7100/7101; 60; 2",
    ),
    ("a=rtcp", "m=audio 7100 RTP/AVP 0 | a=rtcp:7777", "200; m=audio P RTP/AVP 0; Pcmu 0 -; 203.0.113.5:7100/7777; 60; 2"),
    ("hold: sendonly", "m=audio 7100 RTP/AVP 0 | a=sendonly", "200; m=audio P RTP/AVP 0; Pcmu 0 -; 203.0.113.5:7100/7101; 60; 0"),
    ("hold: inactive", "m=audio 7100 RTP/AVP 0 | a=inactive", "200; m=audio P RTP/AVP 0; Pcmu 0 -; 203.0.113.5:7100/7101; 60; 0"),
    ("hold: 0.0.0.0", "m=audio 7100 RTP/AVP 0 | c=IN IP4 0.0.0.0", "200; m=audio P RTP/AVP 0; Pcmu 0 -; -; 60; 0"),
    ("A-law from now on", "m=audio 7100 RTP/AVP 8", "200; m=audio P RTP/AVP 8; Pcma 8 -; 203.0.113.5:7100/7101; 60; 2"),
    (
        "a codec under a dynamic number",
        "m=audio 7100 RTP/AVP 97 | a=rtpmap:97 PCMU/8000",
        "200; m=audio P RTP/AVP 97; Pcmu 97 -; 203.0.113.5:7100/7101; 60; 2",
    ),
    (
        "keys under another number",
        "m=audio 7100 RTP/AVP 0 96 | a=rtpmap:96 telephone-event/8000",
        "200; m=audio P RTP/AVP 0 96; Pcmu 0 96; 203.0.113.5:7100/7101; 60; 2",
    ),
    (
        "odd packet times",
        "m=audio 7100 RTP/AVP 0 | a=ptime:33 | a=maxptime:30 | a=maxptime:45",
        "200; m=audio P RTP/AVP 0; Pcmu 0 -; 203.0.113.5:7100/7101; 30; 2",
    ),
];

#[test]
fn every_offer_of_the_table_is_answered_and_planned_as_the_table_says() {
    for (seed, (case, offer, expected)) in (1u64..).zip(ROWS) {
        for method in [Method::Invite, Method::Update] {
            let (mut world, caller) = talking(1, seed);
            let before = plan(&world);
            let now = world.now.mono;
            world.peers[caller].in_dialog(now, method.clone(), |request| request.body = Some(sdp(offer)));
            world.run(Duration::from_secs(1));
            assert_eq!(summary(&world, caller, &method), *expected, "{case}, by {method}");
            let after = plan(&world);
            if expected.starts_with("488") {
                assert_eq!(after, before, "{case}: nothing changed");
            }
            assert_eq!(after.legs[0].codec, after.legs[1].codec, "{case}: the other side speaks it too, nothing is coded twice");
            world.assert_comes_to_rest_after_hang_up(caller);
        }
    }
}

#[test]
fn after_a_hold_of_any_kind_the_call_is_resumed() {
    for hold in ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"] {
        let (mut world, caller) = talking(1, 60);
        for (offer, hear) in [(format!("m=audio 7100 RTP/AVP 0 | {hold}"), 0), ("m=audio 7100 RTP/AVP 0".to_owned(), 2)] {
            let now = world.now.mono;
            world.peers[caller].in_dialog(now, Method::Invite, |request| request.body = Some(sdp(&offer)));
            world.run(Duration::from_secs(1));
            assert_eq!(plan(&world).hears.len(), hear, "{offer}");
        }
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn the_version_of_our_description_grows_by_one_and_only_with_a_change() {
    let (mut world, caller) = talking(1, 61);
    let version = |world: &World| {
        let text = world.peers[caller].last("200 INVITE").expect("answered");
        text.split("o=- ").nth(1).and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok()).expect("o=")
    };
    let mut before = version(&world);
    for (offer, grows) in [
        ("m=audio 7100 RTP/AVP 0 | a=sendonly", 1),
        ("m=audio 7100 RTP/AVP 0 | a=sendonly", 0),
        ("m=audio 7102 RTP/AVP 0 | a=sendonly", 0),
        ("m=audio 7102 RTP/AVP 0", 1),
        ("m=audio 7102 RTP/AVP 0 | m=video 0 RTP/AVP 31", 1),
    ] {
        let now = world.now.mono;
        world.peers[caller].in_dialog(now, Method::Invite, |request| request.body = Some(sdp(offer)));
        world.run(Duration::from_secs(1));
        assert_eq!(version(&world), before + grows, "{offer}");
        before = version(&world);
    }
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_phone_may_switch_inside_what_it_answered() {
    let (mut world, caller) = talking(1, 62);
    let audio = |n: usize| {
        let accepts = plan(&world).legs[n].accepts.clone();
        accepts.iter().filter(|format| matches!(format.format, Format::Audio(_))).map(|format| format.payload_type).collect::<Vec<_>>()
    };
    assert_eq!(audio(1), [0, 8], "the phone answered both");
    assert_eq!(audio(0), [0], "we answered one");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_call_beyond_the_limit_is_refused_before_anything_is_promised_to_media() {
    let mut config = super::world::config(40);
    config.limits = Limits { max_calls: 1, ..Limits::default() };
    let mut world = World::with(2, 63, config);
    world.ready();
    let first = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(10), |world| world.peers[first].is_up());
    let second = world.incoming("+442071234568");
    world.run(Duration::from_secs(2));
    assert_eq!(world.peers[second].status, Some(503));
    assert_eq!(world.plans.len(), 1);
    world.assert_comes_to_rest_after_hang_up(first);
}
