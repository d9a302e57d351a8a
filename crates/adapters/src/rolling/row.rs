//! A report as one row: the columns of `rolling_store.csv` and of the table `rolling_metrics`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sre_space_coherence::drift::{Inputs, Meta, Report, Risk};

/// One row; its fields are the columns, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub ts_utc: String,
    pub signal: Option<String>,
    pub window_sec: u32,
    pub n: i64,
    pub mean: f64,
    pub stdev: f64,
    pub volatility_index: Option<f64>,
    pub drift_risk: String,
    pub source: String,
    pub start_ts: String,
    pub end_ts: String,
    pub refused_rows: i64,
    pub method: String,
    pub engine_version: String,
    pub latency_ms: i64,
    pub request_id: String,
}

/// A count as databases and files hold it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Row {
    /// The row of a report.
    pub(super) fn of(report: &Report) -> Self {
        let Report { inputs, meta, .. } = report;
        Self {
            ts_utc: report.timestamp.to_string(),
            signal: report.signal.clone(),
            window_sec: report.window_sec,
            n: signed(report.n),
            mean: report.coherence_mean,
            stdev: report.stdev,
            volatility_index: report.volatility_index,
            drift_risk: report.predicted_drift_risk.as_str().to_owned(),
            source: inputs.source.clone(),
            start_ts: inputs.start_ts.to_string(),
            end_ts: inputs.end_ts.to_string(),
            refused_rows: signed(inputs.refused_rows),
            method: meta.method.clone(),
            engine_version: meta.engine_version.clone(),
            latency_ms: signed(meta.latency_ms),
            request_id: meta.request_id.clone(),
        }
    }

    /// The report of a row; `None` of one that no report was written as.
    pub(super) fn report(self) -> Option<Report> {
        let moment = |text: &str| text.parse::<Timestamp>().ok();
        let risk = [Risk::Low, Risk::Medium, Risk::High].into_iter().find(|risk| risk.as_str() == self.drift_risk)?;
        Some(Report {
            coherence_mean: self.mean,
            stdev: self.stdev,
            volatility_index: self.volatility_index,
            predicted_drift_risk: risk,
            timestamp: moment(&self.ts_utc)?,
            window_sec: self.window_sec,
            n: u64::try_from(self.n).ok()?,
            signal: self.signal,
            inputs: Inputs {
                start_ts: moment(&self.start_ts)?,
                end_ts: moment(&self.end_ts)?,
                source: self.source,
                refused_rows: u64::try_from(self.refused_rows).ok()?,
            },
            meta: Meta {
                method: self.method,
                engine_version: self.engine_version,
                latency_ms: u64::try_from(self.latency_ms).ok()?,
                request_id: self.request_id,
            },
        })
    }
}
