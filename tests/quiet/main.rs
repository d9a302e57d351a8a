//! Five minutes of healthy traffic, and five minutes in which one customer in a hundred has a broken record: no incident. Then
//! what a quarter of an hour of each looked like, recorded, in event time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sre_space_stage::{Setup, stays_quiet};

const MINUTES: Duration = Duration::from_secs(300);

fn shop(dirty_share: f64) -> Setup {
    Setup { dirty_share, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_traffic_is_left_alone() {
    let (sent, failed) = stays_quiet(shop(0.0), MINUTES).await;
    assert!(sent as f64 > 0.95 * shop(0.0).load * MINUTES.as_secs_f64(), "only {sent} requests were sent");
    assert_eq!(failed, 0, "of {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unrelated_error_in_a_hundred_is_left_alone() {
    let (sent, failed) = stays_quiet(shop(0.01), MINUTES).await;
    let share = failed as f64 / sent as f64;
    assert!((0.006..0.014).contains(&share), "{failed} of {sent} failed");
}

/// One trace in twenty of what `cargo test --test heavy calm` saw live.
#[test]
fn recorded_quarters_of_an_hour_are_left_alone() {
    for kind in ["healthy", "dirty", "uneven"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/quiet/recordings/{kind}.pb.zst"));
        let told = Command::new(env!("CARGO_BIN_EXE_sre-space")).arg("replay").arg(file).args(["-o", "json"]).output();
        let told = told.expect("the command runs");
        let report: Value = serde_json::from_slice(&told.stdout).expect("a report");
        assert_eq!(report["incidents"], serde_json::json!([]), "{kind}");
        assert!(report["lasted_ms"].as_u64() >= Some(14 * 60_000), "{kind}: {}", report["lasted_ms"]);
        assert!(report["spans"].as_u64() >= Some(5_000), "{kind}: {}", report["spans"]);
    }
}
