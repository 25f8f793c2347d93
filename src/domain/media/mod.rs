//! Media: what is wanted ([`plan`]), what is handed out ([`tap`]), and the engine between them.

mod apply;
mod axis_frame;
pub mod bridge;
pub mod clip;
mod connect;
pub mod counters;
mod deliver;
mod ear;
pub mod engine;
pub mod feed;
pub mod handover;
mod held;
mod jitter;
mod key_ends;
mod leg;
mod meter;
pub mod plan;
mod player;
mod port_table;
pub mod ports;
pub mod quality;
pub mod quality_story;
mod relay;
mod report;
pub mod sender;
mod sound;
pub mod source_lock;
pub mod tap;
pub mod time_axis;
mod track;

/// RTP clock of every codec that a leg may use so far, Hz.
pub const CLOCK_HZ: u32 = 8000;
