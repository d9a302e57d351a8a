//! What OTLP metrics say of levels, a minute at a time.
//!
//! Only what OpenTelemetry's conventions name `….usage` or `….utilization` is taken: those are levels. Counters rise by nature, and
//! a point does not say here whether it is of one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sre_space_coherence::event::LONGEST_NAME;
use sre_space_coherence::moments::Moments;
use sre_space_domain::telemetry::{PointValue, PointView};
use sre_space_ports::source::Reading;

/// A minute, ms.
const MINUTE_MS: i64 = 60_000;
/// Minutes of series that wait to be written; more are left out and counted.
const MOST: usize = 20_000;
/// A point further from now than this is of a wrong clock, ms.
const FAR_MS: i64 = 10 * MINUTE_MS;

#[derive(Default)]
struct Minutes {
    /// By service, metric and the minute's beginning.
    means: BTreeMap<(String, String, i64), Moments>,
    left_out: u64,
}

/// Means of minutes that are not yet written.
#[derive(Default)]
pub struct Levels(Mutex<Minutes>);

impl Levels {
    /// Takes a point in, if it is a level. Points of one service and metric count together, whatever their attributes.
    pub fn observe(&self, point: &PointView<'_>, now_ms: i64) {
        let is_level = [".usage", ".utilization"].iter().any(|end| point.metric.ends_with(end));
        let PointValue::Number(value) = point.value else { return };
        if !is_level || !value.is_finite() {
            return;
        }
        let said_ms = i64::try_from(point.at_ns / 1_000_000).unwrap_or(i64::MAX);
        let at_ms = if point.at_ns == 0 { now_ms } else { said_ms };
        let is_name = |name: &str| !name.is_empty() && name.chars().count() <= LONGEST_NAME;
        let mut minutes = self.minutes();
        let fits = minutes.means.len() < MOST && is_name(point.service) && is_name(point.metric);
        if !fits || at_ms.abs_diff(now_ms) > FAR_MS.unsigned_abs() {
            minutes.left_out += 1;
            return;
        }
        let key = (point.service.to_owned(), point.metric.to_owned(), at_ms - at_ms.rem_euclid(MINUTE_MS));
        if minutes.means.entry(key).or_default().add(value).is_err() {
            minutes.left_out += 1;
        }
    }

    /// The minutes that were over before now, and how many points were left out since the last time.
    pub fn take(&self, now_ms: i64) -> (Vec<Reading>, u64) {
        let mut minutes = self.minutes();
        let (over, open) =
            std::mem::take(&mut minutes.means).into_iter().partition(|((.., at_ms), _)| at_ms + MINUTE_MS <= now_ms);
        minutes.means = open;
        let over: BTreeMap<_, _> = over;
        let reading = |((host, metric, at_ms), moments): ((String, String, i64), Moments)| {
            Some(Reading { host, metric, at_ms, value: moments.mean().ok()? })
        };
        (over.into_iter().filter_map(reading).collect(), std::mem::take(&mut minutes.left_out))
    }

    fn minutes(&self) -> MutexGuard<'_, Minutes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(metric: &str, at_ms: i64, value: f64) -> PointView<'_> {
        PointView {
            service: "shop",
            revision: "",
            instance: "",
            metric,
            unit: "By",
            at_ns: at_ms.unsigned_abs() * 1_000_000,
            value: PointValue::Number(value),
        }
    }

    #[test]
    fn a_minute_is_told_once_when_it_is_over() {
        let levels = Levels::default();
        let now_ms = 600_000;
        for (at_ms, value) in [(540_000, 10.0), (599_999, 20.0), (600_000, 99.0)] {
            levels.observe(&point("process.memory.usage", at_ms, value), now_ms);
        }
        let told = Reading { host: "shop".into(), metric: "process.memory.usage".into(), at_ms: 540_000, value: 15.0 };
        assert_eq!(levels.take(now_ms), (vec![told], 0));
        assert_eq!(levels.take(now_ms), (vec![], 0));
    }

    #[test]
    fn counters_wrong_clocks_and_what_is_no_number_are_left_out() {
        let levels = Levels::default();
        levels.observe(&point("http.server.requests.count", 600_000, 1.0), 600_000);
        levels.observe(&point("process.memory.usage", 60_000_000_000, 1.0), 600_000);
        levels.observe(&point("process.memory.usage", 600_000, f64::NAN), 600_000);
        assert_eq!(levels.take(700_000), (vec![], 1));
    }
}
