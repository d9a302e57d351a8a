//! `.env`: one `NAME=value` a line, `export` before it, comments behind a `#`.

use std::ops::Range;

use serde_json::{Map, Value};

use super::EditError;

/// Name, and where its value stands in the text.
fn variables(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut from = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = from;
        from += line.len();
        let plain = line.trim_end();
        let assignment = plain.trim_start();
        let assignment = assignment.strip_prefix("export ").unwrap_or(assignment).trim_start();
        let (name, rest) = assignment.split_once('=').filter(|_| !assignment.starts_with('#'))?;
        let value = rest.split_once(" #").map_or(rest, |(value, _)| value).trim();
        let at = start + plain.len() - rest.len() + (rest.len() - rest.trim_start().len());
        Some((name.trim(), at..at + value.len()))
    })
}

pub(super) fn read(text: &str) -> Result<Value, EditError> {
    let mut read = Map::new();
    for (name, place) in variables(text) {
        let written = text.get(place).unwrap_or_default();
        let number = written.parse::<i64>().ok().filter(|number| number.to_string() == written).map(Value::from);
        let switch = || written.parse::<bool>().ok().map(Value::from);
        let value = number.or_else(switch).unwrap_or_else(|| Value::from(written));
        if read.insert(name.to_owned(), value).is_some() {
            return Err(EditError::Unreadable);
        }
    }
    Ok(Value::Object(read))
}

pub(super) fn locate(text: &str, path: &str) -> Result<Range<usize>, EditError> {
    let found = variables(text).find(|(name, _)| *name == path);
    found.map(|(_, place)| place).ok_or_else(|| EditError::Missing(path.to_owned()))
}
