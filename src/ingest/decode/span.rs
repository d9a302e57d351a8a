//! One span: what its bytes hold, then whether that makes a span.

use sre_space_domain::telemetry::{SpanId, SpanKind, SpanView, TraceId};

use super::super::wire::{Fields, Value};
use super::value::{Scalar, key_value, text};
use super::{DecodeError, MOST_ATTRIBUTES, Origin, Rejected, shallow_attributes};

/// A span as its bytes have it, nothing checked yet but that it is protobuf.
#[derive(Default)]
pub(super) struct Draft<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_id: &'a [u8],
    name: &'a [u8],
    kind: u64,
    start_ns: u64,
    end_ns: u64,
    status: u64,
    attributes: usize,
    known: Known<'a>,
    exception: Option<Exception<'a>>,
}

/// The attributes that are looked at.
#[derive(Default)]
struct Known<'a> {
    http_status: Renamed<'a>,
    grpc_status: Scalar<'a>,
    error_type: Scalar<'a>,
    status_code: Scalar<'a>,
    peer_address: Renamed<'a>,
    peer_port: Renamed<'a>,
    db_system: Renamed<'a>,
}

/// An attribute that had another name in older conventions; the newer one counts, in whatever order they come.
#[derive(Default)]
struct Renamed<'a> {
    newer: Scalar<'a>,
    older: Scalar<'a>,
}

#[derive(Clone, Copy, Default)]
struct Exception<'a> {
    kind: Scalar<'a>,
    message: Scalar<'a>,
}

impl<'a> Draft<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut draft = Self::default();
        for field in Fields::of(message) {
            let (number, value) = field?;
            draft.take(number, value)?;
        }
        Ok(draft)
    }

    fn take(&mut self, number: u32, value: Value<'a>) -> Result<(), DecodeError> {
        match number {
            1 => self.trace_id = value.bytes()?,
            2 => self.span_id = value.bytes()?,
            4 => self.parent_id = value.bytes()?,
            5 => self.name = value.bytes()?,
            6 => self.kind = value.varint()?,
            7 => self.start_ns = value.fixed64()?,
            8 => self.end_ns = value.fixed64()?,
            9 => {
                self.attributes += 1;
                let (key, value) = key_value(value.bytes()?)?;
                self.known.take(key, value);
            }
            11 => self.exception = exception(value.bytes()?)?.or(self.exception),
            13 => shallow_attributes(value.bytes()?, 4)?,
            15 => self.status = status(value.bytes()?)?.unwrap_or(self.status),
            _ => {}
        }
        Ok(())
    }

    /// The span, if it is one.
    pub(super) fn finish(&self, origin: Origin<'a>) -> Result<SpanView<'a>, Rejected> {
        if self.attributes > MOST_ATTRIBUTES {
            return Err(Rejected("a span has more than 128 attributes"));
        }
        let exception = self.exception.unwrap_or_default();
        Ok(SpanView {
            trace_id: TraceId(identity(self.trace_id, "a trace id is not 16 bytes, or all zero")?),
            span_id: SpanId(identity(self.span_id, "a span id is not 8 bytes, or all zero")?),
            parent_id: parent(self.parent_id)?,
            service: origin.service,
            revision: origin.revision,
            name: text(self.name)?,
            kind: kind(self.kind),
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            status_error: self.status as u32 == 2 || self.known.status_code == Scalar::Text(b"INTERNAL_ERROR"),
            http_status: self.known.http_status.integer(),
            grpc_status: self.known.grpc_status.integer(),
            error_type: self.known.error_type.text()?,
            has_exception: self.exception.is_some(),
            exception_type: exception.kind.text()?,
            exception_message: exception.message.text()?,
            peer_address: self.known.peer_address.text()?,
            peer_port: self.known.peer_port.integer(),
            db_system: self.known.db_system.text()?,
        })
    }
}

impl<'a> Known<'a> {
    fn take(&mut self, key: &[u8], value: Scalar<'a>) {
        match key {
            b"http.response.status_code" => self.http_status.newer = value,
            b"http.status_code" => self.http_status.older = value,
            b"rpc.grpc.status_code" => self.grpc_status = value,
            b"error.type" => self.error_type = value,
            b"status_code" => self.status_code = value,
            b"server.address" => self.peer_address.newer = value,
            b"net.peer.name" => self.peer_address.older = value,
            b"server.port" => self.peer_port.newer = value,
            b"net.peer.port" => self.peer_port.older = value,
            b"db.system.name" => self.db_system.newer = value,
            b"db.system" => self.db_system.older = value,
            _ => {}
        }
    }
}

impl<'a> Renamed<'a> {
    fn text(&self) -> Result<&'a str, Rejected> {
        let newer = self.newer.text()?;
        if newer.is_empty() { self.older.text() } else { Ok(newer) }
    }

    fn integer<T: TryFrom<u64>>(&self) -> Option<T> {
        self.newer.integer().or_else(|| self.older.integer())
    }
}

fn exception(message: &[u8]) -> Result<Option<Exception<'_>>, DecodeError> {
    let (mut name, mut exception): (&[u8], _) = (&[], Exception::default());
    for field in Fields::of(message) {
        match field? {
            (2, value) => name = value.bytes()?,
            (3, value) => match key_value(value.bytes()?)? {
                (b"exception.type", value) => exception.kind = value,
                (b"exception.message", value) => exception.message = value,
                _ => {}
            },
            _ => {}
        }
    }
    Ok((name == b"exception").then_some(exception))
}

fn status(message: &[u8]) -> Result<Option<u64>, DecodeError> {
    let mut code = None;
    for field in Fields::of(message) {
        if let (3, value) = field? {
            code = Some(value.varint()?);
        }
    }
    Ok(code)
}

fn identity<const N: usize>(bytes: &[u8], reason: &'static str) -> Result<[u8; N], Rejected> {
    bytes.try_into().ok().filter(|id| *id != [0; N]).ok_or(Rejected(reason))
}

/// Some exporters write a root's parent as zeros.
fn parent(bytes: &[u8]) -> Result<Option<SpanId>, Rejected> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let id: [u8; 8] = bytes.try_into().map_err(|_| Rejected("a parent span id is not 8 bytes"))?;
    Ok((id != [0; 8]).then_some(SpanId(id)))
}

/// Enums are 32 bits wide, whatever the varint holds.
fn kind(number: u64) -> SpanKind {
    match number as u32 {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}
