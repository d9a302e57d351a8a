//! Auto-immune: a host answers load with more load, as retries do.

use super::WARM_UP;
use super::sense::{Sense, Sensor, Why};
use super::vitals::{Vitals, tail};

/// How far back packets are counted, ms.
const SPAN_MS: i64 = 10_000;
/// Two Poisson counts further apart than this many standard deviations are taken for different.
const SURE: f64 = 3.0;

/// Packets sent for each one received, against its limit (S0-07).
///
/// Few packets make any ratio, so the counts must also differ by more than counting noise: `(s - r) / sqrt(s + r) > 3`, the normal
/// test of two equal Poisson rates (Przyborowski and Wilenski, *Homogeneity of results in testing samples from Poisson series*,
/// Biometrika 31, 1940, in the large). Where nothing arrives the ratio is told as if one packet had: its lower bound.
pub(super) fn sense(window: &[Vitals], limit: f64) -> Sense {
    let samples = window.iter().filter_map(counters).count();
    let calm = Sense::calm(Sensor::AutoImmune, None, limit);
    if samples == 0 {
        return calm.unknown(Why::NotMeasured);
    }
    if samples < WARM_UP {
        return calm.warming_up(samples);
    }
    let recent: Vec<(f64, f64)> = tail(window, SPAN_MS, WARM_UP).iter().filter_map(counters).collect();
    let (received, sent) = counted(&recent);
    if received + sent == 0.0 {
        return calm.unknown(Why::NoTraffic);
    }
    let ratio = sent / received.max(1.0);
    let calm = Sense::calm(Sensor::AutoImmune, Some(ratio), limit);
    if ratio <= limit {
        return calm;
    }
    let is_sure = (sent - received) / (sent + received).sqrt() > SURE;
    if is_sure { calm.vetoed() } else { calm.because(Why::FewPackets) }
}

fn counters(look: &Vitals) -> Option<(f64, f64)> {
    Some((look.received?, look.sent?))
}

/// Packets received and sent from the first look to the last; a step in which a counter went back is a restart and is left out.
fn counted(counters: &[(f64, f64)]) -> (f64, f64) {
    let steps = counters.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1));
    let steps = steps.filter(|(received, sent)| *received >= 0.0 && *sent >= 0.0);
    steps.fold((0.0, 0.0), |sum, step| (sum.0 + step.0, sum.1 + step.1))
}
