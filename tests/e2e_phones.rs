//! Two real phones (baresip) talk through us: sound both ways, hold, wrong passwords.

mod support;

use std::time::Duration;

use support::{
    PATIENCE, installed,
    phone::{Account, Phone, demo_phone, talk_until_heard},
    server::{PHONES, Server},
    sound::{self, PAIRS},
    wait_for,
};

#[test]
fn two_phones_hear_each_other_and_nobody_else() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], ";audio_codecs=PCMA/8000/1");
    let mut bob = demo_phone(&server, 1, PAIRS[1], ";audio_codecs=PCMA/8000/1;answermode=auto");
    ann.command("dial", &format!("sip:{}@{}", bob.user, server.sip()));
    ann.wait_established();
    bob.wait_established();
    talk_until_heard([&ann, &bob], 4.0);
    ann.command("hangup", "");
    bob.wait_closed();
    ann.quit();
    bob.quit();
    sound::assert_only(&ann.heard()[0], PAIRS[1], 0.8, "what the caller heard");
    sound::assert_only(&bob.heard()[0], PAIRS[0], 0.8, "what the called heard");
}

#[test]
fn phones_with_different_codecs_hear_each_other() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[2], ";audio_codecs=PCMA/8000/1");
    let mut bob = demo_phone(&server, 1, PAIRS[3], ";audio_codecs=PCMU/8000/1;answermode=auto");
    ann.command("dial", &format!("sip:{}@{}", bob.user, server.sip()));
    ann.wait_established();
    talk_until_heard([&ann, &bob], 4.0);
    bob.command("hangup", "");
    ann.wait_closed();
    ann.quit();
    bob.quit();
    sound::assert_only(&ann.heard()[0], PAIRS[3], 0.7, "what the caller heard");
    sound::assert_only(&bob.heard()[0], PAIRS[2], 0.7, "what the called heard");
}

#[test]
fn hold_by_the_phones_own_key_stops_the_sound_and_resume_brings_it_back() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], "");
    let mut bob = demo_phone(&server, 1, PAIRS[1], ";answermode=auto");
    ann.command("dial", &format!("sip:{}@{}", bob.user, server.sip()));
    ann.wait_established();
    talk_until_heard([&ann, &bob], 2.0);
    ann.command("hold", "");
    // While held, what arrives at bob is silence or nothing: his recording stops growing with tone.
    wait_for("the server to see the hold", PATIENCE, || (server.metric("throughline_calls_held")? >= 1.0).then_some(()));
    ann.command("resume", "");
    wait_for("the server to see the resume", PATIENCE, || (server.metric("throughline_calls_held")? == 0.0).then_some(()));
    let before = bob.heard_seconds();
    wait_for("sound after the resume", PATIENCE, || (bob.heard_seconds() > before + 2.0).then_some(()));
    ann.command("hangup", "");
    bob.wait_closed();
    ann.quit();
    bob.quit();
    sound::assert_only(&bob.heard()[0], PAIRS[0], 0.6, "what the held phone heard in all");
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    if !installed("baresip") {
        return;
    }
    let mut reasons = Vec::new();
    for user in [PHONES[0].0, "nobody"] {
        // A server each: after ten wrong answers an address hears nothing for a while.
        let server = Server::plain();
        let folder = server.folder.path().to_owned();
        let microphone = folder.join("microphone.wav");
        sound::write_tone(&microphone, PAIRS[0], 5);
        let account = Account { user, password: "wrong", registrar: server.sip(), parameters: "" };
        let mut phone = Phone::start_unregistered(&folder.join("wrong"), &account, &microphone);
        phone.register_again();
        let event = phone.wait_event("refusal", |event| event["type"] == "REGISTER_FAIL");
        reasons.push(event["param"].as_str().unwrap_or_default().to_owned());
        wait_for("the refusals to be counted", PATIENCE, || (server.metric("throughline_digest_refused_total")? >= 10.0).then_some(()));
    }
    assert_eq!(reasons[0], reasons[1], "both are told the same");
    assert!(reasons[0].starts_with("403"), "{reasons:?}");
}

#[test]
fn a_number_that_leads_nowhere_is_refused_with_404() {
    if !installed("baresip") {
        return;
    }
    let server = Server::plain();
    let mut ann = demo_phone(&server, 0, PAIRS[0], "");
    ann.command("dial", &format!("sip:999@{}", server.sip()));
    let reason = ann.wait_closed();
    assert!(reason.starts_with("404"), "{reason}");
    wait_for("no call left", Duration::from_secs(10), || (server.metric("throughline_calls")? == 0.0).then_some(()));
}
