//! The second sense in whole loops: what is cured before a request fails, and what a veto stops.

use serde_json::{Value, json};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, now_ms, opened_ms, text, told};

use crate::loops::{merges, small};

/// Injects, waits for the end, and tells when what happened.
async fn healed(stage: &Stage, kind: &str) -> Value {
    stage
        .until("what is usual to be known", PATIENCE, async || {
            (stage.get("/status").await?["knows_usual"] == true).then_some(())
        })
        .await;
    let began_ms = now_ms();
    stage.inject(kind).await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    let opened_ms = opened_ms(&incident);
    let first_bad_ms = stage.first_bad_ms(began_ms);
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
