//! Whose hosts the Sentinel looks at: in a running server, and for the command line.

use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use sre_space_adapters::bus::local::LocalBus;
use sre_space_adapters::source::Bounds;
use sre_space_adapters::source::otlp::OtlpMetrics;
use sre_space_ports::bus::{Bus, Feed, Topic};
use sre_space_ports::source::Source;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::source;
use crate::app::{hire_ears, optionally};
use crate::config::{Settings, SourceName};
use crate::crew::{Crew, OnEnd, Stage};
use crate::ingest::Ears;
use crate::ingest::tokens::IngestTokens;
use crate::orchestrator::Context;
use crate::sentinel::Lookout;

/// Batches that may wait to be read.
const WAITING: usize = 256;

/// What a source is, and who hears for it where it is one that is sent to.
pub type Heard = (Arc<dyn Source>, Option<Crew>);

/// Starts the Sentinel of a running server, unless it is off.
pub(in crate::app) async fn hire_sentinel(crew: &mut Crew, context: &Arc<Context>, settings: &Settings) -> Result<()> {
    let Some(name) = settings.sentinel.watched else { return Ok(()) };
    let watched: Arc<dyn Source> = if name == SourceName::Otlp {
        let feed = context.parts.bus.subscribe(Topic::Metrics, "sentinel").await?;
        hire_keeper(crew, feed)
    } else {
        source(name, settings)?
    };
    let pace = name.pace(settings.sentinel.poll);
    let lookout = Lookout::new((watched, pace), &settings.sentinel, Arc::clone(&context.vetoes));
    crew.hire(Stage::Core, "sentinel", OnEnd::StopServer, |stop| lookout.run(stop));
    Ok(())
}

/// What the Sentinel of the command line looks at; OTLP is heard where the settings say, until what is answered here is dropped.
pub async fn watched(name: SourceName, settings: &Settings) -> Result<Heard> {
    if name != SourceName::Otlp {
        return Ok((source(name, settings)?, None));
    }
    let bus = Arc::new(LocalBus::new(WAITING));
    let feed = bus.subscribe(Topic::Metrics, "sentinel").await?;
    let (grpc, http) = (optionally(settings.otlp_grpc, false).await?, optionally(settings.otlp_http, false).await?);
    if grpc.is_none() && http.is_none() {
        bail!("OTLP is off: set SRE_SPACE_OTLP_GRPC_ADDR or SRE_SPACE_OTLP_HTTP_ADDR");
    }
    let ears = Arc::new(Ears {
        bus,
        tokens: IngestTokens::new(settings.ingest_tokens.clone()),
        admission: Default::default(),
        now: Arc::new(|| Timestamp::now().as_millisecond()),
        stats: Arc::default(),
    });
    let mut crew = Crew::default();
    let kept = hire_keeper(&mut crew, feed);
    hire_ears(&mut crew, &ears, grpc, http);
    Ok((kept, Some(crew)))
}

/// Starts the task that keeps what is told of hosts.
fn hire_keeper(crew: &mut Crew, feed: Box<dyn Feed>) -> Arc<OtlpMetrics> {
    let kept = Arc::new(OtlpMetrics::of_hosts(Bounds::default()));
    let into = Arc::clone(&kept);
    crew.hire(Stage::Core, "host-metrics", OnEnd::StopServer, |stop| keep(into, feed, stop));
    kept
}

/// Keeps what is told of hosts, until stopped or the bus is closed.
async fn keep(kept: Arc<OtlpMetrics>, mut feed: Box<dyn Feed>, stop: CancellationToken) {
    while let Some(Some(delivery)) = stop.run_until_cancelled(feed.next()).await {
        if let Err(error) = kept.take(&delivery.message.body) {
            warn!(%error, source = delivery.message.source, "a batch of metrics is not read for the Sentinel");
        }
        if let Err(error) = feed.acknowledge(delivery.receipt).await {
            warn!(%error, "a batch was not acknowledged and will come again");
        }
    }
}
