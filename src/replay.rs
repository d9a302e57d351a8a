//! Recorded telemetry, told again in event time to the very same Scout and Brain. Nothing is acted on.
//!
//! A record is one OTLP export request: a line of JSON, as the OpenTelemetry Collector's file exporter writes it, or
//! protobuf behind its length (four bytes, big-endian), as the same exporter writes it with `format: proto`. Time is what the
//! spans say: a record arrives when its last span ended. Whoever recorded kept no ingest tokens, so a source is a service:
//! each exports for itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde::Serialize;
use sre_space_agents::brain;
use sre_space_agents::scout::{Limits, Scout, Sighting};
use sre_space_domain::diagnosis::Diagnosis;
use sre_space_domain::rca::{Current, Gap};
use sre_space_domain::signal::Signal;

use crate::ingest::telemetry::Telemetry;
use crate::ingest::{MOST_BYTES, decode, json};

/// How often Scout judges, milliseconds of event time.
const JUDGE_MS: i64 = 200;
/// How long evidence may take to become enough, milliseconds of event time.
const PATIENCE_MS: i64 = 45_000;
/// Event time that is told on after the last record, milliseconds.
const AFTER_MS: i64 = 5_000;

/// What would have become an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// When two sources agreed, milliseconds since the Unix epoch, by the spans' clocks.
    pub confirmed_ms: i64,
    /// What Scout saw.
    pub signal: Signal,
    /// What Brain says; `None` when it cannot say.
    pub diagnosis: Option<Diagnosis>,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<String>,
}

/// What a replay yields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Spans told.
    pub spans: u64,
    /// Spans left out as malformed.
    pub rejected: u64,
    /// Event time from the first record to the last, milliseconds.
    pub lasted_ms: i64,
    /// Incidents in the order they were confirmed.
    pub incidents: Vec<Replayed>,
}

/// One record: when its last span ended, milliseconds since the Unix epoch, and its protobuf.
struct Record {
    at_ms: i64,
    body: Bytes,
}

/// Reads every record of the files, by time.
fn records(files: &[PathBuf]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for path in files {
        let name = path.to_string_lossy();
        let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
        let reader = open(path).with_context(|| format!("cannot open {name}"))?;
        let read = if plain.ends_with(".json") || plain.ends_with(".jsonl") { lines(reader) } else { framed(reader) };
        for body in read.with_context(|| format!("cannot read {name}"))? {
            let mut last_ns = None;
            decode::spans(&body, &mut |span| last_ns = last_ns.max(Some(span.end_ns)))
                .with_context(|| format!("{name} holds something else than OTLP traces"))?;
            if let Some(last_ns) = last_ns {
                records.push(Record { at_ms: i64::try_from(last_ns / 1_000_000).unwrap_or(i64::MAX), body });
            }
        }
    }
    // A stable sort: records of one time stay in the order of the files.
    records.sort_by_key(|record| record.at_ms);
    Ok(records)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    Ok(match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
        Some("zst") => Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?)),
        Some(_) | None => Box::new(BufReader::new(file)),
    })
}

fn lines(reader: Box<dyn BufRead>) -> Result<Vec<Bytes>> {
    let mut bodies = Vec::new();
    for (number, line) in reader.lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            bodies.push(
                json::to_protobuf(Telemetry::Traces, line.as_bytes())
                    .with_context(|| format!("line {} is no OTLP", number + 1))?,
            );
        }
    }
    Ok(bodies)
}

fn framed(mut reader: Box<dyn BufRead>) -> Result<Vec<Bytes>> {
    let mut bodies = Vec::new();
    while !reader.fill_buf()?.is_empty() {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        anyhow::ensure!(length <= MOST_BYTES, "a record of {length} bytes is larger than any export request");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        bodies.push(body.into());
    }
    Ok(bodies)
}

/// Tells the files' records to Scout and Brain. `pace` is called before each moment is told, with the milliseconds since the
/// first record.
///
/// # Errors
/// When a file cannot be read, or holds something else.
pub fn replay(files: &[PathBuf], latency_ms: u64, pace: &mut dyn FnMut(i64)) -> Result<Report> {
    let records = records(files)?;
    let (first, last) =
        (records.first().map_or(0, |record| record.at_ms), records.last().map_or(0, |record| record.at_ms));
    let mut teller = Teller::new(latency_ms, first);
    for record in &records {
        pace(record.at_ms - first);
        teller.judge_until(record.at_ms);
        teller.tell(record)?;
    }
    teller.judge_until(last + AFTER_MS);
    Ok(Report { lasted_ms: last - first, ..teller.report })
}

struct Teller {
    scout: Scout,
    now_ms: i64,
    /// Which of the report's incidents still wait for their diagnosis.
    waiting: Vec<usize>,
    report: Report,
}

impl Teller {
    fn new(latency_ms: u64, now_ms: i64) -> Self {
        let scout = Scout::new(Limits { latency_ms, coherence: false, ..Limits::default() });
        let report = Report { spans: 0, rejected: 0, lasted_ms: 0, incidents: Vec::new() };
        Self { scout, now_ms, waiting: Vec::new(), report }
    }

    fn tell(&mut self, record: &Record) -> Result<()> {
        let scout = &mut self.scout;
        let counted = decode::spans(&record.body, &mut |span| scout.observe(&span, span.service, record.at_ms))?;
        self.report.spans += counted.accepted;
        self.report.rejected += counted.rejected;
        Ok(())
    }

    fn judge_until(&mut self, until_ms: i64) {
        while self.now_ms + JUDGE_MS <= until_ms {
            self.now_ms += JUDGE_MS;
            for sighting in self.scout.judge(self.now_ms) {
                match sighting {
                    Sighting::Confirmed(signal) => self.confirmed(signal),
                    Sighting::Suspected(_) | Sighting::Faded { .. } => {}
                }
            }
            self.diagnose();
        }
    }

    /// A failure is one incident, however many operations on its call paths show it.
    fn confirmed(&mut self, signal: Signal) {
        let now_ms = self.now_ms;
        let same = |known: &Replayed| {
            let is_on_path = self.scout.related(&known.signal.service, &signal.service);
            is_on_path
                && self
                    .scout
                    .signal(&known.signal.service, &known.signal.operation, now_ms)
                    .is_some_and(is_over_its_threshold)
        };
        if !self.report.incidents.iter().any(same) {
            self.waiting.push(self.report.incidents.len());
            self.report.incidents.push(Replayed { confirmed_ms: now_ms, signal, diagnosis: None, unclear: None });
        }
    }

    fn diagnose(&mut self) {
        let (scout, report, now_ms) = (&self.scout, &mut self.report, self.now_ms);
        self.waiting.retain(|at| {
            let Some(incident) = report.incidents.get_mut(*at) else { return false };
            let evidence = scout.evidence(&incident.signal, now_ms);
            match brain::diagnose(&evidence, None, &Current::default(), &[]) {
                Ok(found) => incident.diagnosis = Some(found.diagnosis),
                Err(Gap::TooEarly(_)) if now_ms < incident.confirmed_ms + PATIENCE_MS => return true,
                Err(gap) => incident.unclear = Some(gap.to_string()),
            }
            false
        });
    }
}

fn is_over_its_threshold(signal: Signal) -> bool {
    signal.statistic >= signal.threshold
}

#[cfg(test)]
mod tests;
