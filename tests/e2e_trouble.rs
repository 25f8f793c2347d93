//! Trouble around a call: the disk is full or gone, the database is locked, the speech model is missing. The call goes on,
//! the board and the log say in one sentence what to do, and afterwards everything that can be there is there once.

mod support;

use std::{fs, path::Path};

use serde_json::Value;
use sqlx::{Connection, sqlite::SqliteConnectOptions};
use support::{
    PATIENCE,
    call::{self, Running},
    desk::Desk,
    http::Client,
    server::Server,
    sound::{self, PAIRS},
    wait_for,
};
use throughline::service::demo::{DemoCall, DemoOutcome};

/// A server with a supervisor who looks at the board and an agent who is about to be called.
struct Scene {
    server: Server,
    supervisor: Client,
    board: Desk,
    agent: Client,
    desk: Desk,
}

impl Scene {
    fn new(server: Server) -> Self {
        let (supervisor, agent) = (server.login("grace"), server.login("daniel"));
        let (board, desk) = (Desk::connect(&supervisor), Desk::connect(&agent));
        Self { server, supervisor, board, agent, desk }
    }

    /// A call in which both sides say a tone of their own for so many seconds.
    fn call(&mut self, seconds: u32) -> Running {
        let voices = call::voices(&self.server, &sound::tone(PAIRS[0], seconds), &sound::tone(PAIRS[1], seconds));
        call::start(&mut self.desk, DemoCall { voices, ..call::demo(&self.server) })
    }

    /// Waits until the board shows an alarm with these words; returns its sentence.
    fn wait_alarm(&mut self, words: &str) -> String {
        self.board.wait(&format!("an alarm about \"{words}\""), |board| alarm(board, words).is_some());
        let sentence = alarm(&self.board, words).expect("just seen");
        let logged = || self.server.log_text().lines().filter(|line| line.contains("WARN") && line.contains(&sentence)).count();
        // The log has a thread of its own.
        wait_for("the alarm in the log", PATIENCE, || (logged() > 0).then_some(()));
        assert_eq!(logged(), 1, "the log says it once: {sentence}\n{}", self.server.log_text());
        sentence
    }

    fn wait_no_alarm(&mut self, words: &str) {
        self.board.wait(&format!("the end of the alarm about \"{words}\""), |board| alarm(board, words).is_none());
    }

    fn assert_talking(&mut self, running: &Running) {
        assert!(!running.is_over() && !self.desk.view["call"].is_null(), "the call goes on: {:#}", self.desk.view);
    }

    fn page(&self, interaction: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        call::page(&self.agent, interaction, what, holds)
    }

    /// Everything that control told is in the record, and the call is there once.
    fn assert_recorded_once(&self, interaction: &str) {
        let server = &self.server;
        wait_for("every fact in the database", PATIENCE, || {
            (server.metric("throughline_spool_accepted_total")? == server.metric("throughline_spool_applied_total")?).then_some(())
        });
        for counter in ["refused", "poisoned", "damaged"] {
            assert_eq!(server.metric(&format!("throughline_spool_{counter}_total")), Some(0.0), "{counter}");
        }
        let calls = self.supervisor.get("/api/calls").json();
        let rows: Vec<_> = calls["calls"].as_array().expect("a list").iter().filter(|row| row["interaction"] == interaction).collect();
        assert_eq!(rows.len(), 1);
        let page = self.page(interaction, "the end of the call", |page| !page["ended_at"].is_null());
        let count = |what: &str| page[what].as_array().expect("a list").len();
        assert_eq!((count("legs"), count("offers")), (2, 1), "{page:#}");
        let talks = page["segments"].as_array().expect("a list").iter().filter(|segment| segment["kind"] == "talk").count();
        assert_eq!(talks, 2, "{page:#}");
        assert!(!server.log_text().contains("ERROR"), "{}", server.log_text());
    }
}

fn alarm(board: &Desk, words: &str) -> Option<String> {
    let newest = board.messages.iter().rev().find(|message| message["type"] == "board")?;
    let mut alarms = newest["alarms"].as_array()?.iter().filter_map(Value::as_str);
    alarms.find(|sentence| sentence.contains(words)).map(str::to_owned)
}

fn assert_heard(outcome: &DemoOutcome) {
    sound::assert_only(&outcome.caller_heard, PAIRS[1], 0.75, "what the caller heard");
    sound::assert_only(&outcome.phone_heard, PAIRS[0], 0.75, "what the phone heard");
}

fn recording_trouble(page: &Value) -> &str {
    assert_eq!(page["recording"]["state"], "trouble", "{:#}", page["recording"]);
    page["recording"]["trouble"].as_str().expect("a sentence")
}

#[test]
fn a_full_disk_stops_the_recording_and_not_the_call() {
    // More room kept free than there is: what a full disk looks like to the recorder.
    let kept_free = |name: &str, text: String| match name {
        "media.toml" => format!("{text}[recording]\nreserve_mb = 1000000\n"),
        _ => text,
    };
    let mut scene = Scene::new(Server::start(kept_free));
    let running = scene.call(6);
    let interaction = running.interaction.clone();
    let sentence = scene.wait_alarm("make room");
    assert!(sentence.contains("calls are not being recorded"), "{sentence}");
    scene.assert_talking(&running);
    assert_heard(&running.finish(&mut scene.desk));
    let page = scene.page(&interaction, "the recording's trouble", |page| page["recording"]["state"] == "trouble");
    assert!(recording_trouble(&page).contains("make room"), "{:#}", page["recording"]);
    scene.assert_recorded_once(&interaction);
}

#[test]
fn a_recordings_folder_that_comes_back_is_recorded_into_again() {
    let mut scene = Scene::new(Server::plain());
    let folder = scene.server.data().join("recordings");
    let away = scene.server.data().join("recordings-away");
    fs::rename(&folder, &away).expect("renamed");
    fs::write(&folder, "").expect("something in its place");
    let running = scene.call(16);
    let interaction = running.interaction.clone();
    scene.wait_alarm("check the disk");
    scene.assert_talking(&running);
    fs::remove_file(&folder).and_then(|()| fs::rename(&away, &folder)).expect("back again");
    scene.wait_no_alarm("check the disk");
    assert_heard(&running.finish(&mut scene.desk));
    let page = scene.page(&interaction, "the recording's trouble", |page| page["recording"]["state"] == "trouble");
    assert!(recording_trouble(&page).contains("were not written"), "{:#}", page["recording"]);
    let answer = scene.agent.get(&format!("/api/interactions/{interaction}/audio.wav"));
    assert_eq!(answer.status, 200);
    let mut reader = hound::WavReader::new(std::io::Cursor::new(answer.body)).expect("a WAV file");
    for (channel, pair) in sound::channels(&mut reader).iter().zip(PAIRS) {
        // Seconds 8 to 15, when the folder was back.
        sound::assert_only(&channel[64_000..120_000], pair, 0.9, "the recorded end");
    }
    scene.assert_recorded_once(&interaction);
}

/// Takes the database for itself until the sender is dropped.
fn lock_database(path: &Path) -> std::sync::mpsc::Sender<()> {
    let (locked, is_locked) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let options = SqliteConnectOptions::new().filename(path);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut connection = runtime.block_on(sqlx::SqliteConnection::connect_with(&options)).expect("the database opens");
        runtime.block_on(sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection)).expect("the lock");
        locked.send(()).expect("somebody waits");
        // Ends when the sender is gone.
        let _ = released.recv();
        runtime.block_on(sqlx::query("ROLLBACK").execute(&mut connection)).expect("the end of the lock");
    });
    is_locked.recv_timeout(PATIENCE).expect("the lock is had");
    release
}

#[test]
fn a_locked_database_delays_the_record_and_not_the_call() {
    let mut scene = Scene::new(Server::plain());
    scene.desk.ready();
    let lock = lock_database(&scene.server.data().join("throughline.db"));
    let running = scene.call(14);
    let interaction = running.interaction.clone();
    // It comes after the database's own patience of five seconds.
    scene.wait_alarm("The database does not answer");
    scene.assert_talking(&running);
    drop(lock);
    scene.wait_no_alarm("The database does not answer");
    assert_heard(&running.finish(&mut scene.desk));
    scene.assert_recorded_once(&interaction);
    let page = scene.page(&interaction, "the recording", |page| page["recording"]["state"] == "ready");
    assert_eq!(page["customer"]["name"], "Laura Bennett", "{page:#}");
}

#[test]
fn a_missing_speech_model_leaves_the_call_whole_and_says_what_to_do() {
    let without = |name: &str, text: String| match name {
        "speech.toml" => format!("{text}model = \"/nonexistent/ggml-none.bin\"\n"),
        _ => text,
    };
    let mut scene = Scene::new(Server::start(without));
    let sentence = scene.wait_alarm("speech model");
    assert!(sentence.contains("speech.toml"), "it says where: {sentence}");
    let running = scene.call(4);
    let interaction = running.interaction.clone();
    assert_heard(&running.finish(&mut scene.desk));
    let page = scene.page(&interaction, "the transcript's trouble", |page| !page["transcript"]["trouble"].is_null());
    assert_eq!(page["transcript"]["state"], "pending");
    assert!(page["transcript"]["trouble"].as_str().is_some_and(|trouble| trouble.contains("speech model")), "{page:#}");
    assert_eq!(page["recording"]["state"], "ready");
    scene.wait_alarm("speech model");
    scene.assert_recorded_once(&interaction);
}
