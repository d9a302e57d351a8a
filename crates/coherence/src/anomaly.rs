//! One streaming detector for any metric, at default settings: how unlike its own past is this sample?
//!
//! Each sample is looked at from five sides ([`Side`]): its distance from the recent median, the step from the sample before,
//! how far the mean of the last few and of the last many lies from that median, and its distance from what this time of day has been.
//! Each side's numbers have a tail of their own, fitted by extreme values ([`tail`]), which tells how rare this one is whatever
//! the metric's unit or distribution. The rarest side speaks. A series that alarmed lately must show more.

mod daily;
mod tail;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::rolling::Rolling;
use crate::series::Sample;
use crate::undefined::Undefined;
use daily::Daily;
use tail::Tail;

/// From this [`Anomaly::score`] on a sample is an anomaly.
pub const THRESHOLD: f64 = 0.5;

/// The few figures that set a [`Detector`]; the defaults are for every metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// A sample is an anomaly when chance alone would show one as far out in so small a share of samples, 0.0..1.0.
    pub rarity: f64,
    /// How many more powers of ten are asked for each recent alarm.
    pub habit: f64,
    /// A recent alarm counts half after so many samples.
    pub habit_half_life: f64,
    /// After an alarm the same trouble is not told again for so many samples.
    pub rest: usize,
    /// Samples of the recent median.
    pub recent: usize,
    /// Samples of the short mean.
    pub short: usize,
    /// Samples of the long mean.
    pub long: usize,
    /// The past of each side counts half after so many samples.
    pub memory_half_life: f64,
    /// Samples to learn from before any is judged.
    pub warm_up: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            rarity: 2e-3,
            habit: 0.5,
            habit_half_life: 1_000.0,
            rest: 100,
            recent: 1_000,
            short: 8,
            long: 64,
            memory_half_life: 8_000.0,
            warm_up: 200,
        }
    }
}

impl Tuning {
    fn makes_sense(&self) -> bool {
        let rare = self.rarity > 0.0 && self.rarity < 1.0;
        let lives = [self.habit_half_life, self.memory_half_life].iter().all(|life| life.is_finite() && *life >= 1.0);
        let means = 1 <= self.short && self.short <= self.long && self.long <= self.recent;
        rare && lives && means && self.habit.is_finite() && self.habit >= 0.0
    }
}

/// From which side a sample is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Its distance from the recent median.
    Value,
    /// The step from the sample before.
    Step,
    /// The distance of the short mean from the recent median.
    ShortMean,
    /// The distance of the long mean from the recent median.
    LongMean,
    /// Its distance from what this time of day has been.
    TimeOfDay,
}

const SIDES: [Side; 5] = [Side::Value, Side::Step, Side::ShortMean, Side::LongMean, Side::TimeOfDay];

/// What the detector says of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// 0.0..=1.0; an anomaly from [`THRESHOLD`] on. 0 while there is too little past to judge by.
    pub score: f64,
    /// How rare it is: the negative decimal logarithm of the share of samples that chance alone would show as far out.
    pub rarity: f64,
    /// From which side it is rarest, `None` when it is not rare from any.
    pub side: Option<Side>,
}

/// Judges the samples of one series, oldest first. Memory is bounded: about 100 kB.
#[derive(Debug, Clone)]
pub struct Detector {
    tuning: Tuning,
    recent: Rolling,
    last: VecDeque<f64>,
    daily: Daily,
    tails: [Tail; SIDES.len()],
    alarms: f64,
    resting: usize,
}

impl Default for Detector {
    fn default() -> Self {
        let tuning = Tuning::default();
        // Not by `new`: these figures make sense, and nothing can be refused.
        Self::with(tuning, Rolling::of_at_most(tuning.recent))
    }
}

impl Detector {
    /// With figures of one's own; refused when they make no sense.
    pub fn new(tuning: Tuning) -> Result<Self, Undefined> {
        if !tuning.makes_sense() {
            return Err(Undefined::BadArgument);
        }
        Ok(Self::with(tuning, Rolling::new(tuning.recent)?))
    }

    fn with(tuning: Tuning, recent: Rolling) -> Self {
        let tails = SIDES.map(|_| Tail::with_half_life(tuning.memory_half_life));
        Self { tuning, recent, last: VecDeque::new(), daily: Daily::default(), tails, alarms: 0.0, resting: 0 }
    }

    /// Judges a sample against what came before it, and learns from it. One that is not finite is refused and changes nothing.
    pub fn judge(&mut self, sample: Sample) -> Result<Anomaly, Undefined> {
        if !sample.value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        let seen = self.seen(sample);
        let (mut rarity, mut side) = (0.0, None);
        for ((tail, seen), this) in self.tails.iter_mut().zip(seen).zip(SIDES) {
            // What cannot be seen yet, or is too far apart for a number, is no evidence.
            let Some(distance) = seen.filter(|distance| distance.is_finite()) else { continue };
            let rare = if tail.count() < self.tuning.warm_up { 0.0 } else { tail.rarity(distance) };
            if rare > rarity {
                (rarity, side) = (rare, Some(this));
            }
            tail.add(distance);
        }
        self.recent.add(sample.value)?;
        Ok(Anomaly { score: self.score(rarity), rarity, side })
    }

    /// The sample's distances, in the order of [`SIDES`].
    fn seen(&mut self, sample: Sample) -> [Option<f64>; SIDES.len()] {
        let before = self.last.back().copied();
        if self.last.len() == self.tuning.long {
            self.last.pop_front();
        }
        self.last.push_back(sample.value);
        let daily = self.daily.distance(sample);
        let Ok(median) = self.recent.quantile(0.5) else { return [None, None, None, None, daily] };
        let mean = |count: usize| {
            let held = self.last.len().min(count);
            self.last.iter().rev().take(held).sum::<f64>() / held as f64
        };
        let from_median = |value: f64| Some((value - median).abs());
        [
            from_median(sample.value),
            before.map(|before| (sample.value - before).abs()),
            from_median(mean(self.tuning.short)),
            from_median(mean(self.tuning.long)),
            daily,
        ]
    }

    /// Rarity against what is asked for now; while the detector rests, below the threshold whatever it is.
    fn score(&mut self, rarity: f64) -> f64 {
        self.alarms *= 0.5_f64.powf(1.0 / self.tuning.habit_half_life);
        let asked = -self.tuning.rarity.log10() + self.tuning.habit * self.alarms;
        let score = rarity / (rarity + asked);
        if self.resting > 0 {
            self.resting -= 1;
            return score * THRESHOLD;
        }
        if score >= THRESHOLD {
            self.alarms += 1.0;
            self.resting = self.tuning.rest;
        }
        score
    }
}

#[cfg(test)]
mod tests;
