//! Jobs with doubles.
