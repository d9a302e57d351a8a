//! Sets one value in a YAML text and leaves every other byte as it was.

use serde_json::Value;
use sre_space_domain::proposal::KnobValue;
use thiserror::Error;
use yamlpath::{Component, Document, Route};

/// Why a value was not set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum YamlError {
    /// Not one YAML document, or with a key twice.
    #[error("the file is not one plain yaml document")]
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
pub(super) struct Edit {
    pub(super) text: String,
    pub(super) from: KnobValue,
}

/// Sets the scalar at a dotted path.
pub(super) fn set(text: &str, path: &str, value: &KnobValue) -> Result<Edit, YamlError> {
    let before = read(text)?;
    let document = Document::new(text).map_err(|_| YamlError::Unreadable)?;
    if document.has_anchors() {
        return Err(YamlError::Anchors);
    }
    let route = Route::from(path.split('.').map(Component::from).collect::<Vec<_>>());
    let missing = || YamlError::Missing(path.to_owned());
    let feature = document.query_exact(&route).map_err(|_| missing())?.ok_or_else(missing)?;
    let from = parsed(document.extract(&feature), value).ok_or_else(|| YamlError::WrongType(path.to_owned()))?;
    if from == *value {
        return Err(YamlError::Unchanged(path.to_owned()));
    }
    let (start, end) = feature.location.byte_span;
    let mut edited = text.to_owned();
    edited.replace_range(start..end, &value.to_string());
    if Some(read(&edited)?) != with(before, path, (&from, value)) {
        return Err(YamlError::Strays(path.to_owned()));
    }
    Ok(Edit { text: edited, from })
}

fn read(text: &str) -> Result<Value, YamlError> {
    serde_saphyr::from_str(text).map_err(|_| YamlError::Unreadable)
}

/// The scalar as it is written, if that is the one way to write a value of the wanted type. A quoted or tagged value,
/// or one in another notation, is something the owners meant differently.
fn parsed(written: &str, wanted: &KnobValue) -> Option<KnobValue> {
    let value = match wanted {
        KnobValue::Int(_) => KnobValue::Int(written.parse().ok()?),
        KnobValue::Bool(_) => KnobValue::Bool(written.parse().ok()?),
        KnobValue::Text(_) => KnobValue::Text(is_word(written).then(|| written.to_owned())?),
    };
    (value.to_string() == written).then_some(value)
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

/// A plain word: what YAML reads as the text it looks like, whatever its version. `with` makes sure of the rest.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests;
