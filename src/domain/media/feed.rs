//! What the live speech front end is fed: the pieces of each recorded track as the time axis makes them.
//!
//! Recorder and speech share one axis, so a second in the words is the same second in the recording. A piece that finds no room
//! is dropped and counted: the next one shows the hole by where it begins.

use std::sync::Arc;

use super::{tap::TapOpen, time_axis::Chunk};
use crate::ids::LegId;

/// One message to the front end; those of one leg come in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// A track begins.
    Open(Arc<TapOpen>),
    /// The next piece of it.
    Chunk {
        /// The leg.
        leg: LegId,
        /// The piece.
        chunk: Chunk,
    },
    /// The track ends.
    Close {
        /// The leg.
        leg: LegId,
        /// On the call's axis, microseconds.
        axis_us: u64,
    },
}

impl Feed {
    /// Whose it is.
    pub fn leg(&self) -> LegId {
        match self {
            Self::Open(head) => head.leg,
            Self::Chunk { leg, .. } | Self::Close { leg, .. } => *leg,
        }
    }
}
