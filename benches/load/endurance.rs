//! What stays after many calls: memory, descriptors, threads; and what storms and overload do.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{
    driver::{Driver, Kind, Load, Outcome, Pace},
    machine,
    report::Report,
    rtp::{Generator, Sound},
    server::{Plan, Server},
};

/// Memory that may stay after the last call of a long day.
const GROWTH: f64 = 2.0;
/// Longest wait for the last rows.
const SETTLED: Duration = Duration::from_secs(60);

/// Calls before the first look at memory last at least this long: transactions are kept for 32 s, and memory has its plateau then.
const PLATEAU: Duration = Duration::from_secs(40);

/// So many calls through queue and desk; what stays after an idle minute, from a tenth of them on, or later where they come fast.
pub fn growth(calls: u64, per_second: f64, idle: Duration, report: &mut Report) -> anyhow::Result<()> {
    let plan = Plan { agents: 100, record: "external", max_calls: 4_000, ..Plan::default() };
    let server = Server::start(&plan)?;
    let mut driver = Driver::new(&server, (0..plan.agents).map(|n| format!("a{n}")))?;
    driver.register(2_000.0)?;
    driver.open_desks()?;
    let early_calls = (calls / 10).max((per_second * PLATEAU.as_secs_f64()) as u64);
    let calls = calls.max(2 * early_calls);
    let load = Load {
        kind: Kind::Queue,
        pace: Pace::PerSecond(per_second),
        talk: Some(Duration::ZERO),
        time: Duration::from_secs(3_600),
        calls: early_calls,
    };
    let mut look = |calls: u64| -> anyhow::Result<(f64, usize, usize, Outcome)> {
        let outcome = driver.run(&Load { calls, ..load })?;
        server.settled_within(Duration::from_secs(60));
        let quiet = Instant::now();
        while quiet.elapsed() < idle {
            driver.turn(Duration::from_millis(200))?;
        }
        let pid = server.pid();
        Ok((machine::resident(pid) as f64 / f64::from(1 << 20), machine::descriptors(pid), machine::threads(pid), outcome))
    };
    let (early, early_descriptors, early_threads, first) = look(early_calls)?;
    let (late, descriptors, threads, rest) = look(calls - early_calls)?;
    let done = first.completed + rest.completed;
    let measured = format!("{:+.1} MiB ({early:.1} → {late:.1}), {done} calls completed, refused {:?}", late - early, rest.refused);
    let what = format!("growth from {early_calls} to {calls} calls, {per_second:.0} a second");
    report.row(&what, "≤ 2 MB", &measured, late - early <= GROWTH);
    let same = (early_descriptors, early_threads) == (descriptors, threads);
    let measured = format!("{early_descriptors} → {descriptors}, {early_threads} → {threads}");
    report.row(&format!("descriptors, threads after {} s idle", idle.as_secs()), "equal", &measured, same);
    Ok(())
}

/// Every phone registers at once, after a power cut: those of one site behind one address, then those of many.
pub fn storm(phones: usize, time: Duration, report: &mut Report) -> anyhow::Result<()> {
    storm_from("one address", |_| [127, 0, 0, 1].into(), (phones, time), report)?;
    let many = |n: usize| {
        let [.., network, _] = ((n / 50) as u32 * 256).to_be_bytes();
        std::net::IpAddr::from([127, 40, network, (n % 50 + 1) as u8])
    };
    storm_from("addresses of many networks", many, (phones, time), report)
}

fn storm_from(
    place: &str,
    address: impl Fn(usize) -> std::net::IpAddr,
    (phones, time): (usize, Duration),
    report: &mut Report,
) -> anyhow::Result<()> {
    let server = Server::start(&Plan { phones, record: "none", max_calls: 100, ..Plan::default() })?;
    let mut driver = Driver::spread(&server, (0..phones).map(|n| format!("p{n}")), address)?;
    let begin = Instant::now();
    let before = machine::Cpu::of(server.pid());
    driver.register(phones as f64 / time.as_secs_f64())?;
    let used = machine::Cpu::of(server.pid()).since(&before);
    let (registered, again, seconds) = (driver.registered(), driver.again, begin.elapsed().as_secs_f64());
    let unanswered = server.metric("throughline_stranger_unanswered_total ");
    let (took, refused) = &mut driver.registrations;
    let measured = format!(
        "{registered} in {seconds:.1} s, refused {refused:?}, sent anew {again}, unanswered by the limits for strangers {unanswered:.0}, \
         first REGISTER to 200 {}",
        took.line()
    );
    report.row(&format!("{phones} phones at {place} register in {} s", time.as_secs()), "all", &measured, registered == phones);
    report.note(&format!("a registration costs, µs of processor time: {}", used.per(registered as u64)));
    Ok(())
}

/// Ten times what goes, with calls in progress: what still goes through, what those in progress feel, how soon it is over.
pub fn overload(time: Duration, report: &mut Report) -> anyhow::Result<()> {
    const HELD: u64 = 100;
    const PHONES: usize = 256;
    let plan = Plan { phones: 2 * HELD as usize + PHONES, record: "none", max_calls: 4_000, ..Plan::default() };
    let server = Server::start(&plan)?;
    let mut held = Driver::new(&server, (PHONES..plan.phones).map(|n| format!("p{n}")))?;
    held.register(2_000.0)?;
    // They have sound: a call without a packet for half a minute is one whose phone is gone.
    let mut generator = Generator::bind([8, 8])?;
    held.media = generator.media()?;
    let begin = Load { kind: Kind::Phones, pace: Pace::PerSecond(200.0), talk: None, time: Duration::from_secs(30), calls: HELD };
    let talked = held.run(&begin)?.talked;
    ensure!(talked == HELD, "{talked} of {HELD} calls are in progress before the overload; {}", server.troubles());
    generator.talk(server.sip().ip(), &held.ports());
    let sound = Sound::begin(generator);
    let mut driver = Driver::new(&server, (0..PHONES).map(|n| format!("p{n}")))?;
    driver.register(2_000.0)?;
    let most = Load { kind: Kind::Phones, pace: Pace::AtOnce(64), talk: Some(Duration::ZERO), time, calls: u64::MAX };
    let (usual, rate) = sustained(&server, &mut driver, &most)?;
    // Memory is compared with that of a day's work: transactions are kept for 32 s, or until their table is full.
    let mut calm = driver.run(&Load { pace: Pace::PerSecond(rate / 2.0), time: time.max(PLATEAU), ..most })?;
    server.settled_within(SETTLED);
    let usual_p99 = calm.invite.at(0.99);
    let memory = machine::resident(server.pid()) as f64;
    machine::forget_peak(server.pid());
    let before = machine::Cpu::of(server.pid());
    let (flood, with_rows) = sustained(&server, &mut driver, &Load { kind: Kind::BusyPhones, pace: Pace::PerSecond(10.0 * rate), ..most })?;
    let used = machine::Cpu::of(server.pid()).since(&before);
    let peak = machine::peak(server.pid()) as f64;
    let goodput = with_rows / rate;
    let offered = flood.begun as f64 / flood.seconds / rate;
    let during = flood.completed as f64 / flood.seconds / rate;
    let measured = format!(
        "{:.0} % of {rate:.0} calls/s, rows and all, while {offered:.1} × is offered ({:.0} % before the last rows); refused {:?}, lost {}",
        goodput * 100.0,
        during * 100.0,
        flood.refused,
        flood.lost
    );
    report.row("goodput at 10 × overload", "≥ 90 %", &measured, goodput >= 0.9 && offered >= 9.0);
    report.note(&format!(
        "without overload: {} completed in {:.1} s; in overload {} of {}; the server's processor time, µs for each call begun: {}; {}",
        usual.completed,
        usual.seconds,
        flood.completed,
        flood.begun,
        used.per(flood.begun),
        server.sheds()
    ));
    report.row("memory in overload", "≤ 1.3 ×", &format!("{:.2} ×", peak / memory), peak <= 1.3 * memory);
    let heard = sound.end()?;
    let mut goodbyes = held.hang_up_all()?;
    let measured = format!(
        "{} of {HELD} said goodbye, BYE to 200 {}; of {} packets of theirs {} did not come through",
        goodbyes.completed,
        goodbyes.bye.line(),
        heard.sent,
        heard.sent.saturating_sub(heard.received)
    );
    report.row("calls in progress through the overload", "all", &measured, goodbyes.completed == HELD);
    recovery(&mut driver, &most, (rate, usual_p99), report)
}

/// Calls as the load has them, and how many a second that is until the last row is in the database: what can go on for ever.
fn sustained(server: &Server, driver: &mut Driver<'_>, load: &Load) -> anyhow::Result<(Outcome, f64)> {
    let outcome = driver.run(load)?;
    let settled = server.settled_within(SETTLED).context("the rows do not come to an end")?;
    let rate = outcome.completed as f64 / (outcome.seconds + settled.as_secs_f64());
    Ok((outcome, rate))
}

/// Seconds until half of the usual rate passes as it did before: within the budget, or what it was on this machine.
fn recovery(driver: &mut Driver<'_>, most: &Load, (rate, usual_p99): (f64, f64), report: &mut Report) -> anyhow::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        let time = Duration::from_millis(500);
        let mut calm = driver.run(&Load { pace: Pace::PerSecond(rate / 2.0), time, ..*most })?;
        if calm.completed == calm.begun && calm.invite.at(0.99) < (1.5 * usual_p99).max(20.0) {
            let seconds = begin.elapsed().as_secs_f64() - time.as_secs_f64();
            report.row("recovered after the overload", "≤ 10 s", &format!("{seconds:.1} s"), seconds <= 10.0);
            return Ok(());
        }
    }
    report.row("recovered after the overload", "≤ 10 s", "not within 30 s", false);
    Ok(())
}
