//! SIP (RFC 3261): messages, digest, transactions, dialogs, registrar.
//!
//! A datagram is read by [`parse::parse`] into a borrowed [`message::Message`] whose routing headers are proven well formed;
//! what we send is made from typed fields ([`build::Request`], [`build::Response`]), never from raw headers.

pub mod answer_retransmission;
pub mod build;
pub mod client_digest;
pub mod client_transaction;
pub mod connections;
pub mod dialog;
pub mod digest;
pub mod extension;
pub mod field;
pub mod flow;
pub mod header;
pub mod hop_request;
pub mod message;
pub mod multipart;
pub mod nonce;
pub mod parse;
pub mod parse_error;
pub mod peek;
pub mod refusal;
pub mod registrar;
mod scan;
pub mod server_transaction;
pub mod status;
pub mod stream;
pub mod timer_queue;
pub mod timers;
pub mod transaction_key;
pub mod transaction_layer;
pub mod uri;
mod write;
