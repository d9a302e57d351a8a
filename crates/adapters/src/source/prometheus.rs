//! Prometheus and what speaks its HTTP API: `GET /api/v1/query_range`
//! (<https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries>).
//!
//! A value is asked for at every multiple of the step: it is the newest one scraped until then, of the last five minutes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;
use sre_space_domain::secret::Secret;
use sre_space_ports::source::{Source, SourceError, Told, Wanted, names};

use super::gather::{Gathering, Window, metrics, shown};
use super::wire::{Bounds, Wire};
use crate::upstream::Upstream;

const NAME: &str = "prometheus";
/// Points a series that Prometheus gives at most.
const POINTS: i64 = 11_000;
/// Characters of an expression.
const LONGEST_EXPRESSION: usize = 2_000;
/// What the node exporter has of ours.
const USUAL: [&str; 4] = [names::CPU, names::MEMORY, names::RECEIVED, names::SENT];
/// Labels that name a host, the first that there is.
const HOST: [&str; 3] = ["host", "instance", "node"];

/// Where Prometheus is, and how it is asked.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address; may hold a name and a password, and a path it is served under.
    pub url: Url,
    /// Bearer token, where one is wanted.
    pub token: Option<Secret>,
    /// Time between two values, s.
    pub step_s: i64,
}

/// A Prometheus server.
pub struct Prometheus {
    wire: Wire,
    url: Url,
    token: Option<Secret>,
    step_s: i64,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    // A series of histograms has none.
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// A server.
    pub fn new(server: Server, upstream: Arc<Upstream>, bounds: Bounds) -> Result<Self, reqwest::Error> {
        let Server { mut url, token, step_s } = server;
        let path = format!("{}/api/v1/query_range", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let secrets = token.iter().cloned().chain(credentials(&url)).collect();
        Ok(Self { wire: Wire::new(NAME, upstream, bounds, secrets)?, url, token, step_s })
    }

    /// The node exporter's metrics (<https://prometheus.io/docs/guides/node-exporter/>), and any expression.
    fn expression(&self, metric: &str) -> Result<String, SourceError> {
        let by_instance = |metric: &str| format!(r#"sum by (instance) ({metric}{{device!="lo"}})"#);
        match metric {
            names::CPU => {
                let over_s = (4 * self.step_s).max(60);
                Ok(format!(r#"1 - avg by (instance) (rate(node_cpu_seconds_total{{mode="idle"}}[{over_s}s]))"#))
            }
            names::MEMORY => Ok("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes".to_owned()),
            names::RECEIVED => Ok(by_instance("node_network_receive_packets_total")),
            names::SENT => Ok(by_instance("node_network_transmit_packets_total")),
            names::RECEIVED_RATE | names::SENT_RATE => {
                Err(self.wire.refused(format!("it has no {metric}, but the count")))
            }
            own if own.len() <= LONGEST_EXPRESSION && !own.is_empty() => Ok(own.to_owned()),
            _ => Err(self.wire.refused(format!("an expression has 1 to {LONGEST_EXPRESSION} characters"))),
        }
    }

    async fn ask(&self, expression: &str, (from_ms, until_ms): Window) -> Result<Vec<Series>, SourceError> {
        let mut url = self.url.clone();
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
        // The end of a range is within it.
        let times = [("start", seconds(from_ms)), ("end", seconds(until_ms - 1)), ("step", self.step_s.to_string())];
        url.query_pairs_mut().append_pair("query", expression).extend_pairs(times);
        let asked = self.wire.get(url);
        let asked = match &self.token {
            Some(token) => asked.bearer_auth(token.bare()),
            None => asked,
        };
        let answer: Answer = self.wire.send(asked).await?;
        match (answer.status.as_str(), answer.data) {
            ("success", Some(data)) if data.result_type == "matrix" => Ok(data.result),
            ("success", _) => Err(self.wire.unreadable("no matrix in the answer")),
            _ => Err(self.wire.refused(self.wire.quoted(&answer.error))),
        }
    }
}

/// What an answer could repeat of the name and password of an address: the header that they travel in, the password as the address
/// has it, and what that means. The longest comes first, so that none is hidden only in part. A name alone may be a token.
fn credentials(url: &Url) -> Vec<Secret> {
    let written = url.password().unwrap_or_else(|| url.username());
    if written.is_empty() {
        return Vec::new();
    }
    let (name, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let header = STANDARD.encode(format!("{name}:{password}"));
    [header, written.to_owned(), decoded(written)].map(Secret::new).into()
}

/// Without percent-encoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.as_bytes().get(at) {
        let code =
            text.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Host and metric of a series: under our name where it was asked for by that; else its own name, with the labels that are left.
fn named(labels: &BTreeMap<String, String>, asked: &str) -> Option<(String, String)> {
    let by = HOST.iter().find(|label| labels.contains_key(**label))?;
    let host = labels.get(*by)?.clone();
    if USUAL.contains(&asked) {
        return Some((host, asked.to_owned()));
    }
    let name = labels.get("__name__").map_or(asked, String::as_str);
    let more = labels.iter().filter(|(label, _)| ![*by, "__name__", "job"].contains(&label.as_str()));
    let more: Vec<String> = more.map(|(label, value)| format!("{label}={value:?}")).collect();
    let metric = if more.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", more.join(",")) };
    Some((host, metric))
}

fn put(series: &Series, asked: &str, gathering: &mut Gathering<'_>) -> Result<(), SourceError> {
    let Some((host, metric)) = named(&series.metric, asked) else {
        gathering.refuse_all(series.values.len(), || format!("{}: no label names a host", shown(asked)));
        return Ok(());
    };
    for (at_s, value) in &series.values {
        match value.parse::<f64>() {
            Ok(value) => gathering.take((&host, &metric), (at_s * 1_000.0).round() as i64, value)?,
            Err(_) => gathering.refuse(|| format!("{}: {} is no number", shown(&metric), shown(value))),
        }
    }
    Ok(())
}

#[async_trait]
impl Source for Prometheus {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let mut gathering = Gathering::new(NAME, wanted, self.wire.bounds);
        let step_ms = self.step_s * 1_000;
        let asked = metrics(NAME, wanted, &USUAL)?;
        let windows = gathering.windows((step_ms * POINTS, step_ms), asked.len())?;
        for metric in asked {
            let expression = self.expression(metric)?;
            for window in &windows {
                gathering.question()?;
                for series in self.ask(&expression, *window).await? {
                    put(&series, metric, &mut gathering)?;
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
    fn an_answer_that_repeats_how_it_was_asked_shows_no_password() {
        let shown = |address: &str, said: &str| {
            let server = Server { url: address.parse().expect("an address"), token: None, step_s: 60 };
            let prometheus = Prometheus::new(server, Upstream::new(NAME), Bounds::default()).expect("a client");
            prometheus.wire.quoted(said)
        };
        let said = "Authorization: Basic bWU6cEBzcy93b3Jk; http://me:p%40ss%2Fword@h; p@ss/word";
        assert_eq!(shown("http://me:p%40ss%2Fword@h", said), "Authorization: Basic ***; http://me:***@h; ***");
        assert_eq!(shown("http://t0ken@h", "Basic dDBrZW46 of t0ken"), "Basic *** of ***");
        assert_eq!(shown("http://h", "no name, no password"), "no name, no password");
    }

    #[test]
    fn a_series_has_its_host_from_a_label_and_keeps_what_tells_it_apart() {
        let named = |labels: &[(&str, &str)], asked: &str| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            super::named(&labels, asked)
        };
        let pair = |host: &str, metric: &str| Some((host.to_owned(), metric.to_owned()));
        assert_eq!(named(&[("instance", "a:9100")], names::CPU), pair("a:9100", names::CPU));
        let load = [("__name__", "node_load1"), ("instance", "a:9100"), ("job", "node")];
        assert_eq!(named(&load, "node_load1"), pair("a:9100", "node_load1"));
        let disk = [("__name__", "disk"), ("host", "a"), ("instance", "b"), ("device", "sda")];
        assert_eq!(named(&disk, "disk"), pair("a", r#"disk{device="sda",instance="b"}"#));
        assert_eq!(named(&[("instance", "a")], "sum by (instance) (x)"), pair("a", "sum by (instance) (x)"));
        assert_eq!(named(&[("job", "node")], "node_load1"), None);
    }
}
