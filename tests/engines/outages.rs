//! A server is killed, or stops answering for half a minute, in the middle of an incident: nothing is lost, nothing is done twice.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;
use sre_space_stage::{ENDS, PATIENCE, Stage, text};

use crate::{Engines, ON_KAFKA, ON_POSTGRES, ON_QDRANT, ON_REDIS, account, on, trial};

/// How long a server that is paused does not answer.
const PAUSE: Duration = Duration::from_secs(30);
/// How long one that was killed is away.
const AWAY: Duration = Duration::from_secs(5);

/// How often each outage is played for each server: twenty times with both.
const ROUNDS: usize = 10;

/// What happens to the server.
#[derive(Debug, Clone, Copy)]
enum Outage {
    Killed,
    Paused,
}

/// In CI each outage once in each of two states; all twenty by name: `cargo test --test engines -- --ignored outage`.
pub fn trials() -> Vec<Trial> {
    let states = ["detected", "matching", "diagnosing", "deciding", "acting", "deploying", "verifying", "learning"];
    let mut trials = Vec::new();
    let outages = [Outage::Killed, Outage::Paused];
    for engines in [ON_REDIS, ON_KAFKA, ON_POSTGRES, ON_QDRANT] {
        for (round, outage) in outages.iter().copied().cycle().take(ROUNDS * outages.len()).enumerate() {
            let round = round / outages.len();
            let state = states[(round + 1) % states.len()];
            let name = format!("{}/outage/{outage:?}-{}-{state}", engines.name, round).to_lowercase();
            let is_long = round >= 2;
            let play = trial(name, engines, move || outlasts(engines, outage, state));
            trials.push(if is_long { play.with_ignored_flag(true) } else { play });
        }
    }
    trials
}

async fn outlasts(engines: Engines, outage: Outage, state: &'static str) {
    let servers = Arc::new(engines.start());
    let mut stage = Stage::set(on(&servers)).await;
    stage.inject("500").await;
    stage.reached(state, PATIENCE).await;
    match outage {
        Outage::Killed => {
            servers.each(|server| server.kill());
            tokio::time::sleep(AWAY).await;
            servers.each(|server| server.start_again());
        }
        Outage::Paused => {
            servers.each(|server| server.pause());
            tokio::time::sleep(PAUSE).await;
            servers.each(|server| server.resume());
        }
    }
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!(text(&incident, "/recovery/verdict"), "RECOVERED");
    let activity = stage.get("/api/git-activity").await.expect("the activity");
    let pulls = activity["pull_requests"].as_array().cloned().unwrap_or_default();
    let ours = |pull: &&Value| pull["branch"].as_str().is_some_and(|branch| branch.starts_with("sre-space/"));
    assert_eq!(pulls.iter().filter(ours).count(), 1, "one pull request: {pulls:#?}");
    assert_eq!(stage.references("refs/heads/sre-space/*").len(), 1, "one branch");
    assert_eq!(activity["issues"].as_array().map_or(0, Vec::len), 1, "one ticket");
    account::of_all(&mut stage, &servers).await;
}
