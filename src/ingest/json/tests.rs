//! The crate's own OTLP/JSON as the reference, and texts nobody should send.

mod others;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;

fn read(text: &Value) -> ExportTraceServiceRequest {
    let bytes = to_protobuf(Telemetry::Traces, text.to_string().as_bytes()).expect("OTLP/JSON");
    ExportTraceServiceRequest::decode(bytes).expect("protobuf")
}

fn span(span: Value) -> Value {
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] })
}

fn attribute(value: Value) -> Value {
    span(json!({ "attributes": [{ "key": "k", "value": value }] }))
}

/// Every field of a trace request, in the canonical writing.
fn everything() -> Value {
    let attributes = json!([
        { "key": "s", "value": { "stringValue": "é\n" } }, { "key": "b", "value": { "boolValue": true } },
        { "key": "i", "value": { "intValue": "-7" } }, { "key": "d", "value": { "doubleValue": 0.5 } },
        { "key": "x", "value": { "bytesValue": "AQI=" } },
        { "key": "a", "value": { "arrayValue": { "values": [{ "stringValue": "" }, { "intValue": "9" }] } } },
        { "key": "m", "value": { "kvlistValue": { "values": [{ "key": "n", "value": { "boolValue": false } }] } } }
    ]);
    let link = json!({
        "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "traceState": "t=1",
        "attributes": attributes, "droppedAttributesCount": 1, "flags": 257
    });
    let event =
        json!({ "timeUnixNano": "5", "name": "exception", "attributes": attributes, "droppedAttributesCount": 2 });
    let span = json!({
        "traceId": "0102030405060708090A0B0C0D0E0F10", "spanId": "0102030405060708", "parentSpanId": "ffffffffffffffff",
        "traceState": "s=1", "name": "POST /quote", "kind": 2, "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "18446744073709551615", "attributes": attributes, "droppedAttributesCount": 3,
        "events": [event], "droppedEventsCount": 4, "links": [link], "droppedLinksCount": 5,
        "status": { "message": "broken", "code": 2 }, "flags": 4_294_967_295_u32
    });
    let scope = json!({ "name": "lib", "version": "1", "attributes": attributes, "droppedAttributesCount": 6 });
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes, "droppedAttributesCount": 7 },
        "scopeSpans": [{ "scope": scope, "spans": [span], "schemaUrl": "https://scope" }], "schemaUrl": "https://resource"
    }] })
}

#[test]
fn every_field_is_read_as_the_reference_reads_it() {
    let reference: ExportTraceServiceRequest = serde_json::from_value(everything()).expect("the reference");
    assert_eq!(read(&everything()), reference);
    let span = &reference.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.links.len(), span.events[0].attributes.len(), span.flags), (1, 7, u32::MAX));
}

#[test]
fn numbers_may_be_text_or_numbers() {
    for start in [json!("12"), json!(12)] {
        assert_eq!(
            read(&span(json!({ "startTimeUnixNano": start }))),
            read(&span(json!({ "startTimeUnixNano": "12" })))
        );
    }
    assert_eq!(read(&attribute(json!({ "intValue": -3 }))), read(&attribute(json!({ "intValue": "-3" }))));
    assert_eq!(read(&attribute(json!({ "doubleValue": 3 }))), read(&attribute(json!({ "doubleValue": "3" }))));
    let infinite = format!("{:?}", read(&attribute(json!({ "doubleValue": "-Infinity" }))));
    assert!(infinite.contains("DoubleValue(-inf)"), "{infinite}");
}

#[test]
fn unknown_fields_and_nulls_are_ignored() {
    let plain = json!({ "name": "work" });
    let odd = json!({ "name": "work", "kind": null, "attributes": null, "status": null, "later": { "a": [1, {}] } });
    assert_eq!(read(&span(odd)), read(&span(plain)));
    assert_eq!(read(&json!({})), ExportTraceServiceRequest::default());
}

#[test]
fn what_is_no_request_is_refused() {
    let wrong = [
        json!([]),
        json!("text"),
        json!({ "resourceSpans": {} }),
        json!({ "resourceSpans": [[]] }),
        json!({ "resourceSpans": [1] }),
        span(json!({ "traceId": "0g" })),
        span(json!({ "traceId": "012" })),
        span(json!({ "traceId": "é" })),
        span(json!({ "traceId": 12 })),
        span(json!({ "name": 12 })),
        span(json!({ "name": {} })),
        span(json!({ "kind": "SPAN_KIND_SERVER" })),
        span(json!({ "kind": 1.5 })),
        span(json!({ "startTimeUnixNano": "-1" })),
        span(json!({ "startTimeUnixNano": "18446744073709551616" })),
        span(json!({ "flags": 4_294_967_296_u64 })),
        span(json!({ "status": 2 })),
        attribute(json!({ "boolValue": "true" })),
        attribute(json!({ "bytesValue": "*" })),
        attribute(json!({ "intValue": true })),
    ];
    for text in wrong {
        assert!(to_protobuf(Telemetry::Traces, text.to_string().as_bytes()).is_err(), "{text}");
    }
    for text in ["", "{", "{}{}", "{\"resourceSpans\":[}", "\u{0}"] {
        assert!(to_protobuf(Telemetry::Traces, text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn values_nest_sixteen_deep_and_no_deeper() {
    let nested = |levels: usize| {
        (1..levels).fold(json!({ "stringValue": "core" }), |inner, level| match level % 2 {
            0 => json!({ "arrayValue": { "values": [inner] } }),
            _ => json!({ "kvlistValue": { "values": [{ "key": "k", "value": inner }] } }),
        })
    };
    assert!(to_protobuf(Telemetry::Traces, attribute(nested(MOST_DEPTH)).to_string().as_bytes()).is_ok());
    let refused =
        to_protobuf(Telemetry::Traces, attribute(nested(MOST_DEPTH + 1)).to_string().as_bytes()).expect_err("too deep");
    assert!(refused.to_string().starts_with("a value is nested more than 16 levels deep"), "{refused}");
}

#[test]
fn the_result_is_no_longer_than_the_text() {
    let texts = [
        json!({ "resourceSpans": vec![json!({}); 1_000] }),
        span(json!({ "attributes": vec![json!({}); 1_000] })),
        span(json!({ "flags": 1, "startTimeUnixNano": 1, "kind": -1 })),
        everything(),
    ];
    for text in texts {
        let text = text.to_string();
        assert!(to_protobuf(Telemetry::Traces, text.as_bytes()).expect("OTLP/JSON").len() <= text.len(), "{text:.60}");
    }
}
