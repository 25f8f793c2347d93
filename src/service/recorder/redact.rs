//! Overwrites stretches of a recording in place: numbers that must not be kept, on every leg that may carry them.
//!
//! ```text
//! audio 200 ms  ═▶  audio a │ redacted, zeroes │ audio b      as long as before, own CRCs, one write
//! ```
//! Each block is replaced by one write of the same length, so a kill leaves either block: the track plays, and doing it again
//! finishes. What lies damaged on disk within a stretch is overwritten too. The codec's silence is not needed: gaps are silent.

use std::{
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    index::{Content, TrackError, TrackIndex},
    peaks,
    track::{self, Decoded, HEADER_OCTETS, PAYLOAD_MAX},
};
use crate::{
    domain::media::{plan::Codec, tap::TapOpen, time_axis::SAMPLE_US},
    ids::LegId,
};

/// Word times are not exact: so much more is taken out before and after, microseconds.
const MARGIN_US: u64 = 150_000;
/// Other legs hear it by echo, a loudspeaker, a conference, up to so much later, microseconds.
const ECHO_US: u64 = 500_000;
/// Most octets between two whole blocks that are looked through at once; damage is a few blocks.
const DAMAGE_MAX: u64 = 16 << 20;

/// A stretch of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Who said it.
    pub leg: LegId,
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
}

/// Overwrites the stretches in all tracks of a call and makes their peaks anew; returns the blocks that were replaced.
///
/// # Errors
/// A track cannot be read or written; what was done stays done, and doing it again is harmless.
pub fn call(tracks: &[PathBuf], stretches: &[Stretch]) -> Result<usize, TrackError> {
    let mut replaced = 0;
    for path in tracks {
        replaced += match self::track(path, stretches) {
            Err(TrackError::NoHead) => 0,
            other => other?,
        };
    }
    Ok(replaced)
}

fn track(path: &Path, stretches: &[Stretch]) -> Result<usize, TrackError> {
    let index = TrackIndex::load(path)?;
    let stretches = wanted(&index.head, stretches);
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut replaced = 0;
    for stretch in &stretches {
        for piece in index.pieces_in(stretch.start, stretch.end) {
            if let Content::Audio { codec, offset, octets } = piece.content {
                let block = AudioBlock { codec, offset: offset - HEADER_OCTETS as u64, octets, span: piece.start_us..piece.end_us };
                block.replace(&file, &index.head, stretch)?;
                replaced += 1;
            }
        }
    }
    let damaged = if index.damaged_octets + index.torn_octets > 0 { wipe_damage(&file, &index, &stretches)? } else { 0 };
    if replaced + damaged > 0 {
        file.sync_data()?;
    }
    let stale = path.with_extension("peaks");
    if replaced > 0 || !stale.exists() {
        // First away with the old ones: missing peaks are made anew when somebody looks.
        for gone in [stale, path.with_extension("peaks.part")] {
            if let Err(error) = fs::remove_file(gone)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error.into());
            }
        }
        peaks::write(path)?;
    }
    Ok(replaced)
}

/// The stretches as they are taken out of this track, microseconds, joined and whole samples.
fn wanted(head: &TapOpen, stretches: &[Stretch]) -> Vec<Range<u64>> {
    let mut all: Vec<Range<u64>> = stretches
        .iter()
        .map(|stretch| {
            let after = if stretch.leg == head.leg { MARGIN_US } else { ECHO_US };
            let from = (u64::from(stretch.from_ms) * 1_000).saturating_sub(MARGIN_US);
            from / SAMPLE_US * SAMPLE_US..(u64::from(stretch.to_ms) * 1_000 + after).next_multiple_of(SAMPLE_US)
        })
        .collect();
    all.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in all {
        match joined.last_mut() {
            // Closer than a block: one gap instead of two with a syllable between.
            Some(last) if range.start <= last.end + track::BLOCK_US => last.end = last.end.max(range.end),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

/// A block of audio in the file.
struct AudioBlock {
    codec: Codec,
    /// Of its header.
    offset: u64,
    octets: usize,
    /// On the axis, microseconds.
    span: Range<u64>,
}

impl AudioBlock {
    /// Writes what is left of the block over it: audio before, the gap, audio after, in as many octets.
    fn replace(&self, file: &File, head: &TapOpen, stretch: &Range<u64>) -> io::Result<()> {
        let length = self.span.end - self.span.start;
        let samples = |us: u64| usize::try_from(us / SAMPLE_US).unwrap_or(usize::MAX);
        // An octet is a sample in G.711; where that does not hold the block goes whole.
        let parts = samples(length) == self.octets;
        let mut before = if parts { samples(stretch.start.saturating_sub(self.span.start)) } else { 0 };
        let mut after = if parts { samples(self.span.end.saturating_sub(stretch.end)) } else { 0 };
        let headers = |before: usize, after: usize| HEADER_OCTETS * (usize::from(before > 0) + usize::from(after > 0));
        // Each part needs a header of its own, which takes the room of what is taken out.
        if before + after + headers(before, after) > self.octets {
            (before, after) = (0, 0);
        }
        let gap = self.octets - before - after - headers(before, after);
        let mut payload = vec![0; self.octets];
        file.read_exact_at(&mut payload, self.offset + HEADER_OCTETS as u64)?;
        let us = |octets: usize| u32::try_from(octets as u64 * SAMPLE_US).unwrap_or(u32::MAX);
        let (from, to) = (self.span.start, self.span.end);
        let (gap_from, gap_to) = (from + u64::from(us(before)), to - u64::from(us(after)));
        let mut out = Vec::with_capacity(HEADER_OCTETS + self.octets);
        if before > 0 {
            track::encode_audio(&mut out, head, self.codec, from, us(before), &payload[..before]);
        }
        let gap_us = u32::try_from(gap_to - gap_from).unwrap_or(u32::MAX);
        track::encode_redacted(&mut out, head, self.codec, gap_from, gap_us, gap.min(PAYLOAD_MAX));
        if after > 0 {
            track::encode_audio(&mut out, head, self.codec, gap_to, us(after), &payload[self.octets - after..]);
        }
        debug_assert_eq!(out.len(), HEADER_OCTETS + self.octets, "what follows in the file stays where it is");
        file.write_all_at(&out, self.offset)
    }
}

/// Zeroes the octets that are no whole block, where the hole that they leave touches a stretch; returns how many runs.
fn wipe_damage(file: &File, index: &TrackIndex, stretches: &[Range<u64>]) -> io::Result<usize> {
    let end = file.metadata()?.len();
    let touched = |from: u64, to: u64| stretches.iter().any(|s| s.start < to && from < s.end);
    let (mut runs, mut offset, mut time) = (0, 0, index.head.axis_us);
    for piece in &index.pieces {
        if let Content::Audio { offset: payload, octets, .. } = piece.content {
            if touched(time, piece.start_us) {
                runs += wipe_between(file, offset..payload - HEADER_OCTETS as u64)?;
            }
            (offset, time) = (payload + octets as u64, piece.end_us);
        }
    }
    if touched(time, u64::MAX) {
        runs += wipe_between(file, offset..end)?;
    }
    Ok(runs)
}

/// Zeroes what is no whole block in a range of the file.
fn wipe_between(file: &File, range: Range<u64>) -> io::Result<usize> {
    let length = usize::try_from((range.end - range.start).min(DAMAGE_MAX)).unwrap_or(0);
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, range.start)?;
    let (mut at, mut runs) = (0, 0);
    while at < octets.len() {
        match track::decode(&octets[at..]) {
            Decoded::Block(_, length) => at += length,
            Decoded::Needs(_) | Decoded::Damaged => {
                let next = (at + 1..octets.len()).find(|n| matches!(track::decode(&octets[*n..]), Decoded::Block(..)));
                let until = next.unwrap_or(octets.len());
                file.write_all_at(&vec![0; until - at], range.start + at as u64)?;
                (at, runs) = (until, runs + 1);
            }
        }
    }
    Ok(runs)
}
