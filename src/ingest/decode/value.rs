//! Attributes: a key and an `AnyValue`, of which only texts and whole numbers are looked at.

use super::super::wire::Fields;
use super::{DecodeError, MOST_DEPTH, MOST_TEXT, Rejected};

/// An `AnyValue`, as far as anybody here needs it. Text is checked where it is used: most of it never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scalar<'a> {
    /// Absent, or of a kind that is not looked at.
    #[default]
    Other,
    Text(&'a [u8]),
    Integer(u64),
}

impl<'a> Scalar<'a> {
    /// The text, cut to what is kept; empty for anything else.
    pub(super) fn text(self) -> Result<&'a str, Rejected> {
        match self {
            Self::Text(bytes) => text(bytes),
            Self::Integer(_) | Self::Other => Ok(""),
        }
    }

    /// The number, also where an instrumentation writes it as text.
    pub(super) fn integer<T: TryFrom<u64>>(self) -> Option<T> {
        match self {
            Self::Integer(number) => T::try_from(number).ok(),
            Self::Text(text) => {
                std::str::from_utf8(text).ok()?.parse().ok().and_then(|number: u64| T::try_from(number).ok())
            }
            Self::Other => None,
        }
    }
}

/// UTF-8, cut to what is kept.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Rejected> {
    let text = std::str::from_utf8(bytes).map_err(|_| Rejected("a text is not UTF-8"))?;
    Ok(text.get(..text.floor_char_boundary(MOST_TEXT)).unwrap_or(text))
}

/// Key and value of one attribute.
pub(super) fn key_value(message: &[u8]) -> Result<(&[u8], Scalar<'_>), DecodeError> {
    entry(message, 1)
}

/// A value that nobody here reads: followed down, so that whoever does read it need not follow it deeper.
pub(super) fn any_value(message: &[u8]) -> Result<(), DecodeError> {
    any(message, &mut Scalar::Other, 1)
}

/// FNV-1a of 64 bits (Fowler, Noll and Vo): tells bytes apart, though not against somebody who wants a collision.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn entry(message: &[u8], depth: usize) -> Result<(&[u8], Scalar<'_>), DecodeError> {
    let (mut key, mut scalar): (&[u8], _) = (&[], Scalar::Other);
    for field in Fields::of(message) {
        match field? {
            (1, value) => key = value.bytes()?,
            (2, value) => any(value.bytes()?, &mut scalar, depth)?,
            _ => {}
        }
    }
    Ok((key, scalar))
}

/// The last member of the oneof wins, also over several occurrences of the message.
fn any<'a>(message: &'a [u8], scalar: &mut Scalar<'a>, depth: usize) -> Result<(), DecodeError> {
    if depth > MOST_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    for field in Fields::of(message) {
        let (number, value) = field?;
        *scalar = match number {
            1 => Scalar::Text(value.bytes()?),
            2 | 8 => value.varint().map(|_| Scalar::Other)?,
            3 => Scalar::Integer(value.varint()?),
            4 => value.fixed64().map(|_| Scalar::Other)?,
            5 => list(value.bytes()?, depth)?,
            6 => pairs(value.bytes()?, depth)?,
            7 => value.bytes().map(|_| Scalar::Other)?,
            _ => *scalar,
        };
    }
    Ok(())
}

fn list(message: &[u8], depth: usize) -> Result<Scalar<'_>, DecodeError> {
    for field in Fields::of(message) {
        if let (1, value) = field? {
            any(value.bytes()?, &mut Scalar::Other, depth + 1)?;
        }
    }
    Ok(Scalar::Other)
}

fn pairs(message: &[u8], depth: usize) -> Result<Scalar<'_>, DecodeError> {
    for field in Fields::of(message) {
        if let (1, value) = field? {
            entry(value.bytes()?, depth + 1)?;
        }
    }
    Ok(Scalar::Other)
}
