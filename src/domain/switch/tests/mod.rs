//! The switch in simulated time: scripted trunk, phones, desk, record and media around it.

mod clock;
mod forks;
mod headers;
mod hold;
mod hostile;
mod internal;
mod moves;
mod offers;
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
mod walk;
mod world;
