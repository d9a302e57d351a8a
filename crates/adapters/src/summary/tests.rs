//! Darshan against a stub that speaks its protocol, and recordings of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};
use sre_space_coherence::window::Window;
use sre_space_domain::secret::Secret;
use sre_space_ports::source::{Reading, Source as _, SourceError, Told, Wanted};
use sre_space_ports::summary::{Asking, Effort, Latest, Record, Summaries};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::page::Rows;
use super::*;

/// A request as the stub saw it.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    query: HashMap<String, String>,
    authorization: Option<String>,
    request_id: Option<String>,
}

/// Answers in order and remembers what it was asked.
#[derive(Default)]
struct Stub {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<Asked>>,
    serving: Mutex<JoinSet<()>>,
}

async fn answer(
    State(stub): State<Arc<Stub>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let asked = Asked { query, authorization: header("authorization"), request_id: header("x-request-id") };
    stub.asked.lock().expect("a lock").push(asked);
    let (status, body) = stub.answers.lock().expect("a lock").pop_front().expect("no question too many");
    (StatusCode::from_u16(status).expect("a status"), body)
}

/// A stub with its answers, and a client of it.
async fn stub(answers: Vec<(u16, Value)>, max_retries: u32) -> (Arc<Stub>, Darshan) {
    let answers = answers.into_iter().map(|(status, body)| (status, body.to_string())).collect();
    let stub = Arc::new(Stub { answers: Mutex::new(answers), ..Stub::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().route("/v1/signals/summary", get(answer)).with_state(Arc::clone(&stub));
    stub.serving.lock().expect("a lock").spawn(async move { axum::serve(listener, router).await.expect("served") });
    let retries = Retries { most: max_retries, first_wait: Duration::from_millis(1) };
    (stub, Darshan::new(connection(&format!("http://{address}/v1/"), retries)).expect("a client"))
}

fn connection(base_url: &str, retries: Retries) -> Connection {
    Connection {
        base_url: base_url.to_owned(),
        api_key: Some(Secret::new("s3cret")),
        timeout: Duration::from_secs(10),
        page_size: 500,
        retries,
    }
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn asking() -> Asking<'static> {
    Asking { window: Window::HOUR, now: moment("2025-10-29T17:43:00Z"), request_id: "r-7" }
}

fn row(minute: u8, signal: &str, score: f64) -> Value {
    json!({
        "timestamp": format!("2025-10-29T17:{minute:02}:00Z"), "signal_id": signal, "coherenceScore": score,
        "agentStates": {"idle": 3, "active": 7}, "eventCount": 10,
    })
}

fn record(minute: u8, signal: &str, coherence_score: f64) -> Record {
    Record {
        at: moment(&format!("2025-10-29T17:{minute:02}:00Z")),
        signal: Some(signal.into()),
        coherence_score,
        agent_states: [("idle".into(), 3.0), ("active".into(), 7.0)].into(),
        event_count: Some(10),
    }
}

fn page(rows: &[Value], next: Value) -> (u16, Value) {
    (200, json!({"data": rows, "next_page": next}))
}

#[tokio::test]
async fn pages_are_followed_within_the_bounds_of_time_and_the_last_row_of_a_moment_counts() {
    let first = page(&[row(0, "s-001", 80.0), row(5, "s-002", 70.0), row(5, "s-001", 81.0)], json!("abc"));
    let last = page(&[row(5, "s-001", 82.0), row(0, "s-002", 71.0)], Value::Null);
    let (stub, darshan) = stub(vec![first, last], 0).await;
    let told = darshan.latest(asking()).await.expect("told");
    let expected = Latest {
        until: asking().now,
        records: [
            record(0, "s-001", 80.0),
            record(0, "s-002", 71.0),
            record(5, "s-001", 82.0),
            record(5, "s-002", 70.0),
        ]
        .into(),
        refused: [].into(),
        refused_rows: 0,
        effort: Effort { pages: 2, attempts: 2, retries: 0 },
    };
    assert_eq!((told, darshan.effort()), (expected.clone(), expected.effort));
    let asked = |more: &[(&str, &str)]| {
        let bounds = [("start_ts", "2025-10-29T16:43:00Z"), ("end_ts", "2025-10-29T17:43:00Z"), ("page_size", "500")];
        let pairs = [&bounds[..], more].concat();
        Asked {
            query: pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            authorization: Some("Bearer s3cret".to_owned()),
            request_id: Some("r-7".to_owned()),
        }
    };
    assert_eq!(*stub.asked.lock().expect("a lock"), [asked(&[]), asked(&[("page", "abc")])]);
}

#[tokio::test]
async fn a_5xx_is_asked_again_and_every_attempt_is_counted() {
    let down = || (503, json!("down"));
    let (stub, darshan) = stub(
        vec![down(), (500, json!("down")), page(&[row(0, "a", 1.0)], json!(2)), down(), page(&[], json!(null))],
        2,
    )
    .await;
    let told = darshan.latest(asking()).await.expect("told");
    assert_eq!((told.records.len(), told.effort), (1, Effort { pages: 2, attempts: 5, retries: 3 }));
    assert_eq!(stub.asked.lock().expect("a lock").len(), 5);
}

#[tokio::test]
async fn a_4xx_is_not_asked_again() {
    for (status, mend) in [(400, ""), (401, "; mend DARSHAN_API_KEY"), (404, "; mend DARSHAN_BASE_URL"), (422, "")] {
        let (stub, darshan) = stub(vec![(status, json!("no, s3cret"))], 3).await;
        let error = darshan.latest(asking()).await.expect_err("refused");
        assert_eq!(error.to_string(), format!("darshan refuses: it answered {status}{mend}"));
        assert_eq!(stub.asked.lock().expect("a lock").len(), 1);
        assert_eq!(darshan.effort(), Effort { pages: 0, attempts: 1, retries: 0 });
    }
    let (stub, darshan) = stub(vec![(429, json!("slowly"))], 3).await;
    assert!(darshan.latest(asking()).await.expect_err("busy").is_transient());
    let error = darshan.latest(asking()).await.expect_err("left alone").to_string();
    assert!(error.contains("left alone for 30 s more: ") && error.ends_with("it answered 429"), "{error}");
    assert_eq!((stub.asked.lock().expect("a lock").len(), darshan.effort().attempts), (1, 1));
}

#[tokio::test]
async fn failures_that_do_not_pass_are_told_after_the_last_try_and_never_with_the_key() {
    let (stub, darshan) = stub((0..3).map(|_| (502, json!("Bearer s3cret"))).collect(), 2).await;
    let error = darshan.latest(asking()).await.expect_err("down");
    assert_eq!(error.to_string(), "darshan cannot be reached: it answered 502");
    assert_eq!((stub.asked.lock().expect("a lock").len(), darshan.effort().attempts), (3, 3));
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let retries = Retries { most: 1, first_wait: Duration::from_millis(1) };
    let darshan = Darshan::new(connection(&format!("http://{nobody}"), retries)).expect("a client");
    let error = darshan.latest(asking()).await.expect_err("nobody there");
    assert_eq!(error.to_string(), "darshan cannot be reached: no connection");
    assert_eq!(darshan.effort(), Effort { pages: 0, attempts: 2, retries: 1 });
    assert!(!format!("{:?}", connection("http://a", retries)).contains("s3cret"));
}

#[tokio::test]
async fn an_answer_that_is_not_the_protocol_is_unreadable() {
    let endless = || page(&[], json!("same"));
    for answers in [vec![(200, json!("hello"))], vec![(200, json!({"rows": []}))], vec![endless(), endless()]] {
        let (_stub, darshan) = stub(answers, 3).await;
        let error = darshan.latest(asking()).await.expect_err("unreadable");
        assert!(matches!(error, SourceError::Unreadable { .. }), "{error}");
    }
}

#[tokio::test]
async fn as_a_source_of_metrics_a_signal_is_a_host() {
    let (_stub, darshan) =
        stub(vec![page(&[row(5, "b", 2.0), row(5, "a", 1.0), row(43, "a", 9.0)], json!(null))], 0).await;
    let until_ms = moment("2025-10-29T17:43:00Z").as_millisecond();
    let wanted = Wanted { since_ms: until_ms - 3_600_000, until_ms, metrics: vec![] };
    let source = DarshanSource(Arc::new(darshan));
    let reading = |host: &str, value| Reading {
        host: host.to_owned(),
        metric: "coherenceScore".to_owned(),
        at_ms: moment("2025-10-29T17:05:00Z").as_millisecond(),
        value,
    };
    let expected = Told { readings: vec![reading("a", 1.0), reading("b", 2.0)], ..Told::default() };
    assert_eq!(source.read(&wanted).await.expect("told"), expected);
    let other = Wanted { metrics: vec!["system.cpu.utilization".to_owned()], ..wanted };
    assert_eq!(source.read(&other).await.expect("told"), Told::default(), "it has no such metric, and is not asked");
    let forever = Wanted { since_ms: 0, until_ms, metrics: vec![] };
    assert!(matches!(source.read(&forever).await, Err(SourceError::Refused { .. })));
}

/// What is kept of these rows, and why the others are not.
fn gathered(rows: &[Value]) -> (Vec<Record>, Vec<String>) {
    let mut read = Rows::default();
    assert_eq!(read.read(json!(rows).to_string().as_bytes()).expect("a list"), None);
    let told = read.gathered();
    assert_eq!(told.refused_rows, told.refused.len() as u64);
    (told.records.to_vec(), told.refused.to_vec())
}

#[test]
fn a_row_that_cannot_be_used_is_named_and_costs_no_other() {
    let rows = [json!(7), json!({}), json!({"timestamp": "2025-10-29T17:00:00+02:00", "coherenceScore": 87})];
    let kept = Record {
        at: moment("2025-10-29T15:00:00Z"),
        signal: None,
        coherence_score: 87.0,
        agent_states: [].into(),
        event_count: None,
    };
    let refused = ["row 1: no object", "row 2: timestamp is missing"].map(str::to_owned);
    assert_eq!(gathered(&rows), (vec![kept], refused.to_vec()));
}

#[test]
fn every_field_is_looked_at() {
    let wrong = [
        ("timestamp", json!(1_761_757_200), "timestamp is no text"),
        ("timestamp", json!("2025-10-29T17:00:00"), "timestamp is no RFC 3339 moment with an offset"),
        ("timestamp", json!("soon"), "timestamp is no RFC 3339 moment with an offset"),
        ("coherenceScore", json!("87"), "coherenceScore is no finite number"),
        ("coherenceScore", json!({"a": [1]}), "coherenceScore is no finite number"),
        ("coherenceScore", Value::Null, "coherenceScore is missing"),
        ("signal_id", json!(5), "signal_id is no name"),
        ("signal_id", json!("=1+1"), "signal_id is no name"),
        ("signal_id", json!("a\nb"), "signal_id is no name"),
        ("signal_id", json!(""), "signal_id is no name"),
        ("agentStates", json!([1]), "agentStates is no object"),
        ("agentStates", json!(3), "agentStates is no object"),
        ("agentStates", json!({"idle": "3"}), "agentStates is no map of names to numbers"),
        ("eventCount", json!(-1), "eventCount is no count"),
        ("eventCount", json!(1.5), "eventCount is no count"),
        ("eventCount", json!("ten"), "eventCount is no count"),
    ];
    for (name, value, why) in wrong {
        let mut bad = row(0, "a", 1.0);
        bad[name] = value;
        assert_eq!(gathered(&[bad.clone()]), (vec![], vec![format!("row 1: {why}")]), "{bad}");
    }
    for scalar in [json!(null), json!([1]), json!("text"), json!(true), json!(1.5)] {
        assert_eq!(gathered(&[scalar]).1, ["row 1: no object"]);
    }
}

#[test]
fn what_cannot_be_read_is_told_in_few_words() {
    let why = Rows::default().read(json!("x".repeat(100_000)).to_string().as_bytes()).expect_err("no page");
    assert_eq!(why.chars().count(), 200);
}

#[tokio::test]
async fn a_recording_is_used_exactly_and_read_again_once_it_has_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mock.json");
    let recording = Recording::new(path.clone());
    let refused = recording.latest(asking()).await.expect_err("no file");
    assert!(refused.to_string().contains("the file that MOCK_PATH names cannot be read"), "{refused}");
    let write = |rows: &[Value]| std::fs::write(&path, page(rows, Value::Null).1.to_string()).expect("written");
    write(&[row(5, "s-001", 85.5), row(0, "s-001", 87.2)]);
    let told = recording.latest(asking()).await.expect("told");
    let effort = Effort { pages: 1, attempts: 1, retries: 0 };
    let expected = Latest {
        until: moment("2025-10-29T17:05:00Z"),
        records: [record(0, "s-001", 87.2), record(5, "s-001", 85.5)].into(),
        refused: [].into(),
        refused_rows: 0,
        effort,
    };
    assert_eq!(told, expected);
    assert!(Arc::ptr_eq(&told.records, &recording.latest(asking()).await.expect("told").records), "read once");
    write(&[row(6, "s-001", 1.0), row(7, "s-001", 2.0), row(8, "s-001", 3.0)]);
    assert_eq!(recording.latest(asking()).await.expect("told").records.len(), 3);
    write(&[]);
    assert_eq!(recording.latest(asking()).await.expect("told").until, asking().now, "an empty one ends now");
    std::fs::write(&path, "{\"data\": [NaN]}").expect("written");
    assert!(matches!(recording.latest(asking()).await, Err(SourceError::Unreadable { .. })));
}

#[tokio::test]
async fn a_recording_that_was_read_ahead_is_there_when_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mock.json");
    let missing = Recording::new(path.clone()).read_ahead();
    missing.latest(asking()).await.expect_err("no file");
    std::fs::write(&path, page(&[row(0, "s-001", 87.2)], Value::Null).1.to_string()).expect("written");
    assert_eq!(missing.latest(asking()).await.expect("it is there now").records.len(), 1);
    let recording = Recording::new(path).read_ahead();
    while !recording.is_read() {
        tokio::task::yield_now().await;
    }
    assert_eq!(recording.latest(asking()).await.expect("told").records.len(), 1);
}
