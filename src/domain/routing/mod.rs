//! Who gets what, and why: queues, agents, and the choice between them.
//!
//! Pure: the switch tells [`Agents`] what agents do, asks [`Agents::choose`] for the next one, and can say why.

mod agent;
mod agents;
mod choose;
pub mod destination;
mod queue;
mod service_level;
mod waiting;

pub use agent::{Agent, AgentProfile, Doing, Wanted};
pub use agents::Agents;
pub use choose::{Candidate, Skip};
pub use queue::{Answer, Places, Queue, Sound, Sounds};
pub use service_level::{Day, Figures, Promise};
pub use waiting::{InLine, Standing, Waiting};

#[cfg(test)]
mod tests;
