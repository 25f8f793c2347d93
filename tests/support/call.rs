//! The demonstration's call, placed by a test: carrier and desk phone in this process, the desk ready and looking.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use throughline::{
    ids::PhoneNumber,
    service::demo::{self, DemoCall, DemoOutcome},
};

use super::{
    PATIENCE,
    desk::Desk,
    http::Client,
    server::{PHONES, Server, TRUNK},
    speech, wait_for,
};

/// A call in progress.
pub struct Running {
    pub interaction: String,
    thread: thread::JoinHandle<Result<DemoOutcome, demo::DemoError>>,
}

/// The carried voices through this server to the phone of the desk's agent.
pub fn demo(server: &Server) -> DemoCall {
    DemoCall {
        sip: server.sip(),
        http: server.http(),
        trunk: TRUNK.into(),
        caller: PhoneNumber::parse_e164("+442079460101").expect("E.164"),
        caller_name: "L BENNETT".to_owned(),
        called: PhoneNumber::parse_e164("+442079460000").expect("E.164"),
        phone: Some((PHONES[0].0.to_owned(), PHONES[0].1.to_owned())),
        voices: speech::samples().join("call.wav"),
        ring: Duration::ZERO,
        queue: false,
    }
}

/// Voices of the caller and the agent as a file that can be played into a call.
pub fn voices(server: &Server, caller: &[i16], agent: &[i16]) -> PathBuf {
    let path = server.folder.path().join("voices.wav");
    let spec = hound::WavSpec { channels: 2, sample_rate: 8_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).expect("a wav file");
    for (left, right) in caller.iter().zip(agent) {
        writer.write_sample(*left).and_then(|()| writer.write_sample(*right)).expect("room on the disk");
    }
    writer.finalize().expect("a finished wav file");
    path
}

/// Places the call, shows it at the desk, and returns when both talk.
pub fn start(desk: &mut Desk, call: DemoCall) -> Running {
    let thread = thread::spawn(move || demo::run(&call, |_| {}));
    if desk.view["state"] != "ready" {
        desk.ready();
    }
    let offer = desk.wait_offer();
    desk.wait("the call", |desk| !desk.view["call"].is_null());
    Running { interaction: offer["interaction"].as_str().expect("an id").to_owned(), thread }
}

impl Running {
    /// Looks on at the desk until both have hung up.
    pub fn finish(self, desk: &mut Desk) -> DemoOutcome {
        /// Longest of the calls that tests place.
        const LONGEST: Duration = Duration::from_secs(75);
        let deadline = Instant::now() + LONGEST;
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "the call does not end; the desk sees {:#}", desk.view);
            desk.read();
        }
        self.thread.join().expect("no panic").expect("a call that works")
    }

    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The page of an interaction once `holds` is true of it.
#[track_caller]
pub fn page(client: &Client, interaction: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/interactions/{interaction}");
    let mut last = Value::Null;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(what, 2 * PATIENCE, || {
            let answer = client.get(&path);
            last = if answer.status == 200 { answer.json() } else { Value::from(answer.status) };
            holds(&last).then(|| last.clone())
        })
    }));
    found.unwrap_or_else(|_| panic!("{what}: the page says {last:#}"))
}
