//! The rating provider: stands in for a third party that takes its configured time.

use std::time::Duration;

use anyhow::Result;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Release, Service};

#[derive(Deserialize)]
struct Config {
    service_time_ms: u64,
}

#[derive(Deserialize)]
struct Asked {
    region: String,
}

/// The provider's answer.
#[derive(Serialize, Deserialize)]
pub struct Rating {
    /// Risk factor, per cent.
    pub factor: i64,
}

/// Builds the service.
pub async fn start(release: Release) -> Result<Service> {
    let config: Config = release.config("rating-provider.yaml")?;
    let traced = Router::new().route("/rate", get(rate)).with_state(Duration::from_millis(config.service_time_ms));
    Ok(Service { traced, plain: Router::new() })
}

async fn rate(State(service_time): State<Duration>, Query(asked): Query<Asked>) -> Json<Rating> {
    tokio::time::sleep(service_time).await;
    let factor = match asked.region.as_str() {
        "north" => 110,
        "south" => 95,
        _ => 100,
    };
    Json(Rating { factor })
}
