//! What people may decide: approve or reject a change, switch autonomy off and on.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sre_space_domain::ids::Digest;
use sre_space_domain::incident::{HumanDecision, Word};
use tokio::sync::oneshot;

use super::Desk;
use super::problem::Problem;
use super::routes::{Answer, found};
use crate::orchestrator::people::{Asked, Refused};

/// Whoever holds the server's token, or sits at this machine, speaks for the operators.
const OPERATOR: &str = "an operator";

/// The routes.
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new()
        .route(
            "/api/v1/incidents/{id}/approve",
            post(async |desk, id, body| decide(desk, id, body, Word::Approve).await),
        )
        .route("/api/v1/incidents/{id}/reject", post(async |desk, id, body| decide(desk, id, body, Word::Reject).await))
        .route("/api/v1/autonomy", get(autonomy).put(switch))
}

#[derive(Deserialize)]
struct Seen {
    digest: Digest,
}

async fn decide(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    seen: Result<Json<Seen>, JsonRejection>,
    word: Word,
) -> Answer {
    let incident = found(&desk, &id).await?;
    let wanted =
        |_| Problem::new(StatusCode::BAD_REQUEST, "send {\"digest\": …} with the digest of the proposal you saw");
    let Json(Seen { digest }) = seen.map_err(wanted)?;
    let (answer, answered) = oneshot::channel();
    let decision = HumanDecision { word, digest, by: OPERATOR.to_owned() };
    let stopping = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping: nothing was decided");
    desk.people.send(Asked { id: incident.id, decision, answer }).await.map_err(|_| stopping())?;
    match answered.await.map_err(|_| stopping())? {
        Ok(incident) => Ok(Json(json!(incident))),
        Err(Refused::Journal(error)) => Err(Problem::internal(&error)),
        Err(refused) => Err(Problem::new(StatusCode::CONFLICT, refused.to_string())),
    }
}

async fn autonomy(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(desk.autonomy.status())
}

#[derive(Deserialize)]
struct Switch {
    enabled: bool,
}

async fn switch(State(desk): State<Arc<Desk>>, wanted: Result<Json<Switch>, JsonRejection>) -> Answer {
    let wrong = |_| Problem::new(StatusCode::BAD_REQUEST, "send {\"enabled\": true} or {\"enabled\": false}");
    let Json(Switch { enabled }) = wanted.map_err(wrong)?;
    desk.autonomy.set(enabled).map_err(|error| Problem::internal(&error))?;
    Ok(Json(desk.autonomy.status()))
}
