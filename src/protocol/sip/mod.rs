//! SIP (RFC 3261): messages, digest, transactions, dialogs, registrar.
