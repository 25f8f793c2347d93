//! The customer: who they are, what happened, what we owe them.

pub mod brief;
