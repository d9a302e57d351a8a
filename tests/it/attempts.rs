//! Patience and its end: what is tried, in which order, and what is left of the trust in it.

use serde_json::{Value, json};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

use crate::loops::{merges, small, states};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_whose_fix_failed_since_is_not_applied_unasked() {
    let stage = Stage::set(small()).await;
    stage.inject("500").await;
    let first = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&first, "/state"), "resolved", "{first:#}");

    // The same shape, and this time the pool is not what it waits for.
    stage.resolve().await;
    stage.redeployed("quote-engine").await;
    stage.inject("stuck-pool").await;
    let failed = stage.incident_after(1, &ENDS, PATIENCE * 2).await;
    assert_eq!(text(&failed, "/state"), "escalated", "{failed:#}");
    assert_eq!(text(&failed, "/fingerprint"), text(&first, "/fingerprint"));
    let events = stage.events(text(&failed, "/id")).await;
    let before: Vec<&str> = states(&events).into_iter().take_while(|state| *state != "verifying").collect();
    assert!(!before.contains(&"diagnosing"), "the lesson was applied unasked: {before:?}");
    assert!(failed.pointer("/attempts/0/remedy/parameters/db-pool-size").is_some(), "{failed:#}");
    assert_eq!(merges(&stage.git_log()), 3, "two changes and a revert");

    // This time it would help, and nobody can know that.
    stage.resolve().await;
    stage.paged(text(&failed, "/id")).await;
    stage.healthy("quote-engine").await;
    stage.redeployed("quote-engine").await;
    stage.inject("500").await;
    let again = stage.incident_after(2, &ENDS, PATIENCE).await;
    assert_eq!(text(&again, "/fingerprint"), text(&first, "/fingerprint"));
    assert_eq!((text(&again, "/state"), text(&again, "/source")), ("awaiting_human", "brain:rules"), "{again:#}");
    let told = "the remembered remedy is not applied unasked: db-pool-size worked 1 time(s) and failed 1 time(s): \
                trust 0.864 is not above 0.90; to Brain";
    let events = stage.events(text(&again, "/id")).await;
    let row = events.iter().find(|event| text(event, "/text") == told).unwrap_or_else(|| panic!("{events:#?}"));
    assert_eq!((text(row, "/agent"), text(row, "/phase")), ("cag", "ORIENT"));
    assert_eq!(row["data"]["doubt"]["distrusted"]["standing"]["record"], json!({"verified": 1, "failed": 1}));
    assert_eq!(text(&again, "/verdict/decision"), "REQUIRE_APPROVAL");
    assert_eq!(merges(&stage.git_log()), 3, "nothing was merged unasked");

    let (id, digest) = (text(&again, "/id"), text(&again, "/proposal/digest"));
    assert_eq!(stage.command(&["approve", id, "--digest", digest]).0, Some(0));
    let healed = stage.incident_after(2, &["resolved", "escalated"], PATIENCE).await;
    assert_eq!(text(&healed, "/state"), "resolved", "{healed:#}");
    stage.proven().await;
}
