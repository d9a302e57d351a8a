//! What came in since the start: counts and how long it took, without a lock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::decode::Counted;
use super::telemetry::Telemetry;

/// Buckets of latency; bucket n holds durations below 2^n microseconds, the last everything longer.
const BUCKETS: usize = 28;

/// What came in, since the start.
#[derive(Debug, Default)]
pub struct IngestStats {
    requests: AtomicU64,
    accepted: [AtomicU64; 3],
    rejected: [AtomicU64; 3],
    refused: AtomicU64,
    bytes: AtomicU64,
    last_ms: AtomicI64,
    latency: [AtomicU64; BUCKETS],
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Spans accepted.
    pub accepted_spans: u64,
    /// Spans left out of accepted requests, and of those that had none usable.
    pub rejected_spans: u64,
    /// Data points accepted.
    pub accepted_data_points: u64,
    /// Data points left out.
    pub rejected_data_points: u64,
    /// Log records accepted.
    pub accepted_log_records: u64,
    /// Log records left out.
    pub rejected_log_records: u64,
    /// Requests not taken, whatever the reason.
    pub refused_requests: u64,
    /// Bytes accepted, decoded.
    pub bytes: u64,
    /// Last accepted request, milliseconds since the Unix epoch; 0: none yet.
    pub last_ingest_ms: i64,
    /// From the whole body in hand to the bus having it: half of the accepted requests took less, microseconds, to the
    /// next power of two; 0: none yet.
    pub latency_p50_us: u64,
    /// The same for 99 of 100 requests.
    pub latency_p99_us: u64,
}

impl IngestStats {
    /// The counts now.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [accepted_spans, accepted_data_points, accepted_log_records] = self.accepted.each_ref().map(read);
        let [rejected_spans, rejected_data_points, rejected_log_records] = self.rejected.each_ref().map(read);
        Snapshot {
            requests: read(&self.requests),
            accepted_spans,
            rejected_spans,
            accepted_data_points,
            rejected_data_points,
            accepted_log_records,
            rejected_log_records,
            refused_requests: read(&self.refused),
            bytes: read(&self.bytes),
            last_ingest_ms: self.last_ms.load(Ordering::Relaxed),
            latency_p50_us: self.latency_us(50),
            latency_p99_us: self.latency_us(99),
        }
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self, telemetry: Telemetry, items: u64) {
        add(&self.rejected, telemetry, items);
    }

    pub(super) fn accepted(&self, telemetry: Telemetry, counted: &Counted, bytes: usize, now_ms: i64) {
        add(&self.accepted, telemetry, counted.accepted);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    pub(super) fn took(&self, time: Duration) {
        let bits = u64::BITS - u64::try_from(time.as_micros()).unwrap_or(u64::MAX).leading_zeros();
        let bucket = (bits as usize).min(BUCKETS - 1);
        if let Some(counter) = self.latency.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The upper edge of the bucket in which `percent` of all requests are reached.
    fn latency_us(&self, percent: u64) -> u64 {
        let counts = self.latency.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        let wanted = (counts.iter().sum::<u64>() * percent).div_ceil(100);
        let mut seen = 0;
        let reached = counts.iter().position(|count| {
            seen += count;
            wanted > 0 && seen >= wanted
        });
        reached.map_or(0, |bucket| 1 << bucket)
    }
}

fn add(counters: &[AtomicU64; 3], telemetry: Telemetry, items: u64) {
    let [spans, points, records] = counters;
    let counter = match telemetry {
        Telemetry::Traces => spans,
        Telemetry::Metrics => points,
        Telemetry::Logs => records,
    };
    counter.fetch_add(items, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_next_power_of_two() {
        let stats = IngestStats::default();
        assert_eq!((stats.latency_us(50), stats.latency_us(99)), (0, 0));
        (0..98).for_each(|_| stats.took(Duration::from_micros(100)));
        stats.took(Duration::from_micros(5_000));
        stats.took(Duration::from_secs(100_000));
        assert_eq!((stats.latency_us(50), stats.latency_us(99), stats.latency_us(100)), (128, 8_192, 1 << 27));
    }
}
