//! SIP endpoint, registrar, queue and calls as one machine.

mod config;
mod io;

pub use config::{Limits, ListenerConfig, Policy, RecordPolicy, SwitchConfig, Timing, TrunkConfig};
pub use io::{Input, LookUp, Output, PeopleSnapshot, PhoneAccount};

pub use crate::domain::call::counters::{Counter, Counters};
