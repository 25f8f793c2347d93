//! The media engine in simulated time: two phones, their tones, their faults, and everybody else's.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "media/bench.rs"]
mod bench;
#[path = "media/bridging.rs"]
mod bridging;
#[path = "media/conference.rs"]
mod conference;
#[path = "media/corpora.rs"]
mod corpora;
#[path = "media/keys.rs"]
mod keys;
#[path = "media/lifecycle.rs"]
mod lifecycle;
#[path = "media/moving.rs"]
mod moving;
#[path = "media/playing.rs"]
mod playing;
#[path = "media/recording.rs"]
mod recording;
#[path = "media/relaying.rs"]
mod relaying;
#[path = "media/switching.rs"]
mod switching;
