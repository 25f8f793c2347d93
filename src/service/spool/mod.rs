//! The local journal that call-side facts go through.
