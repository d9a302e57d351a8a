//! OTLP metrics that somebody sends: kept for a while, and read like any other source.
//!
//! Names and attributes are those of OpenTelemetry's semantic conventions for systems
//! (<https://opentelemetry.io/docs/specs/semconv/system/system-metrics/>), and what the Collector's host receiver calls them.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point};
use prost::Message as _;
use sre_space_ports::source::{Reading, Source, SourceError, Told, Wanted, names};

use super::gather::Gathering;
use super::wire::Bounds;

const NAME: &str = "otlp";
/// Readings that are kept; the oldest make room.
const MOST_KEPT: usize = 100_000;
/// What the names of all metrics of [`names`] begin with.
const OF_HOSTS: &[u8] = b"system.";
/// Bytes of a body with hosts' metrics: each point takes some fifty times its least length once it is read.
const MOST_OF_HOSTS: usize = 1024 * 1024;
/// What names a host, the first that there is.
const HOST: [&str; 3] = ["host.name", "service.instance.id", "service.name"];

/// Characters of a host's name.
const LONGEST_NAME: usize = 255;

/// What was sent lately.
pub struct OtlpMetrics {
    kept: Mutex<VecDeque<Reading>>,
    bounds: Bounds,
    is_of_hosts: bool,
}

impl OtlpMetrics {
    /// Nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { kept: Mutex::default(), bounds, is_of_hosts: false }
    }

    /// Nothing yet, and later no more than [`names`]: what applications tell of themselves does not displace a host's vitals.
    pub fn of_hosts(bounds: Bounds) -> Self {
        Self { is_of_hosts: true, ..Self::new(bounds) }
    }

    /// Takes in an `ExportMetricsServiceRequest`; answers how many readings it had that are kept.
    pub fn take(&self, body: &[u8]) -> Result<usize, SourceError> {
        let unreadable = |why: String| SourceError::Unreadable { name: NAME, why };
        if self.is_of_hosts && !body.windows(OF_HOSTS.len()).any(|part| part == OF_HOSTS) {
            return Ok(0);
        }
        let most = if self.is_of_hosts { self.bounds.bytes.min(MOST_OF_HOSTS) } else { self.bounds.bytes };
        if body.len() > most {
            return Err(unreadable(format!("more than {most} bytes: let the collector send smaller batches")));
        }
        let request = ExportMetricsServiceRequest::decode(body).map_err(|error| unreadable(error.to_string()))?;
        let told = readings(&request, self.is_of_hosts);
        let count = told.len();
        let mut kept = self.kept();
        kept.extend(told);
        let over = kept.len().saturating_sub(MOST_KEPT.min(self.bounds.readings));
        kept.drain(..over);
        Ok(count)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Reading>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Points of one metric of one host at one moment, which become one reading.
#[derive(Default)]
struct Together {
    sum: f64,
    count: usize,
}

/// How points that differ in attributes alone become one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Join {
    /// They are apart.
    Apart,
    /// Added up.
    Sum,
    /// What is left of one after their mean: the share that is not idle.
    Rest,
}

fn readings(request: &ExportMetricsServiceRequest, is_of_hosts: bool) -> Vec<Reading> {
    let mut together: BTreeMap<(i64, usize, Cow<'static, str>, Join), Together> = BTreeMap::new();
    let mut hosts: Vec<String> = Vec::new();
    for resource in &request.resource_metrics {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let host = HOST.iter().find_map(|name| text(attributes, name)).unwrap_or_default();
        hosts.push(host.chars().take(LONGEST_NAME).collect());
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            for point in points(metric) {
                let (Some((name, join)), Some(value)) = (named(&metric.name, &point.attributes), value(point)) else {
                    continue;
                };
                if is_of_hosts && !names::ALL.contains(&name.as_ref()) {
                    continue;
                }
                let at_ms = i64::try_from(point.time_unix_nano / 1_000_000).unwrap_or_default();
                let one = together.entry((at_ms, hosts.len() - 1, name, join)).or_default();
                (one.sum, one.count) = if join == Join::Apart { (value, 1) } else { (one.sum + value, one.count + 1) };
            }
        }
    }
    let joined =
        |((at_ms, host, metric, join), Together { sum, count }): ((i64, usize, Cow<'static, str>, Join), _)| {
            let value = match join {
                Join::Apart | Join::Sum => sum,
                Join::Rest => 1.0 - sum / count as f64,
            };
            Reading { host: hosts[host].clone(), metric: metric.into_owned(), at_ms, value }
        };
    together.into_iter().map(joined).collect()
}

/// A distribution has no single value, and is left to others.
fn points(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Histogram(_) | Data::ExponentialHistogram(_) | Data::Summary(_)) | None => &[],
    }
}

fn value(point: &NumberDataPoint) -> Option<f64> {
    match point.value? {
        number_data_point::Value::AsDouble(number) => Some(number),
        number_data_point::Value::AsInt(number) => Some(number as f64),
    }
}

/// What a point is a reading of, and how it is joined with others; `None` for a part that is not wanted.
fn named(metric: &str, attributes: &[KeyValue]) -> Option<(Cow<'static, str>, Join)> {
    let any = |names: [&str; 2]| names.iter().find_map(|name| text(attributes, name));
    match metric {
        "system.cpu.utilization" => match any(["cpu.mode", "state"]) {
            None => Some((names::CPU.into(), Join::Apart)),
            Some(mode) => (mode == "idle").then(|| (names::CPU.into(), Join::Rest)),
        },
        "system.memory.usage" => {
            let state = any(["system.memory.state", "state"]).unwrap_or_else(|| "used".to_owned());
            (state == "used").then(|| (names::MEMORY.into(), Join::Sum))
        }
        "system.network.packet.count" | "system.network.packets" => {
            let is_loopback = any(["network.interface.name", "device"]).as_deref() == Some("lo");
            let direction = any(["network.io.direction", "direction"]).filter(|_| !is_loopback)?;
            let name = if direction == "receive" { names::RECEIVED } else { names::SENT };
            Some((name.into(), Join::Sum))
        }
        other => {
            let mut parts: Vec<String> =
                attributes.iter().map(|one| format!("{}={:?}", one.key, shown(one).unwrap_or_default())).collect();
            parts.sort_unstable();
            let name = if parts.is_empty() { other.to_owned() } else { format!("{other}{{{}}}", parts.join(",")) };
            Some((name.into(), Join::Apart))
        }
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    shown(attributes.iter().find(|one| one.key == name)?)
}

fn shown(attribute: &KeyValue) -> Option<String> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(is) => Some(is.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::ArrayValue(_) | Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_) => None,
    }
}

#[async_trait]
impl Source for OtlpMetrics {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let mut gathering = Gathering::new(NAME, wanted, self.bounds);
        let is_wanted = |reading: &&Reading| wanted.metrics.is_empty() || wanted.metrics.contains(&reading.metric);
        for reading in self.kept().iter().filter(is_wanted) {
            gathering.take((&reading.host, &reading.metric), reading.at_ms, reading.value)?;
        }
        Ok(gathering.told())
    }
}

#[cfg(test)]
mod tests;
