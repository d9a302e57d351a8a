//! What OTLP metrics say of levels, a minute at a time.
//!
//! Only what OpenTelemetry's conventions name `….usage` or `….utilization` is taken: those are levels. Counters rise by nature, and
//! a point does not say here whether it is of one. A minute of a series is its mean. Of all series that one service tells of one
//! metric (processes, containers, parts of a whole) the highest counts: a mean over them would hide the one that leaks, and the mean
//! of what is used and what is free never moves. What hosts tell (`system.…`) is cut into such parts throughout, and is the
//! Sentinel's to read.

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
    /// By service, metric, the minute's beginning and the series.
    means: BTreeMap<(String, String, i64, u64), Moments>,
    left_out: u64,
}

/// Means of minutes that are not yet written.
#[derive(Default)]
pub struct Levels(Mutex<Minutes>);

impl Levels {
    /// Takes a point in, if it is a level of a process or a container.
    pub fn observe(&self, point: &PointView<'_>, now_ms: i64) {
        let is_of_host = point.metric.starts_with("system.");
        let is_level = !is_of_host && [".usage", ".utilization"].iter().any(|end| point.metric.ends_with(end));
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
        let minute_ms = at_ms - at_ms.rem_euclid(MINUTE_MS);
        let key = (point.service.to_owned(), point.metric.to_owned(), minute_ms, point.series);
        if minutes.means.entry(key).or_default().add(value).is_err() {
            minutes.left_out += 1;
        }
    }

    /// The minutes that were over before now, and how many points were left out since the last time.
    pub fn take(&self, now_ms: i64) -> (Vec<Reading>, u64) {
        let mut minutes = self.minutes();
        let (over, open): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut minutes.means)
            .into_iter()
            .partition(|((_, _, at_ms, _), _)| at_ms + MINUTE_MS <= now_ms);
        minutes.means = open;
        let mut highest: BTreeMap<(String, String, i64), f64> = BTreeMap::new();
        for ((service, metric, at_ms, _), moments) in over {
            let Ok(mean) = moments.mean() else { continue };
            let value = highest.entry((service, metric, at_ms)).or_insert(mean);
            *value = value.max(mean);
        }
        let reading = |((host, metric, at_ms), value)| Reading { host, metric, at_ms, value };
        (highest.into_iter().map(reading).collect(), std::mem::take(&mut minutes.left_out))
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
            series: 0,
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
    fn the_highest_series_counts_so_that_one_process_that_leaks_is_seen() {
        let levels = Levels::default();
        let told = |minute: i64| {
            let at_ms = 600_000 + minute * MINUTE_MS;
            let leaking = 100.0 + minute as f64 * 10.0;
            for (series, value) in [(1, 50.0), (2, leaking - 1.0), (2, leaking + 1.0), (3, 90.0 - leaking)] {
                levels.observe(&PointView { series, ..point("container.memory.usage", at_ms, value) }, at_ms);
            }
            let (readings, left_out) = levels.take(at_ms + MINUTE_MS);
            assert_eq!(left_out, 0);
            readings.iter().map(|reading| reading.value).collect::<Vec<_>>()
        };
        assert_eq!([told(0), told(1), told(2)], [[100.0], [110.0], [120.0]]);
    }

    #[test]
    fn what_a_host_tells_in_parts_is_left_to_the_sentinel() {
        let levels = Levels::default();
        for (series, value) in [(1, 30.0), (2, 60.0), (3, 10.0)] {
            levels.observe(&PointView { series, ..point("system.memory.usage", 600_000, value) }, 600_000);
        }
        assert_eq!(levels.take(700_000), (vec![], 0));
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
