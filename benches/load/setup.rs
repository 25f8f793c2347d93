//! Calls a second, and how long an INVITE takes from one side of the server to the other.

use std::time::Duration;

use super::{
    driver::{Driver, Kind, Load, Outcome, Pace},
    machine::Cpu,
    report::Report,
    server::{Plan, Server},
};

/// What writes rows, and does nothing else for a call between phones.
const WRITING: [&str; 4] = ["spool", "tokio-rt-worker", "record-writer", "record-reader"];

/// Between as many as go and the measurement of delays.
const CALMER: Duration = Duration::from_secs(2);

/// Both paths: as many as go, then at a share of it for the delays.
pub fn run(seconds: f64, agents: usize, report: &mut Report) -> anyhow::Result<()> {
    let plan = Plan { agents, phones: 256, record: "none", max_calls: 4_000, ..Plan::default() };
    let server = Server::start(&plan)?;
    let users = (0..plan.phones).map(|n| format!("p{n}"));
    let mut phones = Driver::new(&server, users)?;
    phones.register(2_000.0)?;
    step(&server, &mut phones, Kind::Phones, 64, seconds, report)?;
    let mut desks = Driver::new(&server, (0..agents).map(|n| format!("a{n}")))?;
    desks.register(2_000.0)?;
    desks.open_desks()?;
    step(&server, &mut desks, Kind::Queue, agents / 2, seconds, report)
}

fn step(server: &Server, driver: &mut Driver<'_>, kind: Kind, at_once: usize, seconds: f64, report: &mut Report) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(seconds);
    let load = Load { kind, pace: Pace::AtOnce(at_once), talk: Some(Duration::ZERO), time, calls: u64::MAX };
    let before = Cpu::of(server.pid());
    let most = driver.run(&load)?;
    // Rows that wait in the journal are part of what a call costs.
    let settled = server.settled_within(Duration::from_secs(60));
    let used = Cpu::of(server.pid()).since(&before);
    let burst = most.completed as f64 / most.seconds;
    let rate = most.completed as f64 / (most.seconds + settled.unwrap_or(Duration::from_secs(60)).as_secs_f64());
    let per_second = |time: Duration| most.completed as f64 / time.as_secs_f64();
    let signalling = per_second(used.thread("control"));
    let whole = format!(
        "{rate:.0} calls/s until the last row was in the database; {burst:.0} before that; {:.0} by processor time, the control thread \
         alone {signalling:.0}",
        per_second(used.total())
    );
    let what = match kind {
        Kind::Phones | Kind::BusyPhones => {
            let rows: Duration = WRITING.iter().map(|thread| used.thread(thread)).sum();
            let bare = per_second(used.total().saturating_sub(rows));
            let measured = format!("{bare:.0} calls/s by the processor time of all threads but those; with every row: {whole}");
            let what = "set-up and tear-down, one core: bare, phone to phone, without the threads of journal and database";
            report.row(what, "≥ 5000 calls/s", &measured, bare >= 5_000.0);
            "phone to phone, rows written"
        }
        Kind::Queue => {
            let what = "trunk, queue, brief, pop, desk, wrap-up, every row";
            report.row(&format!("set-up and tear-down, one core: {what}"), "≥ 1000 calls/s", &whole, rate >= 1_000.0);
            what
        }
    };
    report.note(&format!("{at_once} at once: {}; µs of processor time a call: {}", told(&most), used.per(most.completed)));
    report.note(&format!("all rows in the database after {settled:.1?} more; counters: {}", server.troubles()));
    // What the rush left for the desks to be told is not part of the calmer hour.
    driver.run(&Load { pace: Pace::PerSecond(rate / 2.0), time: CALMER, ..load })?;
    let mut half = driver.run(&Load { pace: Pace::PerSecond(rate / 2.0), ..load })?;
    let p99 = half.invite.at(0.99);
    report.row(
        &format!("INVITE in to INVITE out p99: {what}"),
        "< 20 ms",
        &format!("{p99:.1} ms at {:.0} calls/s", rate / 2.0),
        p99 < 20.0,
    );
    report.note(&format!("at {:.0} calls/s: INVITE to INVITE {}; {}", rate / 2.0, half.invite.line(), told(&half)));
    if kind == Kind::Queue {
        report.note(&format!("INVITE to pop {}; offer to pop {}", half.pop.line(), half.offer.line()));
    }
    Ok(())
}

fn told(outcome: &Outcome) -> String {
    let Outcome { begun, talked, completed, lost, refused, .. } = outcome;
    format!("begun {begun}, talked {talked}, completed {completed}, lost {lost}, refused {refused:?}")
}
