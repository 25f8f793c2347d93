//! The pop with a big record: 20 offers a second, the writer busy, first cold, then warm.

use std::{path::Path, process::Command, time::Duration};

use super::{
    driver::{Driver, Kind, Load, Pace},
    record,
    report::Report,
    server::{Plan, Server},
};

/// Measures with so many customers and timeline entries.
pub fn run(customers: u64, entries: u64, time: Duration, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("throughline-record-").tempdir()?;
    let database = folder.path().join("throughline.db");
    let made = record::make(&database, customers, entries)?;
    report.note(&format!(
        "record of {customers} customers and {entries} entries: {:.1} GiB, made in {:.0} s; the busiest customer has {}",
        made.octets as f64 / f64::from(1 << 30),
        made.time.as_secs_f64(),
        made.most
    ));
    let plan = Plan { agents: 40, phones: 40, record: "none", max_calls: 1_000, database: Some(database), ..Plan::default() };
    let server = Server::start(&plan)?;
    let mut busy = Driver::new(&server, (0..plan.phones).map(|n| format!("p{n}")))?;
    busy.register(1_000.0)?;
    let mut driver = Driver::new(&server, (0..plan.agents).map(|n| format!("a{n}")))?;
    driver.register(1_000.0)?;
    driver.open_desks()?;
    driver.number = Box::new(move |call| record::number(record::caller(call, customers)));
    forget_cached(&server.data().join("throughline.db"));
    for cache in ["cold", "warm"] {
        // Calls between phones keep the writer busy.
        let writes = Load { kind: Kind::Phones, pace: Pace::AtOnce(2), talk: Some(Duration::from_millis(20)), time, calls: u64::MAX };
        let load = Load { kind: Kind::Queue, pace: Pace::PerSecond(20.0), talk: Some(Duration::from_millis(300)), time, calls: u64::MAX };
        let (mut pops, written) = Driver::together((&mut driver, &load), (&mut busy, &writes))?;
        let p99 = pops.offer.at(0.99);
        let measured = format!("{p99:.1} ms; from the INVITE on {}", pops.pop.line());
        report.row(
            &format!("offer decided to pop p99, {cache}, {customers} customers, {entries} entries"),
            "< 10 ms",
            &measured,
            p99 < 10.0,
        );
        let writing = written.completed as f64 / written.seconds;
        report.note(&format!("{cache}: offer to pop {}, while {writing:.0} calls/s between phones are written", pops.offer.line()));
    }
    Ok(())
}

/// Drops this file from the page cache, where `dd` can.
fn forget_cached(database: &Path) {
    let _ = Command::new("dd").arg(format!("if={}", database.display())).args(["iflag=nocache", "count=0", "status=none"]).status();
}
