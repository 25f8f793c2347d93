//! SIP (RFC 3261): messages, digest, transactions, dialogs, registrar.

pub mod client_transaction;
pub mod flow;
mod hop_request;
pub mod server_transaction;
pub mod timer_queue;
pub mod timers;
pub mod transaction_key;
pub mod transaction_layer;
