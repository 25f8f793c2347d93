//! The recordings of a call as tracks for the speech front end.

use std::{path::PathBuf, sync::Arc};

use super::ReadTracks;
use crate::service::{
    recorder::{paths, render, track::GapKind as Filled},
    speech::{Gap, GapKind, TrackAudio},
};

/// Reads from the recorder's folder.
pub fn from_recordings(root: PathBuf) -> Arc<ReadTracks> {
    Arc::new(move |interaction| {
        let paths = paths::tracks_of(&root, interaction).map_err(|e| e.to_string())?;
        paths.iter().map(|path| render::mono_track(path).map(track).map_err(|e| e.to_string())).collect()
    })
}

fn track(mono: render::MonoTrack) -> TrackAudio {
    let gap = |gap: &render::Gap| {
        let kind = match gap.kind {
            Filled::Lost | Filled::Unwritten => GapKind::Lost,
            // Taken out on purpose, as in a pause: nobody may be told that words are missing there.
            Filled::Paused | Filled::Redacted => GapKind::Paused,
            // The peer chose to send nothing: that is silence, not a loss.
            Filled::Silence => return None,
        };
        Some(Gap { samples: gap.samples.0 as usize..gap.samples.1 as usize, kind })
    };
    TrackAudio {
        leg: mono.head.leg,
        party: mono.head.party,
        start_ms: u32::try_from(mono.start_us / 1_000).unwrap_or(u32::MAX),
        gaps: mono.gaps.iter().filter_map(gap).collect(),
        samples: mono.samples,
    }
}
