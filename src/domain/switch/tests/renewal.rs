//! Offers of ours in a dialog: the other side's codec, refreshes, and glare both ways (RFC 3261 §14.1, RFC 4028).

use std::time::Duration;

use super::{
    queue::{ended, talking},
    world::{CALLED, World},
};
use crate::{
    domain::{fact::EndCause, media::plan::Codec, switch::Counter},
    protocol::sip::{
        build::{Header, Refresher, TokensHeader},
        field::{Method, Token},
    },
};

fn tokens(kind: TokensHeader, names: &[&str]) -> Header {
    Header::Tokens(kind, names.iter().map(|name| Token::new(name).expect("token")).collect())
}

fn codecs(world: &World) -> Vec<Codec> {
    world.plans.values().next_back().expect("planned").0.legs.iter().map(|leg| leg.codec).collect()
}

/// A call whose caller speaks PCMU alone, and whose phone answers PCMA although PCMU was offered first.
fn with_two_codecs(seed: u64, refuses: &[(Method, u16)]) -> (World, usize) {
    let (mut world, caller) = dialling(seed, refuses);
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up() && world.peers[0].is_up());
    (world, caller)
}

/// The same before the phone answers.
fn dialling(seed: u64, refuses: &[(Method, u16)]) -> (World, usize) {
    let mut world = World::new(1, seed);
    world.peers[0].formats = "8 0 101";
    world.peers[0].refuses = refuses.to_vec();
    world.ready();
    let caller = world.caller("+442071234567");
    world.peers[caller].formats = "0 101";
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |_| {});
    (world, caller)
}

#[test]
fn a_phone_that_chose_another_codec_is_asked_for_the_callers() {
    let (mut world, caller) = with_two_codecs(1, &[]);
    world.run(Duration::from_secs(1));
    let offers = world.peers[0].all("INVITE");
    assert_eq!(offers.len(), 2, "one to ring, one to change the codec");
    assert!(offers[1].contains("RTP/AVP 0 101\r\n"), "{}", offers[1]);
    let version = |text: &str| text.split("o=- ").nth(1).and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok()).expect("o=");
    assert_eq!(version(&offers[1]), version(&offers[0]) + 1);
    assert_eq!(codecs(&world), [Codec::Pcmu, Codec::Pcmu]);
    assert_eq!((world.peers[0].count("ACK"), world.switch.counters().get(Counter::CodecAsked)), (2, 1));
    assert_eq!(world.peers[caller].count("INVITE"), 0, "the caller is told nothing");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_phone_that_refuses_keeps_its_codec_and_is_not_asked_again() {
    let (mut world, caller) = with_two_codecs(2, &[(Method::Invite, 488)]);
    world.run(Duration::from_secs(1));
    assert_eq!(codecs(&world), [Codec::Pcmu, Codec::Pcma], "the bridge stands between");
    let now = world.now.mono;
    world.peers[caller].reinvite(now, "sendrecv");
    world.run(Duration::from_secs(10));
    assert_eq!(world.peers[0].count("INVITE"), 2, "asked once");
    assert!(world.peers[0].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_phone_that_never_named_the_codec_is_not_asked_for_it() {
    let mut world = World::new(1, 14);
    world.peers[0].formats = "8 101";
    world.ready();
    let caller = world.caller("+442071234567");
    world.peers[caller].formats = "0 101";
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |_| {});
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up() && world.peers[0].is_up());
    world.run(Duration::from_secs(5));
    assert_eq!((codecs(&world), world.peers[0].count("INVITE")), (vec![Codec::Pcmu, Codec::Pcma], 1), "the bridge stands between");
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn ours_is_sent_again_after_glare_by_the_timers_of_the_rfc() {
    for seed in 0..30 {
        let (mut world, caller) = with_two_codecs(seed, &[(Method::Invite, 491)]);
        world.run(Duration::from_secs(5));
        let at: Vec<_> = world.peers[0].inbox.iter().filter(|(_, bytes)| bytes.starts_with(b"INVITE")).map(|(at, _)| *at).collect();
        assert_eq!(at.len(), 3, "seed {seed}");
        let waited = (at[2] - at[1]).as_millis();
        assert!((2_100..4_020).contains(&waited), "we own the Call-ID: 2.1 to 4 s, not {waited} ms, seed {seed}");
        assert_eq!((codecs(&world), world.switch.counters().get(Counter::GlareRetried)), (vec![Codec::Pcmu; 2], 1));
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn glare_that_never_ends_is_given_up_and_the_call_goes_on() {
    let refusals = vec![(Method::Invite, 491); 20];
    let (mut world, caller) = with_two_codecs(3, &refusals);
    world.run(Duration::from_secs(60));
    assert_eq!(world.peers[0].count("INVITE"), 1 + 5, "five tries");
    assert!(world.peers[0].is_up() && world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn two_offers_that_cross_on_the_wire_are_both_refused_and_both_come_again() {
    let (mut world, caller) = dialling(4, &[]);
    while !world.peers[0].is_up() {
        world.run(Duration::from_millis(1));
    }
    // Its 200 is on its way (2 ms), ours follows at once; the phone holds before it has seen ours.
    world.run(Duration::from_millis(1));
    let now = world.now.mono;
    world.peers[0].refuses = vec![(Method::Invite, 491)];
    world.peers[0].reinvite(now, "sendonly");
    world.run(Duration::from_millis(200));
    assert!(world.peers[0].heard().contains(&"491 INVITE".to_owned()), "{:?}", world.peers[0].heard());
    assert_eq!(world.switch.counters().get(Counter::Glare), 1);
    let now = world.now.mono;
    world.peers[0].reinvite(now, "sendonly");
    world.run(Duration::from_secs(6));
    assert!(world.plans.values().next_back().expect("planned").0.hears.is_empty(), "its hold came through between");
    assert!(world.peers[0].is_up() && world.peers[caller].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_re_invite_of_ours_that_finds_no_dialog_ends_the_call() {
    for status in [481, 408] {
        let (mut world, caller) = with_two_codecs(5, &[(Method::Invite, status)]);
        world.run(Duration::from_secs(1));
        assert_eq!(ended(&world), [EndCause::SignallingLost], "{status}");
        assert!(world.peers[caller].told_goodbye && world.peers[0].told_goodbye);
        world.assert_comes_to_rest();
    }
}

#[test]
fn a_bye_while_ours_waits_for_its_answer_leaves_nothing() {
    for ms in 0..12 {
        let (mut world, caller) = with_two_codecs(6, &[]);
        world.run(Duration::from_millis(ms));
        let now = world.now.mono;
        world.peers[caller].hang_up(now);
        world.run(Duration::from_secs(1));
        assert!(world.peers[0].told_goodbye && !world.peers[0].is_up(), "after {ms} ms");
        world.assert_comes_to_rest();
    }
}

/// A call whose caller wants us to refresh every 120 s; it serves UPDATE or not.
fn refreshed_by_us(seed: u64, update: bool) -> (World, usize) {
    let mut world = World::new(1, seed);
    world.ready();
    let caller = world.caller("+442071234567");
    let now = world.now.mono;
    world.peers[caller].call(now, CALLED, |invite| {
        if !update {
            invite.headers.retain(|header| !matches!(header, Header::Tokens(TokensHeader::Allow, _)));
        }
        invite.headers.push(tokens(TokensHeader::Supported, &["timer"]));
        invite.headers.push(Header::SessionExpires(120, Some(Refresher::Uas)));
    });
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    assert!(world.peers[caller].last("200 INVITE").expect("answered").contains("Session-Expires: 120;refresher=uas"));
    (world, caller)
}

#[test]
fn we_refresh_at_half_the_interval_by_update_or_by_the_same_offer_again() {
    for (update, kind) in [(true, "UPDATE"), (false, "INVITE")] {
        let (mut world, caller) = refreshed_by_us(7, update);
        let generation = world.plans.values().next().expect("planned").0.generation;
        world.run(Duration::from_secs(305));
        let refreshes = world.peers[caller].all(kind);
        assert_eq!(refreshes.len(), 5, "every 60 s");
        assert!(refreshes.iter().all(|text| text.contains("Session-Expires: 120;refresher=uac")), "{}", refreshes[0]);
        if !update {
            let answer = world.peers[caller].last("200 INVITE").expect("answered");
            let body = |text: &str| text.split("\r\n\r\n").nth(1).expect("body").to_owned();
            assert!(refreshes.iter().all(|text| body(text) == body(&answer)), "the same description, version and all");
        }
        assert_eq!(world.plans.values().next().expect("planned").0.generation, generation, "nothing changed");
        assert!(world.peers[caller].is_up());
        world.assert_comes_to_rest_after_hang_up(caller);
    }
}

#[test]
fn a_peer_that_wants_a_longer_interval_gets_it() {
    let (mut world, caller) = refreshed_by_us(8, true);
    world.peers[caller].refuses = vec![(Method::Update, 422)];
    world.run(Duration::from_secs(65));
    let refreshes = world.peers[caller].all("UPDATE");
    assert!(refreshes.len() == 2 && refreshes[1].contains("Session-Expires: 600;refresher=uac"), "{refreshes:?}");
    world.run(Duration::from_secs(290));
    assert_eq!(world.peers[caller].count("UPDATE"), 2);
    world.run(Duration::from_secs(20));
    assert_eq!(world.peers[caller].count("UPDATE"), 3);
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_peer_that_knows_no_update_is_refreshed_by_re_invite() {
    let (mut world, caller) = refreshed_by_us(9, true);
    world.peers[caller].refuses = vec![(Method::Update, 501)];
    world.run(Duration::from_secs(65));
    assert_eq!((world.peers[caller].count("UPDATE"), world.peers[caller].count("INVITE")), (1, 1));
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn a_session_that_cannot_be_refreshed_ends_before_its_time() {
    let (mut world, caller) = refreshed_by_us(10, true);
    world.peers[caller].refuses = vec![(Method::Update, 403)];
    world.run(Duration::from_secs(80));
    assert!(world.peers[caller].is_up());
    world.run(Duration::from_secs(12));
    assert_eq!(ended(&world), [EndCause::SignallingLost], "32 s before 120 s");
    world.assert_comes_to_rest();
}

#[test]
fn a_phone_may_make_us_its_refresher() {
    let mut world = World::new(1, 11);
    world.peers[0].adds = vec![
        tokens(TokensHeader::Require, &["timer"]),
        Header::SessionExpires(100, Some(Refresher::Uac)),
        tokens(TokensHeader::Allow, &["INVITE", "ACK", "BYE", "CANCEL", "UPDATE"]),
    ];
    world.ready();
    let caller = world.incoming("+442071234567");
    world.until("talk", Duration::from_secs(5), |world| world.peers[caller].is_up());
    assert!(world.peers[0].last("INVITE").expect("rang").contains("Supported: timer"));
    world.run(Duration::from_secs(205));
    assert_eq!(world.peers[0].count("UPDATE"), 4);
    assert!(world.peers[0].is_up());
    world.assert_comes_to_rest_after_hang_up(caller);
}

#[test]
fn an_offer_before_the_invite_is_answered_is_too_early_and_an_update_without_one_is_not() {
    let mut world = World::new(1, 12);
    world.peers[0].on_invite = super::peer::OnInvite::Ring;
    world.ready();
    let caller = world.incoming("+442071234567");
    world.run(Duration::from_millis(500));
    let now = world.now.mono;
    world.peers[0].in_early_dialog(now, Method::Update, |_| {});
    let offer = world.peers[0].sdp("sendrecv");
    world.peers[0].in_early_dialog(now, Method::Update, |update| update.body = Some(offer));
    world.run(Duration::from_secs(1));
    let heard = world.peers[0].heard();
    assert!(heard.contains(&"200 UPDATE".to_owned()) && heard.contains(&"491 UPDATE".to_owned()), "{heard:?}");
    let now = world.now.mono;
    world.peers[caller].cancel(now);
    world.assert_comes_to_rest();
}

#[test]
fn keys_as_info_are_answered_and_counted() {
    let (mut world, caller) = talking(1, 13);
    for (kind, status) in [("application/dtmf-relay", "200 INFO"), ("application/dtmf", "200 INFO"), ("text/plain", "415 INFO")] {
        let now = world.now.mono;
        let body = crate::protocol::sip::build::Body {
            content_type: crate::protocol::sip::field::Text::new(kind),
            bytes: b"Signal=5\r\nDuration=160\r\n".to_vec(),
        };
        world.peers[caller].in_dialog(now, Method::Info, |info| info.body = Some(body));
        world.run(Duration::from_millis(100));
        assert_eq!(world.peers[caller].heard().last().map(String::as_str), Some(status), "{kind}");
    }
    assert_eq!(world.switch.counters().get(Counter::InfoDtmf), 2);
    world.assert_comes_to_rest_after_hang_up(caller);
}
