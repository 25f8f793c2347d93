//! The local journal that call-side facts go through, so that a slow or absent database costs nothing but time.
//!
//! ```text
//! control ─ push ─▶ bounded channel ─▶ writer thread ─▶ segment files ─▶ applier task ─▶ database
//!                   (never waits)      (group write)    (bounded)        (batches)       (mark in the same transaction)
//! ```
//! The applier always reads from the files: start-up replay is its ordinary work, begun at the database's mark.

mod applier;
mod journal;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::Sender;
use tokio::{sync::watch, task::JoinHandle};

use super::store::{Store, StoreError};
use crate::domain::fact::Fact;

/// Facts that may wait for the writer thread: a second of a thousand calls, so that one slow write loses nothing.
const CHANNEL_MAX: usize = 16_384;
/// How long a stop waits for the database; what is left is replayed at the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Limits of the journal.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// Octets on disk that the database has not got yet; from here on facts are refused.
    pub backlog_max: u64,
    /// Octets of one segment file.
    pub segment_max: u64,
    /// Facts in one transaction.
    pub batch_max: usize,
}

impl Default for SpoolOptions {
    /// 256 MiB: an hour of database outage at a hundred calls a second.
    fn default() -> Self {
        Self { backlog_max: 256 << 20, segment_max: 8 << 20, batch_max: 2_048 }
    }
}

/// Trouble that somebody should hear of; each is said once until it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolAlarm {
    /// The backlog reached its limit: facts are refused and counted.
    Full,
    /// The journal cannot be written.
    DiskFailed(String),
    /// The database does not take facts; they wait in the journal.
    DatabaseAway(String),
    /// The database refuses one fact for good; it is left out and counted.
    FactRefused(String),
    /// Trouble of this kind is over.
    Over,
}

impl fmt::Display for SpoolAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("The journal is full and call records are being lost: make the database reachable again."),
            Self::DiskFailed(why) => write!(f, "The journal cannot be written ({why}): free disk space. Calls go on."),
            Self::DatabaseAway(why) => write!(
                f,
                "The database does not answer ({why}): end what holds it or free its disk. Calls go on, their records wait in the journal."
            ),
            Self::FactRefused(why) => write!(f, "One call record could not be saved ({why}): see the log."),
            Self::Over => f.write_str("The journal is in order again."),
        }
    }
}

/// Why the journal could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Its folder or files.
    #[error("the journal in {path} cannot be used: {source}. Check that the folder is there, writable and has room")]
    Disk {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The database refused the replay.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What passed through the journal.
#[derive(Debug, Default)]
pub struct SpoolCounters {
    /// Facts taken from the switch.
    pub accepted: AtomicU64,
    /// Facts refused because the channel or the backlog was full.
    pub refused: AtomicU64,
    /// Facts in the database.
    pub applied: AtomicU64,
    /// Facts that the database refused for good.
    pub poisoned: AtomicU64,
    /// Records whose checksum was wrong.
    pub damaged: AtomicU64,
    /// Octets written that the database has not got.
    pub backlog: AtomicU64,
}

pub(super) type Alarm = Arc<dyn Fn(SpoolAlarm) + Send + Sync>;

struct Shared {
    options: SpoolOptions,
    counters: SpoolCounters,
    full: AtomicBool,
    /// Accepted facts that no record can hold.
    unwritable: AtomicU64,
    alarm: Alarm,
}

/// Where the switch puts its facts. Cheap to clone; never waits.
#[derive(Clone)]
pub struct SpoolHandle {
    sender: Sender<Message>,
    shared: Arc<Shared>,
}

enum Message {
    Fact(Box<Fact>),
    Stop,
}

impl SpoolHandle {
    /// Hands a fact over; false when there was no room and it was counted as refused.
    pub fn push(&self, fact: Fact) -> bool {
        let taken = !self.is_full() && self.sender.try_send(Message::Fact(Box::new(fact))).is_ok();
        let counter = if taken { &self.shared.counters.accepted } else { &self.shared.counters.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }

    /// Whether the backlog is at its limit: new calls may be turned away.
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Relaxed)
    }

    /// What passed through.
    pub fn counters(&self) -> &SpoolCounters {
        &self.shared.counters
    }
}

/// The running journal.
pub struct Spool {
    handle: SpoolHandle,
    thread: std::thread::JoinHandle<()>,
    applier: JoinHandle<()>,
    stop: watch::Sender<bool>,
    settled: watch::Receiver<u64>,
}

impl Spool {
    /// Applies what the last process left in `dir`, then takes new facts. `alarm` is called from both sides and must not block.
    pub async fn start(
        dir: &Path,
        store: Store,
        options: SpoolOptions,
        alarm: impl Fn(SpoolAlarm) + Send + Sync + 'static,
    ) -> Result<Self, SpoolError> {
        let disk = |source| SpoolError::Disk { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(disk)?;
        let shared = Arc::new(Shared {
            options,
            counters: SpoolCounters::default(),
            full: AtomicBool::new(false),
            unwritable: AtomicU64::new(0),
            alarm: Arc::new(alarm),
        });
        let mut applier = applier::Applier::open(dir, store, shared.clone()).await?;
        applier.replay().await?;
        let segment = applier.first_new_segment().map_err(disk)?;
        let (sender, receiver) = crossbeam_channel::bounded(CHANNEL_MAX);
        let writer = writer::Writer::open(dir, segment, shared.clone()).map_err(disk)?;
        let (written, written_rx) = watch::channel(writer.place());
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || writer.run(&receiver, &written)).map_err(disk)?;
        let (stop, stop_rx) = watch::channel(false);
        let (settled_tx, settled) = watch::channel(0);
        let applier = tokio::spawn(applier.run(written_rx, stop_rx, settled_tx));
        Ok(Self { handle: SpoolHandle { sender, shared }, thread, applier, stop, settled })
    }

    /// The switch's end.
    pub fn handle(&self) -> SpoolHandle {
        self.handle.clone()
    }

    /// Waits until every fact that was accepted so far is in the database, or refused by it for good.
    pub async fn settle(&self) {
        let goal = self.handle.shared.counters.accepted.load(Ordering::Relaxed);
        let mut settled = self.settled.clone();
        // An applier that is gone settles nothing more.
        let _ = settled.wait_for(|done| *done >= goal).await;
    }

    /// Writes and applies what was accepted, then ends; what the database does not take in time stays for the next start.
    pub async fn stop(self) {
        let sender = self.handle.sender.clone();
        let thread = self.thread;
        let _ = tokio::task::spawn_blocking(move || {
            let _ = sender.send(Message::Stop);
            let _ = thread.join();
        })
        .await;
        let goal = self.handle.shared.counters.accepted.load(Ordering::Relaxed);
        let mut settled = self.settled;
        let _ = tokio::time::timeout(STOP_PATIENCE, settled.wait_for(|done| *done >= goal)).await;
        let _ = self.stop.send(true);
        let _ = self.applier.await;
    }
}
