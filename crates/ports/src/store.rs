//! The store: incidents and the journal, synced before any effect.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{Effect, Incident, State};
use sre_space_domain::journal::{Draft, Entry};
use sre_space_domain::knowledge::{RemedyKey, TrackRecord};
use thiserror::Error;

/// An incident as it is kept: with the effect that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The incident.
    pub incident: Incident,
    /// The effect to perform (again, after a crash); `None` when nothing is pending.
    pub pending: Option<Effect>,
}

impl Record {
    /// Whether something is still to happen: an effect, or a person's word.
    pub fn is_unfinished(&self) -> bool {
        self.pending.is_some() || !self.incident.state.is_terminal()
    }
}

/// One verified outcome of a remedy; (incident, attempt) makes writing it twice harmless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// Incident.
    pub incident: IncidentId,
    /// Attempt, counting from 1.
    pub attempt: u32,
    /// What it counts for.
    pub key: RemedyKey,
    /// Whether recovery was verified.
    pub verified: bool,
}

/// Everything one step writes, in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Write {
    /// The incident after the step.
    pub record: Option<Record>,
    /// Rows for the journal, in order.
    pub rows: Vec<Draft>,
    /// Outcome that the step established.
    pub outcome: Option<OutcomeRow>,
}

/// Which incidents to list: newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// At most this many (0: the store's own bound of 1,000).
    pub limit: u32,
    /// Only incidents opened before this one.
    pub after: Option<IncidentId>,
}

/// Why the store did not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database refused or is unreachable.
    #[error("the store failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row is not what was written.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(#[source] serde_json::Error),
    /// Another process holds the store.
    #[error("another sre-space already uses this store")]
    Taken,
    /// Another version of this program wrote it.
    #[error(
        "the journal has version {found} and this program reads {wanted}: name another SRE_SPACE_DATA_DIR, or move it away"
    )]
    Version {
        /// Version of the file.
        found: i64,
        /// Version that is read.
        wanted: i64,
    },
}

impl StoreError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Backend(_) => true,
            Self::Corrupt(_) | Self::Taken | Self::Version { .. } => false,
        }
    }
}

/// Keeps incidents and the journal.
///
/// Promise: when [`Store::commit`] returns, the write survives kill -9 and power loss; sequence numbers start at 1 and
/// have no gaps, under concurrent writers too.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes one step and returns its rows as numbered.
    async fn commit(&self, write: Write) -> Result<Vec<Entry>, StoreError>;
    /// One incident.
    async fn incident(&self, id: &IncidentId) -> Result<Option<Record>, StoreError>;
    /// Incidents with an effect pending or a person to wait for, oldest first: all of them.
    async fn unfinished(&self) -> Result<Vec<Record>, StoreError>;
    /// Incidents, newest first.
    async fn incidents(&self, filter: Filter) -> Result<Vec<Record>, StoreError>;
    /// Journal rows after `seq`, oldest first, at most `limit`; of one incident when given.
    async fn journal(&self, after: u64, limit: u32, incident: Option<&IncidentId>) -> Result<Vec<Entry>, StoreError>;
    /// Number of the newest journal row; 0 when there is none.
    async fn newest(&self) -> Result<u64, StoreError>;
    /// How a remedy did so far.
    async fn track_record(&self, key: &RemedyKey) -> Result<TrackRecord, StoreError>;
}
