//! Events out of a file: JSON lines, one JSON array, or CSV with a header.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use sre_space_coherence::event::SignalEvent;

use super::keep::MOST_ROWS;

/// A file is at most this long.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// Rows that are no events are named so often.
const NAMED: usize = 10;

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    /// Its events.
    pub events: Vec<SignalEvent>,
    /// Rows that are no events.
    pub refused: usize,
    /// Why, of the first of them.
    pub why: Vec<String>,
}

impl Read {
    fn take(&mut self, line: usize, row: Result<SignalEvent, serde_json::Error>) {
        match row {
            Ok(event) => self.events.push(event),
            Err(error) => {
                self.refused += 1;
                if self.why.len() < NAMED {
                    self.why.push(format!("row {line}: {error}"));
                }
            }
        }
    }
}

/// Reads a file; an error where it cannot be read at all, or holds no event.
pub fn read(path: &Path) -> Result<Read> {
    let named = || path.display().to_string();
    let mut text = String::new();
    File::open(path).with_context(named)?.take(MOST_BYTES + 1).read_to_string(&mut text).with_context(named)?;
    if text.len() as u64 > MOST_BYTES {
        bail!("{}: more than {MOST_BYTES} bytes", path.display());
    }
    let stem = path.file_stem().map_or_else(|| "file".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let read = parse(&text, &stem).with_context(named)?;
    if read.events.is_empty() {
        let why = read.why.first().map_or_else(|| "it is empty".to_owned(), Clone::clone);
        bail!("{}: no event in it: {why}", path.display());
    }
    Ok(read)
}

/// `host` is whose the values are where no column says.
fn parse(text: &str, host: &str) -> Result<Read> {
    let mut read = Read::default();
    match text.trim_start().chars().next() {
        Some('[') => {
            let rows: Vec<Value> = serde_json::from_str(text)?;
            bounded(rows.len())?;
            rows.into_iter().enumerate().for_each(|(at, row)| read.take(at + 1, serde_json::from_value(row)));
        }
        Some('{') => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            bounded(lines.clone().count())?;
            lines.for_each(|(at, line)| read.take(at + 1, serde_json::from_str(line)));
        }
        Some(_) | None => table(text, host, &mut read)?,
    }
    Ok(read)
}

fn bounded(rows: usize) -> Result<()> {
    if rows > MOST_ROWS { bail!("more than {MOST_ROWS} rows") } else { Ok(()) }
}

/// CSV (RFC 4180; rows may be of different lengths). Columns by their names in the header: `ts` or `timestamp`, `value`, and where there are `host`, `metric` or `metric_name`,
/// `service`, `severity`.
fn table(text: &str, host: &str, read: &mut Read) -> Result<()> {
    let mut rows = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = rows.headers()?.clone();
    for (before, cells) in rows.records().enumerate() {
        bounded(before + 1)?;
        let cells = cells?;
        let line = cells.position().map_or(0, csv::Position::line);
        let cells = header.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
        let mut row = Map::from_iter([("host".to_owned(), json!(host)), ("metric".to_owned(), json!("value"))]);
        row.extend(cells.filter_map(|(name, cell)| column(name, cell)));
        read.take(usize::try_from(line).unwrap_or(usize::MAX), serde_json::from_value(Value::Object(row)));
    }
    Ok(())
}

fn column(name: &str, cell: &str) -> Option<(String, Value)> {
    let cell_of = |value: Value, name: &str| Some((name.to_owned(), value));
    match name {
        "ts" | "timestamp" => cell_of(json!(moment(cell).map_or_else(|| cell.to_owned(), |at| at.to_string())), "ts"),
        "metric" | "metric_name" => cell_of(json!(cell), "metric"),
        "value" => cell_of(cell.parse::<f64>().map_or(json!(cell), |number| json!(number)), "value"),
        "host" | "service" | "severity" => cell_of(json!(cell), name),
        "synthetic" => cell_of(json!(cell == "true"), name),
        _ => None,
    }
}

/// RFC 3339, or a date and a time without zone, which is taken as UTC.
fn moment(cell: &str) -> Option<Timestamp> {
    let zoneless = || cell.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    cell.parse().ok().or_else(zoneless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_an_array_and_csv_hold_the_same() {
        let line = r#"{"ts":"2025-12-13T04:10:00Z","host":"a","metric":"cpu","value":94.5}"#;
        let lines = parse(&format!("{line}\n\n{{\"ts\":1}}\n"), "x").expect("read");
        assert_eq!((lines.events.len(), lines.refused, lines.why.len()), (1, 1, 1));
        assert_eq!(parse(&format!("[{line}]"), "x").expect("read").events, lines.events);
        let csv = "timestamp,host,metric_name,value,odd\n2025-12-13 04:10:00,a,cpu,94.5,?\n,a,cpu,1\n2025-12-13 04:10:00,a,cpu,nan\n";
        let csv = parse(csv, "x").expect("read");
        assert_eq!((csv.events, csv.refused), (lines.events, 2));
    }

    #[test]
    fn a_quoted_comma_parts_no_columns() {
        let metric = r#"disk{device=""sda"",host=""b""}"#;
        let text = format!("timestamp,metric,value\n2025-12-13T04:10:00Z,\"{metric}\",7\n2025-12-13T04:15:00Z,x,\n");
        let read = parse(&text, "a").expect("read");
        assert_eq!((read.events[0].metric.as_str(), read.events[0].value), (r#"disk{device="sda",host="b"}"#, 7.0));
        assert!(read.refused == 1 && read.why[0].starts_with("row 3: "), "{:?}", read.why);
    }

    #[test]
    fn a_bare_series_is_that_of_the_file() {
        let read = parse("timestamp,value\n2014-04-01 00:00:00,18.3\n", "ec2").expect("read");
        assert_eq!(read.events[0].fingerprint().to_string(), "ec2:value");
        assert_eq!(parse("", "x").expect("nothing"), Read::default());
    }
}
