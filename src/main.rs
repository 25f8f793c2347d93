//! The command line: `throughline serve`, and the tools around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("speech-worker") => ExitCode::from(throughline::service::speech::worker::main()),
        _ => ExitCode::SUCCESS,
    }
}
