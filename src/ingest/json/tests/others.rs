//! Metrics and logs in OTLP/JSON.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::exemplar;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::*;

fn metrics(metric: Value) -> ExportMetricsServiceRequest {
    let text = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] }).to_string();
    let bytes = to_protobuf(Telemetry::Metrics, text.as_bytes()).expect("OTLP/JSON");
    ExportMetricsServiceRequest::decode(bytes).expect("protobuf")
}

fn data(metric: Value) -> Data {
    metrics(metric).resource_metrics.remove(0).scope_metrics.remove(0).metrics.remove(0).data.expect("data")
}

#[test]
fn numbers_keep_their_sign_and_kind() {
    let exemplar = json!({ "timeUnixNano": "4", "asInt": "-9", "spanId": "0102030405060708", "traceId": "00" });
    let sum = json!({ "name": "balance", "sum": { "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
        { "startTimeUnixNano": "1", "timeUnixNano": "2", "asInt": "-7", "exemplars": [exemplar], "flags": 1 },
        { "asInt": -8 }, { "asDouble": 0.5 }, { "asDouble": "NaN" }
    ] } });
    let Data::Sum(sum) = data(sum) else { panic!("a sum") };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
    let [first, second, third, fourth] = sum.data_points.try_into().expect("four points");
    assert_eq!((first.start_time_unix_nano, first.time_unix_nano, first.flags), (1, 2, 1));
    assert_eq!(first.value, Some(Number::AsInt(-7)));
    assert_eq!(first.exemplars[0].value, Some(exemplar::Value::AsInt(-9)));
    assert_eq!((second.value, third.value), (Some(Number::AsInt(-8)), Some(Number::AsDouble(0.5))));
    assert!(matches!(fourth.value, Some(Number::AsDouble(value)) if value.is_nan()));
}

#[test]
fn lists_of_numbers_are_read_as_the_reference_reads_packed_ones() {
    let histogram = json!({ "name": "h", "histogram": { "aggregationTemporality": 1, "dataPoints": [{
        "count": "6", "sum": 9.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.5, 1.5], "min": 0.1, "max": 4
    }] } });
    let Data::Histogram(histogram) = data(histogram) else { panic!("a histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (6, Some(9.5), Some(0.1), Some(4.0)));
    assert_eq!((&point.bucket_counts, &point.explicit_bounds), (&vec![1, 2, 3], &vec![0.5, 1.5]));

    let exponential = json!({ "name": "e", "exponentialHistogram": { "dataPoints": [{
        "count": 3, "scale": -2, "zeroCount": "1", "zeroThreshold": 0.25, "max": 8,
        "positive": { "offset": -5, "bucketCounts": ["1", "1"] }
    }] } });
    let Data::ExponentialHistogram(exponential) = data(exponential) else { panic!("an exponential histogram") };
    let point = &exponential.data_points[0];
    let positive = point.positive.as_ref().expect("buckets");
    assert_eq!((point.scale, point.zero_count, point.zero_threshold), (-2, 1, 0.25));
    assert_eq!((positive.offset, &positive.bucket_counts), (-5, &vec![1, 1]));

    let summary = json!({ "name": "s", "summary": { "dataPoints": [
        { "count": "2", "sum": 3, "quantileValues": [{ "quantile": 0.99, "value": 2 }] }
    ] } });
    let Data::Summary(summary) = data(summary) else { panic!("a summary") };
    assert_eq!(summary.data_points[0].quantile_values[0].quantile, 0.99);
}

#[test]
fn a_log_record_is_read_whole() {
    let record = json!({
        "timeUnixNano": "5", "observedTimeUnixNano": "6", "severityNumber": 17, "severityText": "ERROR",
        "body": { "kvlistValue": { "values": [{ "key": "k", "value": { "stringValue": "v" } }] } },
        "attributes": [{ "key": "a", "value": { "intValue": "1" } }], "flags": 1,
        "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "eventName": "checkout"
    });
    let text = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] }).to_string();
    let bytes = to_protobuf(Telemetry::Logs, text.as_bytes()).expect("OTLP/JSON");
    let mut request = ExportLogsServiceRequest::decode(bytes).expect("protobuf");
    let record = request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0);
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano, record.severity_number), (5, 6, 17));
    assert_eq!((record.severity_text.as_str(), record.event_name.as_str()), ("ERROR", "checkout"));
    assert_eq!((record.trace_id.len(), record.span_id.len(), record.flags), (16, 8, 1));
    assert!(matches!(record.body.and_then(|body| body.value), Some(any_value::Value::KvlistValue(_))));
}

#[test]
fn a_request_of_another_signal_is_empty_not_misread() {
    let traces = json!({ "resourceSpans": [{ "scopeSpans": [] }] }).to_string();
    for telemetry in [Telemetry::Metrics, Telemetry::Logs] {
        assert!(to_protobuf(telemetry, traces.as_bytes()).expect("JSON with unknown fields").is_empty());
    }
}
