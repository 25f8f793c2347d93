//! Effects: one thread or one external system per file.

pub mod api;
pub mod jobs;
pub mod media_threads;
pub mod recorder;
pub mod speech;
pub mod spool;
pub mod store;
