//! The owners' configuration files: read, and one value set while every other byte stays as it was.
//!
//! YAML, JSON, TOML and `.env`, told apart by the file's name. A value is found by its place in the text and replaced there;
//! then the file is read again, and unless exactly that one value differs the edit is refused.

mod env;
mod toml;
mod yaml;

use std::ops::Range;

use serde_json::Value;
use sre_space_domain::proposal::KnobValue;
use thiserror::Error;

/// Why a value was not set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// Not a kind of file that can be edited.
    #[error("{0} is neither yaml, json, toml nor .env")]
    Kind(String),
    /// Not one document of its kind, or with a key twice.
    #[error("the file is not one plain document of its kind")]
    Unreadable,
    /// One edit would change several places.
    #[error("the file uses anchors, so one edit could change several places")]
    Anchors,
    /// Nothing at the path.
    #[error("there is nothing at {0}")]
    Missing(String),
    /// Something else than the declared type is there.
    #[error("the value at {0} is not a plain value of the declared type")]
    WrongType(String),
    /// It is that already.
    #[error("{0} has that value already")]
    Unchanged(String),
    /// The edit did not do exactly what it should.
    #[error("setting {0} would change more than that")]
    Strays(String),
}

/// A text with one value set, and what was there before.
#[derive(Debug, PartialEq, Eq)]
pub struct Edit {
    /// The text after the edit.
    pub text: String,
    /// The value before it.
    pub from: KnobValue,
}

/// Kinds of configuration files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Yaml,
    Json,
    Toml,
    Env,
}

impl Kind {
    fn of(path: &str) -> Result<Self, EditError> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            Some("toml") => Ok(Self::Toml),
            _ if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") => Ok(Self::Env),
            Some(_) | None => Err(EditError::Kind(path.to_owned())),
        }
    }

    fn read(self, text: &str) -> Result<Value, EditError> {
        match self {
            Self::Yaml => yaml::read(text),
            Self::Json => serde_json::from_str(text).map_err(|_| EditError::Unreadable),
            Self::Toml => toml::read(text),
            Self::Env => env::read(text),
        }
    }

    /// Where the scalar at a dotted path stands in the text.
    fn locate(self, text: &str, path: &str) -> Result<Range<usize>, EditError> {
        match self {
            Self::Yaml | Self::Json => yaml::locate(text, path),
            Self::Toml => toml::locate(text, path),
            Self::Env => env::locate(text, path),
        }
    }

    /// A value as this kind of file writes it.
    fn write(self, value: &KnobValue) -> String {
        match (self, value) {
            (Self::Json | Self::Toml, KnobValue::Text(word)) => format!("\"{word}\""),
            (Self::Yaml | Self::Env, KnobValue::Text(_)) | (_, KnobValue::Bool(_) | KnobValue::Int(_)) => {
                value.to_string()
            }
        }
    }

    /// The scalar as it is written, if that is the one way to write a value of the wanted type. A value in another notation
    /// is something the owners meant differently.
    fn parsed(self, written: &str, wanted: &KnobValue) -> Option<KnobValue> {
        let value = match wanted {
            KnobValue::Int(_) => KnobValue::Int(written.parse().ok()?),
            KnobValue::Bool(_) => KnobValue::Bool(written.parse().ok()?),
            KnobValue::Text(_) => {
                let word = written.trim_matches('"');
                KnobValue::Text(is_word(word).then(|| word.to_owned())?)
            }
        };
        (self.write(&value) == written).then_some(value)
    }
}

/// The file's values as JSON; `None` when it cannot be read.
pub fn read(path: &str, text: &str) -> Option<Value> {
    Kind::of(path).and_then(|kind| kind.read(text)).ok()
}

/// Whether a text is broken that was not: a file of a kind that can be read could be read before, and cannot be any more.
pub fn breaks(path: &str, before: &str, after: &str) -> bool {
    read(path, before).is_some() && read(path, after).is_none()
}

/// Sets the scalar at a dotted path.
///
/// # Errors
/// [`EditError`] says why not; nothing is guessed.
pub fn set(file: &str, text: &str, path: &str, value: &KnobValue) -> Result<Edit, EditError> {
    let kind = Kind::of(file)?;
    let before = kind.read(text)?;
    let place = kind.locate(text, path)?;
    let written = text.get(place.clone()).unwrap_or_default();
    let from = kind.parsed(written, value).ok_or_else(|| EditError::WrongType(path.to_owned()))?;
    if from == *value {
        return Err(EditError::Unchanged(path.to_owned()));
    }
    let mut edited = text.to_owned();
    edited.replace_range(place, &kind.write(value));
    if Some(kind.read(&edited)?) != with(before, path, (&from, value)) {
        return Err(EditError::Strays(path.to_owned()));
    }
    Ok(Edit { text: edited, from })
}

/// The document with the value at the path replaced; `None` when `from` is not what is there.
fn with(mut document: Value, path: &str, (from, to): (&KnobValue, &KnobValue)) -> Option<Value> {
    let place = document.pointer_mut(&format!("/{}", path.replace('.', "/")))?;
    if *place != json(from) {
        return None;
    }
    *place = json(to);
    Some(document)
}

fn json(value: &KnobValue) -> Value {
    match value {
        KnobValue::Bool(value) => Value::from(*value),
        KnobValue::Int(value) => Value::from(*value),
        KnobValue::Text(value) => Value::from(value.as_str()),
    }
}

/// A plain word: text that needs no quoting anywhere. Reading the edited file again makes sure of the rest.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests;
