//! marketplace-web: what customers see, and the switch of the faults.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::sqlite::SqlitePool;

use super::quote_engine::{Asked, Quote};
use super::{Database, Release, Service, history};
use crate::http::{Answer, Failure, call};
use crate::{faults, telemetry};

#[derive(Deserialize)]
struct Config {
    database: Database,
}

struct Desk {
    pool: SqlitePool,
    client: reqwest::Client,
    engine_url: String,
    rating_url: String,
    data: PathBuf,
    repo: PathBuf,
}

#[derive(Deserialize)]
struct Injection {
    #[serde(rename = "type")]
    kind: String,
}

/// Builds the service.
pub async fn start(release: Release) -> Result<Service> {
    let config: Config = release.config("marketplace-web.yaml")?;
    let desk = Arc::new(Desk {
        pool: super::database(&release, &config.database).await?,
        client: super::client()?,
        engine_url: std::env::var("QUOTE_ENGINE_URL").context("QUOTE_ENGINE_URL is not set")?,
        rating_url: std::env::var("RATING_PROVIDER_URL").context("RATING_PROVIDER_URL is not set")?,
        repo: std::env::var_os("MARKETPLACE_REPO").map(PathBuf::from).unwrap_or_default(),
        data: release.data,
    });
    let traced = Router::new().route("/quote", get(quote)).route("/history", get(seen)).with_state(Arc::clone(&desk));
    let plain = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/demo/inject-failure", post(inject))
        .route("/demo/resolve", post(resolve))
        .route("/demo/faults", get(active))
        .with_state(desk);
    Ok(Service { traced, plain })
}

async fn quote(State(desk): State<Arc<Desk>>, Query(asked): Query<Asked>) -> Answer<Quote> {
    const STATEMENT: &str = "SELECT page FROM visits WHERE customer = ?1";
    let visit = sqlx::query(STATEMENT).bind(&asked.user_id).fetch_optional(&desk.pool);
    let visit = telemetry::database(("SELECT", "visits"), STATEMENT, visit).await;
    visit.map_err(|error| Failure::internal("sqlx::Error", error))?;
    let url = format!("{}/price", desk.engine_url);
    call(&desk.client, Method::POST, &url, Some(&asked)).await.map(Json)
}

/// How often others looked at what a customer looked at, since then.
async fn seen(State(desk): State<Arc<Desk>>, Query(asked): Query<Asked>) -> Answer<Echo> {
    let count = sqlx::query_scalar(history::QUESTION).bind(&asked.user_id).fetch_one(&desk.pool);
    let count = telemetry::database(("SELECT", "history"), history::QUESTION, count).await;
    count.map(|others| Json(Echo { others })).map_err(|error| Failure::internal("sqlx::Error", error))
}

/// Answer of `/history`.
#[derive(Serialize)]
struct Echo {
    others: i64,
}

async fn inject(State(desk): State<Arc<Desk>>, Query(injection): Query<Injection>) -> Response {
    let (data, repo, kind) = (desk.data.clone(), desk.repo.clone(), injection.kind.clone());
    let done = tokio::task::spawn_blocking(move || faults::inject(&data, &repo, &kind)).await;
    if injection.kind == faults::LATENCY
        && let Err(error) = history::grow(&desk.pool).await
    {
        return broken(&error.to_string());
    }
    match done {
        Ok(Ok(true)) => {
            desk.tell_others().await;
            Json(json!({"injected": injection.kind})).into_response()
        }
        Ok(Ok(false)) => {
            let detail = format!("{:?} is no fault; the faults are {}", injection.kind, faults::TYPES.join(", "));
            (StatusCode::BAD_REQUEST, Json(json!({"error": detail}))).into_response()
        }
        Ok(Err(error)) => broken(&error.to_string()),
        Err(error) => broken(&error.to_string()),
    }
}

async fn resolve(State(desk): State<Arc<Desk>>) -> Response {
    let (data, repo) = (desk.data.clone(), desk.repo.clone());
    match tokio::task::spawn_blocking(move || faults::resolve(&data, &repo)).await {
        Ok(Ok(merged)) => {
            desk.tell_others().await;
            if let Err(error) = history::shrink(&desk.pool).await {
                return broken(&error.to_string());
            }
            Json(json!({"resolved": true, "merged": merged.map(|merged| merged.to_string())})).into_response()
        }
        Ok(Err(error)) => broken(&error.to_string()),
        Err(error) => broken(&error.to_string()),
    }
}

async fn active(State(desk): State<Arc<Desk>>) -> Json<serde_json::Value> {
    Json(json!({"active": faults::active(&desk.data)}))
}

fn broken(error: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": error}))).into_response()
}

impl Desk {
    /// The other services read the switch again. One that is down reads it when it starts.
    async fn tell_others(&self) {
        for url in [&self.engine_url, &self.rating_url] {
            if let Err(error) = self.client.post(format!("{url}/demo/reload")).send().await {
                eprintln!("{url} was not told: {error}");
            }
        }
    }
}
