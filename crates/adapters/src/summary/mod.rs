//! Summaries of signals: Darshan's API, or a recording of it.

mod as_source;
mod darshan;
mod loose;
mod names;
mod page;
mod recording;
mod retry;
#[cfg(test)]
mod tests;

pub use self::as_source::DarshanSource;
pub use self::darshan::{Connection, Darshan};
pub use self::recording::Recording;
pub use self::retry::Retries;

/// Records of one reading.
const MOST_RECORDS: usize = 500_000;
/// Bytes that the records of one reading may hold: room for as many rows of two states each, and for fewer of more.
const MOST_HELD: usize = 80 * MIB;
/// A mebibyte.
const MIB: usize = 1024 * 1024;
