//! Change points: where the mean of a series shifts, of a whole series or as samples come.

use serde::{Deserialize, Serialize};

use crate::robust::{NORMAL_MAD, mad};
use crate::undefined::{Undefined, all_finite, enough, summed};

/// Fewer samples make no stretch of their own.
const SHORTEST: usize = 5;
/// No more changes than this are told, the clearest ones.
pub const MOST: usize = 32;
/// The threshold over `sqrt(2 ln n)`, which white noise hardly passes: Fryzlewicz, *Wild binary segmentation*, Annals of Statistics
/// 42(6), 2014, section 4.
const STRICT: f64 = 1.3;
/// The mean absolute difference of a normal's neighbours is 2 / sqrt(pi) standard deviations.
const NORMAL_STEP: f64 = std::f64::consts::FRAC_2_SQRT_PI;

/// A shift of the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The first sample after it, from 0.
    pub at: usize,
    /// Mean of the stretch before it, in the samples' unit.
    pub before: f64,
    /// Mean of the stretch after it.
    pub after: f64,
    /// How clear it is, in standard deviations of the difference under no change.
    pub z: f64,
}

/// Shifts of the mean, oldest first, at most [`MOST`]. Binary segmentation (Scott and Knott, Biometrics 30, 1974), the clearest
/// change first; noise is measured by differences of neighbours, which shifts hardly touch. Noise that wanders slowly looks like
/// shifts, and is told as such.
pub fn changes(values: &[f64]) -> Result<Vec<Change>, Undefined> {
    enough(values.len(), 2 * SHORTEST)?;
    all_finite(values)?;
    let sigma = noise(values)?;
    if sigma == 0.0 {
        return Ok(Vec::new());
    }
    let sums = prefix_sums(values)?;
    let threshold = STRICT * (2.0 * (values.len() as f64).ln()).sqrt();
    let mut cuts = vec![0, values.len()];
    let mut open: Vec<(usize, f64)> = clearest(&sums, 0, values.len(), sigma).into_iter().collect();
    while let Some(best) = (0..open.len()).max_by(|one, other| open[*one].1.total_cmp(&open[*other].1)) {
        let (at, z) = open.swap_remove(best);
        if z <= threshold || cuts.len() - 2 == MOST {
            break;
        }
        let place = cuts.partition_point(|cut| *cut < at);
        let (from, until) = (cuts[place - 1], cuts[place]);
        cuts.insert(place, at);
        open.extend(clearest(&sums, from, at, sigma));
        open.extend(clearest(&sums, at, until, sigma));
    }
    Ok(cuts.windows(3).map(|cuts| change(values, &sums, cuts, sigma)).collect())
}

fn change(values: &[f64], sums: &[f64], cuts: &[usize], sigma: f64) -> Change {
    let (from, at, until) = (cuts[0], cuts[1], cuts[2]);
    // The sums are of values less the first one.
    let mean = |from: usize, until: usize| values[0] + (sums[until] - sums[from]) / (until - from) as f64;
    Change { at, before: mean(from, at), after: mean(at, until), z: shift(sums, (from, at, until)) / sigma }
}

/// The standard deviation of the noise, from differences of neighbours; 0 for a constant series.
fn noise(values: &[f64]) -> Result<f64, Undefined> {
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    all_finite(&steps).map_err(|_| Undefined::TooLarge)?;
    let typical = mad(&steps)? / NORMAL_MAD / std::f64::consts::SQRT_2;
    if typical > 0.0 {
        return Ok(typical);
    }
    // More than half of the neighbours are equal: the few steps there are tell how large one is.
    summed(steps.iter().map(|step| step.abs()).sum::<f64>() / steps.len() as f64 / NORMAL_STEP)
}

fn prefix_sums(values: &[f64]) -> Result<Vec<f64>, Undefined> {
    let (mut sums, mut sum) = (Vec::with_capacity(values.len() + 1), 0.0);
    sums.push(0.0);
    for value in values {
        sum += value - values[0];
        sums.push(sum);
    }
    summed(sum)?;
    Ok(sums)
}

/// The clearest cut of a stretch and how clear it is, in standard deviations.
fn clearest(sums: &[f64], from: usize, until: usize, sigma: f64) -> Option<(usize, f64)> {
    let cuts = (from + SHORTEST)..=(until.checked_sub(SHORTEST)?);
    let scored = cuts.map(|at| (at, shift(sums, (from, at, until)) / sigma));
    scored.max_by(|one, other| one.1.total_cmp(&other.1))
}

/// The standardised difference of the means on both sides of a cut, times the noise.
fn shift(sums: &[f64], (from, at, until): (usize, usize, usize)) -> f64 {
    let (left, right) = ((at - from) as f64, (until - at) as f64);
    let apart = (sums[until] - sums[at]) / right - (sums[at] - sums[from]) / left;
    apart.abs() * (left * right / (left + right)).sqrt()
}

/// Where to a mean has shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Above its reference.
    Up,
    /// Below its reference.
    Down,
}

/// A watch on a known mean, as samples come: Page, *Continuous inspection schemes*, Biometrika 41, 1954. With its allowance of 0.5 and its
/// limit of 5 standard deviations it finds a shift of one deviation after about 10 samples, and raises a false alarm in white
/// noise once in about 465 (Montgomery, *Introduction to statistical quality control*, table 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    mean: f64,
    sigma: f64,
    above: f64,
    below: f64,
}

impl Cusum {
    const ALLOWANCE: f64 = 0.5;
    const LIMIT: f64 = 5.0;

    /// Around this mean, with this standard deviation (above 0), both in the samples' unit.
    pub fn around(mean: f64, sigma: f64) -> Result<Self, Undefined> {
        if !(mean.is_finite() && sigma.is_finite() && sigma > 0.0) {
            return Err(Undefined::BadArgument);
        }
        Ok(Self { mean, sigma, above: 0.0, below: 0.0 })
    }

    /// Takes one more sample in; where the mean has shifted to, if it has, and then begins anew. One that is not finite is refused
    /// and changes nothing.
    pub fn add(&mut self, value: f64) -> Result<Option<Direction>, Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        // Bounded, so that no sample makes a sum that is not finite.
        let z = ((value - self.mean) / self.sigma).clamp(-1e6, 1e6);
        self.above = (self.above + z - Self::ALLOWANCE).max(0.0);
        self.below = (self.below - z - Self::ALLOWANCE).max(0.0);
        let direction = if self.above > Self::LIMIT {
            Some(Direction::Up)
        } else {
            (self.below > Self::LIMIT).then_some(Direction::Down)
        };
        if direction.is_some() {
            (self.above, self.below) = (0.0, 0.0);
        }
        Ok(direction)
    }
}

#[cfg(test)]
mod tests;
