//! kill -9 during recorded calls: all are in the record, all play, none lost more than a second, all phones ring again.
//!
//! Once with twenty calls that waited in a queue for agents, once with two hundred that phones placed to the outside.
#![expect(clippy::disallowed_methods, reason = "the moment of the kill and the time until the restart are real")]
#![expect(clippy::print_stdout, reason = "what a kill cost is told")]

mod support;

use std::{
    collections::BTreeSet,
    io::Write,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use support::{
    PATIENCE,
    agent::{self, Agent, call_in},
    crowd::{self, Carrier, Choir, CrowdPhone},
    http::Client,
    server::{Server, Setup, TRUNK},
    sound::{self, Pair},
    wait_for,
};
use throughline::{
    protocol::audio::tone::amplitude_of,
    service::demo::{DeskPhone, Playing, Talk},
};

const CALLS: usize = 20;
/// All calls are talked in for at least this long.
const TALK: Duration = Duration::from_secs(5);
/// Longer than any of them talks.
const VOICE_SECONDS: u32 = 60;
/// What a kill may cost a track.
const MAY_LOSE_MS: f64 = 1_000.0;
/// Serving again; the promise is 5 s on a quiet machine.
const BACK: Duration = Duration::from_secs(30);

/// Tones 20 Hz apart: windows of 100 ms tell them apart.
fn caller_tone(n: usize) -> Pair {
    (400.0 + 40.0 * n as f64, 1_400.0 + 40.0 * n as f64)
}

fn agent_tone(n: usize) -> Pair {
    let (low, high) = caller_tone(n);
    (low + 20.0, high + 20.0)
}

fn caller_number(n: usize) -> String {
    format!("+4420795550{n:02}")
}

fn agent_name(n: usize) -> String {
    format!("Agent {n:02}")
}

/// Adds an agent as an administrator does; returns the password of the phone.
fn add_agent(config: &Path, n: usize) -> String {
    let extension = format!("3{n:02}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args([
            "user",
            "add",
            &format!("agent{n:02}"),
            "--name",
            &agent_name(n),
            "--extension",
            &extension,
            "--queue",
            "support",
            "--config",
        ])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("throughline user add");
    writeln!(child.stdin.take().expect("its input"), "password-{n:02}").expect("the password");
    let told = child.wait_with_output().expect("its end");
    let told = String::from_utf8(told.stdout).expect("text");
    let password = told.split("password ").nth(1).and_then(|rest| rest.split(' ').next());
    password.unwrap_or_else(|| panic!("no password for a phone in \"{told}\"")).to_owned()
}

/// A server with twenty agents, and the passwords of their phones.
fn server() -> (Server, Vec<String>) {
    let passwords = Mutex::new(Vec::new());
    let prepare = |config: &Path| passwords.lock().expect("one thread").extend((0..CALLS).map(|n| add_agent(config, n)));
    let without_words = |name: &str, text: String| if name == "speech.toml" { "[speech]\nenabled = false\n".to_owned() } else { text };
    let server = Server::set_up(&Setup { change: Some(&without_words), prepare: Some(&prepare), ..Setup::default() });
    (server, passwords.into_inner().expect("one thread"))
}

fn at_work(server: &Server, passwords: &[String]) -> Vec<Agent> {
    let one = |(n, password): (usize, &String)| {
        let client = Client::login(server.http(), &format!("agent{n:02}"), &format!("password-{n:02}"));
        Agent::at_work(server, &client, &format!("3{n:02}"), password)
    };
    passwords.iter().enumerate().map(one).collect()
}

/// Both sides of all calls, talking.
struct Talking {
    callers: Vec<Talk>,
    phones: Vec<(DeskPhone, Playing)>,
    interactions: Vec<String>,
    youngest: Instant,
}

fn talk(server: &Server, agents: Vec<Agent>) -> Talking {
    thread::scope(|scope| {
        let call = |n: usize| scope.spawn(move || call_in(server, &caller_number(n), "", sound::tone(caller_tone(n), VOICE_SECONDS)));
        let callers: Vec<_> = (0..CALLS).map(call).collect();
        let answer = |(n, mut agent): (usize, Agent)| {
            scope.spawn(move || {
                let interaction = agent.desk.wait_offer()["interaction"].as_str().expect("an interaction").to_owned();
                let playing = agent.phone.take(Duration::ZERO, sound::tone(agent_tone(n), VOICE_SECONDS)).expect("answered");
                (interaction, (agent.phone, playing))
            })
        };
        let agents: Vec<_> = agents.into_iter().enumerate().map(answer).collect();
        let callers = callers.into_iter().map(|caller| caller.join().expect("a caller")).collect();
        let (interactions, phones) = agents.into_iter().map(|agent| agent.join().expect("an agent")).unzip();
        Talking { callers, phones, interactions, youngest: Instant::now() }
    })
}

fn index_of(tones: impl Fn(usize) -> Pair, samples: &[i16], what: &str) -> usize {
    let heard: Vec<_> = (0..CALLS).filter(|n| !sound::span(samples, tones(*n)).is_empty()).collect();
    assert_eq!(heard.len(), 1, "{what}: the tones of {heard:?} are in it, one is due");
    heard[0]
}

/// Nothing but the tone, all the time that it lasts: neither holes nor anybody else.
fn assert_alone(samples: &[i16], own: Pair, what: &str) {
    sound::assert_unbroken(samples, own, TALK.as_secs_f64() - 1.0, what);
    let whole = sound::span(samples, own);
    let inner = &whole[800..whole.len() - 800];
    for other in (0..CALLS).flat_map(|n| [caller_tone(n), agent_tone(n)]).filter(|pair| *pair != own) {
        assert_eq!(sound::share(inner, other), 0.0, "{what}: the tone {other:?} of somebody else");
    }
}

/// Judges one call after the restart; returns what its tracks lost at their ends, milliseconds.
fn judge(grace: &Client, interaction: &str, killed_ms: f64) -> [f64; 2] {
    let page = grace.get(&format!("/api/interactions/{interaction}")).json();
    assert_eq!(page["cause"], "crash", "{interaction}");
    assert!(!page["ended_at"].is_null(), "{interaction} is not closed");
    let [left, right] = agent::recording(grace, interaction);
    let number = page["number"].as_str().expect("a number");
    let caller = (0..CALLS).find(|n| caller_number(*n) == number).unwrap_or_else(|| panic!("{number} did not call"));
    let name = |page: &Value| page["legs"].as_array()?.iter().find_map(|leg| Some(leg["agent"].as_str()?.to_owned()));
    let name = name(&page).expect("an agent");
    let agent = (0..CALLS).find(|n| agent_name(*n) == name).unwrap_or_else(|| panic!("{name} did not answer"));
    assert_alone(&left, caller_tone(caller), &format!("{interaction}: the customer's track"));
    assert_alone(&right, agent_tone(agent), &format!("{interaction}: the agent's track"));
    [(&left, caller_tone(caller)), (&right, agent_tone(agent))].map(|(samples, tone)| lost_ms(&page, samples, tone, killed_ms))
}

/// From the last sound of a tone in a track to the kill, milliseconds.
fn lost_ms(page: &Value, samples: &[i16], tone: Pair, killed_ms: f64) -> f64 {
    let span = sound::span(samples, tone);
    let end = span.as_ptr() as usize - samples.as_ptr() as usize;
    killed_ms - page["at"].as_f64().expect("a time") - (end / 2 + span.len()) as f64 / 8.0
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1_000.0
}

/// Starts it again; it must serve within this time.
fn restart(server: &mut Server, within: Duration) {
    let restarted = Instant::now();
    server.restart();
    let back = restarted.elapsed();
    println!("serving again after {:.2} s", back.as_secs_f64());
    assert!(back <= within, "serving again only after {back:?}");
}

fn assert_little_is_lost(losses: &[f64]) {
    let worst = losses.iter().copied().fold(f64::MIN, f64::max);
    println!("lost by {} tracks, worst {worst:.0} ms, each: {losses:.0?}", losses.len());
    assert!(worst <= MAY_LOSE_MS, "a track lost {worst:.0} ms");
}

/// All calls of the list, newest first.
fn listed(grace: &Client) -> Vec<Value> {
    let mut calls = Vec::new();
    let mut before = String::new();
    loop {
        let page = grace.get(&format!("/api/calls?limit=50{before}")).json();
        calls.extend(page["calls"].as_array().expect("calls").iter().cloned());
        match &page["next"] {
            Value::Null => return calls,
            next => before = format!("&before={}", next.as_str().map_or_else(|| next.to_string(), str::to_owned)),
        }
    }
}

/// A new call finds one of the phones, though none has registered again.
fn assert_a_phone_rings(server: &Server, phones: Vec<DeskPhone>) {
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let calling = scope.spawn(move || call_in(server, "+442079555999", "", sound::tone(caller_tone(0), 10)));
        for mut phone in phones {
            let answered = &answered;
            scope.spawn(move || {
                let deadline = Instant::now() + PATIENCE;
                while answered.load(Ordering::Relaxed) == 0 && Instant::now() < deadline {
                    if phone.is_called_within(Duration::from_millis(100)) {
                        answered.fetch_add(1, Ordering::Relaxed);
                        phone.answer(Duration::ZERO, sound::tone(agent_tone(0), 10)).expect("answered");
                    }
                }
            });
        }
        let talk = calling.join().expect("answered by a phone that did not register again");
        talk.finish_after(Duration::from_secs(1));
    });
    assert_eq!(answered.into_inner(), 1, "one phone took the call");
}

#[test]
fn a_kill_during_twenty_recorded_calls_loses_no_call_and_next_to_no_sound() {
    let (mut server, passwords) = server();
    let Talking { callers, phones, interactions, youngest } = talk(&server, at_work(&server, &passwords));
    wait_for("five seconds of talk", PATIENCE, || (youngest.elapsed() >= TALK).then_some(()));
    server.kill();
    let killed_ms = now_ms();
    callers.into_iter().for_each(|caller| drop(caller.break_off()));
    let phones: Vec<_> = phones.into_iter().map(|(phone, playing)| (phone, playing.stop())).collect();
    restart(&mut server, BACK);

    let grace = server.login("grace");
    let calls = listed(&grace);
    let crashed = calls.iter().filter(|call| call["cause"] == "crash").count();
    assert_eq!(crashed, CALLS, "calls that the crash ended");
    for interaction in &interactions {
        let call = calls.iter().find(|call| call["interaction"] == interaction.as_str());
        let call = call.unwrap_or_else(|| panic!("{interaction} is missing in the list of calls"));
        assert_eq!((&call["cause"], &call["recorded"]), (&Value::from("crash"), &Value::from(true)), "{call}");
    }
    let losses: Vec<f64> = interactions.iter().flat_map(|interaction| judge(&grace, interaction, killed_ms)).collect();
    assert_little_is_lost(&losses);
    for (n, (_, heard)) in phones.iter().enumerate() {
        index_of(caller_tone, heard, &format!("what agent {n} heard"));
    }
    assert_a_phone_rings(&server, phones.into_iter().map(|(phone, _)| phone).collect());
}

const CROWD: usize = 200;
/// Serving again: what is promised, and several times what an unoptimized build takes.
const PROMISED: Duration = Duration::from_secs(5);

/// Four hundred pairs of twenty low and twenty high frequencies: those of the customer and of the phone of each call.
fn crowd_tones(n: usize) -> [Pair; 2] {
    [2 * n, 2 * n + 1].map(|k| (400.0 + 40.0 * (k / 20) as f64, 1_400.0 + 40.0 * (k % 20) as f64))
}

fn crowd_number(n: usize) -> String {
    format!("+442079461{n:03}")
}

fn crowd_index(number: &str) -> usize {
    (0..CROWD).find(|n| crowd_number(*n) == number).unwrap_or_else(|| panic!("{number} was not called"))
}

/// Its own two frequencies and none of the others in this share of the windows looked at, from the first to the last sound.
///
/// On a busy machine a choir comes late or hears late, and a step in its tone sounds like its neighbours; whoever hears somebody
/// else has a share of nothing.
fn assert_own(samples: &[i16], own: Pair, least: f64, what: &str) {
    const STEP: usize = 5;
    let span = sound::span(samples, own);
    let seconds = span.len() as f64 / f64::from(sound::RATE);
    assert!(seconds >= TALK.as_secs_f64() * least - 0.5, "{what}: its tone lasts {seconds:.1} s");
    let grid = || (0..20).map(|k| 40.0 * f64::from(k)).flat_map(|above| [400.0 + above, 1_400.0 + above]);
    let is_own = |window: &[i16]| grid().all(|hz| (amplitude_of(window, hz, sound::RATE) > 1_000.0) == (hz == own.0 || hz == own.1));
    let windows: Vec<_> = span.chunks_exact(sound::RATE as usize / 10).step_by(STEP).collect();
    let good = windows.iter().filter(|window| is_own(window)).count();
    assert!(good as f64 >= least * windows.len() as f64, "{what}: its tone alone is heard in {good} of {} windows", windows.len());
}

fn crowd_server(extensions: &[String]) -> (Server, u16) {
    let port = UdpSocket::bind((TRUNK, 0)).and_then(|socket| socket.local_addr()).expect("a port of the carrier").port();
    let change = |name: &str, text: String| match name {
        "speech.toml" => "[speech]\nenabled = false\n".to_owned(),
        "sip.toml" => text.replace("max_calls = 40", "max_calls = 220"),
        "media.toml" => text.replace("20000-20199", "20000-20999"),
        "trunks.toml" => format!(
            "[[trunk]]\nname = \"carrier\"\naddresses = [\"{TRUNK}\"]\ncountry = \"GB\"\nhost = \"{TRUNK}\"\nport = {port}\n\
             caller_number = \"+442079460000\"\nmax_calls = 220\nmax_calls_per_second = 220\n\
             [[route]]\nemergency = true\ntrunks = [\"carrier\"]\n[[route]]\nprefix = \"+44\"\ntrunks = [\"carrier\"]\n\
             [[group]]\nname = \"everybody\"\nphones = [\"*\"]\n"
        ),
        _ => text,
    };
    let prepare = |config: &Path| crowd::add_accounts(config, extensions);
    (Server::set_up(&Setup { change: Some(&change), prepare: Some(&prepare), ..Setup::default() }), port)
}

/// All register and call; returns them with the addresses that the server sends each one's sound from.
fn crowd_calls(server: &Server, extensions: &[String], choir: &Choir) -> Vec<(CrowdPhone, SocketAddr)> {
    const THREADS: usize = 4;
    let one = |n: usize, user: &String| {
        let mut phone = CrowdPhone::register(server.sip(), user);
        let heard_from = phone.call(&crowd_number(n), choir, crowd_tones(n)[1]);
        (phone, heard_from)
    };
    thread::scope(|scope| {
        let some = |(part, users): (usize, &[String])| {
            let users = users.to_vec();
            scope.spawn(move || users.iter().enumerate().map(|(n, user)| one(part * CROWD / THREADS + n, user)).collect::<Vec<_>>())
        };
        let threads: Vec<_> = extensions.chunks(CROWD / THREADS).enumerate().map(some).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every call is answered")).collect()
    })
}

/// Judges one of the calls after the restart; returns which it was and what its tracks lost, holes included.
fn judge_crowd(grace: &Client, call: &Value, killed_ms: f64) -> (usize, [f64; 2]) {
    let interaction = call["interaction"].as_str().expect("an interaction");
    assert_eq!((&call["cause"], &call["recorded"]), (&Value::from("crash"), &Value::from(true)), "{call}");
    let page = grace.get(&format!("/api/interactions/{interaction}")).json();
    assert_eq!(page["cause"], "crash", "{interaction}");
    assert!(!page["ended_at"].is_null(), "{interaction} is not closed");
    let n = crowd_index(page["number"].as_str().unwrap_or_else(|| panic!("no number in {page:#}")));
    let tracks = agent::recording(grace, interaction);
    let lost = [0, 1].map(|side| {
        let (samples, own) = (&tracks[side], crowd_tones(n)[side]);
        let what = format!("call {n}, track {side}");
        assert_own(samples, own, 0.8, &what);
        let span = sound::span(samples, own);
        let holes = (1.0 - sound::share(span, own)) * span.len() as f64 / 8.0;
        holes + lost_ms(&page, samples, own, killed_ms)
    });
    (n, lost)
}

#[test]
fn a_kill_during_two_hundred_recorded_calls_costs_a_second_of_each_at_most() {
    let extensions: Vec<String> = (0..CROWD).map(|n| format!("4{n:03}")).collect();
    let (mut server, port) = crowd_server(&extensions);
    let carrier = Carrier::start(port, server.sip(), |called| crowd_tones(crowd_index(called))[0]);
    let choir = Choir::start([127, 0, 0, 1].into());
    let mut phones = crowd_calls(&server, &extensions, &choir);
    let youngest = Instant::now();
    wait_for("five seconds of talk", PATIENCE, || (youngest.elapsed() >= TALK).then_some(()));
    server.kill();
    let killed_ms = now_ms();
    let (mut phones_heard, customers_heard) = (choir.stop(), carrier.stop());
    restart(&mut server, PROMISED);

    let asked = Instant::now();
    for n in 0..CROWD {
        let [(caller, _), (colleague, _)] = phones.get_disjoint_mut([n, (n + 1) % CROWD]).expect("two phones");
        caller.rings(colleague);
    }
    println!("{CROWD} phones rang within {:.2} s, none registered again", asked.elapsed().as_secs_f64());

    let grace = server.login("grace");
    let crashed: Vec<Value> = listed(&grace).into_iter().filter(|call| call["cause"] == "crash").collect();
    assert_eq!(crashed.len(), CROWD, "calls that the crash ended");
    let judged: Vec<_> = crashed.iter().map(|call| judge_crowd(&grace, call, killed_ms)).collect();
    assert_eq!(judged.iter().map(|(n, _)| n).collect::<BTreeSet<_>>().len(), CROWD, "each call once");
    assert_little_is_lost(&judged.into_iter().flat_map(|(_, lost)| lost).collect::<Vec<_>>());
    for (n, (_, heard_from)) in phones.iter().enumerate() {
        let [customer, phone] = crowd_tones(n);
        assert_own(&phones_heard.remove(heard_from).expect("sound"), customer, 0.5, &format!("what phone {n} heard"));
        assert_own(&customers_heard[&crowd_number(n)], phone, 0.5, &format!("what customer {n} heard"));
    }
}
