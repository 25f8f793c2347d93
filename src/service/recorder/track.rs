//! A track on disk: blocks that are only ever appended.
//!
//! ```text
//! magic 4 │ version 1 │ kind 1 │ codec 1 │ flags 1 │ interaction 16 │ leg 16 │ axis start 8 │ duration 4 │ length 4 │ CRC32C 4 │ payload
//! head · audio ≤ 200 ms · lost · audio · silence · … · head again · close
//! ```
//! Little endian; times in microseconds on the call's axis. Blocks touch: where one begins later than the one before
//! ended, audio was not written or is damaged. A reader passes over what fails its CRC; a torn tail is ignored.

use uuid::Uuid;

use crate::{
    domain::media::{plan::Codec, tap::TapOpen},
    ids::{InteractionId, LegId, Party, RecordingId},
    time::UnixMs,
};

/// Begins each block.
pub const MAGIC: [u8; 4] = *b"TLTK";
/// Version of the format.
pub const VERSION: u8 = 1;
/// Octets before the payload.
pub const HEADER_OCTETS: usize = 60;
/// Octets of a closing block: the reason and six sums.
pub const CLOSE_OCTETS: usize = HEADER_OCTETS + CLOSE_PAYLOAD;
const CLOSE_PAYLOAD: usize = 1 + 6 * 8;
const HEAD_PAYLOAD: usize = 16 + 1 + 8 + 8;
/// Longest payload: 200 ms at 8 kHz is 1,600; room for codecs to come.
pub const PAYLOAD_MAX: usize = 4096;
/// Audio in one block, microseconds: what a kill may lose.
pub const BLOCK_US: u64 = 200_000;
/// Longest marked gap in one block; a longer one takes several.
pub const GAP_BLOCK_US: u64 = 60_000_000;
/// Longest axis that is read: what fits into the 32 bits of a WAV file.
pub const MAX_AXIS_US: u64 = 36 * 3_600 * 1_000_000;

/// One block, its payload left where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The call.
    pub interaction: InteractionId,
    /// The leg.
    pub leg: LegId,
    /// On the call's axis, microseconds.
    pub axis_start_us: u64,
    /// Microseconds.
    pub duration_us: u32,
    /// What it is.
    pub kind: BlockKind,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// Whose track it is; the first block, and again before the last.
    Head(TapOpen),
    /// Payload as received, of so many octets.
    Audio {
        /// Its codec.
        codec: Codec,
        /// Octets.
        octets: usize,
    },
    /// A marked gap.
    Gap(GapKind),
    /// The track is complete.
    Close(Closing),
}

/// Why there is no audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// The network lost it.
    Lost,
    /// The peer sent nothing.
    Silence,
    /// Not kept on purpose.
    Paused,
    /// Overwritten: somebody said a number that must not be kept. The block keeps its length, filled with zeroes.
    Redacted,
    /// It came, but could not be written, or is damaged on disk. Never a block of its own: a hole between blocks.
    Unwritten,
}

/// The last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Why it ended.
    pub reason: CloseReason,
    /// Where the time went.
    pub totals: TrackTotals,
}

/// Why a track ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The leg ended.
    Ended,
    /// The process shut down.
    Shutdown,
    /// The process died; closed at the next start.
    Crash,
}

/// Where a track's time went, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackTotals {
    /// Sound.
    pub audio_us: u64,
    /// Lost by the network.
    pub lost_us: u64,
    /// The peer sent nothing.
    pub silence_us: u64,
    /// Not kept on purpose.
    pub paused_us: u64,
    /// Could not be written, or is damaged.
    pub unwritten_us: u64,
    /// Frames that found the tap full; inside `lost_us`.
    pub tap_dropped: u64,
}

impl TrackTotals {
    /// Adds the same sums of another stretch.
    pub fn add(&mut self, other: &Self) {
        self.audio_us += other.audio_us;
        self.lost_us += other.lost_us;
        self.silence_us += other.silence_us;
        self.paused_us += other.paused_us;
        self.unwritten_us += other.unwritten_us;
        self.tap_dropped += other.tap_dropped;
    }

    /// Counts `us` as `kind`.
    pub fn add_gap(&mut self, kind: GapKind, us: u64) {
        match kind {
            GapKind::Lost => self.lost_us += us,
            GapKind::Silence => self.silence_us += us,
            GapKind::Paused | GapKind::Redacted => self.paused_us += us,
            GapKind::Unwritten => self.unwritten_us += us,
        }
    }
}

/// What stands at the front of some octets.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    /// A block of so many octets.
    Block(Block, usize),
    /// The beginning of what may be a block of so many octets.
    Needs(usize),
    /// No block.
    Damaged,
}

/// Appends a head block.
pub fn encode_head(out: &mut Vec<u8>, head: &TapOpen, axis_us: u64) {
    let mut payload = [0; HEAD_PAYLOAD];
    payload[..16].copy_from_slice(head.recording.0.as_bytes());
    payload[16] = match head.party {
        Party::Customer => 0,
        Party::Agent => 1,
    };
    payload[17..25].copy_from_slice(&head.axis_start_wall.0.to_le_bytes());
    payload[25..].copy_from_slice(&head.axis_us.to_le_bytes());
    encode(out, head, [0, codec_octet(head.codec)], axis_us, 0, &payload);
}

/// Appends an audio block; `payload` is at most [`PAYLOAD_MAX`] long.
pub fn encode_audio(out: &mut Vec<u8>, head: &TapOpen, codec: Codec, axis_us: u64, duration_us: u32, payload: &[u8]) {
    encode(out, head, [1, codec_octet(codec)], axis_us, duration_us, payload);
}

/// Makes an audio block of its own payload: `block` begins with [`HEADER_OCTETS`] octets that are written over.
pub fn complete_audio(block: &mut [u8], head: &TapOpen, codec: Codec, axis_us: u64, duration_us: u32) {
    let Some((room, payload)) = block.split_first_chunk_mut::<HEADER_OCTETS>() else { return };
    *room = header(head, [1, codec_octet(codec)], axis_us, duration_us, payload);
}

/// Appends a marked gap, in as many blocks as it takes. [`GapKind::Unwritten`] is a hole and writes nothing.
pub fn encode_gap(out: &mut Vec<u8>, head: &TapOpen, kind: GapKind, mut axis_us: u64, mut duration_us: u64) {
    let kind = match kind {
        GapKind::Lost => 2,
        GapKind::Silence => 3,
        GapKind::Paused => 4,
        GapKind::Redacted => 6,
        GapKind::Unwritten => return,
    };
    while duration_us > 0 {
        let part = duration_us.min(GAP_BLOCK_US);
        encode(out, head, [kind, codec_octet(head.codec)], axis_us, u32::try_from(part).unwrap_or(u32::MAX), &[]);
        axis_us += part;
        duration_us -= part;
    }
}

/// Appends a gap that takes the place of audio: `octets` zeroes stand where payload was, at most [`PAYLOAD_MAX`].
pub fn encode_redacted(out: &mut Vec<u8>, head: &TapOpen, codec: Codec, axis_us: u64, duration_us: u32, octets: usize) {
    encode(out, head, [6, codec_octet(codec)], axis_us, duration_us, &vec![0; octets]);
}

/// Appends the head once more and the closing block.
pub fn encode_close(out: &mut Vec<u8>, head: &TapOpen, axis_us: u64, closing: &Closing) {
    encode_head(out, head, axis_us);
    let totals = &closing.totals;
    let reason = match closing.reason {
        CloseReason::Ended => 0,
        CloseReason::Shutdown => 1,
        CloseReason::Crash => 2,
    };
    let sums = [totals.audio_us, totals.lost_us, totals.silence_us, totals.paused_us, totals.unwritten_us, totals.tap_dropped];
    let mut payload = vec![reason];
    payload.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
    encode(out, head, [5, codec_octet(head.codec)], axis_us, 0, &payload);
}

fn encode(out: &mut Vec<u8>, head: &TapOpen, [kind, codec]: [u8; 2], axis_us: u64, duration_us: u32, payload: &[u8]) {
    out.extend_from_slice(&header(head, [kind, codec], axis_us, duration_us, payload));
    out.extend_from_slice(payload);
}

fn header(head: &TapOpen, [kind, codec]: [u8; 2], axis_us: u64, duration_us: u32, payload: &[u8]) -> [u8; HEADER_OCTETS] {
    debug_assert!(payload.len() <= PAYLOAD_MAX, "a block's payload is bounded by its caller");
    let mut header = [0; HEADER_OCTETS];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&[VERSION, kind, codec, 0]);
    header[8..24].copy_from_slice(head.interaction.0.as_bytes());
    header[24..40].copy_from_slice(head.leg.0.as_bytes());
    header[40..48].copy_from_slice(&axis_us.to_le_bytes());
    header[48..52].copy_from_slice(&duration_us.to_le_bytes());
    header[52..56].copy_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..56]), payload);
    header[56..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads the block at the front of `octets`.
pub fn decode(octets: &[u8]) -> Decoded {
    let magic = MAGIC.len().min(octets.len());
    if octets[..magic] != MAGIC[..magic] {
        return Decoded::Damaged;
    }
    let Some((header, rest)) = octets.split_at_checked(HEADER_OCTETS) else { return Decoded::Needs(HEADER_OCTETS) };
    let length = usize::try_from(u32_at(header, 52)).unwrap_or(usize::MAX);
    if length > PAYLOAD_MAX {
        return Decoded::Damaged;
    }
    let Some(payload) = rest.get(..length) else { return Decoded::Needs(HEADER_OCTETS + length) };
    if crc32c::crc32c_append(crc32c::crc32c(&header[..56]), payload) != u32_at(header, 56) {
        return Decoded::Damaged;
    }
    read_block(header, payload).map_or(Decoded::Damaged, |block| Decoded::Block(block, HEADER_OCTETS + length))
}

/// A block whose CRC is right; `None` when it is of a version or kind that is not known here.
fn read_block(header: &[u8], payload: &[u8]) -> Option<Block> {
    let (interaction, leg) = (InteractionId(uuid_at(header, 8)?), LegId(uuid_at(header, 24)?));
    let axis_start_us = u64_at(header, 40);
    let codec = match header[6] {
        0 => Codec::Pcmu,
        8 => Codec::Pcma,
        _ => return None,
    };
    if header[4] != VERSION || header[7] != 0 || axis_start_us > MAX_AXIS_US {
        return None;
    }
    let kind = match header[5] {
        0 if payload.len() == HEAD_PAYLOAD => BlockKind::Head(TapOpen {
            recording: RecordingId(uuid_at(payload, 0)?),
            interaction,
            leg,
            party: if payload[16] == 0 { Party::Customer } else { Party::Agent },
            codec,
            axis_start_wall: UnixMs(u64_at(payload, 17).cast_signed()),
            axis_us: u64_at(payload, 25),
        }),
        1 => BlockKind::Audio { codec, octets: payload.len() },
        2 => BlockKind::Gap(GapKind::Lost),
        3 => BlockKind::Gap(GapKind::Silence),
        4 => BlockKind::Gap(GapKind::Paused),
        6 => BlockKind::Gap(GapKind::Redacted),
        5 if payload.len() == CLOSE_PAYLOAD => BlockKind::Close(read_closing(payload)),
        _ => return None,
    };
    Some(Block { interaction, leg, axis_start_us, duration_us: u32_at(header, 48), kind })
}

fn read_closing(payload: &[u8]) -> Closing {
    let sum = |index: usize| u64_at(payload, 1 + index * 8);
    let reason = match payload[0] {
        0 => CloseReason::Ended,
        1 => CloseReason::Shutdown,
        _ => CloseReason::Crash,
    };
    let totals =
        TrackTotals { audio_us: sum(0), lost_us: sum(1), silence_us: sum(2), paused_us: sum(3), unwritten_us: sum(4), tap_dropped: sum(5) };
    Closing { reason, totals }
}

/// The number under which RTP knows the codec (RFC 3551).
fn codec_octet(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    }
}

fn uuid_at(octets: &[u8], at: usize) -> Option<Uuid> {
    Uuid::from_slice(octets.get(at..at + 16)?).ok()
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(octets: &[u8], at: usize) -> u64 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
