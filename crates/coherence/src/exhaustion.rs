//! When a resource that fills up will be full: a robust line carried on to the limit, with how sure that is.

use serde::{Deserialize, Serialize};

use crate::robust::middle;
use crate::undefined::{Undefined, all_finite, enough, ordered, summed};

const HOUR_MS: f64 = 3_600_000.0;
/// Fewer stretches make no forecast.
const FEWEST: usize = 10;
/// A series is cut into so many stretches at most, each told by its medians: pairs grow with the square.
const MOST: usize = 120;
/// Of fewer stretches nobody can say whether neighbours are alike.
const FEWEST_TO_COMPARE: usize = 40;
/// More alike than this is not believed: nothing would be left to judge by.
const MOST_ALIKE: f64 = 0.95;
/// Two-sided 95 % of the standard normal.
const Z95: f64 = 1.959_964;

/// A forecast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Exhaustion {
    /// How fast it fills, the value's unit an hour.
    pub per_hour: f64,
    /// The 95 % interval of [`Exhaustion::per_hour`]; both above 0, or there would be no forecast.
    pub per_hour_range: (f64, f64),
    /// Where the line stands at the last sample, in the value's unit.
    pub level: f64,
    /// From the last sample to the limit, ms; 0 when the line has passed it.
    pub left_ms: i64,
    /// The same if it fills as fast as the interval allows.
    pub soonest_ms: i64,
    /// The same if it fills as slowly as the interval allows.
    pub latest_ms: i64,
}

impl Exhaustion {
    /// Of a series' columns in rising order of time, towards a limit above. `None` when there is no rise that chance alone would not
    /// make in 19 of 20 cases.
    ///
    /// Slope and interval by Sen, *Estimates of the regression coefficient based on Kendall's tau*, JASA 63, 1968: the median of
    /// the slopes between all pairs of stretches; up to 29 % of the stretches may lie anywhere (`1 - 1 / √2`: Rousseeuw and Leroy,
    /// *Robust regression and outlier detection*, 1987, chapter 2). Where neighbours are alike, as in a
    /// random walk, the interval is as wide as that of fewer independent stretches (Yue and Wang, *The Mann-Kendall test modified
    /// by effective sample size*, Water Resources Management 18, 2004); of fewer than 40 stretches that cannot be told.
    pub fn of(at_ms: &[i64], values: &[f64], limit: f64) -> Result<Option<Self>, Undefined> {
        ordered(at_ms, values)?;
        if !limit.is_finite() {
            return Err(Undefined::BadArgument);
        }
        enough(values.len(), FEWEST)?;
        all_finite(values)?;
        let points = stretches(at_ms, values)?;
        let mut slopes = slopes(&points)?;
        slopes.sort_by(f64::total_cmp);
        let per_hour = middle(&mut slopes.clone());
        let (slowest, fastest) = interval(&slopes, points.len(), alike(&points, per_hour));
        if slowest <= 0.0 {
            return Ok(None);
        }
        let mut above: Vec<f64> = points.iter().map(|(hours, value)| value - per_hour * hours).collect();
        let level = summed(middle(&mut above))?;
        let left = |per_hour: f64| (((limit - level) / per_hour).max(0.0) * HOUR_MS) as i64;
        Ok(Some(Self {
            per_hour,
            per_hour_range: (slowest, fastest),
            level,
            left_ms: left(per_hour),
            soonest_ms: left(fastest),
            latest_ms: left(slowest),
        }))
    }
}

/// Medians of at most [`MOST`] stretches of equal count: (hours before the last sample, as a negative number; value).
fn stretches(at_ms: &[i64], values: &[f64]) -> Result<Vec<(f64, f64)>, Undefined> {
    let last_ms = at_ms.last().copied().unwrap_or_default();
    let length = values.len().div_ceil(MOST);
    let hours: Vec<f64> = at_ms.iter().map(|at| at.saturating_sub(last_ms) as f64 / HOUR_MS).collect();
    let of = |column: &[f64]| summed(middle(&mut column.to_vec()));
    hours.chunks(length).zip(values.chunks(length)).map(|(hours, values)| Ok((of(hours)?, of(values)?))).collect()
}

/// Slopes between all pairs of points at different moments, the value's unit an hour.
fn slopes(points: &[(f64, f64)]) -> Result<Vec<f64>, Undefined> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, (hours, value)) in points.iter().enumerate() {
        for (later, higher) in &points[at + 1..] {
            if later > hours {
                slopes.push(summed((higher - value) / (later - hours))?);
            }
        }
    }
    if slopes.is_empty() { Err(Undefined::NoSpread) } else { Ok(slopes) }
}

/// How alike neighbours are beside the trend: their first autocorrelation, 0.0..=[`MOST_ALIKE`].
fn alike(points: &[(f64, f64)], per_hour: f64) -> f64 {
    if points.len() < FEWEST_TO_COMPARE {
        return 0.0;
    }
    let mut beside: Vec<f64> = points.iter().map(|(hours, value)| value - per_hour * hours).collect();
    let level = middle(&mut beside.clone());
    beside.iter_mut().for_each(|value| *value -= level);
    let all: f64 = beside.iter().map(|value| value * value).sum();
    let pairs: f64 = beside.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let alike = pairs / all;
    if alike.is_finite() { alike.clamp(0.0, MOST_ALIKE) } else { 0.0 }
}

/// The 95 % interval of the median slope, from slopes in rising order: ranks as far from the middle as Kendall's S spreads.
fn interval(slopes: &[f64], points: usize, alike: f64) -> (f64, f64) {
    let count = points as f64;
    let fewer = (1.0 + alike) / (1.0 - alike);
    let spread = Z95 * (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0 * fewer).sqrt();
    let pairs = slopes.len() as f64;
    let last = slopes.len() - 1;
    let low = ((pairs - spread) / 2.0).max(0.0) as usize;
    let high = ((pairs + spread) / 2.0).ceil() as usize;
    (slopes[low.min(last)], slopes[high.min(last)])
}

#[cfg(test)]
mod tests;
