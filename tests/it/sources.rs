//! Sources of metrics through the product's own binary, and all the traffic they cause.

use std::process::Command;

use sre_space_peers::monitors::{KEY, Monitor, OTHER_KEY, Row, Vendor};

/// `doctor` with these settings and no other.
fn doctor(env: &[(&str, String)]) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sre-space"));
    command.arg("doctor").current_dir(dir.path()).env_clear().envs(env.iter().map(|(name, value)| (*name, value)));
    let told = command.output().expect("doctor runs");
    String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned()
}

fn line<'a>(told: &'a str, part: &str) -> &'a str {
    told.lines().find(|line| line.split_whitespace().nth(1) == Some(part)).unwrap_or_default()
}

#[test]
fn doctor_asks_every_source_that_is_set_up_and_nothing_but_reads_is_sent() {
    let all = [Vendor::Datadog, Vendor::Prometheus, Vendor::NewRelic, Vendor::CloudWatch].map(Monitor::start);
    let [datadog, prometheus, newrelic, cloudwatch] = &all;
    let at_ms = jiff::Timestamp::now().as_millisecond().div_euclid(60_000) * 60_000 - 600_000;
    let row = |metric: &str| Row { host: "web-1".to_owned(), metric: metric.to_owned(), at_ms, value: 1.0 };
    datadog.hold(vec![row("system.cpu.idle"), row("system.mem.used")]);
    newrelic.hold(vec![row("SystemSample.cpuPercent")]);
    cloudwatch.hold(vec![row("AWS/EC2/CPUUtilization")]);
    let told = doctor(&[
        ("DATADOG_API_KEY", KEY.to_owned()),
        ("DATADOG_APP_KEY", OTHER_KEY.to_owned()),
        ("DATADOG_API_URL", datadog.url()),
        ("PROMETHEUS_URL", prometheus.url()),
        ("PROMETHEUS_TOKEN", "wrong-s3cret".to_owned()),
        ("NEW_RELIC_API_KEY", KEY.to_owned()),
        ("NEW_RELIC_ACCOUNT_ID", "7".to_owned()),
        ("NEW_RELIC_API_URL", newrelic.url()),
        ("AWS_ACCESS_KEY_ID", "AKIDSTANDIN".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", cloudwatch.url()),
    ]);
    let has = |metrics: usize| format!("last hour: {metrics} readings of {metrics} metrics from 1 hosts, 0 refused");
    assert_eq!(line(&told, "datadog"), format!("ok   {:<16} {}", "datadog", has(2)), "{told}");
    assert_eq!(line(&told, "newrelic"), format!("ok   {:<16} {}", "newrelic", has(1)), "{told}");
    assert_eq!(line(&told, "cloudwatch"), format!("ok   {:<16} {}", "cloudwatch", has(1)), "{told}");
    let refused = "prometheus refuses: 401: Unauthorized; start it or mend PROMETHEUS_URL or PROMETHEUS_TOKEN";
    assert_eq!(line(&told, "prometheus"), format!("BAD  {:<16} {refused}", "prometheus"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    let mut asked: Vec<_> = all.iter().flat_map(Monitor::asked).collect();
    asked.sort();
    asked.dedup();
    let expected = [
        ("GET", "/api/v1/query", ""),
        ("GET", "/api/v1/query_range", ""),
        ("POST", "/", "GraniteServiceVersion20100801.GetMetricData"),
        ("POST", "/graphql", "query"),
    ];
    assert_eq!(asked, expected.map(|(method, path, does)| (method.to_owned(), path.to_owned(), does.to_owned())));
}

#[test]
fn doctor_says_what_a_source_lacks_and_leaves_out_those_nobody_set_up() {
    let told = doctor(&[("DATADOG_API_KEY", KEY.to_owned()), ("AWS_ACCESS_KEY_ID", "AKID".to_owned())]);
    assert_eq!(line(&told, "datadog"), format!("BAD  {:<16} set DATADOG_APP_KEY too", "datadog"), "{told}");
    for part in ["prometheus", "cloudwatch", "newrelic"] {
        assert_eq!(line(&told, part), "", "{told}");
    }
}

#[test]
fn the_sentinel_takes_datadogs_keys_from_a_env_file_and_judges_what_datadog_tells() {
    let datadog = Monitor::start(Vendor::Datadog);
    let now_ms = jiff::Timestamp::now().as_millisecond().div_euclid(1_000) * 1_000;
    let row = |nth: i64| {
        let value = if nth % 2 == 0 { 90.0 } else { 5.0 };
        Row {
            host: "web-1".to_owned(),
            metric: "system.cpu.idle".to_owned(),
            at_ms: now_ms - 10_000 - nth * 20_000,
            value,
        }
    };
    datadog.hold((0..60).map(row).collect());
    let folder = tempfile::tempdir().expect("a folder");
    let keys = format!(
        "DATADOG_API_KEY={KEY}\nDATADOG_APP_KEY={OTHER_KEY}\nDATADOG_API_URL={}\nSRE_SPACE_METRICS=\n",
        datadog.url()
    );
    std::fs::write(folder.path().join(".env"), keys).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sre-space"));
    command.args(["sentinel", "--source", "datadog", "--once", "-o", "json"]).current_dir(folder.path()).env_clear();
    let told = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!((&report["source"], &report["host"]), (&"datadog".into(), &"web-1".into()), "{report}");
    let sigma = report["load"]["sigma"].as_f64().expect("a sigma");
    assert!((40.0..50.0).contains(&sigma), "10 and 95 in turn: {report}");
    assert_eq!(report["vetoes"][0]["action"], "SHED_LOAD", "{report}");
    assert!(!datadog.asked().is_empty());
    assert!(datadog.asked().iter().all(|(method, path, _)| method == "GET" && path == "/api/v1/query"));
    assert!(!format!("{said}{report}").contains("s3cret"), "{said}{report}");
}
