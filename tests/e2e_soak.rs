//! A soak: recorded calls from a carrier to a queue, minute after minute; nothing of the server grows. `scripts/soak` runs it.
//!
//! Asked for by `THROUGHLINE_SOAK_MINUTES` (and `THROUGHLINE_SOAK_RATE`, calls per second); without it the test says so and passes.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a soak lasts as long as it lasts, and tells its table")]

mod support;

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    PATIENCE,
    agent::Agent,
    desk::Desk,
    http::Client,
    installed,
    server::{self, Server, Setup},
    sipp::Sipp,
    sound::{self, PAIRS},
    wait_for, wire,
};
use throughline::service::demo::DeskPhone;

/// How long a caller talks.
const TALK_S: u64 = 8;
/// Between two looks at the server.
const EVERY: Duration = Duration::from_secs(5);
/// What the memory may grow from the middle of the soak to its end, octets: allocators keep some of their peaks.
const MAY_GROW: u64 = 8_000_000;
/// Descriptors and threads that may be more at the end, at the same load.
const MAY_VARY: u64 = 12;

/// What the server holds at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: u64,
    resident: u64,
    descriptors: u64,
    threads: u64,
    calls: f64,
}

impl Sample {
    fn take(server: &Server, began: Instant) -> Self {
        let process = format!("/proc/{}", server.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("its status");
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok()).expect("its threads");
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("its descriptors").count() as u64;
        let calls = server.metric("throughline_calls").unwrap_or(-1.0);
        Self { seconds: began.elapsed().as_secs(), resident: wire::resident(server.pid()), descriptors, threads, calls }
    }
}

fn number(name: &str) -> Option<f64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Adds an agent as an administrator does; returns the password of the phone.
fn add_agent(config: &Path, n: usize) -> String {
    let (login, name, extension) = (format!("agent{n:03}"), format!("Agent {n:03}"), format!("3{n:03}"));
    let mut child = Command::new(server::binary())
        .args(["user", "add", &login, "--name", &name, "--extension", &extension, "--queue", "support", "--config"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("throughline user add");
    writeln!(child.stdin.take().expect("its input"), "password-{n:03}").expect("the password");
    let told = String::from_utf8(child.wait_with_output().expect("its end").stdout).expect("text");
    let password = told.split("password ").nth(1).and_then(|rest| rest.split(' ').next());
    password.unwrap_or_else(|| panic!("no password for a phone in \"{told}\"")).to_owned()
}

/// A server with so many agents, and the passwords of their phones.
fn start(agents: usize) -> (Server, Vec<String>) {
    let passwords = Mutex::new(Vec::new());
    let prepare = |config: &Path| passwords.lock().expect("one thread").extend((0..agents).map(|n| add_agent(config, n)));
    let change = |name: &str, text: String| match name {
        "speech.toml" => "[speech]\nenabled = false\n".to_owned(),
        "sip.toml" => text.replace("max_calls = 40", "max_calls = 400"),
        "media.toml" => text.replace("20000-20199", "20000-22999"),
        _ => text,
    };
    let server = Server::set_up(&Setup { change: Some(&change), prepare: Some(&prepare), ..Setup::default() });
    (server, passwords.into_inner().expect("one thread"))
}

/// Acknowledges offers and finishes each wrap-up at once, until it is told to stop.
fn sit(mut desk: Desk, stop: &AtomicBool) {
    let mut seen = Value::Null;
    while !stop.load(Ordering::Relaxed) {
        desk.read();
        desk.messages.clear();
        let offer = desk.view["offer"]["offer"].clone();
        if !offer.is_null() && offer != seen {
            desk.send(&json!({"type": "ack", "offer": offer, "level": "rendered"}));
            seen = offer;
        }
        if desk.view["state"] == "wrap_up" {
            let interaction = desk.view["wrap_up"]["interaction"].clone();
            desk.send(&json!({"type": "finish_wrap_up", "interaction": interaction}));
            desk.view = Value::Null;
        } else if desk.view["state"] == "not_ready" {
            desk.ready();
        }
    }
}

/// Answers every call at once and talks until the caller hangs up.
fn answer_all(mut phone: DeskPhone, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if phone.is_called_within(Duration::from_millis(500)) {
            // A caller who hangs up meanwhile is no fault of the phone's.
            let _ = phone.answer(Duration::ZERO, sound::tone(PAIRS[1], 2));
        }
    }
}

/// The carrier's calls: so many a second, so many in all.
fn call(server: SocketAddr, folder: &Path, rate: f64, calls: u64) -> Sipp {
    fs::create_dir_all(folder).expect("a folder");
    let voice =
        sound::tone(PAIRS[0], 2).iter().map(|sample| throughline::protocol::audio::g711::linear_to_alaw(*sample)).collect::<Vec<_>>();
    fs::write(folder.join("voice.al"), voice).expect("a voice");
    let more = ["-r", &format!("{rate:.0}"), "-m", &calls.to_string(), "-l", "1000"].map(str::to_owned);
    Sipp::many(folder, server, "soak.xml", Duration::from_secs(TALK_S), &more)
}

/// The largest of what is asked for in this part of the samples, of ten parts.
fn tenth(samples: &[Sample], part: usize, of: impl Fn(&Sample) -> u64) -> u64 {
    let from = samples.len() * part / 10;
    let to = (samples.len() * (part + 1) / 10).max(from + 1);
    samples[from..to.min(samples.len())].iter().map(of).max().unwrap_or(0)
}

fn judge(before: Sample, loaded: &[Sample], after: Sample) {
    assert!(loaded.len() >= 10, "{} samples are too few to judge", loaded.len());
    let (middle, end) = (tenth(loaded, 4, |s| s.resident), tenth(loaded, 9, |s| s.resident));
    println!("memory {:.1} MB in the middle, {:.1} MB at the end", middle as f64 / 1e6, end as f64 / 1e6);
    assert!(end <= middle + MAY_GROW, "the memory grew from {middle} to {end} octets");
    for (what, middle, end) in [
        ("descriptors", tenth(loaded, 4, |s| s.descriptors), tenth(loaded, 9, |s| s.descriptors)),
        ("threads", tenth(loaded, 4, |s| s.threads), tenth(loaded, 9, |s| s.threads)),
        ("descriptors after the last call", before.descriptors, after.descriptors),
        ("threads after the last call", before.threads, after.threads),
    ] {
        println!("{what}: {middle}, then {end}");
        assert!(end <= middle + MAY_VARY, "{what} grew from {middle} to {end}");
    }
}

#[test]
fn nothing_grows_while_calls_come_and_go() {
    let Some(minutes) = number("THROUGHLINE_SOAK_MINUTES") else {
        println!("skipped: a soak is asked for with scripts/soak MINUTES RATE");
        return;
    };
    if !installed("sipp") {
        return;
    }
    let rate = number("THROUGHLINE_SOAK_RATE").unwrap_or(5.0);
    let agents = (rate * (TALK_S as f64 + 4.0)) as usize + 6;
    let (server, passwords) = start(agents);
    let stop = AtomicBool::new(false);
    let table = support::out_folder().join("soak.tsv");
    thread::scope(|scope| {
        for (n, password) in passwords.iter().enumerate() {
            let client = Client::login(server.http(), &format!("agent{n:03}"), &format!("password-{n:03}"));
            let Agent { desk, phone } = Agent::at_work(&server, &client, &format!("3{n:03}"), password);
            scope.spawn(|| sit(desk, &stop));
            scope.spawn(|| answer_all(phone, &stop));
        }
        // A failed judgement must not leave the agents at work for ever.
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| soak(&server, minutes, rate, &table)));
        stop.store(true, Ordering::Relaxed);
        judged
    })
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn soak(server: &Server, minutes: f64, rate: f64, table: &Path) {
    let began = Instant::now();
    let before = Sample::take(server, began);
    let calls = (minutes * 60.0 * rate) as u64;
    let mut sipp = call(server.sip(), &server.folder.path().join("carrier"), rate, calls);
    let mut samples = Vec::new();
    while !sipp.is_over() {
        samples.push(Sample::take(server, began));
        thread::park_timeout(EVERY);
    }
    let failed = sipp.failed();
    wait_for("the last call to end", PATIENCE, || (server.metric("throughline_calls")? == 0.0).then_some(()));
    let after = Sample::take(server, began);
    let row = |s: &Sample| format!("{}\t{}\t{}\t{}\t{}\n", s.seconds, s.resident, s.descriptors, s.threads, s.calls);
    let rows: String = std::iter::once(&before).chain(&samples).chain([&after]).map(row).collect();
    fs::write(table, format!("seconds\tresident\tdescriptors\tthreads\tcalls\n{rows}")).expect("the table");
    println!("{calls} calls in {} s, {}", began.elapsed().as_secs(), table.display());
    assert!(!failed, "sipp says that calls failed");
    // The load is there after the first calls have been talked, and until the last is placed.
    let loaded: Vec<_> = samples.into_iter().filter(|s| s.calls >= rate * TALK_S as f64 * 0.7).collect();
    judge(before, &loaded, after);
}
