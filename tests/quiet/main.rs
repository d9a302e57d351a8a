//! Five minutes of healthy traffic, and five minutes in which one customer in a hundred has a broken record: no incident.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use sre_space_stage::{Setup, Stage};

const MINUTES: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_traffic_is_left_alone() {
    let (sent, failed) = stays_quiet(0.0).await;
    assert_eq!(failed, 0, "of {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unrelated_error_in_a_hundred_is_left_alone() {
    let (sent, failed) = stays_quiet(0.01).await;
    let share = failed as f64 / sent as f64;
    assert!((0.006..0.014).contains(&share), "{failed} of {sent} failed");
}

/// Watches; answers how many requests were sent in that time, and how many of them failed or were slow.
async fn stays_quiet(dirty_share: f64) -> (u64, u64) {
    let setup = Setup { dirty_share, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) };
    let load = setup.load;
    let stage = Stage::set(setup).await;
    let began = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    while began.elapsed() < MINUTES {
        look.tick().await;
        let incidents = stage.get("/api/v1/incidents").await.expect("the control plane answers");
        assert_eq!(incidents, serde_json::json!([]), "after {:?}", began.elapsed());
    }
    let (sent, failed) = stage.traffic(MINUTES.as_secs() as usize);
    assert!(sent as f64 > 0.95 * load * MINUTES.as_secs_f64(), "only {sent} requests were sent");
    (sent, failed)
}
