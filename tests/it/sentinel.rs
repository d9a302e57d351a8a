//! The Sentinel as a user starts it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn sentinel(args: &[&str]) -> Output {
    sentinel_with(&[], args)
}

fn sentinel_with(env: &[(&str, &str)], args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder without settings");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sre-space"));
    command.arg("sentinel").args(args).current_dir(folder.path()).env_clear().envs(env.iter().copied());
    command.output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn the_simulated_host_is_told_in_the_same_bytes_and_shows_all_four() {
    let args = ["--source", "sim", "--seed", "7", "--ticks", "80", "-o", "json"];
    let (one, other) = (sentinel(&args), sentinel(&args));
    assert!(one.status.success(), "{}", text(&one.stderr));
    assert_eq!(one.stdout, other.stdout);
    let told = text(&one.stdout);
    let reports: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(reports.len(), 80);
    let advised: BTreeSet<String> = reports
        .iter()
        .flat_map(|report| report["vetoes"].as_array().expect("vetoes"))
        .map(|veto| format!("{} {} {}", veto["sensor"], veto["domain"], veto["action"]).replace('"', ""))
        .collect();
    let all = ["auto_immune INTENT CAP_RETRIES", "fever RESOURCE THROTTLE", "seizure COMPUTE SHED_LOAD"];
    assert_eq!(advised, BTreeSet::from(all.map(str::to_owned)));
    let statuses: BTreeSet<&str> = reports.iter().filter_map(|report| report["status"].as_str()).collect();
    assert_eq!(statuses, BTreeSet::from(["NOMINAL", "STALE", "VETO", "WARMUP"]));
    let flags: BTreeSet<&str> = reports
        .iter()
        .flat_map(|report| report["flags"].as_array().expect("flags"))
        .filter_map(Value::as_str)
        .collect();
    assert!(flags.contains("CASCADE") && flags.contains("PERSISTENT"), "{flags:?}");
    let last = &reports[79];
    assert!(last["chain"]["risk"].as_f64().is_some_and(|risk| risk > 0.9), "{last}");
    assert!(last["narrative"].as_str().is_some_and(|told| told.contains("shed load")), "{last}");
    assert_ne!(one.stdout, sentinel(&["--seed", "8", "--ticks", "80", "-o", "json"]).stdout);
}

#[test]
fn without_its_advanced_part_it_vetoes_all_the_same_and_says_why_it_is_basic() {
    let told = sentinel_with(&[("SRE_SPACE_SENTINEL_ADVANCED", "off")], &["--ticks", "60", "-o", "json"]);
    let last = text(&told.stdout).lines().last().map(str::to_owned).expect("a line");
    let report: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(report["vetoes"][0]["action"], "SHED_LOAD", "{report}");
    let cause = report["mode"]["cause"].as_str().expect("why");
    assert!(report["narrative"].as_str().is_some_and(|told| told.contains(cause)), "{report}");
    let logged = text(&told.stderr);
    assert!(logged.contains("the Sentinel goes on with basic physics alone") && logged.contains(cause), "{logged}");
}

#[test]
fn a_pipe_gets_plain_lines_and_the_incident_at_the_end() {
    let told = sentinel(&["--ticks", "80"]);
    let lines = text(&told.stdout);
    assert!(told.status.success() && lines.lines().count() == 81 && !lines.contains('\u{1b}'), "{lines}");
    let last = lines.lines().last().expect("a line");
    assert!(
        last.contains("Incident since") && last.contains("(fever, auto_immune, spike, seizure), risk 1.00."),
        "{last}"
    );
}

#[test]
fn this_host_is_judged_once_it_has_warmed_up() {
    let told = sentinel(&["--source", "live", "--once", "-o", "json"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let report: Value = serde_json::from_str(&text(&told.stdout)).expect("JSON");
    assert_eq!((report["source"].as_str(), report["tick"].as_u64()), (Some("live"), Some(6)), "{report}");
    assert!(report["load"]["samples"].as_u64().is_some_and(|samples| samples >= 5), "{report}");
    assert!(report["memory_bytes"].as_f64().is_some_and(|bytes| bytes > 0.0), "{report}");
}

#[test]
fn a_file_is_judged_row_by_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cpu.csv");
    let row = |at: i64| {
        let value = if at == 900 { 99.0 } else { 20.0 + ((at * 7) % 11) as f64 / 10.0 };
        let stamp = jiff::Timestamp::from_second(at * 300).expect("a moment").strftime("%Y-%m-%d %H:%M:%S").to_string();
        format!("{stamp},{value}\n")
    };
    std::fs::write(&file, format!("timestamp,value\n{}", (0..1_000).map(row).collect::<String>())).expect("written");
    let told = sentinel(&["--source", "csv", "--input", file.to_str().expect("a path"), "-o", "json"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let rows: Vec<Value> = text(&told.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let keys: Vec<&str> = rows[0].as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!((rows.len(), keys), (1_000, vec!["timestamp", "value", "anomaly_score", "flags"]));
    assert!(rows.iter().all(|row| row["anomaly_score"].as_f64().is_some_and(|score| (0.0..=1.0).contains(&score))));
    assert_eq!(
        (rows[0]["timestamp"].as_str(), rows[900]["flags"][0].as_str()),
        (Some("1970-01-01 00:00:00"), Some("ANOMALY"))
    );
    let none = sentinel(&["--source", "csv"]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
}

#[test]
fn a_source_that_lacks_its_settings_is_wrong_configuration() {
    let told = sentinel(&["--source", "datadog", "--once"]);
    let said = text(&told.stderr);
    assert_eq!(told.status.code(), Some(2), "{said}");
    assert!(said.contains("DATADOG_API_KEY") && said.contains("DATADOG_APP_KEY"), "{said}");
}

#[test]
fn an_unknown_source_is_wrong_usage() {
    let told = sentinel(&["--source", "crystal-ball"]);
    let said = text(&told.stderr);
    assert_eq!(told.status.code(), Some(2), "{said}");
    assert!(["sim", "live", "datadog", "Usage: sre-space sentinel"].iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn it_has_nothing_to_write_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src/sentinel", "src/cli/sentinel", "crates/coherence/src/sentinel"] {
        for entry in
            std::fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            let Ok(code) = std::fs::read_to_string(&entry) else { continue };
            for port in
                ["Parts", "ports::forge", "ports::store", "ports::memory", "ports::bus", "ports::notify", "reqwest"]
            {
                assert!(!code.contains(port), "{} reaches {port}", entry.display());
            }
        }
    }
}
