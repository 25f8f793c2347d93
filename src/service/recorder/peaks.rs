//! The waveform: smallest and largest sample of every 50 ms, written beside the track when it closes.
//!
//! ```text
//! magic 4 │ version 1 │ 0 0 0 │ first bucket 4 │ buckets 4 │ CRC32C 4 │ (min i8, max i8) …
//! ```
//! Buckets lie on the call's axis: bucket n begins at n × 50 ms. A missing or damaged file is made anew.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    index::{TrackError, read_head},
    render::{RATE_HZ, TrackAudio},
    track::MAX_AXIS_US,
};
use crate::ids::Party;

/// Length of a bucket, milliseconds.
pub const BUCKET_MS: u32 = 50;
const MAGIC: [u8; 4] = *b"TLPK";
const VERSION: u8 = 1;
const HEADER_OCTETS: usize = 20;
const BUCKET_SAMPLES: u64 = (RATE_HZ / 1_000 * BUCKET_MS) as u64;
/// Most buckets that are read: the longest axis.
const MAX_BUCKETS: u64 = MAX_AXIS_US / 1_000 / BUCKET_MS as u64 + 1;

/// Smallest and largest sample of a bucket, in 1/128 of full scale.
pub type MinMax = (i8, i8);

/// The waveform of one call, from time 0 of its axis; both sides are equally long.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Waveform {
    /// How long all buckets are together, milliseconds.
    pub duration_ms: u32,
    /// The customer.
    pub customer: Vec<MinMax>,
    /// The agents.
    pub agent: Vec<MinMax>,
}

/// One track's peaks.
#[derive(Clone, Debug, PartialEq)]
struct Peaks {
    first_bucket: u32,
    values: Vec<MinMax>,
}

/// The waveform of a call's tracks, in at most `buckets` buckets (as many as there are, when 0).
///
/// # Errors
/// A track cannot be read.
pub fn waveform(tracks: &[PathBuf], buckets: usize) -> Result<Waveform, TrackError> {
    let mut sides = [Vec::new(), Vec::new()];
    for path in tracks {
        let (party, peaks) = match read_or_make(path) {
            Err(TrackError::NoHead) => continue,
            other => other?,
        };
        let side = match party {
            Party::Customer => &mut sides[0],
            Party::Agent => &mut sides[1],
        };
        let first = usize::try_from(peaks.first_bucket).unwrap_or(usize::MAX);
        side.resize(side.len().max(first + peaks.values.len()), (0, 0));
        for (at, value) in side[first..].iter_mut().zip(&peaks.values) {
            *at = (at.0.min(value.0), at.1.max(value.1));
        }
    }
    let count = sides[0].len().max(sides[1].len());
    let [customer, agent] = sides.map(|mut side| {
        side.resize(count, (0, 0));
        reduce(&side, buckets)
    });
    Ok(Waveform { duration_ms: u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(BUCKET_MS), customer, agent })
}

/// Makes the peaks of a track and writes them beside it.
///
/// # Errors
/// The track cannot be read, or the peaks not be written.
pub fn write(track: &Path) -> Result<(), TrackError> {
    let audio = TrackAudio::open(track)?;
    Ok(save(track, &make(&audio)?)?)
}

/// From the file beside the track, else from the track; a closed track's are written again on the way.
fn read_or_make(path: &Path) -> Result<(Party, Peaks), TrackError> {
    if let Some(found) = fs::read(path.with_extension("peaks")).ok().and_then(|octets| Peaks::decode(&octets)) {
        return Ok((read_head(path)?.party, found));
    }
    let track = TrackAudio::open(path)?;
    let peaks = make(&track)?;
    if track.index.closing.is_some() {
        // A full disk must not keep anybody from seeing the waveform.
        let _ = save(path, &peaks);
    }
    Ok((track.index.head.party, peaks))
}

fn save(track: &Path, peaks: &Peaks) -> io::Result<()> {
    let unfinished = track.with_extension("peaks.part");
    fs::write(&unfinished, peaks.encode())?;
    fs::rename(&unfinished, track.with_extension("peaks"))
}

fn make(track: &TrackAudio) -> io::Result<Peaks> {
    let (start, end) = track.span();
    let (first_bucket, last_bucket) = (start / BUCKET_SAMPLES, end.div_ceil(BUCKET_SAMPLES));
    let mut values = vec![(0i16, 0i16); usize::try_from(last_bucket - first_bucket).unwrap_or(0)];
    let from = first_bucket * BUCKET_SAMPLES;
    track.decode(from, end, |at, sample| {
        let value = &mut values[at / usize::try_from(BUCKET_SAMPLES).unwrap_or(usize::MAX)];
        *value = (value.0.min(sample), value.1.max(sample));
    })?;
    let octet = |sample: i16| i8::try_from(sample >> 8).unwrap_or(0);
    let values = values.into_iter().map(|(min, max)| (octet(min), octet(max))).collect();
    Ok(Peaks { first_bucket: u32::try_from(first_bucket).unwrap_or(u32::MAX), values })
}

/// Joins neighbours until at most `buckets` are left.
fn reduce(values: &[MinMax], buckets: usize) -> Vec<MinMax> {
    if buckets == 0 || values.len() <= buckets {
        return values.to_vec();
    }
    let join = |part: &[MinMax]| part.iter().fold((0, 0), |(min, max): MinMax, value| (min.min(value.0), max.max(value.1)));
    (0..buckets).map(|n| join(&values[n * values.len() / buckets..(n + 1) * values.len() / buckets])).collect()
}

impl Peaks {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_OCTETS + 2 * self.values.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.extend_from_slice(&self.first_bucket.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.values.len()).unwrap_or(u32::MAX).to_le_bytes());
        let body: Vec<u8> = self.values.iter().flat_map(|(min, max)| [min.cast_unsigned(), max.cast_unsigned()]).collect();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out), &body);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let (header, body) = octets.split_at_checked(HEADER_OCTETS)?;
        let number = |at: usize| header.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes));
        let whole = number(16)? == crc32c::crc32c_append(crc32c::crc32c(&header[..16]), body);
        let fits = usize::try_from(number(12)?).is_ok_and(|count| body.len() == 2 * count);
        let bounded = u64::from(number(8)?) + u64::from(number(12)?) <= MAX_BUCKETS;
        if header[..4] != MAGIC || header[4] != VERSION || !whole || !fits || !bounded {
            return None;
        }
        let values = body.chunks_exact(2).map(|pair| (pair[0].cast_signed(), pair[1].cast_signed())).collect();
        Some(Self { first_bucket: number(8)?, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_survive_their_file_and_a_damaged_file_is_refused() {
        let peaks = Peaks { first_bucket: 7, values: vec![(-128, 127), (0, 0), (-3, 4)] };
        let octets = peaks.encode();
        assert_eq!(Peaks::decode(&octets), Some(peaks));
        for at in 0..octets.len() {
            let mut flipped = octets.clone();
            flipped[at] ^= 0x10;
            assert_eq!(Peaks::decode(&flipped), None, "octet {at}");
            assert_eq!(Peaks::decode(&octets[..at]), None);
        }
    }

    #[test]
    fn fewer_buckets_keep_the_extremes() {
        let values = [(-1, 1), (-9, 2), (0, 0), (-2, 8), (0, 3)];
        assert_eq!(reduce(&values, 2), [(-9, 2), (-2, 8)]);
        assert_eq!(reduce(&values, 0).len(), 5);
        assert_eq!(reduce(&values, 9).len(), 5);
    }
}
