//! Patience and its end: what is tried, in which order, and what is left of the trust in it.

use serde_json::Value;
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

use crate::loops::{merges, small};

#[tokio::test(flavor = "multi_thread")]
async fn three_attempts_that_do_not_help_are_all_reverted_and_cost_trust() {
    // The owners' check of the pool would find the decoys out before they are merged.
    let also_pool = |rules: String| {
        let decoy = |line: &str| match line.contains("rating-breaker,") || line.contains("rating-fallback,") {
            true => line.replace("[dependency-timeout]", "[dependency-timeout, pool-exhausted]"),
            false => line.to_owned(),
        };
        let kept = rules.lines().filter(|line| !line.contains("name: pool-meets-demand"));
        kept.map(decoy).collect::<Vec<_>>().join("\n")
    };
    let stage = Stage::set(Setup { edit_rules: also_pool, ..small() }).await;
    let settings = stage.file("config/quote-engine.yaml");
    stage.inject("stuck-pool").await;
    let incident = stage.incident_in(&["escalated", "resolved"], PATIENCE * 2).await;
    assert_eq!(text(&incident, "/state"), "escalated", "{incident:#}");
    assert_eq!(text(&incident, "/escalation/reason"), "attempts-exhausted");
    let attempts = incident["attempts"].as_array().expect("attempts");
    let tried: Vec<String> = attempts.iter().map(|attempt| attempt["remedy"]["parameters"].to_string()).collect();
    assert_eq!(tried, [r#"{"db-pool-size":50}"#, r#"{"rating-breaker":true}"#, r#"{"rating-fallback":"standard"}"#]);
    assert!(attempts.iter().all(|attempt| attempt.pointer("/revert/revision").is_some()), "{attempts:#?}");
    assert_eq!(merges(&stage.git_log()), 6, "three changes, three reverts");
    assert_eq!(stage.file("config/quote-engine.yaml"), settings);
    stage.proven().await;

    stage.resolve().await;
    stage.paged(text(&incident, "/id")).await;
    stage.healthy("quote-engine").await;
    stage.inject("stuck-pool").await;
    let again = stage.incident_after(1, &ENDS, PATIENCE).await;
    assert_eq!(text(&again, "/verdict/decision"), "REQUIRE_APPROVAL", "{again:#}");
    let trust = again.pointer("/proposal/trust").and_then(Value::as_f64).expect("a trust");
    assert!(trust < 0.90, "one verified failure in thirty-one: {trust}");
}
