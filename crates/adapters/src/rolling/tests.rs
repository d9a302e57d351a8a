//! Both stores against their contract, and what each does with a file that is not as it left it.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use sre_space_coherence::window::Window;
use sre_space_ports::contract::rolling::{self as contract, Open, report};
use sre_space_ports::rolling::{Rolling, Wish};
use tempfile::tempdir;

use super::*;

fn opener(name: &'static str, folder: &Path) -> Box<Open> {
    let folder = folder.to_owned();
    Box::new(move || {
        let folder = folder.clone();
        Box::pin(async move {
            match name {
                "csv" => Arc::new(CsvStore::in_folder(&folder)) as Arc<dyn Rolling>,
                _ => Arc::new(SqliteStore::in_folder(&folder).await.expect("opened")),
            }
        })
    })
}

#[tokio::test]
async fn both_stores_keep_the_contract() {
    for name in ["csv", "sqlite"] {
        let folders = [(); 3].map(|()| tempdir().expect("a folder"));
        let [first, second, third] = &folders;
        contract::reports_come_back_as_they_were(&*opener(name, first.path())).await;
        contract::signals_and_windows_are_told_apart(&*opener(name, second.path())).await;
        contract::appending_at_once_loses_nothing(&*opener(name, third.path())).await;
    }
}

fn all() -> Wish {
    Wish { limit: 100, ..Wish::default() }
}

#[tokio::test]
async fn a_csv_row_that_was_cut_short_costs_no_other_row() {
    let folder = tempdir().expect("a folder");
    let store = CsvStore::in_folder(folder.path());
    store.append(&report(1, Some("a"), Window::HOUR)).await.expect("written");
    let path = folder.path().join("rolling_store.csv");
    let mut file = std::fs::File::options().append(true).open(&path).expect("the file");
    file.write_all(b"2025-10-29T17:43:00Z,a,36").expect("cut short");
    store.append(&report(2, Some("a"), Window::HOUR)).await.expect("written");
    let kept = store.newest(&all()).await.expect("read");
    assert_eq!(kept, [report(1, Some("a"), Window::HOUR), report(2, Some("a"), Window::HOUR)]);
}

#[tokio::test]
async fn the_csv_file_has_a_heading_once_and_an_end() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("rolling_store.csv");
    let store = CsvStore::bounded(folder.path(), 600);
    for number in 0..2 {
        store.append(&report(number, None, Window::HOUR)).await.expect("written");
    }
    let text = std::fs::read_to_string(&path).expect("the file");
    let heading = "ts_utc,signal,window_sec,n,mean,stdev,volatility_index,drift_risk,source,start_ts,end_ts,refused_rows,\
                   method,engine_version,latency_ms,request_id";
    assert_eq!((text.lines().next(), text.lines().count()), (Some(heading), 3), "{text}");
    for number in 2..5 {
        store.append(&report(number, None, Window::HOUR)).await.expect("written");
    }
    assert!(folder.path().join("rolling_store.1.csv").exists());
    let newest = store.newest(&Wish { limit: 1, ..Wish::default() }).await.expect("read");
    assert_eq!(newest, [report(4, None, Window::HOUR)]);
}

#[tokio::test]
async fn sqlite_keeps_them_in_the_table_that_is_promised() {
    let folder = tempdir().expect("a folder");
    let store = SqliteStore::in_folder(folder.path()).await.expect("opened");
    store.append(&report(1, Some("s-001"), Window::HOUR)).await.expect("written");
    let url = format!("sqlite://{}", folder.path().join("rolling_store.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("the file");
    let asked = "SELECT signal, window_sec, n, request_id FROM rolling_metrics";
    let row: (String, i64, i64, String) = sqlx::query_as(asked).fetch_one(&pool).await.expect("a row");
    assert_eq!(row, ("s-001".to_owned(), 3_600, 2, "r-1".to_owned()));
}
