//! The rooms under fuzz test, compiled from the project's sources, and the targets.

#![allow(dead_code, missing_docs, reason = "a part of the house, without its users")]

#[path = "../../src/fault.rs"]
pub mod fault;
#[path = "../../src/ids.rs"]
pub mod ids;
#[path = "../../src/protocol/mod.rs"]
pub mod protocol;
#[path = "../../src/time.rs"]
pub mod time;

#[path = "../../src/domain/media/mod.rs"]
pub mod media;
#[path = "../../src/service/recorder/track.rs"]
pub mod track;

pub mod domain {
    pub use crate::media;
}

pub mod service {
    pub mod recorder {
        pub use crate::track;
    }
}

pub mod targets;
