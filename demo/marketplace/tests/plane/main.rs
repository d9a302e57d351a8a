//! The marketplace by itself, with nobody listening to its telemetry: it serves, deploys without losing a request, checks
//! pull requests, breaks and mends on demand, and leaves no process behind.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod owners;
mod running;

use std::time::Duration;

use serde_json::Value;

use crate::running::Marketplace;

const ENGINE: &str = "config/quote-engine.yaml";
const RULE: &str = "rules/pricing.rhai";

#[test]
fn a_push_is_deployed_and_no_request_is_lost() {
    let shop = Marketplace::open(60.0);
    for number in 1..=3 {
        let commit = shop.owners().push(ENGINE, |text| format!("{text}# edit {number}\n"));
        shop.until("the deployment", || shop.log().contains(&format!("quote-engine at {commit}")).then_some(()));
        let served = shop.served();
        shop.until("traffic on the new release", || (shop.served() > served + 60).then_some(()));
    }
    assert_eq!(shop.unserved(), 0, "three deployments under load lost nothing");
    let web_releases = shop.log().matches("deployer: marketplace-web at").count();
    assert_eq!(web_releases, 1, "a service whose files did not change is left alone");
}

#[test]
fn a_commit_that_does_not_boot_leaves_the_old_release_serving() {
    let shop = Marketplace::open(30.0);
    shop.owners().push(ENGINE, |text| text.replace("pool_size: 20", "pool_size: many"));
    shop.until("the refusal", || shop.log().contains("the old revision stays").then_some(()));
    let served = shop.served();
    shop.until("more traffic", || (shop.served() > served + 30).then_some(()));
    assert_eq!(shop.unserved(), 0);
}

#[test]
fn the_check_runner_tells_what_parses_and_boots() {
    let shop = Marketplace::open(5.0);
    let owners = shop.owners();
    let cases = [
        (1, ENGINE, "pool_size: 20", "pool_size: 70", "success", ""),
        (2, ENGINE, "database:", "database: [", "failure", "parse"),
        (3, ENGINE, "pool_size: 20", "pool_size: many", "failure", "boot"),
        (4, RULE, "let base = 4200;", "let base = ;", "failure", "parse"),
    ];
    for (number, path, old, new, state, named) in cases {
        let head = owners.propose(number, path, |text| text.replace(old, new));
        let result: Value = shop.until("the check", || owners.check_of(head));
        assert_eq!(result["state"], state, "{new}: {result:#}");
        assert!(result["summary"].as_str().is_some_and(|summary| summary.contains(named)), "{result:#}");
        assert_eq!(result["sha"], head.to_string());
    }
}

#[test]
fn the_faults_break_it_and_resolving_mends_it() {
    let shop = Marketplace::open(60.0);
    for kind in ["500", "bad-deploy"] {
        assert_eq!(shop.post(&format!("/demo/inject-failure?type={kind}")), 200);
        shop.until("customers turned away", || (shop.unserved_lately() > 20).then_some(()));
        assert_eq!(shop.post("/demo/resolve"), 200);
        shop.until("three quiet seconds", || shop.is_quiet().then_some(()));
        assert_eq!(shop.get("/demo/faults"), r#"{"active":[]}"#);
    }
    assert_eq!(shop.owners().file(RULE), include_str!("../../seed/rules/pricing.rhai"));
    assert_eq!(shop.post("/demo/inject-failure?type=flood"), 400);
}

#[test]
fn nothing_outlives_a_killed_parent() {
    let mut shop = Marketplace::open(5.0);
    assert!(shop.processes().len() >= 7, "{:?}", shop.processes());
    shop.kill();
    shop.until("no process left", || shop.processes().is_empty().then_some(()));
}

#[test]
fn a_dead_collector_costs_customers_nothing() {
    // Every marketplace here exports to a port that nobody listens on; this one looks at what that costs.
    let shop = Marketplace::open(60.0);
    assert!(
        std::net::TcpStream::connect_timeout(&([127, 0, 0, 1], shop.collector).into(), Duration::from_secs(1)).is_err()
    );
    let served = shop.served();
    shop.until("five seconds of traffic", || (shop.served() > served + 300).then_some(()));
    assert_eq!(shop.unserved(), 0);
}
