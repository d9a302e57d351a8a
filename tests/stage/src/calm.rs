//! Calm times, in which nothing is to be found.

use std::time::{Duration, Instant};

use crate::{Setup, Stage};

/// How they are watched.
const EVERY: Duration = Duration::from_secs(1);

/// Plays for a time in which nothing is to be found; answers how many requests were sent, and how many of them failed or were
/// slow.
pub async fn stays_quiet(setup: Setup, length: Duration) -> (u64, u64) {
    let stage = Stage::set(setup).await;
    let began = Instant::now();
    let mut look = tokio::time::interval(EVERY);
    while began.elapsed() < length {
        look.tick().await;
        let incidents = stage.get("/api/v1/incidents").await.expect("the control plane answers");
        assert_eq!(incidents, serde_json::json!([]), "after {:?}", began.elapsed());
    }
    stage.traffic(usize::try_from(length.as_secs()).expect("minutes"))
}
