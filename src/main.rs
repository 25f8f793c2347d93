//! The command line: `throughline serve`, and the tools around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
