//! What each time of day has been, so that a daily cycle surprises nobody.

use crate::series::Sample;

const DAY_MS: i64 = 86_400_000;
/// Slots of a day: five minutes each.
const SLOTS: usize = 288;
/// Weight of the latest day in a slot's mean.
const LATEST: f64 = 0.2;

/// Means of the slots of a day, the latest days counting most.
#[derive(Debug, Clone)]
pub(super) struct Daily {
    /// Mean and days seen.
    slots: Vec<(f64, u32)>,
    /// The slot that samples now fall into, the sum of those and their number.
    now: Option<(usize, f64, u32)>,
}

impl Default for Daily {
    fn default() -> Self {
        Self { slots: vec![(0.0, 0); SLOTS], now: None }
    }
}

impl Daily {
    /// How far a sample is from what its time of day has been, `None` on the first day; and learns from it.
    pub(super) fn distance(&mut self, sample: Sample) -> Option<f64> {
        let slot = (sample.at_ms.rem_euclid(DAY_MS) as usize * SLOTS) / DAY_MS as usize;
        match &mut self.now {
            Some((now, sum, count)) if *now == slot => {
                *sum += sample.value;
                *count = count.saturating_add(1);
            }
            before => {
                let left = before.replace((slot, sample.value, 1));
                self.learn(left);
            }
        }
        let (mean, days) = self.slots[slot];
        (days > 0).then_some((sample.value - mean).abs())
    }

    /// Takes a slot's visit into its mean.
    fn learn(&mut self, visit: Option<(usize, f64, u32)>) {
        let Some((slot, sum, count)) = visit else { return };
        let visited = sum / f64::from(count);
        if !visited.is_finite() {
            return;
        }
        let (mean, days) = &mut self.slots[slot];
        *days = days.saturating_add(1);
        *mean += (visited - *mean) * LATEST.max(1.0 / f64::from(*days));
    }
}
