//! `ExportMetricsServiceRequest` bytes → borrowed data points.

use sre_space_domain::telemetry::{PointValue, PointView};

use super::super::wire::{Fields, Value, WireError};
use super::value::{digest, text};
use super::{Counted, DecodeError, MOST_ATTRIBUTES, Origin, Rejected, each_item, shallow_attributes};

/// Visits every usable data point of a request, in order; the others are counted.
pub fn points<'a>(body: &'a [u8], visit: &mut dyn FnMut(PointView<'a>)) -> Result<Counted, DecodeError> {
    let mut counted = Counted::default();
    each_item(body, &mut |item, origin| metric(item, origin, &mut |point| counted.count(point, visit)))?;
    Ok(counted)
}

/// The five kinds of a metric, by their field numbers, and the numbers of their points' attributes.
const KINDS: [(u32, u32); 5] = [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)];
const GAUGE: u32 = 5;
const SUM: u32 = 7;

fn metric<'a>(
    message: &'a [u8],
    origin: Result<Origin<'a>, Rejected>,
    visit: &mut dyn FnMut(Result<PointView<'a>, Rejected>),
) -> Result<(), DecodeError> {
    let (mut name, mut unit): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(message) {
        match field? {
            (1, value) => name = value.bytes()?,
            (3, value) => unit = value.bytes()?,
            (12, value) => drop(super::value::key_value(value.bytes()?)?),
            _ => {}
        }
    }
    let resource = origin.map_or(0, |origin| digest(origin.about));
    for field in Fields::of(message) {
        let (number, value) = field?;
        let Some((kind, attributes)) = KINDS.into_iter().find(|(kind, _)| *kind == number) else { continue };
        for field in Fields::of(value.bytes()?) {
            if let (1, value) = field? {
                let mut draft = Draft::read(value.bytes()?, kind, attributes)?;
                draft.series = draft.series.wrapping_add(resource);
                visit(origin.and_then(|origin| draft.finish(origin, name, unit)));
            }
        }
    }
    Ok(())
}

/// A data point as its bytes have it.
#[derive(Default)]
struct Draft {
    attributes: usize,
    /// The sum of its attributes' digests: their order says nothing.
    series: u64,
    at_ns: u64,
    number: Option<f64>,
    count: u64,
    sum: f64,
    is_number: bool,
    no_value: bool,
}

impl Draft {
    fn read(message: &[u8], kind: u32, attributes: u32) -> Result<Self, DecodeError> {
        let mut draft = Self { is_number: kind == GAUGE || kind == SUM, ..Self::default() };
        for field in Fields::of(message) {
            let (number, value) = field?;
            if number == attributes {
                draft.attributes += 1;
                let attribute = value.bytes()?;
                super::value::key_value(attribute)?;
                draft.series = draft.series.wrapping_add(digest(attribute));
                continue;
            }
            draft.take(number, value, kind)?;
        }
        Ok(draft)
    }

    fn take(&mut self, number: u32, value: Value<'_>, kind: u32) -> Result<(), DecodeError> {
        match (number, self.is_number) {
            (3, _) => self.at_ns = value.fixed64()?,
            (4, true) => self.number = Some(double(value)?),
            (6, true) => self.number = Some(value.fixed64()?.cast_signed() as f64),
            (4, false) => self.count = value.fixed64()?,
            (5, false) => self.sum = double(value)?,
            // Exemplars hold attributes in field 7.
            (5, true) => shallow_attributes(value.bytes()?, 7)?,
            (8, false) if kind == 9 => shallow_attributes(value.bytes()?, 7)?,
            (11, false) if kind == 10 => shallow_attributes(value.bytes()?, 7)?,
            (8, true) => self.no_value = value.varint()? & 1 == 1,
            (10, false) => self.no_value = value.varint()? & 1 == 1,
            _ => {}
        }
        Ok(())
    }

    fn finish<'a>(&self, origin: Origin<'a>, name: &'a [u8], unit: &'a [u8]) -> Result<PointView<'a>, Rejected> {
        if self.attributes > MOST_ATTRIBUTES {
            return Err(Rejected("a data point has more than 128 attributes"));
        }
        if name.is_empty() {
            return Err(Rejected("a metric has no name"));
        }
        let value = match (self.no_value, self.is_number, self.number) {
            (true, ..) => PointValue::Missing,
            (false, true, Some(number)) => PointValue::Number(number),
            (false, true, None) => return Err(Rejected("a number data point has no value")),
            (false, false, _) => PointValue::Distribution { count: self.count, sum: self.sum },
        };
        let Origin { service, revision, instance, about: _ } = origin;
        let (metric, unit) = (text(name)?, text(unit)?);
        Ok(PointView { service, revision, instance, metric, unit, series: self.series, at_ns: self.at_ns, value })
    }
}

fn double(value: Value<'_>) -> Result<f64, WireError> {
    value.fixed64().map(f64::from_bits)
}
