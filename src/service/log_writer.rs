//! Log lines go out by a thread of their own, so that whoever logs never waits for whoever reads the log: a pipe that is full, a
//! journal that stalls, a terminal that is stopped. What finds no room is left out and counted.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Lines that may wait: a start at the finest level, or some seconds of trouble.
const MAX_LINES: usize = 8_192;
/// Octets of one line that are kept; with the lines above this bounds what a stalled log costs.
const MAX_LINE_OCTETS: usize = 4_096;
/// How long the end of the program waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Lines of the log that were left out since the start, for the metrics.
pub static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

enum Message {
    Line(Vec<u8>),
    /// Everything before this is to be out; then this is told.
    Flush(Sender<()>),
}

/// Takes log lines, one to a write, and never waits.
#[derive(Clone)]
pub struct LogWriter {
    messages: Sender<Message>,
    left_out: &'static AtomicU64,
}

/// Waits at its end until what was logged is out, a second at most.
pub struct Flush(LogWriter);

impl LogWriter {
    /// Starts the thread that writes to `out`; `left_out` counts what finds no room.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(out: impl Write + Send + 'static, left_out: &'static AtomicU64) -> io::Result<(Self, Flush)> {
        let (messages, from_all) = bounded(MAX_LINES);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(out, &from_all, left_out))?;
        let writer = Self { messages, left_out };
        Ok((writer.clone(), Flush(writer)))
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut kept = line.get(..MAX_LINE_OCTETS).unwrap_or(line).to_vec();
        if kept.len() < line.len() {
            kept.extend_from_slice(b" [cut]\n");
        }
        if self.messages.try_send(Message::Line(kept)).is_err() {
            self.left_out.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, wait) = bounded(1);
        if self.0.messages.send_timeout(Message::Flush(done), LAST_LINES).is_ok() {
            let _ = wait.recv_timeout(LAST_LINES);
        }
    }
}

fn write_all(mut out: impl Write, messages: &Receiver<Message>, left_out: &AtomicU64) {
    let mut told = 0;
    for message in messages {
        match message {
            // Where the log cannot be written there is nobody to tell.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.send(());
            }
        }
        let missing = left_out.load(Relaxed);
        if missing != told && messages.is_empty() {
            tracing::warn!(lines = missing - told, "the log was not read in time: lines were left out");
            told = missing;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes nothing as long as the gate is there.
    struct Stalled {
        gate: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            self.written.lock().expect("one writer").extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nobody_up_and_what_it_leaves_out_is_counted() {
        static COUNTED: AtomicU64 = AtomicU64::new(0);
        let (stop, gate) = bounded(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut log, flush) = LogWriter::start(Stalled { gate, written: written.clone() }, &COUNTED).expect("a thread");
        let all = 3 * MAX_LINES;
        for n in 0..all {
            log.write_all(format!("line {n}\n").as_bytes()).expect("never refused, never waiting");
        }
        let left_out = usize::try_from(COUNTED.load(Relaxed)).expect("few");
        assert!((all - MAX_LINES - 1..=all - MAX_LINES).contains(&left_out), "{left_out} of {all}: at most one line is being written");
        drop(stop);
        drop(flush);
        let text = String::from_utf8(written.lock().expect("written").clone()).expect("text");
        let expected: String = (0..all - left_out).map(|n| format!("line {n}\n")).collect();
        assert_eq!(text, expected, "what found room is whole and in order");
    }

    #[test]
    fn an_endless_line_is_cut() {
        static COUNTED: AtomicU64 = AtomicU64::new(0);
        let (stop, gate) = bounded(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut log, flush) = LogWriter::start(Stalled { gate, written: written.clone() }, &COUNTED).expect("a thread");
        drop(stop);
        log.write_all(&vec![b'x'; 1 << 20]).expect("taken");
        drop(flush);
        let written = written.lock().expect("written");
        assert!(written.len() < MAX_LINE_OCTETS + 10 && written.ends_with(b" [cut]\n"), "{}", written.len());
    }
}
