//! Fever: memory is allocated faster than any cache warms up.

use super::WARM_UP;
use super::sense::{Sense, Sensor, Why};
use super::vitals::{Vitals, tail};

/// How far back growth is measured, ms.
const SPAN_MS: i64 = 10_000;
/// Bytes of a megabyte.
const MB: f64 = 1e6;

/// Growth of used memory without its largest step, megabytes a second, against its limit (S0-06). The largest step is left out,
/// with the time it took, so that one big allocation is no fever.
pub(super) fn sense(window: &[Vitals], limit_mb_s: f64) -> Sense {
    let samples = window.iter().filter(|look| look.memory.is_some()).count();
    let calm = Sense::calm(Sensor::Fever, None, limit_mb_s);
    if samples == 0 {
        return calm.unknown(Why::NotMeasured);
    }
    if samples < WARM_UP {
        return calm.warming_up(samples);
    }
    let Some(velocity) = velocity(tail(window, SPAN_MS, WARM_UP)) else { return calm.unknown(Why::NotMeasured) };
    let calm = Sense::calm(Sensor::Fever, Some(velocity), limit_mb_s);
    if velocity > limit_mb_s { calm.vetoed() } else { calm }
}

/// Megabytes a second; `None` below two steps.
fn velocity(looks: &[Vitals]) -> Option<f64> {
    let used: Vec<(i64, f64)> = looks.iter().filter_map(|look| Some((look.at_ms, look.memory?))).collect();
    let steps = used.windows(2).map(|pair| (pair[1].0.saturating_sub(pair[0].0), pair[1].1 - pair[0].1));
    let steps: Vec<(i64, f64)> = steps.collect();
    let largest = steps.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1))?;
    let (ms, bytes) = steps.iter().fold((0_i64, 0.0), |(ms, bytes), step| (ms.saturating_add(step.0), bytes + step.1));
    let rest_ms = ms - largest.0;
    (rest_ms > 0).then(|| (bytes - largest.1) / MB / (rest_ms as f64 / 1_000.0))
}
