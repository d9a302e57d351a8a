//! Drift of a coherence score: mean, volatility and a risk by rule.
//!
//! The founding document's bands (004.md, Metrics), where they overlap and where they say "volatility" for a share: high is
//! tested first, then medium, then low; the index is the sample standard deviation as a share of the mean.

mod report;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::report::{Inputs, METHOD, Meta, Report, ReportContext};
use crate::moments::Moments;
use crate::undefined::Undefined;

/// Above this volatility the risk is high.
const HIGH_VOLATILITY: f64 = 0.25;
/// Above this volatility the risk is medium at least.
const MEDIUM_VOLATILITY: f64 = 0.10;
/// Below this mean the risk is high.
const HIGH_MEAN: f64 = 60.0;
/// Below this mean the risk is medium at least.
const MEDIUM_MEAN: f64 = 80.0;
/// A mean this close to 0, in the score's unit, is none to take a share of.
const NO_MEAN: f64 = 1e-9;

/// How likely the score is about to leave its band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// A steady score of 80 or more.
    Low,
    /// Unsteady, or below 80.
    Medium,
    /// Very unsteady, or below 60.
    High,
}

impl Risk {
    /// Of a volatility index and a mean. Without an index the mean alone decides.
    ///
    /// High: index > 0.25 or mean < 60. Medium: else, index > 0.10 or mean < 80. Low: else.
    pub fn of(volatility: Option<f64>, mean: f64) -> Self {
        let is_above = |bound: f64| volatility.is_some_and(|index| index > bound);
        if is_above(HIGH_VOLATILITY) || mean < HIGH_MEAN {
            Self::High
        } else if is_above(MEDIUM_VOLATILITY) || mean < MEDIUM_MEAN {
            Self::Medium
        } else {
            Self::Low
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What the scores of one window tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// How many scores there are, at least one.
    pub n: u64,
    /// Arithmetic mean, in the score's unit.
    pub mean: f64,
    /// Sample standard deviation (n - 1), in the score's unit; 0 of a single score.
    pub stdev: f64,
    /// Volatility index: `stdev / |mean|`; `None` where the mean is 0, or so near that the share has no meaning.
    pub volatility: Option<f64>,
    /// The risk by rule.
    pub risk: Risk,
}

impl Drift {
    /// Of the scores of one window, in any order.
    pub fn of(scores: &[f64]) -> Result<Self, Undefined> {
        let moments = Moments::of(scores)?;
        let mean = moments.mean()?;
        let stdev = if moments.count() == 1 { 0.0 } else { moments.stdev()? };
        let share = stdev / mean.abs();
        let volatility = (mean.abs() > NO_MEAN && share.is_finite()).then_some(share);
        Ok(Self { n: moments.count(), mean, stdev, volatility, risk: Risk::of(volatility, mean) })
    }
}
