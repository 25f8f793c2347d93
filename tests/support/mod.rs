//! A whole server for one test: its own loopback address, folder and configuration; phones, trunk and desk around it.
//!
//! Everything waits on conditions with deadlines. What a test starts ends with it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "deadlines of real processes need a clock, skipped tests say so")]

pub mod agent;
pub mod bend;
pub mod call;
pub mod corpora;
pub mod crowd;
pub mod desk;
pub mod http;
pub mod linphone;
pub mod netns;
pub mod phone;
pub mod raw_phone;
pub mod rtp;
pub mod rtp_peer;
pub mod server;
pub mod sipp;
pub mod sound;
pub mod speech;
pub mod wire;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long a process may take to do what it should; generous, since two cores run everything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer; panics at the deadline, naming what was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        // A pause between two questions, not a wait for time to pass.
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A control: the check must fail, and for this reason.
#[track_caller]
pub fn must_fail(reason: &str, check: impl FnOnce()) {
    let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) else {
        panic!("the check did not see the fault: {reason}")
    };
    let said = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let said = said.unwrap_or_default();
    assert!(said.contains(reason), "the check failed for another reason than \"{reason}\": {said}");
}

/// Whether a program that a test needs is installed; where it must be (CI), its absence is a failure.
pub fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed; scripts/test installs it");
        eprintln!("skipped: {program} is not installed; scripts/test installs it");
    }
    found
}

/// A folder for what a test leaves to be looked at.
pub fn out_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/out");
    std::fs::create_dir_all(&folder).expect("tests/out");
    folder
}
