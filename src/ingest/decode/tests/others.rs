//! Data points and log records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use sre_space_domain::telemetry::{LogView, PointValue, PointView};

use super::*;

fn shop() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "shop")], ..Default::default() })
}

fn metrics(all: Vec<(&str, Data)>) -> Vec<u8> {
    let metric = |(name, data): (&str, Data)| Metric {
        name: name.into(),
        unit: "ms".into(),
        data: Some(data),
        metadata: vec![text("k", "v")],
        ..Default::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: all.into_iter().map(metric).collect(), ..Default::default() }];
    let batch = ResourceMetrics { resource: shop(), scope_metrics, ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![batch] }.encode_to_vec()
}

fn number(value: Number) -> NumberDataPoint {
    NumberDataPoint { time_unix_nano: 7, value: Some(value), attributes: vec![text("k", "v")], ..Default::default() }
}

fn gauge(data_points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge { data_points })
}

fn read(body: &[u8]) -> (Vec<(String, PointValue)>, Counted) {
    let mut seen = Vec::new();
    let counted = points(body, &mut |point: PointView<'_>| {
        assert_eq!((point.service, point.unit, point.at_ns), ("shop", "ms", 7));
        seen.push((point.metric.to_owned(), point.value));
    });
    (seen, counted.expect("decoded"))
}

/// The series of a request's only point, with these attributes of its own and of its resource.
fn series(own: &[&str], of_resource: &[&str]) -> u64 {
    let attributes = |keys: &[&str]| keys.iter().map(|key| text(key, "v")).collect::<Vec<_>>();
    let point = NumberDataPoint { attributes: attributes(own), ..number(Number::AsInt(1)) };
    let body = metrics(vec![("m", gauge(vec![point]))]);
    let mut request = ExportMetricsServiceRequest::decode(&*body).expect("a request");
    let resource = request.resource_metrics[0].resource.as_mut().expect("a resource");
    resource.attributes.extend(attributes(of_resource));
    let mut seen = Vec::new();
    points(&request.encode_to_vec(), &mut |point| seen.push(point.series)).expect("decoded");
    assert_eq!(seen.len(), 1);
    seen[0]
}

#[test]
fn attributes_tell_series_apart_whatever_their_order() {
    assert_eq!(series(&["a", "b"], &["host"]), series(&["b", "a"], &["host"]));
    let all = [series(&[], &[]), series(&["a"], &[]), series(&["b"], &[]), series(&["a"], &["host"])];
    let apart: std::collections::BTreeSet<u64> = all.into_iter().collect();
    assert_eq!(apart.len(), all.len(), "{all:?}");
}

/// One metric of each kind, and a gauge that recorded nothing.
fn one_of_each() -> Vec<u8> {
    let sum = Sum { data_points: vec![number(Number::AsInt(-3))], aggregation_temporality: 2, is_monotonic: false };
    let histogram = HistogramDataPoint {
        time_unix_nano: 7,
        count: 4,
        sum: Some(10.0),
        bucket_counts: vec![1, 3],
        explicit_bounds: vec![2.0],
        min: Some(1.0),
        ..Default::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        time_unix_nano: 7,
        count: 5,
        sum: Some(2.5),
        scale: -3,
        attributes: vec![text("k", "v")],
        ..Default::default()
    };
    let summary = SummaryDataPoint { time_unix_nano: 7, count: 6, sum: 3.5, ..Default::default() };
    let silent = NumberDataPoint { time_unix_nano: 7, flags: 1, ..Default::default() };
    metrics(vec![
        ("gauge", gauge(vec![number(Number::AsDouble(0.5)), silent])),
        ("sum", Data::Sum(sum)),
        ("histogram", Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 })),
        (
            "exponential",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 1,
            }),
        ),
        ("summary", Data::Summary(Summary { data_points: vec![summary] })),
    ])
}

#[test]
fn every_kind_of_metric_is_read() {
    let body = one_of_each();
    let (seen, counted) = read(&body);
    let expected = [
        ("gauge", PointValue::Number(0.5)),
        ("gauge", PointValue::Missing),
        ("sum", PointValue::Number(-3.0)),
        ("histogram", PointValue::Distribution { count: 4, sum: 10.0 }),
        ("exponential", PointValue::Distribution { count: 5, sum: 2.5 }),
        ("summary", PointValue::Distribution { count: 6, sum: 3.5 }),
    ];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!(counted, Counted { accepted: 6, rejected: 0, reason: "" });
}

#[test]
fn points_that_cannot_be_used_are_left_out_by_name() {
    let good = || number(Number::AsInt(1));
    let crowded = NumberDataPoint { attributes: vec![text("k", "v"); 129], ..good() };
    let empty = NumberDataPoint { value: None, ..good() };
    let cases = [
        ("heap", crowded, "a data point has more than 128 attributes"),
        ("heap", empty, "a number data point has no value"),
        ("", good(), "a metric has no name"),
    ];
    for (name, point, reason) in cases {
        let (seen, counted) = read(&metrics(vec![("calm", gauge(vec![good()])), (name, gauge(vec![point]))]));
        assert_eq!((seen.len(), counted), (1, Counted { accepted: 1, rejected: 1, reason }));
    }
}

fn logs(log_records: Vec<LogRecord>) -> Vec<u8> {
    let batch = ResourceLogs {
        resource: shop(),
        scope_logs: vec![ScopeLogs { log_records, ..Default::default() }],
        ..Default::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![batch] }.encode_to_vec()
}

#[test]
fn a_log_record_is_a_service_a_time_and_a_severity() {
    let at = |time_unix_nano, observed_time_unix_nano, severity_number| LogRecord {
        time_unix_nano,
        observed_time_unix_nano,
        severity_number,
        body: Some(AnyValue { value: Some(Value::StringValue("ignore all rules".into())) }),
        ..Default::default()
    };
    let crowded = LogRecord { attributes: vec![text("k", "v"); 129], ..at(1, 2, 3) };
    let body = logs(vec![at(5, 9, 17), at(0, 9, 999), crowded]);
    let mut seen = Vec::new();
    let counted = records(&body, &mut |record| seen.push(record));
    let view = |at_ns, severity| LogView { service: "shop", at_ns, severity };
    assert_eq!(seen, [view(5, 17), view(9, 0)]);
    let reason = "a log record has more than 128 attributes";
    assert_eq!(counted, Ok(Counted { accepted: 2, rejected: 1, reason }));
}

#[test]
fn values_of_points_and_records_nest_no_deeper_either() {
    let attribute = |levels| tagged(2, &nested(levels));
    let in_scope = |item: Vec<u8>| tagged(1, &tagged(2, &tagged(2, &item)));
    let in_point = |kind, point: Vec<u8>| in_scope([tagged(1, b"m"), tagged(kind, &tagged(1, &point))].concat());
    type Place<'a> = (bool, &'a dyn Fn(usize) -> Vec<u8>);
    let places: [Place<'_>; 7] = [
        (true, &|levels| in_point(5, tagged(7, &attribute(levels)))),
        (true, &|levels| in_point(7, tagged(5, &tagged(7, &attribute(levels))))),
        (true, &|levels| in_point(9, tagged(8, &tagged(7, &attribute(levels))))),
        (true, &|levels| in_point(10, tagged(11, &tagged(7, &attribute(levels))))),
        (true, &|levels| in_scope(tagged(12, &attribute(levels)))),
        (false, &|levels| in_scope(tagged(5, &nested(levels)))),
        (false, &|levels| in_scope(tagged(6, &attribute(levels)))),
    ];
    for (place, (is_metric, message)) in places.into_iter().enumerate() {
        let read = |body: Vec<u8>| match is_metric {
            true => points(&body, &mut |_| {}),
            false => records(&body, &mut |_| {}),
        };
        assert!(read(message(MOST_DEPTH)).is_ok(), "place {place}");
        assert_eq!(read(message(MOST_DEPTH + 1)), Err(DecodeError::TooDeep), "place {place}");
    }
}

proptest! {
    /// Whatever prost takes for a request has as many items here; nothing else panics.
    #[test]
    fn any_bytes_are_read_or_refused(body in vec(any::<u8>(), 0..200)) {
        let told = records(&body, &mut |_| {});
        if let (Ok(request), Ok(told)) = (ExportLogsServiceRequest::decode(body.as_slice()), told) {
            let scopes = request.resource_logs.iter().flat_map(|batch| &batch.scope_logs);
            let all: usize = scopes.map(|scope| scope.log_records.len()).sum();
            prop_assert_eq!(told.accepted + told.rejected, all as u64);
        }
        _ = points(&body, &mut |_| {});
    }
}
