//! Throughline: a telephony-first softswitch for customer service.
//!
//! Three rings, imports one way: `service → domain → protocol`. `protocol` turns bytes into values, `domain` decides,
//! `service` does. Nothing in the inner two reads a clock, a socket, a file or a random source.

pub mod app;
pub mod config;
pub mod domain;
pub mod fault;
pub mod ids;
pub mod protocol;
pub mod service;
pub mod time;
