//! One event of a host, as the `signal_events` table keeps it: a measured value with its level, or an error.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The metric that error events are told under.
pub const ERROR: &str = "error";
/// Longest name that is taken, characters: what the tables hold.
pub const LONGEST_NAME: usize = 255;

/// How high a value is. A level and no judgement: only error events ([`SignalEvent::is_error`]) make an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Usual.
    Info,
    /// High.
    Warn,
    /// Near the limit, or an error.
    Error,
}

impl Severity {
    /// Its word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of a metric's value: of what has a limit ([`limit`]), above 60 % `warn` and above 80 % `error`.
    pub fn of(metric: &str, value: f64) -> Self {
        if metric == ERROR {
            return if value > 0.0 { Self::Error } else { Self::Info };
        }
        match limit(metric).map(|limit| value / limit) {
            Some(share) if share > 0.8 => Self::Error,
            Some(share) if share > 0.6 => Self::Warn,
            Some(_) | None => Self::Info,
        }
    }
}

/// Where a metric ends: 100 for the percentages `cpu`, `memory` and `disk`, 1 for OpenTelemetry's `….utilization`. `None` where
/// the name does not tell.
pub fn limit(metric: &str) -> Option<f64> {
    match bare(metric) {
        "cpu" | "memory" | "disk" => Some(100.0),
        name if name.ends_with(".utilization") => Some(1.0),
        _ => None,
    }
}

/// A metric's name without the labels that a source wrote behind it: `disk` of `disk{device="sda"}`. An expression is all name.
pub(crate) fn bare(metric: &str) -> &str {
    let is_plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte));
    let name = metric.strip_suffix('}').and_then(|labelled| labelled.split_once('{')).map(|(name, _)| name);
    name.filter(is_plain).unwrap_or(metric)
}

/// Whether a metric only rises by nature, by the endings that OpenTelemetry and Prometheus give to counters, and Prometheus to the
/// parts of histograms and summaries (<https://prometheus.io/docs/concepts/metric_types/>): it has no level, and its trend says
/// nothing.
pub fn is_counter(metric: &str) -> bool {
    let (name, directed) = (bare(metric), [".receive", ".transmit", ".read", ".write"]);
    let plain = directed.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let ends = [".count", ".io", ".errors", ".dropped", "_total", "_sum", "_count", "_bucket"];
    ends.iter().any(|end| plain.ends_with(end))
}

/// What a series of events is called: `host:metric`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// Whose.
    pub host: String,
    /// Of what.
    pub metric: String,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.metric)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub struct SignalEvent {
    /// When, Unix ms.
    pub at_ms: i64,
    /// Whose.
    pub host: String,
    /// Which part of it.
    pub service: String,
    /// How high.
    pub severity: Severity,
    /// Of what; [`ERROR`] for an error.
    pub metric: String,
    /// The value, in the metric's unit; finite.
    pub value: f64,
    /// Whether it was made and not measured.
    pub synthetic: bool,
}

impl SignalEvent {
    /// The series it belongs to.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint { host: self.host.clone(), metric: self.metric.clone() }
    }

    /// Whether it is an error, which an incident is made of: a count of no errors is none.
    pub fn is_error(&self) -> bool {
        self.metric == ERROR && self.value > 0.0
    }
}

/// An event as it is written down.
#[derive(Serialize, Deserialize)]
struct Row {
    ts: Timestamp,
    host: String,
    #[serde(default = "system")]
    service: String,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    severity: Option<Severity>,
    metric: String,
    value: f64,
    #[serde(default)]
    synthetic: bool,
}

fn system() -> String {
    "system".to_owned()
}

/// Why a row is no event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoEvent {
    /// Host, service or metric.
    #[error("{0} is empty, or longer than {LONGEST_NAME} characters")]
    Name(&'static str),
    /// Not a number.
    #[error("the value is not finite")]
    Value,
}

impl TryFrom<Row> for SignalEvent {
    type Error = NoEvent;

    /// The fingerprint is that of host and metric, whatever the row says.
    fn try_from(row: Row) -> Result<Self, NoEvent> {
        for (what, name) in [("host", &row.host), ("service", &row.service), ("metric", &row.metric)] {
            if name.is_empty() || name.chars().count() > LONGEST_NAME {
                return Err(NoEvent::Name(what));
            }
        }
        if !row.value.is_finite() {
            return Err(NoEvent::Value);
        }
        Ok(Self {
            at_ms: row.ts.as_millisecond(),
            severity: row.severity.unwrap_or_else(|| Severity::of(&row.metric, row.value)),
            host: row.host,
            service: row.service,
            metric: row.metric,
            value: row.value,
            synthetic: row.synthetic,
        })
    }
}

impl From<SignalEvent> for Row {
    fn from(event: SignalEvent) -> Self {
        let fingerprint = Some(event.fingerprint().to_string());
        Self {
            ts: moment(event.at_ms),
            host: event.host,
            service: event.service,
            fingerprint,
            severity: Some(event.severity),
            metric: event.metric,
            value: event.value,
            synthetic: event.synthetic,
        }
    }
}

/// A moment as a time; one outside the years that can be written is the nearest that can.
pub fn moment(at_ms: i64) -> Timestamp {
    let end = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at_ms).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SignalEvent, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_is_written_as_the_table_has_it_and_read_back() {
        let event = SignalEvent {
            at_ms: 1_765_599_000_000,
            host: "a".into(),
            service: "system".into(),
            severity: Severity::Error,
            metric: "cpu".into(),
            value: 94.98,
            synthetic: true,
        };
        let text = serde_json::to_string(&event).expect("written");
        let expected = r#"{"ts":"2025-12-13T04:10:00Z","host":"a","service":"system","fingerprint":"a:cpu","severity":"error","metric":"cpu","value":94.98,"synthetic":true}"#;
        assert_eq!(text, expected);
        assert_eq!(read(&text), Ok(event));
    }

    #[test]
    fn what_is_left_out_is_worked_out_and_what_is_no_event_is_refused() {
        let event = read(r#"{"ts":"2025-12-13T04:10:00Z","host":"a","metric":"memory","value":61}"#).expect("an event");
        assert_eq!((event.severity, event.service.as_str(), event.synthetic), (Severity::Warn, "system", false));
        let nameless = read(r#"{"ts":"2025-12-13T04:10:00Z","host":"","metric":"memory","value":61}"#);
        assert!(nameless.is_err_and(|why| why.contains("host is empty")));
        let endless = format!(r#"{{"ts":"2025-12-13T04:10:00Z","host":"{}","metric":"m","value":1}}"#, "x".repeat(256));
        assert!(read(&endless).is_err());
        assert!(read(r#"{"ts":"2025-12-13T04:10:00Z","host":"a","metric":"m","value":1e999}"#).is_err());
    }

    #[test]
    fn a_counter_is_known_by_its_name() {
        let counters = ["system.network.packet.count.receive", "system.network.io.transmit", "http_requests_total"];
        assert!(counters.into_iter().all(is_counter));
        assert!(!["cpu", "system.memory.usage", "process.thread.usage", "account"].into_iter().any(is_counter));
        let labelled = [r#"node_disk_reads_completed_total{device="sda"}"#, r#"latency_seconds_bucket{le="0.5"}"#];
        assert!(labelled.into_iter().chain(["latency_seconds_sum", "latency_seconds_count"]).all(is_counter));
        let rates = ["rate(x_total[5m])", r#"rate(x_total{a="b"}[5m]){device="sda"}"#, r#"disk_used{device="sda"}"#];
        assert!(!rates.into_iter().any(is_counter));
    }

    #[test]
    fn labels_hide_no_limit() {
        assert_eq!(limit(r#"system.filesystem.utilization{device="sda"}"#), Some(1.0));
    }

    #[test]
    fn a_count_of_no_errors_is_no_error() {
        let row = |value: f64| {
            read(&format!(r#"{{"ts":"2025-12-13T04:10:00Z","host":"a","metric":"error","value":{value}}}"#))
        };
        let told = [0.0, 2.0].map(|value| row(value).map(|event| (event.is_error(), event.severity)));
        assert_eq!(told, [Ok((false, Severity::Info)), Ok((true, Severity::Error))]);
    }

    #[test]
    fn a_level_is_a_share_of_the_limit() {
        let table = [
            ("memory", 60.0, Severity::Info),
            ("memory", 60.1, Severity::Warn),
            ("cpu", 80.0, Severity::Warn),
            ("cpu", 80.1, Severity::Error),
            ("system.cpu.utilization", 0.81, Severity::Error),
            ("requests", 1e9, Severity::Info),
            (ERROR, 1.0, Severity::Error),
        ];
        for (metric, value, level) in table {
            assert_eq!(Severity::of(metric, value), level, "{metric} {value}");
        }
    }
}
