//! Spikes: samples far above what is usual for their series, by three methods that are named in the answer.

use serde::{Deserialize, Serialize};

use crate::moments::Moments;
use crate::robust::{Fences, NORMAL_MAD, Robust, TUKEY};
use crate::undefined::{Undefined, all_finite};

/// Standard deviations above the mean from which on a sample is a spike (seed 001).
pub const SIGMAS: f64 = 2.5;
/// Modified z-score from which on a sample is a spike (seed 000; Iglewicz and Hoaglin recommend 3.5).
pub const ROBUST_Z: f64 = 3.0;

/// How spikes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// More than [`SIGMAS`] population standard deviations above the mean.
    Sigma,
    /// Modified z-score above [`ROBUST_Z`]: spikes do not hide themselves by raising the mean and the deviation.
    RobustZ,
    /// Above Tukey's upper fence, [`TUKEY`] inter-quartile ranges above the third quartile.
    Fences,
}

/// The spikes of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spikes {
    /// By which method.
    pub method: Method,
    /// Samples above the threshold.
    pub count: usize,
    /// Their share of all samples, 0.0..=1.0.
    pub share: f64,
    /// The highest of them, `None` when there is none.
    pub highest: Option<f64>,
    /// What is usual: the mean, or the median.
    pub baseline: f64,
    /// Samples above this are spikes.
    pub threshold: f64,
    /// How grave they are, 0.0..=1.0.
    pub risk: f64,
}

impl Spikes {
    /// Of a slice in any order. [`Undefined::NoSpread`] where the method's spread is 0, so that nothing is far from anything.
    pub fn of(values: &[f64], method: Method) -> Result<Self, Undefined> {
        let usual = Usual::of(values, method)?;
        let (count, highest) = above(values, usual.threshold);
        let share = count as f64 / values.len() as f64;
        let highest = (count > 0).then_some(highest);
        let risk = highest.map_or(0.0, |highest| risk(share, (highest - usual.baseline) / usual.sigma));
        Ok(Self { method, count, share, highest, baseline: usual.baseline, threshold: usual.threshold, risk })
    }
}

impl Spikes {
    /// The same, with every value higher by so much.
    pub(crate) fn higher_by(self, by: f64) -> Self {
        let highest = self.highest.map(|highest| highest + by);
        Self { highest, baseline: self.baseline + by, threshold: self.threshold + by, ..self }
    }

    /// How far the highest lies above what is usual, in (equivalent) standard deviations; `None` when there is none.
    pub(crate) fn highest_z(&self) -> Option<f64> {
        let from = match self.method {
            Method::Sigma => SIGMAS,
            Method::RobustZ => ROBUST_Z,
            Method::Fences => return None,
        };
        Some(from * (self.highest? - self.baseline) / (self.threshold - self.baseline))
    }
}

/// Seed 001's formula: the mean of how often (1 from a tenth of the samples on) and how high (1 from three deviations on).
fn risk(share: f64, sigmas: f64) -> f64 {
    f64::midpoint((share / 0.1).min(1.0), (sigmas / 3.0).min(1.0))
}

/// What is usual for a series by one method.
struct Usual {
    baseline: f64,
    /// One (equivalent) standard deviation.
    sigma: f64,
    threshold: f64,
}

impl Usual {
    fn of(values: &[f64], method: Method) -> Result<Self, Undefined> {
        let usual = match method {
            Method::Sigma => {
                let moments = Moments::of(values)?;
                let (baseline, sigma) = (moments.mean()?, moments.population_stdev()?);
                Self { baseline, sigma, threshold: baseline + SIGMAS * sigma }
            }
            Method::RobustZ => {
                let robust = Robust::of(values)?;
                let threshold = robust.median + ROBUST_Z / NORMAL_MAD * robust.mad;
                Self { baseline: robust.median, sigma: robust.sigma(), threshold }
            }
            Method::Fences => {
                let (fences, baseline) = (Fences::of(values, TUKEY)?, crate::robust::median(values)?);
                // Half of a normal lies within 2 x 0.6745 standard deviations.
                Self { baseline, sigma: fences.range() / (2.0 * NORMAL_MAD), threshold: fences.upper }
            }
        };
        // Rounding leaves a constant series a deviation of some last digits.
        if usual.sigma <= f64::EPSILON * usual.baseline.abs() {
            return Err(Undefined::NoSpread);
        }
        Ok(usual)
    }
}

/// How many values are above the threshold, and the highest of all.
fn above(values: &[f64], threshold: f64) -> (usize, f64) {
    let count = values.iter().map(|value| usize::from(*value > threshold)).sum();
    (count, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// Whether the newest sample is a spike against `usual`, the samples before it, by the modified z-score.
pub fn is_robust_spike(usual: &Robust, value: f64) -> Result<bool, Undefined> {
    all_finite(&[value])?;
    usual.z(value).map(|z| z > ROBUST_Z)
}

#[cfg(test)]
mod tests;
