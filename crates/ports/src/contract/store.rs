//! What every store must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{Effect, Incident, State};
use sre_space_domain::journal::{Agent, Draft, Phase};
use sre_space_domain::knowledge::{RemedyKey, TrackRecord};
use sre_space_domain::signal::{Certainty, Signal, SignalKind};

use crate::store::{Filter, OutcomeRow, Record, Store, Write};

/// Opens the same store again, as a restart would.
pub type Open = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Store>>>>;

fn id(number: u8) -> IncidentId {
    serde_json::from_value(serde_json::json!(format!("inc_{number:026}"))).expect("an id")
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn record(number: u8, state: State, pending: Option<Effect>) -> Record {
    let signal = Signal {
        service: "shop".into(),
        operation: "serve".into(),
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.5,
        baseline: 0.01,
        threshold: 13.0,
        window_s: 5.0,
        samples: 10,
        statistic: 20.0,
        posterior: 0.999,
        sources: vec!["a".into()],
        onset_ms: 1,
        coherence: None,
    };
    let mut incident = Incident::open(id(number), signal, now());
    incident.state = state;
    Record { incident, pending }
}

fn row(text: &str, incident: Option<IncidentId>) -> Draft {
    let (agent, phase) = (Agent::System, Phase::Observe);
    Draft { at: now(), incident, agent, phase, state: None, text: text.into(), data: serde_json::json!({"n": 1}) }
}

fn rows(texts: &[&str]) -> Write {
    Write { rows: texts.iter().map(|text| row(text, None)).collect(), ..Write::default() }
}

/// What was committed is there after a restart, numbered from 1, with its pending effect.
pub async fn a_commit_survives_a_restart(open: &Open) {
    let written = record(1, State::Acting, Some(Effect::Merge));
    let store = open().await;
    let write =
        Write { record: Some(written.clone()), rows: vec![row("one", Some(id(1))), row("two", None)], outcome: None };
    let entries = store.commit(write).await.expect("committed");
    drop(store);
    let store = open().await;
    assert_eq!(store.incident(&id(1)).await.expect("read"), Some(written));
    assert_eq!(store.journal(0, 0, None).await.expect("read"), entries);
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
}

/// Sixteen writers at once leave no gap.
pub async fn numbers_have_no_gaps(open: &Open) {
    let store = open().await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for _ in 0..10 {
                store.commit(rows(&["a", "b"])).await.expect("committed");
            }
        });
    }
    writers.join_all().await;
    let entries = store.journal(0, 1_000, None).await.expect("read");
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=320).collect::<Vec<_>>());
}

/// The journal is read from any row on, in bounded pieces, of one incident when asked.
pub async fn the_journal_resumes(open: &Open) {
    let store = open().await;
    assert_eq!(store.newest().await.expect("read"), 0);
    store.commit(rows(&["a", "b", "c"])).await.expect("committed");
    assert_eq!(store.newest().await.expect("read"), 3);
    let write = Write { rows: vec![row("d", Some(id(4)))], ..Write::default() };
    store.commit(write).await.expect("committed");
    let texts = |entries: Vec<sre_space_domain::journal::Entry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.row.text).collect()
    };
    assert_eq!(texts(store.journal(1, 2, None).await.expect("read")), ["b", "c"]);
    assert_eq!(texts(store.journal(0, 0, Some(&id(4))).await.expect("read")), ["d"]);
    assert!(store.journal(4, 0, None).await.expect("read").is_empty());
}

/// Incidents come newest first, by state, in pages; a later write replaces an earlier one.
pub async fn incidents_are_listed(open: &Open) {
    let store = open().await;
    for (number, state) in [(1, State::Resolved), (2, State::Detected), (3, State::Resolved), (2, State::Acting)] {
        let write = Write { record: Some(record(number, state, None)), ..Write::default() };
        store.commit(write).await.expect("committed");
    }
    let ids = |records: Vec<Record>| records.into_iter().map(|record| record.incident.id).collect::<Vec<_>>();
    let list = async |filter| ids(store.incidents(filter).await.expect("read"));
    assert_eq!(list(Filter::default()).await, [id(3), id(2), id(1)]);
    assert_eq!(list(Filter { state: Some(State::Resolved), ..Filter::default() }).await, [id(3), id(1)]);
    assert_eq!(list(Filter { limit: 1, after: Some(id(3)), ..Filter::default() }).await, [id(2)]);
    assert_eq!(store.incident(&id(2)).await.expect("read").map(|record| record.incident.state), Some(State::Acting));
}

/// Whatever is still to happen is found again, oldest first, and nothing else.
pub async fn the_unfinished_are_found(open: &Open) {
    let store = open().await;
    let records = [
        record(1, State::Resolved, None),
        record(2, State::Escalated, Some(Effect::Page)),
        record(3, State::AwaitingHuman, None),
        record(4, State::Acting, Some(Effect::Merge)),
        record(5, State::Acting, Some(Effect::Merge)),
        record(5, State::Suppressed, None),
    ];
    for record in records.clone() {
        store.commit(Write { record: Some(record), ..Write::default() }).await.expect("committed");
    }
    drop(store);
    assert_eq!(open().await.unfinished().await.expect("read"), records[1..4]);
}

/// An outcome counts once, however often it is written.
pub async fn an_outcome_counts_once(open: &Open) {
    let store = open().await;
    let key = RemedyKey { remedy: "pool".into(), kind: FaultKind::PoolExhausted, service: "shop".into() };
    for (number, attempt, verified) in [(1, 1, true), (1, 1, true), (2, 1, false), (2, 2, true)] {
        let outcome = Some(OutcomeRow { incident: id(number), attempt, key: key.clone(), verified });
        store.commit(Write { outcome, ..Write::default() }).await.expect("committed");
    }
    assert_eq!(store.track_record(&key).await.expect("read"), TrackRecord { verified: 2, failed: 1 });
    let other = RemedyKey { service: "other".into(), ..key };
    assert_eq!(store.track_record(&other).await.expect("read"), TrackRecord::default());
}
