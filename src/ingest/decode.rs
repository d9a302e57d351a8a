//! `ExportTraceServiceRequest` bytes → borrowed span views, without allocating. Field numbers are those of
//! opentelemetry-proto 1.x.
//!
//! A message that is not protobuf, or nests values deeper than any reader after us should have to follow, is an error.
//! A span that is well-formed and unusable is left out and counted, so that the sender hears of it by name.

mod span;
#[cfg(test)]
mod tests;
mod value;

use sre_space_domain::telemetry::SpanView;
use thiserror::Error;

use self::span::Draft;
use self::value::{Scalar, key_value};
use super::wire::{Fields, WireError};

/// Attributes a span may have (the SDKs' own default).
pub const MOST_ATTRIBUTES: usize = 128;
/// Values inside values that are followed.
pub const MOST_DEPTH: usize = 16;
/// Bytes kept of one text.
pub const MOST_TEXT: usize = 4 * 1024;

/// What became of the spans of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Spans handed on.
    pub accepted: u64,
    /// Spans left out.
    pub rejected: u64,
    /// Why the last of them was; empty when none was.
    pub reason: &'static str,
}

/// Why a request cannot be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not protobuf.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A value inside a value inside a value …
    #[error("a value is nested more than {MOST_DEPTH} levels deep")]
    TooDeep,
}

/// Why one span is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rejected(&'static str);

/// What a resource says of its spans.
#[derive(Clone, Copy)]
struct Origin<'a> {
    service: &'a str,
    revision: &'a str,
}

/// Visits every usable span of a request, in order; the others are counted.
///
/// On an error the spans before it were visited already: a caller that must not act on half a message decodes twice.
pub fn spans<'a>(body: &'a [u8], visit: &mut dyn FnMut(SpanView<'a>)) -> Result<Counted, DecodeError> {
    let mut counted = Counted::default();
    for field in Fields::of(body) {
        if let (1, value) = field? {
            resource_spans(value.bytes()?, &mut counted, visit)?;
        }
    }
    Ok(counted)
}

/// Fields may come in any order, so the resource is read before the spans it describes.
fn resource_spans<'a>(
    message: &'a [u8],
    counted: &mut Counted,
    visit: &mut dyn FnMut(SpanView<'a>),
) -> Result<(), DecodeError> {
    let mut resource = Resource::default();
    for field in Fields::of(message) {
        if let (1, value) = field? {
            resource.read(value.bytes()?)?;
        }
    }
    let origin = resource.origin();
    for field in Fields::of(message) {
        if let (2, value) = field? {
            scope_spans(value.bytes()?, origin, &mut |span| match span {
                Ok(span) => {
                    counted.accepted += 1;
                    visit(span);
                }
                Err(Rejected(reason)) => {
                    counted.rejected += 1;
                    counted.reason = reason;
                }
            })?;
        }
    }
    Ok(())
}

fn scope_spans<'a>(
    message: &'a [u8],
    origin: Result<Origin<'a>, Rejected>,
    visit: &mut dyn FnMut(Result<SpanView<'a>, Rejected>),
) -> Result<(), DecodeError> {
    for field in Fields::of(message) {
        match field? {
            (1, value) => shallow_attributes(value.bytes()?, 3)?,
            (2, value) => {
                let draft = Draft::read(value.bytes()?)?;
                visit(origin.and_then(|origin| draft.finish(origin)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Nobody here reads these attributes, but whoever reads the published bytes may follow them down.
fn shallow_attributes(message: &[u8], number: u32) -> Result<(), DecodeError> {
    for field in Fields::of(message) {
        let (found, value) = field?;
        if found == number {
            key_value(value.bytes()?)?;
        }
    }
    Ok(())
}

/// The attributes of a resource that are looked at.
#[derive(Default)]
struct Resource<'a> {
    service: Scalar<'a>,
    head: Scalar<'a>,
    version: Scalar<'a>,
}

impl<'a> Resource<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), DecodeError> {
        for field in Fields::of(message) {
            if let (1, value) = field? {
                let (key, value) = key_value(value.bytes()?)?;
                match key {
                    b"service.name" => self.service = value,
                    b"vcs.ref.head.revision" => self.head = value,
                    b"service.version" => self.version = value,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn origin(&self) -> Result<Origin<'a>, Rejected> {
        let (service, head, version) = (self.service.text()?, self.head.text()?, self.version.text()?);
        // The name the specification gives to a service that has none.
        let service = if service.is_empty() { "unknown_service" } else { service };
        Ok(Origin { service, revision: if head.is_empty() { version } else { head } })
    }
}
