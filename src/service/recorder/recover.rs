//! After a kill: finds the tracks that have no closing block, closes them, and tells what they hold.
//!
//! Only the marks of unclosed tracks are looked at, so the time it takes depends on the calls that were open, not on
//! the recordings there are.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    index::{TrackError, TrackIndex},
    paths, peaks,
    render::milliseconds,
    storage::append,
    track::{self, CloseReason, Closing},
};
use crate::{domain::media::tap::TapOpen, ids::RecordingId};

/// What a start finds.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Tracks that were cut short, now closed.
    pub tracks: Vec<RecoveredTrack>,
    /// Tracks that could not be read or closed; they are tried again at the next start.
    pub failed: Vec<FailedTrack>,
}

/// A track that was cut short.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredTrack {
    /// Track, interaction, leg, party, codec, wall time of the axis' zero, and where it begins.
    pub head: TapOpen,
    /// Where it ends on the call's axis.
    pub end_ms: u32,
    /// Lost by the network, or not written.
    pub lost_ms: u32,
    /// Not kept on purpose.
    pub paused_ms: u32,
}

/// A track that could not be recovered.
#[derive(Debug)]
pub struct FailedTrack {
    /// Its id.
    pub recording: RecordingId,
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub error: TrackError,
}

/// Closes what a kill left open. Nothing else may use the folder meanwhile.
///
/// # Errors
/// The folder of marks exists and cannot be read.
pub fn recover(root: &Path) -> io::Result<Recovery> {
    let marks = match fs::read_dir(paths::unclosed(root)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recovery::default()),
        other => other?,
    };
    let mut recovery = Recovery::default();
    for mark in marks {
        let mark = mark?;
        let Some((interaction, recording)) = mark.file_name().to_str().and_then(paths::read_mark) else { continue };
        let path = paths::track(root, interaction, recording);
        match close(&path) {
            Ok(found) => recovery.tracks.extend(found),
            Err(error) => {
                recovery.failed.push(FailedTrack { recording, path, error });
                continue;
            }
        }
        fs::remove_file(mark.path())?;
    }
    recovery.tracks.sort_by_key(|track| track.head.recording);
    Ok(recovery)
}

/// Appends the closing block, unless it is there and only the mark was left: its end may not have reached the record.
/// `None` when nothing was ever written.
fn close(path: &Path) -> Result<Option<RecoveredTrack>, TrackError> {
    let index = match TrackIndex::load(path) {
        Err(TrackError::NoHead) => return Ok(None),
        Err(TrackError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let totals = index.totals();
    if index.closing.is_none() {
        let mut octets = Vec::new();
        track::encode_close(&mut octets, &index.head, index.end_us, &Closing { reason: CloseReason::Crash, totals });
        append(path)?.write_all(&octets)?;
    }
    // Made anew when somebody looks, should it not work now.
    let _ = peaks::write(path);
    Ok(Some(RecoveredTrack {
        end_ms: milliseconds(index.end_us),
        lost_ms: milliseconds(totals.lost_us + totals.unwritten_us),
        paused_ms: milliseconds(totals.paused_us),
        head: index.head,
    }))
}
