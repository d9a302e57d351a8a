//! Cycles that repeat: what a time of day (or another period) adds to a series, so that a daily cycle is no anomaly.

use serde::{Deserialize, Serialize};

use crate::robust::middle;
use crate::trend::Line;
use crate::undefined::{Undefined, all_finite, enough};

/// A day, ms.
pub const DAY_MS: i64 = 86_400_000;
/// Places of a period that are told apart, and the fewest that make a cycle.
const SLOTS: usize = 96;
const FEWEST_SLOTS: usize = 4;
/// From this share of the variance on a cycle counts.
const STRONG: f64 = 0.3;
/// Trend and cycle are taken out of one another so often.
const ROUNDS: usize = 3;

/// What each place of a period adds to a series, beside its trend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Season {
    period_ms: i64,
    /// Added at the middle of each slot, in the value's unit; their mean is 0.
    slots: Vec<f64>,
    strength: f64,
}

impl Season {
    /// Of a series' columns in rising order of time, at least two whole periods long. Slots are medians, so that one odd day makes no
    /// cycle; trend and cycle are told apart by backfitting (Breiman and Friedman, JASA 80, 1985).
    pub fn of(at_ms: &[i64], values: &[f64], period_ms: i64) -> Result<Self, Undefined> {
        if at_ms.len() != values.len() || period_ms <= 0 {
            return Err(Undefined::BadArgument);
        }
        all_finite(values)?;
        let slots = slots(at_ms, period_ms)?;
        let mut season = Self { period_ms, slots: vec![0.0; slots], strength: 0.0 };
        let mut level = values.to_vec();
        for _ in 0..ROUNDS {
            let line = Line::of(at_ms, &season.without(at_ms, values)?)?;
            for ((level, at), value) in level.iter_mut().zip(at_ms).zip(values) {
                *level = value - line.at(*at)?;
            }
            season.slots = season.medians(at_ms, &level, |_| true)?;
        }
        season.strength = season.foretold(at_ms, &level)?;
        Ok(season)
    }

    /// Share of the variance beside the trend that the odd periods foretell of the even ones and the other way round, 0.0..=1.0:
    /// what does not repeat counts for nothing.
    pub fn strength(&self) -> f64 {
        self.strength
    }

    /// Whether there is a cycle worth taking out: it foretells at least 30 % of the variance.
    pub fn is_there(&self) -> bool {
        self.strength >= STRONG
    }

    /// What the cycle adds at a moment, in the value's unit: linear between the middles of slots.
    pub fn adds(&self, at_ms: i64) -> f64 {
        interpolated(&self.slots, self.place(at_ms))
    }

    /// The series without its cycle: level, trend and everything odd are kept.
    pub fn without(&self, at_ms: &[i64], values: &[f64]) -> Result<Vec<f64>, Undefined> {
        if at_ms.len() != values.len() {
            return Err(Undefined::BadArgument);
        }
        Ok(at_ms.iter().zip(values).map(|(at, value)| value - self.adds(*at)).collect())
    }

    /// Where in its period a moment lies, 0.0..slots.
    fn place(&self, at_ms: i64) -> f64 {
        at_ms.rem_euclid(self.period_ms) as f64 / self.period_ms as f64 * self.slots.len() as f64
    }

    /// Medians of the slots over the periods that are `wanted`, by number; brought to a mean of 0.
    fn medians(&self, at_ms: &[i64], values: &[f64], wanted: impl Fn(i64) -> bool) -> Result<Vec<f64>, Undefined> {
        let mut held = vec![Vec::new(); self.slots.len()];
        for (at, value) in at_ms.iter().zip(values) {
            if wanted(at.div_euclid(self.period_ms)) {
                held[(self.place(*at) as usize).min(self.slots.len() - 1)].push(*value);
            }
        }
        let filled = held.iter().filter(|slot| !slot.is_empty()).count();
        enough(filled, held.len())?;
        let mut medians: Vec<f64> = held.iter_mut().map(|slot| middle(slot)).collect();
        let mean = medians.iter().sum::<f64>() / medians.len() as f64;
        medians.iter_mut().for_each(|median| *median -= mean);
        all_finite(&medians).map_err(|_| Undefined::TooLarge)?;
        Ok(medians)
    }

    fn foretold(&self, at_ms: &[i64], values: &[f64]) -> Result<f64, Undefined> {
        let even = self.medians(at_ms, values, |period| period.rem_euclid(2) == 0)?;
        let odd = self.medians(at_ms, values, |period| period.rem_euclid(2) == 1)?;
        let (mut all, mut left) = (0.0, 0.0);
        for (at, value) in at_ms.iter().zip(values) {
            let other = if at.div_euclid(self.period_ms).rem_euclid(2) == 0 { &odd } else { &even };
            all += value * value;
            left += (value - interpolated(other, self.place(*at))).powi(2);
        }
        let foretold = if all > 0.0 { 1.0 - left / all } else { 0.0 };
        if foretold.is_nan() { Err(Undefined::TooLarge) } else { Ok(foretold.clamp(0.0, 1.0)) }
    }
}

/// How many slots the samples can fill.
fn slots(at_ms: &[i64], period_ms: i64) -> Result<usize, Undefined> {
    enough(at_ms.len(), 2 * FEWEST_SLOTS)?;
    let span = at_ms[at_ms.len() - 1].saturating_sub(at_ms[0]) as f64;
    // A sample stands for the time until the next one, so n of them span n / (n - 1) of what lies between first and last.
    let periods = span * at_ms.len() as f64 / (at_ms.len() - 1) as f64 / period_ms as f64;
    // Rounding is no missing period.
    if periods + 1e-9 < 2.0 {
        return Err(Undefined::TooFew { has: periods as usize, needs: 2 });
    }
    let in_a_period = (at_ms.len() as f64 / periods) as usize;
    enough(in_a_period, FEWEST_SLOTS)?;
    Ok(in_a_period.min(SLOTS))
}

/// Between the middles of two neighbouring slots of a circle.
fn interpolated(slots: &[f64], place: f64) -> f64 {
    let shifted = place + slots.len() as f64 - 0.5;
    let (low, part) = (shifted as usize, shifted.fract());
    slots[low % slots.len()] * (1.0 - part) + slots[(low + 1) % slots.len()] * part
}

#[cfg(test)]
mod tests;
