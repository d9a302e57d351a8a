//! OTLP/JSON → the same request as protobuf, so that one path follows.
//!
//! The text is written out as protobuf while it is read, by a table of fields. Building the request as structs first
//! would let three bytes of text (`{},`) cost hundreds of bytes of memory; here the result is about as long as the text.
//! Mapping: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding> — ids in hexadecimal, 64-bit numbers as text
//! or number, enums as numbers, unknown fields and nulls ignored.

mod metrics;
mod scalar;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use self::scalar::Scalar;
use self::shape::{Field, Kind, Shape};
use super::decode::MOST_DEPTH;
use super::telemetry::Telemetry;

/// The text is no OTLP/JSON request.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct JsonError(#[from] serde_json::Error);

/// The protobuf bytes of an export request in OTLP/JSON.
pub fn to_protobuf(telemetry: Telemetry, text: &[u8]) -> Result<Bytes, JsonError> {
    let shape = match telemetry {
        Telemetry::Traces => &shape::TRACES,
        Telemetry::Metrics => &metrics::REQUEST,
        Telemetry::Logs => &shape::LOGS,
    };
    let mut json = serde_json::Deserializer::from_slice(text);
    let mut out = Vec::new();
    Object { shape, out: &mut out, depth: 0 }.deserialize(&mut json)?;
    json.end()?;
    Ok(out.into())
}

/// One JSON object, written to `out` as the fields of one message.
struct Object<'o> {
    shape: &'static Shape,
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.depth + usize::from(self.shape.nests);
        if depth > MOST_DEPTH {
            return Err(A::Error::custom(format_args!("a value is nested more than {MOST_DEPTH} levels deep")));
        }
        while let Some(field) = map.next_key_seed(FieldOf(self.shape))? {
            match field {
                Some(field) if field.repeated => map.next_value_seed(List { field, out: self.out, depth })?,
                Some(field) => map.next_value_seed(Element { field, out: self.out, depth })?,
                None => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

/// The value of a repeated field: an array, or null.
struct List<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array in {}", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (field, depth) = (self.field, self.depth);
        while list.next_element_seed(Element { field, out: &mut *self.out, depth })?.is_some() {}
        Ok(())
    }
}

/// One value of a field, written with its key. A null leaves the field out.
struct Element<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.field.kind {
            Kind::Message(_) => json.deserialize_any(self),
            Kind::Scalar(encoding) => Scalar { field: self.field, encoding, out: self.out }.deserialize(json),
        }
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object in {}", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(shape) = self.field.kind else {
            return Err(A::Error::custom(format_args!("{} is no object", self.field.name)));
        };
        let mut message = Vec::new();
        Object { shape, out: &mut message, depth: self.depth }.visit_map(map)?;
        write_bytes(self.field.number, &message, self.out);
        Ok(())
    }
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Finds the field a name stands for, without keeping the name.
struct FieldOf(&'static Shape);

impl<'de> DeserializeSeed<'de> for FieldOf {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldOf {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a field of {}", self.0.name)
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().find(|field| field.name == name))
    }
}
