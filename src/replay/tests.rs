//! A small recorded town: one service calls another, which breaks at a known time.

use std::io::Write as _;

use serde_json::{Value, json};

use super::*;

const START_MS: u64 = 1_800_000_000_000;
const BREAKS_MS: u64 = 20_000;

/// Span `id` of a request below `parent`; when it began and what it took.
fn span(request: u64, (id, parent, kind): (u64, Option<u64>, u8), (at_ms, took_ms): (u64, u64), failed: bool) -> Value {
    let nanos = |ms: u64| ((START_MS + ms) * 1_000_000).to_string();
    json!({
        "traceId": format!("{:032x}", request + 1), "spanId": format!("{:016x}", request * 8 + id),
        "parentSpanId": parent.map(|parent| format!("{:016x}", request * 8 + parent)).unwrap_or_default(),
        "name": if id == 3 { "GET /rate" } else { "GET /quote" }, "kind": kind,
        "startTimeUnixNano": nanos(at_ms), "endTimeUnixNano": nanos(at_ms + took_ms),
        "status": { "code": if failed { 2 } else { 0 } }
    })
}

fn batch(service: &str, spans: Vec<Value>) -> Value {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
    json!({ "resource": resource, "scopeSpans": [{ "spans": spans }] })
}

/// A request every 20 ms for a minute; from `breaks` on, 8 in 10 fail at the callee.
fn town(breaks: Option<u64>) -> String {
    let request = |number: u64| {
        let at = number * 20;
        let failed = breaks.is_some_and(|breaks| at >= breaks) && number % 10 < 8;
        let web =
            vec![span(number, (1, None, 2), (at, 30), failed), span(number, (2, Some(1), 3), (at + 2, 26), failed)];
        let rate = vec![span(number, (3, Some(2), 2), (at + 4, 20), failed)];
        json!({ "resourceSpans": [batch("web", web), batch("rating", rate)] }).to_string()
    };
    (0..3_000).map(request).collect::<Vec<_>>().join("\n")
}

fn recorded(text: &str, name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(name);
    let mut file = File::create(&path).expect("a file");
    if name.ends_with(".gz") {
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).expect("written");
        gzip.finish().expect("written");
    } else if name.ends_with(".bin") {
        for line in text.lines() {
            let body = json::to_protobuf(Telemetry::Traces, line.as_bytes()).expect("OTLP");
            file.write_all(&u32::try_from(body.len()).expect("small").to_be_bytes()).expect("written");
            file.write_all(&body).expect("written");
        }
    } else {
        file.write_all(text.as_bytes()).expect("written");
    }
    (dir, path)
}

#[test]
fn a_recorded_failure_is_found_where_it_begins_however_it_was_written() {
    let text = town(Some(BREAKS_MS));
    let mut reports = Vec::new();
    for name in ["town.jsonl", "town.jsonl.gz", "town.bin"] {
        let (_dir, path) = recorded(&text, name);
        reports.push(replay(&[path], 800, &mut |_| {}).expect("replayed"));
    }
    let report = &reports[0];
    assert_eq!((report.spans, report.rejected, report.incidents.len()), (9_000, 0, 1), "{report:#?}");
    let after_ms = report.incidents[0].confirmed_ms - i64::try_from(START_MS + BREAKS_MS).expect("a time");
    assert!((0..2_000).contains(&after_ms), "confirmed {after_ms} ms after it broke");
    let found = report.incidents[0].diagnosis.as_ref().expect("a diagnosis");
    assert_eq!((found.service.as_str(), found.operation.as_str()), ("rating", "GET /rate"));
    assert!(reports.iter().all(|other| other == report), "the same telemetry tells the same story");
}

#[test]
fn healthy_traffic_tells_nothing() {
    let (_dir, path) = recorded(&town(None), "town.jsonl");
    assert_eq!(replay(&[path], 800, &mut |_| {}).expect("replayed").incidents, []);
}

#[test]
fn what_is_no_recording_is_refused_by_file_and_line() {
    let (_dir, path) = recorded("{\"resourceSpans\": []}\nnonsense", "odd.jsonl");
    let refused = format!("{:#}", replay(&[path], 800, &mut |_| {}).expect_err("refused"));
    assert!(refused.contains("odd.jsonl") && refused.contains("line 2"), "{refused}");
}
