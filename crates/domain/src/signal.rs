//! What Scout says when it notices: a signal, with the numbers that made it speak.

use serde::{Deserialize, Serialize};

/// Bytes of a megabyte.
const MB: f64 = 1e6;

/// What kind of badness dominates the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalKind {
    /// Failed spans.
    ErrorRate,
    /// Spans over the latency objective.
    Latency,
    /// A process's memory grows towards its limit. No request has to fail for it.
    MemoryTrend,
    /// A service calls others more often for each request than it usually does.
    Amplification,
}

impl SignalKind {
    /// What is counted as good or bad.
    pub fn counts(self) -> &'static str {
        match self {
            Self::ErrorRate | Self::Latency => "requests",
            Self::MemoryTrend | Self::Amplification => "seconds",
        }
    }
}

/// What a signal of the second sense was told by: the numbers behind its good and bad seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coherence {
    /// Of [`SignalKind::MemoryTrend`].
    Memory(MemoryTrend),
    /// Of [`SignalKind::Amplification`].
    Calls(Amplification),
}

/// Two sources measure the same when the smaller is at least this part of the larger.
const SAME: f64 = 0.8;

impl Coherence {
    /// The same number as two sources measured it: MB/s, or calls for each request; `None` where one source alone did.
    pub fn measured_twice(&self) -> Option<(f64, f64)> {
        match self {
            Self::Memory(memory) => memory.elsewhere_per_s.map(|elsewhere| (memory.bytes_per_s / MB, elsewhere / MB)),
            Self::Calls(calls) => calls.received.map(|received| (calls.ratio, received)),
        }
    }

    /// How far the two agree, 0..=1: the smaller as a part of the larger, full from four fifths on.
    pub fn agreement(&self) -> Option<f64> {
        let (ours, theirs) = self.measured_twice()?;
        let part = ours.min(theirs) / ours.max(theirs);
        Some(if part.is_finite() { (part / SAME).clamp(0.0, 1.0) } else { 0.0 })
    }

    /// What was measured, as the rest of a sentence: our own words and numbers.
    pub fn clause(&self) -> String {
        match self {
            Self::Memory(memory) => format!(
                "grows by {:.2} MB/s at {:.0} of {:.0} MB{}",
                memory.bytes_per_s / MB,
                memory.used_bytes / MB,
                memory.limit_bytes / MB,
                memory.exhausted_in_s.map_or_else(String::new, |left| format!(" and reaches its limit in {left:.0} s")),
            ),
            Self::Calls(calls) => {
                format!("makes {:.2} calls for each request, usually {:.2}", calls.ratio, calls.usual)
            }
        }
    }

    /// Whether the numbers are such as a signal is made of: finite, above what is usual, and the forecast follows from them.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Memory(memory) => memory.is_sound(),
            Self::Calls(calls) => {
                let Amplification { ratio, usual, requests, .. } = *calls;
                ratio.is_finite() && usual >= 0.0 && ratio > usual && requests > 0
            }
        }
    }
}

/// How a process's memory grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemoryTrend {
    /// Memory in use at the end of the window, bytes.
    pub used_bytes: f64,
    /// Limit that was declared for it, bytes.
    pub limit_bytes: f64,
    /// Least-squares slope over the window, bytes per second.
    pub bytes_per_s: f64,
    /// Rise from the window's start to its end, bytes per second.
    pub change_per_s: f64,
    /// Share of the variance that the line explains, 0..=1.
    pub explained: f64,
    /// Slope as another source saw the same process, bytes per second.
    pub elsewhere_per_s: Option<f64>,
    /// When the limit is reached at this pace, seconds from the end of the window; `None` when it is no certain rise.
    pub exhausted_in_s: Option<f64>,
    /// The same at the fastest pace that is likely (95 %).
    pub at_soonest_s: Option<f64>,
    /// Length of the window, seconds.
    pub window_s: f64,
}

/// The forecast takes a robust line and the slope is that of least squares: they may differ by this factor.
const APART: f64 = 2.0;

impl MemoryTrend {
    fn is_sound(&self) -> bool {
        let left_s = (self.limit_bytes - self.used_bytes) / self.bytes_per_s;
        let follows = |forecast_s: f64| (left_s / APART..=left_s * APART).contains(&forecast_s);
        let rises = self.bytes_per_s > 0.0 && self.change_per_s > 0.0 && (0.0..=1.0).contains(&self.explained);
        rises && self.used_bytes > 0.0 && self.window_s > 0.0 && self.exhausted_in_s.is_some_and(follows)
    }
}

/// How much a service multiplies what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Amplification {
    /// Calls to other services for each request served, lately.
    pub ratio: f64,
    /// The same in calm times.
    pub usual: f64,
    /// The same as the callees counted it, lately.
    pub received: Option<f64>,
    /// Requests it was taken from.
    pub requests: u64,
}

/// How far Scout has come with a suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The CUSUM crossed its threshold: worth opening an incident, not worth acting on.
    Suspected,
    /// Posterior and a second independent source agree: worth acting on.
    Confirmed,
}

/// A service and operation that went bad, with the statistic that says so. Contract: `Incident.signal`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Service whose spans went bad.
    pub service: String,
    /// Operation (span name of the entry span).
    pub operation: String,
    /// What dominates.
    pub kind: SignalKind,
    /// How sure Scout is.
    pub certainty: Certainty,
    /// Share of bad events in the window, 0..=1.
    pub observed: f64,
    /// Smoothed share of bad events before, 0..=1.
    pub baseline: f64,
    /// The CUSUM threshold `h`.
    pub threshold: f64,
    /// Window length in seconds.
    pub window_s: f64,
    /// Events in the window.
    pub samples: u64,
    /// The CUSUM statistic.
    pub statistic: f64,
    /// Posterior probability that the bad share exceeds 5 % (Beta(1, 99) prior).
    pub posterior: f64,
    /// Independent sources (ingest tokens, or `probe`) that saw it.
    pub sources: Vec<String>,
    /// First bad event of this excursion, milliseconds since the Unix epoch.
    pub onset_ms: i64,
    /// What the second sense measured, where it is the one that speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coherence: Option<Coherence>,
}

impl Signal {
    /// Bad events in the window.
    pub fn bad(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let bad = (self.observed * self.samples as f64).round() as u64;
        bad
    }

    /// What was seen, as the rest of a sentence that begins with the service: our own words and numbers.
    pub fn clause(&self) -> String {
        match &self.coherence {
            None => format!("is bad in {:.0} % of {} requests", self.observed * 100.0, self.samples),
            Some(numbers) => numbers.clause(),
        }
    }
}
