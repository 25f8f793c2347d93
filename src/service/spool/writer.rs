//! The thread that owns the journal's newest file: whatever has come in is written with one call.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crossbeam_channel::{Receiver, never};
use tokio::sync::watch;

use super::{Message, Shared, SpoolAlarm, journal};
use crate::service::store::SpoolMark;

/// Octets in one write: larger groups gain nothing and would keep the applier waiting.
const GROUP_MAX: usize = 256 * 1024;
/// Wait before a failed write is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// Tries after which a stopping process gives up on a disk that takes nothing.
const STOP_TRIES: u32 = 20;

/// How far the journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Everything before it is on disk.
    pub mark: SpoolMark,
}

pub(super) struct Writer {
    dir: PathBuf,
    file: File,
    mark: SpoolMark,
    shared: Arc<Shared>,
    stopping: bool,
}

impl Writer {
    /// Begins a new segment: an older one may end in a torn record and is never appended to.
    pub fn open(dir: &Path, segment: u64, shared: Arc<Shared>) -> io::Result<Self> {
        let (file, mark) = begin(dir, segment)?;
        Ok(Self { dir: dir.to_owned(), file, mark, shared, stopping: false })
    }

    pub fn place(&self) -> Written {
        Written { mark: self.mark }
    }

    /// Runs until told to stop; never drops what it has taken unless the disk refuses it at the very end.
    pub fn run(mut self, receiver: &Receiver<Message>, written: &watch::Sender<Written>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while !self.stopping {
            // Blocks for the first fact, then takes all that came meanwhile: a group forms while the one before is written.
            let Ok(first) = receiver.recv() else { break };
            self.take(first, &mut group);
            while group.len() < GROUP_MAX {
                let Ok(more) = receiver.try_recv() else { break };
                self.take(more, &mut group);
            }
            self.write_until_done(&group);
            group.clear();
            written.send_replace(self.place());
            self.watch_backlog();
        }
        // The last octets of a stop should outlive a power cut as well.
        let _ = self.file.sync_data();
    }

    fn take(&mut self, message: Message, group: &mut Vec<u8>) {
        match message {
            Message::Fact(fact) => {
                if !journal::encode(&fact, group) {
                    self.shared.unwritable.fetch_add(1, Ordering::Relaxed);
                    self.shared.counters.poisoned.fetch_add(1, Ordering::Relaxed);
                    (self.shared.alarm)(SpoolAlarm::FactRefused("longer than a record".to_owned()));
                }
            }
            Message::Stop => self.stopping = true,
        }
    }

    fn write_until_done(&mut self, group: &[u8]) {
        let mut tries = 0;
        while let Err(error) = self.write(group) {
            if tries == 0 {
                (self.shared.alarm)(SpoolAlarm::DiskFailed(error.to_string()));
            }
            tries += 1;
            if self.stopping && tries > STOP_TRIES {
                return;
            }
            // A wait that cannot be cut short: facts keep queueing in the bounded channel meanwhile.
            let _ = never::<()>().recv_timeout(RETRY);
        }
        if tries > 0 {
            (self.shared.alarm)(SpoolAlarm::Over);
        }
    }

    fn write(&mut self, group: &[u8]) -> io::Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        if self.mark.place >= self.shared.options.segment_max {
            let (file, mark) = begin(&self.dir, self.mark.segment + 1)?;
            let _ = self.file.sync_data();
            (self.file, self.mark) = (file, mark);
        }
        if let Err(error) = self.file.write_all(group) {
            // Half a group must not stay between two whole ones.
            self.file.set_len(self.mark.place)?;
            self.file.seek(SeekFrom::Start(self.mark.place))?;
            return Err(error);
        }
        let size = group.len() as u64;
        self.mark.place += size;
        self.shared.counters.backlog.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    fn watch_backlog(&self) {
        let full = self.shared.counters.backlog.load(Ordering::Relaxed) >= self.shared.options.backlog_max;
        if full && !self.shared.full.swap(true, Ordering::Relaxed) {
            (self.shared.alarm)(SpoolAlarm::Full);
        }
    }
}

fn begin(dir: &Path, segment: u64) -> io::Result<(File, SpoolMark)> {
    // Facts hold numbers: nobody else may read them. A file left by a failed begin holds no record and is begun again.
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(journal::path(dir, segment))?;
    file.write_all(journal::MAGIC)?;
    Ok((file, SpoolMark { segment, place: journal::MAGIC.len() as u64 }))
}
