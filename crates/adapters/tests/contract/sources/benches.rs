//! Each source on what stands in for its server, or on a file.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;
use sre_space_adapters::source::Bounds;
use sre_space_adapters::source::cloudwatch::{CloudWatch, Credentials, Place};
use sre_space_adapters::source::csv::CsvFile;
use sre_space_adapters::source::datadog::{Datadog, Keys};
use sre_space_adapters::source::newrelic::NewRelic;
use sre_space_adapters::source::prometheus::{Prometheus, Server};
use sre_space_adapters::upstream::Upstream;
use sre_space_domain::secret::Secret;
use sre_space_peers::monitors::{KEY, Monitor, OTHER_KEY, Reply, Row, Vendor};
use sre_space_ports::contract::source::{Asked, Bench, Fault, Remote};
use sre_space_ports::source::{Reading, Source};
use tempfile::TempDir;

/// Little of everything, so that its end is seen.
pub const BOUNDS: Bounds =
    Bounds { patience: Duration::from_secs(10), bytes: 200_000, readings: 10_000, questions: 30 };

pub fn address(url: &str) -> Url {
    Url::parse(url).expect("an address")
}

pub fn datadog(api: &str) -> Datadog {
    let keys = Keys { api: Secret::new(KEY), application: Secret::new(OTHER_KEY) };
    Datadog::new(&address(api), keys, Upstream::new("datadog"), BOUNDS).expect("a client")
}

pub fn prometheus(url: &str, token: Option<&str>, step_s: i64, bounds: Bounds) -> Prometheus {
    let server = Server { url: address(url), token: token.map(Secret::new), step_s };
    Prometheus::new(server, Upstream::new("prometheus"), bounds).expect("a client")
}

pub fn newrelic(api: &str) -> NewRelic {
    NewRelic::new(&address(api), (7, Secret::new(KEY)), Upstream::new("newrelic"), BOUNDS).expect("a client")
}

pub fn cloudwatch(endpoint: &str, instances: &[&str], bounds: Bounds) -> CloudWatch {
    let instances = instances.iter().map(|instance| (*instance).to_owned()).collect();
    let place = Place { region: "us-east-1".to_owned(), endpoint: address(endpoint), instances, period_s: 60 };
    let session = Some(Secret::new(OTHER_KEY));
    let credentials = Credentials { key_id: "AKIDSTANDIN".to_owned(), secret: Secret::new(KEY), session };
    CloudWatch::new(place, credentials, Upstream::new("cloudwatch"), bounds).expect("a client")
}

/// A stand-in and the source that asks it.
pub struct StandIn {
    vendor: Vendor,
    monitor: Monitor,
    source: Arc<dyn Source>,
}

/// One of four.
#[derive(Clone, Copy)]
pub struct Kind(Vendor);

impl StandIn {
    /// Every one that there is.
    pub const ALL: [Kind; 4] =
        [Kind(Vendor::Datadog), Kind(Vendor::Prometheus), Kind(Vendor::NewRelic), Kind(Vendor::CloudWatch)];
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self.0 {
            Vendor::Datadog => "datadog",
            Vendor::Prometheus => "prometheus",
            Vendor::NewRelic => "newrelic",
            Vendor::CloudWatch => "cloudwatch",
        }
    }

    pub fn bench(self) -> StandIn {
        let monitor = Monitor::start(self.0);
        let url = monitor.url();
        let source: Arc<dyn Source> = match self.0 {
            Vendor::Datadog => Arc::new(datadog(&url)),
            Vendor::Prometheus => Arc::new(prometheus(&url, Some(KEY), 60, BOUNDS)),
            Vendor::NewRelic => Arc::new(newrelic(&url)),
            Vendor::CloudWatch => Arc::new(cloudwatch(&url, &[], BOUNDS)),
        };
        StandIn { vendor: self.0, monitor, source }
    }
}

/// A row as the stand-ins have it.
pub fn held(reading: &Reading) -> Row {
    let Reading { host, metric, at_ms, value } = reading.clone();
    Row { host, metric, at_ms, value }
}

#[async_trait]
impl Bench for StandIn {
    fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    fn metric(&self) -> &str {
        match self.vendor {
            Vendor::Datadog => "shop.load",
            Vendor::Prometheus => "shop_load",
            Vendor::NewRelic => "ShopSample.load",
            Vendor::CloudWatch => "Shop/Load",
        }
    }

    async fn hold(&self, rows: &[Reading]) {
        self.monitor.hold(rows.iter().map(held).collect());
    }

    fn holds_what_is_no_number(&self) -> bool {
        self.vendor == Vendor::Prometheus
    }
}

fn asked((method, path, operation): (String, String, String)) -> Asked {
    Asked { method, path, operation }
}

impl Remote for StandIn {
    fn fail(&self, fault: Fault, times: usize) {
        let say = |status, said: &str| Reply::Say(status, vec![], said.to_owned());
        let reply = match fault {
            Fault::Broken => say(500, "on fire"),
            Fault::Busy => Reply::Say(429, vec![("retry-after", "60")], "busy".to_owned()),
            Fault::NoRight => self.monitor.no_right(),
            Fault::Echo => Reply::Echo,
            Fault::Garbage => say(200, "<html>"),
            Fault::Stranger => say(200, r#"{"hello": "world"}"#),
            Fault::Long => Reply::Long,
            Fault::Silent => Reply::Silence,
            Fault::Elsewhere => Reply::Say(302, vec![("location", "/elsewhere")], String::new()),
        };
        self.monitor.say(std::iter::repeat_n(reply, times));
    }

    fn asked(&self) -> Vec<Asked> {
        self.monitor.asked().into_iter().map(asked).collect()
    }

    fn reads(&self) -> Vec<Asked> {
        let (method, path, operation) = match self.vendor {
            Vendor::Datadog => ("GET", "/api/v1/query", ""),
            Vendor::Prometheus => ("GET", "/api/v1/query_range", ""),
            Vendor::NewRelic => ("POST", "/graphql", "query"),
            Vendor::CloudWatch => ("POST", "/", "GraniteServiceVersion20100801.GetMetricData"),
        };
        vec![asked((method.to_owned(), path.to_owned(), operation.to_owned()))]
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned(), OTHER_KEY.to_owned()]
    }

    fn most_questions(&self) -> usize {
        BOUNDS.questions
    }
}

/// A file of four columns.
pub struct CsvBench {
    dir: TempDir,
    source: CsvFile,
}

impl CsvBench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let source = CsvFile::new(dir.path().join("rows.csv"), BOUNDS);
        Self { dir, source }
    }
}

#[async_trait]
impl Bench for CsvBench {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn metric(&self) -> &str {
        "load"
    }

    async fn hold(&self, rows: &[Reading]) {
        let line = |row: &Reading| {
            let at = Timestamp::from_millisecond(row.at_ms).expect("a time");
            format!("{},{},{at},{}\n", row.host, row.metric, row.value)
        };
        let lines: String = rows.iter().map(line).collect();
        fs::write(self.dir.path().join("rows.csv"), format!("host,metric,timestamp,value\n{lines}")).expect("written");
    }

    fn holds_what_is_no_number(&self) -> bool {
        true
    }
}
