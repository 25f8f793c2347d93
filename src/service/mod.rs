//! Effects: one thread or one external system per file.

pub mod api;
pub mod clock;
pub mod connectors;
pub mod control_thread;
pub mod datagram_batches;
pub mod demo;
pub mod egress;
pub mod eval;
pub mod jobs;
pub mod live;
pub mod live_redaction;
pub mod live_words;
pub mod log_writer;
pub mod media_threads;
pub mod recorder;
pub mod sip_sockets;
pub mod sip_streams;
pub mod sounds;
pub mod speech;
pub mod spool;
pub mod store;
pub mod taps;
pub mod trunk_names;
