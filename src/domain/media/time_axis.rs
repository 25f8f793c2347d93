//! The time axis of a call: turns the packets of one leg into a continuous track.
//!
//! ```text
//! packets, late · twice · lost · drifting ──▶ TimeAxis ──▶ chunks that touch: audio | lost | silence | paused
//! ```
//! Positions are samples at 8 kHz since the INVITE. A packet's audio was spoken before it arrived, so it *ends* at its
//! arrival less the jitter, which the smallest delay of the last seconds tells. Drift is put right where nothing is said.

use std::collections::VecDeque;

use super::{
    axis_frame::{Frame, Waiting, position},
    plan::Codec,
    tap::TapFrame,
};

/// How long a missing packet is waited for, and how far a source may step before it is anchored anew, microseconds.
pub const REORDER_US: u64 = 200_000;
/// One sample of the axis, microseconds.
pub const SAMPLE_US: u64 = 125;
/// [`REORDER_US`] in samples.
const STEP: i64 = 1_600;
/// Frames that wait for a missing one: one second of 20 ms packets, so that a stalled network's burst fits whole.
const PENDING_MAX: usize = 64;
/// Error above which quiet audio is cut or stretched: 20 ms.
const DRIFT: i64 = 160;
/// Error above which a gap is made shorter or longer, which harms nothing: 5 ms.
const NUDGE: i64 = 40;
/// Late frames in a row after which the source must have started anew.
const RESTART_AFTER_LATE: u32 = 16;

/// A piece of the track. Chunks touch: each begins where the one before it ended. `P` holds the payload of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<P = Vec<u8>> {
    /// Where it begins on the call's axis, microseconds.
    pub axis_start_us: u64,
    /// How long it is, microseconds.
    pub duration_us: u64,
    /// What is in it.
    pub kind: ChunkKind<P>,
}

impl Chunk<&[u8]> {
    /// The same with a payload of its own.
    pub fn to_owned(&self) -> Chunk {
        let kind = match self.kind {
            ChunkKind::Audio { codec, payload } => ChunkKind::Audio { codec, payload: payload.to_vec() },
            ChunkKind::Lost => ChunkKind::Lost,
            ChunkKind::Silence => ChunkKind::Silence,
            ChunkKind::Paused => ChunkKind::Paused,
        };
        Chunk { axis_start_us: self.axis_start_us, duration_us: self.duration_us, kind }
    }
}

/// What a piece of the track is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkKind<P = Vec<u8>> {
    /// Sound as received.
    Audio {
        /// Its codec.
        codec: Codec,
        /// The payload; for G.711 one octet per sample.
        payload: P,
    },
    /// Packets that never came.
    Lost,
    /// The peer sent nothing: silence suppression, hold, not yet begun.
    Silence,
    /// Not kept on purpose.
    Paused,
}

/// Where the samples of a track went, samples at 8 kHz, and what did not get into it, frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AxisTotals {
    /// Sound.
    pub audio: u64,
    /// Marked as lost.
    pub lost: u64,
    /// Marked as silence.
    pub silence: u64,
    /// Not kept.
    pub paused: u64,
    /// Sound cut away to put drift right.
    pub cut: u64,
    /// Frames that came twice.
    pub duplicates: u64,
    /// Frames that came after their place was filled, or from an older source.
    pub late: u64,
}

/// The axis of one leg's track.
#[derive(Debug)]
pub struct TimeAxis {
    /// Everything before it is out.
    cursor: u64,
    paused: bool,
    stream: Option<Stream>,
    /// Ordered by sequence number.
    pending: VecDeque<Waiting>,
    /// What nobody has taken yet; of sound the number of octets in `sound`.
    chunks: VecDeque<Chunk<usize>>,
    sound: Vec<u8>,
    /// Octets of `sound` that have been taken.
    sound_taken: usize,
    totals: AxisTotals,
}

/// The source that is heard.
#[derive(Debug)]
struct Stream {
    source: u32,
    /// Position of the source's timestamp 0.
    anchor: i64,
    /// `None` where a gap in the sequence means nothing: at the start, after a pause.
    next_seq: Option<u64>,
    late_in_a_row: u32,
    /// Sequence numbers that never came since the last sound.
    missing: u64,
    frame_samples: u64,
    delay: SmallestDelay,
}

impl TimeAxis {
    /// A track that begins at `axis_us`.
    pub fn new(axis_us: u64) -> Self {
        Self {
            cursor: axis_us / SAMPLE_US,
            paused: false,
            stream: None,
            pending: VecDeque::new(),
            chunks: VecDeque::new(),
            sound: Vec::new(),
            sound_taken: 0,
            totals: AxisTotals::default(),
        }
    }

    /// Takes a received frame; all while paused are passed over. An empty one stands for a packet without sound (a key, comfort
    /// noise), whose sequence number is not missing.
    pub fn push(&mut self, frame: &TapFrame) {
        if self.paused {
            return;
        }
        let frame = Frame::of(frame);
        match &self.stream {
            stream if frame.is_soundless() => {
                if stream.as_ref().is_none_or(|stream| stream.source != frame.source) {
                    return;
                }
            }
            Some(stream) if frame.source < stream.source => {
                self.totals.late += 1;
                return;
            }
            Some(stream) if frame.source == stream.source => {}
            Some(_) | None => self.start(frame),
        }
        if self.is_next(frame) {
            self.place(frame);
        } else if self.admit(frame) {
            self.release(frame.arrival_us, false);
        }
    }

    /// Lets time pass: what waited long enough for a missing packet goes out.
    pub fn poll(&mut self, now_us: u64) {
        self.release(now_us, false);
    }

    /// Audio from `axis_us` on is not kept.
    pub fn pause(&mut self, axis_us: u64) {
        self.release(axis_us, true);
        self.fill_to(axis_us / SAMPLE_US);
        self.paused = true;
    }

    /// Audio is kept again from `axis_us` on.
    pub fn resume(&mut self, axis_us: u64) {
        self.fill_to(axis_us / SAMPLE_US);
        self.paused = false;
        if let Some(stream) = &mut self.stream {
            (stream.next_seq, stream.missing) = (None, 0);
        }
    }

    /// The track ends at `axis_us`, or at its last audio when that lies later.
    pub fn close(&mut self, axis_us: u64) {
        self.release(axis_us, true);
        self.fill_to(axis_us / SAMPLE_US);
    }

    /// The next piece that is finished.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        self.next_piece().map(|piece| piece.to_owned())
    }

    /// The next piece that is finished, its payload left where it is.
    pub fn next_piece(&mut self) -> Option<Chunk<&[u8]>> {
        let Some(Chunk { axis_start_us, duration_us, kind }) = self.chunks.pop_front() else {
            self.sound.clear();
            self.sound_taken = 0;
            return None;
        };
        let kind = match kind {
            ChunkKind::Audio { codec, payload } => {
                let from = self.sound_taken;
                self.sound_taken += payload;
                ChunkKind::Audio { codec, payload: self.sound.get(from..from + payload).unwrap_or(&[]) }
            }
            ChunkKind::Lost => ChunkKind::Lost,
            ChunkKind::Silence => ChunkKind::Silence,
            ChunkKind::Paused => ChunkKind::Paused,
        };
        Some(Chunk { axis_start_us, duration_us, kind })
    }

    /// Where the track has got to, microseconds.
    pub fn end_us(&self) -> u64 {
        self.cursor * SAMPLE_US
    }

    /// Sums so far.
    pub fn totals(&self) -> AxisTotals {
        self.totals
    }

    /// Begins to hear the frame's source, anchored at the frame's arrival.
    fn start(&mut self, frame: Frame<'_>) {
        self.release(frame.arrival_us, true);
        let begin = frame.arrived().max(position(self.cursor));
        self.stream = Some(Stream {
            source: frame.source,
            anchor: begin - position(frame.ext_ts),
            next_seq: None,
            late_in_a_row: 0,
            missing: 0,
            frame_samples: 0,
            delay: SmallestDelay::default(),
        });
    }

    /// Whether a frame of the present source goes to its place at once, as nearly all do: nothing waits, nothing is missing.
    fn is_next(&mut self, frame: Frame<'_>) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let next = self.pending.is_empty()
            && stream.next_seq.is_none_or(|next| next == frame.ext_seq)
            && (frame.is_soundless() || stream.delay_of(frame) <= STEP);
        if next {
            stream.late_in_a_row = 0;
        }
        next
    }

    /// Puts a frame of the present source among those that wait; false when it is not wanted.
    fn admit(&mut self, frame: Frame<'_>) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        if stream.next_seq.is_some_and(|next| frame.ext_seq < next) {
            if frame.is_soundless() {
                return false;
            }
            self.totals.late += 1;
            stream.late_in_a_row += 1;
            if stream.late_in_a_row < RESTART_AFTER_LATE {
                return false;
            }
            self.start(frame);
        } else {
            stream.late_in_a_row = 0;
        }
        match self.pending.binary_search_by_key(&frame.ext_seq, |waiting| waiting.ext_seq) {
            Ok(_) => {
                self.totals.duplicates += 1;
                false
            }
            Err(place) => {
                self.pending.insert(place, Waiting::of(frame));
                true
            }
        }
    }

    /// Places frames that are next in sequence or have waited long enough; all of them when `everything` is asked for.
    ///
    /// Frames that all lie more than a step behind their arrival are held back too: either the network stalled and a frame in
    /// time follows at once, or the source's clock stood still and its anchor has to move.
    fn release(&mut self, now_us: u64, everything: bool) {
        loop {
            let (Some(stream), Some(first)) = (&mut self.stream, self.pending.front()) else { return };
            let in_sequence = stream.next_seq.is_none_or(|next| next == first.ext_seq);
            let behind = self
                .pending
                .iter()
                .map(Waiting::frame)
                .filter(|frame| !frame.is_soundless())
                .map(|frame| stream.delay_of(frame))
                .min()
                .unwrap_or(0);
            let oldest_us = self.pending.iter().map(|frame| frame.arrival_us).min().unwrap_or(now_us);
            let waited = everything || self.pending.len() > PENDING_MAX || now_us >= oldest_us.saturating_add(REORDER_US);
            let ready = in_sequence && behind <= STEP;
            if !(waited || ready) {
                return;
            }
            if behind > STEP {
                stream.move_by(behind);
            }
            if let Some(waiting) = self.pending.pop_front() {
                self.place(waiting.frame());
            }
        }
    }

    fn place(&mut self, frame: Frame<'_>) {
        let cursor = position(self.cursor);
        let Some(stream) = &mut self.stream else { return };
        stream.missing += stream.next_seq.map_or(0, |next| frame.ext_seq.saturating_sub(next));
        stream.next_seq = Some(frame.ext_seq.saturating_add(1));
        if frame.is_soundless() {
            return;
        }
        let ahead = stream.delay_of(frame);
        if ahead < -STEP {
            // No network delivers early: the source's timestamps jumped.
            stream.move_by(frame.arrived().max(cursor) - stream.begin_of(frame));
        }
        stream.note_delay(frame);
        stream.correct(frame, cursor);
        let begin = stream.begin_of(frame);
        let missing = std::mem::take(&mut stream.missing).saturating_mul(stream.frame_samples);
        stream.frame_samples = frame.samples();
        let begin = u64::try_from(begin).unwrap_or(0);
        if let Some(gap) = begin.checked_sub(self.cursor).filter(|gap| *gap > 0) {
            let lost = missing.min(gap);
            self.emit(lost, ChunkKind::Lost);
            self.emit(gap - lost, ChunkKind::Silence);
        }
        let cut = (self.cursor - begin).min(frame.samples());
        self.totals.cut += cut;
        let payload = frame.payload.get(usize::try_from(cut).unwrap_or(usize::MAX)..).unwrap_or(&[]);
        self.sound.extend_from_slice(payload);
        self.emit(frame.samples() - cut, ChunkKind::Audio { codec: frame.codec, payload: payload.len() });
    }

    fn fill_to(&mut self, end: u64) {
        let kind = if self.paused { ChunkKind::Paused } else { ChunkKind::Silence };
        self.emit(end.saturating_sub(self.cursor), kind);
    }

    fn emit(&mut self, samples: u64, kind: ChunkKind<usize>) {
        if samples == 0 {
            return;
        }
        match &kind {
            ChunkKind::Audio { .. } => self.totals.audio += samples,
            ChunkKind::Lost => self.totals.lost += samples,
            ChunkKind::Silence => self.totals.silence += samples,
            ChunkKind::Paused => self.totals.paused += samples,
        }
        self.chunks.push_back(Chunk { axis_start_us: self.cursor * SAMPLE_US, duration_us: samples * SAMPLE_US, kind });
        self.cursor += samples;
    }
}

impl Stream {
    /// Where the frame begins by its timestamp.
    fn begin_of(&self, frame: Frame<'_>) -> i64 {
        self.anchor.saturating_add(position(frame.ext_ts))
    }

    /// How much later than its timestamp says the frame came; negative is earlier.
    fn delay_of(&self, frame: Frame<'_>) -> i64 {
        frame.arrived().saturating_sub(self.begin_of(frame))
    }

    fn note_delay(&mut self, frame: Frame<'_>) {
        let delay = self.delay_of(frame);
        self.delay.note(frame.arrival_us, delay);
    }

    fn move_by(&mut self, by: i64) {
        self.anchor = self.anchor.saturating_add(by);
        self.delay.move_by(by);
    }

    /// Puts drift right before `frame` goes to its place: in a gap before it, else inside it when it is quiet.
    fn correct(&mut self, frame: Frame<'_>, cursor: i64) {
        let Some(error) = self.delay.smallest() else { return };
        let gap = self.begin_of(frame).saturating_sub(cursor);
        if gap > 0 && error.abs() > NUDGE {
            self.move_by(error.max(-gap));
        } else if error.abs() > DRIFT && frame.is_quiet() {
            self.move_by(error.clamp(-position(frame.samples()), STEP));
        }
    }
}

/// The smallest delay of the last 4 to 8 seconds of sound: the network's own, without its jitter.
#[derive(Debug, Default)]
struct SmallestDelay {
    before: Option<i64>,
    now: Option<i64>,
    now_since_us: u64,
    now_count: u32,
    last_us: u64,
}

impl SmallestDelay {
    /// Length of one half of the window.
    const HALF_US: u64 = 4_000_000;
    /// Frames that make an estimate.
    const ENOUGH: u32 = 10;
    /// After so long a silence the old estimate has drifted away itself: 6 ms at 100 ppm.
    const STALE_US: u64 = 60_000_000;

    fn note(&mut self, at_us: u64, delay: i64) {
        if at_us.saturating_sub(self.last_us) > Self::STALE_US {
            *self = Self { now_since_us: at_us, ..Self::default() };
        }
        if at_us.saturating_sub(self.now_since_us) > Self::HALF_US && self.now_count >= 2 * Self::ENOUGH {
            *self = Self { before: self.now, now_since_us: at_us, ..Self::default() };
        }
        self.last_us = at_us;
        self.now_count += 1;
        self.now = Some(self.now.map_or(delay, |now| now.min(delay)));
    }

    fn smallest(&self) -> Option<i64> {
        match (self.before, self.now) {
            (Some(before), Some(now)) => Some(before.min(now)),
            (None, Some(now)) if self.now_count >= Self::ENOUGH => Some(now),
            (None | Some(_), None | Some(_)) => None,
        }
    }

    fn move_by(&mut self, by: i64) {
        self.before = self.before.map(|delay| delay.saturating_sub(by));
        self.now = self.now.map(|delay| delay.saturating_sub(by));
    }
}

#[cfg(test)]
#[path = "time_axis_tests.rs"]
mod tests;
