//! The rating provider: stands in for a third party that takes its configured time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Release, Service};
use crate::faults;

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

struct Desk {
    service_time: Duration,
    data: PathBuf,
    hangs: AtomicBool,
}

/// Builds the service.
pub async fn start(release: Release) -> Result<Service> {
    let config: Config = release.config("rating-provider.yaml")?;
    let desk = Arc::new(Desk {
        service_time: Duration::from_millis(config.service_time_ms),
        hangs: AtomicBool::new(hangs(&release.data)),
        data: release.data,
    });
    let traced = Router::new().route("/rate", get(rate)).with_state(Arc::clone(&desk));
    let plain = Router::new().route("/demo/reload", post(reload)).with_state(desk);
    Ok(Service { traced, plain })
}

fn hangs(data: &Path) -> bool {
    faults::active(data).contains(faults::DEPENDENCY)
}

async fn reload(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.hangs.store(hangs(&desk.data), Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn rate(State(desk): State<Arc<Desk>>, Query(asked): Query<Asked>) -> Json<Rating> {
    if desk.hangs.load(Ordering::Relaxed) {
        // Until whoever asked gives up.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(desk.service_time).await;
    let factor = match asked.region.as_str() {
        "north" => 110,
        "south" => 95,
        _ => 100,
    };
    Json(Rating { factor })
}
