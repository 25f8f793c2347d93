//! Slow work: claim, run, retry with backoff, idempotent.
