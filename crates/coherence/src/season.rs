//! Cycles that repeat: what a time of day (or another period) adds to a series, so that a daily cycle is no anomaly.

use serde::{Deserialize, Serialize};

use crate::robust::middle;
use crate::trend::Line;
use crate::undefined::{Undefined, all_finite, enough, ordered};

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
        ordered(at_ms, values)?;
        if period_ms <= 0 {
            return Err(Undefined::BadArgument);
        }
        all_finite(values)?;
        let mut season = Self { period_ms, slots: vec![0.0; slots(at_ms, period_ms)?], strength: 0.0 };
        let places: Vec<f64> = at_ms.iter().map(|at| season.place(*at)).collect();
        let mut level = values.to_vec();
        for _ in 0..ROUNDS {
            for ((level, place), value) in level.iter_mut().zip(&places).zip(values) {
                *level = value - interpolated(&season.slots, *place);
            }
            let line = Line::of(at_ms, &level)?;
            let (from, to) = (line.at(at_ms[0])?, line.at(at_ms[at_ms.len() - 1])?);
            let per_ms = (to - from) / at_ms[at_ms.len() - 1].saturating_sub(at_ms[0]) as f64;
            for ((level, at), value) in level.iter_mut().zip(at_ms).zip(values) {
                *level = value - from - per_ms * at.saturating_sub(at_ms[0]) as f64;
            }
            season.slots = medians(season.slots.len(), places.iter().zip(&level))?;
        }
        let is_even: Vec<bool> = at_ms.iter().map(|at| at.div_euclid(period_ms).rem_euclid(2) == 0).collect();
        season.strength = foretold(season.slots.len(), &is_even, (&places, &level))?;
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
}

/// Medians of the slots of (place, value), brought to a mean of 0.
fn medians<'a>(slots: usize, samples: impl Iterator<Item = (&'a f64, &'a f64)>) -> Result<Vec<f64>, Undefined> {
    let mut held = vec![Vec::new(); slots];
    for (place, value) in samples {
        held[(*place as usize).min(slots - 1)].push(*value);
    }
    let filled = held.iter().filter(|slot| !slot.is_empty()).count();
    enough(filled, held.len())?;
    let mut medians: Vec<f64> = held.iter_mut().map(|slot| middle(slot)).collect();
    let mean = medians.iter().sum::<f64>() / medians.len() as f64;
    medians.iter_mut().for_each(|median| *median -= mean);
    all_finite(&medians).map_err(|_| Undefined::TooLarge)?;
    Ok(medians)
}

/// The share of the squares that the slots of the odd periods foretell of the even ones and the other way round.
fn foretold(slots: usize, is_even: &[bool], (places, values): (&[f64], &[f64])) -> Result<f64, Undefined> {
    let of = |wanted: bool| {
        let samples = places.iter().zip(values).zip(is_even);
        medians(slots, samples.filter(|(_, is_even)| **is_even == wanted).map(|(sample, _)| sample))
    };
    let (even, odd) = (of(true)?, of(false)?);
    let (mut all, mut left) = (0.0, 0.0);
    for ((place, value), is_even) in places.iter().zip(values).zip(is_even) {
        all += value * value;
        left += (value - interpolated(if *is_even { &odd } else { &even }, *place)).powi(2);
    }
    let foretold = if all > 0.0 { 1.0 - left / all } else { 0.0 };
    if foretold.is_nan() { Err(Undefined::TooLarge) } else { Ok(foretold.clamp(0.0, 1.0)) }
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
    // Twice around at most.
    let within = |slot: usize| if slot >= slots.len() { slot - slots.len() } else { slot };
    slots[within(within(low))] * (1.0 - part) + slots[within(within(low + 1))] * part
}

#[cfg(test)]
mod tests;
