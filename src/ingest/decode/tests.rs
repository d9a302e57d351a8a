//! prost as the reference: whatever it reads, the borrowed reader reads the same way.

mod others;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use sre_space_domain::telemetry::{SpanId, SpanKind, TraceId};

use super::*;

/// A view as a string: every field of it, so that whole values are compared.
fn seen(body: &[u8]) -> Result<(Vec<String>, u64), DecodeError> {
    let mut views = Vec::new();
    let counted = spans(body, &mut |view| views.push(format!("{view:?}")))?;
    assert_eq!(counted.accepted, views.len() as u64);
    Ok((views, counted.rejected))
}

/// The same, from what prost reads.
fn expected(request: &ExportTraceServiceRequest) -> (Vec<String>, u64) {
    let (mut views, mut rejected) = (Vec::new(), 0);
    for batch in &request.resource_spans {
        let resource = batch.resource.as_ref().map(|resource| resource.attributes.as_slice()).unwrap_or_default();
        for span in batch.scope_spans.iter().flat_map(|scope| &scope.spans) {
            match view(resource, span) {
                Some(view) => views.push(format!("{view:?}")),
                None => rejected += 1,
            }
        }
    }
    (views, rejected)
}

fn last<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().rfind(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn string<'a>(attributes: &'a [KeyValue], keys: &[&str]) -> &'a str {
    let texts = keys.iter().map(|key| match last(attributes, key) {
        Some(Value::StringValue(text)) => text.as_str(),
        _ => "",
    });
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn number<T: TryFrom<u64>>(attributes: &[KeyValue], keys: &[&str]) -> Option<T> {
    keys.iter().find_map(|key| {
        let value = last(attributes, key)?;
        let number = if let Value::IntValue(number) = value { u64::try_from(*number).ok() } else { None };
        let text = if let Value::StringValue(text) = value { text.parse::<u64>().ok() } else { None };
        number.or(text)?.try_into().ok()
    })
}

fn view<'a>(resource: &'a [KeyValue], span: &'a Span) -> Option<SpanView<'a>> {
    let trace_id: [u8; 16] = span.trace_id.as_slice().try_into().ok().filter(|id| *id != [0; 16])?;
    let span_id: [u8; 8] = span.span_id.as_slice().try_into().ok().filter(|id| *id != [0; 8])?;
    let parent: Option<[u8; 8]> =
        if span.parent_span_id.is_empty() { None } else { Some(span.parent_span_id.as_slice().try_into().ok()?) };
    let exception = span.events.iter().rfind(|event| event.name == "exception");
    let thrown = exception.map(|event| event.attributes.as_slice()).unwrap_or_default();
    let service = string(resource, &["service.name"]);
    let attributes = span.attributes.as_slice();
    (attributes.len() <= 128).then(|| SpanView {
        trace_id: TraceId(trace_id),
        span_id: SpanId(span_id),
        parent_id: parent.filter(|id| *id != [0; 8]).map(SpanId),
        service: if service.is_empty() { "unknown_service" } else { service },
        revision: string(resource, &["vcs.ref.head.revision", "service.version"]),
        name: &span.name,
        kind: [SpanKind::Internal, SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer]
            .into_iter()
            .chain([SpanKind::Consumer])
            .nth(usize::try_from(span.kind).unwrap_or(0))
            .unwrap_or(SpanKind::Internal),
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        status_error: span.status.as_ref().is_some_and(|status| status.code == 2)
            || string(attributes, &["status_code"]) == "INTERNAL_ERROR",
        http_status: number(attributes, &["http.response.status_code", "http.status_code"]),
        grpc_status: number(attributes, &["rpc.grpc.status_code"]),
        error_type: string(attributes, &["error.type"]),
        has_exception: exception.is_some(),
        exception_type: string(thrown, &["exception.type"]),
        exception_message: string(thrown, &["exception.message"]),
        peer_address: string(attributes, &["server.address", "net.peer.name"]),
        peer_port: number(attributes, &["server.port", "net.peer.port"]),
        db_system: string(attributes, &["db.system.name", "db.system"]),
    })
}

const KEYS: [&str; 18] = [
    "service.name",
    "service.version",
    "vcs.ref.head.revision",
    "http.response.status_code",
    "http.status_code",
    "rpc.grpc.status_code",
    "error.type",
    "status_code",
    "server.address",
    "net.peer.name",
    "server.port",
    "net.peer.port",
    "db.system.name",
    "db.system",
    "exception.type",
    "exception.message",
    "exception",
    "other",
];

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        4 => prop_oneof!["[a-z]{0,6}", Just("INTERNAL_ERROR".to_owned()), Just("504".to_owned())].prop_map(Value::StringValue),
        4 => prop_oneof![-2..600_i64, any::<i64>()].prop_map(Value::IntValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => any::<f64>().prop_map(Value::DoubleValue),
        1 => vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
    ];
    let any = |value| AnyValue { value: Some(value) };
    leaf.prop_map(any).prop_recursive(3, 6, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(move |values| any(Value::ArrayValue(ArrayValue { values }))),
            vec(inner, 0..3).prop_map(move |values| {
                let pair = |value| KeyValue { key: "k".into(), value: Some(value), ..Default::default() };
                let values = values.into_iter().map(pair).collect();
                any(Value::KvlistValue(KeyValueList { values }))
            }),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (prop::sample::select(&KEYS[..]), prop::option::weighted(0.95, any_value()));
    vec(attribute.prop_map(|(key, value)| KeyValue { key: key.into(), value, ..Default::default() }), 0..5)
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(1..=255_u8, length), 1 => Just(vec![0; length]), 1 => vec(any::<u8>(), 0..length + 2)]
}

fn any_span() -> impl Strategy<Value = Span> {
    let event = (prop::sample::select(&["exception", "log"][..]), attributes());
    let event = event.prop_map(|(name, attributes)| Event { name: name.into(), attributes, ..Default::default() });
    let ids = (id(16), id(8), prop_oneof![Just(vec![]), id(8)]);
    let rest = (attributes(), vec(event, 0..3), prop::option::of(0..4_i32), vec(attributes(), 0..2));
    (ids, "\\PC{0,8}", -1..7_i32, any::<(u64, u64)>(), rest).prop_map(|(ids, name, kind, times, rest)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        name,
        kind,
        start_time_unix_nano: times.0,
        end_time_unix_nano: times.1,
        attributes: rest.0,
        events: rest.1,
        status: rest.2.map(|code| Status { code, ..Default::default() }),
        links: rest.3.into_iter().map(|attributes| Link { attributes, ..Default::default() }).collect(),
        ..Default::default()
    })
}

fn any_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let resource = prop::option::of(attributes().prop_map(|attributes| Resource { attributes, ..Default::default() }));
    let scopes = vec(vec(any_span(), 0..3).prop_map(|spans| ScopeSpans { spans, ..Default::default() }), 0..3);
    let batch = (resource, scopes).prop_map(|(resource, scope_spans)| ResourceSpans {
        resource,
        scope_spans,
        ..Default::default()
    });
    vec(batch, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

/// Overwrites, removes or inserts one byte, or cuts the rest.
type Mutation = (prop::sample::Index, u8, u8);

fn mutate(body: &mut Vec<u8>, (at, how, byte): Mutation) {
    if body.is_empty() {
        return;
    }
    let at = at.index(body.len());
    match how {
        0..120 => body[at] = byte,
        120..180 => drop(body.remove(at)),
        180..250 => body.insert(at, byte),
        250.. => body.truncate(at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_view_agrees_with_prost(request in any_request()) {
        prop_assert_eq!(seen(&request.encode_to_vec()).expect("prost wrote it"), expected(&request));
    }

    #[test]
    fn the_view_agrees_with_prost_on_damaged_messages(
        request in any_request(),
        mutations in vec(any::<Mutation>(), 1..4),
    ) {
        let mut body = request.encode_to_vec();
        mutations.into_iter().for_each(|mutation| mutate(&mut body, mutation));
        let ours = seen(&body);
        if let Ok(read) = ExportTraceServiceRequest::decode(body.as_slice()) {
            prop_assert_eq!(ours.expect("prost reads it"), expected(&read));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in vec(any::<u8>(), 0..200)) {
        let mut visited = 0;
        if let Ok(counted) = spans(&body, &mut |_| visited += 1) {
            prop_assert_eq!(counted.accepted, visited);
        }
    }
}

fn good() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "work".into(), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

fn body(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let batch = ResourceSpans { scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![batch] }.encode_to_vec()
}

fn tagged(number: u32, message: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::bytes::encode(number, &message.to_vec(), &mut field);
    field
}

#[test]
fn a_resource_after_its_spans_counts() {
    let resource = Resource { attributes: vec![text("service.name", "quote-engine")], ..Default::default() };
    let scope = ScopeSpans { spans: vec![good()], ..Default::default() };
    let batch = [tagged(2, &scope.encode_to_vec()), tagged(1, &resource.encode_to_vec())].concat();
    let mut services = Vec::new();
    let body = tagged(1, &batch);
    let counted = spans(&body, &mut |span| services.push(span.service)).expect("decoded");
    assert_eq!((services, counted.accepted), (vec!["quote-engine"], 1));
}

#[test]
fn a_span_left_out_is_counted_with_its_reason() {
    let crowded = |count| Span { attributes: vec![text("a", "b"); count], ..good() };
    let cases = [
        (Span { trace_id: vec![0; 16], ..good() }, "a trace id is not 16 bytes, or all zero"),
        (Span { trace_id: vec![1; 15], ..good() }, "a trace id is not 16 bytes, or all zero"),
        (Span { span_id: vec![], ..good() }, "a span id is not 8 bytes, or all zero"),
        (Span { parent_span_id: vec![1; 3], ..good() }, "a parent span id is not 8 bytes"),
        (crowded(129), "a span has more than 128 attributes"),
    ];
    for (span, reason) in cases {
        let counted = spans(&body(vec![good(), span]), &mut |_| {}).expect("decoded");
        assert_eq!(counted, Counted { accepted: 1, rejected: 1, reason });
    }
    assert_eq!(spans(&body(vec![crowded(128)]), &mut |_| {}).expect("decoded").accepted, 1);
}

#[test]
fn text_that_is_needed_has_to_be_utf8() {
    let span = [good().encode_to_vec(), tagged(5, b"\xff")].concat();
    let counted = spans(&tagged(1, &tagged(2, &tagged(2, &span))), &mut |_| {}).expect("decoded");
    assert_eq!((counted.rejected, counted.reason), (1, "a text is not UTF-8"));
    let unneeded = [good().encode_to_vec(), tagged(3, b"\xff")].concat();
    assert_eq!(spans(&tagged(1, &tagged(2, &tagged(2, &unneeded))), &mut |_| {}).expect("decoded").accepted, 1);
}

#[test]
fn long_text_is_cut_between_characters() {
    let name = format!("a{}", "é".repeat(MOST_TEXT));
    let body = body(vec![Span { name, ..good() }]);
    let mut kept = Vec::new();
    spans(&body, &mut |span| kept.push(span.name)).expect("decoded");
    assert_eq!(kept, [format!("a{}", "é".repeat(MOST_TEXT / 2 - 1))]);
}

/// A value inside `levels - 1` others, by alternating arrays and maps.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = tagged(1, b"core");
    for level in 1..levels {
        value = match level % 2 {
            0 => tagged(5, &tagged(1, &value)),
            _ => tagged(6, &tagged(1, &tagged(2, &value))),
        };
    }
    value
}

#[test]
fn values_nest_sixteen_deep_and_no_deeper_wherever_they_are() {
    let attribute = |levels| tagged(2, &nested(levels));
    let span = |extra: Vec<u8>| tagged(1, &tagged(2, &tagged(2, &[good().encode_to_vec(), extra].concat())));
    let places: [&dyn Fn(usize) -> Vec<u8>; 5] = [
        &|levels| span(tagged(9, &attribute(levels))),
        &|levels| span(tagged(11, &tagged(3, &attribute(levels)))),
        &|levels| span(tagged(13, &tagged(4, &attribute(levels)))),
        &|levels| tagged(1, &tagged(1, &tagged(1, &attribute(levels)))),
        &|levels| tagged(1, &tagged(2, &tagged(1, &tagged(3, &attribute(levels))))),
    ];
    for (place, message) in places.into_iter().enumerate() {
        assert!(spans(&message(MOST_DEPTH), &mut |_| {}).is_ok(), "place {place}");
        assert_eq!(spans(&message(MOST_DEPTH + 1), &mut |_| {}), Err(DecodeError::TooDeep), "place {place}");
    }
}
