//! Exponentially weighted mean and variance: the recent past counts, the distant past fades.

use serde::{Deserialize, Serialize};

use crate::undefined::{Undefined, enough, summed};

/// Weighted mean and variance; the weight of a sample halves with every half-life that follows it.
///
/// Update by Finch, *Incremental calculation of weighted mean and variance*, Cambridge 2009, section 9. While there are fewer samples
/// than a half-life each weighs the same, so that the first one is no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    /// Weight of the newest sample once warm, 0.0..=1.0.
    alpha: f64,
    count: u64,
    mean: f64,
    variance: f64,
}

impl Ewma {
    /// With this half-life in samples, more than 0.
    pub fn with_half_life(samples: f64) -> Result<Self, Undefined> {
        if !(samples.is_finite() && samples > 0.0) {
            return Err(Undefined::BadArgument);
        }
        Ok(Self { alpha: 1.0 - 0.5_f64.powf(1.0 / samples), count: 0, mean: 0.0, variance: 0.0 })
    }

    /// The same over a whole slice, oldest first.
    pub fn of(values: &[f64], half_life: f64) -> Result<Self, Undefined> {
        let mut ewma = Self::with_half_life(half_life)?;
        for value in values {
            ewma.add(*value)?;
        }
        Ok(ewma)
    }

    /// Takes one more sample in; one that is not finite is refused and changes nothing.
    pub fn add(&mut self, value: f64) -> Result<(), Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        self.count += 1;
        let weight = self.alpha.max(1.0 / self.count as f64);
        let step = weight * (value - self.mean);
        self.variance = (1.0 - weight) * (self.variance + (value - self.mean) * step);
        self.mean += step;
        Ok(())
    }

    /// How many samples it has seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Weighted mean, in the samples' unit.
    pub fn mean(&self) -> Result<f64, Undefined> {
        self.at_least(1)?;
        summed(self.mean)
    }

    /// Weighted standard deviation, in the samples' unit.
    pub fn stdev(&self) -> Result<f64, Undefined> {
        self.at_least(2)?;
        summed(self.variance.sqrt())
    }

    /// How many weighted standard deviations a value lies above the weighted mean.
    pub fn z(&self, value: f64) -> Result<f64, Undefined> {
        let stdev = self.stdev()?;
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        if stdev == 0.0 {
            return Err(Undefined::NoSpread);
        }
        summed((value - self.mean) / stdev)
    }

    fn at_least(&self, needs: usize) -> Result<(), Undefined> {
        enough(usize::try_from(self.count).unwrap_or(usize::MAX), needs)
    }
}

#[cfg(test)]
mod tests;
