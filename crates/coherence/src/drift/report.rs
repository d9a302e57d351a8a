//! The record that the API answers and the rolling store keeps: every number with where it comes from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Drift, Risk};
use crate::window::Window;

/// How the figures come about, as [`Meta::method`] says it.
pub const METHOD: &str = "mean/stdev rule-based";

/// The figures of one window, with their inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Arithmetic mean of the scores.
    pub coherence_mean: f64,
    /// Sample standard deviation of the scores, in their unit.
    pub stdev: f64,
    /// `stdev / |coherenceMean|`; null where the mean is 0.
    pub volatility_index: Option<f64>,
    /// The risk by rule.
    pub predicted_drift_risk: Risk,
    /// The moment the figures speak of: the end of the window.
    pub timestamp: Timestamp,
    /// Length of the window, seconds.
    pub window_sec: u32,
    /// How many scores there are.
    pub n: u64,
    /// The signal whose scores these are; null: every signal's.
    pub signal: Option<String>,
    /// What was looked at.
    pub inputs: Inputs,
    /// How.
    pub meta: Meta,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The window begins here; a score of this very moment is outside.
    pub start_ts: Timestamp,
    /// The window ends here; a score of this very moment is inside.
    pub end_ts: Timestamp,
    /// Where the scores come from: `darshan_api` or `mock`.
    pub source: String,
    /// How many rows of the source could not be read, and are in no figure.
    pub refused_rows: u64,
}

/// How the figures came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// [`METHOD`].
    pub method: String,
    /// Version of the engine.
    pub engine_version: String,
    /// From the question to the figures, milliseconds, rounded up.
    pub latency_ms: u64,
    /// The request that asked for them.
    pub request_id: String,
}

/// What a report says beside the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportContext {
    /// The signal; `None`: all.
    pub signal: Option<String>,
    /// The window.
    pub window: Window,
    /// Its end.
    pub end_ts: Timestamp,
    /// Where the scores come from.
    pub source: String,
    /// Rows of the source that could not be read.
    pub refused_rows: u64,
    /// How.
    pub meta: Meta,
}

impl Report {
    /// The record of some figures.
    pub fn of(drift: &Drift, context: ReportContext) -> Self {
        let ReportContext { signal, window, end_ts, source, refused_rows, meta } = context;
        Self {
            coherence_mean: drift.mean,
            stdev: drift.stdev,
            volatility_index: drift.volatility,
            predicted_drift_risk: drift.risk,
            timestamp: end_ts,
            window_sec: window.seconds(),
            n: drift.n,
            signal,
            inputs: Inputs { start_ts: window.before(end_ts), end_ts, source, refused_rows },
            meta,
        }
    }
}
