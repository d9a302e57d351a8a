//! What Scout says when it notices: a signal, with the numbers that made it speak.

use serde::{Deserialize, Serialize};

/// What kind of badness dominates the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalKind {
    /// Failed spans.
    ErrorRate,
    /// Spans over the latency objective.
    Latency,
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
}

impl Signal {
    /// Bad events in the window.
    pub fn bad(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let bad = (self.observed * self.samples as f64).round() as u64;
        bad
    }
}
