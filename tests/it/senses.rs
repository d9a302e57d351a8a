//! The second sense in whole loops: what is cured before a request fails, and what is seen without it.

use serde_json::{Value, json};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

use crate::loops::{merges, small};

/// Quotes a second that make the unbounded cache reach the process's limit in a minute and a half.
const BUSY: f64 = 150.0;

/// Milliseconds since the Unix epoch, now.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn opened_ms(incident: &Value) -> i64 {
    let at: jiff::Timestamp = text(incident, "/opened_at").parse().expect("a time");
    at.as_millisecond()
}

/// What the traffic generator counted, second by second.
fn counted(stage: &Stage) -> Vec<Value> {
    let text = std::fs::read_to_string(stage.platform.dir.join("traffic.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The second it counted last.
fn last_told_ms(stage: &Stage) -> Option<i64> {
    counted(stage).last()?["at_unix_ms"].as_i64()
}

/// When it counted the first failed or slow request since a moment, at the earliest: a line tells of the second before it.
fn first_bad_ms(stage: &Stage, since_ms: i64) -> Option<i64> {
    let bad = |line: &Value| line["failed"].as_u64().unwrap_or_default() + line["slow"].as_u64().unwrap_or_default();
    let mut later = counted(stage).into_iter().filter(|line| line["at_unix_ms"].as_i64() > Some(since_ms));
    later.find(|line| bad(line) > 0).and_then(|line| Some(line["at_unix_ms"].as_i64()? - 1_000))
}

fn told(what: &str, since_ms: i64, at_ms: Option<i64>) {
    match at_ms {
        Some(at_ms) => println!("{what}: {:.1} s after the injection", (at_ms - since_ms) as f64 / 1_000.0),
        None => println!("{what}: not seen"),
    }
}

/// Injects, waits for the end, and tells when what happened.
async fn healed(stage: &Stage, kind: &str) -> Value {
    let began_ms = now_ms();
    stage.inject(kind).await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    let opened_ms = opened_ms(&incident);
    let first_bad_ms = first_bad_ms(stage, began_ms);
    println!("{kind}: {}", text(&incident, "/diagnosis/summary"));
    told("incident opened", began_ms, Some(opened_ms));
    told("first failed or slow request", began_ms, first_bad_ms);
    told("end of the incident", began_ms, Some(now_ms()));
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert!(first_bad_ms.is_none_or(|bad_ms| bad_ms > opened_ms), "the sense was later than a request");
    assert!(now_ms() - began_ms <= 120_000, "{} ms", now_ms() - began_ms);
    incident
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_without_a_bound_is_bounded_long_before_its_process_is_killed() {
    let stage = Stage::set(Setup { alone: true, ..small() }).await;
    let incident = healed(&stage, "memory").await;
    assert_eq!((text(&incident, "/signal/kind"), text(&incident, "/diagnosis/kind")), ("memory-trend", "memory-leak"));
    let left_s = incident.pointer("/signal/coherence/memory/exhausted_in_s").and_then(Value::as_f64);
    println!("forecast at the confirmation: killed in {left_s:?} s");
    assert!(left_s.is_some_and(|left_s| left_s >= 30.0), "{left_s:?}");
    assert_eq!(text(&incident, "/recovery/verdict"), "RECOVERED");
    assert!(stage.file("config/quote-engine.yaml").contains("keep: 200 "), "bounded");
    assert!(!stage.log("user-plane.log").contains("is killed"));
    stage.proven().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_without_a_cap_are_capped_before_a_request_is_slow() {
    let stage = Stage::set(Setup { alone: true, ..small() }).await;
    let incident = healed(&stage, "retry-storm").await;
    assert_eq!((text(&incident, "/signal/kind"), text(&incident, "/diagnosis/kind")), ("amplification", "retry-storm"));
    assert_eq!(text(&incident, "/recovery/verdict"), "RECOVERED");
    assert!(stage.file("config/quote-engine.yaml").contains("most: 0 "), "capped");
    stage.proven().await;
}

/// A host whose cores thrash between a tenth and all, told second by second as OTLP.
async fn thrash(stage: &Stage) -> ! {
    let http = sre_space_tls::client();
    let mut second = tokio::time::interval(std::time::Duration::from_secs(1));
    for busy in [0.10, 0.95].into_iter().cycle() {
        second.tick().await;
        let point = json!({"timeUnixNano": (now_ms() * 1_000_000).to_string(), "asDouble": busy});
        let metric = json!({"name": "system.cpu.utilization", "unit": "1", "gauge": {"dataPoints": [point]}});
        let host = json!({"attributes": [{"key": "host.name", "value": {"stringValue": "vm-1"}}]});
        let body = json!({"resourceMetrics": [{"resource": host, "scopeMetrics": [{"metrics": [metric]}]}]});
        let sent = http.post(stage.url("/v1/metrics")).bearer_auth("token-of-quote-engine").json(&body).send().await;
        assert!(sent.is_ok_and(|answer| answer.status().is_success()), "the metrics are taken");
    }
    unreachable!("it goes on for ever")
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_sentinel_vetoes_nothing_is_changed_and_the_veto_is_named() {
    let stage = Stage::set(small()).await;
    let play = async {
        stage
            .until("a veto", PATIENCE, async || {
                let status = stage.get("/status").await?;
                let veto = status["vetoes"].get(0)?;
                (veto["domain"] == "COMPUTE" && veto["host"] == "vm-1").then_some(())
            })
            .await;
        stage.inject("500").await;
        stage.incident_in(&ENDS, PATIENCE).await
    };
    let incident = tokio::select! {
        incident = play => incident,
        never = thrash(&stage) => never,
    };
    assert_eq!(text(&incident, "/state"), "escalated", "{incident:#}");
    assert_eq!(text(&incident, "/verdict/decision"), "DENY");
    assert_eq!(text(&incident, "/verdict/rules/0"), "veto-compute", "{incident:#}");
    assert!(text(&incident, "/verdict/reasons/0").contains("the Sentinel vetoes COMPUTE"), "{incident:#}");
    assert_eq!(text(&incident, "/diagnosis/measured/vetoes/0"), "COMPUTE", "it is evidence too");
    assert_eq!(merges(&stage.git_log()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_that_sense_off_both_are_noticed_later_or_never() {
    for kind in ["memory", "retry-storm"] {
        let env = vec![("SRE_SPACE_COHERENCE", "off".to_owned())];
        let stage = Stage::set(Setup { alone: true, load: BUSY, env, ..small() }).await;
        let began_ms = now_ms();
        stage.inject(kind).await;
        let opened = stage.opened(PATIENCE).await;
        let told_until_ms = opened.as_ref().map_or_else(now_ms, opened_ms);
        stage
            .until("the traffic generator's count of that second", PATIENCE, async || {
                (last_told_ms(&stage)? > told_until_ms).then_some(())
            })
            .await;
        // Without the harm there was nothing that the sense could have been earlier than.
        let first_bad_ms =
            stage.until("a failed or slow request", PATIENCE, async || first_bad_ms(&stage, began_ms)).await;
        println!("{kind}, the second sense off:");
        told("first failed or slow request", began_ms, Some(first_bad_ms));
        told("incident opened", began_ms, opened.as_ref().map(opened_ms));
        if let Some(incident) = opened {
            assert!(["error-rate", "latency"].contains(&text(&incident, "/signal/kind")), "{incident:#}");
            assert!(first_bad_ms <= opened_ms(&incident), "{incident:#}");
        }
    }
}
