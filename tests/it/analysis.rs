//! `simulate` and `analyze` as a user starts them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The product in a folder of its own, with these settings and no other.
fn ran(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sre-space"));
    command.args(args).current_dir(folder).env_clear().env("SRE_SPACE_DATA_DIR", folder.join("data"));
    command.output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What it prints, once it has ended well.
fn told(folder: &Path, args: &[&str]) -> String {
    let ran = ran(folder, args);
    assert!(ran.status.success(), "{args:?}: {}", text(&ran.stderr));
    text(&ran.stdout)
}

/// Name, errors and minutes of each incident of a report.
fn incidents(report: &Value) -> Vec<(&str, u64, f64)> {
    let one = |one: &'_ Value| -> Option<(u64, f64)> {
        Some((one["error_count"].as_u64()?, one["duration_minutes"].as_f64()?))
    };
    let all = report["incidents"].as_array().expect("incidents").iter();
    all.map(|incident| {
        let (errors, minutes) = one(incident).expect("numbers");
        (incident["incident_id"].as_str().expect("a name"), errors, minutes)
    })
    .collect()
}

fn has_the_leak(report: &Value) {
    assert_eq!(incidents(report), [("host-stressed@2025-12-13T04:10:00Z", 13, 60.0)]);
    let causes = report["incidents"][0]["hypotheses"].as_array().expect("hypotheses");
    assert!(causes.iter().any(|cause| cause["class"] == "memory-leak"), "{causes:?}");
}

#[test]
fn a_flight_in_the_tables_is_one_incident_and_the_leak_is_among_its_causes() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulated = told(folder.path(), &["simulate", "--seed", "7"]);
    assert!(simulated.contains("2321 of 2321 events are in the table signal_events"), "{simulated}");
    has_the_leak(&serde_json::from_str(&told(folder.path(), &["analyze", "-o", "json"])).expect("JSON"));
    told(folder.path(), &["analyze", "--hours", "11"]);
    let history = told(folder.path(), &["analyze", "--history"]);
    assert_eq!(history.lines().count(), 1, "{history}");
    assert!(history.starts_with("2025-12-13T04:10:00Z  host-stressed  13 error(s), 60.0 min: "), "{history}");
    assert!(history.contains("memory-leak of memory"), "{history}");
    assert_eq!(told(folder.path(), &["analyze", "--history", "--host", "host-healthy"]), "");
}

#[test]
fn a_flight_in_a_file_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    told(folder.path(), &["simulate", "--seed", "7", "--out", "flight.jsonl"]);
    let report = told(folder.path(), &["analyze", "--input", "flight.jsonl", "-o", "json"]);
    has_the_leak(&serde_json::from_str(&report).expect("JSON"));
    assert!(!folder.path().join("data").exists(), "a file needs no tables");
}

#[test]
fn supabase_without_its_settings_is_wrong_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["simulate", "analyze"] {
        let ran = ran(folder.path(), &[command, "--store", "supabase"]);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{said}");
        assert!(said.contains("SUPABASE_URL") && said.contains("SUPABASE_KEY"), "{said}");
    }
}

#[test]
fn beside_a_running_server_it_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let lock = std::fs::File::create(data.join("journal.lock")).expect("a file");
    lock.lock().expect("as a server holds it");
    for (command, mend) in [("analyze", "--input"), ("simulate", "--out")] {
        let ran = ran(folder.path(), &[command]);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains("a running server has these tables") && said.contains(mend), "{said}");
    }
}
