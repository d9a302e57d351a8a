//! What the platform knows of a process it runs: the memory it uses and the memory it may. Who uses more is killed.
//!
//! It tells both as OpenTelemetry, as a node's own agent would: from outside of the process, by a sender of its own.

use std::time::Duration;

use anyhow::{Context as _, Result};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tonic::metadata::MetadataMap;

use crate::deployer::ServicePlan;
use crate::platform::{DEPLOYER, Platform};
use crate::process::Process;
use crate::usage;

const MEGABYTE: i64 = 1_000_000;
/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);

/// One process, seen from outside.
pub struct Cage {
    name: String,
    pid: u32,
    limit: Option<i64>,
    provider: Option<SdkMeterProvider>,
}

impl Cage {
    /// Around a process of this revision and instance.
    pub fn around(platform: &Platform, plan: &ServicePlan, release: (String, String), pid: u32) -> Result<Self> {
        let limit = plan.memory_mb.and_then(|mb| i64::try_from(mb).ok()?.checked_mul(MEGABYTE));
        let token = platform.ingest_tokens.get(DEPLOYER);
        let provider = limit.zip(token).map(|(limit, token)| {
            let resource = resource(&plan.name, release);
            tell(&platform.otlp_endpoint, token, resource, (pid, limit))
        });
        Ok(Self { name: plan.name.clone(), pid, limit, provider: provider.transpose()? })
    }

    /// Whether the process has ended; it has when it used more memory than it may.
    pub fn has_ended(&self, process: &mut Process) -> bool {
        let used = self.limit.and_then(|limit| usage::resident(self.pid).filter(|used| *used > limit));
        if let Some(used) = used {
            println!("deployer: {} is killed: it uses {} MB", self.name, used / MEGABYTE);
            process.kill();
        }
        used.is_some() || process.has_ended()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // Its last words may take a while, and nobody here waits for them.
        if let Some(provider) = self.provider.take() {
            std::thread::spawn(move || _ = provider.shutdown());
        }
    }
}

fn resource(service: &str, (revision, instance): (String, String)) -> Resource {
    let attributes = [KeyValue::new("vcs.ref.head.revision", revision), KeyValue::new("service.instance.id", instance)];
    Resource::builder().with_service_name(service.to_owned()).with_attributes(attributes).build()
}

fn tell(endpoint: &str, token: &str, resource: Resource, (pid, limit): (u32, i64)) -> Result<SdkMeterProvider> {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {token}").parse().context("a token is no header")?);
    let exporter = opentelemetry_otlp::MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.to_owned())
        .with_metadata(metadata)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(EVERY).build();
    let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
    let meter = provider.meter("platform");
    let gauge = |name: &'static str| meter.i64_observable_up_down_counter(name).with_unit("By");
    gauge("container.memory.limit").with_callback(move |memory| memory.observe(limit, &[])).build();
    gauge("container.memory.usage")
        .with_callback(move |memory| usage::resident(pid).into_iter().for_each(|used| memory.observe(used, &[])))
        .build();
    Ok(provider)
}
