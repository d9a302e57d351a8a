//! Buses.

pub mod buffered;
pub mod kafka;
pub mod local;
pub mod redis;

/// Most bytes of one message: a batch of telemetry is at most 4 MiB.
const MOST_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;
