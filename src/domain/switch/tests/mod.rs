//! The switch in simulated time: scripted trunk, phones, desk, record and media around it.

mod carrier;
mod clock;
mod forks;
mod headers;
mod hold;
mod hostile;
mod internal;
mod moves;
mod offers;
mod outbound;
mod outbound_policy;
mod panics;
mod peer;
mod peer_dialog;
mod queue;
mod queue_races;
mod queue_waiting;
mod races;
mod record;
mod refusals;
mod registration;
mod renewal;
mod sound;
mod trunks;
mod walk;
mod world;
