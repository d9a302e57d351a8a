//! A bounded protobuf reader that borrows: the fields of a message, one after the other, without allocating.
//!
//! Wire format: <https://protobuf.dev/programming-guides/encoding/>. A field whose wire type is not the one its reader
//! asks for makes the message malformed, as in every other protobuf library.

use thiserror::Error;

/// Groups inside groups that are skipped; OTLP has none, so anything deeper is an attack.
const MOST_GROUPS: u8 = 16;

/// Why bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The message ends inside a field.
    #[error("a field is cut short")]
    Short,
    /// A varint of more than 64 bits.
    #[error("a varint is too long")]
    Varint,
    /// Field number zero, or one that does not fit.
    #[error("a field number is out of range")]
    Number,
    /// A wire type that does not exist, or is not the field's.
    #[error("a field has the wrong wire type")]
    Type,
    /// Groups inside groups.
    #[error("groups are nested too deeply")]
    Depth,
}

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire types 3 and 4: a group, already skipped.
    Group,
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited field.
    pub fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Group | Self::Fixed32(_) => Err(WireError::Type),
        }
    }

    /// The number of a varint field.
    pub fn varint(self) -> Result<u64, WireError> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed64(_) | Self::Group | Self::Fixed32(_) => Err(WireError::Type),
        }
    }

    /// The number of an eight-byte field.
    pub fn fixed64(self) -> Result<u64, WireError> {
        match self {
            Self::Fixed64(number) => Ok(number),
            Self::Bytes(_) | Self::Varint(_) | Self::Group | Self::Fixed32(_) => Err(WireError::Type),
        }
    }
}

/// The fields of one message.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Reads the message.
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), WireError> {
        let (number, wire_type) = self.key()?;
        Ok((number, self.value(number, wire_type, 0)?))
    }

    fn key(&mut self) -> Result<(u32, u8), WireError> {
        let key = u32::try_from(self.varint()?).map_err(|_| WireError::Number)?;
        if key >> 3 == 0 { Err(WireError::Number) } else { Ok((key >> 3, (key & 7) as u8)) }
    }

    fn value(&mut self, number: u32, wire_type: u8, groups: u8) -> Result<Value<'a>, WireError> {
        Ok(match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Short)?;
                Value::Bytes(self.take(length)?)
            }
            3 => {
                self.skip_group(number, groups)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::Type),
        })
    }

    fn skip_group(&mut self, number: u32, groups: u8) -> Result<(), WireError> {
        if groups >= MOST_GROUPS {
            return Err(WireError::Depth);
        }
        loop {
            let (inner, wire_type) = self.key()?;
            if wire_type == 4 {
                return if inner == number { Ok(()) } else { Err(WireError::Type) };
            }
            self.value(inner, wire_type, groups + 1)?;
        }
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for (place, byte) in self.0.iter().take(10).enumerate() {
            if place == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = self.0.get(place + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(WireError::Short)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(message: &[u8]) -> Result<(u32, Value<'_>), WireError> {
        Fields::of(message).next().expect("a field")
    }

    #[test]
    fn each_wire_type_is_read() {
        assert_eq!(only(&[0x08, 0x96, 0x01]), Ok((1, Value::Varint(150))));
        assert_eq!(only(&[0x11, 1, 0, 0, 0, 0, 0, 0, 0]), Ok((2, Value::Fixed64(1))));
        assert_eq!(only(&[0x1a, 2, b'o', b'k']), Ok((3, Value::Bytes(b"ok"))));
        assert_eq!(only(&[0x25, 7, 0, 0, 0]), Ok((4, Value::Fixed32(7))));
        assert_eq!(only(&[0x2b, 0x08, 1, 0x2c]), Ok((5, Value::Group)));
    }

    #[test]
    fn what_is_no_message_is_named() {
        assert_eq!(only(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(WireError::Short));
        assert_eq!(only(&[0x08, 0x80]), Err(WireError::Short));
        assert_eq!(only(&[&[0x08][..], &[0xff; 9], &[2]].concat()), Err(WireError::Varint));
        assert_eq!(only(&[0x00, 0x01]), Err(WireError::Number));
        assert_eq!(only(&[0x0c]), Err(WireError::Type), "a group that ends and never began");
        assert_eq!(only(&[0x0b, 0x14]), Err(WireError::Type), "a group that ends as another");
        assert_eq!(only(&[0x0b; 200_000]), Err(WireError::Depth));
    }

    #[test]
    fn the_largest_number_is_read() {
        assert_eq!(only(&[&[0x08][..], &[0xff; 9], &[1]].concat()), Ok((1, Value::Varint(u64::MAX))));
    }

    #[test]
    fn nothing_follows_an_error() {
        assert_eq!(Fields::of(&[0x0f, 0x08, 0x01]).count(), 1);
    }
}
