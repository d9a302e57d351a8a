//! Export requests as bytes → borrowed views of spans, data points and log records, without allocating. Field numbers are
//! those of opentelemetry-proto 1.x.
//!
//! A message that is not protobuf, or nests values deeper than any reader after us should have to follow, is an error.
//! An item that is well-formed and unusable is left out and counted, so that the sender hears of it by name.

mod logs;
mod metrics;
mod span;
#[cfg(test)]
mod tests;
mod value;

use sre_space_domain::telemetry::SpanView;
use thiserror::Error;

pub use self::logs::records;
pub use self::metrics::points;
use self::span::Draft;
use self::value::{Scalar, key_value};
use super::wire::{Fields, WireError};

/// Attributes an item may have (the SDKs' own default).
pub const MOST_ATTRIBUTES: usize = 128;
/// Values inside values that are followed.
pub const MOST_DEPTH: usize = 16;
/// Bytes kept of one text.
pub const MOST_TEXT: usize = 4 * 1024;

/// What became of the items of one request: spans, data points or log records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Items handed on.
    pub accepted: u64,
    /// Items left out.
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

impl Counted {
    fn count<T>(&mut self, item: Result<T, Rejected>, visit: &mut dyn FnMut(T)) {
        match item {
            Ok(item) => {
                self.accepted += 1;
                visit(item);
            }
            Err(Rejected(reason)) => {
                self.rejected += 1;
                self.reason = reason;
            }
        }
    }
}

/// Why one item is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rejected(&'static str);

/// What a resource says of its items.
#[derive(Clone, Copy)]
struct Origin<'a> {
    service: &'a str,
    revision: &'a str,
    instance: &'a str,
    /// The resource as its bytes have it.
    about: &'a [u8],
}

/// Visits every usable span of a request, in order; the others are counted.
///
/// On an error the spans before it were visited already: a caller that must not act on half a message decodes twice.
pub fn spans<'a>(body: &'a [u8], visit: &mut dyn FnMut(SpanView<'a>)) -> Result<Counted, DecodeError> {
    let mut counted = Counted::default();
    each_item(body, &mut |item, origin| {
        let draft = Draft::read(item)?;
        counted.count(origin.and_then(|origin| draft.finish(origin)), visit);
        Ok(())
    })?;
    Ok(counted)
}

type VisitItem<'v, 'a> = &'v mut dyn FnMut(&'a [u8], Result<Origin<'a>, Rejected>) -> Result<(), DecodeError>;

/// Visits every span, metric or log record with what its resource says. All three requests are resources (field 1) of scopes
/// (field 2) of items (field 2).
fn each_item<'a>(body: &'a [u8], visit: VisitItem<'_, 'a>) -> Result<(), DecodeError> {
    for field in Fields::of(body) {
        if let (1, value) = field? {
            resource(value.bytes()?, visit)?;
        }
    }
    Ok(())
}

/// Fields may come in any order, so the resource is read before the scopes it describes.
fn resource<'a>(message: &'a [u8], visit: VisitItem<'_, 'a>) -> Result<(), DecodeError> {
    let mut resource = Resource::default();
    for field in Fields::of(message) {
        if let (1, value) = field? {
            resource.read(value.bytes()?)?;
        }
    }
    let origin = resource.origin();
    for field in Fields::of(message) {
        if let (2, value) = field? {
            scope(value.bytes()?, origin, visit)?;
        }
    }
    Ok(())
}

fn scope<'a>(
    message: &'a [u8],
    origin: Result<Origin<'a>, Rejected>,
    visit: VisitItem<'_, 'a>,
) -> Result<(), DecodeError> {
    for field in Fields::of(message) {
        match field? {
            (1, value) => shallow_attributes(value.bytes()?, 3)?,
            (2, value) => visit(value.bytes()?, origin)?,
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
    instance: Scalar<'a>,
    about: &'a [u8],
}

impl<'a> Resource<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), DecodeError> {
        self.about = message;
        for field in Fields::of(message) {
            if let (1, value) = field? {
                let (key, value) = key_value(value.bytes()?)?;
                match key {
                    b"service.name" => self.service = value,
                    b"vcs.ref.head.revision" => self.head = value,
                    b"service.version" => self.version = value,
                    b"service.instance.id" => self.instance = value,
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
        let revision = if head.is_empty() { version } else { head };
        // Who sends none that can be read is one process among others: no reason to refuse what it says.
        let instance = self.instance.text().unwrap_or_default();
        Ok(Origin { service, revision, instance, about: self.about })
    }
}
