//! What players play: clips at 8 kHz, read once at start and shared by all media threads.

use std::sync::Arc;

/// Samples of a clip at least: 20 ms. What is shorter cannot be faded.
const CLIP_MIN: usize = 160;

/// Names a clip of a [`ClipStore`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClipId(pub u16);

/// Why a clip was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClipError {
    /// It is shorter than anything that can be heard.
    #[error("the recording has only {0} samples at 8 kHz; give one of 20 ms or more")]
    TooShort(usize),
    /// There are more than a [`ClipId`] can name.
    #[error("there are more than 65,536 clips; give fewer")]
    TooMany,
}

/// All clips, linear samples at 8 kHz, mono. Cloning it copies nothing.
#[derive(Clone, Debug, Default)]
pub struct ClipStore {
    clips: Vec<Arc<[i16]>>,
}

impl ClipStore {
    /// Adds a clip.
    ///
    /// # Errors
    /// Too short, or too many.
    pub fn add(&mut self, samples: Arc<[i16]>) -> Result<ClipId, ClipError> {
        if samples.len() < CLIP_MIN {
            return Err(ClipError::TooShort(samples.len()));
        }
        let id = u16::try_from(self.clips.len()).map_err(|_| ClipError::TooMany)?;
        self.clips.push(samples);
        Ok(ClipId(id))
    }

    /// The clip's samples.
    pub fn get(&self, clip: ClipId) -> Option<&Arc<[i16]>> {
        self.clips.get(usize::from(clip.0))
    }

    /// How long the clip is, milliseconds.
    pub fn length_ms(&self, clip: ClipId) -> Option<u32> {
        self.get(clip).map(|samples| u32::try_from(samples.len() / 8).unwrap_or(u32::MAX))
    }
}
