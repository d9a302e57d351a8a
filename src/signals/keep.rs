//! Events into and out of the tables.

use std::collections::BTreeMap;

use serde_json::Value;
use sre_space_coherence::event::{Severity, SignalEvent};
use sre_space_coherence::report::Report;
use sre_space_ports::signals::{BATCH, PastIncident, Rows, SignalStore, Span, pages};
use sre_space_ports::source::Reading;
use sre_space_ports::store::StoreError;

/// Rows that one look takes in at most.
pub const MOST_ROWS: usize = 1_000_000;
/// An hour, ms.
const HOUR_MS: i64 = 3_600_000;

/// What became of a batch.
pub struct Kept {
    /// Which, from 1.
    pub batch: usize,
    /// How many events it holds.
    pub events: usize,
    /// Why it was not written.
    pub failed: Option<StoreError>,
}

/// Writes events in batches; one that fails does not stop the rest.
pub async fn keep(store: &dyn SignalStore, all: &[SignalEvent], mut told: impl FnMut(&Kept)) -> usize {
    let mut written = 0;
    for (number, batch) in all.chunks(BATCH).enumerate() {
        let failed = store.put(Rows::Events(batch)).await.err();
        written += if failed.is_none() { batch.len() } else { 0 };
        told(&Kept { batch: number + 1, events: batch.len(), failed });
    }
    written
}

/// The events of the last hours before the newest of them, and what was measured in that time and is no event yet.
pub async fn events(store: &dyn SignalStore, hours: u16) -> Result<Vec<SignalEvent>, StoreError> {
    let Some(newest_ms) = store.newest_ms().await? else { return Ok(Vec::new()) };
    let span = Span { since_ms: newest_ms - i64::from(hours) * HOUR_MS, until_ms: newest_ms + 1, offset: 0 };
    events_within(store, span, MOST_ROWS).await
}

/// The same of a span: at most so many rows of each table.
pub async fn events_within(store: &dyn SignalStore, span: Span, most: usize) -> Result<Vec<SignalEvent>, StoreError> {
    let events = pages(span, most, |span| store.events(span)).await?;
    let measured = pages(span, most, |span| store.metrics(span)).await?;
    let mut known: BTreeMap<(String, String, i64), SignalEvent> = BTreeMap::new();
    let (errors, samples): (Vec<_>, Vec<_>) = events.into_iter().partition(SignalEvent::is_error);
    for event in measured.into_iter().map(event).chain(samples) {
        known.insert((event.host.clone(), event.metric.clone(), event.at_ms), event);
    }
    Ok(known.into_values().chain(errors).collect())
}

/// A measurement as an event, with its level.
fn event(reading: Reading) -> SignalEvent {
    SignalEvent {
        at_ms: reading.at_ms,
        severity: Severity::of(&reading.metric, reading.value),
        host: reading.host,
        service: "system".to_owned(),
        metric: reading.metric,
        value: reading.value,
        synthetic: false,
    }
}

/// Keeps the incidents of a report for later questions.
pub async fn remember(store: &dyn SignalStore, report: &Report) -> Result<(), StoreError> {
    let past = |incident: &sre_space_coherence::report::Explained| {
        Ok(PastIncident {
            id: incident.incident_id.clone(),
            host: incident.host.clone(),
            at_ms: incident.timestamp,
            report: serde_json::to_value(incident).map_err(StoreError::Corrupt)?,
        })
    };
    let incidents: Vec<PastIncident> = report.incidents.iter().map(past).collect::<Result<_, StoreError>>()?;
    store.put(Rows::Incidents(&incidents)).await
}

/// A text of a report, for a line.
pub fn word<'a>(report: &'a Value, field: &str) -> &'a str {
    report[field].as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use sre_space_coherence::flight::Flight;
    use sre_space_ports::doubles::signals::MemorySignals;

    use super::*;

    #[tokio::test]
    async fn a_failed_batch_does_not_stop_the_rest() {
        let (store, all) = (MemorySignals::refusing(&[1]), Flight::default().events());
        let mut told = Vec::new();
        let written = keep(&store, &all, |kept| told.push((kept.batch, kept.events, kept.failed.is_some()))).await;
        let expected = vec![(1, 500, false), (2, 500, true), (3, 500, false), (4, 500, false), (5, 321, false)];
        assert_eq!((written, told), (1_821, expected));
        assert_eq!(events(&store, 48).await.expect("read").len(), 1_821);
    }

    #[tokio::test]
    async fn what_was_measured_reaches_the_detectors_without_hand_work() {
        let store = MemorySignals::default();
        let measured: Vec<Reading> = (0..500)
            .map(|at| Reading {
                host: "a".into(),
                metric: "memory".into(),
                at_ms: at * 300_000,
                value: 40.0 + at as f64 / 10.0,
            })
            .collect();
        store.put(Rows::Metrics(&measured)).await.expect("written");
        let report = Report::of(&events(&store, 48).await.expect("read"), 0);
        let found: Vec<String> =
            report.alerts.iter().map(|alert| format!("{} {}", alert.fingerprint, alert.class.as_str())).collect();
        assert_eq!(found, ["a:memory memory-leak"]);
        assert_eq!(events(&MemorySignals::default(), 48).await.expect("read"), []);
    }
}
