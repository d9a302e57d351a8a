//! The advanced part: statistics that see more than the three sensors, and that the Sentinel can do without.

use serde::Serialize;

use crate::moments::Moments;
use crate::robust::{Fences, Robust, TUKEY, median};
use crate::series::Series;
use crate::undefined::Undefined;

/// Samples before the newest that it takes.
const FEWEST: usize = 20;
/// Robust z beyond which a sample is a spike (Iglewicz and Hoaglin take 3.5; the promise is 3).
const SPIKE: f64 = 3.0;
/// Variance of the newest window beyond so many times its baseline has escalated.
const ESCALATED: f64 = 2.0;
/// Below so much standard deviation, percentage points, there is nothing to escalate.
const FLAT: f64 = 1.0;
/// Earlier full windows that make a baseline.
const BASELINE: usize = 3;
/// A window with so much of the samples of the newest one is full.
const FULL: f64 = 0.8;

/// What looks closer: CPU in percent over all that is kept, and the window in ms.
pub type Judge = fn(&Series, i64) -> Result<Advanced, Undefined>;

/// What it found of the newest sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Advanced {
    /// By median and median absolute deviation; `None` while more than half of the samples are equal.
    pub robust_z: Option<RobustZ>,
    /// By quartiles.
    pub iqr_fences: IqrFences,
    /// By variance of windows; `None` before there are enough of them.
    pub variance_escalation: Option<Escalation>,
}

/// How far the newest sample lies from the median of those before it in the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RobustZ {
    /// [`Robust::z`].
    pub z: f64,
    /// Whether that is beyond 3, on either side.
    pub spike: bool,
}

/// Tukey's fences of the samples before the newest in the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IqrFences {
    /// 1.5 inter-quartile ranges below the first quartile, percent.
    pub lower: f64,
    /// And above the third, percent.
    pub upper: f64,
    /// Whether the newest sample lies beyond one.
    pub outlier: bool,
}

/// Variance of the newest window against the median of those of the earlier full windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Escalation {
    /// How many times the baseline it is.
    pub ratio: f64,
    /// Whether that is beyond 2, and more than noise around nothing.
    pub escalated: bool,
}

/// Looks closer at the newest sample.
pub fn judge(cpu: &Series, window_ms: i64) -> Result<Advanced, Undefined> {
    let newest_ms = cpu.at_ms().last().copied().unwrap_or_default();
    let (_, window) = cpu.between(newest_ms.saturating_sub(window_ms).saturating_add(1), i64::MAX);
    let Some((newest, before)) = window.split_last().filter(|(_, before)| before.len() >= FEWEST) else {
        return Err(Undefined::TooFew { has: window.len(), needs: FEWEST + 1 });
    };
    let fences = Fences::of(before, TUKEY)?;
    Ok(Advanced {
        robust_z: Robust::of(before)?.z(*newest).ok().map(|z| RobustZ { z, spike: z.abs() > SPIKE }),
        iqr_fences: IqrFences { lower: fences.lower, upper: fences.upper, outlier: fences.leave_out(*newest) },
        variance_escalation: escalation(cpu, newest_ms, window_ms),
    })
}

/// The promise S0-13: twice the baseline of the earlier windows. What was always chaotic has a chaotic baseline; the limit of the
/// seizure sensor is absolute and flags it.
fn escalation(cpu: &Series, newest_ms: i64, window_ms: i64) -> Option<Escalation> {
    let window = |back: i64| {
        let until_ms = newest_ms.saturating_add(1).saturating_sub(window_ms.saturating_mul(back));
        cpu.between(until_ms.saturating_sub(window_ms), until_ms).1
    };
    let full = (window(0).len() as f64 * FULL).ceil() as usize;
    let earlier = (1..).map(window).take_while(|values| values.len() >= full.max(2));
    let variances: Vec<f64> = earlier.filter_map(|values| Moments::of(values).ok()?.variance().ok()).collect();
    if variances.len() < BASELINE {
        return None;
    }
    let (now, usual) = (Moments::of(window(0)).ok()?, median(&variances).ok()?);
    let ratio = now.variance().ok()? / usual;
    let escalated = ratio > ESCALATED && now.stdev().ok()? > FLAT;
    ratio.is_finite().then_some(Escalation { ratio, escalated })
}
