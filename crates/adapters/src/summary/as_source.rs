//! Summaries as one source of metrics among others: a signal is a host, its coherence a metric.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_coherence::window::Window;
use sre_space_ports::source::{Reading, Source, SourceError, Told, Wanted, names};
use sre_space_ports::summary::{Asking, Record, Summaries};

const NAME: &str = "darshan";
/// The one metric there is.
const METRIC: &str = names::COHERENCE;
/// Whose a record is that names no signal.
const UNNAMED: &str = "darshan";

/// Darshan, or a recording of it, behind the port of metric sources.
pub struct DarshanSource(pub Arc<dyn Summaries>);

#[async_trait]
impl Source for DarshanSource {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let is_metric = wanted.metrics.is_empty() || wanted.metrics.iter().any(|metric| metric == METRIC);
        if !is_metric || wanted.until_ms <= wanted.since_ms {
            return Ok(Told::default());
        }
        let (window, now) = window(wanted).map_err(|why| SourceError::Refused { name: NAME, why })?;
        let latest = self.0.latest(Asking { window, now, request_id: "source" }).await?;
        let is_wanted = |reading: &Reading| (wanted.since_ms..wanted.until_ms).contains(&reading.at_ms);
        Ok(Told {
            readings: once_each(latest.records.iter().map(reading).filter(is_wanted).collect()),
            refused: latest.refused.to_vec(),
            refused_rows: usize::try_from(latest.refused_rows).unwrap_or(usize::MAX),
        })
    }
}

/// The window that ends where the wanted time does and holds all of it, its beginning too.
fn window(wanted: &Wanted) -> Result<(Window, Timestamp), String> {
    let seconds = wanted.until_ms.saturating_sub(wanted.since_ms) / 1_000 + 1;
    let window = u32::try_from(seconds).ok().and_then(|seconds| Window::of_seconds(seconds).ok());
    let now = Timestamp::from_millisecond(wanted.until_ms).ok();
    window.zip(now).ok_or_else(|| "it is asked for 31 days at most".to_owned())
}

fn reading(record: &Record) -> Reading {
    let host = record.signal.as_deref().unwrap_or(UNNAMED).to_owned();
    Reading { host, metric: METRIC.to_owned(), at_ms: record.at.as_millisecond(), value: record.coherence_score }
}

/// In order; of several within one millisecond the last.
fn once_each(mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.reverse();
    readings.sort_by(|a, b| (a.at_ms, &a.host).cmp(&(b.at_ms, &b.host)));
    readings.dedup_by(|a, b| (a.at_ms, &a.host) == (b.at_ms, &b.host));
    readings
}
