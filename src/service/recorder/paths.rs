//! Where tracks lie: named by ids alone, the day taken from the interaction's id.
//!
//! ```text
//! recordings/2026/03/21/<interaction>/<recording>.track + .peaks
//! recordings/unclosed/<interaction>_<recording>     an empty file for each track without its closing block
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use time::OffsetDateTime;

use crate::ids::{InteractionId, RecordingId};

/// Folder of an interaction's tracks.
pub fn folder(root: &Path, interaction: InteractionId) -> PathBuf {
    let seconds = interaction.made_at().0 / 1_000;
    let day = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    root.join(format!("{:04}/{:02}/{:02}/{interaction}", day.year(), u8::from(day.month()), day.day()))
}

/// File of one track.
pub fn track(root: &Path, interaction: InteractionId, recording: RecordingId) -> PathBuf {
    folder(root, interaction).join(format!("{recording}.track"))
}

/// The tracks of an interaction, oldest first; none when nothing was recorded.
///
/// # Errors
/// The folder exists and cannot be read.
pub fn tracks_of(root: &Path, interaction: InteractionId) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder(root, interaction)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "track"));
    paths.sort();
    Ok(paths)
}

/// Folder of the marks of unclosed tracks.
pub(super) fn unclosed(root: &Path) -> PathBuf {
    root.join("unclosed")
}

/// Mark of an unclosed track.
pub(super) fn mark(root: &Path, interaction: InteractionId, recording: RecordingId) -> PathBuf {
    unclosed(root).join(format!("{interaction}_{recording}"))
}

/// Reads a mark's name.
pub(super) fn read_mark(name: &str) -> Option<(InteractionId, RecordingId)> {
    let (interaction, recording) = name.split_once('_')?;
    Some((interaction.parse().ok()?, recording.parse().ok()?))
}
