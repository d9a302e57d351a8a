//! This host, as its kernel tells of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_ports::source::{Reading, Source, SourceError, Told, Wanted, names};
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, Networks, System};

const NAME: &str = "live";
/// Longest host name that is told, bytes.
const LONGEST_NAME: usize = 253;

/// This host: load, memory in use, packets. It knows the present only: each reading is measured when it is asked for.
#[derive(Clone)]
pub struct HostSource {
    host: Arc<str>,
    looked: Arc<Mutex<Looked>>,
}

struct Looked {
    system: System,
    /// `None` where there is no network but the loopback, or none that may be seen.
    networks: Option<Networks>,
    cpu_at: Instant,
}

impl HostSource {
    /// Begins to measure load, which takes two looks.
    pub fn new() -> Result<Self, SourceError> {
        let mut system = System::new().map_err(|error| unreachable(&error))?;
        system.refresh_cpu_usage();
        let host = System::host_name().unwrap_or_else(|_| "localhost".to_owned());
        let host: String = host.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        let looked = Looked { system, networks: Networks::new().ok(), cpu_at: Instant::now() };
        Ok(Self { host: host.into(), looked: Arc::new(Mutex::new(looked)) })
    }

    fn look(&self) -> Vec<(&'static str, f64)> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.look()
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> SourceError {
    SourceError::Unreachable { name: NAME, why: error.to_string() }
}

impl Looked {
    fn look(&mut self) -> Vec<(&'static str, f64)> {
        let mut told = Vec::new();
        // Load is busy time between two looks; of looks that lie too close together it is noise.
        if self.cpu_at.elapsed() >= MINIMUM_CPU_UPDATE_INTERVAL {
            self.system.refresh_cpu_usage();
            self.cpu_at = Instant::now();
            told.push((names::CPU, f64::from(self.system.global_cpu_usage()) / 100.0));
        }
        self.system.refresh_memory();
        told.push((names::MEMORY, self.system.used_memory() as f64));
        if let Some((received, sent)) = self.packets() {
            told.push((names::RECEIVED, received as f64));
            told.push((names::SENT, sent as f64));
        }
        told
    }

    /// Packets received and sent since the interfaces came up; the loopback's are left out, since each of them is both.
    fn packets(&mut self) -> Option<(u64, u64)> {
        let networks = self.networks.as_mut()?;
        networks.refresh(true);
        let outward = networks.iter().filter(|(name, _)| *name != "lo" && *name != "lo0");
        let counts =
            outward.map(|(_, network)| (network.total_packets_received(), network.total_packets_transmitted()));
        counts.reduce(|sum, next| (sum.0.saturating_add(next.0), sum.1.saturating_add(next.1)))
    }
}

#[async_trait]
impl Source for HostSource {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let this = self.clone();
        let looked = tokio::task::spawn_blocking(move || this.look()).await.map_err(|error| unreachable(&error))?;
        let at_ms = Timestamp::now().as_millisecond();
        if !(wanted.since_ms..wanted.until_ms).contains(&at_ms) {
            return Ok(Told::default());
        }
        let is_wanted = |metric: &str| wanted.metrics.is_empty() || wanted.metrics.iter().any(|name| name == metric);
        let reading = |(metric, value): (&str, f64)| Reading {
            host: self.host.to_string(),
            metric: metric.to_owned(),
            at_ms,
            value,
        };
        let mut readings: Vec<Reading> =
            looked.into_iter().filter(|(metric, value)| is_wanted(metric) && value.is_finite()).map(reading).collect();
        readings.sort_by(|one, other| one.metric.cmp(&other.metric));
        Ok(Told { readings, ..Told::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Wanted {
        Wanted { since_ms: 0, until_ms: i64::MAX, metrics: Vec::new() }
    }

    #[tokio::test]
    async fn this_host_tells_of_its_memory_and_after_a_moment_of_its_load() {
        let source = HostSource::new().expect("a host");
        // What the kernel takes to tell two looks apart; no event can stand in for it.
        tokio::time::sleep(MINIMUM_CPU_UPDATE_INTERVAL).await;
        let told = source.read(&all()).await.expect("readings");
        let value =
            |name: &str| told.readings.iter().find(|reading| reading.metric == name).map(|reading| reading.value);
        assert!(value(names::CPU).is_some_and(|share| (0.0..=1.0).contains(&share)), "{told:?}");
        assert!(value(names::MEMORY).is_some_and(|bytes| bytes > 1e6), "{told:?}");
        assert!(told.readings.iter().all(|reading| !reading.host.is_empty()), "{told:?}");
    }

    #[tokio::test]
    async fn it_tells_what_is_wanted_and_of_the_present_only() {
        let source = HostSource::new().expect("a host");
        let past = Wanted { until_ms: 1, ..all() };
        assert_eq!(source.read(&past).await.expect("an answer"), Told::default());
        let memory = Wanted { metrics: vec![names::MEMORY.to_owned()], ..all() };
        let told = source.read(&memory).await.expect("an answer");
        let metrics: Vec<&str> = told.readings.iter().map(|reading| reading.metric.as_str()).collect();
        assert_eq!(metrics, [names::MEMORY]);
    }
}
