//! Whether a change helped: RECOVERED, REGRESSED, UNCHANGED or INCONCLUSIVE, with number and threshold.

use serde::{Deserialize, Serialize};

/// The four answers. Missing data is never RECOVERED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// The sequential test accepted health.
    Recovered,
    /// Worse than before the change, or somebody else broke.
    Regressed,
    /// As bad as before.
    Unchanged,
    /// Not enough was seen in time.
    Inconclusive,
}

/// Judgement with its numbers. Contract: `Incident.recovery`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The answer.
    pub verdict: Outcome,
    /// Events counted on the new revision.
    pub samples: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// Probes among `samples`.
    pub probes: u64,
    /// Log-likelihood ratio of the sequential test.
    pub statistic: f64,
    /// Bound the statistic had to cross.
    pub threshold: f64,
    /// What decided, in one sentence.
    pub reason: String,
}
