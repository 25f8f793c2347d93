//! The switch in simulated time: scripted trunk, phones, desk, record and media around it.

mod clock;
mod hold;
mod hostile;
mod internal;
mod peer;
mod queue;
mod queue_races;
mod queue_waiting;
mod races;
mod record;
mod refusals;
mod registration;
mod sound;
mod walk;
mod world;
