//! Signals in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sre_space_coherence::event::SignalEvent;

use crate::signals::{PAGE, Past, PastIncident, RISK_PREFIX, Rows, SignalStore, Span};
use crate::source::Reading;
use crate::store::StoreError;

/// Rows by what makes them the same.
#[derive(Default)]
struct Tables {
    metrics: BTreeMap<(i64, String, String), Reading>,
    events: BTreeMap<(i64, String, String, String), SignalEvent>,
    incidents: BTreeMap<String, PastIncident>,
    calls: usize,
}

/// Signals that end with the process.
#[derive(Default)]
pub struct MemorySignals {
    tables: Mutex<Tables>,
    refused: Vec<usize>,
}

impl MemorySignals {
    /// One that refuses these writes, counted from 0.
    pub fn refusing(writes: &[usize]) -> Self {
        Self { refused: writes.to_vec(), ..Self::default() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of rows in order of time a page, the newest first.
fn page<'a, T: Clone + 'a>(
    rows: impl DoubleEndedIterator<Item = &'a T>,
    span: Span,
    at_ms: impl Fn(&T) -> i64,
) -> Vec<T> {
    let within = rows.rev().filter(|row| (span.since_ms..span.until_ms).contains(&at_ms(row)));
    within.skip(span.offset).take(PAGE).cloned().collect()
}

#[async_trait]
impl SignalStore for MemorySignals {
    async fn put(&self, rows: Rows<'_>) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.calls += 1;
        if self.refused.contains(&(tables.calls - 1)) {
            return Err(StoreError::Backend("it does not want to".into()));
        }
        match rows {
            Rows::Metrics(rows) => tables
                .metrics
                .extend(rows.iter().map(|row| ((row.at_ms, row.host.clone(), row.metric.clone()), row.clone()))),
            Rows::Events(rows) => tables.events.extend(
                rows.iter()
                    .map(|row| ((row.at_ms, row.host.clone(), row.metric.clone(), row.service.clone()), row.clone())),
            ),
            Rows::Incidents(rows) => {
                tables.incidents.extend(rows.iter().map(|row| (row.id.clone(), row.clone())));
            }
        }
        Ok(())
    }

    async fn metrics(&self, span: Span) -> Result<Vec<Reading>, StoreError> {
        Ok(page(self.tables().metrics.values(), span, |row| row.at_ms))
    }

    async fn events(&self, span: Span) -> Result<Vec<SignalEvent>, StoreError> {
        Ok(page(self.tables().events.values(), span, |row| row.at_ms))
    }

    async fn incidents(&self, span: Span, which: Past) -> Result<Vec<PastIncident>, StoreError> {
        let tables = self.tables();
        let is_wanted = |row: &&PastIncident| row.id.starts_with(RISK_PREFIX) == (which == Past::Risks);
        let mut rows: Vec<&PastIncident> = tables.incidents.values().filter(is_wanted).collect();
        rows.sort_by_key(|row| row.at_ms);
        Ok(page(rows.into_iter(), span, |row| row.at_ms))
    }

    async fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        let tables = self.tables();
        let last = tables.metrics.keys().next_back().map(|key| key.0);
        Ok(last.max(tables.events.keys().next_back().map(|key| key.0)))
    }
}
