//! The server's own state, for people (`/system/health`) and for Prometheus (`/metrics`).

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use sre_space_ports::store::Filter;

use super::Desk;
use super::problem::Problem;
use super::routes::Answer;
use crate::host::resident_bytes;

/// The routes.
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new().route("/system/health", get(health)).route("/metrics", get(metrics))
}

async fn health(State(desk): State<Arc<Desk>>) -> Answer {
    let status = (desk.status)();
    let journal = desk.store.newest().await.map_err(|error| Problem::internal(&error))?;
    let open = desk.store.unfinished().await.map_err(|error| Problem::internal(&error))?;
    let graph = (desk.services)();
    let services: serde_json::Map<String, Value> =
        nodes(&graph).filter_map(|node| Some((node["service"].as_str()?.to_owned(), node["state"].clone()))).collect();
    Ok(Json(json!({
        "status": status["mode"], "version": status["version"], "uptime_s": status["uptime_s"],
        "memory_mb": resident_bytes().map(|bytes| bytes / (1024 * 1024)), "bus": status["bus"],
        "journal": {"rows": journal}, "last_ingest_ms": status["ingest"]["last_ingest_ms"], "services": services,
        "incidents": open.iter().map(|record| json!({
            "id": record.incident.id, "state": record.incident.state, "service": record.incident.service,
            "doing": record.pending.as_ref().map(|effect| effect.name()),
        })).collect::<Vec<_>>(),
        "autonomy": desk.autonomy.status(),
    })))
}

fn nodes(graph: &Value) -> impl Iterator<Item = &Value> {
    graph["nodes"].as_array().into_iter().flatten()
}

/// One metric in the Prometheus text format, version 0.0.4.
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str, rows: Vec<(String, f64)>) {
        // Writing into a String cannot fail.
        _ = writeln!(self.0, "# HELP sre_space_{name} {help}\n# TYPE sre_space_{name} {kind}");
        for (labels, value) in rows {
            _ = writeln!(self.0, "sre_space_{name}{labels} {value}");
        }
    }
}

/// Labels in braces; names from telemetry are escaped as the format wants.
fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

async fn metrics(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    let (status, graph) = ((desk.status)(), (desk.services)());
    let records = desk.store.incidents(Filter::default()).await.map_err(|error| Problem::internal(&error))?;
    let mut page = Page(String::new());
    ingest(&mut page, &status["ingest"]);
    services(&mut page, &graph);
    breakers(&mut page, &status["breakers"]);
    coherence(&mut page, &desk.coherence.status());
    let mut states: std::collections::BTreeMap<String, f64> = std::collections::BTreeMap::new();
    for record in &records {
        *states.entry(json!(record.incident.state).as_str().unwrap_or_default().to_owned()).or_default() += 1.0;
    }
    let rows = states.into_iter().map(|(state, count)| (labels(&[("state", &state)]), count)).collect();
    page.metric("incidents", "gauge", "The newest 1000 incidents by state.", rows);
    let uptime = status["uptime_s"].as_f64().unwrap_or_default();
    page.metric("uptime_seconds", "gauge", "Time since the start.", vec![(String::new(), uptime)]);
    let resident = resident_bytes().map(|bytes| (String::new(), bytes as f64)).into_iter().collect();
    page.metric("resident_memory_bytes", "gauge", "Resident memory of this process.", resident);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page.0).into_response())
}

fn ingest(page: &mut Page, counts: &Value) {
    let count = |name: &str| counts[name].as_f64().unwrap_or_default();
    let spans =
        ["accepted", "rejected"].map(|outcome| (labels(&[("outcome", outcome)]), count(&format!("{outcome}_spans"))));
    page.metric("ingest_spans_total", "counter", "Spans received.", spans.into());
    for (item, name) in [("data_points", "Data points"), ("log_records", "Log records")] {
        let rows = ["accepted", "rejected"]
            .map(|outcome| (labels(&[("outcome", outcome)]), count(&format!("{outcome}_{item}"))));
        page.metric(&format!("ingest_{item}_total"), "counter", &format!("{name} received."), rows.into());
    }
    let requests = vec![(String::new(), count("requests"))];
    page.metric("ingest_requests_total", "counter", "Export requests, whatever became of them.", requests);
    let refused = vec![(String::new(), count("refused_requests"))];
    page.metric("ingest_refused_total", "counter", "Export requests that were not taken.", refused);
    page.metric("ingest_bytes_total", "counter", "Bytes accepted, decoded.", vec![(String::new(), count("bytes"))]);
    let latency = [("0.5", "latency_p50_us"), ("0.99", "latency_p99_us")]
        .map(|(quantile, name)| (labels(&[("quantile", quantile)]), count(name) / 1e6));
    page.metric("ingest_latency_seconds", "gauge", "From a body in hand to the bus having it.", latency.into());
}

fn breakers(page: &mut Page, upstreams: &Value) {
    let row = |upstream: &Value| {
        let is_open = upstream["state"].as_str()? != "closed";
        Some((labels(&[("upstream", upstream["name"].as_str()?)]), f64::from(u8::from(is_open))))
    };
    let rows = upstreams.as_array().into_iter().flatten().filter_map(row).collect();
    page.metric("breaker_open", "gauge", "1 while an upstream is left alone, or only tried.", rows);
}

/// The Data Coherence Engine; what is not known yet has no row.
fn coherence(page: &mut Page, engine: &Value) {
    let one = |value: Option<f64>| value.map(|value| (String::new(), value)).into_iter().collect::<Vec<_>>();
    let count = |name: &str| engine[name].as_f64().unwrap_or_default();
    let requests = ["told", "refused", "failed"]
        .map(|outcome| (labels(&[("outcome", outcome)]), count(&format!("requests_{outcome}"))));
    page.metric("coherence_requests_total", "counter", "Requests of /coherence/*, by outcome.", requests.into());
    page.metric("coherence_error_ratio", "gauge", "Share of them that failed.", one(engine["error_ratio"].as_f64()));
    let p95 = engine["latency_p95_ms"].as_f64();
    let p95 = p95.map(|ms| (labels(&[("quantile", "0.95")]), ms / 1e3)).into_iter().collect();
    page.metric("coherence_latency_seconds", "gauge", "Of the newest 1024 requests of /coherence/*.", p95);
    let at = engine["last_ingest"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let at = one(at.map(|at| at.as_millisecond() as f64 / 1e3));
    page.metric("coherence_last_ingest_timestamp_seconds", "gauge", "When summaries were last read, Unix time.", at);
    let retries = one(engine["effort"]["retries"].as_f64());
    page.metric("coherence_ingest_retries_total", "counter", "Requests to the source that were sent again.", retries);
}

fn services(page: &mut Page, graph: &Value) {
    let each = |field: &str| -> Vec<(String, f64)> {
        let row = |node: &Value| Some((labels(&[("service", node["service"].as_str()?)]), node[field].as_f64()?));
        nodes(graph).filter_map(row).collect()
    };
    page.metric("service_requests_total", "counter", "Entry spans of a service.", each("requests"));
    page.metric("service_error_ratio", "gauge", "Share of bad entry spans, lately.", each("error_ratio"));
    let quantile = |node: &Value, (quantile, field): (&str, &str)| {
        let service = node["service"].as_str()?;
        Some((labels(&[("service", service), ("quantile", quantile)]), node[field].as_f64()? / 1_000.0))
    };
    let wanted = [("0.5", "p50_ms"), ("0.95", "p95_ms"), ("0.99", "p99_ms")];
    let rows = nodes(graph).flat_map(|node| wanted.into_iter().filter_map(move |which| quantile(node, which)));
    page.metric("service_duration_seconds", "gauge", "Durations of entry spans, lately.", rows.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_telemetry_cannot_break_out_of_their_label() {
        assert_eq!(labels(&[("service", "a\"} 1\nb\\")]), "{service=\"a\\\"} 1\\nb\\\\\"}");
    }
}
