//! The tables of the second sense: what was measured, what it meant, and the incidents that were made out of it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sre_space_coherence::event::SignalEvent;

use crate::source::Reading;
use crate::store::StoreError;

/// Rows that one call writes at most: a caller with more makes several.
pub const BATCH: usize = 500;
/// Rows of one page.
pub const PAGE: usize = 1_000;

/// What the id of a risk begins with; no incident's does.
pub const RISK_PREFIX: &str = "risk:";

/// An incident as it was made out of signals, or a risk that people were told of, kept for later questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastIncident {
    /// Its name: the same however often it is made out.
    pub id: String,
    /// On which host.
    pub host: String,
    /// Its first error; of a risk when it was last seen. Unix ms.
    pub at_ms: i64,
    /// All that was found, as the report had it.
    pub report: Value,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows<'a> {
    /// `metrics`: as a source told it.
    Metrics(&'a [Reading]),
    /// `signal_events`: with its level.
    Events(&'a [SignalEvent]),
    /// Incidents that were made out.
    Incidents(&'a [PastIncident]),
}

impl Rows<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Metrics(rows) => rows.len(),
            Self::Events(rows) => rows.len(),
            Self::Incidents(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which of the rows that [`PastIncident`] keeps are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Incidents.
    Incidents,
    /// Risks: those whose id begins with [`RISK_PREFIX`].
    Risks,
}

/// Which rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From here on, Unix ms.
    pub since_ms: i64,
    /// Up to here and not at it, Unix ms.
    pub until_ms: i64,
    /// So many of them were read before.
    pub offset: usize,
}

impl Span {
    /// The next page.
    #[must_use]
    pub fn next(self) -> Self {
        Self { offset: self.offset + PAGE, ..self }
    }
}

/// Keeps measurements, events and past incidents.
///
/// Promise: of several rows of one host, metric and moment (an event: and service) the last one written counts, so that writing
/// again changes nothing; an incident is known by its id in the same way. A call writes all of its rows or none. A page holds
/// [`PAGE`] rows, the newest first, and fewer only where there are no more. A span may reach from the beginning to the end of
/// what an `i64` holds. A store in a file of its own forgets measurements a week after they were written, and incidents a quarter
/// of a year after; on a server, where tables may be somebody else's, nothing is deleted.
#[async_trait]
pub trait SignalStore: Send + Sync {
    /// Writes up to [`BATCH`] rows.
    async fn put(&self, rows: Rows<'_>) -> Result<(), StoreError>;
    /// A page of what was measured.
    async fn metrics(&self, span: Span) -> Result<Vec<Reading>, StoreError>;
    /// A page of events.
    async fn events(&self, span: Span) -> Result<Vec<SignalEvent>, StoreError>;
    /// A page of incidents by their first error, or of risks by when they were last seen.
    async fn incidents(&self, span: Span, which: Past) -> Result<Vec<PastIncident>, StoreError>;
    /// The moment of the newest event or measurement, Unix ms; `None` where there is none.
    async fn newest_ms(&self) -> Result<Option<i64>, StoreError>;
}

/// All pages of a question together.
#[derive(Debug, Clone, PartialEq)]
pub struct Paged<T> {
    /// In order of time.
    pub rows: Vec<T>,
    /// Whether that is all; else older rows were left out.
    pub is_whole: bool,
}

/// Every page of a question, up to the `most` newest rows: asked for one after another until one is not full.
pub async fn pages<T, F>(span: Span, most: usize, mut ask: impl FnMut(Span) -> F) -> Result<Paged<T>, StoreError>
where
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    let (mut rows, mut span) = (Vec::new(), span);
    loop {
        let page = ask(span).await?;
        let is_last = page.len() < PAGE;
        rows.extend(page);
        let is_whole = rows.len() <= most;
        if is_last || !is_whole {
            rows.truncate(most);
            rows.reverse();
            return Ok(Paged { rows, is_whole });
        }
        span = span.next();
    }
}
