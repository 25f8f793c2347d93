//! SIP endpoint, registrar, queue and calls as one machine.
