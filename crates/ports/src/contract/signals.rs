//! What every store of signals must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::json;
use sre_space_coherence::event::{Severity, SignalEvent};

use crate::signals::{PAGE, Past, PastIncident, RISK_PREFIX, Rows, SignalStore, Span, pages};
use crate::source::Reading;

/// Opens the same store again, as a restart would.
pub type Open = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn SignalStore>>>>;

const EVER: Span = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
const NOON_MS: i64 = 1_765_627_200_000;

fn event(at_ms: i64, value: f64) -> SignalEvent {
    SignalEvent {
        at_ms: NOON_MS + at_ms,
        host: "a'; DROP TABLE signal_events; --".into(),
        service: "system".into(),
        severity: Severity::Warn,
        metric: "memory \"größe\"".into(),
        value,
        synthetic: true,
    }
}

fn reading(at_ms: i64, value: f64) -> Reading {
    Reading { host: "a".into(), metric: "system.memory.usage".into(), at_ms: NOON_MS + at_ms, value }
}

fn incident(number: i64, errors: u32) -> PastIncident {
    let report = json!({"error_count": errors, "host": "a"});
    PastIncident { id: format!("inc-{number}"), host: "a".into(), at_ms: NOON_MS + number, report }
}

/// What was written is there after a restart, whole, the newest first.
pub async fn what_was_written_survives_a_restart(open: &Open) {
    let store = open().await;
    assert_eq!(store.newest_ms().await.expect("read"), None);
    store.put(Rows::Events(&[event(2, 0.1 + 0.2), event(1, -1e-9)])).await.expect("written");
    store.put(Rows::Metrics(&[reading(3, 1.5e9)])).await.expect("written");
    store.put(Rows::Incidents(&[incident(2, 13), incident(1, 1)])).await.expect("written");
    store.put(Rows::Events(&[])).await.expect("nothing is no error");
    drop(store);
    let store = open().await;
    assert_eq!(store.events(EVER).await.expect("read"), [event(2, 0.1 + 0.2), event(1, -1e-9)]);
    assert_eq!(store.metrics(EVER).await.expect("read"), [reading(3, 1.5e9)]);
    assert_eq!(past(&store, Past::Incidents).await, [incident(2, 13), incident(1, 1)]);
    assert_eq!(store.newest_ms().await.expect("read"), Some(NOON_MS + 3));
}

/// Writing again replaces, also within one call.
pub async fn the_last_one_of_a_moment_counts(open: &Open) {
    let store = open().await;
    for value in [1.0, 2.0] {
        store.put(Rows::Events(&[event(1, value), event(2, value), event(1, value + 10.0)])).await.expect("written");
        store.put(Rows::Metrics(&[reading(1, value), reading(1, value + 10.0)])).await.expect("written");
        store.put(Rows::Incidents(&[incident(1, value as u32)])).await.expect("written");
    }
    assert_eq!(store.events(EVER).await.expect("read"), [event(2, 2.0), event(1, 12.0)]);
    assert_eq!(store.metrics(EVER).await.expect("read"), [reading(1, 12.0)]);
    assert_eq!(past(&store, Past::Incidents).await, [incident(1, 2)]);
}

/// A span has a beginning and an end, and the end is not in it.
pub async fn a_span_is_half_open(open: &Open) {
    let store = open().await;
    let all: Vec<SignalEvent> = (0..5).map(|at_ms| event(at_ms, 1.0)).collect();
    store.put(Rows::Events(&all)).await.expect("written");
    let span = Span { since_ms: NOON_MS + 1, until_ms: NOON_MS + 3, offset: 0 };
    assert_eq!(store.events(span).await.expect("read"), [all[2].clone(), all[1].clone()]);
}

/// More rows than a page holds are all read, each once.
pub async fn pages_hold_everything_once(open: &Open) {
    let store = open().await;
    let all: Vec<SignalEvent> = (0..2_321).map(|at_ms| event(at_ms, at_ms as f64)).collect();
    for batch in all.chunks(crate::signals::BATCH) {
        store.put(Rows::Events(batch)).await.expect("written");
    }
    assert_eq!(store.events(EVER).await.expect("read").len(), PAGE);
    let read = pages(EVER, usize::MAX, |span| store.events(span)).await.expect("read");
    assert_eq!((read.rows, read.is_whole), (all.clone(), true));
    let some = pages(EVER, 1_200, |span| store.events(span)).await.expect("read");
    assert_eq!((some.rows, some.is_whole), (all[1_121..].to_vec(), false), "the newest");
    let exact = pages(EVER, 2_321, |span| store.events(span)).await.expect("read");
    assert!(exact.is_whole);
}

/// A span may hold all time that can be said.
pub async fn a_span_of_all_time_holds_everything(open: &Open) {
    let store = open().await;
    store.put(Rows::Events(&[event(1, 1.0)])).await.expect("written");
    store.put(Rows::Metrics(&[reading(1, 1.0)])).await.expect("written");
    store.put(Rows::Incidents(&[incident(1, 1)])).await.expect("written");
    let all = Span { since_ms: i64::MIN, until_ms: i64::MAX, offset: 0 };
    assert_eq!(store.events(all).await.expect("read"), [event(1, 1.0)]);
    assert_eq!(store.metrics(all).await.expect("read"), [reading(1, 1.0)]);
    assert_eq!(store.incidents(all, Past::Incidents).await.expect("read"), [incident(1, 1)]);
}

/// Risks stand beside incidents and are read by themselves; one that is written again has moved.
pub async fn risks_are_read_by_themselves(open: &Open) {
    let store = open().await;
    let risk = |at_ms| PastIncident { id: format!("{RISK_PREFIX}a:cpu/trend"), at_ms, ..incident(1, 1) };
    let (early, late) = (risk(NOON_MS), risk(NOON_MS + 5));
    store.put(Rows::Incidents(&[incident(1, 1), early])).await.expect("written");
    store.put(Rows::Incidents(std::slice::from_ref(&late))).await.expect("written");
    assert_eq!(past(&store, Past::Incidents).await, [incident(1, 1)]);
    assert_eq!(past(&store, Past::Risks).await, [late]);
}

async fn past(store: &Arc<dyn SignalStore>, which: Past) -> Vec<PastIncident> {
    store.incidents(EVER, which).await.expect("read")
}
