//! Sources on real servers: Prometheus, and Amazon's services as moto plays them.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use libtest_mimic::{Failed, Trial};
use sre_space_adapters::source::Bounds;
use sre_space_adapters::source::cloudwatch::CloudWatch;
use sre_space_adapters::source::prometheus::Prometheus;
use sre_space_peers::{CloudWatch as Moto, Exporter, Missing, Prometheus as Peer, free_port};
use sre_space_ports::contract::source::Bench;
use sre_space_ports::source::{Reading, Source, Wanted, names};

use super::benches::{BOUNDS, cloudwatch, prometheus};
use super::{EVERY, trial};

/// A server of a busy machine may take its time.
const PATIENT: Bounds = Bounds { patience: Duration::from_secs(60), ..BOUNDS };
/// How long scrapes are waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Every trial.
pub fn trials() -> Vec<Trial> {
    let prometheus = EVERY
        .into_iter()
        .map(|(name, play)| trial("prometheus-server", name, move || async move { play(&Real::new()).await }))
        .chain([trial("prometheus-server", "what_an_exporter_tells_is_read", scraped)]);
    let amazon = EVERY
        .into_iter()
        .map(|(name, play)| trial("cloudwatch-moto", name, move || async move { play(&Amazon::new()).await }));
    let prometheus = installed("prometheus-server", Peer::find(), prometheus.collect());
    prometheus.into_iter().chain(installed("cloudwatch-moto", Moto::find(), amazon.collect())).collect()
}

fn installed(what: &str, found: Result<(), Missing>, trials: Vec<Trial>) -> Vec<Trial> {
    let skipped = |missing: Missing| {
        let nothing = || -> Result<(), Failed> { Ok(()) };
        vec![Trial::test(format!("source/{what} (skipped: {missing})"), nothing).with_ignored_flag(true)]
    };
    found.err().map_or(trials, skipped)
}

/// A real Prometheus, whose rows were measured before it began.
struct Real {
    port: u16,
    server: Mutex<Option<Peer>>,
    source: Prometheus,
}

impl Real {
    fn new() -> Self {
        let port = free_port();
        let source = prometheus(&format!("http://127.0.0.1:{port}"), None, 60, PATIENT);
        Self { port, server: Mutex::new(None), source }
    }
}

/// Of rows at one moment the last, in order of time, as its format wants them.
fn openmetrics(rows: &[Reading]) -> String {
    let mut last: Vec<&Reading> = Vec::new();
    for row in rows {
        last.retain(|other| (&other.host, other.at_ms) != (&row.host, row.at_ms));
        last.push(row);
    }
    last.sort_by(|a, b| (&a.host, a.at_ms).cmp(&(&b.host, b.at_ms)));
    let mut text = String::new();
    for row in last {
        let value = row.value.to_string().replace("inf", "Inf");
        _ = writeln!(text, "{}{{instance=\"{}\"}} {value} {}", row.metric, row.host, row.at_ms / 1_000);
    }
    text
}

#[async_trait]
impl Bench for Real {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn metric(&self) -> &str {
        "shop_load"
    }

    async fn hold(&self, rows: &[Reading]) {
        let mut server = self.server.lock().expect("nobody panics with it");
        // The one before it has to let go of the port.
        drop(server.take());
        *server = Some(Peer::start(self.port, &openmetrics(rows), None));
    }

    fn holds_what_is_no_number(&self) -> bool {
        true
    }
}

/// A node exporter of a host that is three quarters busy and sends ten percent more than it receives.
fn exporter(scrape: usize) -> String {
    let received = 1_000 * scrape;
    let counts = [("receive", received), ("transmit", received + received / 10)];
    let of = |(direction, count): (&str, usize)| {
        let name = format!("node_network_{direction}_packets_total");
        format!("{name}{{device=\"eth0\"}} {count}\n{name}{{device=\"lo\"}} 5\n")
    };
    let idle = scrape as f64 / 4.0;
    format!(
        "node_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} {idle}\nnode_memory_MemTotal_bytes 8192\n\
         node_memory_MemAvailable_bytes 4096\n{}",
        counts.map(of).concat()
    )
}

async fn scraped() {
    let exporter = Exporter::start(exporter);
    let port = free_port();
    let _server = Peer::start(port, "", Some(&exporter));
    let source = prometheus(&format!("http://127.0.0.1:{port}"), None, 1, PATIENT);
    let began = Instant::now();
    let told = loop {
        let now_ms = Timestamp::now().as_millisecond();
        let wanted = Wanted { since_ms: now_ms - 60_000, until_ms: now_ms, metrics: vec![] };
        let told = source.read(&wanted).await.expect("told");
        let metrics: std::collections::BTreeSet<&str> = told.readings.iter().map(|one| one.metric.as_str()).collect();
        if metrics.len() == 4 && exporter.scrapes() > 5 {
            break told;
        }
        assert!(began.elapsed() < PATIENCE, "{} scrapes: {metrics:?}", exporter.scrapes());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let of = |metric: &'static str| told.readings.iter().filter(move |reading| reading.metric == metric);
    assert!(told.readings.iter().all(|reading| reading.host == exporter.address()), "{told:?}");
    assert!(of(names::MEMORY).all(|reading| reading.value == 4_096.0), "{told:?}");
    // Scraped some time ago, so that it was there at both questions.
    let received = of(names::RECEIVED).find(|reading| reading.value >= 1_000.0).expect("packets");
    let sent = of(names::SENT).find(|reading| reading.at_ms == received.at_ms).expect("packets");
    assert_eq!(sent.value * 10.0, received.value * 11.0, "loopback is not counted");
    assert!(of(names::CPU).all(|reading| (0.0..=1.0).contains(&reading.value)), "{told:?}");
}

/// Amazon's CloudWatch as moto plays it, for two instances.
struct Amazon {
    server: Moto,
    source: CloudWatch,
}

impl Amazon {
    fn new() -> Self {
        let server = Moto::start();
        let source = cloudwatch(&server.url(), &["web-1", "web-2"], PATIENT);
        Self { server, source }
    }
}

#[async_trait]
impl Bench for Amazon {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn metric(&self) -> &str {
        "Shop/Load"
    }

    /// CloudWatch keeps every value of a moment and tells what they are together, and takes none that is no number.
    async fn hold(&self, rows: &[Reading]) {
        self.server.forget();
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.value.is_finite()) {
            let is_same = |later: &Reading| (&later.host, later.at_ms) == (&row.host, row.at_ms);
            if !rows[index + 1..].iter().any(is_same) {
                let at = Timestamp::from_millisecond(row.at_ms).expect("a time").to_string();
                self.server.put(("Shop", "Load"), &row.host, (&at, row.value));
            }
        }
    }

    fn holds_what_is_no_number(&self) -> bool {
        false
    }
}
