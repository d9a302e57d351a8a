//! The advanced part: statistics that see more than the three sensors, and that the Sentinel can do without.

use serde::Serialize;

use crate::escalation::{Escalation, Limits, Ratio};
use crate::robust::{Fences, Robust, TUKEY};
use crate::series::Series;
use crate::spike::ROBUST_Z;
use crate::undefined::Undefined;

/// Samples before the newest that it takes.
const FEWEST: usize = 20;
/// Variance of the newest window beyond so many times its baseline has escalated.
const ESCALATED: f64 = 2.0;
/// Below so much variance, percent squared, there is nothing to escalate.
const FLAT: f64 = 1.0;
/// Earlier full windows that make a baseline.
const BASELINE: usize = 3;

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
    pub variance_escalation: Option<VarianceEscalation>,
}

/// How far the newest sample lies from the median of those before it in the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RobustZ {
    /// [`Robust::z`].
    pub z: f64,
    /// Whether that is beyond [`ROBUST_Z`], on either side.
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
pub struct VarianceEscalation {
    /// How many times the baseline it is; `None` where the baseline is next to nothing.
    pub ratio: Option<f64>,
    /// Whether that is beyond 2, and more than noise around nothing.
    pub escalated: bool,
    /// How grave it is, 0.0..=1.0: [`Escalation::risk`].
    pub risk: f64,
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
        robust_z: Robust::of(before)?.z(*newest).ok().map(|z| RobustZ { z, spike: z.abs() > ROBUST_Z }),
        iqr_fences: IqrFences { lower: fences.lower, upper: fences.upper, outlier: fences.leave_out(*newest) },
        variance_escalation: escalation(cpu, window_ms),
    })
}

/// The promise S0-13: twice the baseline of the earlier windows. What was always chaotic has a chaotic baseline; the limit of the
/// seizure sensor is absolute and flags it.
fn escalation(cpu: &Series, window_ms: i64) -> Option<VarianceEscalation> {
    let limits =
        Limits { bucket_ms: window_ms, full_share: 0.8, ratio: ESCALATED, still: 0.01, stirred: FLAT, absolute: None };
    let found = Escalation::of(cpu.at_ms(), cpu.values(), &limits).ok().filter(|found| found.buckets > BASELINE)?;
    let ratio = match found.ratio {
        Ratio::Times(times) => Some(times),
        Ratio::FromStillness | Ratio::Still | Ratio::NoBaseline => None,
    };
    let escalated = found.escalates && found.latest.variance > FLAT;
    Some(VarianceEscalation { ratio, escalated, risk: found.risk() })
}
