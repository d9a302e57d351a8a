//! What every rolling store must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sre_space_coherence::drift::{Drift, METHOD, Meta, Report, ReportContext};
use sre_space_coherence::window::Window;

use crate::rolling::{Rolling, Wish};

/// Opens the same store again, as a restart would.
pub type Open = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Rolling>>>>;

/// A report to keep: its number, signal and window.
pub fn report(number: u32, signal: Option<&str>, window: Window) -> Report {
    let scores = [0.1 + f64::from(number), 0.7 / 3.0];
    let meta = Meta {
        method: METHOD.to_owned(),
        engine_version: "0.1.0".to_owned(),
        latency_ms: u64::from(number),
        request_id: format!("r-{number}"),
    };
    let context = ReportContext {
        signal: signal.map(str::to_owned),
        window,
        end_ts: jiff::Timestamp::from_millisecond(1_761_759_780_123 + i64::from(number)).expect("a moment"),
        source: "darshan_api".to_owned(),
        refused_rows: u64::from(number % 2),
        meta,
    };
    Report::of(&Drift::of(&scores).expect("figures"), context)
}

fn wish(limit: usize, signal: Option<&str>, window: Option<Window>) -> Wish {
    Wish { limit, signal: signal.map(str::to_owned), window }
}

/// Reports come back as they were, in their order, also after a restart; and an absent number stays absent.
pub async fn reports_come_back_as_they_were(open: &Open) {
    let store = open().await;
    assert_eq!(store.newest(&wish(10, None, None)).await.expect("read"), []);
    // Names that a file format might take for its own.
    let names = [None, Some("s-001"), Some("a,b"), Some("say \"hi\""), Some("null"), Some("naïve λ")];
    let mut reports: Vec<Report> = names.iter().zip(0..).map(|(name, n)| report(n, *name, Window::HOUR)).collect();
    let unsteady = Drift { volatility: None, mean: 0.0, ..Drift::of(&[0.0]).expect("figures") };
    reports[1].volatility_index = unsteady.volatility;
    for report in &reports[..3] {
        store.append(report).await.expect("written");
    }
    drop(store);
    let store = open().await;
    for report in &reports[3..] {
        store.append(report).await.expect("written");
    }
    assert_eq!(store.newest(&wish(10, None, None)).await.expect("read"), reports);
    assert_eq!(store.newest(&wish(2, None, None)).await.expect("read"), reports[4..]);
    assert_eq!(store.newest(&wish(0, None, None)).await.expect("read"), []);
}

/// A signal's and a window's reports are told apart.
pub async fn signals_and_windows_are_told_apart(open: &Open) {
    let (store, minute) = (open().await, Window::of_seconds(60).expect("a window"));
    let reports = [
        report(1, Some("a"), Window::HOUR),
        report(2, Some("b"), Window::HOUR),
        report(3, Some("a"), minute),
        report(4, None, minute),
    ];
    for report in &reports {
        store.append(report).await.expect("written");
    }
    let told = async |signal, window| -> Vec<u64> {
        let found = store.newest(&wish(10, signal, window)).await.expect("read");
        found.iter().map(|report| report.meta.latency_ms).collect()
    };
    assert_eq!(told(Some("a"), None).await, [1, 3]);
    assert_eq!(told(None, Some(minute)).await, [3, 4]);
    assert_eq!(told(Some("a"), Some(minute)).await, [3]);
    assert_eq!(told(Some("c"), None).await, Vec::<u64>::new());
}

/// Reports that are appended at the same time are all kept whole.
pub async fn appending_at_once_loses_nothing(open: &Open) {
    let store = open().await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..50 {
        let store = Arc::clone(&store);
        writers.spawn(async move { store.append(&report(number, Some("a"), Window::HOUR)).await.expect("written") });
    }
    writers.join_all().await;
    let mut kept: Vec<u64> =
        store.newest(&wish(100, None, None)).await.expect("read").iter().map(|report| report.meta.latency_ms).collect();
    kept.sort_unstable();
    assert_eq!(kept, (0..50).collect::<Vec<_>>());
}
