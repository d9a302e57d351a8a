//! What is one source's alone.

use std::fs;

use libtest_mimic::Trial;
use sre_space_adapters::source::csv::CsvFile;
use sre_space_adapters::source::{Bounds, csv};
use sre_space_peers::monitors::{KEY, Monitor, Reply, Row, Vendor};
use sre_space_ports::contract::source::{BEGAN_MS, STEP_MS};
use sre_space_ports::source::{Reading, Source, SourceError, Wanted, names};

use super::benches::{BOUNDS, cloudwatch, datadog, newrelic, prometheus};
use super::trial;

/// Every trial.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("datadog", "idle_percent_is_the_share_that_is_busy", datadog_names),
        trial("datadog", "an_hour_is_one_question_of_all_metrics", one_question),
        trial("datadog", "what_is_of_no_host_is_refused", no_host),
        trial("newrelic", "percent_is_a_share", newrelic_names),
        trial("newrelic", "a_time_out_over_there_may_pass", timed_out),
        trial("cloudwatch", "percent_is_a_share_and_a_sum_is_a_rate", cloudwatch_names),
        trial("cloudwatch", "being_throttled_may_pass", throttled),
        trial("cloudwatch", "pages_without_an_end_have_one", endless),
        trial("prometheus", "counts_are_told_where_there_are_counts", prometheus_names),
        trial("csv", "a_file_of_two_columns_is_of_one_host", two_columns),
        trial("csv", "bad_rows_are_refused_by_their_line", bad_rows),
        trial("csv", "a_file_that_is_too_long_or_is_none_is_refused", no_file),
    ]
}

fn hour() -> Wanted {
    Wanted { since_ms: BEGAN_MS, until_ms: BEGAN_MS + 3_600_000, metrics: vec![] }
}

fn row(metric: &str, value: f64) -> Row {
    Row { host: "web-1".to_owned(), metric: metric.to_owned(), at_ms: BEGAN_MS, value }
}

/// What is told of the usual metrics, by metric.
async fn usual(source: &dyn Source) -> Vec<(String, f64)> {
    let told = source.read(&hour()).await.expect("told");
    assert_eq!(told.refused, Vec::<String>::new());
    told.readings.into_iter().map(|reading| (reading.metric, reading.value)).collect()
}

fn pairs(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(metric, value)| ((*metric).to_owned(), *value)).collect()
}

async fn datadog_names() {
    let monitor = Monitor::start(Vendor::Datadog);
    let rates = [row("system.net.packets_in.count", 100.0), row("system.net.packets_out.count", 110.0)];
    monitor.hold([&[row("system.cpu.idle", 25.0), row("system.mem.used", 4096.0)][..], &rates].concat());
    let expected =
        [(names::CPU, 0.75), (names::MEMORY, 4096.0), (names::RECEIVED_RATE, 100.0), (names::SENT_RATE, 110.0)];
    assert_eq!(usual(&datadog(&monitor.url())).await, pairs(&expected));
}

async fn one_question() {
    let monitor = Monitor::start(Vendor::Datadog);
    let wanted = Wanted { metrics: (0..20).map(|number| format!("shop.load{number}")).collect(), ..hour() };
    datadog(&monitor.url()).read(&wanted).await.expect("told");
    assert_eq!(monitor.asked().len(), 1);
}

async fn no_host() {
    let monitor = Monitor::start(Vendor::Datadog);
    let series =
        r#"{"metric": "system.mem.used", "scope": "*", "pointlist": [[1700000100000.0, 1.0], [1700000160000.0, 2.0]]}"#;
    let said = format!(r#"{{"status": "ok", "series": [{series}]}}"#);
    monitor.say([Reply::Say(200, vec![], said)]);
    let told = datadog(&monitor.url()).read(&hour()).await.expect("told");
    assert_eq!((told.readings, told.refused_rows), (vec![], 2));
}

async fn newrelic_names() {
    let monitor = Monitor::start(Vendor::NewRelic);
    monitor.hold(vec![
        row("SystemSample.cpuPercent", 75.0),
        row("SystemSample.memoryUsedBytes", 4096.0),
        row("NetworkSample.receivePacketsPerSecond", 100.0),
        row("NetworkSample.transmitPacketsPerSecond", 110.0),
    ]);
    let expected =
        [(names::CPU, 0.75), (names::MEMORY, 4096.0), (names::RECEIVED_RATE, 100.0), (names::SENT_RATE, 110.0)];
    assert_eq!(usual(&newrelic(&monitor.url())).await, pairs(&expected));
}

async fn timed_out() {
    let monitor = Monitor::start(Vendor::NewRelic);
    let said = r#"{"data": null, "errors": [{"message": "NRQL timed out", "extensions": {"errorClass": "TIMEOUT"}}]}"#;
    monitor.say([Reply::Say(200, vec![], said.to_owned())]);
    let error = newrelic(&monitor.url()).read(&hour()).await.expect_err("a time-out");
    assert_eq!(error.to_string(), "newrelic cannot be reached: TIMEOUT NRQL timed out");
}

async fn cloudwatch_names() {
    let monitor = Monitor::start(Vendor::CloudWatch);
    monitor.hold(vec![
        row("AWS/EC2/CPUUtilization", 75.0),
        row("CWAgent/mem_used", 4096.0),
        row("AWS/EC2/NetworkPacketsIn", 6_000.0),
        row("AWS/EC2/NetworkPacketsOut", 6_600.0),
    ]);
    let expected =
        [(names::CPU, 0.75), (names::MEMORY, 4096.0), (names::RECEIVED_RATE, 100.0), (names::SENT_RATE, 110.0)];
    assert_eq!(usual(&cloudwatch(&monitor.url(), &[], BOUNDS)).await, pairs(&expected));
}

async fn throttled() {
    let monitor = Monitor::start(Vendor::CloudWatch);
    let said = r#"{"__type": "com.amazon.coral.availability#ThrottlingException", "message": "Rate exceeded"}"#;
    monitor.say([Reply::Say(400, vec![], said.to_owned())]);
    let error = cloudwatch(&monitor.url(), &[], BOUNDS).read(&hour()).await.expect_err("throttled");
    assert!(error.is_transient(), "{error}");
}

async fn endless() {
    let monitor = Monitor::start(Vendor::CloudWatch);
    let said = r#"{"MetricDataResults": [], "NextToken": "again"}"#;
    monitor.say(std::iter::repeat_n(Reply::Say(200, vec![], said.to_owned()), 99));
    let error = cloudwatch(&monitor.url(), &[], BOUNDS).read(&hour()).await.expect_err("an end");
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    assert_eq!(monitor.asked().len(), BOUNDS.questions);
}

async fn prometheus_names() {
    let monitor = Monitor::start(Vendor::Prometheus);
    let received = r#"sum by (instance) (node_network_receive_packets_total{device!="lo"})"#;
    let memory = "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes";
    monitor.hold(vec![row(received, 7_000.0), row(memory, 4096.0)]);
    let told = usual(&prometheus(&monitor.url(), Some(KEY), 60, BOUNDS)).await;
    assert_eq!(told, pairs(&[(names::MEMORY, 4096.0), (names::RECEIVED, 7_000.0)]));
}

fn wanted_at(at_ms: i64) -> Wanted {
    Wanted { since_ms: at_ms, until_ms: at_ms + STEP_MS, metrics: vec![] }
}

async fn two_columns() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("grok_asg_anomaly.csv");
    fs::write(&path, "timestamp,value\n2014-01-16 00:00:00,33.5\n2014-01-16 00:05:00,34\n").expect("written");
    let told = CsvFile::new(path, Bounds::default()).read(&wanted_at(1_389_830_400_000)).await.expect("told");
    let (host, metric) = ("grok_asg_anomaly".to_owned(), "value".to_owned());
    assert_eq!(told.readings, [Reading { host, metric, at_ms: 1_389_830_400_000, value: 33.5 }]);
}

async fn bad_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rows.csv");
    let bad = "soon,1\n".repeat(150);
    fs::write(&path, format!("timestamp,value\n1,1\n{bad}2,nothing\n")).expect("written");
    let told = CsvFile::new(path, Bounds::default()).read(&wanted_at(0)).await.expect("told");
    assert_eq!((told.readings.len(), told.refused_rows, told.refused.len()), (1, 151, 100));
    assert_eq!(told.refused[99], "line 102: \"soon\" is no timestamp");
}

async fn no_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rows.csv");
    let read = async |path: &std::path::Path| {
        CsvFile::new(path, BOUNDS).read(&wanted_at(0)).await.expect_err("no rows").to_string()
    };
    assert!(read(&path).await.starts_with("csv refuses: "), "it is not there");
    assert!(read(dir.path()).await.ends_with("is no file"));
    fs::write(&path, "timestamp,value\n".to_owned() + &"1,1\n".repeat(BOUNDS.bytes / 4)).expect("written");
    assert!(read(&path).await.ends_with("more than 200000 bytes"));
    fs::write(&path, "1,1\n".repeat(BOUNDS.readings + 1)).expect("written");
    assert!(read(&path).await.contains("more than 10000 readings"));
    fs::write(&path, "a,b,c\n1,2,3\n").expect("written");
    assert!(read(&path).await.contains("neither timestamp,value nor host,metric,timestamp,value"));
    assert!(csv::open(&path, 3).is_err());
}
