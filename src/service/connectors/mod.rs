//! Services beside us that are asked for something: each by one configured address, with a limit on time and size.

mod http;
pub mod language_model;

pub use http::{BaseAddress, HttpError};

#[cfg(test)]
pub(crate) mod tests;
