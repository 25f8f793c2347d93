//! Takes the journal into the database, from its mark on, in batches; then removes what is through.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use super::{
    Shared, SpoolAlarm, SpoolError,
    journal::{self, Step},
    writer::Written,
};
use crate::{
    domain::fact::Fact,
    service::store::{SpoolMark, Store, StoreError},
};

/// Octets read at once: holds the longest record many times.
const CHUNK: usize = 512 * 1024;
/// Batches begin at most this often: a statement of one row costs nearly what one of many does.
const GATHER: Duration = Duration::from_millis(25);
/// Wait after a failed transaction; the database itself waited before that.
const RETRY: Duration = Duration::from_millis(200);

pub(super) struct Applier {
    dir: PathBuf,
    store: Store,
    shared: Arc<Shared>,
    mark: SpoolMark,
    file: Option<(u64, File)>,
    away: bool,
    /// Facts of this process that are in the database or will never be.
    settled: u64,
}

/// A run of facts and the place after each.
#[derive(Default)]
struct Batch {
    facts: Vec<Fact>,
    marks: Vec<SpoolMark>,
    damaged: u64,
    octets: u64,
    end: SpoolMark,
}

impl Applier {
    pub async fn open(dir: &Path, store: Store, shared: Arc<Shared>) -> Result<Self, SpoolError> {
        let mark = store.spool_mark().await?;
        Ok(Self { dir: dir.to_owned(), store, shared, mark, file: None, away: false, settled: 0 })
    }

    /// Applies everything that the last process left.
    pub async fn replay(&mut self) -> Result<(), SpoolError> {
        loop {
            let batch = self.next(None).map_err(|source| SpoolError::Disk { path: self.dir.clone(), source })?;
            if batch.end == self.mark {
                break;
            }
            self.put(&batch).await?;
            self.shared.counters.damaged.fetch_add(batch.damaged, Ordering::Relaxed);
        }
        self.remove_applied();
        Ok(())
    }

    /// A number that no segment has had.
    pub fn first_new_segment(&self) -> io::Result<u64> {
        let newest = journal::segments(&self.dir)?.last().copied().unwrap_or(0);
        Ok(newest.max(self.mark.segment) + 1)
    }

    /// Follows the writer until stopped.
    pub async fn run(mut self, mut written: watch::Receiver<Written>, mut stop: watch::Receiver<bool>, settled: watch::Sender<u64>) {
        // After a rest the first facts go in at once; what follows closely goes together, which is what makes it cheap.
        let mut batches = interval(GATHER);
        batches.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let goal = written.borrow_and_update().mark;
            settled.send_replace(self.settled + self.shared.unwritable.load(Ordering::Relaxed));
            if self.mark < goal && !*stop.borrow() {
                batches.tick().await;
                let goal = written.borrow_and_update().mark;
                self.advance(goal, &mut stop).await;
                continue;
            }
            if *stop.borrow() {
                return;
            }
            tokio::select! {
                changed = written.changed() => if changed.is_err() { let _ = stop.wait_for(|stop| *stop).await; },
                _ = stop.changed() => {}
            }
        }
    }

    async fn advance(&mut self, goal: SpoolMark, stop: &mut watch::Receiver<bool>) {
        let batch = match self.next(Some(goal)) {
            Ok(batch) => batch,
            Err(error) => return self.pause(SpoolAlarm::DiskFailed(error.to_string()), stop).await,
        };
        let before = self.mark;
        match self.put(&batch).await {
            Ok(refused) => self.applied(before, &batch, refused),
            Err(error) => self.pause(SpoolAlarm::DatabaseAway(error.to_string()), stop).await,
        }
    }

    /// One transaction; where the database refuses it for good, each fact by itself, and those that it refuses are left out.
    /// Returns how many that were.
    async fn put(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let mut refused = 0;
        match self.store.apply_from_spool(&batch.facts, batch.end).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                debug!(%error, "a batch was refused and is applied fact by fact");
                for (fact, mark) in batch.facts.iter().zip(&batch.marks) {
                    refused += u64::from(!self.put_one(fact, *mark).await?);
                }
                self.store.apply_from_spool(&[], batch.end).await?;
            }
        }
        self.mark = batch.end;
        Ok(refused)
    }

    /// False when the database refuses the fact for good.
    async fn put_one(&self, fact: &Fact, mark: SpoolMark) -> Result<bool, StoreError> {
        let refused = match self.store.apply_from_spool(std::slice::from_ref(fact), mark).await {
            Ok(()) => return Ok(true),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => error,
        };
        warn!(error = %refused, segment = mark.segment, place = mark.place, "the database refuses a fact; it is left out");
        (self.shared.alarm)(SpoolAlarm::FactRefused(refused.to_string()));
        Ok(false)
    }

    fn applied(&mut self, before: SpoolMark, batch: &Batch, refused: u64) {
        let facts = batch.facts.len() as u64;
        self.settled += facts + batch.damaged;
        self.shared.counters.poisoned.fetch_add(refused, Ordering::Relaxed);
        self.shared.counters.applied.fetch_add(facts - refused, Ordering::Relaxed);
        self.shared.counters.damaged.fetch_add(batch.damaged, Ordering::Relaxed);
        self.shrink_backlog(batch.octets);
        if std::mem::take(&mut self.away) {
            (self.shared.alarm)(SpoolAlarm::Over);
        }
        if before.segment != self.mark.segment {
            self.remove_applied();
        }
    }

    fn shrink_backlog(&self, octets: u64) {
        // The applier alone subtracts, and only what the writer has added before.
        let left = self.shared.counters.backlog.fetch_sub(octets, Ordering::Relaxed) - octets;
        if left < self.shared.options.backlog_max / 2 && self.shared.full.swap(false, Ordering::Relaxed) {
            (self.shared.alarm)(SpoolAlarm::Over);
        }
    }

    async fn pause(&mut self, alarm: SpoolAlarm, stop: &mut watch::Receiver<bool>) {
        if !std::mem::replace(&mut self.away, true) {
            (self.shared.alarm)(alarm);
        }
        let _ = tokio::time::timeout(RETRY, stop.wait_for(|stop| *stop)).await;
    }

    /// One whole segment that is through is kept: a power cut may take back what the database has not synchronised, which is less than one
    /// segment makes it write, and its mark with it.
    fn remove_applied(&mut self) {
        for segment in journal::segments(&self.dir).unwrap_or_default() {
            if segment + 1 < self.mark.segment {
                // One that cannot be removed is skipped by the mark; the next start tries again.
                let _ = std::fs::remove_file(journal::path(&self.dir, segment));
            }
        }
    }

    /// The next facts up to `goal` (or to the end of all files) and the place after them.
    fn next(&mut self, goal: Option<SpoolMark>) -> io::Result<Batch> {
        let mut at = self.mark;
        loop {
            let segments = journal::segments(&self.dir)?;
            if !segments.contains(&at.segment) {
                match segments.iter().find(|segment| **segment > at.segment) {
                    Some(&segment) => at = SpoolMark { segment, place: 0 },
                    None => return Ok(Batch { end: at, ..Batch::default() }),
                }
            }
            let batch = self.read(at, goal.filter(|goal| goal.segment == at.segment).map(|goal| goal.place))?;
            let through = batch.facts.is_empty() && batch.damaged == 0;
            let newer = segments.iter().any(|segment| *segment > at.segment);
            if !through || !newer {
                return Ok(batch);
            }
            // Nothing whole is left in this segment, and a newer one follows.
            at = SpoolMark { segment: at.segment + 1, place: 0 };
        }
    }

    fn read(&mut self, from: SpoolMark, upto: Option<u64>) -> io::Result<Batch> {
        let mut at = SpoolMark { place: from.place.max(journal::MAGIC.len() as u64), ..from };
        let mut batch = Batch { end: at, ..Batch::default() };
        let room = upto.map_or(CHUNK as u64, |upto| upto.saturating_sub(at.place).min(CHUNK as u64));
        let bytes = self.bytes(at, room)?;
        let mut rest = bytes.as_slice();
        while batch.facts.len() < self.shared.options.batch_max {
            let size = match journal::step(rest) {
                Step::End => break,
                Step::Damaged { size } => {
                    batch.damaged += 1;
                    size
                }
                Step::Record { body, size } => {
                    let after = SpoolMark { place: at.place + size as u64, ..at };
                    match serde_json::from_slice(body) {
                        Ok(fact) => {
                            batch.facts.push(fact);
                            batch.marks.push(after);
                        }
                        Err(_) => batch.damaged += 1,
                    }
                    size
                }
            };
            at.place += size as u64;
            batch.octets += size as u64;
            batch.end = at;
            rest = &rest[size..];
        }
        Ok(batch)
    }

    fn bytes(&mut self, at: SpoolMark, room: u64) -> io::Result<Vec<u8>> {
        let file = match &mut self.file {
            Some((segment, file)) if *segment == at.segment => file,
            other => &mut other.insert((at.segment, File::open(journal::path(&self.dir, at.segment))?)).1,
        };
        file.seek(SeekFrom::Start(at.place))?;
        let mut bytes = Vec::new();
        file.take(room).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
