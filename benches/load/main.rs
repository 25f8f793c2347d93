//! Load on the real server: calls, registrations, RTP, desks, a big record; `scripts/bench` runs it and prints a table.
//!
//! Switch and load run on a processor core each (`taskset`), every ratio is taken within one run, slopes rather than points.

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr, reason = "measuring needs a clock and says what it finds")]

mod bare_loop;
mod desk;
mod driver;
mod endurance;
mod lag;
mod machine;
mod media;
mod pop;
mod record;
mod report;
mod rtp;
mod server;
mod setup;
mod sip;
mod stats;
mod strangers;
mod words;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    /// What cargo passes to every bench.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Set-up and tear-down: phone to phone, and from the trunk through queue, brief, pop and wrap-up.
    Setup {
        /// Seconds of each step.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// Agents with desks: with a hundred, each would take ten calls a second.
        #[arg(long, default_value_t = 200)]
        agents: usize,
    },
    /// Calls in progress: processor time and memory for one more, delay and loss, beside a bare loop.
    Media {
        /// Seconds of each point.
        #[arg(long, default_value_t = 8.0)]
        seconds: f64,
        /// Calls of the first point.
        #[arg(long, default_value_t = 100)]
        few: usize,
        /// Calls of the second point.
        #[arg(long, default_value_t = 400)]
        many: usize,
    },
    /// Relayed calls while every speech worker is busy, beside the same calls without.
    Words {
        /// Seconds of each point.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Calls.
        #[arg(long, default_value_t = 100)]
        calls: usize,
    },
    /// How long after an utterance its words are there, by how many legs talk.
    Lag {
        /// Legs, one number after the other.
        #[arg(long, value_delimiter = ',', default_values_t = [10, 40, 80, 120])]
        legs: Vec<usize>,
        /// Seconds of each.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// What stays after many calls.
    Growth {
        /// Calls through queue and desk.
        #[arg(long, default_value_t = 20_000)]
        calls: u64,
        /// Calls a second.
        #[arg(long, default_value_t = 50.0)]
        rate: f64,
        /// Idle seconds before memory is looked at.
        #[arg(long, default_value_t = 60)]
        idle: u64,
    },
    /// Every phone registers at once.
    Storm {
        /// Phones.
        #[arg(long, default_value_t = 10_000)]
        phones: usize,
        /// Within so many seconds.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// Ten times what goes, with calls in progress.
    Overload {
        /// Seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// What strangers learn and get.
    Strangers {
        /// Tries for each kind of user.
        #[arg(long, default_value_t = 2_000)]
        tries: u32,
    },
    /// The pop with a big record.
    Pop {
        /// Customers; a million with --full.
        #[arg(long, default_value_t = 100_000)]
        customers: u64,
        /// Timeline entries; ten million with --full.
        #[arg(long, default_value_t = 1_000_000)]
        entries: u64,
        /// The record of the budget: 6 GB of disk, and some minutes to make it.
        #[arg(long, conflicts_with_all = ["customers", "entries"])]
        full: bool,
        /// Seconds cold, and as many warm.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Everything, one after the other.
    All {
        /// In less than five minutes: shorter, smaller, fewer, and without the growth over many calls.
        #[arg(long)]
        quick: bool,
    },
    /// A child process: receives and sends, nothing else.
    #[command(hide = true)]
    BareLoop { calls: usize, address: IpAddr, caller: SocketAddr, phone: SocketAddr },
}

fn main() -> anyhow::Result<()> {
    let mut report = report::Report::default();
    let Some(what) = Arguments::parse().what else {
        println!("say what to measure: cargo bench --bench load -- --help, or scripts/bench for all of it");
        return Ok(());
    };
    if let What::BareLoop { calls, address, caller, phone } = what {
        return bare_loop::run(calls, address, [caller, phone]);
    }
    report.note(&format!("{}; load average {}", machine::describe(), machine::load()));
    measure(what, &mut report)?;
    report.note(&format!("load average afterwards {}", machine::load()));
    report.print();
    Ok(())
}

fn measure(what: What, report: &mut report::Report) -> anyhow::Result<()> {
    let seconds = Duration::from_secs;
    match what {
        What::Setup { seconds, agents } => setup::run(seconds, agents, report),
        What::Media { seconds, few, many } => media::run(media::Span { time: Duration::from_secs_f64(seconds), few, many }, report),
        What::Words { seconds: time, calls } => words::run(calls, seconds(time), report),
        What::Lag { legs, seconds: time } => lag::run(&legs, seconds(time), report),
        What::Growth { calls, rate, idle } => endurance::growth(calls, rate, seconds(idle), report),
        What::Storm { phones, seconds: time } => endurance::storm(phones, seconds(time), report),
        What::Overload { seconds: time } => endurance::overload(seconds(time), report),
        What::Strangers { tries } => strangers::run(tries, report),
        What::Pop { full: true, seconds: time, .. } => pop::run(1_000_000, 10_000_000, seconds(time), report),
        What::Pop { customers, entries, full: false, seconds: time } => pop::run(customers, entries, seconds(time), report),
        What::BareLoop { .. } => Ok(()),
        What::All { quick } => {
            let parts = if quick { quick_parts() } else { full_parts() };
            for part in parts {
                // One part that fails must not hide the others.
                if let Err(error) = measure(part, report) {
                    report.row("a measurement failed", "", &format!("{error:#}"), false);
                }
            }
            Ok(())
        }
    }
}

fn full_parts() -> Vec<What> {
    vec![
        What::Setup { seconds: 10.0, agents: 100 },
        What::Media { seconds: 20.0, few: 100, many: 400 },
        What::Words { seconds: 20, calls: 100 },
        What::Lag { legs: vec![10, 40, 80, 120], seconds: 30 },
        What::Strangers { tries: 2_000 },
        What::Storm { phones: 10_000, seconds: 30 },
        What::Overload { seconds: 10 },
        What::Growth { calls: 20_000, rate: 50.0, idle: 60 },
        What::Pop { customers: 0, entries: 0, full: true, seconds: 60 },
    ]
}

fn quick_parts() -> Vec<What> {
    vec![
        What::Setup { seconds: 3.0, agents: 50 },
        What::Media { seconds: 5.0, few: 50, many: 200 },
        What::Words { seconds: 5, calls: 50 },
        What::Lag { legs: vec![10, 60], seconds: 10 },
        What::Strangers { tries: 500 },
        What::Storm { phones: 1_000, seconds: 3 },
        What::Overload { seconds: 3 },
        What::Pop { customers: 20_000, entries: 200_000, full: false, seconds: 10 },
    ]
}
