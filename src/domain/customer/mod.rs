//! The customer: who they are, what happened, what we owe them.

pub mod brief;
pub mod identity;
pub mod reason;
pub mod ticket;
pub mod words;
