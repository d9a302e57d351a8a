//! Signals in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sre_space_coherence::event::SignalEvent;

use crate::signals::{PAGE, PastIncident, Rows, SignalStore, Span};
use crate::source::Reading;
use crate::store::StoreError;

/// Rows by what makes them the same.
#[derive(Default)]
struct Tables {
    metrics: BTreeMap<(i64, String, String), Reading>,
    events: BTreeMap<(i64, String, String, String), SignalEvent>,
    incidents: BTreeMap<(i64, String), PastIncident>,
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

fn page<K, T: Clone>(rows: &BTreeMap<K, T>, span: Span, at_ms: impl Fn(&T) -> i64) -> Vec<T> {
    let within = rows.values().filter(|row| (span.since_ms..span.until_ms).contains(&at_ms(row)));
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
                tables.incidents.extend(rows.iter().map(|row| ((row.at_ms, row.id.clone()), row.clone())));
            }
        }
        Ok(())
    }

    async fn metrics(&self, span: Span) -> Result<Vec<Reading>, StoreError> {
        Ok(page(&self.tables().metrics, span, |row| row.at_ms))
    }

    async fn events(&self, span: Span) -> Result<Vec<SignalEvent>, StoreError> {
        Ok(page(&self.tables().events, span, |row| row.at_ms))
    }

    async fn incidents(&self, span: Span) -> Result<Vec<PastIncident>, StoreError> {
        Ok(page(&self.tables().incidents, span, |row| row.at_ms))
    }

    async fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        let tables = self.tables();
        let last = tables.metrics.keys().next_back().map(|key| key.0);
        Ok(last.max(tables.events.keys().next_back().map(|key| key.0)))
    }
}
