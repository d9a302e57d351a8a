//! New Relic: NRQL through NerdGraph
//! (<https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/>). GraphQL is asked by POST; the one document
//! that is ever sent is a query, and NRQL cannot write.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sre_space_domain::secret::Secret;
use sre_space_ports::source::{Source, SourceError, Told, Wanted, names};

use super::gather::{Gathering, Window, metrics, shown};
use super::wire::{Bounds, Wire};
use crate::upstream::Upstream;

const NAME: &str = "newrelic";
/// The document, with account and NRQL as variables.
const DOCUMENT: &str = "query Metrics($account: Int!, $nrql: Nrql!) { actor { account(id: $account) { nrql(query: $nrql) { results } } } }";
/// Width of a bucket: the infrastructure agent's samples are no finer than 5 s, and a minute keeps a day in four questions.
const STEP_MS: i64 = 60_000;
/// Buckets that `TIMESERIES` may have.
const BUCKETS: i64 = 366;
/// What NerdGraph says where trying again can help (`errorClass`).
const TRANSIENT: [&str; 4] = ["TIMEOUT", "SERVER_ERROR", "TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE"];

/// Ours; event type, attribute and the attribute that names the host; how a value of theirs becomes one of ours: times.
type Equal = (&'static str, [&'static str; 3], f64);

/// The infrastructure agent's samples: CPU in percent, memory in bytes, packets in a second, summed over interfaces.
const EQUALS: [Equal; 4] = [
    (names::CPU, ["SystemSample", "average(cpuPercent)", "hostname"], 0.01),
    (names::MEMORY, ["SystemSample", "average(memoryUsedBytes)", "hostname"], 1.0),
    (
        names::RECEIVED_RATE,
        ["NetworkSample", "average(receivePacketsPerSecond) * uniqueCount(interfaceName)", "hostname"],
        1.0,
    ),
    (
        names::SENT_RATE,
        ["NetworkSample", "average(transmitPacketsPerSecond) * uniqueCount(interfaceName)", "hostname"],
        1.0,
    ),
];

/// An account's metrics.
pub struct NewRelic {
    wire: Wire,
    url: Url,
    account: u64,
    key: Secret,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
    #[serde(default)]
    extensions: Map<String, Value>,
}

impl NewRelic {
    /// The account of a user's key; the API is at this address, `https://api.newrelic.com` or `https://api.eu.newrelic.com`.
    pub fn new(
        api: &Url,
        (account, key): (u64, Secret),
        upstream: Arc<Upstream>,
        bounds: Bounds,
    ) -> Result<Self, reqwest::Error> {
        let mut url = api.clone();
        url.set_path("/graphql");
        Ok(Self { wire: Wire::new(NAME, upstream, bounds, vec![key.clone()])?, url, account, key })
    }

    async fn ask(&self, nrql: &str) -> Result<Vec<Value>, SourceError> {
        let variables = json!({"account": self.account, "nrql": nrql});
        let body = json!({"query": DOCUMENT, "variables": variables}).to_string();
        let asked = self.wire.ask(self.url.clone(), body).header("API-Key", self.key.bare());
        let answer = asked.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer: Answer = self.wire.send(answer).await?;
        if let Some(fault) = answer.errors.first() {
            return Err(self.faulty(fault));
        }
        let rows = answer.data.and_then(|mut data| Some(data.pointer_mut("/actor/account/nrql/results")?.take()));
        match rows {
            Some(Value::Array(rows)) => Ok(rows),
            Some(_) | None => Err(self.wire.unreadable("no results in the answer")),
        }
    }

    fn faulty(&self, fault: &Fault) -> SourceError {
        let class = fault.extensions.get("errorClass").and_then(Value::as_str).unwrap_or_default();
        let why = self.wire.quoted(&format!("{class} {}", fault.message)).trim().to_owned();
        if TRANSIENT.contains(&class) { self.wire.unreachable(why) } else { self.wire.refused(why) }
    }

    /// NRQL of a metric, without its time, and the factor of its values.
    fn nrql(&self, metric: &str) -> Result<(String, f64), SourceError> {
        if let Some((_, [event, value, host], times)) = EQUALS.iter().find(|(ours, ..)| *ours == metric) {
            return Ok((format!("SELECT {value} AS 'value' FROM {event} FACET {host}"), *times));
        }
        let is_plain = |text: &str, more: &[u8]| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            !text.is_empty() && text.len() <= 200 && text.bytes().all(fits)
        };
        let parts =
            metric.split_once('.').filter(|(event, attribute)| is_plain(event, b"_") && is_plain(attribute, b"._"));
        match parts {
            Some((event, attribute)) if !metric.starts_with("system.") => {
                Ok((format!("SELECT average(`{attribute}`) AS 'value' FROM {event} FACET hostname"), 1.0))
            }
            Some(_) | None => {
                let why =
                    format!("{} is not EVENT.ATTRIBUTE, such as SystemSample.loadAverageOneMinute", shown(metric));
                Err(self.wire.refused(why))
            }
        }
    }
}

/// `SINCE` is within the time, `UNTIL` is not.
fn timed(nrql: &str, (from_ms, until_ms): Window) -> String {
    format!("{nrql} SINCE {from_ms} UNTIL {until_ms} LIMIT MAX TIMESERIES {} seconds", STEP_MS / 1_000)
}

/// A bucket of a host; an empty one has no value.
fn put(row: &Value, (metric, times): (&str, f64), gathering: &mut Gathering<'_>) -> Result<(), SourceError> {
    let at_s = row["beginTimeSeconds"].as_f64();
    let host = row["facet"].as_str().or_else(|| row["hostname"].as_str());
    match (at_s, host, &row["value"]) {
        (Some(_), Some(_), Value::Null) => Ok(()),
        (Some(at_s), Some(host), Value::Number(value)) => {
            let value = value.as_f64().unwrap_or(f64::NAN);
            gathering.take((host, metric), (at_s * 1_000.0) as i64, value * times)
        }
        _ => {
            gathering.refuse(|| format!("{metric}: {}", shown(&row.to_string())));
            Ok(())
        }
    }
}

#[async_trait]
impl Source for NewRelic {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let mut gathering = Gathering::new(NAME, wanted, self.wire.bounds);
        let asked = metrics(NAME, wanted, &EQUALS.map(|(ours, ..)| ours))?;
        let windows = gathering.windows((STEP_MS * BUCKETS, STEP_MS), asked.len())?;
        for metric in asked {
            let (nrql, times) = self.nrql(metric)?;
            for window in &windows {
                gathering.question()?;
                for row in self.ask(&timed(&nrql, *window)).await? {
                    put(&row, (metric, times), &mut gathering)?;
                }
            }
        }
        Ok(gathering.told())
    }
}
