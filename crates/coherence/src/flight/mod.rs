//! The flight simulator: two hosts over 48 hours, one in good health, the other with a memory leak, bursts of load that come to
//! last longer, and an hour of errors.
//!
//! A sample of each metric every five minutes, both ends included: 2 hosts x 2 metrics x 577 and 13 errors are 2,321 events.

pub(crate) mod dice;
#[cfg(test)]
mod tests;

use self::dice::Dice;
use crate::event::{ERROR, Severity, SignalEvent};

/// Between two samples, ms.
pub const STEP_MS: i64 = 5 * 60 * 1_000;
/// The host in good health.
pub const HEALTHY: &str = "host-healthy";
/// The other.
pub const STRESSED: &str = "host-stressed";
/// Where the leak's memory stays: percent.
pub const FULL: f64 = 95.0;
/// When a flight ends unless told: 2025-12-13 16:10 UTC, so that the errors of 48 hours begin at 04:10. Unix ms.
pub const END_MS: i64 = 1_765_642_200_000;
/// Samples of an hour.
const HOUR: usize = 12;
/// A burst of load begins every so many samples: two hours.
const SLOT: usize = 2 * HOUR;

/// A flight to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// Equal seeds give equal flights.
    pub seed: u64,
    /// How long it is.
    pub hours: u16,
    /// When it ends, Unix ms.
    pub end_ms: i64,
}

impl Default for Flight {
    fn default() -> Self {
        Self { seed: 7, hours: 48, end_ms: END_MS }
    }
}

impl Flight {
    /// Its events, in order of time.
    pub fn events(&self) -> Vec<SignalEvent> {
        let steps = usize::from(self.hours) * HOUR;
        let mut dice: Vec<Dice> = (0..4).map(|stream| Dice::of(self.seed, stream)).collect();
        (0..=steps).flat_map(|step| self.at(step, steps, &mut dice)).collect()
    }

    /// When the errors begin, Unix ms: after three quarters of the flight.
    pub fn errors_begin_ms(&self) -> i64 {
        self.begin_ms() + (usize::from(self.hours) * HOUR * 3 / 4) as i64 * STEP_MS
    }

    fn begin_ms(&self) -> i64 {
        self.end_ms - i64::from(self.hours) * HOUR as i64 * STEP_MS
    }

    fn at(&self, step: usize, steps: usize, dice: &mut [Dice]) -> Vec<SignalEvent> {
        let at_ms = self.begin_ms() + step as i64 * STEP_MS;
        let leaked = 40.0 + 55.0 * step as f64 / steps.max(1) as f64;
        let (low, high) = if step % SLOT < burst(step, steps) { (85.0, 95.0) } else { (20.0, 35.0) };
        let drawn = [
            (HEALTHY, "cpu", dice[0].between(10.0, 25.0)),
            (HEALTHY, "memory", dice[1].between(30.0, 45.0)),
            (STRESSED, "cpu", dice[2].between(low, high)),
            (STRESSED, "memory", (leaked + dice[3].between(-2.0, 2.0)).min(FULL)),
        ];
        let mut events: Vec<_> = drawn.map(|(host, metric, value)| event(at_ms, host, metric, value)).into();
        let first = steps * 3 / 4;
        if (first..=first + HOUR).contains(&step) {
            events.push(event(at_ms, STRESSED, ERROR, 1.0));
        }
        events
    }
}

/// Samples that the burst of a moment lasts: one for most of the flight, then more and more, up to half an hour. So the
/// variance of any four hours tells when the flight was worse, wherever those hours begin.
fn burst(step: usize, steps: usize) -> usize {
    // In 24ths of the flight, by where the burst began.
    match (step - step % SLOT) * 24 / steps.max(1) {
        0..18 => 1,
        18..20 => 3,
        20..22 => 5,
        _ => 6,
    }
}

fn event(at_ms: i64, host: &str, metric: &str, value: f64) -> SignalEvent {
    let value = (value * 100.0).round() / 100.0;
    SignalEvent {
        at_ms,
        host: host.to_owned(),
        service: if metric == ERROR { "application" } else { "system" }.to_owned(),
        severity: Severity::of(metric, value),
        metric: metric.to_owned(),
        value,
        synthetic: true,
    }
}
