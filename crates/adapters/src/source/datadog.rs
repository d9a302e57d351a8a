//! Datadog: `GET /api/v1/query`, a list of metrics by host
//! (<https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>).
//!
//! A question is for an hour at most, for which Datadog gives its finest points.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use sre_space_domain::secret::Secret;
use sre_space_ports::source::{Source, SourceError, Told, Wanted, names};

use super::gather::{Gathering, Window, metrics, shown};
use super::wire::{Bounds, Wire};
use crate::upstream::Upstream;

const NAME: &str = "datadog";
/// What one question is about: an hour, for which points come every 20 s.
const SPAN_MS: i64 = 3_600_000;
/// Windows begin on a second, since that is what a question is asked in.
const STEP_MS: i64 = 1_000;
/// Metrics of one question; its query travels in the address.
const METRICS_A_QUESTION: usize = 20;

/// Ours, Datadog's, and how a value of theirs becomes one of ours: times, plus.
type Equal = (&'static str, &'static str, f64, f64);

/// The Agent's system metrics (<https://docs.datadoghq.com/integrations/system/>): idle in percent of all cores, memory in
/// bytes, packets in a second.
const EQUALS: [Equal; 4] = [
    (names::CPU, "system.cpu.idle", -0.01, 1.0),
    (names::MEMORY, "system.mem.used", 1.0, 0.0),
    (names::RECEIVED_RATE, "system.net.packets_in.count", 1.0, 0.0),
    (names::SENT_RATE, "system.net.packets_out.count", 1.0, 0.0),
];

/// As whom Datadog is asked. The application key needs the right `timeseries_query` and no other.
#[derive(Debug, Clone)]
pub struct Keys {
    /// API key.
    pub api: Secret,
    /// Application key.
    pub application: Secret,
}

/// An organisation's metrics.
pub struct Datadog {
    wire: Wire,
    url: Url,
    keys: Keys,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: String,
    #[serde(default)]
    scope: String,
    pointlist: Vec<(f64, Option<f64>)>,
}

impl Datadog {
    /// The site whose API is at this address, `https://api.SITE`.
    pub fn new(api: &Url, keys: Keys, upstream: Arc<Upstream>, bounds: Bounds) -> Result<Self, reqwest::Error> {
        let mut url = api.clone();
        url.set_path("/api/v1/query");
        let secrets = vec![keys.api.clone(), keys.application.clone()];
        Ok(Self { wire: Wire::new(NAME, upstream, bounds, secrets)?, url, keys })
    }

    async fn ask(&self, (from_ms, until_ms): Window, query: &str) -> Result<Vec<Series>, SourceError> {
        let mut url = self.url.clone();
        let (from, to) = (from_ms.div_euclid(STEP_MS).to_string(), until_ms.div_euclid(STEP_MS) + 1);
        url.query_pairs_mut().append_pair("from", &from).append_pair("to", &to.to_string()).append_pair("query", query);
        let asked = self.wire.get(url);
        let asked = asked.header("DD-API-KEY", self.keys.api.bare());
        let answer: Answer = self.wire.send(asked.header("DD-APPLICATION-KEY", self.keys.application.bare())).await?;
        match answer.status.as_str() {
            "ok" => Ok(answer.series),
            _ => Err(self.wire.refused(self.wire.quoted(&answer.error))),
        }
    }

    fn theirs(&self, metric: &str) -> Result<Equal, SourceError> {
        let is_plain = metric.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte));
        let is_name = is_plain && metric.len() <= 200 && metric.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_name {
            return Err(self.wire.refused(format!("{} is no name of a metric", shown(metric))));
        }
        match EQUALS.iter().find(|(ours, ..)| *ours == metric) {
            Some(equal) => Ok(*equal),
            None if metric == names::RECEIVED || metric == names::SENT => {
                Err(self.wire.refused(format!("it has no {metric}, but the rate of it")))
            }
            None => Ok(("", "", 1.0, 0.0)),
        }
    }
}

/// `host:` of a scope such as `env:prod,host:web-1`.
fn host(scope: &str) -> Option<&str> {
    scope.split(',').find_map(|tag| tag.trim().strip_prefix("host:")).filter(|host| *host != "N/A")
}

/// Every point of a series; a gap has none.
fn put(series: &Series, asked: &[(&str, Equal)], gathering: &mut Gathering<'_>) -> Result<(), SourceError> {
    let asked = asked.iter().find(|(metric, (_, theirs, ..))| series.metric == *theirs || series.metric == *metric);
    let (Some((metric, (_, _, times, plus))), Some(host)) = (asked, host(&series.scope)) else {
        let why = || format!("{} of {}: not asked for, or of no host", shown(&series.metric), shown(&series.scope));
        gathering.refuse_all(series.pointlist.len(), why);
        return Ok(());
    };
    for (at_ms, value) in &series.pointlist {
        if let Some(value) = value {
            gathering.take((host, metric), *at_ms as i64, value * times + plus)?;
        }
    }
    Ok(())
}

#[async_trait]
impl Source for Datadog {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let asked = metrics(NAME, wanted, &EQUALS.map(|(ours, ..)| ours))?;
        let asked: Result<Vec<_>, SourceError> =
            asked.into_iter().map(|metric| Ok((metric, self.theirs(metric)?))).collect();
        let (asked, mut gathering) = (asked?, Gathering::new(NAME, wanted, self.wire.bounds));
        let each = asked.len().div_ceil(METRICS_A_QUESTION);
        for window in gathering.windows((SPAN_MS, STEP_MS), each)? {
            for some in asked.chunks(METRICS_A_QUESTION) {
                gathering.question()?;
                let query = |(metric, (_, theirs, ..)): &(&str, Equal)| {
                    format!("avg:{}{{*}} by {{host}}", if theirs.is_empty() { metric } else { theirs })
                };
                let queries: Vec<String> = some.iter().map(query).collect();
                for series in self.ask(window, &queries.join(",")).await? {
                    put(&series, some, &mut gathering)?;
                }
            }
        }
        Ok(gathering.told())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_taken_from_the_scope() {
        let table = [
            ("env:prod,host:web-1", Some("web-1")),
            ("host:a", Some("a")),
            ("*", None),
            ("host:N/A", None),
            ("", None),
        ];
        for (scope, expected) in table {
            assert_eq!(host(scope), expected, "{scope}");
        }
    }
}
