//! TOML, by the spans that its parser keeps.

use std::ops::Range;

use serde_json::Value;
use toml_edit::Document;

use super::EditError;

pub(super) fn read(text: &str) -> Result<Value, EditError> {
    toml_edit::de::from_str(text).map_err(|_| EditError::Unreadable)
}

pub(super) fn locate(text: &str, path: &str) -> Result<Range<usize>, EditError> {
    let document = Document::parse(text).map_err(|_| EditError::Unreadable)?;
    let missing = || EditError::Missing(path.to_owned());
    let item = path.split('.').try_fold(document.as_item(), |item, key| item.get(key)).ok_or_else(missing)?;
    item.as_value().and_then(|value| value.span()).ok_or_else(missing)
}
