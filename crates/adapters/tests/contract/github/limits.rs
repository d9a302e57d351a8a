//! GitHub asks to be left alone, ends our token, stops answering, or is written to by strangers.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sre_space_adapters::upstream::Upstream;
use sre_space_domain::breaker::Condition;
use sre_space_domain::ids::IncidentId;
use sre_space_github::{KEY_PKCS8, Kind};
use sre_space_ports::contract::forge::Bench as _;
use sre_space_ports::forge::{Checks, ForgeError, Issues, Repository as _};

use super::bench::{OnGithub, app, connect};
use crate::run;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("forge/github/one_request_a_window_while_limited", || run(one_request_a_window())),
        Trial::test("forge/github/a_busy_server_says_when_it_may_be_asked_again", || run(a_busy_server())),
        Trial::test("forge/github/an_ended_token_is_renewed", || run(an_ended_token_is_renewed())),
        Trial::test("forge/github/a_silent_server_opens_the_breaker", || run(a_silent_server())),
        Trial::test("forge/github/a_strangers_issue_is_not_our_ticket", || run(a_strangers_issue())),
        Trial::test("forge/github/a_required_check_that_never_ran_is_not_green", || run(a_required_check())),
    ]
}

async fn until(upstream: &Upstream, wanted: Condition) {
    while upstream.status().state != wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn one_request_a_window() {
    let bench = OnGithub::new().await;
    bench.github.limit(Some(1));
    let before = bench.github.log().len();
    for window in 1..=2 {
        for _ in 0..20 {
            let refused = bench.forge.head().await.expect_err("limited");
            assert!(refused.wait().is_some_and(|wait| wait <= Duration::from_secs(1)), "{refused:?}");
        }
        assert_eq!(bench.github.log().len() - before, window);
        until(&bench.upstream, Condition::HalfOpen).await;
    }
    bench.github.limit(None);
    bench.forge.head().await.expect("it may be asked again");
}

async fn a_busy_server() {
    let bench = OnGithub::new().await;
    bench.github.break_next("GET /git/ref/{ref}", Kind::Busy);
    let (before, mut waits) = (bench.github.log().len(), Vec::new());
    for _ in 0..3 {
        let busy = bench.forge.head().await.expect_err("busy");
        waits.push(busy.wait().expect("it said when"));
    }
    let told = Duration::from_secs(5)..=Duration::from_secs(7);
    assert!(waits.iter().all(|wait| told.contains(wait)), "{waits:?}");
    assert_eq!((bench.github.log().len() - before, bench.github.unmet()), (1, 0), "one request, and it is left alone");
}

async fn an_ended_token_is_renewed() {
    let bench = OnGithub::new().await;
    let head = bench.forge.head().await.expect("a head");
    bench.github.end_tokens();
    let refused = bench.forge.head().await;
    assert!(matches!(refused, Err(ForgeError::Unavailable { wait: None, .. })), "{refused:?}");
    assert_eq!(bench.forge.head().await.expect("with a new token"), head);
}

async fn a_silent_server() {
    let mut bench = OnGithub::new().await;
    let upstream = Upstream::new("github");
    let forge = connect(&bench.github, app(KEY_PKCS8), Arc::clone(&upstream)).await.expect("connected");
    bench.github.stop();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let refused = forge.head().await.expect_err("it is silent");
        assert!(refused.is_transient(), "{refused:?}");
        waits.push(refused.wait().is_some_and(|wait| wait > Duration::from_secs(20)));
    }
    assert_eq!(waits, [false, false, false, false, true, true], "the fifth failure is the beginning of a rest");
    assert_eq!(upstream.status().state, Condition::Open);
}

async fn a_strangers_issue() {
    let bench = OnGithub::new().await;
    let incident: IncidentId = serde_json::from_value("inc_A".into()).expect("an id");
    let forged = bench.github.stranger_writes("x", "<!-- sre-space:incident=inc_A -->");
    let ours = Issues::open(bench.forge.as_ref(), &incident, "title", "body").await.expect("open");
    assert_ne!(ours.number, forged);
    let refused = bench.forge.close(forged).await;
    assert!(matches!(refused, Err(ForgeError::Missing(_))), "{refused:?}");
}

async fn a_required_check() {
    let bench = OnGithub::new().await;
    let head = bench.forge.head().await.expect("a head");
    bench.report(&head, Checks::Passed("green".to_owned()));
    assert_eq!(bench.forge.checks(&head).await.expect("checks"), Checks::Passed("green".to_owned()));
    bench.github.require("security");
    assert_eq!(bench.forge.checks(&head).await.expect("checks"), Checks::Pending);
}
