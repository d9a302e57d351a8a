//! Requests as the Collector's host receiver and SDKs make them.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Histogram, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;

fn attribute((key, value): &(&str, &str)) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) });
    KeyValue { key: (*key).to_owned(), value, ..KeyValue::default() }
}

/// Points at 7 s, each with its attributes.
fn metric(name: &str, points: &[(f64, &[(&str, &str)])]) -> Metric {
    let point = |(value, attributes): &(f64, &[(&str, &str)])| NumberDataPoint {
        attributes: attributes.iter().map(attribute).collect(),
        time_unix_nano: 7_000_999_999,
        value: Some(number_data_point::Value::AsDouble(*value)),
        ..NumberDataPoint::default()
    };
    let data = Some(Data::Gauge(Gauge { data_points: points.iter().map(point).collect() }));
    Metric { name: name.to_owned(), data, ..Metric::default() }
}

fn request(attributes: &[(&str, &str)], metrics: Vec<Metric>) -> Vec<u8> {
    let resource = Some(Resource { attributes: attributes.iter().map(attribute).collect(), ..Resource::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn everything() -> Wanted {
    Wanted { since_ms: i64::MIN, until_ms: i64::MAX, metrics: vec![] }
}

fn reading(metric: &str, value: f64) -> Reading {
    Reading { host: "web-1".to_owned(), metric: metric.to_owned(), at_ms: 7_000, value }
}

#[tokio::test]
async fn what_the_collector_tells_of_a_host_is_told_by_the_usual_names() {
    let source = OtlpMetrics::new(Bounds::default());
    let metrics = vec![
        metric(
            "system.cpu.utilization",
            &[
                (0.25, &[("cpu", "cpu0"), ("state", "idle")]),
                (0.75, &[("cpu", "cpu1"), ("state", "idle")]),
                (0.75, &[("cpu", "cpu0"), ("state", "user")]),
            ],
        ),
        metric("system.memory.usage", &[(4096.0, &[("state", "used")]), (9.0, &[("state", "free")])]),
        metric(
            "system.network.packets",
            &[
                (10.0, &[("device", "eth0"), ("direction", "receive")]),
                (11.0, &[("device", "eth0"), ("direction", "transmit")]),
                (20.0, &[("device", "eth1"), ("direction", "receive")]),
                (99.0, &[("device", "lo"), ("direction", "receive")]),
            ],
        ),
        metric("process.memory.usage", &[(5.0, &[])]),
        metric("queue.depth", &[(6.0, &[("queue", "a")])]),
        Metric { name: "latency".to_owned(), data: Some(Data::Histogram(Histogram::default())), ..Metric::default() },
    ];
    let body = request(&[("service.name", "shop"), ("host.name", "web-1")], metrics);
    assert_eq!(source.take(&body).expect("taken"), 6);
    let expected = [
        reading("process.memory.usage", 5.0),
        reading("queue.depth{queue=\"a\"}", 6.0),
        reading(names::CPU, 0.5),
        reading(names::MEMORY, 4096.0),
        reading(names::RECEIVED, 30.0),
        reading(names::SENT, 11.0),
    ];
    assert_eq!(source.read(&everything()).await.expect("told").readings, expected);
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_old_readings_make_room() {
    let source = OtlpMetrics::new(Bounds { readings: 2, bytes: 1_000, ..Bounds::default() });
    assert!(matches!(source.take(b"<html>"), Err(SourceError::Unreadable { .. })));
    assert!(matches!(source.take(&[0; 1_001]), Err(SourceError::Unreadable { .. })));
    let named = |name: &str| request(&[("host.name", "web-1")], vec![metric(name, &[(1.0, &[])])]);
    for name in ["a", "b", "c"] {
        source.take(&named(name)).expect("taken");
    }
    let told = source.read(&everything()).await.expect("told");
    assert_eq!(told.readings, [reading("b", 1.0), reading("c", 1.0)]);
    source.take(&request(&[], vec![metric("d", &[(1.0, &[])])])).expect("taken");
    assert_eq!(source.read(&everything()).await.expect("told").refused_rows, 1, "of no host");
}

#[tokio::test]
async fn what_applications_tell_displaces_no_host_and_costs_nothing() {
    let source = OtlpMetrics::of_hosts(Bounds { readings: 2, ..Bounds::default() });
    assert_eq!(source.take(b"no host is named in this, which is not even OTLP").expect("left alone"), 0);
    let too_long = [&b"system."[..], &[0; MOST_OF_HOSTS]].concat();
    let refused = source.take(&too_long).expect_err("refused").to_string();
    assert!(refused.contains("let the collector send smaller batches"), "{refused}");
}
