//! Seizure: load swings, whatever its mean.

use super::WARM_UP;
use super::limits::Limits;
use super::sense::{Sense, Sensor, Why};
use super::vitals::Vitals;
use crate::moments::Moments;
use crate::robust::{Fences, TUKEY, median};

/// Two samples that lie further apart than this many limits, on either side of the window's median, are a swing.
const SWING: f64 = 4.0;
/// And the nearer of them lies more than this many limits from the median.
const NEARER: f64 = 0.5;

/// What is remembered from one look to the next: since when sigma is above its limit, Unix ms.
#[derive(Debug, Default)]
pub(super) struct Seizure {
    onset_ms: Option<i64>,
}

impl Seizure {
    /// Sigma of CPU over the window against its limit (S0-05). A veto that has lasted a full window is withdrawn while the
    /// inter-quartile range is within the limit: the swings are then bursts that a quarter of the samples or fewer take part in.
    pub(super) fn sense(&mut self, window: &[Vitals], limits: &Limits) -> Sense {
        let cpu: Vec<f64> = window.iter().filter_map(|look| look.cpu).collect();
        let at_ms = window.last().map_or(0, |look| look.at_ms);
        let calm = Sense::calm(Sensor::Seizure, None, limits.sigma);
        if cpu.is_empty() {
            return calm.unknown(Why::NotMeasured);
        }
        if cpu.len() < WARM_UP {
            return calm.warming_up(cpu.len());
        }
        let (Ok(sigma), Ok(fences)) = (Moments::of(&cpu).and_then(|moments| moments.stdev()), Fences::of(&cpu, TUKEY))
        else {
            return calm.unknown(Why::Undefined);
        };
        let calm = Sense::calm(Sensor::Seizure, Some(sigma), limits.sigma);
        if sigma <= limits.sigma && !swings(&cpu, limits.sigma) {
            self.onset_ms = None;
            return calm;
        }
        let lasted_ms = at_ms.saturating_sub(*self.onset_ms.get_or_insert(at_ms));
        if lasted_ms >= limits.window_ms && fences.range() <= limits.sigma { calm.bursts() } else { calm.vetoed() }
    }
}

/// Whether the two newest samples are a swing. Our own rule: a window full of calm needs up to five swings until its sigma tells,
/// and which load was calm decides how many; the second look at a thrash is enough for this.
fn swings(cpu: &[f64], limit: f64) -> bool {
    let (&[.., before, last], Ok(middle)) = (cpu, median(cpu)) else { return false };
    let (one, other) = (before - middle, last - middle);
    one * other < 0.0 && (last - before).abs() > SWING * limit && one.abs().min(other.abs()) > NEARER * limit
}
