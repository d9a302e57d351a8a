//! The rows of a CSV text (RFC 4180), one at a time and in its own order.

use std::io::BufRead;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sre_space_ports::source::SourceError;
use thiserror::Error;

use super::NAME;
use crate::source::gather::shown;

/// A number that is larger is of milliseconds: as seconds it lies beyond the year 5138, as milliseconds in 1973.
const MOST_SECONDS: f64 = 1e11;
/// Lines that one record may have; a quote that is never closed would take in all the rest.
const MOST_LINES: u64 = 20;

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its line, from 1.
    pub line: u64,
    /// The timestamp as it is written.
    pub stamp: String,
    /// Its host, where the file says.
    pub host: Option<String>,
    /// Its metric, where the file says.
    pub metric: Option<String>,
    /// When, Unix ms.
    pub at_ms: i64,
    /// The value; finite.
    pub value: f64,
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct BadRow {
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

/// Where each column is.
#[derive(Debug, Clone, Copy)]
struct Columns {
    host: Option<usize>,
    metric: Option<usize>,
    stamp: usize,
    value: usize,
}

/// Fields of a record, and its line.
struct Record {
    line: u64,
    fields: Vec<String>,
}

/// The records of a text.
struct Records<Text> {
    text: Text,
    lines: u64,
    is_over: bool,
}

/// The rows of a text.
pub struct Rows<Text> {
    records: Records<Text>,
    columns: Columns,
    /// Read to know the columns, and a row itself.
    first: Option<Record>,
}

/// The rows of a text. Columns are found by their names in the first line, in any order; without such a line there are two, or
/// four in the order `host,metric,timestamp,value`.
pub fn rows<Text: BufRead>(text: Text) -> Result<Rows<Text>, SourceError> {
    let mut records = Records { text, lines: 0, is_over: false };
    let unreadable = |why: String| SourceError::Unreadable { name: NAME, why };
    let nothing = Columns { host: None, metric: None, stamp: 0, value: 1 };
    let first = match records.next() {
        None => return Ok(Rows { records, columns: nothing, first: None }),
        Some(first) => first.map_err(|bad| unreadable(bad.to_string()))?,
    };
    let named = |names: [&str; 2]| first.fields.iter().position(|field| names.iter().any(|name| is(field, name)));
    match (named(["timestamp", "time"]), named(["value", "values"]), first.fields.len()) {
        (Some(stamp), Some(value), _) => {
            let (host, metric) = (named(["host", "hostname"]), named(["metric", "metric_name"]));
            Ok(Rows { records, columns: Columns { host, metric, stamp, value }, first: None })
        }
        (None, None, 2) => Ok(Rows { records, columns: nothing, first: Some(first) }),
        (None, None, 4) => {
            let columns = Columns { host: Some(0), metric: Some(1), stamp: 2, value: 3 };
            Ok(Rows { records, columns, first: Some(first) })
        }
        _ => Err(unreadable("line 1: neither timestamp,value nor host,metric,timestamp,value".to_owned())),
    }
}

/// Whether a field of the first line is this name; some programs begin a file with a byte order mark.
fn is(field: &str, name: &str) -> bool {
    field.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name)
}

impl<Text: BufRead> Iterator for Rows<Text> {
    type Item = Result<Row, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.first.take().map(Ok).or_else(|| self.records.next())?;
        Some(record.and_then(|record| row(&record, self.columns)))
    }
}

impl<Text: BufRead> Iterator for Records<Text> {
    type Item = Result<Record, BadRow>;

    /// The next record that is not empty.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines + 1;
            let bad = |why: &str| Some(Err(BadRow { line, why: why.to_owned() }));
            let record = match self.read(line) {
                Ok(record) => record?,
                Err(why) => return bad(why),
            };
            let Ok(text) = String::from_utf8(record) else { return bad("not UTF-8") };
            let text = text.trim_end_matches(['\r', '\n']);
            if !text.is_empty() {
                return Some(Ok(Record { line, fields: fields(text) }));
            }
        }
    }
}

impl<Text: BufRead> Records<Text> {
    /// Lines until no quote is open; `None` at the end of the text.
    fn read(&mut self, line: u64) -> Result<Option<Vec<u8>>, &'static str> {
        let mut record = Vec::new();
        while !self.is_over && self.lines + 1 < line + MOST_LINES {
            match self.text.read_until(b'\n', &mut record) {
                Ok(0) => self.is_over = true,
                Ok(_) => self.lines += 1,
                Err(_) => {
                    self.is_over = true;
                    return Err("cannot be read on");
                }
            }
            let quotes = record.iter().filter(|byte| **byte == b'"').count();
            if quotes % 2 == 0 && !record.is_empty() {
                return Ok(Some(record));
            }
        }
        if record.is_empty() { Ok(None) } else { Err("a quote is not closed") }
    }
}

/// Fields of a record (RFC 4180, section 2): one in quotes may hold commas, line ends and doubled quotes.
fn fields(record: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = record.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

fn row(record: &Record, columns: Columns) -> Result<Row, BadRow> {
    let (line, count) = (record.line, record.fields.len());
    let bad = |why: String| BadRow { line, why };
    let field =
        |at: usize| record.fields.get(at).map(|field| field.trim()).ok_or_else(|| bad(format!("{count} columns")));
    let (stamp, value) = (field(columns.stamp)?, field(columns.value)?);
    let at_ms = at_ms(stamp).ok_or_else(|| bad(format!("{:?} is no timestamp", shown(stamp))))?;
    let finite = value.parse::<f64>().ok().filter(|value| value.is_finite());
    let value = finite.ok_or_else(|| bad(format!("{:?} is no finite number", shown(value))))?;
    let named = |at: Option<usize>| at.map(field).transpose().map(|name| name.map(str::to_owned));
    let (host, metric) = (named(columns.host)?, named(columns.metric)?);
    Ok(Row { line, stamp: stamp.to_owned(), host, metric, at_ms, value })
}

/// RFC 3339; the same without a zone, which is UTC then; Unix seconds, with a fraction or without; Unix milliseconds.
fn at_ms(stamp: &str) -> Option<i64> {
    if let Ok(number) = stamp.parse::<f64>() {
        let ms = if number.abs() < MOST_SECONDS { number * 1_000.0 } else { number };
        let at = Timestamp::from_millisecond(ms.round() as i64).ok().filter(|_| ms.is_finite());
        return at.map(Timestamp::as_millisecond);
    }
    let zoned = stamp.parse::<Timestamp>().ok();
    let civil = || Some(stamp.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    zoned.or_else(civil).map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests;
