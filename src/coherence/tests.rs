//! The engine over a source in memory: what is in a window, whatever the order it came in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::ToSpan as _;
use sre_space_ports::summary::Effort;

use super::*;

/// Tells what it holds, as of a moment.
struct Held {
    until: Timestamp,
    records: Mutex<Vec<Record>>,
}

#[async_trait]
impl Summaries for Held {
    fn name(&self) -> &'static str {
        "mock"
    }

    async fn latest(&self, _asking: Asking<'_>) -> Result<Latest, SourceError> {
        let mut records = self.records.lock().expect("a lock").clone();
        records.sort_by_key(|record| record.at);
        Ok(Latest { until: self.until, records: records.into(), ..Latest::default() })
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

/// A store that takes nothing.
struct Broken;

#[async_trait]
impl Rolling for Broken {
    fn name(&self) -> &'static str {
        "csv"
    }

    async fn append(&self, _report: &Report) -> Result<(), RollingError> {
        Err(RollingError { what: "cannot be written", why: "the disk is full".to_owned() })
    }

    async fn newest(&self, _wish: &Wish) -> Result<Vec<Report>, RollingError> {
        Ok(Vec::new())
    }
}

fn until() -> Timestamp {
    "2025-10-29T17:43:00Z".parse().expect("a moment")
}

/// A record so many seconds before the end.
fn record(seconds: i64, signal: &str, coherence_score: f64) -> Record {
    let at = until().checked_sub(seconds.seconds()).expect("a moment");
    Record { at, signal: Some(signal.into()), coherence_score, agent_states: [].into(), event_count: None }
}

fn engine(records: Vec<Record>, rolling: Option<Arc<dyn Rolling>>) -> Arc<Engine> {
    let held = Held { until: until(), records: Mutex::new(records) };
    let windows = ["5m", "1h"].map(|window| window.parse().expect("a window")).into();
    Engine::new(Setup { summaries: Some(Arc::new(held)), rolling, windows, version: "0.1.0".to_owned() })
}

async fn ask(engine: &Engine, window: Option<&str>, signal: Option<&str>) -> Result<Report, NoFigures> {
    let window = window.map(|window| window.parse().expect("a window"));
    let question = Question { window, signal: signal.map(str::to_owned) };
    engine.report(&question, until(), &RequestId::of(&axum::http::HeaderMap::new())).await
}

fn bounds(report: &Report) -> (u64, i64) {
    let length = report.inputs.end_ts.duration_since(report.inputs.start_ts);
    assert_eq!((report.timestamp, length.as_secs()), (report.inputs.end_ts, i64::from(report.window_sec)));
    (report.n, length.as_secs())
}

#[tokio::test]
async fn only_records_of_the_window_and_the_signal_count() {
    let records = [3_600, 3_599, 301, 300, 299, 0, -1].map(|seconds| record(seconds, "a", 80.0));
    let engine = engine([&records[..], &[record(10, "b", 20.0)]].concat(), None);
    assert_eq!(
        bounds(&ask(&engine, None, None).await.expect("figures")),
        (3, 300),
        "the first window is the usual one"
    );
    assert_eq!(bounds(&ask(&engine, Some("1h"), None).await.expect("figures")), (6, 3_600));
    assert_eq!(bounds(&ask(&engine, Some("1h"), Some("a")).await.expect("figures")), (5, 3_600));
    assert_eq!(ask(&engine, Some("1h"), Some("b")).await.expect("figures").coherence_mean, 20.0);
    assert_eq!(bounds(&ask(&engine, Some("1s"), None).await.expect("figures")), (1, 1));
}

#[tokio::test]
async fn an_empty_window_has_no_figures_and_says_what_was_looked_for() {
    let engine = engine(vec![record(3_600, "a", 80.0)], None);
    let why = ask(&engine, Some("1h"), Some("b")).await.expect_err("empty").to_string();
    let expected = "mock has no record of signal \"b\" after 2025-10-29T16:43:00Z and up to 2025-10-29T17:43:00Z: \
                    there is nothing to compute";
    assert_eq!(why, expected);
    let nothing = Setup { summaries: None, rolling: None, windows: vec![], version: String::new() };
    let why = ask(&Engine::new(nothing), None, None).await.expect_err("no source").to_string();
    assert!(why.contains("DARSHAN_BASE_URL") && why.contains("MOCK_PATH"), "{why}");
}

#[tokio::test]
async fn a_store_that_fails_changes_no_answer_and_is_counted() {
    let records = vec![record(1, "a", 80.0), record(2, "a", 90.0)];
    let engine = engine(records, Some(Arc::new(Broken)));
    assert_eq!(ask(&engine, None, None).await.expect("figures").coherence_mean, 85.0);
    assert_eq!(engine.status()["not_kept"], 1);
}

#[tokio::test]
async fn any_order_of_arrival_tells_the_very_same() {
    let records: Vec<Record> = (0..200).map(|n| record(n, "a", 60.0 + f64::from(n as u8).sqrt())).collect();
    let shuffled: Vec<Record> = (0..200).map(|n| records[(n * 73) % 200].clone()).collect();
    let mut told = Vec::new();
    for records in [records.clone(), shuffled, records.into_iter().rev().collect()] {
        let report = ask(&engine(records, None), Some("1h"), None).await.expect("figures");
        told.push((
            report.coherence_mean,
            report.stdev,
            report.volatility_index,
            report.predicted_drift_risk,
            report.n,
        ));
    }
    assert!(told.iter().all(|figures| figures == &told[0]), "{told:?}");
}

/// Takes its time, and counts how many ask at once.
struct Slow {
    takes: Duration,
    asking: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Summaries for Slow {
    fn name(&self) -> &'static str {
        "darshan_api"
    }

    async fn latest(&self, _asking: Asking<'_>) -> Result<Latest, SourceError> {
        let asking = self.asking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(asking, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.asking.fetch_sub(1, Ordering::SeqCst);
        Ok(Latest { until: until(), records: [record(1, "a", 80.0)].into(), ..Latest::default() })
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

/// How many of five who ask together are answered, what the others are told, and how many readings there were at once.
async fn together(takes: Duration) -> (usize, Option<String>, usize) {
    let slow = Arc::new(Slow { takes, asking: AtomicUsize::new(0), most: AtomicUsize::new(0) });
    let source: Arc<dyn Summaries> = Arc::clone(&slow) as _;
    let engine = Engine::new(Setup { summaries: Some(source), rolling: None, windows: vec![], version: String::new() });
    let told = futures::future::join_all((0..5).map(|_| ask(&engine, None, None))).await;
    let others = told.iter().find_map(|told| told.as_ref().err().map(NoFigures::to_string));
    (told.iter().filter(|told| told.is_ok()).count(), others, slow.most.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn readings_follow_one_another_and_nobody_waits_for_ever() {
    assert_eq!(together(Duration::from_secs(2)).await, (5, None, 1));
    let busy = "a reading is under way already; ask again in a moment".to_owned();
    assert_eq!(together(Duration::from_secs(60)).await, (1, Some(busy), 1));
}
