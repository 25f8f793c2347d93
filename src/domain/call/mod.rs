//! The calls: legs, offers, bridging, holding, hanging up.
//!
//! ```text
//! SIP ⇄ Leg (dialog, offer/answer) ── LegEvent ──▶ Call (who talks to whom) ── Action ──▶ switch applies
//! ```
//! A call gets `&mut self`, a [`Turn`] with a read-only house, and leaves actions; shared state (agents, ports,
//! transactions) changes only when the switch applies them, so that a panic in here ends this call alone.

pub mod action;
pub mod counters;
pub mod event;
mod hangup;
mod hold;
mod inbound;
mod internal;
pub mod leg;
mod offer;
mod outbound;
pub mod policy;
mod signal;
mod sound;
mod state;
mod status;
mod timers;
pub mod token;
mod turn;
mod view;
mod waiting;
mod wrap_up;

pub use action::{Action, AgentMove, Purpose, QueueMove};
pub use event::{LegEnd, LegEvent};
pub use inbound::Arrival;
pub use internal::InternalCall;
pub use outbound::{Outbound, OutboundCall};
pub use state::{Call, CallKind, Caller};
pub use turn::{House, PhoneTarget, Place, Turn};
