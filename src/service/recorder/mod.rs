//! The recorder: taps → blocks → tracks on disk, and everything that reads tracks again.
//!
//! ```text
//! media threads ─ Tap, bounded, drops ─▶ drain (no disk) ─ blocks, bounded, drops ─▶ writer ─▶ <recording>.track
//!                                                                        sync: one syncfs per interval ┘
//! ```
//! Nothing before the writer ever waits for the disk; each drop is counted and shows as a marked hole.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{
    ids::{InteractionId, LegId, RecordingId},
    service::taps::TapReceiver,
};

mod assembler;
mod drain;
pub mod gaps;
pub mod index;
pub mod paths;
pub mod peaks;
pub mod recover;
pub mod redact;
pub mod render;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod track;
mod writer;

pub use drain::FeedSink;
use storage::{Folder, Storage};

/// Where and how calls are recorded.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// The folder of all recordings; made when it is missing.
    pub root: PathBuf,
    /// The rest.
    pub settings: Settings,
}

impl RecorderConfig {
    /// Recordings in `root`, everything else as usual.
    pub fn new(root: PathBuf) -> Self {
        Self { root, settings: Settings::default() }
    }
}

/// Limits and intervals of the recorder.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Blocks that may wait for the disk; one leg makes five a second.
    pub queue_blocks: usize,
    /// Nothing is recorded while less is free, octets.
    pub reserve_octets: u64,
    /// How long after an error a track is tried again.
    pub retry_every: Duration,
    /// How often the file system is told to make what was written survive a loss of power.
    pub sync_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // 300 legs through a stall of 10 s; 28 MB, and only while the disk stalls.
            queue_blocks: 16_384,
            reserve_octets: 256_000_000,
            retry_every: Duration::from_secs(3),
            sync_every: Duration::from_secs(2),
        }
    }
}

/// What the recorder tells.
#[derive(Clone, Debug, PartialEq)]
pub enum RecorderEvent {
    /// A track is complete; told once for each.
    Closed {
        /// The track.
        recording: RecordingId,
        /// Its call.
        interaction: InteractionId,
        /// Its leg.
        leg: LegId,
        /// Where it ends on the call's axis.
        to_ms: u32,
        /// Lost by the network, or not written.
        lost_ms: u32,
        /// Not kept on purpose.
        paused_ms: u32,
        /// Why it is not whole, with the remedy; `None` when it is.
        trouble: Option<String>,
    },
    /// Recording does not work; the calls go on. Told once until [`RecorderEvent::Recovered`].
    Trouble {
        /// What is wrong and what to do.
        sentence: String,
    },
    /// Recording works again.
    Recovered,
}

/// What the recorder has counted since it started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames, pauses and resumes of a leg that has no track.
    pub frames_without_track: AtomicU64,
    /// Tracks beyond the limit.
    pub tracks_refused: AtomicU64,
    /// Blocks that found the writer's queue full.
    pub blocks_dropped_queue: AtomicU64,
    /// Blocks that could not be written.
    pub blocks_dropped_disk: AtomicU64,
    /// Tracks whose end could not be kept waiting any more; the next start closes them.
    pub closes_dropped: AtomicU64,
    /// Octets written.
    pub octets_written: AtomicU64,
    /// Pieces of tracks that the live front end had no room for.
    pub feed_dropped: AtomicU64,
    unsynchronised: AtomicBool,
    sync_failed: AtomicBool,
}

/// The running recorder. Dropped without [`Recorder::shutdown`], it goes on until the tap channel is closed.
#[derive(Debug)]
pub struct Recorder {
    stop: Stop,
    counters: Arc<Counters>,
    drain: JoinHandle<()>,
    writer: JoinHandle<()>,
    sync: JoinHandle<()>,
    sync_stop: Sender<()>,
}

/// Set once, at the end.
#[derive(Clone, Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Recorder {
    /// Starts recording what comes on `taps`. Run [`recover::recover`] on the same folder first.
    ///
    /// `on_event` is called on the writer's thread and must not wait.
    ///
    /// # Errors
    /// The folder cannot be made or opened, or a thread not be started.
    pub fn start(config: &RecorderConfig, taps: TapReceiver, on_event: impl Fn(RecorderEvent) + Send + 'static) -> io::Result<Self> {
        Self::start_on(Arc::new(Folder::open(&config.root)?), config.settings, taps, Box::new(on_event), None)
    }

    /// The same, with a live front end that hears every track while it is recorded.
    ///
    /// # Errors
    /// As [`Recorder::start`].
    pub fn start_feeding(
        config: &RecorderConfig,
        taps: TapReceiver,
        on_event: impl Fn(RecorderEvent) + Send + 'static,
        feed: Option<FeedSink>,
    ) -> io::Result<Self> {
        Self::start_on(Arc::new(Folder::open(&config.root)?), config.settings, taps, Box::new(on_event), feed)
    }

    /// The same on any storage.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start_on(
        storage: Arc<dyn Storage>,
        settings: Settings,
        taps: TapReceiver,
        on_event: Box<dyn Fn(RecorderEvent) + Send>,
        feed: Option<FeedSink>,
    ) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let stop = Stop::default();
        let (to_writer, queue) = bounded(settings.queue_blocks);
        let (sync_stop, sync_stopped) = bounded(1);
        let drain = drain::Drain::new(to_writer, counters.clone()).feeding(feed);
        let writer = writer::Writer::new(storage.clone(), settings, counters.clone(), on_event);
        let (drain_stop, sync_counters) = (stop.clone(), counters.clone());
        Ok(Self {
            drain: spawn("recorder-drain", move || drain.run(&taps, &drain_stop))?,
            writer: spawn("recorder-writer", move || writer.run(&queue))?,
            sync: spawn("recorder-sync", move || synchronise(storage.as_ref(), &sync_counters, settings.sync_every, &sync_stopped))?,
            stop,
            counters,
            sync_stop,
        })
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Takes what is still in the channel, closes every track, and waits until all is on disk.
    pub fn shutdown(self) {
        self.stop.0.store(true, Relaxed);
        for thread in [self.drain, self.writer] {
            if thread.join().is_err() {
                tracing::error!("a thread of the recorder died; its tracks are closed at the next start");
            }
        }
        drop(self.sync_stop);
        if self.sync.join().is_err() {
            tracing::error!("the recorder's synchronising thread died");
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// A thread of its own, because a slow disk may hold one call for seconds.
fn synchronise(storage: &dyn Storage, counters: &Counters, every: Duration, stopped: &Receiver<()>) {
    loop {
        let last = stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout);
        if counters.unsynchronised.swap(false, Relaxed) && storage.sync().is_err() {
            counters.sync_failed.store(true, Relaxed);
        }
        if last {
            return;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the recorder's threads own a clock; everything that they decide takes the time as an argument"
)]
fn clock() -> Instant {
    Instant::now()
}
