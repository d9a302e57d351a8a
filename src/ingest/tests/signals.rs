//! Metrics and logs, through both doors.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::*;

fn logs(records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records: records, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }
}

fn crowded() -> LogRecord {
    LogRecord { attributes: vec![text("k", "v"); 129], ..Default::default() }
}

#[tokio::test]
async fn each_path_takes_its_own_signal_and_says_what_it_left_out() {
    let bus = Arc::new(Recorder::default());
    let ears = ears(Arc::clone(&bus), &[]);
    let send = async |path: &str, kind: &str, body: Vec<u8>| {
        let request = Request::post(path).header("content-type", kind).body(Body::from(body)).expect("a request");
        let response = http::router(Arc::clone(&ears)).oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec()
    };
    let both = logs(vec![LogRecord::default(), crowded()]);
    let told = send("/v1/logs", PROTOBUF.1, both.encode_to_vec()).await;
    let told = ExportLogsServiceResponse::decode(told.as_slice()).expect("a reply").partial_success;
    let told = told.expect("a partial success");
    assert_eq!(told.rejected_log_records, 1);
    assert_eq!(told.error_message, "a log record has more than 128 attributes");

    let points = serde_json::json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [
        { "name": "heap", "gauge": { "dataPoints": [{ "asInt": "5" }, {}] } }
    ] }] }] });
    let told = send("/v1/metrics", "application/json", points.to_string().into_bytes()).await;
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(told["partialSuccess"]["rejectedDataPoints"], "1", "{told}");

    let snapshot = ears.stats.snapshot();
    assert_eq!((snapshot.accepted_data_points, snapshot.rejected_data_points), (1, 1));
    assert_eq!((snapshot.accepted_log_records, snapshot.rejected_log_records), (1, 1));
    assert_eq!(snapshot.accepted_spans, 0);
    let keys: Vec<String> = bus.messages.lock().expect("the list").iter().map(|message| message.key.clone()).collect();
    assert_eq!(keys, ["unknown_service", "unknown_service"], "keyed by service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_sdk_exports_metrics_over_grpc() {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_otlp::WithExportConfig as _;
    let bus = Arc::new(Recorder::default());
    with_grpc(ears(Arc::clone(&bus), &[]), async |endpoint| {
        let exporter = opentelemetry_otlp::MetricExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let reader = opentelemetry_sdk::metrics::PeriodicReader::builder(exporter.expect("an exporter")).build();
        let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().with_reader(reader).build();
        let meter = provider.meter("test");
        meter.u64_counter("orders").build().add(3, &[]);
        meter.f64_histogram("wait").with_unit("ms").build().record(2.5, &[]);
        tokio::task::spawn_blocking(move || provider.shutdown()).await.expect("no panic").expect("flushed");
    })
    .await;
    let mut names = Vec::new();
    for message in bus.messages.lock().expect("the list").iter() {
        decode::points(&message.body, &mut |point| names.push((point.metric.to_owned(), point.unit.to_owned())))
            .expect("points");
    }
    names.sort();
    assert_eq!(names, [("orders".to_owned(), String::new()), ("wait".to_owned(), "ms".to_owned())]);
}

#[tokio::test]
async fn a_stock_client_exports_logs_over_grpc() {
    let bus = Arc::new(Recorder::default());
    let told = with_grpc(ears(Arc::clone(&bus), &[]), async |endpoint| {
        let mut client = LogsServiceClient::connect(endpoint).await.expect("connected");
        client.export(logs(vec![LogRecord { severity_number: 17, ..Default::default() }, crowded()])).await
    })
    .await;
    let partial = told.expect("taken").into_inner().partial_success.expect("a partial success");
    assert_eq!(partial.rejected_log_records, 1);
    assert_eq!(bus.messages.lock().expect("the list").len(), 1);
}
