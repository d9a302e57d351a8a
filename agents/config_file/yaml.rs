//! YAML, and JSON as the part of YAML that it is.

use std::ops::Range;

use serde_json::Value;
use yamlpath::{Component, Document, Route};

use super::EditError;

pub(super) fn read(text: &str) -> Result<Value, EditError> {
    serde_saphyr::from_str(text).map_err(|_| EditError::Unreadable)
}

pub(super) fn locate(text: &str, path: &str) -> Result<Range<usize>, EditError> {
    let document = Document::new(text).map_err(|_| EditError::Unreadable)?;
    if document.has_anchors() {
        return Err(EditError::Anchors);
    }
    let route = Route::from(path.split('.').map(Component::from).collect::<Vec<_>>());
    let missing = || EditError::Missing(path.to_owned());
    let feature = document.query_exact(&route).map_err(|_| missing())?.ok_or_else(missing)?;
    let (start, end) = feature.location.byte_span;
    Ok(start..end)
}
