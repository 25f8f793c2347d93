//! A received packet as the time axis sees it.

use super::{plan::Codec, tap::TapFrame, time_axis::SAMPLE_US};

/// A received packet, its payload where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub source: u32,
    pub arrival_us: u64,
    pub ext_seq: u64,
    pub ext_ts: u64,
    pub codec: Codec,
    pub payload: &'a [u8],
}

/// The same with a payload of its own, which is small: few packets wait, but on any track.
#[derive(Debug)]
pub(super) struct Waiting {
    pub source: u32,
    pub arrival_us: u64,
    pub ext_seq: u64,
    pub ext_ts: u64,
    pub codec: Codec,
    pub payload: Box<[u8]>,
}

impl<'a> Frame<'a> {
    /// As it was tapped.
    pub fn of(tapped: &'a TapFrame) -> Self {
        let TapFrame { source, arrival_us, ext_seq, ext_ts, codec, .. } = *tapped;
        Self { source, arrival_us, ext_seq, ext_ts, codec, payload: tapped.payload() }
    }

    /// How long it is.
    pub fn samples(self) -> u64 {
        match self.codec {
            Codec::Pcmu | Codec::Pcma => u64::try_from(self.payload.len()).unwrap_or(0),
        }
    }

    /// A key, comfort noise.
    pub fn is_soundless(self) -> bool {
        self.payload.is_empty()
    }

    /// Where it begins by its arrival.
    pub fn arrived(self) -> i64 {
        position(self.arrival_us / SAMPLE_US).saturating_sub(position(self.samples()))
    }

    /// Whether every sample lies in the two lowest segments of G.711: peaks below about −36 dBFS.
    pub fn is_quiet(self) -> bool {
        let mask = match self.codec {
            Codec::Pcmu => 0xFF,
            Codec::Pcma => 0x55,
        };
        self.payload.iter().all(|octet| (octet ^ mask) & 0x70 <= 0x10)
    }
}

impl Waiting {
    /// A copy.
    pub fn of(frame: Frame<'_>) -> Self {
        let Frame { source, arrival_us, ext_seq, ext_ts, codec, payload } = frame;
        Self { source, arrival_us, ext_seq, ext_ts, codec, payload: payload.into() }
    }

    /// As it was.
    pub fn frame(&self) -> Frame<'_> {
        let Self { source, arrival_us, ext_seq, ext_ts, codec, ref payload } = *self;
        Frame { source, arrival_us, ext_seq, ext_ts, codec, payload }
    }
}

/// A place on the axis; what cannot be is its end.
pub(super) fn position(samples: u64) -> i64 {
    i64::try_from(samples).unwrap_or(i64::MAX)
}
