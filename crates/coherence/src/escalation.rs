//! Variance that escalates: the latest stretch of a series against the stretches before it, and against a limit of its own.

use serde::{Deserialize, Serialize};

use crate::moments::Moments;
use crate::robust::{median, middle};
use crate::undefined::{Undefined, enough, summed};

/// A bucket with fewer samples tells no variance.
const FEWEST_SAMPLES: usize = 5;
/// Buckets looked at, the latest ones: bounds the work whatever the series' length.
const MOST_BUCKETS: i64 = 512;

/// What counts as escalation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Length of a bucket, ms.
    pub bucket_ms: i64,
    /// A bucket is full with this share of the samples it should have, 0.0..=1.0.
    pub full_share: f64,
    /// The latest variance over the baseline's from which on it escalates.
    pub ratio: f64,
    /// A baseline variance below this is none at all, in the value's unit squared.
    pub still: f64,
    /// From none at all, a variance above this escalates, in the value's unit squared.
    pub stirred: f64,
    /// The limit that needs no baseline, for what was chaotic from the start; `None` judges by the baseline only.
    pub absolute: Option<Absolute>,
}

/// A limit on the spread within a bucket, whatever was before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absolute {
    /// On the sample standard deviation, in the value's unit: 10 for percentages.
    Sigma(f64),
    /// On the sample standard deviation as a share of |mean|, for values of any unit.
    Volatility(f64),
}

impl Limits {
    /// For percentages over hours: buckets of 4 h, escalating above 1.5 times the baseline (seed 001), chaotic above a standard
    /// deviation of 10 (seed 000).
    pub fn of_percentages() -> Self {
        let absolute = Some(Absolute::Sigma(10.0));
        Self { bucket_ms: 4 * 3_600_000, full_share: 0.8, ratio: 1.5, still: 0.01, stirred: 1.0, absolute }
    }

    fn make_sense(&self) -> bool {
        let sizes = [self.ratio, self.still, self.stirred, self.absolute.map_or(0.0, Absolute::number)];
        self.bucket_ms > 0 && (0.0..=1.0).contains(&self.full_share) && sizes.iter().all(|size| *size >= 0.0)
    }
}

impl Absolute {
    fn number(self) -> f64 {
        match self {
            Self::Sigma(limit) | Self::Volatility(limit) => limit,
        }
    }

    fn is_passed(self, bucket: &Bucket) -> bool {
        match self {
            Self::Sigma(limit) => bucket.variance.sqrt() > limit,
            Self::Volatility(limit) => bucket.variance.sqrt() > limit * bucket.mean.abs(),
        }
    }
}

/// A full stretch of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// It begins here, Unix ms.
    pub from_ms: i64,
    /// And ends before here, Unix ms.
    pub until_ms: i64,
    /// Samples in it.
    pub samples: usize,
    /// Their mean.
    pub mean: f64,
    /// Their sample variance.
    pub variance: f64,
}

/// The latest variance against the baseline's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ratio {
    /// So many times the baseline.
    Times(f64),
    /// There was next to no variance and now there is: no number tells how many times.
    FromStillness,
    /// There was next to none and still is.
    Still,
    /// No earlier bucket to compare with.
    NoBaseline,
}

/// How the variance of a series went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// The latest full bucket.
    pub latest: Bucket,
    /// Median variance of the full buckets before it.
    pub baseline: Option<f64>,
    /// Full buckets, the latest among them.
    pub buckets: usize,
    /// The latest against the baseline.
    pub ratio: Ratio,
    /// Whether the ratio passes its limit.
    pub escalates: bool,
    /// Whether the latest bucket, or more than half of all, pass the absolute limit.
    pub is_chaotic: bool,
}

impl Escalation {
    /// Of a series' columns in rising order of time. Buckets are counted back from the last sample, so that the latest is always
    /// whole and moving the series in time changes nothing.
    pub fn of(at_ms: &[i64], values: &[f64], limits: &Limits) -> Result<Self, Undefined> {
        if at_ms.len() != values.len() || !limits.make_sense() {
            return Err(Undefined::BadArgument);
        }
        let full = full_buckets(at_ms, values, limits)?;
        let latest = *full.last().ok_or(Undefined::TooFew { has: 0, needs: 1 })?;
        let mut earlier: Vec<f64> = full[..full.len() - 1].iter().map(|bucket| bucket.variance).collect();
        let baseline = (!earlier.is_empty()).then(|| middle(&mut earlier));
        let ratio = ratio(latest.variance, baseline, limits)?;
        let escalates = match ratio {
            Ratio::Times(times) => times > limits.ratio,
            Ratio::FromStillness => true,
            Ratio::Still | Ratio::NoBaseline => false,
        };
        let is_chaotic = limits.absolute.is_some_and(|absolute| {
            let chaotic = full.iter().filter(|bucket| absolute.is_passed(bucket)).count();
            absolute.is_passed(&latest) || chaotic * 2 > full.len()
        });
        Ok(Self { latest, baseline, buckets: full.len(), ratio, escalates, is_chaotic })
    }

    /// How grave it is, 0.0..=1.0: `(times - 1) / 2`, so 1 from three times on (seed 001's formula); 1 from stillness or for chaos.
    pub fn risk(&self) -> f64 {
        let of_ratio = match self.ratio {
            Ratio::Times(times) => ((times - 1.0) / 2.0).clamp(0.0, 1.0),
            Ratio::FromStillness => 1.0,
            Ratio::Still | Ratio::NoBaseline => 0.0,
        };
        if self.is_chaotic { 1.0 } else { of_ratio }
    }
}

fn ratio(latest: f64, baseline: Option<f64>, limits: &Limits) -> Result<Ratio, Undefined> {
    let Some(baseline) = baseline else { return Ok(Ratio::NoBaseline) };
    if baseline >= limits.still && baseline > 0.0 {
        return summed(latest / baseline).map(Ratio::Times);
    }
    Ok(if latest > limits.stirred { Ratio::FromStillness } else { Ratio::Still })
}

/// The buckets that have enough samples, oldest first.
fn full_buckets(at_ms: &[i64], values: &[f64], limits: &Limits) -> Result<Vec<Bucket>, Undefined> {
    enough(values.len(), FEWEST_SAMPLES)?;
    let wanted = samples_wanted(at_ms, limits)?;
    let end_ms = at_ms[at_ms.len() - 1].saturating_add(1);
    let mut full = Vec::new();
    for back in 0..MOST_BUCKETS {
        let until_ms = end_ms.saturating_sub(back.saturating_mul(limits.bucket_ms));
        let from_ms = until_ms.saturating_sub(limits.bucket_ms);
        let until = at_ms.partition_point(|at| *at < until_ms);
        let from = at_ms.partition_point(|at| *at < from_ms);
        if until == 0 {
            break;
        }
        let held = &values[from..until];
        if held.len() >= wanted {
            let moments = Moments::of(held)?;
            let (mean, variance) = (moments.mean()?, moments.variance()?);
            full.push(Bucket { from_ms, until_ms, samples: held.len(), mean, variance });
        }
    }
    full.reverse();
    Ok(full)
}

/// How many samples make a bucket full: by the usual distance between samples.
fn samples_wanted(at_ms: &[i64], limits: &Limits) -> Result<usize, Undefined> {
    let apart: Vec<f64> = at_ms.windows(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64).collect();
    let apart = median(&apart)?;
    if apart <= 0.0 {
        return Err(Undefined::BadArgument);
    }
    let wanted = (limits.bucket_ms as f64 / apart * limits.full_share).ceil();
    Ok((wanted as usize).max(FEWEST_SAMPLES))
}

#[cfg(test)]
mod tests;
