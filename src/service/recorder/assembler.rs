//! One leg's taps → blocks: the time axis makes chunks, chunks of one codec are joined up to 200 ms.

use std::{collections::VecDeque, sync::Arc};

use super::track::{self, BLOCK_US, GapKind};
use crate::domain::media::{
    plan::Codec,
    tap::{TapFrame, TapOpen},
    time_axis::{Chunk, ChunkKind, SAMPLE_US, TimeAxis},
};

/// Audio is handed on at this age even when its block is not full, microseconds: a kill loses no more, and a pause in speech cannot hold it back.
const MAX_AGE_US: u64 = 250_000;
/// Octets of a full audio block: G.711, one octet per sample.
const BLOCK_OCTETS: usize = (BLOCK_US / SAMPLE_US) as usize;

/// Octets to append, and what they cover.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// One or more whole blocks.
    pub octets: Vec<u8>,
    /// On the call's axis, microseconds.
    pub start_us: u64,
    /// On the call's axis, microseconds.
    pub end_us: u64,
    /// The gap that it marks; `None` for audio.
    pub gap: Option<GapKind>,
}

/// Makes one track's blocks.
#[derive(Debug)]
pub struct Assembler {
    head: Arc<TapOpen>,
    axis: TimeAxis,
    run: Option<Run>,
    ready: VecDeque<Encoded>,
    /// The pieces as the axis made them, for the live front end; `None` when nobody listens.
    pieces: Option<VecDeque<Chunk>>,
}

/// Audio that is being joined.
#[derive(Debug)]
struct Run {
    start_us: u64,
    end_us: u64,
    codec: Codec,
    payload: Vec<u8>,
}

impl Assembler {
    /// A track that begins now.
    pub fn new(head: Arc<TapOpen>) -> Self {
        Self { axis: TimeAxis::new(head.axis_us), head, run: None, ready: VecDeque::new(), pieces: None }
    }

    /// Keeps the pieces too: [`Assembler::next_piece`].
    pub fn listened_to(self) -> Self {
        Self { pieces: Some(VecDeque::new()), ..self }
    }

    /// Whose track it is.
    pub fn head(&self) -> &Arc<TapOpen> {
        &self.head
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
        self.finish_run();
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
        if self.run.as_ref().is_some_and(|run| now_us >= run.start_us.saturating_add(MAX_AGE_US)) {
            self.finish_run();
        }
    }

    /// The track ends; returns where, microseconds.
    pub fn close(&mut self, axis_us: u64) -> u64 {
        self.axis.close(axis_us);
        self.take_chunks();
        self.finish_run();
        self.axis.end_us()
    }

    /// The next blocks to write.
    pub fn next_encoded(&mut self) -> Option<Encoded> {
        self.ready.pop_front()
    }

    /// The next piece of the track for those who listen.
    pub fn next_piece(&mut self) -> Option<Chunk> {
        self.pieces.as_mut()?.pop_front()
    }

    fn take_chunks(&mut self) {
        while let Some(chunk) = self.axis.next_chunk() {
            match &chunk.kind {
                ChunkKind::Audio { codec, payload } => self.join(&chunk, *codec, payload),
                ChunkKind::Lost => self.gap(&chunk, GapKind::Lost),
                ChunkKind::Silence => self.gap(&chunk, GapKind::Silence),
                ChunkKind::Paused => self.gap(&chunk, GapKind::Paused),
            }
            if let Some(pieces) = &mut self.pieces {
                pieces.push_back(chunk);
            }
        }
    }

    fn join(&mut self, chunk: &Chunk, codec: Codec, payload: &[u8]) {
        if self.run.as_ref().is_some_and(|run| run.codec != codec || run.payload.len() + payload.len() > BLOCK_OCTETS) {
            self.finish_run();
        }
        let run = self.run.get_or_insert_with(|| Run {
            start_us: chunk.axis_start_us,
            end_us: chunk.axis_start_us,
            codec,
            payload: Vec::with_capacity(BLOCK_OCTETS),
        });
        run.payload.extend_from_slice(payload);
        run.end_us = chunk.axis_start_us + chunk.duration_us;
        if run.payload.len() >= BLOCK_OCTETS {
            self.finish_run();
        }
    }

    fn gap(&mut self, chunk: &Chunk, kind: GapKind) {
        self.finish_run();
        let mut octets = Vec::new();
        track::encode_gap(&mut octets, &self.head, kind, chunk.axis_start_us, chunk.duration_us);
        let end_us = chunk.axis_start_us + chunk.duration_us;
        self.ready.push_back(Encoded { octets, start_us: chunk.axis_start_us, end_us, gap: Some(kind) });
    }

    fn finish_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        let mut octets = Vec::with_capacity(track::HEADER_OCTETS + run.payload.len());
        let duration_us = u32::try_from(run.end_us - run.start_us).unwrap_or(u32::MAX);
        track::encode_audio(&mut octets, &self.head, run.codec, run.start_us, duration_us, &run.payload);
        self.ready.push_back(Encoded { octets, start_us: run.start_us, end_us: run.end_us, gap: None });
    }
}
