//! The rating provider: stands in for a third party that takes its configured time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::allowance::Allowance;
use super::{Release, Service};
use crate::faults;

/// How much longer a rating takes while the provider is late: still within what its callers promise their customers.
const LATE: Duration = Duration::from_millis(110);

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
    is_late: AtomicBool,
    allowance: Allowance,
}

/// Builds the service.
pub async fn start(release: Release) -> Result<Service> {
    let config: Config = release.config("rating-provider.yaml")?;
    let desk = Arc::new(Desk {
        service_time: Duration::from_millis(config.service_time_ms),
        hangs: AtomicBool::new(hangs(&release.data)),
        is_late: AtomicBool::new(is_late(&release.data)),
        allowance: Allowance::default(),
        data: release.data,
    });
    let traced = Router::new().route("/rate", get(rate)).with_state(Arc::clone(&desk));
    let plain = Router::new().route("/demo/reload", post(reload)).with_state(desk);
    Ok(Service { traced, plain })
}

fn hangs(data: &Path) -> bool {
    faults::active(data).contains(faults::DEPENDENCY)
}

fn is_late(data: &Path) -> bool {
    faults::active(data).contains(faults::RETRY_STORM)
}

async fn reload(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.is_late.store(is_late(&desk.data), Ordering::Relaxed);
    desk.hangs.store(hangs(&desk.data), Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn rate(State(desk): State<Arc<Desk>>, Query(asked): Query<Asked>) -> Json<Rating> {
    if desk.hangs.load(Ordering::Relaxed) {
        // Until whoever asked gives up.
        std::future::pending::<()>().await;
    }
    let is_late = desk.is_late.load(Ordering::Relaxed);
    let over = desk.allowance.takes(!is_late, Instant::now());
    tokio::time::sleep(desk.service_time + if is_late { LATE } else { Duration::ZERO } + over).await;
    let factor = match asked.region.as_str() {
        "north" => 110,
        "south" => 95,
        _ => 100,
    };
    Json(Rating { factor })
}
