//! How early a leak is told: from the first look that sees it to the moment when the resource is full.

use serde::Serialize;

use crate::correlate::LOOK_EVERY_MS;
use crate::event::{Fingerprint, limit};
use crate::exhaustion::Exhaustion;
use crate::modal::{Detector, Judgement};
use crate::series::Series;

/// A forecast counts when even the slow end of its interval is full within this, ms: what lies further away can wait.
pub const HORIZON_MS: i64 = 48 * 3_600_000;
/// And when it rests on so much of the past, ms: a few samples make steep lines by themselves.
pub const GROUND_MS: i64 = 4 * 3_600_000;

/// Lead times, ms; `None` where it was not told in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Leads {
    /// Of the trend detector.
    pub trend_ms: Option<i64>,
    /// Of the forecast.
    pub forecast_ms: Option<i64>,
}

impl Leads {
    /// Of a series that is full at `full_ms`, looked at every quarter of an hour with what was known by then.
    pub fn of(name: &Fingerprint, series: &Series, full_ms: i64) -> Self {
        let mut this = Self::default();
        let Some(&begin_ms) = series.at_ms().first() else { return this };
        let mut at_ms = begin_ms;
        while at_ms < full_ms && (this.trend_ms.is_none() || this.forecast_ms.is_none()) {
            let (times, values) = series.between(begin_ms, at_ms + 1);
            if this.forecast_ms.is_none() && forecast(name, times, values) {
                this.forecast_ms = Some(full_ms - at_ms);
            }
            if this.trend_ms.is_none() && is_trend(name, times, values) {
                this.trend_ms = Some(full_ms - at_ms);
            }
            at_ms += LOOK_EVERY_MS;
        }
        this
    }
}

fn is_trend(name: &Fingerprint, at_ms: &[i64], values: &[f64]) -> bool {
    Judgement::of(name, at_ms, values).findings.iter().any(|finding| finding.detector == Detector::Trend)
}

/// Whether a series will be full soon, for sure enough to tell somebody.
pub fn forecast(name: &Fingerprint, at_ms: &[i64], values: &[f64]) -> bool {
    let ground_ms = at_ms.last().zip(at_ms.first()).map_or(0, |(last, first)| last - first);
    let told = limit(&name.metric).filter(|_| ground_ms >= GROUND_MS);
    let told = told.and_then(|full| Exhaustion::of(at_ms, values, full).ok().flatten());
    told.is_some_and(|told| told.latest_ms <= HORIZON_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::series;
    use crate::flight::{FULL, Flight, HEALTHY, STRESSED};

    fn memory(host: &str, seed: u64) -> (Fingerprint, Series) {
        let name = Fingerprint { host: host.to_owned(), metric: "memory".to_owned() };
        let mut all = series(&Flight { seed, ..Flight::default() }.events());
        let found = all.remove(&name).expect("a series");
        (name, found)
    }

    #[test]
    fn both_tell_of_the_leak_four_hours_before_the_memory_is_full() {
        for seed in 0..8 {
            let (name, leaking) = memory(STRESSED, seed);
            let full = leaking.iter().find(|sample| sample.value >= FULL).or_else(|| leaking.iter().next_back());
            let leads = Leads::of(&name, &leaking, full.expect("samples").at_ms);
            for lead_ms in [leads.trend_ms, leads.forecast_ms] {
                assert!(lead_ms.is_some_and(|lead_ms| lead_ms >= 4 * 3_600_000), "seed {seed}: {leads:?}");
            }
        }
    }

    #[test]
    fn of_a_healthy_host_and_of_no_samples_nothing_is_told() {
        let (name, calm) = memory(HEALTHY, 7);
        let end_ms = calm.iter().next_back().expect("samples").at_ms;
        assert_eq!(Leads::of(&name, &calm, end_ms), Leads::default());
        assert_eq!(Leads::of(&name, &Series::default(), end_ms), Leads::default());
    }
}
