//! Appends blocks to files. The only thread of the recorder that waits for the disk.
//!
//! What cannot be written is left out, counted, and shows as a hole in the track; each track tries again every few
//! seconds, so recording resumes by itself when there is room.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{
    Counters, RecorderEvent, Settings,
    assembler::Encoded,
    clock,
    drain::ToWriter,
    render::milliseconds,
    storage::Storage,
    track::{self, Closing, TrackTotals},
};
use crate::{domain::media::tap::TapOpen, ids::RecordingId};

/// How often free space is asked for.
const ROOM_CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long the writer waits for blocks before it looks at what failed.
const IDLE: Duration = Duration::from_millis(250);

/// How long blocks gather once the queue is empty: one wake-up for many, and none by the drain while calls are recorded.
const REST: Duration = Duration::from_millis(40);

/// Messages taken between two looks at what failed.
const BATCH: usize = 256;

/// Trouble that has not been seen for so long is over.
const OVER_AFTER: Duration = Duration::from_secs(10);
/// Most ended tracks that wait for room for their closing block; the next start closes the others.
const MAX_UNCLOSED: usize = 4_096;

/// Said while blocks find the queue full.
const TOO_SLOW: &str = "recordings have gaps: the disk took more than ten seconds to write; use a faster disk or take load off it";

/// The writing side.
pub(super) struct Writer {
    storage: Arc<dyn Storage>,
    settings: Settings,
    tracks: HashMap<RecordingId, Track>,
    on_event: Box<dyn Fn(RecorderEvent) + Send>,
    counters: Arc<Counters>,
    /// Told that recording is in trouble, which was last seen then.
    trouble_seen: Option<Instant>,
    room: Option<(Instant, bool)>,
}

struct Track {
    head: Arc<TapOpen>,
    file: Option<Box<dyn Write + Send>>,
    head_written: bool,
    /// Everything before it is written or given up.
    until_us: u64,
    totals: TrackTotals,
    /// After an error: when to try again.
    retry_at: Option<Instant>,
    trouble: Option<String>,
    /// Its end has been told; only the closing block is missing.
    closing: Option<(u64, Closing)>,
}

impl Writer {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        settings: Settings,
        counters: Arc<Counters>,
        on_event: Box<dyn Fn(RecorderEvent) + Send>,
    ) -> Self {
        Self { storage, settings, tracks: HashMap::new(), on_event, counters, trouble_seen: None, room: None }
    }

    /// The thread: until the drain has gone and its queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<ToWriter>) {
        let mut looked = clock();
        loop {
            match queue.recv_timeout(IDLE) {
                Ok(message) => {
                    let now = clock();
                    self.take(now, message);
                    // A disk that hangs must not keep the time standing still.
                    queue.try_iter().take(BATCH).for_each(|message| self.take(clock(), message));
                    if queue.is_empty() && !self.tracks.is_empty() {
                        std::thread::park_timeout(REST);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock();
            if now.saturating_duration_since(looked) >= IDLE {
                looked = now;
                self.poll(now);
            }
        }
        self.retry_closing(None);
    }

    /// Takes one message.
    pub(super) fn take(&mut self, now: Instant, message: ToWriter) {
        match message {
            ToWriter::Blocks { head, encoded } => self.append(now, &head, &encoded),
            ToWriter::Close { head, end_us, tap_dropped, reason } => {
                self.append(now, &head, &Encoded { octets: Vec::new(), start_us: end_us, end_us, totals: TrackTotals::default() });
                if let Some(mut track) = self.tracks.remove(&head.recording) {
                    track.totals.tap_dropped = tap_dropped;
                    track.closing = Some((end_us, Closing { reason, totals: track.totals }));
                    (self.on_event)(track.closed_event());
                    self.close(now, track);
                }
            }
        }
    }

    /// Lets time pass: closing blocks that are still missing, and the synchroniser's failures.
    pub(super) fn poll(&mut self, now: Instant) {
        if self.counters.sync_failed.swap(false, Relaxed) {
            self.alarm(now, "recordings may not survive a loss of power: the disk refuses to synchronise; check it".to_owned());
        }
        self.retry_closing(Some(now));
        if self.trouble_seen.is_some_and(|seen| now.saturating_duration_since(seen) >= OVER_AFTER) {
            self.recover();
        }
    }

    /// Appends to a track, or counts what cannot be appended.
    fn append(&mut self, now: Instant, head: &Arc<TapOpen>, encoded: &Encoded) {
        let mut track = self.tracks.remove(&head.recording).unwrap_or_else(|| Track::new(head.clone()));
        let missed_us = encoded.start_us.saturating_sub(track.until_us);
        if missed_us > 0 {
            track.totals.unwritten_us += missed_us;
            track.until_us = encoded.start_us;
            if track.retry_at.is_none() {
                track.trouble.get_or_insert_with(|| TOO_SLOW.to_owned());
                self.alarm(now, TOO_SLOW.to_owned());
            }
        }
        if track.retry_at.is_some_and(|at| now < at) {
            self.counters.blocks_dropped_disk.fetch_add(1, Relaxed);
        } else {
            match self.write(now, &mut track, &encoded.octets) {
                Ok(()) => {
                    track.count(encoded);
                    self.counters.octets_written.fetch_add(encoded.octets.len() as u64, Relaxed);
                    self.wrote(&mut track);
                }
                Err(error) => {
                    self.counters.blocks_dropped_disk.fetch_add(1, Relaxed);
                    self.failed(now, &mut track, &error);
                }
            }
        }
        self.tracks.insert(head.recording, track);
    }

    fn write(&mut self, now: Instant, track: &mut Track, octets: &[u8]) -> io::Result<()> {
        self.check_room(now)?;
        if track.file.is_none() {
            track.file = Some(self.storage.open(&track.head)?);
        }
        let Some(file) = &mut track.file else { return Ok(()) };
        if !track.head_written {
            let mut head = Vec::new();
            track::encode_head(&mut head, &track.head, track.head.axis_us);
            file.write_all(&head)?;
            track.head_written = true;
        }
        file.write_all(octets)?;
        self.counters.unsynchronised.store(true, Relaxed);
        Ok(())
    }

    /// The rest of the disk belongs to the record: it must still be able to say what happened.
    fn check_room(&mut self, now: Instant) -> io::Result<()> {
        let room = match self.room {
            Some((at, room)) if now.saturating_duration_since(at) < ROOM_CHECK_EVERY => room,
            Some(_) | None => {
                let room = self.storage.free_octets()? >= self.settings.reserve_octets;
                self.room = Some((now, room));
                room
            }
        };
        if room { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn wrote(&mut self, track: &mut Track) {
        if track.retry_at.take().is_some() {
            self.recover();
        }
    }

    /// Tells that the trouble is over, unless another track still waits for its next try.
    fn recover(&mut self) {
        if self.tracks.values().all(|other| other.retry_at.is_none()) && self.trouble_seen.take().is_some() {
            (self.on_event)(RecorderEvent::Recovered);
        }
    }

    fn failed(&mut self, now: Instant, track: &mut Track, error: &io::Error) {
        let sentence = sentence(error, self.settings.reserve_octets);
        // A write may have stopped half way; what follows is appended to a file opened anew.
        track.file = None;
        track.retry_at = Some(now + self.settings.retry_every);
        track.trouble = Some(sentence.clone());
        self.alarm(now, sentence);
    }

    fn alarm(&mut self, now: Instant, sentence: String) {
        if self.trouble_seen.replace(now).is_none() {
            (self.on_event)(RecorderEvent::Trouble { sentence });
        }
    }

    /// Writes the closing block; a track that cannot be closed now is kept and tried again.
    fn close(&mut self, now: Instant, mut track: Track) {
        let Some((end_us, closing)) = track.closing else { return };
        let mut octets = Vec::new();
        track::encode_close(&mut octets, &track.head, end_us, &closing);
        match self.write(now, &mut track, &octets) {
            Ok(()) => {
                self.wrote(&mut track);
                track.file = None;
                if let Err(error) = self.storage.closed(&track.head) {
                    tracing::debug!(%error, recording = %track.head.recording, "the mark of an unclosed track was not removed");
                }
            }
            Err(error) => {
                self.failed(now, &mut track, &error);
                if self.tracks.values().filter(|track| track.closing.is_some()).count() < MAX_UNCLOSED {
                    self.tracks.insert(track.head.recording, track);
                } else {
                    self.counters.closes_dropped.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Tries those whose time has come; all of them when the thread ends.
    fn retry_closing(&mut self, now: Option<Instant>) {
        let due = |track: &Track| track.closing.is_some() && now.is_none_or(|now| track.retry_at.is_none_or(|at| now >= at));
        let due: Vec<_> = self.tracks.iter().filter(|(_, track)| due(track)).map(|(recording, _)| *recording).collect();
        for recording in due {
            if let Some(track) = self.tracks.remove(&recording) {
                self.close(now.unwrap_or_else(clock), track);
            }
        }
    }
}

impl Track {
    fn new(head: Arc<TapOpen>) -> Self {
        Self {
            until_us: head.axis_us / 125 * 125,
            head,
            file: None,
            head_written: false,
            totals: TrackTotals::default(),
            retry_at: None,
            trouble: None,
            closing: None,
        }
    }

    fn count(&mut self, encoded: &Encoded) {
        self.totals.add(&encoded.totals);
        self.until_us = self.until_us.max(encoded.end_us);
    }

    fn closed_event(&self) -> RecorderEvent {
        let (end_us, totals) = (self.until_us, &self.totals);
        let mut trouble = Vec::new();
        if totals.unwritten_us > 0 {
            let why = self.trouble.as_deref().unwrap_or(TOO_SLOW);
            trouble.push(format!("{} ms of audio were not written: {why}", totals.unwritten_us / 1_000));
        }
        if totals.tap_dropped > 0 {
            trouble.push(format!("{} packets never reached the recorder: the machine was overloaded", totals.tap_dropped));
        }
        RecorderEvent::Closed {
            recording: self.head.recording,
            interaction: self.head.interaction,
            leg: self.head.leg,
            to_ms: milliseconds(end_us),
            lost_ms: milliseconds(totals.lost_us + totals.unwritten_us),
            paused_ms: milliseconds(totals.paused_us),
            trouble: (!trouble.is_empty()).then(|| trouble.join("; ")),
        }
    }
}

/// What happened and what to do about it.
fn sentence(error: &io::Error, reserve_octets: u64) -> String {
    if error.kind() == io::ErrorKind::StorageFull {
        let megabytes = reserve_octets / 1_000_000;
        return format!(
            "calls are not being recorded: less than {megabytes} MB are free where the recordings are; make room and recording goes on"
        );
    }
    format!("calls are not being recorded: recordings cannot be written ({error}); check the disk and the folder's rights")
}
