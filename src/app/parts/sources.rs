//! Whose metrics are read.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use reqwest::Url;
use sre_space_adapters::source::Bounds;
use sre_space_adapters::source::cloudwatch::{CloudWatch, Credentials, Place};
use sre_space_adapters::source::csv::CsvFile;
use sre_space_adapters::source::datadog::{Datadog, Keys};
use sre_space_adapters::source::newrelic::NewRelic;
use sre_space_adapters::source::prometheus::{Prometheus, Server};
use sre_space_adapters::upstream::Upstream;
use sre_space_ports::source::Source;

use crate::config::{self, Mistakes, Settings, Sources};

/// A source, and the server behind it.
pub type Sourced = (Arc<dyn Source>, Option<Arc<Upstream>>);

/// The source of this name, with the breaker of its server where it has one; `input` is the file of `csv`. What it lacks are
/// [`Mistakes`], all of them.
pub fn metric_source(name: &str, settings: &Settings, input: Option<&Path>) -> Result<Sourced> {
    sre_space_tls::install();
    match name {
        "datadog" => remote("datadog", |upstream| datadog(&settings.sources, upstream)),
        "prometheus" => remote("prometheus", |upstream| prometheus(&settings.sources, upstream)),
        "cloudwatch" => remote("cloudwatch", |upstream| cloudwatch(&settings.sources, upstream)),
        "newrelic" => remote("newrelic", |upstream| newrelic(&settings.sources, upstream)),
        "csv" => {
            let input = input.context("the source csv needs a file: --input FILE")?;
            Ok((Arc::new(CsvFile::new(input, Bounds::default())), None))
        }
        other => bail!("there is no source {other:?}"),
    }
}

fn remote(name: &'static str, open: impl FnOnce(Arc<Upstream>) -> Result<Arc<dyn Source>>) -> Result<Sourced> {
    let upstream = Upstream::new(name);
    Ok((open(Arc::clone(&upstream))?, Some(upstream)))
}

fn datadog(sources: &Sources, upstream: Arc<Upstream>) -> Result<Arc<dyn Source>> {
    let set = sources.datadog.clone().map_err(Mistakes::from)?;
    let keys = Keys { api: set.api_key, application: set.app_key };
    Ok(Arc::new(Datadog::new(&set.api, keys, upstream, Bounds::default())?))
}

fn prometheus(sources: &Sources, upstream: Arc<Upstream>) -> Result<Arc<dyn Source>> {
    let set = sources.prometheus.clone().map_err(Mistakes::from)?;
    let server = Server { url: Url::parse(set.url.bare())?, token: set.token, step_s: set.step_s };
    Ok(Arc::new(Prometheus::new(server, upstream, Bounds::default())?))
}

fn cloudwatch(sources: &Sources, upstream: Arc<Upstream>) -> Result<Arc<dyn Source>> {
    let set = sources.cloudwatch.clone().map_err(Mistakes::from)?;
    let config::CloudWatch { key_id, secret, session, region, endpoint, instances, period_s } = set;
    let place = Place { region, endpoint, instances, period_s };
    let credentials = Credentials { key_id, secret, session };
    Ok(Arc::new(CloudWatch::new(place, credentials, upstream, Bounds::default())?))
}

fn newrelic(sources: &Sources, upstream: Arc<Upstream>) -> Result<Arc<dyn Source>> {
    let set = sources.newrelic.clone().map_err(Mistakes::from)?;
    Ok(Arc::new(NewRelic::new(&set.api, (set.account, set.key), upstream, Bounds::default())?))
}

/// Every source that is set up, for the patrol, each with its server's breaker. Other programs use `AWS_*` too, so that CloudWatch is
/// one only where its instances are named.
pub(super) fn set_up(settings: &Settings) -> Result<Vec<Sourced>> {
    let sources = &settings.sources;
    let is_meant = |set: &config::CloudWatch| !set.instances.is_empty();
    let all = [
        ("datadog", sources.datadog.is_ok()),
        ("prometheus", sources.prometheus.is_ok()),
        ("cloudwatch", sources.cloudwatch.as_ref().is_ok_and(is_meant)),
        ("newrelic", sources.newrelic.is_ok()),
    ];
    all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| metric_source(name, settings, None)).collect()
}

/// What each source that is set up says of itself, and of one that is set up in part what it lacks.
pub async fn look_at_sources(settings: &Settings) -> Vec<(&'static str, Result<String, String>)> {
    let sources = &settings.sources;
    let lacks = [
        (
            "datadog",
            sources.datadog.as_ref().err(),
            "mend DATADOG_API_KEY, DATADOG_SITE or DATADOG_APP_KEY, which needs timeseries_query",
        ),
        ("prometheus", sources.prometheus.as_ref().err(), "start it or mend PROMETHEUS_URL or PROMETHEUS_TOKEN"),
        (
            "cloudwatch",
            sources.cloudwatch.as_ref().err(),
            "the key needs cloudwatch:GetMetricData; mend AWS_ACCESS_KEY_ID or AWS_REGION",
        ),
        (
            "newrelic",
            sources.newrelic.as_ref().err(),
            "mend NEW_RELIC_API_KEY, NEW_RELIC_ACCOUNT_ID or NEW_RELIC_REGION",
        ),
    ];
    let mut found = Vec::new();
    for (name, missing, mend) in lacks {
        match missing {
            None => found.push((name, look(name, settings).await.map_err(|why| format!("{why}; {mend}")))),
            // Other programs use these names too.
            Some(missing) if missing.is_begun && name != "cloudwatch" => {
                found.push((name, Err(format!("set {} too", missing.names.join(" and ")))));
            }
            Some(_) => {}
        }
    }
    found
}

async fn look(name: &str, settings: &Settings) -> Result<String, String> {
    let (source, _) = metric_source(name, settings, None).map_err(|error| format!("{error:#}"))?;
    source.look(Timestamp::now().as_millisecond()).await.map_err(|error| error.to_string())
}
