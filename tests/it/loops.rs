//! Whole loops: a real application breaks, and what comes of it is read from the API, the repository and the traffic itself.

use serde_json::Value;

use sre_space_stage::disguise::Disguise;
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

pub fn small() -> Setup {
    Setup::of(env!("CARGO_BIN_EXE_sre-space"))
}

pub fn states(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "/state")).collect()
}

/// The name of the term that is lowest.
fn weakest(incident: &Value) -> String {
    let terms = incident.pointer("/diagnosis/terms").and_then(Value::as_array).cloned().unwrap_or_default();
    let value = |term: &Value| term.get("value").and_then(Value::as_f64).unwrap_or(1.0);
    let lowest = terms.iter().min_by(|a, b| value(a).total_cmp(&value(b)));
    lowest.map(|term| text(term, "/name").to_owned()).unwrap_or_default()
}

pub fn merges(log: &[String]) -> usize {
    let is_ours = |message: &&String| {
        message.starts_with("Merge pull request #")
            && message.lines().next().is_some_and(|title| title.contains("from sre-space/"))
    };
    log.iter().filter(is_ours).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_heals_and_the_second_time_from_memory() {
    let stage = Stage::set(small()).await;
    stage.inject("500").await;
    let first = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&first, "/state"), "resolved", "{first:#}");
    assert_eq!(text(&first, "/source"), "brain:rules");
    assert_eq!(text(&first, "/recovery/verdict"), "RECOVERED");
    assert!(
        stage.file("config/quote-engine.yaml").contains("pool_size: 50            # sized in spring"),
        "comments stay"
    );
    assert_eq!(merges(&stage.git_log()), 1);

    stage.resolve().await;
    stage.redeployed("quote-engine").await;
    stage.inject("500").await;
    let again = stage.incident_after(1, &ENDS, PATIENCE).await;
    assert_eq!(text(&again, "/state"), "resolved", "{again:#}");
    assert_eq!(text(&again, "/source"), "cag");
    let events = stage.events(text(&again, "/id")).await;
    assert!(!states(&events).contains(&"diagnosing"), "no Brain step");
    assert_eq!(text(&again, "/fingerprint"), text(&first, "/fingerprint"));
    assert_eq!(text(&again, "/similar/0/incident"), text(&first, "/id"));
    let score = again.pointer("/similar/0/score").and_then(Value::as_f64);
    assert!(score.is_some_and(|score| score > 0.9), "the same shape: {again:#}");
    stage.proven().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_deploy_is_reverted_though_a_harmless_commit_came_later() {
    let stage = Stage::set(small()).await;
    let before = stage.file("rules/pricing.rhai");
    stage.inject("bad-deploy").await;
    sre_space_stage::edit(&stage.platform.repo, "README.md", |text| format!("{text}\nA harmless line.\n"));
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!(text(&incident, "/diagnosis/kind"), "bad-change");
    assert_eq!(stage.file("rules/pricing.rhai"), before);
    assert!(stage.file("README.md").contains("A harmless line."));
    stage.proven().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_is_added_by_the_owners_own_patch() {
    let stage = Stage::set(Setup { alone: true, ..small() }).await;
    stage.inject("latency").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!((text(&incident, "/service"), text(&incident, "/diagnosis/kind")), ("marketplace-web", "slow-query"));
    assert_eq!(text(&incident, "/remedy/patch"), "add-history-index");
    assert!(stage.file("migrations/0004_history_index.sql").contains(text(&incident, "/id")));
    stage.proven().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_is_waited_for_less_asked_less_and_done_without() {
    let stage = Stage::set(small()).await;
    stage.inject("dependency").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!(text(&incident, "/diagnosis/kind"), "dependency-timeout");
    assert_eq!(text(&incident, "/diagnosis/service"), "rating-provider");
    assert_eq!(text(&incident, "/remedy/service"), "quote-engine");
    let settings = stage.file("config/quote-engine.yaml");
    for line in ["timeout: 650ms ", "breaker: true ", "fallback: standard ", "pool_size: 20 "] {
        assert!(settings.contains(line), "{line} in {settings}");
    }
    stage.proven().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_messages_do_not_matter() {
    for kind in ["500", "bad-deploy"] {
        let disguise = Disguise { words: Some(11), lost: 0.0, record: None };
        let setup = Setup { disguise: Some(disguise), edit_rules: in_other_words, ..small() };
        let stage = Stage::set(setup).await;
        stage.inject(kind).await;
        let incident = stage.incident_in(&ENDS, PATIENCE).await;
        assert_eq!(text(&incident, "/state"), "resolved", "{kind}: {incident:#}");
        let remedy = if kind == "500" { "turn-knob" } else { "revert" };
        assert_eq!(text(&incident, "/proposal/remedy"), remedy);
    }
}

/// The owners' file for the disguised services, with two decoys that claim to cure the same fault.
fn in_other_words(rules: String) -> String {
    let disguise = Disguise { words: Some(11), lost: 0.0, record: None };
    let renamed = ["marketplace-web", "quote-engine", "rating-provider"]
        .iter()
        .fold(rules, |rules, name| rules.replace(&format!("\n  {name}:"), &format!("\n  {}:", disguise.word(name))));
    renamed
        .replace("step: 5, remedies: [cpu-saturation]", "step: 5, remedies: [pool-exhausted]")
        .replace("step: 100, remedies: [memory-leak]", "step: 100, remedies: [pool-exhausted]")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_remedy_cures_is_reverted_and_handed_to_a_person() {
    let stage = Stage::set(small()).await;
    stage.inject("stuck-pool").await;
    let incident = stage.incident_in(&["escalated", "resolved"], PATIENCE * 2).await;
    assert_eq!(text(&incident, "/state"), "escalated", "{incident:#}");
    let verdict = text(&incident, "/attempts/0/recovery/verdict");
    assert!(["UNCHANGED", "REGRESSED"].contains(&verdict), "{verdict}");
    assert!(stage.file("config/quote-engine.yaml").contains("pool_size: 20 "), "reverted in git");
    assert!(stage.git_log().iter().any(|message| message.contains("This reverts commit")));
    let (sent, bad) = stage.traffic(5);
    assert!(bad * 5 > sent, "requests still fail, and nothing says otherwise: {bad} of {sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbid_stops_everything_and_is_named() {
    let freeze = r#"@id("freeze-quote-engine") @reason("the owners froze it")
        forbid (principal, action, resource == Service::"quote-engine");"#;
    let stage = Stage::set(Setup { extra_policy: Some(freeze), ..small() }).await;
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "escalated", "{incident:#}");
    assert_eq!(text(&incident, "/verdict/decision"), "DENY");
    assert!(incident.pointer("/verdict/rules").is_some_and(|rules| rules.to_string().contains("freeze-quote-engine")));
    assert_eq!(merges(&stage.git_log()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credit_the_pull_request_waits_for_a_person_and_heals_once_approved() {
    let edit_rules = |rules: String| rules.replace("db-pool-size: 30", "db-pool-size: 0");
    let stage = Stage::set(Setup { edit_rules, ..small() }).await;
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "awaiting_human", "{incident:#}");
    assert_eq!(text(&incident, "/verdict/decision"), "REQUIRE_APPROVAL");
    assert!(incident.pointer("/change/pr").and_then(Value::as_u64).is_some());
    assert_eq!(merges(&stage.git_log()), 0);

    let (id, digest) = (text(&incident, "/id"), text(&incident, "/proposal/digest"));
    let (code, told) = stage.command(&["approve", id, "--digest", &"0".repeat(64)]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("the digest is not that of the change in hand"), "{told}");
    assert_eq!(stage.command(&["approve", id, "--digest", digest]).0, Some(0));
    let healed = stage.incident_in(&["resolved", "escalated"], PATIENCE).await;
    assert_eq!(text(&healed, "/state"), "resolved", "{healed:#}");
    assert_eq!(text(&healed, "/approval/by"), "an operator");
    assert_eq!(stage.command(&["approve", id, "--digest", digest]).0, Some(1), "what is closed is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_nothing_is_written_and_a_person_is_called() {
    let stage = Stage::set(small()).await;
    assert_eq!(stage.command(&["autonomy", "off"]).0, Some(0));
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "awaiting_human", "{incident:#}");
    assert_eq!(text(&incident, "/escalation/reason"), "autonomy-off");
    assert!(stage.references("refs/heads/sre-space/*").is_empty());
    let (_, told) = stage.command(&["autonomy", "status"]);
    assert!(told.contains("autonomy is off"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_lost_spans_nothing_is_changed_and_coverage_is_why() {
    let disguise = Disguise { words: None, record: None, lost: 0.3 };
    let stage = Stage::set(Setup { disguise: Some(disguise), ..small() }).await;
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "escalated", "{incident:#}");
    let confidence = incident.pointer("/diagnosis/confidence").and_then(Value::as_f64).expect("a confidence");
    assert!(confidence <= 0.90, "{confidence}");
    assert_eq!(weakest(&incident), "coverage");
    assert_eq!(merges(&stage.git_log()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traffic_or_without_deployment_nothing_is_called_recovered() {
    for killed in ["traffic", "deployer"] {
        let edit_rules =
            |rules: String| rules.replace("timeout_s: 60", "timeout_s: 12").replace("settle_s: 2", "settle_s: 8");
        let stage = Stage::set(Setup { edit_rules, ..small() }).await;
        stage.inject("500").await;
        let until = if killed == "traffic" { "verifying" } else { "acting" };
        stage.incident_in(&[until, "deploying"], PATIENCE).await;
        stage.kill_role(killed);
        let incident = stage.incident_in(&ENDS, PATIENCE).await;
        assert_eq!(text(&incident, "/state"), "awaiting_human", "{killed}: {incident:#}");
        assert_eq!(text(&incident, "/recovery/verdict"), "INCONCLUSIVE");
    }
}
