//! Where calm ends.

/// Where calm ends. The defaults are those of the founding document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Above this sample standard deviation of CPU, percentage points, load swings. The inter-quartile range is held against the
    /// same number.
    pub sigma: f64,
    /// Above this growth of used memory, megabytes (10^6 bytes) a second, memory runs away.
    pub fever_mb_s: f64,
    /// Above so many packets sent for each one received, traffic is amplified.
    pub amplification: f64,
    /// How far back variance is measured; of a source too slow for a dozen samples in that time, over a dozen samples.
    pub window_ms: i64,
    /// A source whose newest sample is older than this says nothing about now.
    pub stale_ms: i64,
    /// A sensor that vetoes this long is persistent.
    pub persist_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sigma: 10.0,
            fever_mb_s: 100.0,
            amplification: 1.1,
            window_ms: 60_000,
            stale_ms: 300_000,
            persist_ms: 30_000,
        }
    }
}
