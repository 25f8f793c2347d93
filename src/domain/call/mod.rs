//! The calls: legs, offers, bridging, holding, hanging up.

pub mod counters;
pub mod policy;
pub mod token;
