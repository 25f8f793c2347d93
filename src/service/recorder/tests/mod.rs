//! The recorder in simulated time, on a disk that stalls, fills up, stops half way and flips bits; once on real files.

use std::sync::Arc;

use super::{
    assembler::Assembler,
    track::{self, CloseReason, Closing, TrackTotals},
};
use crate::{
    domain::media::{
        plan::Codec,
        tap::{TAP_PAYLOAD_MAX, Tap, TapFrame, TapOpen},
    },
    ids::{InteractionId, LegId, Party, RecordingId},
    protocol::audio::{g711, tone::DualTone},
    time::UnixMs,
};

mod format;
mod redaction;
mod sound;
mod threads;

const MS: u64 = 1_000;
const WALL: UnixMs = UnixMs(1_774_100_000_000);

/// A track of leg `n` that begins at `from_ms`; even legs are customers.
fn head(n: u8, from_ms: u64) -> TapOpen {
    TapOpen {
        recording: RecordingId::new(WALL, [n; 10]),
        interaction: InteractionId::new(WALL, [99; 10]),
        leg: LegId::new(WALL, [n; 10]),
        party: if n.is_multiple_of(2) { Party::Customer } else { Party::Agent },
        codec: Codec::Pcmu,
        axis_start_wall: WALL,
        axis_us: from_ms * MS,
    }
}

/// A 20 ms frame that was spoken until `until_ms`; its sequence number follows from that.
fn frame(head: &TapOpen, until_ms: u64, samples: &[i16]) -> TapFrame {
    let mut payload = [0; TAP_PAYLOAD_MAX];
    for (octet, sample) in payload.iter_mut().zip(samples) {
        *octet = g711::linear_to_ulaw(*sample);
    }
    TapFrame {
        leg: head.leg,
        source: 0,
        arrival_us: until_ms * MS,
        ext_seq: until_ms / 20,
        ext_ts: until_ms * 8,
        codec: Codec::Pcmu,
        len: u16::try_from(samples.len()).unwrap(),
        payload,
    }
}

/// Frames of a loud tone that fill `from_ms .. to_ms`.
fn talk(head: &TapOpen, from_ms: u64, to_ms: u64) -> Vec<TapFrame> {
    let mut tone = DualTone::new(500.0, 800.0, 8_000, 8_000);
    (from_ms / 20..to_ms / 20)
        .map(|n| {
            let mut samples = [0; 160];
            tone.fill(&mut samples);
            frame(head, (n + 1) * 20, &samples)
        })
        .collect()
}

/// The same for several stretches; between them the peer sends nothing, so its numbers go on.
fn talk_in(head: &TapOpen, stretches: &[(u64, u64)]) -> impl Iterator<Item = TapFrame> {
    let frames = stretches.iter().flat_map(|(from, to)| talk(head, *from, *to));
    frames.enumerate().map(|(n, frame)| TapFrame { ext_seq: n as u64, ..frame })
}

/// Every tap of one leg that talks in these stretches (milliseconds) and is closed at `to_ms`.
fn taps(head: &TapOpen, stretches: &[(u64, u64)], to_ms: u64) -> Vec<(u64, Tap)> {
    let mut taps = vec![(head.axis_us, Tap::Open(head.clone()))];
    taps.extend(talk_in(head, stretches).map(|frame| (frame.arrival_us, Tap::Frame(frame))));
    taps.push((to_ms * MS, Tap::Close { leg: head.leg, axis_us: to_ms * MS, dropped: 0 }));
    taps
}

/// The file of a track that talks in these stretches; unclosed when `to_ms` is `None`.
fn file(head: &TapOpen, stretches: &[(u64, u64)], to_ms: Option<u64>) -> Vec<u8> {
    let mut assembler = Assembler::new(Arc::new(head.clone()));
    let mut octets = Vec::new();
    track::encode_head(&mut octets, head, head.axis_us);
    talk_in(head, stretches).for_each(|frame| assembler.push(&frame));
    let end_us = to_ms.map(|to_ms| assembler.close(to_ms * MS));
    // What waits goes by its age.
    assembler.poll(track::MAX_AXIS_US);
    while let Some(encoded) = assembler.next_encoded() {
        octets.extend(encoded.octets);
    }
    if let Some(end_us) = end_us {
        let closing = Closing { reason: CloseReason::Ended, totals: TrackTotals::default() };
        track::encode_close(&mut octets, head, end_us, &closing);
    }
    octets
}
