//! Tracks as sound: a stereo WAV of the whole call, read by byte ranges, and one track as samples.
//!
//! ```text
//! customer's tracks ─ decode, place on the axis ─▶ left  ┐
//! agents' tracks    ─ decode, place on the axis ─▶ right ┘ 16 bit, 8 kHz; time 0 of the file is time 0 of the call
//! ```
//! The length follows from the axis alone, so a range is rendered without what lies before it.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    index::{Content, Piece, TrackError, TrackIndex},
    track::{GapKind, MAX_AXIS_US},
};
use crate::{
    domain::media::{plan::Codec, tap::TapOpen, time_axis::SAMPLE_US},
    ids::Party,
    protocol::audio::g711,
};

/// Samples a second, each channel.
pub const RATE_HZ: u32 = 8_000;
/// Octets before the samples of a WAV file.
pub const WAV_HEADER_OCTETS: u64 = 44;
/// Longest range that one read renders; a longer one is read in steps.
pub const MAX_RANGE_OCTETS: usize = 1024 * 1024;
/// Octets of one sample of both channels.
const FRAME_OCTETS: u64 = 4;

/// A call as a stereo WAV file that is rendered where it is read.
#[derive(Debug)]
pub struct Rendering {
    tracks: Vec<TrackAudio>,
    frames: u64,
}

/// One track, read where it is needed.
#[derive(Debug)]
pub(super) struct TrackAudio {
    pub(super) index: TrackIndex,
    file: File,
}

impl Rendering {
    /// Opens the tracks of one call. A file without a whole head block (killed in its first moments) counts as empty.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn open(tracks: &[PathBuf]) -> Result<Self, TrackError> {
        let mut sources = Vec::with_capacity(tracks.len());
        for path in tracks {
            match TrackAudio::open(path) {
                Ok(source) => sources.push(source),
                Err(TrackError::NoHead) => {}
                Err(error) => return Err(error),
            }
        }
        let end_us = sources.iter().map(|source| source.index.end_us).max().unwrap_or(0);
        Ok(Self { tracks: sources, frames: end_us.min(MAX_AXIS_US) / SAMPLE_US })
    }

    /// Octets of the whole file.
    #[expect(clippy::len_without_is_empty, reason = "a WAV file has a header and is never empty")]
    pub fn len(&self) -> u64 {
        WAV_HEADER_OCTETS + self.frames * FRAME_OCTETS
    }

    /// How long it plays, milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.frames * 1_000 / u64::from(RATE_HZ)
    }

    /// The octets from `offset` on: `len` of them, fewer at the end of the file, at most [`MAX_RANGE_OCTETS`].
    ///
    /// # Errors
    /// A track cannot be read.
    pub fn read_range(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let end = self.len().min(offset.saturating_add(len.min(MAX_RANGE_OCTETS) as u64));
        let mut out = Vec::new();
        if offset >= end {
            return Ok(out);
        }
        if offset < WAV_HEADER_OCTETS {
            let header = wav_header(self.frames * FRAME_OCTETS);
            out.extend_from_slice(&header[usize_of(offset)..usize_of(end.min(WAV_HEADER_OCTETS))]);
        }
        if end > WAV_HEADER_OCTETS {
            let from = offset.max(WAV_HEADER_OCTETS) - WAV_HEADER_OCTETS;
            let first = from / FRAME_OCTETS;
            let last = (end - WAV_HEADER_OCTETS).div_ceil(FRAME_OCTETS);
            let octets: Vec<u8> = self.stereo(first, last)?.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
            let skip = usize_of(from - first * FRAME_OCTETS);
            out.extend_from_slice(&octets[skip..skip + usize_of(end - WAV_HEADER_OCTETS - from)]);
        }
        Ok(out)
    }

    /// Writes the whole file; returns its octets. It appears under its name when it is complete.
    ///
    /// # Errors
    /// A track cannot be read or the file not be written.
    pub fn export(&self, path: &Path) -> io::Result<u64> {
        let unfinished = path.with_extension("wav.part");
        let mut file = File::create(&unfinished)?;
        let mut offset = 0;
        while offset < self.len() {
            let part = self.read_range(offset, MAX_RANGE_OCTETS)?;
            file.write_all(&part)?;
            offset += part.len() as u64;
        }
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        Ok(offset)
    }

    /// Samples `first .. last` of both channels; several tracks of one side are mixed.
    fn stereo(&self, first: u64, last: u64) -> io::Result<Vec<[i16; 2]>> {
        let mut frames = vec![[0i16; 2]; usize_of(last - first)];
        for source in &self.tracks {
            let channel = match source.index.head.party {
                Party::Customer => 0,
                Party::Agent => 1,
            };
            source.decode(first, last, |at, sample| {
                frames[at][channel] = frames[at][channel].saturating_add(sample);
            })?;
        }
        Ok(frames)
    }
}

impl TrackAudio {
    pub(super) fn open(path: &Path) -> Result<Self, TrackError> {
        Ok(Self { index: TrackIndex::load(path)?, file: File::open(path)? })
    }

    /// First and last sample of the track, on the axis.
    pub(super) fn span(&self) -> (u64, u64) {
        let start = self.index.head.axis_us.min(MAX_AXIS_US) / SAMPLE_US;
        (start, (self.index.end_us.min(MAX_AXIS_US) / SAMPLE_US).max(start))
    }

    /// Hands out the samples that lie in `first .. last` of the axis, each with its place counted from `first`.
    pub(super) fn decode(&self, first: u64, last: u64, mut put: impl FnMut(usize, i16)) -> io::Result<()> {
        let mut octets = Vec::new();
        for piece in self.index.pieces_in(first * SAMPLE_US, last * SAMPLE_US) {
            let Some((codec, offset, length)) = audio_of(piece) else { continue };
            let start = piece.start_us / SAMPLE_US;
            let skip = first.saturating_sub(start);
            let end = (start + length).min(last);
            let Some(count) = end.checked_sub(start + skip).filter(|count| *count > 0) else { continue };
            octets.resize(usize_of(count), 0);
            self.file.read_exact_at(&mut octets, offset + skip)?;
            let at = usize_of(start + skip - first);
            for (n, octet) in octets.iter().enumerate() {
                put(at + n, linear(codec, *octet));
            }
        }
        Ok(())
    }
}

/// Codec, place in the file, samples; `None` for a gap. For G.711 an octet is a sample.
fn audio_of(piece: &Piece) -> Option<(Codec, u64, u64)> {
    match piece.content {
        Content::Audio { codec, offset, octets } => Some((codec, offset, (octets as u64).min((piece.end_us - piece.start_us) / SAMPLE_US))),
        Content::Gap(_) => None,
    }
}

fn linear(codec: Codec, octet: u8) -> i16 {
    match codec {
        Codec::Pcmu => g711::ulaw_to_linear(octet),
        Codec::Pcma => g711::alaw_to_linear(octet),
    }
}

/// One track as samples at 8 kHz, gaps filled with zeroes.
#[derive(Debug, PartialEq)]
pub struct MonoTrack {
    /// Whose it is.
    pub head: TapOpen,
    /// Where `samples` begin on the call's axis, microseconds.
    pub start_us: u64,
    /// Samples at [`RATE_HZ`].
    pub samples: Vec<i16>,
    /// Where there is no audio, by time.
    pub gaps: Vec<Gap>,
}

/// A stretch without audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
    /// Why.
    pub kind: GapKind,
    /// The same stretch in samples of [`MonoTrack::samples`], exact.
    pub samples: (u32, u32),
}

/// Decodes one track whole.
///
/// # Errors
/// The file cannot be read or holds no track.
pub fn mono_track(path: &Path) -> Result<MonoTrack, TrackError> {
    let source = TrackAudio::open(path)?;
    let (start, end) = source.span();
    let mut samples = vec![0; usize_of(end - start)];
    source.decode(start, end, |at, sample| samples[at] = sample)?;
    let mut gaps: Vec<Gap> = Vec::new();
    for piece in &source.index.pieces {
        let Content::Gap(kind) = piece.content else { continue };
        let place = |us: u64| u32::try_from((us / SAMPLE_US).saturating_sub(start)).unwrap_or(u32::MAX);
        let gap = Gap {
            from_ms: milliseconds(piece.start_us),
            to_ms: milliseconds(piece.end_us),
            kind,
            samples: (place(piece.start_us), place(piece.end_us)),
        };
        match gaps.last_mut() {
            Some(last) if last.kind == kind && last.samples.1 == gap.samples.0 => {
                last.to_ms = gap.to_ms;
                last.samples.1 = gap.samples.1;
            }
            Some(_) | None => gaps.push(gap),
        }
    }
    Ok(MonoTrack { head: source.index.head, start_us: start * SAMPLE_US, samples, gaps })
}

/// Microseconds as milliseconds, capped.
pub(super) fn milliseconds(us: u64) -> u32 {
    u32::try_from(us / 1_000).unwrap_or(u32::MAX)
}

/// RIFF, `fmt `, `data` for so many octets of 16-bit stereo samples.
fn wav_header(data_octets: u64) -> [u8; 44] {
    let data = u32::try_from(data_octets).unwrap_or(u32::MAX - 36);
    let mut header = [0; 44];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(data + 36).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&1u16.to_le_bytes());
    header[22..24].copy_from_slice(&2u16.to_le_bytes());
    header[24..28].copy_from_slice(&RATE_HZ.to_le_bytes());
    header[28..32].copy_from_slice(&(RATE_HZ * 4).to_le_bytes());
    header[32..34].copy_from_slice(&4u16.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..].copy_from_slice(&data.to_le_bytes());
    header
}

/// Values here are bounded by [`MAX_AXIS_US`] in samples or by [`MAX_RANGE_OCTETS`].
fn usize_of(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
