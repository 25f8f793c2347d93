//! The threads that own media sockets.
