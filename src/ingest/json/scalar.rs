//! A single JSON value, written as the protobuf field it stands for.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error, Unexpected, Visitor};

use super::shape::{Encoding, Field};
use super::write_bytes;
use crate::hex;

/// A single value of a field.
pub(super) struct Scalar<'o> {
    pub(super) field: &'static Field,
    pub(super) encoding: Encoding,
    pub(super) out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Scalar<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", wanted(self.encoding), self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.encoding {
            Encoding::Bool => self.varint(u64::from(value)),
            Encoding::Text
            | Encoding::Hex
            | Encoding::Base64
            | Encoding::Integer
            | Encoding::Fixed64
            | Encoding::Signed64
            | Encoding::Zigzag
            | Encoding::Fixed32
            | Encoding::Double => return Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(i128::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(i128::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if self.encoding != Encoding::Double {
            return Err(E::invalid_type(Unexpected::Float(value), &self));
        }
        self.fixed64(value.to_bits());
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let encoding = self.encoding;
        let wrong = || E::invalid_value(Unexpected::Str(value), &wanted(encoding));
        match encoding {
            Encoding::Text => write_bytes(self.field.number, value.as_bytes(), self.out),
            Encoding::Hex => write_bytes(self.field.number, &hex::bytes(value).ok_or_else(wrong)?, self.out),
            Encoding::Base64 => {
                write_bytes(self.field.number, &STANDARD.decode(value).map_err(|_| wrong())?, self.out);
            }
            Encoding::Integer | Encoding::Fixed64 | Encoding::Signed64 | Encoding::Zigzag | Encoding::Fixed32 => {
                self.number(value.parse().map_err(|_| wrong())?)?;
            }
            Encoding::Double => self.fixed64(double(value).ok_or_else(wrong)?.to_bits()),
            Encoding::Bool => return Err(wrong()),
        }
        Ok(())
    }
}

impl Scalar<'_> {
    fn number<E: Error>(self, value: i128) -> Result<(), E> {
        let wrong = |_| E::custom(format_args!("{} is out of range", self.field.name));
        match self.encoding {
            // A negative number is written as 64 bits in two's complement.
            Encoding::Integer => self.varint(i64::try_from(value).map_err(wrong)?.cast_unsigned()),
            Encoding::Signed64 => self.fixed64(i64::try_from(value).map_err(wrong)?.cast_unsigned()),
            Encoding::Zigzag => {
                let value = i64::from(i32::try_from(value).map_err(wrong)?);
                self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
            }
            Encoding::Fixed64 => self.fixed64(u64::try_from(value).map_err(wrong)?),
            Encoding::Fixed32 => self.fixed32(u32::try_from(value).map_err(wrong)?),
            Encoding::Double => self.fixed64((value as f64).to_bits()),
            Encoding::Text | Encoding::Hex | Encoding::Base64 | Encoding::Bool => {
                return Err(E::custom(format_args!("{} takes {}", self.field.name, wanted(self.encoding))));
            }
        }
        Ok(())
    }

    fn varint(self, value: u64) {
        encode_key(self.field.number, WireType::Varint, self.out);
        encode_varint(value, self.out);
    }

    fn fixed64(self, value: u64) {
        encode_key(self.field.number, WireType::SixtyFourBit, self.out);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn fixed32(self, value: u32) {
        encode_key(self.field.number, WireType::ThirtyTwoBit, self.out);
        self.out.extend_from_slice(&value.to_le_bytes());
    }
}

fn wanted(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Text => "text",
        Encoding::Hex => "hexadecimal text",
        Encoding::Base64 => "base64 text",
        Encoding::Bool => "true or false",
        Encoding::Integer | Encoding::Fixed64 | Encoding::Signed64 | Encoding::Zigzag | Encoding::Fixed32 => {
            "a whole number"
        }
        Encoding::Double => "a number",
    }
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}
