//! The calls: legs, offers, bridging, holding, hanging up.
