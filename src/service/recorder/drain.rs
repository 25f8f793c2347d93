//! Empties the tap channel and never touches the disk: frames → blocks → the writer's bounded queue.
//!
//! A block that finds the queue full is dropped and counted; it leaves a hole that readers see. A track's end waits
//! here until there is room.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use crossbeam_channel::{RecvTimeoutError, Sender, TrySendError};

use super::{
    Counters, Stop,
    assembler::{Assembler, Encoded},
    clock,
    track::CloseReason,
};
use crate::{
    domain::media::{
        feed::Feed,
        tap::{Tap, TapFrame, TapOpen},
    },
    fault::{self, Fault},
    ids::{InteractionId, LegId},
    service::taps::{Bundle, TapReceiver, Tapped},
    time::UnixMs,
};

/// How often waiting frames and unfinished blocks are looked at.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// How long taps gather once the channel is empty: a wake-up costs more than a frame's work, and the channel holds two seconds.
const REST: Duration = Duration::from_millis(20);
/// Bundles of taps taken between two looks at what waits.
const BATCH: usize = 16;
/// Most tracks at once; the switch admits far fewer calls.
const MAX_TRACKS: usize = 16_384;
/// How long the end waits for the writer to take what is left.
const LAST_SEND: Duration = Duration::from_secs(10);

/// Takes what the live front end is fed, and gives it back when there is no room; must not wait.
pub type FeedSink = Box<dyn FnMut(InteractionId, Feed) -> Option<Feed> + Send>;

/// What goes to the writer.
#[derive(Debug)]
pub(super) enum ToWriter {
    /// Append this.
    Blocks { head: Arc<TapOpen>, encoded: Encoded },
    /// Finish this track.
    Close { head: Arc<TapOpen>, end_us: u64, tap_dropped: u64, reason: CloseReason },
}

/// The draining side.
pub(super) struct Drain {
    tracks: HashMap<LegId, Track>,
    writer: Sender<ToWriter>,
    closes: VecDeque<ToWriter>,
    counters: Arc<Counters>,
    listener: Option<Listener>,
}

/// The live front end, as the drain sees it.
struct Listener {
    sink: FeedSink,
    /// Ends of tracks that found no room.
    ends: VecDeque<(InteractionId, Feed)>,
}

struct Track {
    assembler: Assembler,
    /// Whether the live front end knows of it.
    fed: bool,
    /// When `axis_us` of its head was, nearly.
    opened: Instant,
}

impl Drain {
    pub(super) fn new(writer: Sender<ToWriter>, counters: Arc<Counters>) -> Self {
        Self { tracks: HashMap::new(), writer, closes: VecDeque::new(), counters, listener: None }
    }

    /// Hands the pieces of all tracks to the live front end as well.
    pub(super) fn feeding(self, sink: Option<FeedSink>) -> Self {
        Self { listener: sink.map(|sink| Listener { sink, ends: VecDeque::new() }), ..self }
    }

    /// The thread: until the channel is closed, or empty after `stop`.
    pub(super) fn run(mut self, taps: &TapReceiver, stop: &Stop) {
        let mut polled = clock();
        let mut room = TapFrame::empty(LegId::new(UnixMs(0), [0; 10]));
        let mut take = |drain: &mut Self, now: Instant, mut bundle: Bundle| {
            bundle.empty(&mut room, |tapped| match tapped {
                Tapped::Frame(frame) => drain.with(frame.leg, |track| track.push(frame)),
                Tapped::Other(tap) => drain.take(now, tap),
            });
            taps.give_back(bundle);
        };
        loop {
            match taps.recv_timeout(POLL_EVERY) {
                Ok(bundle) => {
                    let now = clock();
                    take(&mut self, now, bundle);
                    for bundle in std::iter::from_fn(|| taps.try_recv()).take(BATCH) {
                        take(&mut self, now, bundle);
                    }
                    if taps.is_empty() && !stop.is_set() {
                        std::thread::park_timeout(REST);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock();
            if stop.is_set() {
                let left = taps.len();
                std::iter::from_fn(|| taps.try_recv()).take(left).for_each(|bundle| take(&mut self, now, bundle));
                break;
            }
            if now.saturating_duration_since(polled) >= POLL_EVERY {
                polled = now;
                self.poll(now);
            }
        }
        self.finish(clock());
    }

    /// Takes one tap.
    pub(super) fn take(&mut self, now: Instant, tap: Tap) {
        match tap {
            Tap::Frame(frame) => self.with(frame.leg, |track| track.push(&frame)),
            Tap::Pause { leg, axis_us } => self.with(leg, |track| track.pause(axis_us)),
            Tap::Resume { leg, axis_us } => self.with(leg, |track| track.resume(axis_us)),
            Tap::Open(head) => self.open(now, head),
            Tap::Close { leg, axis_us, dropped } => self.close(leg, axis_us, dropped, CloseReason::Ended),
        }
    }

    /// Lets time pass.
    pub(super) fn poll(&mut self, now: Instant) {
        for track in self.tracks.values_mut() {
            let axis_us = track.axis_us(now);
            track.assembler.poll(axis_us);
            hand_over(track, &self.writer, &self.counters, self.listener.as_mut());
        }
        if let Some(listener) = &mut self.listener {
            listener.flush();
        }
        while let Some(close) = self.closes.pop_front() {
            if let Err(TrySendError::Full(close)) = self.writer.try_send(close) {
                self.closes.push_front(close);
                break;
            }
        }
    }

    /// Closes what is open and waits, for a bounded time, until the writer has taken it.
    pub(super) fn finish(&mut self, now: Instant) {
        let open: Vec<_> = self.tracks.iter().map(|(leg, track)| (*leg, track.axis_us(now))).collect();
        for (leg, axis_us) in open {
            self.close(leg, axis_us, 0, CloseReason::Shutdown);
        }
        for close in self.closes.drain(..) {
            if self.writer.send_timeout(close, LAST_SEND).is_err() {
                // The track stays marked as unclosed: the next start closes it.
                break;
            }
        }
    }

    fn open(&mut self, now: Instant, head: TapOpen) {
        // A second track for the same leg ends the first where the second begins.
        self.close(head.leg, head.axis_us, 0, CloseReason::Ended);
        if self.tracks.len() >= MAX_TRACKS {
            self.counters.tracks_refused.fetch_add(1, Relaxed);
            return;
        }
        let leg = head.leg;
        let assembler = Assembler::new(Arc::new(head));
        let assembler = if self.listener.is_some() { assembler.listened_to() } else { assembler };
        self.tracks.insert(leg, Track { assembler, fed: false, opened: now });
    }

    fn close(&mut self, leg: LegId, axis_us: u64, tap_dropped: u64, reason: CloseReason) {
        let Some(mut track) = self.tracks.remove(&leg) else { return };
        let end_us = track.assembler.close(axis_us);
        hand_over(&mut track, &self.writer, &self.counters, self.listener.as_mut());
        if let Some(listener) = self.listener.as_mut().filter(|_| track.fed) {
            listener.end(track.assembler.head().interaction, Feed::Close { leg, axis_us: end_us });
        }
        let close = ToWriter::Close { head: track.assembler.head().clone(), end_us, tap_dropped, reason };
        if let Err(TrySendError::Full(close)) = self.writer.try_send(close) {
            if self.closes.len() < MAX_TRACKS {
                self.closes.push_back(close);
            } else {
                self.counters.closes_dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn with(&mut self, leg: LegId, act: impl FnOnce(&mut Assembler)) {
        let Some(track) = self.tracks.get_mut(&leg) else {
            self.counters.frames_without_track.fetch_add(1, Relaxed);
            return;
        };
        act(&mut track.assembler);
        hand_over(track, &self.writer, &self.counters, self.listener.as_mut());
    }
}

impl Track {
    fn axis_us(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.opened).as_micros();
        self.assembler.head().axis_us.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl Listener {
    /// Hands on what the axis made of a track; a piece that finds no room is dropped and counted.
    fn feed(&mut self, track: &mut Track, counters: &Counters) {
        while let Some(chunk) = track.assembler.next_piece() {
            let head = track.assembler.head();
            track.fed = track.fed || (self.sink)(head.interaction, Feed::Open(head.clone())).is_none();
            if !track.fed || (self.sink)(head.interaction, Feed::Chunk { leg: head.leg, chunk }).is_some() {
                counters.feed_dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// The end of a track is not lost: it waits for room.
    fn end(&mut self, interaction: InteractionId, feed: Feed) {
        self.flush();
        if let Some(feed) = (self.sink)(interaction, feed).filter(|_| self.ends.len() < MAX_TRACKS) {
            self.ends.push_back((interaction, feed));
        }
    }

    fn flush(&mut self) {
        while let Some((interaction, end)) = self.ends.pop_front() {
            if let Some(end) = (self.sink)(interaction, end) {
                self.ends.push_front((interaction, end));
                return;
            }
        }
    }
}

fn hand_over(track: &mut Track, writer: &Sender<ToWriter>, counters: &Counters, listener: Option<&mut Listener>) {
    if let Some(listener) = listener {
        listener.feed(track, counters);
    }
    let assembler = &mut track.assembler;
    while let Some(encoded) = assembler.next_encoded() {
        let second_second = assembler.head().axis_us + 2_000_000;
        if fault::active(Fault::LostBlock) && (encoded.start_us..encoded.end_us).contains(&second_second) {
            continue;
        }
        if writer.try_send(ToWriter::Blocks { head: assembler.head().clone(), encoded }).is_err() {
            counters.blocks_dropped_queue.fetch_add(1, Relaxed);
        }
    }
}
