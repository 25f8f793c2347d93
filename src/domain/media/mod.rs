//! Media: what is wanted ([`plan`]), what is handed out ([`tap`]), and the engine between them.

pub mod plan;
pub mod ports;
pub mod tap;
pub mod time_axis;
