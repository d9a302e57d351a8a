//! Statistics that a few wild samples cannot move: quantiles, median, median absolute deviation, robust z and fences.

use serde::{Deserialize, Serialize};

use crate::undefined::{Undefined, all_finite, enough, summed};

/// The 0.75 quantile of the standard normal: a normal's median absolute deviation is this many standard deviations. Iglewicz and
/// Hoaglin, *How to detect and handle outliers*, ASQC 1993, the modified z-score.
pub const NORMAL_MAD: f64 = 0.6745;
/// Tukey's fences lie this many inter-quartile ranges outside of the quartiles (*Exploratory data analysis*, 1977).
pub const TUKEY: f64 = 1.5;

/// Centre and spread by medians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Robust {
    /// The middle sample, in the samples' unit.
    pub median: f64,
    /// Median absolute deviation from the median, in the samples' unit, not scaled to a normal.
    pub mad: f64,
}

impl Robust {
    /// Of a slice in any order, at least one sample.
    pub fn of(values: &[f64]) -> Result<Self, Undefined> {
        enough(values.len(), 1)?;
        all_finite(values)?;
        let mut room = values.to_vec();
        let median = summed(middle(&mut room))?;
        for value in &mut room {
            *value = (*value - median).abs();
        }
        let mad = summed(middle(&mut room))?;
        Ok(Self { median, mad })
    }

    /// The modified z-score `0.6745 (value - median) / MAD` of Iglewicz and Hoaglin. [`Undefined::NoSpread`] where the MAD is 0:
    /// more than half of the samples are then equal, and no distance is large or small against them.
    pub fn z(&self, value: f64) -> Result<f64, Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        if self.mad == 0.0 {
            return Err(Undefined::NoSpread);
        }
        summed(NORMAL_MAD * (value - self.median) / self.mad)
    }

    /// What a normal with this MAD has as its standard deviation, in the samples' unit.
    pub fn sigma(&self) -> f64 {
        self.mad / NORMAL_MAD
    }
}

/// Quartiles, and the fences beyond which a sample is an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fences {
    /// First quartile.
    pub q1: f64,
    /// Third quartile.
    pub q3: f64,
    /// `q1 - reach (q3 - q1)`.
    pub lower: f64,
    /// `q3 + reach (q3 - q1)`.
    pub upper: f64,
}

impl Fences {
    /// Of a slice in any order, with the fences `reach` inter-quartile ranges outside; [`TUKEY`] unless there is a reason.
    pub fn of(values: &[f64], reach: f64) -> Result<Self, Undefined> {
        if !(reach.is_finite() && reach >= 0.0) {
            return Err(Undefined::BadArgument);
        }
        enough(values.len(), 1)?;
        all_finite(values)?;
        let mut room = values.to_vec();
        let (q1, q3) = (quantile_in(&mut room, 0.25), quantile_in(&mut room, 0.75));
        let width = summed(reach * (q3 - q1))?;
        Ok(Self { q1, q3, lower: summed(q1 - width)?, upper: summed(q3 + width)? })
    }

    /// Inter-quartile range, in the samples' unit.
    pub fn range(&self) -> f64 {
        self.q3 - self.q1
    }

    /// Whether a value lies beyond a fence; on it, or when it is not finite, it does not.
    pub fn leave_out(&self, value: f64) -> bool {
        value.is_finite() && (value < self.lower || value > self.upper)
    }
}

/// The middle sample of a slice in any order; the mean of the two middle ones for an even number.
pub fn median(values: &[f64]) -> Result<f64, Undefined> {
    quantile(values, 0.5)
}

/// Median absolute deviation from the median of a slice in any order, in its unit.
pub fn mad(values: &[f64]) -> Result<f64, Undefined> {
    Robust::of(values).map(|robust| robust.mad)
}

/// The value below which a `share` (0.0..=1.0) of the samples lies, in any order: linear between neighbours, definition 7 of
/// Hyndman and Fan, *Sample quantiles in statistical packages*, The American Statistician 50(4), 1996; what R and numpy take.
pub fn quantile(values: &[f64], share: f64) -> Result<f64, Undefined> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Undefined::BadArgument);
    }
    enough(values.len(), 1)?;
    all_finite(values)?;
    summed(quantile_in(&mut values.to_vec(), share))
}

/// [`median`] of finite samples, at least one, whose order may be changed.
pub(crate) fn middle(room: &mut [f64]) -> f64 {
    quantile_in(room, 0.5)
}

/// [`quantile`] of finite samples, at least one, whose order may be changed: by selection, in linear time.
fn quantile_in(room: &mut [f64], share: f64) -> f64 {
    let (at, part) = place(room.len(), share);
    let (_, low, above) = room.select_nth_unstable_by(at, f64::total_cmp);
    let low = *low;
    if part == 0.0 {
        return low;
    }
    above.iter().copied().min_by(f64::total_cmp).map_or(low, |high| between(low, high, part))
}

/// Where the quantile lies among `count` ordered samples: the one at or below it, and the share of the way to the next.
fn place(count: usize, share: f64) -> (usize, f64) {
    let place = share * (count - 1) as f64;
    (place as usize, place.fract())
}

/// `part` of the way from `low` to `high`, without leaving the finite numbers between them.
fn between(low: f64, high: f64, part: f64) -> f64 {
    low * (1.0 - part) + high * part
}

#[cfg(test)]
mod tests;
