//! `ExportTraceServiceRequest` bytes → borrowed span views. Field numbers are those of opentelemetry-proto 1.x.

use sre_space_domain::telemetry::{SpanId, SpanKind, SpanView, TraceId};
use thiserror::Error;

use super::wire::{Fields, Value, WireError};

/// Attributes a span may have (the SDKs' own default).
const MOST_ATTRIBUTES: usize = 128;

/// Spans of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Spans handed on.
    pub accepted: u64,
    /// Spans refused.
    pub rejected: u64,
    /// Why the last of them was.
    pub reason: &'static str,
}

/// Why a request cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not protobuf.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Why one span is refused.
struct Rejected(&'static str);

/// What a resource says of its spans.
#[derive(Clone, Copy, Default)]
struct Resource<'a> {
    service: &'a str,
    head_revision: &'a str,
    version: &'a str,
}

/// Visits every acceptable span of a request; the others are counted by name.
pub fn spans<'a>(body: &'a [u8], visit: &mut dyn FnMut(SpanView<'a>)) -> Result<Counted, DecodeError> {
    let mut counted = Counted::default();
    for field in Fields::of(body) {
        if let (1, Value::Bytes(resource_spans)) = field? {
            resource_batch(resource_spans, &mut counted, visit)?;
        }
    }
    Ok(counted)
}

/// The resource may come after the spans it describes, so it is read first.
fn resource_batch<'a>(
    batch: &'a [u8],
    counted: &mut Counted,
    visit: &mut dyn FnMut(SpanView<'a>),
) -> Result<(), DecodeError> {
    let mut resource = Resource::default();
    for field in Fields::of(batch) {
        if let (1, Value::Bytes(message)) = field? {
            resource = read_resource(message)?;
        }
    }
    for field in Fields::of(batch) {
        if let (2, Value::Bytes(scope)) = field? {
            for field in Fields::of(scope) {
                if let (2, Value::Bytes(message)) = field? {
                    one(message, resource, counted, visit)?;
                }
            }
        }
    }
    Ok(())
}

fn one<'a>(
    message: &'a [u8],
    resource: Resource<'a>,
    counted: &mut Counted,
    visit: &mut dyn FnMut(SpanView<'a>),
) -> Result<(), DecodeError> {
    match read_span(message, resource)? {
        Ok(span) => {
            counted.accepted += 1;
            visit(span);
        }
        Err(Rejected(reason)) => {
            counted.rejected += 1;
            counted.reason = reason;
        }
    }
    Ok(())
}

fn read_resource(message: &[u8]) -> Result<Resource<'_>, DecodeError> {
    let mut resource = Resource::default();
    for field in Fields::of(message) {
        if let (1, Value::Bytes(attribute)) = field? {
            let (key, value) = key_value(attribute)?;
            match key {
                b"service.name" => resource.service = value.text(),
                b"vcs.ref.head.revision" => resource.head_revision = value.text(),
                b"service.version" => resource.version = value.text(),
                _ => {}
            }
        }
    }
    Ok(resource)
}

fn read_span<'a>(message: &'a [u8], resource: Resource<'a>) -> Result<Result<SpanView<'a>, Rejected>, DecodeError> {
    let mut span = empty(resource);
    let (mut trace, mut id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut name = Some("");
    let mut attributes = 0;
    for field in Fields::of(message) {
        let (number, value) = field?;
        match number {
            1 => trace = value.bytes(),
            2 => id = value.bytes(),
            4 => parent = value.bytes(),
            5 => name = std::str::from_utf8(value.bytes()).ok(),
            6 => span.kind = kind(value.number()),
            7 => span.start_ns = value.number(),
            8 => span.end_ns = value.number(),
            9 => {
                attributes += 1;
                read_attribute(value.bytes(), &mut span)?;
            }
            11 => read_event(value.bytes(), &mut span)?,
            15 => span.status_error |= status_is_error(value.bytes())?,
            _ => {}
        }
    }
    let ids = (trace.try_into(), id.try_into());
    let (Ok(trace), Ok(id)) = ids else { return Ok(Err(Rejected("trace id or span id has the wrong length"))) };
    if trace == [0; 16] || id == [0; 8] {
        return Ok(Err(Rejected("trace id or span id is all zero")));
    }
    let Some(name) = name else { return Ok(Err(Rejected("the span name is not UTF-8"))) };
    if attributes > MOST_ATTRIBUTES {
        return Ok(Err(Rejected("more than 128 attributes")));
    }
    (span.trace_id, span.span_id, span.name) = (TraceId(trace), SpanId(id), name);
    span.parent_id = parent.try_into().ok().filter(|parent| *parent != [0; 8]).map(SpanId);
    Ok(Ok(span))
}

fn empty(resource: Resource<'_>) -> SpanView<'_> {
    let revision = if resource.head_revision.is_empty() { resource.version } else { resource.head_revision };
    SpanView {
        trace_id: TraceId::default(),
        span_id: SpanId::default(),
        parent_id: None,
        service: if resource.service.is_empty() { "unknown_service" } else { resource.service },
        revision,
        name: "",
        kind: SpanKind::Internal,
        start_ns: 0,
        end_ns: 0,
        status_error: false,
        http_status: None,
        grpc_status: None,
        error_type: "",
        has_exception: false,
        exception_type: "",
        exception_message: "",
        peer_address: "",
        peer_port: None,
        db_system: "",
    }
}

fn kind(number: u64) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// An `AnyValue`, as far as the attributes read here need it.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Text(&'a str),
    Integer(u64),
    Other,
}

impl<'a> Scalar<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Integer(_) | Self::Other => "",
        }
    }

    /// The number, also where an older instrumentation writes it as text.
    fn integer<T: TryFrom<u64>>(self) -> Option<T> {
        match self {
            Self::Integer(number) => T::try_from(number).ok(),
            Self::Text(text) => text.parse::<u64>().ok().and_then(|number| T::try_from(number).ok()),
            Self::Other => None,
        }
    }
}

/// Key and value of an attribute. Nested values are skipped, never entered, so depth costs nothing.
fn key_value(message: &[u8]) -> Result<(&[u8], Scalar<'_>), DecodeError> {
    let (mut key, mut scalar): (&[u8], _) = (&[], Scalar::Other);
    for field in Fields::of(message) {
        match field? {
            (1, Value::Bytes(text)) => key = text,
            (2, Value::Bytes(any)) => {
                for field in Fields::of(any) {
                    scalar = match field? {
                        (1, Value::Bytes(text)) => std::str::from_utf8(text).map_or(Scalar::Other, Scalar::Text),
                        (3, Value::Varint(number)) => Scalar::Integer(number),
                        _ => Scalar::Other,
                    };
                }
            }
            _ => {}
        }
    }
    Ok((key, scalar))
}

fn read_attribute<'a>(message: &'a [u8], span: &mut SpanView<'a>) -> Result<(), DecodeError> {
    let (key, value) = key_value(message)?;
    match key {
        b"http.response.status_code" | b"http.status_code" => span.http_status = value.integer(),
        b"rpc.grpc.status_code" => span.grpc_status = value.integer(),
        b"error.type" => span.error_type = value.text(),
        b"status_code" => span.status_error |= value.text() == "INTERNAL_ERROR",
        b"server.address" | b"net.peer.name" => span.peer_address = value.text(),
        b"server.port" | b"net.peer.port" => span.peer_port = value.integer(),
        b"db.system.name" | b"db.system" => span.db_system = value.text(),
        _ => {}
    }
    Ok(())
}

fn read_event<'a>(message: &'a [u8], span: &mut SpanView<'a>) -> Result<(), DecodeError> {
    for field in Fields::of(message) {
        match field? {
            (2, Value::Bytes(b"exception")) => span.has_exception = true,
            (3, Value::Bytes(attribute)) => match key_value(attribute)? {
                (b"exception.type", value) => span.exception_type = value.text(),
                (b"exception.message", value) => span.exception_message = value.text(),
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}

fn status_is_error(message: &[u8]) -> Result<bool, DecodeError> {
    let mut is_error = false;
    for field in Fields::of(message) {
        if let (3, Value::Varint(code)) = field? {
            is_error = code == 2;
        }
    }
    Ok(is_error)
}
