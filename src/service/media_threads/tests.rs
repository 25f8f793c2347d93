//! Real sockets on the loopback address.
