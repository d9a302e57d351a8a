//! The routes of the monitor and the API.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Value, json};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Incident;
use sre_space_domain::journal::Agent;
use sre_space_domain::postmortem;
use sre_space_domain::proof::Proof;
use sre_space_ports::store::{Filter, StoreError};
use tokio::time::timeout;

use super::Desk;
use super::coherence;
use super::docs;
use super::guard;
use super::health;
use super::people;
use super::problem::Problem;
use super::webhook;

/// No inline script or style, nothing from elsewhere; the page may be pointed at another server.
const POLICY: &str = "default-src 'self'; connect-src 'self' http: https:; frame-ancestors 'none'; base-uri 'none'";
/// Rows of one answer.
const MOST_ROWS: u32 = 1_000;
const MOST_LESSONS: usize = 50;
/// How long `/ready` waits for bus and journal.
const PATIENCE: Duration = Duration::from_secs(3);

type Shared = State<Arc<Desk>>;
pub(super) type Answer = Result<Json<Value>, Problem>;

/// All routes, guarded.
pub fn router(desk: Arc<Desk>) -> Router {
    let guard = Arc::new(desk.guard.clone());
    let mut router = Router::new()
        .route("/", get(monitor))
        .route("/monitor", get(monitor))
        .route("/monitor.js", get(async || file("text/javascript", include_str!("../../static/monitor.js"))))
        .route("/monitor.css", get(async || file("text/css", include_str!("../../static/monitor.css"))))
        .route("/favicon.svg", get(async || file("image/svg+xml", include_str!("../../static/favicon.svg"))))
        .route("/health", get(health))
        .route("/healthz", get(health))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/events", get(events))
        .route("/api/sre-loop", get(events))
        .route("/api/v1/incidents", get(incidents))
        .route("/api/v1/incidents/{id}", get(incident))
        .route("/api/v1/incidents/{id}/events", get(incident_events))
        .route("/api/v1/incidents/{id}/postmortem", get(incident_postmortem))
        .route("/api/v1/incidents/{id}/proof", get(incident_proof))
        .route("/api/v1/services", get(async |State(desk): Shared| Json((desk.services)())))
        .route("/api/v1/agents", get(agents))
        .route("/api/v1/policies", get(async |State(desk): Shared| Json(json!(desk.policy.rules()))))
        .route("/api/v1/memory/search", get(search))
        .route("/api/git-activity", get(activity))
        .route("/webhook/github", post(webhook::take))
        .merge(people::router())
        .merge(health::router())
        .merge(coherence::router())
        .merge(docs::router());
    if desk.demo.is_some() {
        router = router
            .route("/demo/inject-failure", post(inject))
            .route("/demo/resolve", post(resolve))
            .route("/quote", get(quote));
    }
    router.layer(middleware::from_fn_with_state(guard, guard::check)).with_state(desk)
}

async fn monitor() -> Response {
    page(include_str!("../../static/monitor.html"))
}

/// A page of ours, with what it may do.
pub(super) fn page(html: &'static str) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, file("text/html; charset=utf-8", html)).into_response()
}

pub(super) fn file(kind: &'static str, text: &'static str) -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, kind)], text)
}

async fn health(State(desk): Shared) -> Json<Value> {
    Json(json!({"status": "ok", "version": desk.coherence.version()}))
}

async fn status(State(desk): Shared) -> Json<Value> {
    let mut status = (desk.status)();
    if let Some(status) = status.as_object_mut() {
        status.insert("coherence".to_owned(), desk.coherence.status());
    }
    Json(status)
}

async fn ready(State(desk): Shared) -> Answer {
    let down = |what: String| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, what));
    if desk.draining.is_cancelled() {
        return down("draining: what was taken in is finished, nothing new is taken".to_owned());
    }
    match timeout(PATIENCE, desk.bus.health()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return down(format!("the bus is down: {error}")),
        Err(_) => return down("the bus is down: it does not answer".to_owned()),
    }
    match timeout(PATIENCE, desk.store.journal(0, 1, None)).await {
        Ok(Ok(_)) => Ok(Json(json!({"status": "ready"}))),
        Ok(Err(error)) => down(format!("the journal is down: {error}")),
        Err(_) => down("the journal is down: it does not answer".to_owned()),
    }
}

#[derive(Deserialize)]
struct Resume {
    last_event_id: Option<u64>,
}

async fn events(State(desk): Shared, Query(resume): Query<Resume>, headers: HeaderMap) -> Response {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    Arc::clone(&desk.feed).events(header.or(resume.last_event_id)).await.into_response()
}

#[derive(Deserialize)]
struct Listing {
    state: Option<String>,
    #[serde(default)]
    limit: u32,
    after: Option<String>,
}

async fn incidents(State(desk): Shared, Query(listing): Query<Listing>) -> Answer {
    let unknown = |error: serde_json::Error| Problem::new(StatusCode::BAD_REQUEST, format!("state: {error}"));
    let state = listing.state.map(|state| serde_json::from_value(json!(state))).transpose().map_err(unknown)?;
    let after = listing.after.map(|id| parse_id(&id)).transpose()?;
    let filter = Filter { state, limit: listing.limit, after };
    let records = desk.store.incidents(filter).await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(records.iter().map(|record| json!(&record.incident)).collect()))
}

async fn incident(State(desk): Shared, Path(id): Path<String>) -> Answer {
    found(&desk, &id).await.map(|incident| Json(json!(incident)))
}

async fn incident_events(State(desk): Shared, Path(id): Path<String>) -> Answer {
    let rows = desk.store.journal(0, MOST_ROWS, Some(&parse_id(&id)?)).await;
    rows.map(|rows| Json(json!(rows))).map_err(|error| Problem::internal(&error))
}

async fn incident_postmortem(State(desk): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let incident = found(&desk, &id).await?;
    let rows = desk.store.journal(0, MOST_ROWS, Some(&incident.id)).await.map_err(|error| Problem::internal(&error))?;
    let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    Ok((kind, postmortem::write(&incident, &rows)).into_response())
}

pub(super) async fn found(desk: &Desk, id: &str) -> Result<Incident, Problem> {
    let record = desk.store.incident(&parse_id(id)?).await.map_err(|error| Problem::internal(&error))?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no such incident: GET /api/v1/incidents lists them");
    record.map(|record| record.incident).ok_or_else(missing)
}

fn parse_id(id: &str) -> Result<IncidentId, Problem> {
    let wrong = |_| Problem::new(StatusCode::BAD_REQUEST, "an incident's id is a word of at most 64 characters");
    let text = if id.len() <= 64 { json!(id) } else { Value::Null };
    serde_json::from_value(text).map_err(wrong)
}

/// The proof of the attempt in hand, byte for byte as `verify-proof` reads it.
async fn incident_proof(State(desk): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let proof = Proof::of(&found(&desk, &id).await?);
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no proof before policy has judged a change");
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, proof.ok_or_else(missing)?.json()).into_response())
}

/// What each agent does now, and what it said last.
async fn agents(State(desk): Shared) -> Answer {
    let internal = |error: StoreError| Problem::internal(&error);
    let newest = desk.store.newest().await.map_err(internal)?;
    let after = newest.saturating_sub(u64::from(MOST_ROWS));
    let rows = desk.store.journal(after, MOST_ROWS, None).await.map_err(internal)?;
    let unfinished = desk.store.unfinished().await.map_err(internal)?;
    let of = |agent: Agent| {
        let doing: Vec<Value> = unfinished
            .iter()
            .filter_map(|record| Some((record, record.pending.as_ref().filter(|effect| effect.agent() == agent)?)))
            .map(|(record, effect)| json!({"incident": record.incident.id, "effect": effect.name()}))
            .collect();
        let last = rows.iter().rev().find(|entry| entry.row.agent == agent);
        json!({"agent": agent, "doing": doing, "last": last.map(|entry| json!({"seq": entry.seq, "at": entry.row.at, "text": entry.row.text}))})
    };
    Ok(Json(Agent::AT_WORK.into_iter().map(of).collect()))
}

async fn search(State(desk): Shared, Query(asked): Query<HashMap<String, String>>) -> Answer {
    let text = asked.get("q").map_or("", String::as_str);
    let k = asked.get("k").and_then(|k| k.parse().ok()).unwrap_or(3).min(MOST_LESSONS);
    let matches = desk.recollection.nearest(text, k).await.map_err(|error| Problem::internal(&error))?;
    let shape = |found: &sre_space_ports::memory::Match| json!({"score": found.score, "lesson": found.lesson});
    Ok(Json(matches.iter().map(shape).collect()))
}

async fn activity(State(desk): Shared) -> Answer {
    let (pulls, issues) = desk.issues.activity(100).await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(json!({"pull_requests": pulls, "issues": issues})))
}

async fn inject(State(desk): Shared, Query(asked): Query<HashMap<String, String>>) -> Response {
    match &desk.demo {
        Some(plane) => plane.inject(asked.get("type").map_or("", String::as_str)).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn resolve(State(desk): Shared) -> Response {
    match &desk.demo {
        Some(plane) => plane.resolve().await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn quote(State(desk): Shared, Query(asked): Query<HashMap<String, String>>) -> Response {
    match &desk.demo {
        Some(plane) => plane.quote(asked.get("user_id").map_or("", String::as_str)).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
