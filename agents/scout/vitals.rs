//! What services say of themselves beside their spans: the newest value of each metric, and how many log records came.

use std::collections::BTreeMap;

use serde::Serialize;
use sre_space_domain::telemetry::{LogView, PointValue, PointView};

use super::names::{Name, Names};

/// Metrics kept per service; points of others are counted and not kept.
const MOST_METRICS: usize = 100;
/// Longest name and unit of a metric that is kept, bytes (OpenTelemetry's own limit for an instrument's name).
const LONGEST: usize = 255;
/// The least `SeverityNumber` of an error (OpenTelemetry logs data model, "SeverityNumber").
const ERROR: u8 = 17;

/// What was heard of one service.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Heard {
    /// Data points since the start.
    pub data_points: u64,
    /// Log records since the start.
    pub log_records: u64,
    /// Those of severity ERROR and above.
    pub log_errors: u64,
    /// The newest value of each metric, by name.
    pub metrics: BTreeMap<String, Newest>,
}

/// The newest value of a metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Newest {
    /// The number, or the mean of a distribution; `None` where nothing was recorded.
    pub value: Option<f64>,
    /// Unit, in UCUM.
    pub unit: String,
    /// When it was taken, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Everything that was heard, by service.
#[derive(Default)]
pub struct Vitals {
    services: BTreeMap<Name, Heard>,
}

impl Vitals {
    /// Takes one data point. Of several streams of one metric the newest point counts.
    pub fn point(&mut self, names: &mut Names, point: &PointView<'_>) {
        let heard = self.services.entry(names.service(point.service)).or_default();
        heard.data_points += 1;
        let at_ms = point.at_ns / 1_000_000;
        let value = match point.value {
            PointValue::Number(number) => Some(number),
            PointValue::Distribution { count, sum } => (count > 0).then(|| sum / count as f64),
            PointValue::Missing => None,
        };
        let is_new = heard.metrics.get(point.metric).is_none_or(|known| known.at_ms <= at_ms);
        let has_room = heard.metrics.len() < MOST_METRICS || heard.metrics.contains_key(point.metric);
        if is_new && has_room && point.metric.len() <= LONGEST && point.unit.len() <= LONGEST {
            let value = value.filter(|value| value.is_finite());
            heard.metrics.insert(point.metric.to_owned(), Newest { value, unit: point.unit.to_owned(), at_ms });
        }
    }

    /// Takes one log record.
    pub fn record(&mut self, names: &mut Names, record: &LogView<'_>) {
        let heard = self.services.entry(names.service(record.service)).or_default();
        heard.log_records += 1;
        heard.log_errors += u64::from(record.severity >= ERROR);
    }

    /// Services that were heard of.
    pub fn services(&self) -> impl Iterator<Item = Name> {
        self.services.keys().copied()
    }

    /// What was heard of a service.
    pub fn of(&self, service: Name) -> Heard {
        self.services.get(&service).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(metric: &str, at_ms: u64, value: PointValue) -> PointView<'_> {
        let (revision, instance, unit) = ("one", "shop-1", "By");
        PointView { service: "shop", revision, instance, metric, unit, series: 0, at_ns: at_ms * 1_000_000, value }
    }

    #[test]
    fn the_newest_value_counts_and_what_is_no_number_is_none() {
        let (mut names, mut vitals) = (Names::new(10, 10), Vitals::default());
        vitals.point(&mut names, &point("heap", 2, PointValue::Number(7.0)));
        vitals.point(&mut names, &point("heap", 1, PointValue::Number(5.0)));
        vitals.point(&mut names, &point("wait", 1, PointValue::Distribution { count: 4, sum: 10.0 }));
        vitals.point(&mut names, &point("none", 1, PointValue::Distribution { count: 0, sum: 0.0 }));
        vitals.point(&mut names, &point("odd", 1, PointValue::Number(f64::NAN)));
        vitals.point(&mut names, &point("gone", 1, PointValue::Missing));
        for severity in [0, 9, 16, 17, 24] {
            vitals.record(&mut names, &LogView { service: "shop", at_ns: 0, severity });
        }
        let heard = vitals.of(names.service("shop"));
        let value = |name: &str| heard.metrics.get(name).and_then(|newest| newest.value);
        assert_eq!((value("heap"), value("wait")), (Some(7.0), Some(2.5)));
        assert_eq!((value("none"), value("odd"), value("gone")), (None, None, None));
        assert_eq!((heard.data_points, heard.log_records, heard.log_errors), (6, 5, 2));
    }

    #[test]
    fn many_metrics_are_counted_and_not_kept() {
        let (mut names, mut vitals) = (Names::new(10, 10), Vitals::default());
        for number in 0..1_000 {
            vitals.point(&mut names, &point(&format!("m{number}"), 1, PointValue::Number(1.0)));
        }
        let heard = vitals.of(names.service("shop"));
        assert_eq!((heard.data_points, heard.metrics.len()), (1_000, MOST_METRICS));
    }
}
