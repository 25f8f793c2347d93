//! Frames of audio: G.711, tones.
