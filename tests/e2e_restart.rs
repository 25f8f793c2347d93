//! Told to stop, clocks set, a disk that hangs: whoever talks goes on talking, and the record is whole.
#![cfg(feature = "fault-injection")]

mod support;

use std::{
    cell::RefCell,
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    PATIENCE,
    agent::{self, Agent, call_in},
    call,
    server::{Server, Setup, TRUNK},
    sound::{self, PAIRS},
    wait_for,
    wire::Stranger,
};
use throughline::service::demo::{Playing, Talk};

/// Longer than any of these calls lasts.
const VOICE_SECONDS: u32 = 180;
const DAY_MS: i64 = 86_400_000;

struct Running {
    talk: Talk,
    playing: Playing,
    interaction: String,
}

fn talk(server: &Server, agent: &mut Agent, number: &str) -> Running {
    std::thread::scope(|scope| {
        let calling = scope.spawn(move || call_in(server, number, "", sound::tone(PAIRS[0], VOICE_SECONDS)));
        let (interaction, _) = agent.see_offer();
        let playing = agent.phone.take(Duration::ZERO, sound::tone(PAIRS[1], VOICE_SECONDS)).expect("answered");
        let talk = calling.join().expect("answered");
        agent.desk.wait("the call", |desk| !desk.view["call"].is_null());
        Running { talk, playing, interaction }
    })
}

fn no_words(name: &str, text: String) -> String {
    let text = agent::patient_pop(name, text);
    if name == "speech.toml" { "[speech]\nenabled = false\n".to_owned() } else { text }
}

fn server() -> Server {
    Server::set_up(&Setup { change: Some(&no_words), obeys: true, ..Setup::default() })
}

#[test]
fn a_stopping_server_lets_the_running_call_end_and_takes_no_new_one() {
    let mut server = server();
    let mut daniel = Agent::daniel(&server);
    let mut running = talk(&server, &mut daniel, "+442079460101");
    server.terminate();
    let ready = || server.nobody().get("/readyz");
    let refused = wait_for("the drain", PATIENCE, || Some(ready()).filter(|answer| answer.status == 503));
    assert!(String::from_utf8_lossy(&refused.body).contains("draining"), "{refused:?}");
    daniel.desk.wait("the notice", |desk| desk.view["notice"].as_str().is_some_and(|notice| notice.contains("restarts")));
    let stranger = Stranger::new(TRUNK, server.sip());
    assert_eq!(stranger.ask(&stranger.invite("+442079460000", "late")), 503);
    let _still_registers = Agent::ann(&server);
    assert!(!running.talk.hung_up_within(Duration::from_secs(2)), "the call goes on");
    running.talk.finish_after(Duration::ZERO);
    assert!(!daniel.phone.is_called_within(Duration::from_secs(1)), "it only answers the goodbye");
    drop(running.playing.stop());
    daniel.desk.wait("the wrap-up", |desk| !desk.view["wrap_up"].is_null());
    daniel.desk.send(&json!({"type": "finish_wrap_up", "interaction": running.interaction}));
    assert!(server.wait_end().success());
    server.restart();
    let page = call::page(&server.login("grace"), &running.interaction, "the end", |page| !page["ended_at"].is_null());
    assert_eq!(page["cause"], "customer_hung_up");
}

/// A log that takes what it has room for and is never read.
fn unread_log(config: &Path) -> File {
    let log = config.parent().expect("its folder").join("server.log");
    assert!(Command::new("mkfifo").arg(&log).status().expect("mkfifo").success());
    File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(log).expect("both ends")
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_calls_nor_the_end() {
    let pipe = RefCell::new(None);
    let prepare = |config: &Path| drop(pipe.replace(Some(unread_log(config))));
    let mut server = Server::set_up(&Setup { change: Some(&no_words), prepare: Some(&prepare), ..Setup::default() });
    let mut pipe = pipe.into_inner().expect("opened before the server started");
    while pipe.write(&[b'.'; 512]).is_ok() {}
    while pipe.write(b".").is_ok() {}
    let mut daniel = Agent::daniel(&server);
    let running = talk(&server, &mut daniel, "+442079460101");
    // It says that it stops, and cannot.
    server.terminate();
    wait_for("the drain", PATIENCE, || Some(server.nobody().get("/readyz")).filter(|answer| answer.status == 503));
    running.talk.finish_after(Duration::ZERO);
    assert!(!daniel.phone.is_called_within(Duration::from_secs(1)), "it only answers the goodbye");
    drop(running.playing.stop());
    daniel.desk.wait("the wrap-up", |desk| !desk.view["wrap_up"].is_null());
    daniel.desk.send(&json!({"type": "finish_wrap_up", "interaction": running.interaction}));
    assert!(server.wait_end().success());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the second signal ends calls within seconds")]
fn a_second_signal_ends_running_calls_with_a_goodbye() {
    let mut server = server();
    let mut daniel = Agent::daniel(&server);
    let mut running = talk(&server, &mut daniel, "+442079460101");
    server.terminate();
    daniel.desk.wait("the notice", |desk| !desk.view["notice"].is_null());
    let again = Instant::now();
    server.terminate();
    assert!(running.talk.hung_up_within(PATIENCE), "a BYE");
    assert!(!daniel.phone.is_called_within(Duration::from_secs(1)), "it only answers the goodbye");
    assert!(server.wait_end().success());
    println!("stopped {:.1} s after the second signal", again.elapsed().as_secs_f64());
    drop(running.talk.break_off());
    drop(running.playing.stop());
    server.restart();
    let page = call::page(&server.login("grace"), &running.interaction, "the end", |page| !page["ended_at"].is_null());
    assert_eq!(page["cause"], "shutdown");
}

#[test]
fn a_clock_that_is_set_by_a_day_costs_no_call_no_registration_and_no_session() {
    let server = server();
    let (mut daniel, mut ann) = (Agent::daniel(&server), Agent::ann(&server));
    let client = server.login("daniel");
    ann.desk.send(&json!({"type": "set_state", "state": "not_ready", "reason": "Lunch"}));
    ann.desk.wait("the pause", |desk| desk.view["state"] == "not_ready");
    let mut first = talk(&server, &mut daniel, "+442079460101");
    ann.desk.ready();
    for (n, set) in [DAY_MS, -DAY_MS].into_iter().enumerate() {
        server.obey(&format!("clock {set}\n"));
        let before = n as f64;
        wait_for("the switch to see it", PATIENCE, || server.metric("throughline_clock_set_total").filter(|times| *times > before));
        assert_eq!(client.get("/api/me").status, 200, "the session lives");
        assert_eq!(daniel.desk.view["phone_registered"], true);
        let mut second = talk(&server, &mut ann, "+442079460102");
        assert!(!first.talk.hung_up_within(Duration::from_secs(1)) && !second.talk.hung_up_within(Duration::from_millis(100)));
        second.talk.finish_after(Duration::ZERO);
        drop(second.playing.stop());
        ann.desk.wait("the wrap-up", |desk| !desk.view["wrap_up"].is_null());
        ann.desk.send(&json!({"type": "finish_wrap_up", "interaction": second.interaction}));
        ann.desk.wait("the end of the wrap-up", |desk| desk.view["state"] == "ready");
    }
    first.talk.finish_after(Duration::ZERO);
    drop(first.playing.stop());
    let page = call::page(&server.login("grace"), &first.interaction, "the end", |page| !page["ended_at"].is_null());
    let lasted = page["duration_ms"].as_i64().expect("a length");
    assert!((2_000..120_000).contains(&lasted), "it lasted {lasted} ms");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the disk hangs for ten seconds")]
fn a_disk_that_hangs_for_ten_seconds_costs_the_recording_nothing() {
    let server = server();
    let mut daniel = Agent::daniel(&server);
    let mut running = talk(&server, &mut daniel, "+442079460101");
    wait_for("the first blocks on the disk", PATIENCE, || {
        server.metric("throughline_recorder_written_bytes_total").filter(|n| *n > 8_000.0)
    });
    server.obey("disk stalled\n");
    let stalled = Instant::now();
    assert!(!running.talk.hung_up_within(Duration::from_secs(10)), "the call goes on");
    server.obey("");
    println!("the disk hung for {:.1} s", stalled.elapsed().as_secs_f64());
    assert!(!running.talk.hung_up_within(Duration::from_secs(2)));
    running.talk.finish_after(Duration::ZERO);
    drop(running.playing.stop());
    let grace = server.login("grace");
    let page = call::page(&grace, &running.interaction, "the recording", |page| page["recording"]["state"] == "ready");
    assert_eq!(page["recording"]["gaps"].as_array().map(Vec::len), Some(0), "{:#}", page["recording"]);
    let [left, right] = agent::recording(&grace, &running.interaction);
    sound::assert_unbroken(&left, PAIRS[0], 12.0, "the customer's track");
    sound::assert_unbroken(&right, PAIRS[1], 12.0, "the agent's track");
    assert_eq!(server.metric("throughline_media_dropped_total{reason=\"tap_full\"}"), Some(0.0));
    assert_eq!(server.metric("throughline_recorder_blocks_dropped_queue_total"), Some(0.0));
}

/// Calls that come and go, one after the other, for as long as `THROUGHLINE_DATABASE_AWAY_SECONDS` says; none without it.
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an outage that is asked for is lived through, and told")]
fn live_through(server: &Server, agent: &mut Agent) -> Vec<String> {
    let seconds = std::env::var("THROUGHLINE_DATABASE_AWAY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (began, mut calls) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(seconds) {
        let mut call = talk(server, agent, "+442079460103");
        assert!(!call.talk.hung_up_within(Duration::from_secs(3)), "the call goes on");
        call.talk.finish_after(Duration::ZERO);
        drop(call.playing.stop());
        finish_wrap_up(agent, &call.interaction);
        agent.desk.wait("the end of the wrap-up", |desk| desk.view["state"] == "ready");
        calls.push(call.interaction);
    }
    println!("{} calls while the database was away for {:.0} s", calls.len(), began.elapsed().as_secs_f64());
    calls
}

fn finish_wrap_up(agent: &mut Agent, interaction: &str) {
    agent.desk.wait("the wrap-up", |desk| !desk.view["wrap_up"].is_null());
    agent.desk.send(&json!({"type": "finish_wrap_up", "interaction": interaction}));
}

#[test]
fn calls_go_on_and_come_in_while_the_database_is_away_and_all_of_them_are_in_the_record_once() {
    let server = server();
    let (mut daniel, mut ann) = (Agent::daniel(&server), Agent::ann(&server));
    let grace = server.login("grace");
    ann.desk.send(&json!({"type": "set_state", "state": "not_ready", "reason": "Lunch"}));
    ann.desk.wait("the pause", |desk| desk.view["state"] == "not_ready");
    let mut first = talk(&server, &mut daniel, "+442079460101");
    server.obey("database away\n");
    // Whatever is written next waits in the journal, and the board says so.
    ann.desk.ready();
    let backlog = || server.metric("throughline_spool_backlog_bytes");
    wait_for("the journal to grow", PATIENCE, || backlog().filter(|octets| *octets > 0.0));
    let between = live_through(&server, &mut ann);
    let second = talk(&server, &mut ann, "+442079460102");
    assert!(!first.talk.hung_up_within(Duration::from_secs(1)), "the call goes on");
    first.talk.finish_after(Duration::ZERO);
    second.talk.finish_after(Duration::ZERO);
    drop((first.playing.stop(), second.playing.stop()));
    for (agent, interaction) in [(&mut daniel, &first.interaction), (&mut ann, &second.interaction)] {
        finish_wrap_up(agent, interaction);
    }
    assert!(backlog() > Some(0.0), "the record has nothing of it yet");
    println!("{:.0} octets wait in the journal", backlog().unwrap_or_default());
    server.obey("");
    for interaction in [&first.interaction, &second.interaction].into_iter().chain(&between) {
        let whole = |page: &serde_json::Value| page["recording"]["state"] == "ready" && !page["ended_at"].is_null();
        let page = call::page(&grace, interaction, "the end and the recording", whole);
        assert_eq!(page["cause"], "customer_hung_up");
        let talks = page["segments"].as_array().expect("segments").iter().filter(|segment| segment["kind"] == "talk").count();
        assert_eq!(talks, 2, "one of each leg: {:#}", page["segments"]);
    }
    wait_for("the journal to be through", PATIENCE, || backlog().filter(|octets| *octets == 0.0));
    assert_eq!(server.metric("throughline_spool_refused_total"), Some(0.0));
    assert_eq!(server.metric("throughline_spool_poisoned_total"), Some(0.0));
    assert_eq!(server.metric("throughline_spool_accepted_total"), server.metric("throughline_spool_applied_total"));
}
