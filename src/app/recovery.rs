//! After a crash: tracks are closed on disk first, then calls in the record.

use std::path::Path;

use super::{AppError, io_error};
use crate::service::{
    clock,
    recorder::recover::recover,
    store::{RecoveredTrack, Store},
};

/// Closes what the last process left open.
pub(super) async fn close_crashed(store: &Store, recordings: &Path) -> Result<(), AppError> {
    let found = recover(recordings).map_err(io_error(format!("the recordings in {} cannot be looked through", recordings.display())))?;
    for track in &found.failed {
        tracing::warn!(recording = %track.recording, error = %track.error, "a track of the last run cannot be closed; it is tried again at the next start");
    }
    let tracks: Vec<_> = found
        .tracks
        .into_iter()
        .map(|track| RecoveredTrack {
            recording: track.head.recording,
            interaction: track.head.interaction,
            leg: track.head.leg,
            party: track.head.party,
            codec: track.head.codec,
            axis_start_wall: track.head.axis_start_wall,
            from_ms: u32::try_from(track.head.axis_us / 1_000).unwrap_or(u32::MAX),
            to_ms: track.end_ms,
            lost_ms: track.lost_ms,
            paused_ms: track.paused_ms,
            trouble: Some("The server ended without notice; up to a second of sound is missing at the end.".to_owned()),
        })
        .collect();
    let closed = store.close_crashed(&tracks, clock::now().wall).await?;
    if closed.interactions > 0 {
        tracing::warn!(calls = closed.interactions, tracks = tracks.len(), "the last run ended without notice; its calls were closed");
    }
    Ok(())
}
