//! Decides, never does: `handle(now, input)`, outputs to drain, the next instant at which time matters.

pub mod call;
pub mod customer;
pub mod fact;
pub mod insight;
pub mod live;
pub mod media;
pub mod routing;
pub mod switch;
