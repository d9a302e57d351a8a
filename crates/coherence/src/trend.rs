//! Straight lines through series: least squares one sample at a time or in one go, and whether slope and change agree.

use serde::{Deserialize, Serialize};

use crate::robust::middle;
use crate::undefined::{Undefined, all_finite, enough, summed};

const HOUR_MS: f64 = 3_600_000.0;
/// Fewer samples make no trend (seed 001's detector).
pub const FEWEST: usize = 10;
/// Start and end of a trend are medians of this share of the samples at either end, so that one odd sample is no change.
const END_SHARE: f64 = 0.1;

/// A least-squares line through (moment, value), from five sums: samples come one at a time, in any order, or lines are merged.
///
/// Updates of the co-moments by Bennett et al., *Numerically stable, single-pass, parallel statistics algorithms*, IEEE CLUSTER
/// 2009; slope and its standard error as in Draper and Smith, *Applied regression analysis*, chapter 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Time counts from here, Unix ms: large numbers would lose digits.
    origin_ms: i64,
    count: u64,
    mean_hours: f64,
    mean_value: f64,
    /// Sums of squares and products of deviations.
    hours2: f64,
    product: f64,
    value2: f64,
}

impl Line {
    /// Through nothing yet. Lines are merged only with the same origin; any moment near the samples does.
    pub fn from_origin(origin_ms: i64) -> Self {
        let zero = 0.0;
        Self { origin_ms, count: 0, mean_hours: zero, mean_value: zero, hours2: zero, product: zero, value2: zero }
    }

    /// Through a series' columns.
    pub fn of(at_ms: &[i64], values: &[f64]) -> Result<Self, Undefined> {
        if at_ms.len() != values.len() {
            return Err(Undefined::BadArgument);
        }
        all_finite(values)?;
        let mut line = Self::from_origin(at_ms.first().copied().unwrap_or_default());
        for (at_ms, value) in at_ms.iter().zip(values) {
            line.add(*at_ms, *value)?;
        }
        Ok(line)
    }

    /// Takes one more sample in; one that is not finite is refused and changes nothing.
    pub fn add(&mut self, at_ms: i64, value: f64) -> Result<(), Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        self.count += 1;
        let count = self.count as f64;
        let (ahead, above) = (self.hours(at_ms) - self.mean_hours, value - self.mean_value);
        self.mean_hours += ahead / count;
        self.mean_value += above / count;
        let above_now = value - self.mean_value;
        self.hours2 += ahead * (ahead - ahead / count);
        self.product += ahead * above_now;
        self.value2 += above * above_now;
        Ok(())
    }

    /// Through the samples of both; [`Undefined::BadArgument`] where their origins differ.
    pub fn merge(self, other: Self) -> Result<Self, Undefined> {
        if self.origin_ms != other.origin_ms {
            return Err(Undefined::BadArgument);
        }
        if self.count == 0 || other.count == 0 {
            return Ok(if self.count == 0 { other } else { self });
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let share = theirs / (ours + theirs);
        let (ahead, above) = (other.mean_hours - self.mean_hours, other.mean_value - self.mean_value);
        Ok(Self {
            origin_ms: self.origin_ms,
            count: self.count + other.count,
            mean_hours: self.mean_hours + ahead * share,
            mean_value: self.mean_value + above * share,
            hours2: self.hours2 + other.hours2 + ahead * ahead * ours * share,
            product: self.product + other.product + ahead * above * ours * share,
            value2: self.value2 + other.value2 + above * above * ours * share,
        })
    }

    /// How many samples it goes through.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How much the value grows in an hour, in its unit.
    pub fn per_hour(&self) -> Result<f64, Undefined> {
        enough(self.len(), 2)?;
        if self.hours2 == 0.0 {
            return Err(Undefined::NoSpread);
        }
        summed(self.product / self.hours2)
    }

    /// Standard error of [`Line::per_hour`], in its unit; from independent errors, which real series seldom have.
    pub fn per_hour_error(&self) -> Result<f64, Undefined> {
        enough(self.len(), 3)?;
        let left = summed(self.value2 - self.per_hour()? * self.product)?.max(0.0);
        summed((left / (self.count - 2) as f64 / self.hours2).sqrt())
    }

    /// Share of the values' variance that the line explains, 0.0..=1.0.
    pub fn explained(&self) -> Result<f64, Undefined> {
        let slope = self.per_hour()?;
        if self.value2 == 0.0 {
            return Err(Undefined::NoSpread);
        }
        summed(slope * self.product / self.value2).map(|share| share.clamp(0.0, 1.0))
    }

    /// The line's value at a moment.
    pub fn at(&self, at_ms: i64) -> Result<f64, Undefined> {
        let slope = self.per_hour()?;
        summed(self.mean_value + slope * (self.hours(at_ms) - self.mean_hours))
    }

    fn hours(&self, at_ms: i64) -> f64 {
        at_ms.saturating_sub(self.origin_ms) as f64 / HOUR_MS
    }

    fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }
}

/// How a series went from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Least-squares slope, the value's unit an hour.
    pub per_hour: f64,
    /// Where it began: the median of the first tenth of the samples.
    pub from: f64,
    /// Where it ended: the median of the last tenth.
    pub to: f64,
    /// `(to - from) / |from|`: 0.3 is 30 % more.
    pub change: f64,
    /// The same change as the fitted line tells it over the whole span, as a share of |from|.
    pub fitted_change: f64,
    /// Share of the variance that the line explains, 0.0..=1.0.
    pub explained: f64,
}

impl Trend {
    /// Of a series' columns in rising order of time, at least [`FEWEST`] samples. [`Undefined::NoSpread`] for a constant series,
    /// [`Undefined::FromNothing`] for one that begins at 0.
    pub fn of(at_ms: &[i64], values: &[f64]) -> Result<Self, Undefined> {
        enough(values.len(), FEWEST)?;
        let line = Line::of(at_ms, values)?;
        let (per_hour, explained) = (line.per_hour()?, line.explained()?);
        let tenth = ((values.len() as f64 * END_SHARE) as usize).max(1);
        let from = middle(&mut values[..tenth].to_vec());
        let to = middle(&mut values[values.len() - tenth..].to_vec());
        if from == 0.0 {
            return Err(Undefined::FromNothing);
        }
        let span_ms = at_ms[at_ms.len() - 1].saturating_sub(at_ms[0]);
        let fitted_change = summed(per_hour * (span_ms as f64 / HOUR_MS) / from.abs())?;
        Ok(Self { per_hour, from, to, change: summed((to - from) / from.abs())?, fitted_change, explained })
    }

    /// Whether it rises by more than `limit` (0.3 is 30 %) from start to end and by the fitted line alike: a burst at the end
    /// moves the one, a burst in the middle the other, and only a trend moves both.
    pub fn rises(&self, limit: f64) -> bool {
        self.change > limit && self.fitted_change > limit
    }

    /// Whether it falls by more than `limit` from start to end and by the fitted line alike.
    pub fn falls(&self, limit: f64) -> bool {
        self.change < -limit && self.fitted_change < -limit
    }

    /// How grave a rise is, 0.0..=1.0: the change itself, 1 from a doubling on (seed 001's formula).
    pub fn risk(&self) -> f64 {
        self.change.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests;
