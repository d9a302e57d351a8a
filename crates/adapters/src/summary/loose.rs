//! Parts of a row, each taken as whatever it is, so that what is not as it should be spoils its own row and no other.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// States of one row.
pub(super) const MOST_STATES: usize = 64;

/// A value, whatever it is.
pub(super) enum Loose<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Nothing,
    Other,
}

/// `agentStates`, whatever it is.
pub(super) enum States<'a> {
    Map(Vec<(Cow<'a, str>, Loose<'a>)>),
    Nothing,
    Other,
}

/// A row, whatever it is.
pub(super) enum Row<'a> {
    Fields { timestamp: Loose<'a>, signal: Loose<'a>, score: Loose<'a>, states: States<'a>, events: Loose<'a> },
    Other,
}

/// Visits what has no meaning here.
macro_rules! scalars {
    ($other:expr; $($visit:ident: $kind:ty),*) => {
        $(fn $visit<E: de::Error>(self, _: $kind) -> Result<Self::Value, E> { Ok($other) })*
    };
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars!(Loose::Other; visit_bool: bool);

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number as f64))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number as f64))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Loose::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

/// A key of an object; borrowed where its text needs no unescaping.
pub(super) struct Key<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(LooseVisitor)? {
            Loose::Text(text) => Ok(Self(text)),
            Loose::Number(_) | Loose::Nothing | Loose::Other => Err(de::Error::custom("a key is a text")),
        }
    }
}

struct StatesVisitor;

impl<'de> Visitor<'de> for StatesVisitor {
    type Value = States<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    scalars!(States::Other; visit_bool: bool, visit_f64: f64, visit_i64: i64, visit_u64: u64, visit_str: &str);

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(States::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(States::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut states = Vec::new();
        while let Some((Key(name), count)) = entries.next_entry::<Key<'de>, Loose<'de>>()? {
            // One more than there may be is enough to tell that there are too many.
            if states.len() <= MOST_STATES {
                states.push((name, count));
            }
        }
        Ok(States::Map(states))
    }
}

impl<'de> Deserialize<'de> for States<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatesVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    scalars!(Row::Other; visit_bool: bool, visit_f64: f64, visit_i64: i64, visit_u64: u64, visit_str: &str);

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Row::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Row::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut timestamp, mut signal, mut score) = (Loose::Nothing, Loose::Nothing, Loose::Nothing);
        let (mut states, mut events) = (States::Nothing, Loose::Nothing);
        while let Some(Key(name)) = entries.next_key::<Key<'de>>()? {
            match name.as_ref() {
                "timestamp" => timestamp = entries.next_value()?,
                "signal_id" => signal = entries.next_value()?,
                "coherenceScore" => score = entries.next_value()?,
                "agentStates" => states = entries.next_value()?,
                "eventCount" => events = entries.next_value()?,
                _ => _ = entries.next_value::<IgnoredAny>()?,
            }
        }
        Ok(Row::Fields { timestamp, signal, score, states, events })
    }
}

impl<'de> Deserialize<'de> for Row<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor)
    }
}
