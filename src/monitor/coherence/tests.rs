//! The engine's routes over real parts: a recording or a stub of Darshan, real stores, and the committed schema.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::tests::{Server, server_with};

/// A recording: a steady signal, an unsteady one, one that is long gone, and rows that are none.
fn recording(folder: &Path) -> String {
    let row = |minute: u32, signal: &str, score: f64| {
        json!({
            "timestamp": format!("2025-10-29T17:{minute:02}:00Z"), "signal_id": signal, "coherenceScore": score,
            "agentStates": {"idle": 3, "active": 7}, "eventCount": 10,
        })
    };
    // Told a second time, and counted as it is then.
    let mut rows = vec![row(0, "steady", 10.0)];
    rows.extend((1..=60).map(|n| row(n - 1, "steady", 85.0 + f64::from(n % 3))));
    rows.extend([row(10, "unsteady", 20.0), row(20, "unsteady", 100.0)]);
    rows.push(json!({"timestamp": "2025-10-29T02:00:00Z", "signal_id": "gone", "coherenceScore": 50.0}));
    rows.push(json!({"timestamp": "soon", "coherenceScore": 50.0}));
    let path = folder.join("mock.json");
    std::fs::write(&path, json!({"data": rows, "next_page": null}).to_string()).expect("written");
    path.display().to_string()
}

async fn recorded(more: &[(&str, &str)]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = recording(folder.path());
    (server_with(&[&[("MOCK_PATH", path.as_str())], more].concat()).await, folder)
}

async fn ask(server: &Server, path: &str, id: &str) -> (Response<()>, Value) {
    let request = Request::get(path).header("x-request-id", id).body(Body::empty()).expect("a request");
    let answer = server.router.clone().oneshot(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap_or_default())
}

/// Holds an answer to the committed schema.
fn held_to_schema(answer: &Value) {
    let schema = serde_json::from_str(include_str!("../../../docs/schema/coherence-report.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{answer}");
}

#[tokio::test]
async fn every_figure_is_answered_with_its_inputs_as_the_schema_says() {
    let (server, _folder) = recorded(&[("ENGINE_VERSION", "0.1.0")]).await;
    let mut told = Vec::new();
    for path in ["/coherence/metrics?window=1h&signal=steady", "/coherence/predict?window=3600&signal=steady"] {
        let (head, mut report) = ask(&server, path, "r-42").await;
        assert_eq!(head.status(), StatusCode::OK, "{report}");
        held_to_schema(&report);
        assert_eq!(head.headers()["x-request-id"], "r-42");
        assert!(report["meta"]["latency_ms"].as_u64().is_some_and(|ms| ms >= 1), "{report}");
        report["meta"]["latency_ms"] = json!(null);
        told.push(report);
    }
    // 60 scores, 20 each of 85, 86 and 87: mean 86, squares 20 + 20.
    let stdev = (40.0_f64 / 59.0).sqrt();
    let close = |name: &str, expected: f64| (told[0][name].as_f64().expect("a number") - expected).abs() < 1e-12;
    assert!(
        close("coherenceMean", 86.0) && close("stdev", stdev) && close("volatilityIndex", stdev / 86.0),
        "{told:?}"
    );
    let mut rest = told[0].clone();
    for figure in ["coherenceMean", "stdev", "volatilityIndex"] {
        rest[figure] = json!(null);
    }
    let expected = json!({
        "coherenceMean": null, "stdev": null, "volatilityIndex": null, "predictedDriftRisk": "low",
        "timestamp": "2025-10-29T17:59:00Z", "windowSec": 3600, "n": 60, "signal": "steady",
        "inputs": {
            "start_ts": "2025-10-29T16:59:00Z", "end_ts": "2025-10-29T17:59:00Z", "source": "mock", "refused_rows": 1,
        },
        "meta": {"method": "mean/stdev rule-based", "engine_version": "0.1.0", "latency_ms": null, "request_id": "r-42"},
    });
    assert_eq!(rest, expected);
    assert_eq!(told[0], told[1], "a forecast of this version is the same figures");
}

#[tokio::test]
async fn a_window_is_the_usual_one_where_none_is_named_and_signals_are_told_apart() {
    let (server, _folder) = recorded(&[("DEFAULT_WINDOWS", "5m,24h")]).await;
    let (_, usual) = ask(&server, "/coherence/metrics", "a").await;
    assert_eq!((&usual["windowSec"], &usual["n"], &usual["signal"]), (&json!(300), &json!(5), &json!(null)));
    let (_, day) = ask(&server, "/coherence/metrics?window=24h", "a").await;
    assert_eq!(day["n"], 63);
    let (_, unsteady) = ask(&server, "/coherence/metrics?window=24h&signal=unsteady", "a").await;
    assert_eq!((&unsteady["coherenceMean"], &unsteady["predictedDriftRisk"]), (&json!(60.0), &json!("high")));
    held_to_schema(&unsteady);
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_that_helps() {
    let (server, _folder) = recorded(&[]).await;
    let bare = server_with(&[]).await;
    let missing = server_with(&[("MOCK_PATH", "/nowhere/mock.json")]).await;
    let away = server_with(&[("DARSHAN_BASE_URL", "http://127.0.0.1:9/v1"), ("DARSHAN_MAX_RETRIES", "0")]).await;
    let cases = [
        (&server, "/coherence/metrics?window=soon", 400, "30s, 5m, 1h, 24h"),
        (&server, "/coherence/metrics?window=0", 400, "window: "),
        (&server, "/coherence/metrics?window=", 400, "window: "),
        (&server, "/coherence/metrics?signal=", 400, "signal: "),
        (&server, "/coherence/metrics?signal=gone&window=1h", 404, "signal \"gone\" after 2025-10-29T16:59:00Z"),
        (&server, "/coherence/metrics?signal=gone&window=1h", 404, "1 rows could not be used, the first is row 65: "),
        (&server, "/coherence/history", 404, "PERSISTENCE"),
        (&bare, "/coherence/metrics", 503, "DARSHAN_BASE_URL"),
        (&missing, "/coherence/predict", 502, "MOCK_PATH"),
        (&away, "/coherence/metrics", 503, "darshan cannot be reached: no connection"),
    ];
    for (server, path, status, words) in cases {
        let (head, problem) = ask(server, path, "r-1").await;
        assert_eq!((head.status().as_u16(), problem["status"].as_u64()), (status, Some(status.into())), "{problem}");
        assert_eq!(head.headers()["content-type"], "application/problem+json");
        assert_eq!(head.headers()["x-request-id"], "r-1");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{path}: {problem}");
    }
}

#[tokio::test]
async fn history_tells_what_was_told_and_outlives_the_server() {
    for persistence in ["csv", "sqlite"] {
        let (server, folder) = recorded(&[("PERSISTENCE", persistence)]).await;
        let paths = ["/coherence/metrics?window=1h", "/coherence/predict?window=5m&signal=steady"];
        let mut told = Vec::new();
        for path in paths {
            told.push(ask(&server, path, "r").await.1);
        }
        let (head, history) = ask(&server, "/coherence/history", "r").await;
        assert_eq!((head.status(), &history), (StatusCode::OK, &json!(told)), "{persistence}");
        told.iter().for_each(held_to_schema);
        for (query, expected) in [("limit=1", &told[1]), ("window=1h", &told[0]), ("signal=steady", &told[1])] {
            assert_eq!(ask(&server, &format!("/coherence/history?{query}"), "r").await.1, json!([expected]), "{query}");
        }
        assert_eq!(ask(&server, "/coherence/history?limit=0", "r").await.0.status(), StatusCode::BAD_REQUEST);
        drop(folder);
    }
}

#[tokio::test]
async fn without_persistence_nothing_is_written() {
    let (server, _folder) = recorded(&[("PERSISTENCE", "none")]).await;
    assert_eq!(ask(&server, "/coherence/metrics", "r").await.0.status(), StatusCode::OK);
    let names = std::fs::read_dir(server.data_dir())
        .expect("the data folder")
        .map(|entry| entry.expect("an entry").file_name());
    let rolling: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("rolling_store")).collect();
    assert_eq!(rolling, Vec::<std::ffi::OsString>::new());
}

#[tokio::test]
async fn one_request_id_reaches_darshan_and_now_ends_the_window() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let stub = Arc::clone(&seen);
    let answer = async move |Query(query): Query<std::collections::HashMap<String, String>>, headers: HeaderMap| {
        let id = headers["x-request-id"].to_str().expect("text").to_owned();
        stub.lock().expect("a lock").push((id, query["end_ts"].clone()));
        Json(
            json!({"data": [{"timestamp": query["end_ts"], "signal_id": "a", "coherenceScore": 90}], "next_page": null}),
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let router = Router::new().route("/v1/signals/summary", get(answer));
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await });
    let server = server_with(&[("DARSHAN_BASE_URL", &url)]).await;
    let before = jiff::Timestamp::now();
    let (head, report) = ask(&server, "/coherence/metrics", "from-outside").await;
    assert_eq!(
        (head.status(), &report["n"], &report["inputs"]["source"]),
        (StatusCode::OK, &json!(1), &json!("darshan_api"))
    );
    let end: jiff::Timestamp = report["timestamp"].as_str().and_then(|text| text.parse().ok()).expect("a moment");
    assert!(before <= end && end <= jiff::Timestamp::now(), "{report}");
    assert_eq!(*seen.lock().expect("a lock"), [("from-outside".to_owned(), end.to_string())]);
}

#[tokio::test]
async fn status_health_and_metrics_tell_of_the_engine() {
    let (server, _folder) = recorded(&[("ENGINE_VERSION", "0.1.0"), ("PERSISTENCE", "csv")]).await;
    assert_eq!(ask(&server, "/health", "r").await.1, json!({"status": "ok", "version": "0.1.0"}));
    let (_, before) = ask(&server, "/status", "r").await;
    assert_eq!(before["coherence"]["last_ingest"], Value::Null);
    for path in ["/coherence/metrics", "/coherence/metrics?window=soon", "/coherence/history"] {
        ask(&server, path, "r").await;
    }
    let (_, status) = ask(&server, "/status", "r").await;
    let engine = &status["coherence"];
    let named = (&engine["source"], &engine["persistence"], &engine["engine_version"], &engine["windows"]);
    assert_eq!(named, (&json!("mock"), &json!("csv"), &json!("0.1.0"), &json!(["1h", "24h"])));
    let counts =
        (&engine["requests_told"], &engine["requests_refused"], &engine["requests_failed"], &engine["error_ratio"]);
    assert_eq!(counts, (&json!(2), &json!(1), &json!(0), &json!(0.0)));
    assert!(
        engine["last_ingest"].is_string() && engine["latency_p95_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{engine}"
    );
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let answer = server.router.clone().oneshot(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let page = String::from_utf8_lossy(&body).into_owned();
    for line in [
        "sre_space_coherence_requests_total{outcome=\"told\"} 2",
        "sre_space_coherence_requests_total{outcome=\"refused\"} 1",
        "sre_space_coherence_error_ratio 0",
        "sre_space_coherence_latency_seconds{quantile=\"0.95\"} ",
        "sre_space_coherence_last_ingest_timestamp_seconds ",
    ] {
        assert!(page.lines().any(|has| has.starts_with(line)), "{line}: {page}");
    }
}

/// What is logged, line by line.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("a lock").clone()).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

#[tokio::test]
async fn one_request_is_followed_through_the_log_from_ingest_to_store() {
    let (server, _folder) = recorded(&[("PERSISTENCE", "sqlite")]).await;
    // While there is only one log, a line of code that is first reached on a thread without it stays silent everywhere, and other
    // tests are such threads: so there are two.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    ask(&server, "/coherence/metrics?window=1h&signal=steady", "r-9").await;
    drop(guard);
    let lines: Vec<Value> = log.lines().into_iter().filter(|line| line["request_id"] == "r-9").collect();
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["ingest", "compute", "store", "request"]);
    let (ingest, compute) = (&lines[0], &lines[1]);
    assert_eq!(
        (&ingest["records"], &ingest["refused_rows"], &ingest["source"]),
        (&json!(63), &json!(1), &json!("mock"))
    );
    let said = (&compute["signal"], &compute["window"], &compute["n"], &compute["mean"], &compute["risk"]);
    assert_eq!(said, (&json!("steady"), &json!("1h"), &json!(60), &json!(86.0), &json!("low")));
    assert!(compute["volatility"].is_f64() && compute["latency_ms"].is_f64(), "{compute}");
    assert_eq!((&lines[2]["store"], &lines[3]["status"]), (&json!("sqlite"), &json!(200)));
}
