//! The rolling store: the figures that were computed, kept to be looked at and compared.

use async_trait::async_trait;
use sre_space_coherence::drift::Report;
use sre_space_coherence::window::Window;
use thiserror::Error;

/// Most reports of one answer.
pub const MOST_REPORTS: usize = 1_000;

/// Which reports are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// At most so many, the newest; never more than [`MOST_REPORTS`].
    pub limit: usize,
    /// Of this signal only. A report of all signals belongs to none.
    pub signal: Option<String>,
    /// Of this window only.
    pub window: Option<Window>,
}

/// The store cannot be read or written.
#[derive(Debug, Error)]
#[error("the rolling store {what}: {why}")]
pub struct RollingError {
    /// What could not be done.
    pub what: &'static str,
    /// In a person's words.
    pub why: String,
}

/// A rolling store. What is appended is read back as it was, also by the next process.
#[async_trait]
pub trait Rolling: Send + Sync {
    /// Its name, as `PERSISTENCE` spells it.
    fn name(&self) -> &'static str;

    /// Adds a report behind all others.
    async fn append(&self, report: &Report) -> Result<(), RollingError>;

    /// The newest reports, oldest first.
    async fn newest(&self, wish: &Wish) -> Result<Vec<Report>, RollingError>;
}
