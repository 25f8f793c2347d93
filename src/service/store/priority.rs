//! Asks the system to run the thread that writes the record behind all others: it has work by the millisecond, and nobody waits for it,
//! while a call that rings waits for everybody else.
//!
//! Not at their cost: what it gets is less than an equal share, never nothing, as a journal that grew for ever would be no better.

use std::fs;

/// How the writing thread is called; the kernel keeps 15 octets.
pub(super) const WRITER: &str = "record-writer";

/// A third of the share of a thread of nice 0.
const NICE: i32 = 5;
/// Whoever asks for less at a time goes first when it wakes (Linux 6.12 and later; others ignore it), nanoseconds.
const SLICE: u64 = 20_000_000;

/// Puts the writing threads of this process behind the others, as far as the system permits it.
pub(super) fn lower_writers() {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return };
    for thread in threads.flatten() {
        let is_writer = fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim_end() == WRITER);
        if is_writer
            && let Some(id) = thread.file_name().to_str().and_then(|id| id.parse().ok())
            && !lower(id)
        {
            tracing::debug!("the thread that writes the record runs as all others do");
        }
    }
}

#[expect(unsafe_code, reason = "sched_setattr has no safe wrapper; it reads one struct that lives on this stack")]
fn lower(thread: libc::pid_t) -> bool {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_BATCH as u32,
        sched_flags: 0,
        sched_nice: NICE,
        sched_priority: 0,
        sched_runtime: SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the pointer is to a valid struct of the size that stands in it, for the length of the call.
    unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writing_thread_is_behind_the_others_and_no_other_is() {
        let nice_of = |name: &str| {
            let (named, wait) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<()>());
            let thread = std::thread::Builder::new().name(name.to_owned());
            let running = thread.spawn(move || {
                named.0.send(()).expect("heard");
                wait.1.recv().expect("told");
                let stat = fs::read_to_string("/proc/thread-self/stat").expect("its figures");
                // What follows the name in parentheses begins with the third field; niceness is the nineteenth.
                let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(16).expect("niceness").to_owned();
                fields.parse::<i32>().expect("a number")
            });
            let running = running.expect("a thread");
            named.1.recv().expect("started");
            lower_writers();
            wait.0.send(()).expect("heard");
            running.join().expect("ended")
        };
        let (writer, other) = (nice_of(WRITER), nice_of("something-else"));
        assert_eq!(writer - other, NICE);
    }
}
