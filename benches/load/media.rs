//! What calls in progress cost: processor time and memory for one more call, delay and loss, beside a bare loop in the same run.

use std::{collections::BTreeMap, path::Path, time::Duration};

use throughline::{protocol::audio::g711, service::speech::file};

use super::{
    bare_loop::BareLoop,
    driver::{Driver, Kind, Load, Pace},
    machine::{self, Cpu},
    report::Report,
    rtp::{Generator, Heard},
    server::{Plan, Server},
};

const WARM_UP: Duration = Duration::from_millis(1_500);
/// A call's packets in a second, both directions.
const PACKETS: f64 = 100.0;

/// What one number of calls showed.
struct Point {
    calls: usize,
    /// Processor time per second: the whole process, and each of its threads.
    cpu: f64,
    threads: BTreeMap<String, f64>,
    resident: u64,
    heard: Heard,
    /// Utterances that live words were asked for since the server's start.
    words: f64,
    /// Packets that reached the server's sockets and never left: dropped by the kernel there, or by us.
    lost: u64,
}

/// What is done with the calls, and what is said in them.
#[derive(Clone)]
struct Way {
    record: &'static str,
    payload_types: [u8; 2],
    voices: Option<[Vec<u8>; 2]>,
}

/// How long each point is measured, and with how many calls.
#[derive(Clone, Copy)]
pub struct Span {
    pub time: Duration,
    pub few: usize,
    pub many: usize,
}

/// All modes, each with few calls and with many.
pub fn run(span: Span, report: &mut Report) -> anyhow::Result<()> {
    let bare = bare(span)?;
    let bare_slope = slope(&bare, |point| point.cpu);
    report.note(&format!(
        "bare epoll/receive/send loop: {:.1} µs of processor time a call and second ({:.2} µs a packet), {}",
        bare_slope * 1e6,
        bare_slope * 1e6 / PACKETS,
        heard_line(bare)
    ));
    let mut relay = 0.0;
    for (name, record, payload_types) in
        [("relayed", "none", [8, 8]), ("relayed, recorded", "all", [8, 8]), ("bridged µ to A", "none", [0, 8])]
    {
        let points = with_calls(span, &Way { record, payload_types, voices: None }, || Ok(()))?;
        let thread = |name: &str| slope(&points, |point| point.threads.get(name).copied().unwrap_or(0.0));
        let (cpu, media) = (slope(&points, |point| point.cpu), thread("media"));
        let threads: Vec<_> = points[1].threads.keys().map(|name| format!("{name} {:.1}", thread(name) * 1e6)).collect();
        report.note(&format!("{name}, µs a call and second by thread: {}", threads.join(", ")));
        let lost: u64 = points.iter().map(|point| point.lost).sum();
        let astray: u64 = points.iter().map(|point| point.heard.sent.saturating_sub(point.heard.received)).sum();
        let losses = format!("{lost} (and {} at the load's own sockets)", astray.saturating_sub(lost));
        let memory = (points[1].resident as f64 - points[0].resident as f64) / (points[1].calls - points[0].calls) as f64 / 1024.0;
        let each = format!(
            "{:.1} µs a call and second ({:.2} µs a packet; media thread {:.2})",
            cpu * 1e6,
            cpu * 1e6 / PACKETS,
            media * 1e6 / PACKETS
        );
        let load = points[1].cpu;
        let [_, mut last] = points;
        let delay = last.heard.delay.at(0.99);
        match name {
            "relayed" => {
                relay = cpu;
                report.row(
                    "relayed call, processor time",
                    "≤ 2 × the bare loop",
                    &format!("{:.2} × ({each})", cpu / bare_slope),
                    cpu <= 2.0 * bare_slope,
                );
                report.row("added delay p99, relayed", "< 1 ms", &format!("{delay:.2} ms at {:.0} % load", load * 100.0), delay < 1.0);
                report.row("packets lost by us, relayed", "0", &losses, lost == 0);
            }
            "relayed, recorded" => {
                report.row("with recording", "≤ +25 %", &format!("{:+.0} % ({each})", (cpu / relay - 1.0) * 100.0), cpu <= 1.25 * relay);
                report.row("memory per recorded call", "≤ 60 kB", &format!("{memory:.1} kB"), memory <= 60.0);
                report.row("packets lost by us, recorded", "0", &losses, lost == 0);
            }
            _ => report.note(&format!("{name}: {:.2} × the bare loop, {each}, lost {losses}", cpu / bare_slope)),
        }
        if last.heard.delay.len() > 0 {
            report.note(&format!(
                "{name}, {} calls: delay {}, reordered {}, sent late {}",
                last.calls,
                last.heard.delay.line(),
                last.heard.reordered,
                last.heard.late.line()
            ));
        }
    }
    Ok(())
}

fn heard_line(points: [Point; 2]) -> String {
    let [_, mut many] = points;
    format!(
        "{} calls: delay {}, {} of {} packets lost",
        many.calls,
        many.heard.delay.line(),
        many.heard.sent - many.heard.received.min(many.heard.sent),
        many.heard.sent
    )
}

fn slope(points: &[Point; 2], of: impl Fn(&Point) -> f64) -> f64 {
    (of(&points[1]) - of(&points[0])) / (points[1].calls - points[0].calls) as f64
}

fn bare(span: Span) -> anyhow::Result<[Point; 2]> {
    let mut generator = Generator::bind([8, 8])?;
    let media = generator.media()?;
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let bare = BareLoop::start(span.many, address, [media[0].0, media[1].0])?;
    let mut measure = |calls: usize| {
        generator.talk(address, &bare.ports[..calls]);
        point(&mut generator, bare.pid(), calls, span.time, true, || 0)
    };
    Ok([measure(span.few), measure(span.many)])
}

/// The same relayed calls twice: as they are, and beside what `start` starts. Of each, the delay's 99th percentile in
/// milliseconds, what its distribution looks like, and packets lost by us.
pub fn beside<G>(calls: usize, time: Duration, start: impl FnOnce() -> anyhow::Result<G>) -> anyhow::Result<[(f64, String, u64); 2]> {
    let way = Way { record: "none", payload_types: [8, 8], voices: None };
    let points = with_calls(Span { time, few: calls, many: calls }, &way, start)?;
    Ok(points.map(|mut point| (point.heard.delay.at(0.99), point.heard.delay.line(), point.lost)))
}

/// Memory for one more call that is recorded and whose words are shown while they are spoken.
pub fn memory_of_words(span: Span, report: &mut Report) -> anyhow::Result<()> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/samples/call.wav");
    let sides = file::read_wav(&sample)?;
    anyhow::ensure!(sides.len() == 2, "a side for each party is wanted");
    let voices = [0, 1].map(|side: usize| sides[side].samples.iter().map(|sample| g711::linear_to_alaw(*sample)).collect());
    let points = with_calls(span, &Way { record: "all", payload_types: [8, 8], voices: Some(voices) }, || Ok(()))?;
    anyhow::ensure!(points[1].words > 0.0, "nobody was listened to: nothing was measured");
    let memory = slope(&points, |point| point.resident as f64) / 1024.0;
    report.row(
        "memory per transcribed call",
        "≤ 300 kB",
        &format!(
            "{memory:.1} kB, from {} to {} calls; {} then {} utterances asked for, {:.0} s each",
            points[0].calls,
            points[1].calls,
            points[0].words,
            points[1].words - points[0].words,
            span.time.as_secs_f64()
        ),
        memory <= 300.0,
    );
    let threads: Vec<_> = points[1].threads.keys().map(String::as_str).collect();
    let thread = |name: &str| slope(&points, |point| point.threads.get(name).copied().unwrap_or(0.0)) * 1e6;
    let each: Vec<_> = threads.iter().map(|name| format!("{name} {:.1}", thread(name))).collect();
    report.note(&format!("transcribed, µs a call and second by thread (the models run in processes of their own): {}", each.join(", ")));
    Ok(())
}

/// Measures few calls and many; what `between` starts after the first lasts until the end of the second.
fn with_calls<G>(span: Span, way: &Way, between: impl FnOnce() -> anyhow::Result<G>) -> anyhow::Result<[Point; 2]> {
    let Way { record, payload_types, voices } = way.clone();
    let live = voices.is_some();
    let plan = Plan { phones: 2 * span.many, record, live, max_calls: span.many + 16, ..Plan::default() };
    let server = Server::start(&plan)?;
    let mut driver = Driver::new(&server, (0..plan.phones).map(|n| format!("p{n}")))?;
    driver.register(1_000.0)?;
    let mut generator = Generator::bind(payload_types)?;
    driver.media = generator.media()?;
    let timed = payload_types[0] == payload_types[1] && !live;
    voices.into_iter().for_each(|voices| generator.say(voices));
    let mut measure = |calls: usize| -> anyhow::Result<Point> {
        let more = (calls - driver.ports().len()) as u64;
        let load = Load { kind: Kind::Phones, pace: Pace::PerSecond(200.0), talk: None, time: Duration::from_secs(60), calls: more };
        if more > 0 {
            let outcome = driver.run(&load)?;
            anyhow::ensure!(outcome.talked == more, "calls fail: {outcome:?}; {}", server.troubles());
        }
        // Rows of the set-up that wait in the journal are no part of what a call in progress costs.
        server.settled_within(Duration::from_secs(30));
        generator.talk(server.sip().ip(), &driver.ports());
        let lost = || {
            let inside = server.metric("throughline_rtp_received_total") - server.metric("throughline_rtp_sent_total");
            machine::socket_drops(server.sip().ip()) + inside.max(0.0) as u64 + server.metric("throughline_media_send_blocked_total") as u64
        };
        let mut point = point(&mut generator, server.pid(), calls, span.time, timed, lost);
        point.words = server.metric("throughline_speech_live_utterances_total");
        Ok(point)
    };
    let first = measure(span.few)?;
    let beside = between()?;
    let points = [first, measure(span.many)?];
    drop(beside);
    driver.hang_up_all()?;
    Ok(points)
}

fn point(generator: &mut Generator, pid: u32, calls: usize, time: Duration, timed: bool, lost: impl Fn() -> u64) -> Point {
    generator.run(WARM_UP, timed);
    let lost_before = lost();
    let before = Cpu::of(pid);
    let heard = generator.run(time, timed);
    let used = Cpu::of(pid).since(&before);
    let seconds = time.as_secs_f64();
    Point {
        calls,
        cpu: used.total().as_secs_f64() / seconds,
        threads: used.threads().map(|(name, used)| (name.to_owned(), used.as_secs_f64() / seconds)).collect(),
        resident: machine::resident(pid),
        heard,
        words: 0.0,
        lost: lost().saturating_sub(lost_before),
    }
}
