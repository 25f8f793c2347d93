//! The record in SQL: one file per family of tables; nobody else writes SQL.
//!
//! ```text
//! Store ── one writer connection, BEGIN IMMEDIATE ──▶ SQLite (WAL)
//!       └─ N read-only connections ────────────────▶
//! ```
//! Every changing method is one transaction that ends with its outbox rows ([`Store::events_since`]).

mod apply;
mod apply_agents;
mod apply_call;
mod apply_end;
mod apply_open;
mod apply_rows;
mod brief;
mod brief_signals;
mod calls;
mod calls_search;
mod corrections;
mod customers;
mod db;
mod error;
mod events;
mod heard_promises;
mod identities;
mod insight;
mod insight_read;
mod interactions;
mod jobs;
mod migrate;
mod notes;
mod password;
mod people;
mod people_admin;
mod priority;
mod quality;
mod queue_figures;
mod queues;
mod recover;
mod redactions;
mod rows;
mod seed;
mod seed_day;
mod seed_rows;
mod sessions;
mod text;
mod tickets;
mod tickets_many;
mod timeline;
mod transcripts;
mod views;
mod views_interaction;
mod views_people;
mod views_words;
mod work_items;
mod wrap_up;
mod written;

#[cfg(test)]
pub(crate) mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Sqlite,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::watch;

pub use apply::SpoolMark;
pub use calls::CallFilter;
pub use corrections::NewCorrection;
pub use customers::CallerIs;
pub use error::StoreError;
pub use events::{AuditAction, EventRow};
pub use heard_promises::Judged;
pub use insight::{EvidenceRow, FindingFacts, FindingKind, FindingRow, SavedTranscript};
pub use interactions::{InteractionAccess, TrackRow};
pub use jobs::{Failed, Job, JobKind};
pub use password::{hash as hash_password, verify as verify_password};
pub use people_admin::{NewAgent, NewPhone};
pub use quality::{LegSamples, QualityView, Sample};
pub use recover::{Recovered, RecoveredTrack};
pub use redactions::RedactionRow;
pub use seed::{DemoLogin, DemoPhone, DemoSeed, seed_demo};
pub use seed_day::seed_demo_day;
pub use timeline::TimelineOf;
pub use views::*;
pub use views_interaction::*;
pub use views_people::*;
pub use views_words::*;
pub use wrap_up::{PromiseMade, WrapUp};
pub use written::Written;

use db::{Conn, Tx};

/// How long a statement waits for another process that holds the database, before the caller hears of it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection; longer than [`BUSY_TIMEOUT`], so that the database's own answer comes first.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
/// Prepared statements that a connection keeps: all that there are, so that none is prepared twice.
const STATEMENTS: usize = 512;
/// Readers beside the writer: each is a thread of the driver, and the desk's reads are short.
const READERS: u32 = 4;

/// The record. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    committed: watch::Sender<i64>,
}

impl Store {
    /// Opens the database file, creates it where there is none, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The journal holds what a power cut takes back: docs/decisions/0004-synchronous.md.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS)
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        // A file does not go away as a server does: asking it before each use is a turn of its thread for nothing.
        let pool =
            SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        let writer = pool.clone().max_connections(1).after_connect(|_, _| {
            priority::lower_writers();
            Box::pin(std::future::ready(Ok(())))
        });
        let writer = writer.connect_with(options.clone().thread_name(|_| priority::WRITER.to_owned())).await?;
        migrate::run(&writer).await?;
        let readers = pool
            .max_connections(READERS)
            .connect_with(options.create_if_missing(false).read_only(true).thread_name(|_| "record-reader".to_owned()))
            .await?;
        let mut conn = readers.acquire().await?;
        let last = events::last(&mut conn).await?;
        drop(conn);
        crate::domain::customer::identity::warm_up();
        Ok(Self { inner: Arc::new(Inner { writer, readers, committed: watch::Sender::new(last) }) })
    }

    /// Waits for running statements, then closes every connection.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// The newest event number; changes after every commit that wrote one.
    pub fn watch_events(&self) -> watch::Receiver<i64> {
        self.inner.committed.subscribe()
    }

    /// Whether the database answers, for `/readyz`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.read().await?.ping().await?)
    }

    async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.inner.readers.acquire().await?)
    }

    async fn write(&self) -> Result<Tx, StoreError> {
        if crate::fault::database_is_away() {
            return Err(StoreError::Database(sqlx::Error::PoolTimedOut));
        }
        // A deferred transaction that upgrades fails at once where another process writes; this one waits its turn.
        Ok(self.inner.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn commit(&self, mut tx: Tx) -> Result<(), StoreError> {
        let last = events::last(&mut tx).await?;
        tx.commit().await?;
        self.inner.committed.send_if_modified(|seen| std::mem::replace(seen, last.max(*seen)) < last);
        Ok(())
    }
}

/// The record holds names and words: only its owner may read the file, and the database's side files take its mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// The next number of a named series, in the writer's transaction.
async fn next_number(conn: &mut Conn, series: &'static str) -> Result<i64, StoreError> {
    take_numbers(conn, series, 1).await
}

/// Reserves `count` numbers and returns the first.
async fn take_numbers(conn: &mut Conn, series: &'static str, count: i64) -> Result<i64, StoreError> {
    let last: i64 = sqlx::query_scalar(
        "INSERT INTO sequencer (name, last) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET last = sequencer.last + $2 RETURNING last",
    )
    .bind(series)
    .bind(count)
    .fetch_one(conn)
    .await?;
    Ok(last - count + 1)
}
