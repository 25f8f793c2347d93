//! Services beside us that are asked for something: each by one configured address, with a limit on time and size.

pub mod language_model;

#[cfg(test)]
pub(crate) mod tests;
