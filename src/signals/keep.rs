//! Events into and out of the tables.

use std::collections::BTreeMap;

use serde_json::Value;
use sre_space_coherence::correlate::TOGETHER_MS;
use sre_space_coherence::event::{Severity, SignalEvent, moment};
use sre_space_coherence::report::{Explained, Report};
use sre_space_ports::signals::{BATCH, PAGE, Paged, Past, PastIncident, Rows, SignalStore, Span, pages};
use sre_space_ports::source::Reading;
use sre_space_ports::store::StoreError;
use tracing::warn;

/// Rows that one look takes in at most.
pub(super) const MOST_ROWS: usize = 1_000_000;
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

/// What is to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// When.
    pub span: Span,
    /// Rows of each table that are taken in at most, the newest.
    pub most: usize,
    /// Whether events that were made and not measured count too.
    pub with_synthetic: bool,
}

/// What there was to be looked at.
pub struct Seen {
    /// Events, and what was measured and is no event yet.
    pub events: Vec<SignalEvent>,
    /// From here on all errors are among them, Unix ms.
    pub since_ms: i64,
}

/// The events of the last hours before the newest of them, and what was measured in that time and is no event yet.
pub async fn events(store: &dyn SignalStore, hours: u16) -> Result<Seen, StoreError> {
    let Some(newest_ms) = store.newest_ms().await? else { return Ok(Seen { events: Vec::new(), since_ms: 0 }) };
    let span = Span { since_ms: newest_ms - i64::from(hours) * HOUR_MS, until_ms: newest_ms + 1, offset: 0 };
    events_within(store, Window { span, most: MOST_ROWS, with_synthetic: true }).await
}

/// The same of a window.
pub async fn events_within(store: &dyn SignalStore, window: Window) -> Result<Seen, StoreError> {
    let Window { span, most, with_synthetic } = window;
    let told = pages(span, most, |span| store.events(span)).await?;
    let measured = pages(span, most, |span| store.metrics(span)).await?;
    warn_of_cut("metrics", &measured, |reading| reading.at_ms);
    let since_ms = warn_of_cut("signal_events", &told, |event| event.at_ms).unwrap_or(span.since_ms);
    let told = told.rows.into_iter().filter(|event| with_synthetic || !event.synthetic);
    // By service too where it tells errors apart; of samples of one moment the last counts.
    let mut known: BTreeMap<(String, String, i64, Option<String>), SignalEvent> = BTreeMap::new();
    for event in measured.rows.into_iter().map(event).chain(told) {
        let service = event.is_error().then(|| event.service.clone());
        known.insert((event.host.clone(), event.metric.clone(), event.at_ms, service), event);
    }
    Ok(Seen { events: known.into_values().collect(), since_ms })
}

/// Says so where older rows were left out, and from when on there are all.
fn warn_of_cut<T>(table: &str, paged: &Paged<T>, at_ms: impl Fn(&T) -> i64) -> Option<i64> {
    let oldest_ms = paged.rows.first().filter(|_| !paged.is_whole).map(at_ms)?;
    let (rows, from) = (paged.rows.len(), moment(oldest_ms));
    warn!(table, rows, %from, "there are more rows than are looked at: those before were left out");
    Some(oldest_ms)
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

/// Keeps the incidents of a report for later questions; `since_ms` is where the events it looked at begin, Unix ms.
///
/// Left out are those that may have begun before that, whose later errors would make an incident of another name; and those that
/// are kept with as many errors, because later looks see less of what was before them.
pub async fn remember(store: &dyn SignalStore, report: &Report, since_ms: i64) -> Result<(), StoreError> {
    if report.incidents.is_empty() {
        return Ok(());
    }
    let span = Span { since_ms, until_ms: i64::MAX, offset: 0 };
    let kept = pages(span, PAGE, |span| store.incidents(span, Past::Incidents)).await?.rows;
    let errors = |past: &PastIncident| past.report["error_count"].as_u64().unwrap_or_default();
    let kept: BTreeMap<&str, u64> = kept.iter().map(|past| (past.id.as_str(), errors(past))).collect();
    let is_whole = |incident: &&Explained| incident.timestamp >= since_ms.saturating_add(TOGETHER_MS);
    let is_new = |incident: &&Explained| {
        kept.get(incident.incident_id.as_str()).is_none_or(|errors| incident.error_count as u64 > *errors)
    };
    let new = report.incidents.iter().filter(is_whole).filter(is_new);
    let incidents: Vec<PastIncident> = new.map(past).collect::<Result<_, StoreError>>()?;
    for batch in incidents.chunks(BATCH) {
        store.put(Rows::Incidents(batch)).await?;
    }
    Ok(())
}

fn past(incident: &Explained) -> Result<PastIncident, StoreError> {
    Ok(PastIncident {
        id: incident.incident_id.clone(),
        host: incident.host.clone(),
        at_ms: incident.timestamp,
        report: serde_json::to_value(incident).map_err(StoreError::Corrupt)?,
    })
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
        assert_eq!(events(&store, 48).await.expect("read").events.len(), 1_821);
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
        let report = Report::of(&events(&store, 48).await.expect("read").events, 0);
        let found: Vec<String> =
            report.alerts.iter().map(|alert| format!("{} {}", alert.fingerprint, alert.class.as_str())).collect();
        assert_eq!(found, ["a:memory memory-leak"]);
        assert_eq!(events(&MemorySignals::default(), 48).await.expect("read").events, []);
    }

    #[tokio::test]
    async fn of_too_many_rows_the_newest_are_looked_at() {
        let store = MemorySignals::default();
        let measured: Vec<Reading> =
            (0..3_000).map(|at_ms| Reading { host: "a".into(), metric: "cpu".into(), at_ms, value: 1.0 }).collect();
        store.put(Rows::Metrics(&measured)).await.expect("written");
        let span = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
        let seen = events_within(&store, Window { span, most: 1_500, with_synthetic: false }).await.expect("read");
        let at_ms: Vec<i64> = seen.events.iter().map(|event| event.at_ms).collect();
        assert_eq!((at_ms, seen.since_ms), ((1_500..3_000).collect(), 0), "no error was left out");
    }

    /// What a look at so many hours before the flight's end leaves behind.
    async fn looked(store: &MemorySignals, hours: u16) -> Vec<(String, u64)> {
        let seen = events(store, hours).await.expect("read");
        remember(store, &Report::of(&seen.events, 0), seen.since_ms).await.expect("kept");
        let ever = Span { since_ms: i64::MIN, until_ms: i64::MAX, offset: 0 };
        let past = store.incidents(ever, Past::Incidents).await.expect("read");
        past.into_iter().map(|past| (past.id, past.report["error_count"].as_u64().unwrap_or_default())).collect()
    }

    #[tokio::test]
    async fn an_incident_that_leaves_the_window_is_not_kept_again() {
        let store = MemorySignals::default();
        keep(&store, &Flight::default().events(), |_| ()).await;
        let whole = looked(&store, 48).await;
        assert_eq!(whole, [("host-stressed@2025-12-13T04:10:00Z".to_owned(), 13)]);
        let ever = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
        let first = store.incidents(ever, Past::Incidents).await.expect("read");
        for hours in [13, 12, 11] {
            assert_eq!(looked(&store, hours).await, whole, "{hours} h");
        }
        let last = store.incidents(ever, Past::Incidents).await.expect("read");
        assert_eq!(last, first, "nor explained with less of what was before");
    }
}
