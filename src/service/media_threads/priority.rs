//! Asks the system to run media before other work: a packet that waits for a busy core is heard as a gap.
//!
//! SCHED_RR where it is permitted (CAP_SYS_NICE, or RLIMIT_RTPRIO), else nice −10, else as everybody; said once.

use std::sync::Once;

/// The lowest real-time priority: before all ordinary threads, behind everything else that is real-time.
const REAL_TIME_PRIORITY: libc::c_int = 1;
/// Eleven times the share of a thread of nice 0.
const NICE: libc::c_int = -10;

/// Prefers this thread over others, as far as the system permits it.
pub(super) fn raise() {
    static SAID: Once = Once::new();
    let how = if real_time() {
        "media threads run before all ordinary work (SCHED_RR)"
    } else if nice() {
        "media threads run at nice -10: SCHED_RR is not permitted (give CAP_SYS_NICE or LimitRTPRIO=1)"
    } else {
        "media threads run as ordinary ones: under load calls may stutter (give CAP_SYS_NICE, LimitRTPRIO=1 or LimitNICE=-10)"
    };
    SAID.call_once(|| tracing::info!("{how}"));
}

#[expect(unsafe_code, reason = "sched_setscheduler has no safe wrapper here; it reads one struct that lives on this stack")]
fn real_time() -> bool {
    let parameters = libc::sched_param { sched_priority: REAL_TIME_PRIORITY };
    // SAFETY: the pointer is to a valid struct for the length of the call; 0 means the calling thread on Linux.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters) == 0 }
}

#[expect(unsafe_code, reason = "setpriority has no safe wrapper here; it takes plain integers and touches no memory")]
fn nice() -> bool {
    // SAFETY: `setpriority` reads its three integer arguments and nothing else; 0 means the calling thread on Linux.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) == 0 }
}
