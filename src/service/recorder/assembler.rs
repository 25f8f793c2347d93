//! One leg's taps → blocks: the time axis makes chunks, chunks of one codec are joined up to 200 ms.

use std::{collections::VecDeque, sync::Arc};

use super::track::{self, BLOCK_US, GapKind, HEADER_OCTETS, TrackTotals};
use crate::domain::media::{
    plan::Codec,
    tap::{TapFrame, TapOpen},
    time_axis::{Chunk, ChunkKind, SAMPLE_US, TimeAxis},
};

/// Audio is handed on at this age even when its block is not full, microseconds: a kill loses no more, and a pause in speech cannot hold it back.
const MAX_AGE_US: u64 = 250_000;
/// Whole blocks are handed on when they are as long as this together, microseconds: a full one of any length that packets make,
/// short gaps and what is around them together.
const HAND_ON_US: u64 = 150_000;
/// Octets of a full audio block: G.711, one octet per sample.
const BLOCK_OCTETS: usize = (BLOCK_US / SAMPLE_US) as usize;
/// Room for what is handed on at once.
const ROOM_OCTETS: usize = HEADER_OCTETS + BLOCK_OCTETS;

/// Octets to append, and what they cover.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// One or more whole blocks.
    pub octets: Vec<u8>,
    /// On the call's axis, microseconds.
    pub start_us: u64,
    /// On the call's axis, microseconds.
    pub end_us: u64,
    /// Where the time between goes.
    pub totals: TrackTotals,
}

/// Makes one track's blocks.
#[derive(Debug)]
pub struct Assembler {
    axis: TimeAxis,
    blocks: Blocks,
    /// The pieces as the axis made them, for the live front end; `None` when nobody listens.
    pieces: Option<VecDeque<Chunk>>,
}

/// What becomes of the pieces on disk.
#[derive(Debug)]
struct Blocks {
    head: Arc<TapOpen>,
    /// Whole blocks, and after them the one that is being filled.
    octets: Vec<u8>,
    /// The whole ones: from, to, and where their time goes.
    whole: Option<(u64, u64, TrackTotals)>,
    run: Option<Run>,
    ready: VecDeque<Encoded>,
}

/// The block of audio that is being filled.
#[derive(Debug)]
struct Run {
    start_us: u64,
    end_us: u64,
    codec: Codec,
    /// Where its header will be.
    at: usize,
}

impl Assembler {
    /// A track that begins now.
    pub fn new(head: Arc<TapOpen>) -> Self {
        let axis = TimeAxis::new(head.axis_us);
        let blocks = Blocks { head, octets: Vec::new(), whole: None, run: None, ready: VecDeque::new() };
        Self { axis, blocks, pieces: None }
    }

    /// Keeps the pieces too: [`Assembler::next_piece`].
    pub fn listened_to(self) -> Self {
        Self { pieces: Some(VecDeque::new()), ..self }
    }

    /// Whose track it is.
    pub fn head(&self) -> &Arc<TapOpen> {
        &self.blocks.head
    }

    /// Takes a frame.
    pub fn push(&mut self, frame: &TapFrame) {
        self.axis.push(frame);
        self.take_chunks();
    }

    /// Audio from here on is not kept.
    pub fn pause(&mut self, axis_us: u64) {
        self.axis.pause(axis_us);
        self.take_chunks();
        self.blocks.hand_on();
    }

    /// Audio is kept again.
    pub fn resume(&mut self, axis_us: u64) {
        self.axis.resume(axis_us);
        self.take_chunks();
    }

    /// Lets time pass.
    pub fn poll(&mut self, now_us: u64) {
        self.axis.poll(now_us);
        self.take_chunks();
        if self.blocks.oldest_us().is_some_and(|oldest| now_us >= oldest.saturating_add(MAX_AGE_US)) {
            self.blocks.hand_on();
        }
    }

    /// The track ends; returns where, microseconds.
    pub fn close(&mut self, axis_us: u64) -> u64 {
        self.axis.close(axis_us);
        self.take_chunks();
        self.blocks.hand_on();
        self.axis.end_us()
    }

    /// The next blocks to write.
    pub fn next_encoded(&mut self) -> Option<Encoded> {
        self.blocks.ready.pop_front()
    }

    /// The next piece of the track for those who listen.
    pub fn next_piece(&mut self) -> Option<Chunk> {
        self.pieces.as_mut()?.pop_front()
    }

    fn take_chunks(&mut self) {
        let Self { axis, blocks, pieces } = self;
        while let Some(chunk) = axis.next_piece() {
            match chunk.kind {
                ChunkKind::Audio { codec, payload } => blocks.join(&chunk, codec, payload),
                ChunkKind::Lost => blocks.gap(&chunk, GapKind::Lost),
                ChunkKind::Silence => blocks.gap(&chunk, GapKind::Silence),
                ChunkKind::Paused => blocks.gap(&chunk, GapKind::Paused),
            }
            if let Some(pieces) = pieces {
                pieces.push_back(chunk.to_owned());
            }
        }
    }
}

impl Blocks {
    fn join(&mut self, chunk: &Chunk<&[u8]>, codec: Codec, payload: &[u8]) {
        let filled = |octets: &[u8], run: &Run| octets.len() - run.at - HEADER_OCTETS;
        if self.run.as_ref().is_some_and(|run| run.codec != codec || filled(&self.octets, run) + payload.len() > BLOCK_OCTETS) {
            self.finish_run();
        }
        let run = self.run.get_or_insert_with(|| {
            let at = self.octets.len();
            if at == 0 {
                self.octets.reserve_exact(ROOM_OCTETS);
            }
            self.octets.resize(at + HEADER_OCTETS, 0);
            Run { start_us: chunk.axis_start_us, end_us: chunk.axis_start_us, codec, at }
        });
        self.octets.extend_from_slice(payload);
        run.end_us = chunk.axis_start_us + chunk.duration_us;
        if filled(&self.octets, run) >= BLOCK_OCTETS {
            self.finish_run();
        }
    }

    fn gap(&mut self, chunk: &Chunk<&[u8]>, kind: GapKind) {
        self.finish_run();
        track::encode_gap(&mut self.octets, &self.head, kind, chunk.axis_start_us, chunk.duration_us);
        let mut totals = TrackTotals::default();
        totals.add_gap(kind, chunk.duration_us);
        self.add_whole(chunk.axis_start_us, chunk.axis_start_us + chunk.duration_us, &totals);
    }

    fn finish_run(&mut self) {
        let Some(Run { start_us, end_us, codec, at }) = self.run.take() else { return };
        let duration_us = u32::try_from(end_us - start_us).unwrap_or(u32::MAX);
        track::complete_audio(&mut self.octets[at..], &self.head, codec, start_us, duration_us);
        self.add_whole(start_us, end_us, &TrackTotals { audio_us: end_us - start_us, ..TrackTotals::default() });
    }

    fn add_whole(&mut self, start_us: u64, end_us: u64, totals: &TrackTotals) {
        let (from_us, to_us, sum) = self.whole.get_or_insert((start_us, end_us, TrackTotals::default()));
        *to_us = end_us;
        sum.add(totals);
        if end_us - *from_us >= HAND_ON_US {
            self.hand_on();
        }
    }

    /// Everything goes to the writer, the block that is being filled too.
    fn hand_on(&mut self) {
        self.finish_run();
        if let Some((start_us, end_us, totals)) = self.whole.take() {
            self.ready.push_back(Encoded { octets: std::mem::take(&mut self.octets), start_us, end_us, totals });
        }
    }

    /// Where that begins which the writer has not got.
    fn oldest_us(&self) -> Option<u64> {
        self.whole.as_ref().map(|(from_us, ..)| *from_us).or(self.run.as_ref().map(|run| run.start_us))
    }
}
