//! The receivers against a stock SDK, hostile bodies, and prost as the reference.

use std::io::Write as _;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message as _;
use sre_space_ports::bus::{BusError, Feed};
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

    async fn subscribe(&self, _topic: Topic, _group: &str) -> Result<Box<dyn Feed>, BusError> {
        Err(BusError::Closed)
    }
}

fn ears(bus: Arc<Recorder>, tokens: &[(&str, &str)]) -> Arc<Ears> {
    let tokens = tokens.iter().map(|(name, token)| ((*name).to_owned(), (*token).to_owned())).collect();
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
    assert!(messages.iter().all(|message| message.body == plain));
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
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (1, "trace id or span id is all zero"));
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
    assert_eq!(post(&ears, &[PROTOBUF], request(vec![crowded]).encode_to_vec()).await.0, StatusCode::OK);
    assert_eq!(ears.stats.snapshot().rejected_spans, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_sdk_exports_over_grpc() {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_otlp::WithExportConfig as _;
    let bus = Arc::new(Recorder::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let receiver = grpc::serve(listener, ears(Arc::clone(&bus), &[]), async { _ = stopped.await });
    let send = async move {
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
            .with_batch_exporter(exporter.expect("an exporter"))
            .build();
        let tracer = provider.tracer("test");
        (0..10).for_each(|n| drop(tracer.start(format!("work-{n}"))));
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        drop(stop);
        flushed.expect("no panic").expect("flushed");
    };
    let (served, ()) = tokio::join!(receiver, send);
    served.expect("served");
    let mut names = Vec::new();
    for message in bus.messages.lock().expect("the list").iter() {
        decode::spans(&message.body, &mut |span| names.push(span.name.to_owned())).expect("spans");
    }
    names.sort();
    assert_eq!(names, (0..10).map(|n| format!("work-{n}")).collect::<Vec<_>>());
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (prop::collection::vec(any::<u8>(), 0..18), prop::collection::vec(any::<u8>(), 0..10));
    let id16 = prop_oneof![9 => prop::array::uniform16(1_u8..).prop_map(|id| id.to_vec()), 1 => ids.0];
    let id8 = prop_oneof![9 => prop::array::uniform8(1_u8..).prop_map(|id| id.to_vec()), 1 => ids.1];
    (id16, id8, ".{0,12}", 0..7_i32, any::<(u64, u64)>(), 0..3_i32, any::<bool>(), 0..900_i64).prop_map(
        |(trace_id, span_id, name, kind, (start, end), code, throws, status)| Span {
            trace_id,
            span_id,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: vec![
                KeyValue {
                    key: "http.response.status_code".into(),
                    value: Some(AnyValue { value: Some(any_value::Value::IntValue(status)) }),
                    ..Default::default()
                },
                text("error.type", "timeout"),
            ],
            events: throws
                .then(|| span::Event { name: "exception".into(), ..Default::default() })
                .into_iter()
                .collect(),
            status: Some(Status { code, ..Default::default() }),
            ..Default::default()
        },
    )
}

fn accepted(span: &Span) -> bool {
    let zero = |id: &[u8]| id.iter().all(|byte| *byte == 0);
    span.trace_id.len() == 16 && span.span_id.len() == 8 && !zero(&span.trace_id) && !zero(&span.span_id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_borrowed_view_agrees_with_prost(spans in prop::collection::vec(any_span(), 0..6)) {
        let body = request(spans.clone()).encode_to_vec();
        let mut seen = Vec::new();
        let counted = decode::spans(&body, &mut |view| {
            seen.push((view.name.to_owned(), view.start_ns, view.end_ns, view.status_error, view.http_status, view.has_exception));
        }).expect("prost wrote it");
        let expected: Vec<_> = spans.iter().filter(|span| accepted(span)).map(|span| {
            let Some(any_value::Value::IntValue(status)) = span.attributes[0].value.as_ref().and_then(|v| v.value.clone()) else {
                panic!("an integer");
            };
            (span.name.clone(), span.start_time_unix_nano, span.end_time_unix_nano,
             span.status.as_ref().is_some_and(|status| status.code == 2), u16::try_from(status).ok(), !span.events.is_empty())
        }).collect();
        prop_assert_eq!(&seen, &expected);
        prop_assert_eq!(counted.accepted + counted.rejected, spans.len() as u64);
    }

    #[test]
    fn mutated_bytes_never_panic(spans in prop::collection::vec(any_span(), 1..4), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = request(spans).encode_to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let ours = decode::spans(&body, &mut |_| {});
        if ExportTraceServiceRequest::decode(body.as_slice()).is_ok() {
            prop_assert!(ours.is_ok(), "prost reads it and we do not");
        }
    }
}
