//! What came in since the start: counts and how long it took, without a lock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::decode::Counted;

/// Buckets of latency; bucket n holds durations below 2^n microseconds, the last everything longer.
const BUCKETS: usize = 28;

/// What came in, since the start.
#[derive(Debug, Default)]
pub struct IngestStats {
    requests: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
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
        Snapshot {
            requests: read(&self.requests),
            accepted_spans: read(&self.accepted),
            rejected_spans: read(&self.rejected),
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

    pub(super) fn rejected(&self, spans: u64) {
        self.rejected.fetch_add(spans, Ordering::Relaxed);
    }

    pub(super) fn accepted(&self, counted: &Counted, bytes: usize, now_ms: i64) {
        self.accepted.fetch_add(counted.accepted, Ordering::Relaxed);
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
