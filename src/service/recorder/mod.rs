//! Tracks on disk: blocks, recovery, renderings.
