//! The only clocks: service code reads them here and hands the value inwards.

use std::time::{Instant, SystemTime};

use crate::time::{Now, UnixMs};

/// Both clocks.
#[expect(clippy::disallowed_methods, reason = "this is where time enters")]
pub fn now() -> Now {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), wall: UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)) }
}
