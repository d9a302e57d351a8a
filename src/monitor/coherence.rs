//! The routes of the Data Coherence Engine. Every answer carries the id of its request, and every request is counted.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::json;
use sre_space_coherence::window::Window;
use sre_space_ports::rolling::{MOST_REPORTS, Wish};
use sre_space_ports::source::SourceError;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info, info_span};

use super::Desk;
use super::problem::Problem;
use super::routes::Answer;
use crate::coherence::{NoFigures, Outcome, Question, REQUEST_ID, RequestId};

/// Reports of one answer, where no limit is named.
const USUAL_REPORTS: usize = 100;
/// Bytes of a signal's name.
const LONGEST_SIGNAL: usize = 128;

type Shared = State<Arc<Desk>>;
type Asked = Query<HashMap<String, String>>;

/// The routes.
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new()
        .route("/coherence/metrics", get(figures))
        // The forecast of this version is the risk of the newest window: the very same figures.
        .route("/coherence/predict", get(figures))
        .route("/coherence/history", get(history))
}

async fn figures(State(desk): Shared, Query(asked): Asked, route: MatchedPath, headers: HeaderMap) -> Response {
    counted(&desk, &route, &headers, async |id| {
        let question = Question { window: window(&asked)?, signal: signal(&asked)? };
        let report = desk.coherence.report(&question, Timestamp::now(), &id).await;
        report.map(|report| Json(json!(report))).map_err(|why| no_figures(&why))
    })
    .await
}

async fn history(State(desk): Shared, Query(asked): Asked, route: MatchedPath, headers: HeaderMap) -> Response {
    counted(&desk, &route, &headers, async |_id| {
        let wish = Wish { limit: limit(&asked)?, signal: signal(&asked)?, window: window(&asked)? };
        match desk.coherence.history(&wish).await {
            Some(Ok(reports)) => Ok(Json(json!(reports))),
            Some(Err(error)) => Err(Problem::internal(&error)),
            None => Err(Problem::new(
                StatusCode::NOT_FOUND,
                "no figures are kept: set PERSISTENCE=csv or PERSISTENCE=sqlite, and ask /coherence/metrics",
            )),
        }
    })
    .await
}

/// Answers a request in a span of its own, counts it, and sends its id back.
async fn counted(
    desk: &Desk,
    route: &MatchedPath,
    headers: &HeaderMap,
    answer: impl AsyncFnOnce(RequestId) -> Answer,
) -> Response {
    let (began, id) = (Instant::now(), RequestId::of(headers));
    let span = request(route.as_str(), &id);
    let mut response = answer(id.clone()).instrument(span.clone()).await.into_response();
    let (status, took) = (response.status(), began.elapsed());
    let outcome = match status {
        status if status.is_success() => Outcome::Told,
        status if status.is_server_error() => Outcome::Failed,
        _ => Outcome::Refused,
    };
    desk.coherence.answered(outcome, took);
    let latency_ms = took.as_secs_f64() * 1e3;
    span.in_scope(|| info!(event = "request", request_id = id.as_str(), status = status.as_u16(), latency_ms));
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(id) = id.to_header() {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// A request as OpenTelemetry's conventions for HTTP servers have it.
fn request(route: &str, id: &RequestId) -> Span {
    info_span!(
        "request",
        otel.name = format!("GET {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = "GET",
        http.route = route,
        http.response.status_code = Empty,
        request_id = id.as_str(),
    )
}

fn no_figures(why: &NoFigures) -> Problem {
    let status = match why {
        NoFigures::NoSource | NoFigures::Busy => StatusCode::SERVICE_UNAVAILABLE,
        NoFigures::Source(SourceError::Unreachable { .. }) => StatusCode::SERVICE_UNAVAILABLE,
        NoFigures::Source(SourceError::Refused { .. } | SourceError::Unreadable { .. }) => StatusCode::BAD_GATEWAY,
        NoFigures::Empty(_) => StatusCode::NOT_FOUND,
        NoFigures::Undefined(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, why.to_string())
}

fn window(asked: &HashMap<String, String>) -> Result<Option<Window>, Problem> {
    let bad = |error| Problem::new(StatusCode::BAD_REQUEST, format!("window: {error}"));
    asked.get("window").map(|text| text.parse().map_err(bad)).transpose()
}

fn signal(asked: &HashMap<String, String>) -> Result<Option<String>, Problem> {
    let Some(name) = asked.get("signal") else { return Ok(None) };
    let is_name = (1..=LONGEST_SIGNAL).contains(&name.len()) && !name.chars().any(char::is_control);
    if is_name {
        return Ok(Some(name.clone()));
    }
    let detail = format!("signal: a name of 1 to {LONGEST_SIGNAL} bytes; leave it out to ask about all signals");
    Err(Problem::new(StatusCode::BAD_REQUEST, detail))
}

fn limit(asked: &HashMap<String, String>) -> Result<usize, Problem> {
    let Some(text) = asked.get("limit") else { return Ok(USUAL_REPORTS) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST_REPORTS).contains(limit));
    let detail = || format!("limit: a whole number from 1 to {MOST_REPORTS}");
    limit.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, detail()))
}
