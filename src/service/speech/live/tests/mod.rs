//! The live path in simulated time: samples as packets in, requests and words out, with doubles in the worker's place.

mod calls;
mod compare;
mod detector;
mod people;
mod sums;

use super::{
    call::{LiveCall, Out},
    ear::{EarEvent, LegEar},
    shown::NoMask,
};
use crate::{
    domain::{
        live::LiveUtterance,
        media::{
            plan::Codec,
            tap::TapOpen,
            time_axis::{Chunk, ChunkKind},
        },
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::audio::g711,
    service::speech::{
        front_end::Piece,
        model::Thresholds,
        transcribe::{Request, Transcriber},
    },
    time::UnixMs,
};

/// Samples of a packet: 20 ms.
const PACKET: usize = 160;

fn head(leg: LegId, party: Party) -> TapOpen {
    TapOpen {
        recording: RecordingId::new(UnixMs(1), [1; 10]),
        interaction: InteractionId::new(UnixMs(1), [1; 10]),
        leg,
        party,
        codec: Codec::Pcma,
        axis_start_wall: UnixMs(1),
        axis_us: 0,
    }
}

/// A-law packets of a track that begins at zero.
fn packets(samples: &[i16]) -> Vec<Chunk> {
    let packet = |(n, samples): (usize, &[i16])| Chunk {
        axis_start_us: (n * PACKET) as u64 * 125,
        duration_us: samples.len() as u64 * 125,
        kind: ChunkKind::Audio { codec: Codec::Pcma, payload: samples.iter().map(|s| g711::linear_to_alaw(*s)).collect() },
    };
    samples.chunks(PACKET).enumerate().map(packet).collect()
}

/// The utterances of one leg; what began as one and was none is left out.
fn utterances(samples: &[i16], force_open: bool) -> Vec<Piece> {
    let mut ear = LegEar::new(&head(crate::service::speech::tests::leg(1), Party::Customer));
    if force_open {
        ear.force_open();
    }
    packets(samples).iter().for_each(|chunk| ear.push(chunk));
    ear.close(samples.len() as u64 * 125);
    let pieces = std::iter::from_fn(|| ear.next_event()).filter_map(|event| match event {
        EarEvent::Utterance(piece) => Some(piece),
        EarEvent::Nothing { .. } => None,
    });
    pieces.collect()
}

/// A call with its worker: answers come after `delay_us`.
struct Scene<'a> {
    call: LiveCall,
    worker: &'a mut dyn Transcriber,
    delay_us: u64,
    asked: Vec<(Request, bool, u64)>,
    /// Every message: when, lag, utterances.
    told: Vec<(u64, u32, Vec<LiveUtterance>)>,
    early: usize,
    /// Whether workers could look at what is still spoken, and how many looks were left out.
    has_time: bool,
    left_out: usize,
}

impl<'a> Scene<'a> {
    fn new(legs: &[(LegId, Party)], worker: &'a mut dyn Transcriber, delay_us: u64) -> Self {
        let mut call = LiveCall::new(InteractionId::new(UnixMs(1), [1; 10]), true, Box::new(NoMask));
        for (leg, party) in legs {
            assert!(call.open(&head(*leg, *party)));
        }
        Self { call, worker, delay_us, asked: Vec::new(), told: Vec::new(), early: 0, has_time: true, left_out: 0 }
    }

    /// Speaks all tracks at once, packet by packet, and hangs up.
    fn speak(&mut self, tracks: &[(LegId, &[i16])]) {
        let chunks: Vec<(LegId, Vec<Chunk>)> = tracks.iter().map(|(leg, samples)| (*leg, packets(samples))).collect();
        let longest = chunks.iter().map(|(_, chunks)| chunks.len()).max().unwrap_or(0);
        for n in 0..longest {
            let now_us = ((n + 1) * PACKET) as u64 * 125;
            for (leg, chunks) in &chunks {
                if let Some(chunk) = chunks.get(n) {
                    self.call.chunk(*leg, chunk, now_us);
                }
            }
            self.pass(now_us);
        }
        let end_us = (longest * PACKET) as u64 * 125;
        for (leg, _) in &chunks {
            self.call.close(*leg, end_us);
        }
        let mut now_us = end_us;
        while !self.call.is_over() {
            now_us += 50_000;
            self.pass(now_us);
        }
    }

    fn pass(&mut self, now_us: u64) {
        if now_us.is_multiple_of(60_000) || !self.call.is_talked() {
            self.left_out += self.call.poll(now_us, self.has_time);
        }
        while let Some(at) = self.asked.iter().position(|(_, _, due_us)| *due_us <= now_us) {
            let (request, partial, _) = self.asked.remove(at);
            let answer = self.worker.transcribe(&request);
            let thresholds = Thresholds::default();
            if partial {
                self.call.early_answer(request.key, answer, Some(&thresholds), now_us);
            } else {
                self.call.answer(request.key, answer, Some(&thresholds), now_us);
            }
        }
        while let Some(out) = self.call.next_out() {
            match out {
                Out::Ask { request, partial, .. } => {
                    self.early += usize::from(partial);
                    self.asked.push((request, partial, now_us + self.delay_us));
                }
                Out::Words(words) => self.told.push((now_us, words.lag_ms, words.utterances)),
            }
        }
    }

    /// What a desk shows in the end, by time.
    fn shown(&self) -> Vec<LiveUtterance> {
        let mut shown: Vec<LiveUtterance> = Vec::new();
        for live in self.told.iter().flat_map(|(_, _, utterances)| utterances) {
            let same = |u: &LiveUtterance| (u.utterance.leg, u.utterance.from_ms) == (live.utterance.leg, live.utterance.from_ms);
            match shown.iter_mut().find(|u| same(u)) {
                Some(old) => *old = live.clone(),
                None => shown.push(live.clone()),
            }
        }
        shown.sort_by_key(|live| live.utterance.from_ms);
        shown
    }
}
