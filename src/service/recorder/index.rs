//! Reads a track from end to end: what lies where on the axis and where in the file, holes and damage included.
//!
//! The reader streams with a bounded buffer. After damage it goes on at the next block that is whole and of the same
//! leg; what is missing between two blocks is a gap of kind *unwritten*.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::track::{self, BlockKind, Closing, Decoded, GapKind, HEADER_OCTETS, MAGIC, TrackTotals};
use crate::domain::media::{plan::Codec, tap::TapOpen, time_axis::SAMPLE_US};

/// How much is read at once.
const READ_OCTETS: usize = 64 * 1024;
/// Most pieces of one track: 36 hours of 20 ms pieces.
const MAX_PIECES: usize = 6_480_000;

/// Why a track cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// The file cannot be read.
    #[error("the track cannot be read: {0}")]
    Io(#[from] io::Error),
    /// No head block in it: nothing was written yet, or it is no track.
    #[error("the file holds no track: it has no whole head block")]
    NoHead,
}

/// A track's content.
#[derive(Debug, PartialEq)]
pub struct TrackIndex {
    /// Whose it is.
    pub head: TapOpen,
    /// What it holds, by time, touching.
    pub pieces: Vec<Piece>,
    /// Where it ends on the call's axis, microseconds.
    pub end_us: u64,
    /// Its closing block; `None` while it is written, or after a kill.
    pub closing: Option<Closing>,
    /// Octets before its last whole block that were passed over.
    pub damaged_octets: u64,
    /// Octets after its last whole block.
    pub torn_octets: u64,
}

/// A piece of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// On the call's axis, microseconds.
    pub start_us: u64,
    /// On the call's axis, microseconds.
    pub end_us: u64,
    /// What is there.
    pub content: Content,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Payload in the file.
    Audio {
        /// Its codec.
        codec: Codec,
        /// Where in the file.
        offset: u64,
        /// How many octets.
        octets: usize,
    },
    /// Nothing, and why.
    Gap(GapKind),
}

impl TrackIndex {
    /// Reads the track in a file.
    ///
    /// # Errors
    /// The file cannot be read or holds no track.
    pub fn load(path: &Path) -> Result<Self, TrackError> {
        Self::read(File::open(path)?)
    }

    /// Reads a track from its octets.
    ///
    /// # Errors
    /// The source fails, or holds no track.
    pub fn read(source: impl Read) -> Result<Self, TrackError> {
        let mut reader = Reader::new(source);
        let (mut head, mut owner): (Option<TapOpen>, _) = (None, None);
        let (mut pieces, mut end_us, mut closing, mut damaged_octets) = (Vec::new(), None, None, 0);
        while let Some((block, offset)) = reader.next()? {
            if *owner.get_or_insert((block.interaction, block.leg)) != (block.interaction, block.leg) || pieces.len() >= MAX_PIECES {
                continue;
            }
            damaged_octets += std::mem::take(&mut reader.skipped);
            let content = match block.kind {
                BlockKind::Head(read) => {
                    // A leg begins at any microsecond, its first block on the sample before.
                    end_us.get_or_insert(read.axis_us - read.axis_us % SAMPLE_US);
                    head.get_or_insert(read);
                    continue;
                }
                BlockKind::Audio { codec, octets } => Some(Content::Audio { codec, offset: offset + HEADER_OCTETS as u64, octets }),
                BlockKind::Gap(kind) => Some(Content::Gap(kind)),
                BlockKind::Close(read) => {
                    closing = Some(read);
                    None
                }
            };
            let end = end_us.get_or_insert(block.axis_start_us);
            if block.axis_start_us > *end {
                pieces.push(Piece { start_us: *end, end_us: block.axis_start_us, content: Content::Gap(GapKind::Unwritten) });
                *end = block.axis_start_us;
            }
            if let Some(content) = content.filter(|_| block.axis_start_us == *end) {
                *end += u64::from(block.duration_us);
                pieces.push(Piece { start_us: block.axis_start_us, end_us: *end, content });
            }
        }
        let head = head.ok_or(TrackError::NoHead)?;
        let end_us = end_us.unwrap_or(head.axis_us);
        if let Some(first) = pieces.first().filter(|first| first.start_us > head.axis_us) {
            // Only the head's copy at the end was whole.
            let missing = Piece { start_us: head.axis_us, end_us: first.start_us, content: Content::Gap(GapKind::Unwritten) };
            pieces.insert(0, missing);
        }
        Ok(Self { head, pieces, end_us, closing, damaged_octets, torn_octets: reader.skipped })
    }

    /// Where its time went, summed anew from what is there.
    pub fn totals(&self) -> TrackTotals {
        let mut totals = TrackTotals { tap_dropped: self.closing.map_or(0, |closing| closing.totals.tap_dropped), ..Default::default() };
        for piece in &self.pieces {
            let us = piece.end_us - piece.start_us;
            match piece.content {
                Content::Audio { .. } => totals.audio_us += us,
                Content::Gap(kind) => totals.add_gap(kind, us),
            }
        }
        totals
    }

    /// The pieces that touch `from_us .. to_us`.
    pub fn pieces_in(&self, from_us: u64, to_us: u64) -> &[Piece] {
        let first = self.pieces.partition_point(|piece| piece.end_us <= from_us);
        let last = self.pieces.partition_point(|piece| piece.start_us < to_us);
        self.pieces.get(first..last.max(first)).unwrap_or(&[])
    }
}

/// Whose track a file holds; reads no further than its first head block.
///
/// # Errors
/// The file cannot be read or holds no track.
pub fn read_head(path: &Path) -> Result<TapOpen, TrackError> {
    let mut reader = Reader::new(File::open(path)?);
    while let Some((block, _)) = reader.next()? {
        if let BlockKind::Head(head) = block.kind {
            return Ok(head);
        }
    }
    Err(TrackError::NoHead)
}

/// Whether a track ends with its closing block; reads the file's end only.
///
/// # Errors
/// The file cannot be read.
pub fn is_closed(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let tail = i64::try_from(track::CLOSE_OCTETS).unwrap_or(0);
    if file.metadata()?.len() < track::CLOSE_OCTETS as u64 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-tail))?;
    let mut octets = [0; track::CLOSE_OCTETS];
    file.read_exact(&mut octets)?;
    Ok(matches!(track::decode(&octets), Decoded::Block(track::Block { kind: BlockKind::Close(_), .. }, track::CLOSE_OCTETS)))
}

/// Blocks out of a stream.
struct Reader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Octets of `buffer` that are done with.
    at: usize,
    /// Place in the source of `buffer[at]`.
    offset: u64,
    ended: bool,
    /// Octets passed over since the last whole block.
    skipped: u64,
}

impl<R: Read> Reader<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), at: 0, offset: 0, ended: false, skipped: 0 }
    }

    /// The next whole block and its place.
    fn next(&mut self) -> io::Result<Option<(track::Block, u64)>> {
        loop {
            let rest = &self.buffer[self.at..];
            match track::decode(rest) {
                Decoded::Block(block, octets) => {
                    let offset = self.offset;
                    self.advance(octets);
                    return Ok(Some((block, offset)));
                }
                Decoded::Needs(_) if !self.ended => self.fill()?,
                Decoded::Needs(_) | Decoded::Damaged if rest.is_empty() => return Ok(None),
                Decoded::Needs(_) | Decoded::Damaged => {
                    // Without a further magic its first octets may still stand at the very end.
                    let found = memchr::memmem::find(&rest[1..], &MAGIC).map(|at| at + 1);
                    let skip = found.unwrap_or(if self.ended { rest.len() } else { rest.len().saturating_sub(MAGIC.len() - 1).max(1) });
                    self.skipped += skip as u64;
                    self.advance(skip);
                }
            }
        }
    }

    fn advance(&mut self, octets: usize) {
        self.at += octets;
        self.offset += octets as u64;
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let have = self.buffer.len();
        self.buffer.resize(have + READ_OCTETS, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[have..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }
}
