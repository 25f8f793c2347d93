//! Where a call's tracks hold no audio, for the player: losses, pauses and redactions by side, on the call's axis.

use std::path::PathBuf;

use super::{
    index::{Content, TrackError, TrackIndex},
    render::milliseconds,
    track::GapKind,
};
use crate::ids::Party;

/// A stretch of one side without its own audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyGap {
    /// Whose.
    pub party: Party,
    /// Why.
    pub kind: GapKind,
    /// On the call's axis, milliseconds.
    pub from_ms: u32,
    /// On the call's axis, milliseconds.
    pub to_ms: u32,
}

/// The gaps of a call's tracks by time, touching ones as one; of more than `most` the longest. Silence of the peer's own
/// (suppression) is no gap.
///
/// # Errors
/// A track cannot be read.
pub fn of_call(tracks: &[PathBuf], most: usize) -> Result<Vec<PartyGap>, TrackError> {
    let mut gaps = Vec::new();
    for path in tracks {
        match TrackIndex::load(path) {
            Ok(index) => gaps.extend(of_track(&index)),
            Err(TrackError::NoHead) => {}
            Err(error) => return Err(error),
        }
    }
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.to_ms - gap.from_ms));
    gaps.truncate(most);
    gaps.sort_by_key(|gap| gap.from_ms);
    Ok(gaps)
}

fn of_track(index: &TrackIndex) -> Vec<PartyGap> {
    let mut gaps: Vec<(PartyGap, u64)> = Vec::new();
    for piece in &index.pieces {
        let Content::Gap(kind @ (GapKind::Lost | GapKind::Paused | GapKind::Redacted | GapKind::Unwritten)) = piece.content else {
            continue;
        };
        let to_ms = milliseconds(piece.end_us);
        match gaps.last_mut() {
            Some((last, end_us)) if last.kind == kind && *end_us == piece.start_us => {
                (last.to_ms, *end_us) = (to_ms, piece.end_us);
            }
            Some(_) | None => {
                let gap = PartyGap { party: index.head.party, kind, from_ms: milliseconds(piece.start_us), to_ms };
                gaps.push((gap, piece.end_us));
            }
        }
    }
    gaps.into_iter().map(|(gap, _)| gap).collect()
}
