//! Amazon CloudWatch: `GetMetricData`, for named instances or for all that a search finds.

mod sign;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;
use sre_space_ports::source::{Source, SourceError, Told, Wanted, names};

pub use self::sign::Credentials;
use self::sign::{Scope, sign};
use self::wire::{Answer, Dimension, Found, MOST_QUERIES, Metric, MetricStat, Query, Question, TARGET};
use super::gather::{Gathering, Window, metrics, shown};
use super::wire::{Bounds, Wire};
use crate::upstream::Upstream;

const NAME: &str = "cloudwatch";
/// What one question is about.
const SPAN_MS: i64 = 86_400_000;
/// What AWS calls being busy, which it says with 400.
const BUSY: [&str; 4] = ["Throttl", "RequestLimitExceeded", "InternalFailure", "InternalServiceFault"];
/// The dimension of a host.
const INSTANCE: &str = "InstanceId";

/// Ours; namespace and metric; statistic; how a value of theirs becomes one of ours: times, and whether it is of a whole period.
type Equal = (&'static str, [&'static str; 2], &'static str, f64, bool);

/// EC2's metrics and the CloudWatch agent's: CPU in percent, memory in bytes, packets in a period.
const EQUALS: [Equal; 4] = [
    (names::CPU, ["AWS/EC2", "CPUUtilization"], "Average", 0.01, false),
    (names::MEMORY, ["CWAgent", "mem_used"], "Average", 1.0, false),
    (names::RECEIVED_RATE, ["AWS/EC2", "NetworkPacketsIn"], "Sum", 1.0, true),
    (names::SENT_RATE, ["AWS/EC2", "NetworkPacketsOut"], "Sum", 1.0, true),
];

/// Where CloudWatch is, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Region, such as `eu-central-1`.
    pub region: String,
    /// Address of the service, `https://monitoring.REGION.amazonaws.com`.
    pub endpoint: Url,
    /// Instances to ask about; all that a search finds where there is none.
    pub instances: Vec<String>,
    /// Period of a value, s: 300, or 60 where instances are monitored in detail.
    pub period_s: i64,
}

/// The metrics of an account in a region.
pub struct CloudWatch {
    wire: Wire,
    place: Place,
    credentials: Credentials,
}

/// A query, the metric it is for, its host where that is known, and the factor of its values.
struct Asked<'a> {
    query: Query,
    metric: &'a str,
    host: Option<String>,
    times: f64,
}

/// What a metric is called there.
struct Theirs<'a> {
    namespace: &'a str,
    name: &'a str,
    dimension: &'a str,
    stat: &'static str,
    times: f64,
}

impl CloudWatch {
    /// The account that these credentials are of; they need the right `cloudwatch:GetMetricData` and no other.
    pub fn new(
        place: Place,
        credentials: Credentials,
        upstream: Arc<Upstream>,
        bounds: Bounds,
    ) -> Result<Self, reqwest::Error> {
        let session = credentials.session.clone();
        let secrets = [Some(credentials.secret.clone()), session].into_iter().flatten().collect();
        Ok(Self { wire: Wire::new(NAME, upstream, bounds, secrets)?.busy(&BUSY), place, credentials })
    }

    /// A metric of ours, or `NAMESPACE/METRIC`, with `:DIMENSION` where it is not of an instance.
    fn theirs<'a>(&self, metric: &'a str) -> Result<Theirs<'a>, SourceError> {
        if let Some((_, [namespace, name], stat, times, is_sum)) = EQUALS.iter().find(|(ours, ..)| *ours == metric) {
            let times = if *is_sum { times / self.place.period_s as f64 } else { *times };
            return Ok(Theirs { namespace, name, dimension: INSTANCE, stat, times });
        }
        let (path, dimension) = metric.rsplit_once(':').unwrap_or((metric, INSTANCE));
        let is_plain = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
            !text.is_empty() && text.len() <= 255 && text.bytes().all(fits)
        };
        let parts = path.rsplit_once('/').filter(|(namespace, name)| is_plain(namespace) && is_plain(name));
        match parts.filter(|_| is_plain(dimension)) {
            Some((namespace, name)) => Ok(Theirs { namespace, name, dimension, stat: "Average", times: 1.0 }),
            None => {
                let why = format!("{} is not NAMESPACE/METRIC, such as AWS/EC2/CPUUtilization", shown(metric));
                Err(self.wire.refused(why))
            }
        }
    }

    /// A query for each instance, or one search for all.
    fn queries<'a>(&self, (index, metric): (usize, &'a str)) -> Result<Vec<Asked<'a>>, SourceError> {
        let theirs = self.theirs(metric)?;
        let Theirs { namespace, name, dimension, stat, times } = theirs;
        let period = self.place.period_s;
        if dimension != INSTANCE || self.place.instances.is_empty() {
            let search =
                format!(r#"SEARCH('{{"{namespace}","{dimension}"}} MetricName="{name}"', '{stat}', {period})"#);
            let label = format!("${{PROP('Dim.{dimension}')}}");
            let query = Query { id: format!("m{index}"), label, expression: Some(search), metric_stat: None };
            return Ok(vec![Asked { query, metric, host: None, times }]);
        }
        let of = |(at, instance): (usize, &String)| {
            let dimensions = vec![Dimension { name: dimension.to_owned(), value: instance.clone() }];
            let asked = Metric { namespace: namespace.to_owned(), metric_name: name.to_owned(), dimensions };
            let metric_stat = Some(MetricStat { metric: asked, period, stat });
            let query = Query { id: format!("m{index}_{at}"), label: instance.clone(), expression: None, metric_stat };
            Asked { query, metric, host: Some(instance.clone()), times }
        };
        Ok(self.place.instances.iter().enumerate().map(of).collect())
    }

    /// All pages of one window.
    async fn ask(
        &self,
        (from_ms, until_ms): Window,
        asked: &[Asked<'_>],
        gathering: &mut Gathering<'_>,
    ) -> Result<(), SourceError> {
        let queries: Vec<Query> = asked.iter().map(|one| one.query.clone()).collect();
        let mut question = Question {
            metric_data_queries: &queries,
            start_time: from_ms.div_euclid(1_000),
            end_time: until_ms.div_euclid(1_000) + i64::from(until_ms.rem_euclid(1_000) > 0),
            scan_by: "TimestampAscending",
            next_token: None,
        };
        loop {
            gathering.question()?;
            let answer = self.page(&question).await?;
            note(&answer, gathering);
            for found in &answer.metric_data_results {
                self.put(found, asked, gathering)?;
            }
            question.next_token = answer.next_token.filter(|token| !token.is_empty());
            if question.next_token.is_none() {
                return Ok(());
            }
        }
    }

    async fn page(&self, question: &Question<'_>) -> Result<Answer, SourceError> {
        let body = serde_json::to_string(question).map_err(|error| self.wire.refused(error.to_string()))?;
        let url = &self.place.endpoint;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let headers = [
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("host", format!("{}{port}", url.host_str().unwrap_or_default())),
            ("x-amz-target", TARGET.to_owned()),
        ];
        let scope = Scope { region: &self.place.region, service: "monitoring" };
        let signed = sign(&self.credentials, scope, (&headers, body.as_bytes()), Timestamp::now());
        let mut asked = self.wire.ask(url.clone(), body);
        for (name, value) in signed.into_iter().filter(|(name, _)| *name != "host") {
            asked = asked.header(name, value);
        }
        self.wire.send(asked).await
    }

    fn put(&self, found: &Found, asked: &[Asked<'_>], gathering: &mut Gathering<'_>) -> Result<(), SourceError> {
        let about =
            || format!("{}: {} values and {} moments", shown(&found.id), found.values.len(), found.timestamps.len());
        match found.status_code.as_str() {
            "Forbidden" => return Err(self.wire.refused(format!("{} is forbidden to this key", shown(&found.id)))),
            "InternalError" => return Err(self.wire.unreachable(format!("{}: an internal error", shown(&found.id)))),
            _ => {}
        }
        let asked = asked.iter().find(|one| one.query.id == found.id);
        let (Some(asked), true) = (asked, found.values.len() == found.timestamps.len()) else {
            gathering.refuse_all(found.values.len().max(found.timestamps.len()), about);
            return Ok(());
        };
        let host = asked.host.as_deref().unwrap_or(&found.label);
        for (at_s, value) in found.timestamps.iter().zip(&found.values) {
            gathering.take((host, asked.metric), (at_s * 1_000.0) as i64, value * asked.times)?;
        }
        Ok(())
    }
}

/// Takes down what AWS said beside the values: some are missing, and nobody would know.
fn note(answer: &Answer, gathering: &mut Gathering<'_>) {
    let of_results = answer.metric_data_results.iter().flat_map(|found| &found.messages);
    for message in answer.messages.iter().chain(of_results) {
        gathering.refuse(|| format!("{}: {}", shown(&message.code), shown(&message.value)));
    }
}

#[async_trait]
impl Source for CloudWatch {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let mut gathering = Gathering::new(NAME, wanted, self.wire.bounds);
        let wished = metrics(NAME, wanted, &EQUALS.map(|(ours, ..)| ours))?;
        let asked: Result<Vec<_>, _> = wished.into_iter().enumerate().map(|metric| self.queries(metric)).collect();
        let asked: Vec<Asked<'_>> = asked?.into_iter().flatten().collect();
        let each = asked.len().div_ceil(MOST_QUERIES);
        for window in gathering.windows((SPAN_MS, self.place.period_s * 1_000), each)? {
            let mut left = asked.as_slice();
            while !left.is_empty() {
                let (some, rest) = left.split_at(left.len().min(MOST_QUERIES));
                self.ask(window, some, &mut gathering).await?;
                left = rest;
            }
        }
        Ok(gathering.told())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_beside_the_values_is_told() {
        let said = r#"{"Messages": [{"Code": "MaxMetricsExceeded", "Value": "Maximum number of allowed metrics exceeded"}],
            "MetricDataResults": [{"Id": "m0", "Messages": [{"Code": "Cut", "Value": "some are left out"}]}, {"Id": "m1"}]}"#;
        let wanted = Wanted { since_ms: 0, until_ms: 1, metrics: vec![] };
        let mut gathering = Gathering::new(NAME, &wanted, Bounds::default());
        note(&serde_json::from_str(said).expect("an answer"), &mut gathering);
        let told = gathering.told();
        let expected = ["MaxMetricsExceeded: Maximum number of allowed metrics exceeded", "Cut: some are left out"];
        assert_eq!((told.refused, told.refused_rows), (expected.map(str::to_owned).to_vec(), 2));
    }
}
