//! Both doors: what a stock SDK sends gets in, what is hostile or not spoken is refused by name, and is not paid for.

mod signals;

use std::io::Write as _;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sre_space_domain::secret::Secret;
use sre_space_ports::bus::{BusError, BusStatus, Feed, Topic};
use tower::ServiceExt as _;

use super::*;

#[derive(Default)]
struct Recorder {
    messages: Mutex<Vec<Message>>,
    full: bool,
}

#[async_trait]
impl Bus for Recorder {
    async fn publish(&self, _topic: Topic, message: Message) -> Result<(), BusError> {
        if self.full {
            return Err(BusError::Full("otlp_spans"));
        }
        self.messages.lock().expect("the list").push(message);
        Ok(())
    }

    async fn health(&self) -> Result<(), BusError> {
        Ok(())
    }

    fn status(&self) -> BusStatus {
        BusStatus { backend: "local", held: 0, trouble: None }
    }

    async fn subscribe(&self, _topic: Topic, _group: &str) -> Result<Box<dyn Feed>, BusError> {
        Err(BusError::Closed)
    }
}

fn ears(bus: Arc<Recorder>, tokens: &[(&str, &str)]) -> Arc<Ears> {
    let tokens = tokens.iter().map(|(name, token)| ((*name).to_owned(), Secret::new(*token))).collect();
    Arc::new(Ears {
        bus,
        tokens: IngestTokens::new(tokens),
        admission: Admission::default(),
        now: Arc::new(|| 1_000),
        stats: Arc::default(),
    })
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..Default::default() }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![text("service.name", "shop")], ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }],
    }
}

fn good_span(number: u8) -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![number; 8], name: format!("work-{number}"), ..Default::default() }
}

async fn post(ears: &Arc<Ears>, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let mut request = Request::post("/v1/traces");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body)).expect("a request");
    let response = http::router(Arc::clone(ears)).oneshot(request).await.expect("an answer");
    let status = response.status();
    (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec())
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

#[tokio::test]
async fn protobuf_json_gzip_and_zstd_carry_the_same_spans() {
    let bus = Arc::new(Recorder::default());
    let ears = ears(Arc::clone(&bus), &[]);
    let request = request(vec![good_span(1), good_span(2)]);
    let plain = request.encode_to_vec();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).expect("gzip");
    let zstd = zstd::encode_all(plain.as_slice(), 3).expect("zstd");
    let json = serde_json::to_vec(&request).expect("json");
    let bodies = [
        (vec![PROTOBUF], plain.clone()),
        (vec![PROTOBUF, ("content-encoding", "gzip")], gzip.finish().expect("gzip")),
        (vec![PROTOBUF, ("content-encoding", "zstd")], zstd),
        (vec![("content-type", "application/json")], json),
    ];
    for (headers, body) in bodies {
        assert_eq!(post(&ears, &headers, body).await.0, StatusCode::OK, "{headers:?}");
    }
    let messages = bus.messages.lock().expect("the list");
    assert_eq!(messages.len(), 4);
    for message in messages.iter() {
        assert_eq!(ExportTraceServiceRequest::decode(message.body.clone()).expect("protobuf"), request);
    }
    assert_eq!(ears.stats.snapshot().accepted_spans, 8);
}

#[tokio::test]
async fn malformed_spans_are_a_partial_success() {
    let bus = Arc::new(Recorder::default());
    let ears = ears(Arc::clone(&bus), &[]);
    let bad = Span { trace_id: vec![0; 16], ..good_span(3) };
    let (status, body) = post(&ears, &[PROTOBUF], request(vec![good_span(1), bad]).encode_to_vec()).await;
    assert_eq!(status, StatusCode::OK);
    let reply = opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse::decode(body.as_slice());
    let partial = reply.expect("a reply").partial_success.expect("a partial success");
    assert_eq!(
        (partial.rejected_spans, partial.error_message.as_str()),
        (1, "a trace id is not 16 bytes, or all zero")
    );
}

#[tokio::test]
async fn who_may_not_send_and_what_is_not_spoken_is_refused_by_name() {
    let bus = Arc::new(Recorder::default());
    let ears = ears(Arc::clone(&bus), &[("shop", "s3cret")]);
    let body = request(vec![good_span(1)]).encode_to_vec();
    let good = ("authorization", "Bearer s3cret");
    let refused = [
        (vec![PROTOBUF], body.clone(), StatusCode::UNAUTHORIZED),
        (vec![PROTOBUF, ("authorization", "Bearer wrong!")], body.clone(), StatusCode::UNAUTHORIZED),
        (vec![good, ("content-type", "text/plain")], body.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (vec![good, PROTOBUF, ("content-encoding", "br")], body.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (vec![good, PROTOBUF], vec![0xff; 64], StatusCode::BAD_REQUEST),
        (vec![good, PROTOBUF], vec![0; MOST_BYTES + 1], StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (headers, body, status) in refused {
        assert_eq!(post(&ears, &headers, body).await.0, status, "{headers:?}");
    }
    assert_eq!(post(&ears, &[good, PROTOBUF], body).await.0, StatusCode::OK);
    assert_eq!(bus.messages.lock().expect("the list")[0].source, "shop");
}

#[tokio::test]
async fn a_full_bus_says_when_to_come_again() {
    let ears = ears(Arc::new(Recorder { full: true, ..Recorder::default() }), &[]);
    let request = Request::post("/v1/traces").header(PROTOBUF.0, PROTOBUF.1);
    let request =
        request.body(Body::from(super::tests::request(vec![good_span(1)]).encode_to_vec())).expect("a request");
    let response = http::router(ears).oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers().get("retry-after").and_then(|value| value.to_str().ok()), Some("1"));
}

#[tokio::test]
async fn bombs_are_refused() {
    let ears = ears(Arc::new(Recorder::default()), &[]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..256).for_each(|_| gzip.write_all(&zeros).expect("gzip"));
    let bomb = gzip.finish().expect("gzip");
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    assert_eq!(post(&ears, &headers, bomb).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let json = [("content-type", "application/json")];
    assert_eq!(post(&ears, &json, deep.into_bytes()).await.0, StatusCode::BAD_REQUEST);
    let crowded = Span { attributes: vec![text("a", "b"); 100_000], ..good_span(1) };
    assert_eq!(post(&ears, &[PROTOBUF], request(vec![crowded]).encode_to_vec()).await.0, StatusCode::BAD_REQUEST);
    let empty = request(vec![Span::default(); 1_000_000]).encode_to_vec();
    assert!(empty.len() < MOST_BYTES, "a million empty spans fit in {} bytes", empty.len());
    assert_eq!(post(&ears, &[PROTOBUF], empty).await.0, StatusCode::BAD_REQUEST);
    assert_eq!((ears.stats.snapshot().accepted_spans, ears.stats.snapshot().rejected_spans), (0, 1_000_001));
}

#[tokio::test]
async fn every_error_is_a_status_message_in_the_encoding_of_the_request() {
    let ears = ears(Arc::new(Recorder::default()), &[]);
    let (status, body) = post(&ears, &[PROTOBUF], vec![0xff; 64]).await;
    let told = refusal::RpcStatus::decode(body.as_slice()).expect("a google.rpc.Status");
    assert_eq!((status, told.code), (StatusCode::BAD_REQUEST, tonic::Code::InvalidArgument as i32));
    let (status, body) = post(&ears, &[("content-type", "application/json")], b"{".to_vec()).await;
    let told: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, told["code"].as_i64()), (StatusCode::BAD_REQUEST, Some(tonic::Code::InvalidArgument as i64)));
}

/// A receiver on a port of its own; it ends with the sender it is given to.
async fn with_grpc<T>(ears: Arc<Ears>, send: impl AsyncFnOnce(String) -> T) -> T {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let receiver = grpc::serve(listener, ears, async { _ = stopped.await });
    let send = async move {
        let sent = send(endpoint).await;
        drop(stop);
        sent
    };
    let (served, sent) = tokio::join!(receiver, send);
    served.expect("served");
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_sdk_exports_over_grpc_plain_and_compressed() {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
    for compression in [None, Some(opentelemetry_otlp::Compression::Gzip), Some(opentelemetry_otlp::Compression::Zstd)]
    {
        let bus = Arc::new(Recorder::default());
        with_grpc(ears(Arc::clone(&bus), &[]), async |endpoint| {
            let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint);
            let exporter = match compression {
                Some(compression) => exporter.with_compression(compression),
                None => exporter,
            };
            let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
                .with_batch_exporter(exporter.build().expect("an exporter"))
                .build();
            let tracer = provider.tracer("test");
            (0..10).for_each(|n| drop(tracer.start(format!("work-{n}"))));
            let flushed = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            flushed.expect("no panic").expect("flushed");
        })
        .await;
        let mut names = Vec::new();
        for message in bus.messages.lock().expect("the list").iter() {
            decode::spans(&message.body, &mut |span| names.push(span.name.to_owned())).expect("spans");
        }
        names.sort();
        assert_eq!(names, (0..10).map(|n| format!("work-{n}")).collect::<Vec<_>>(), "{compression:?}");
    }
}

#[tokio::test]
async fn what_grpc_refuses_has_its_code() {
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
    let good = || request(vec![good_span(1)]);
    let long = || request(vec![Span { name: "n".repeat(MOST_BYTES), ..good_span(1) }]);
    let none_usable = || request(vec![Span::default(); 3]);
    let secret: &[(&str, &str)] = &[("shop", "s3cret")];
    let (open, full) = (Recorder::default, || Recorder { full: true, ..Recorder::default() });
    let cases = [
        (open(), secret, good(), tonic::Code::Unauthenticated),
        (open(), &[], long(), tonic::Code::ResourceExhausted),
        (open(), &[], none_usable(), tonic::Code::InvalidArgument),
        (full(), &[], good(), tonic::Code::ResourceExhausted),
    ];
    for (bus, tokens, request, code) in cases {
        let refused = with_grpc(ears(Arc::new(bus), tokens), async |endpoint| {
            TraceServiceClient::connect(endpoint).await.expect("connected").export(request).await
        })
        .await;
        assert_eq!(refused.expect_err("refused").code(), code);
    }
}
