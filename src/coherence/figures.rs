//! What the engine was asked and how it answered, since the start.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// Requests whose latency is looked at.
const LATELY: usize = 1_024;

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With what was asked for.
    Told,
    /// That it could not be, for a reason of whoever asked: a bad window, or one without a record.
    Refused,
    /// That it could not be, for a reason of ours or of the source.
    Failed,
}

/// The figures at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// When the source was last read.
    pub last_ingest: Option<Timestamp>,
    /// What that took, milliseconds.
    pub last_ingest_latency_ms: Option<f64>,
    /// How many records it told.
    pub last_ingest_records: Option<usize>,
    /// Requests that were told what they asked for.
    pub requests_told: u64,
    /// Requests that were refused.
    pub requests_refused: u64,
    /// Requests that failed.
    pub requests_failed: u64,
    /// Share of failed requests; `None` before the first request.
    pub error_ratio: Option<f64>,
    /// 95 of 100 of the newest 1,024 requests took no longer, milliseconds; `None` before the first.
    pub latency_p95_ms: Option<f64>,
    /// Reports that the rolling store did not take.
    pub not_kept: u64,
}

#[derive(Debug, Default)]
struct Counted {
    told: u64,
    refused: u64,
    failed: u64,
    not_kept: u64,
    latencies: VecDeque<Duration>,
    ingest: Option<(Timestamp, Duration, usize)>,
}

/// The figures.
#[derive(Debug, Default)]
pub struct Figures(Mutex<Counted>);

impl Figures {
    /// A request was answered.
    pub fn answered(&self, outcome: Outcome, took: Duration) {
        let mut counted = self.counted();
        match outcome {
            Outcome::Told => counted.told += 1,
            Outcome::Refused => counted.refused += 1,
            Outcome::Failed => counted.failed += 1,
        }
        if counted.latencies.len() == LATELY {
            counted.latencies.pop_front();
        }
        counted.latencies.push_back(took);
    }

    /// The source told so many records.
    pub fn ingested(&self, at: Timestamp, took: Duration, records: usize) {
        self.counted().ingest = Some((at, took, records));
    }

    /// A report was not taken by the store.
    pub fn not_kept(&self) {
        self.counted().not_kept += 1;
    }

    /// The figures now.
    pub fn snapshot(&self) -> Snapshot {
        let counted = self.counted();
        let requests = counted.told + counted.refused + counted.failed;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Snapshot {
            last_ingest: counted.ingest.map(|(at, _, _)| at),
            last_ingest_latency_ms: counted.ingest.map(|(_, took, _)| ms(took)),
            last_ingest_records: counted.ingest.map(|(_, _, records)| records),
            requests_told: counted.told,
            requests_refused: counted.refused,
            requests_failed: counted.failed,
            error_ratio: (requests > 0).then(|| counted.failed as f64 / requests as f64),
            latency_p95_ms: p95(&counted.latencies).map(ms),
            not_kept: counted.not_kept,
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nearest-rank percentile.
fn p95(latencies: &VecDeque<Duration>) -> Option<Duration> {
    let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * 95).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_outcome_and_the_percentile_is_that_of_the_newest() {
        let figures = Figures::default();
        let none = figures.snapshot();
        assert_eq!((none.error_ratio, none.latency_p95_ms, none.last_ingest), (None, None, None));
        (1..=100).for_each(|ms| figures.answered(Outcome::Told, Duration::from_millis(ms)));
        assert_eq!(figures.snapshot().latency_p95_ms, Some(95.0));
        (0..40).for_each(|_| figures.answered(Outcome::Refused, Duration::from_millis(1)));
        (0..60).for_each(|_| figures.answered(Outcome::Failed, Duration::from_millis(1)));
        let shot = figures.snapshot();
        let counts = (shot.requests_told, shot.requests_refused, shot.requests_failed);
        assert_eq!((counts, shot.error_ratio), ((100, 40, 60), Some(0.3)));
        (0..LATELY).for_each(|_| figures.answered(Outcome::Told, Duration::from_millis(2)));
        assert_eq!(figures.snapshot().latency_p95_ms, Some(2.0));
    }
}
