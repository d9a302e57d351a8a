//! The bus's backends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use sre_space_adapters::bus::buffered::Buffered;
use sre_space_adapters::bus::kafka::{self, KafkaBus};
use sre_space_adapters::bus::local::LocalBus;
use sre_space_adapters::bus::redis::{self, RedisBus};
use sre_space_adapters::guard::Guard;
use sre_space_adapters::upstream::Upstream;
use sre_space_ports::around::Wrapped;
use sre_space_ports::bus::{Bus, BusError};

use crate::config::{self, Settings};

/// Batches of spans that may wait for Scout; a batch is at most 4 MiB.
const BUS_CAPACITY: usize = 256;
/// Payload that is held while the server behind the bus is away, bytes.
const BUS_HELD_BYTES: usize = 32 * 1024 * 1024;
/// And messages, where the client counts them.
const BUS_HELD_MESSAGES: usize = 10_000;
/// What another consumer has not acknowledged for so long is taken over.
const BUS_IDLE: Duration = Duration::from_secs(30);

/// The bus. One that is not there at the start is an error, unless a bus inside this process may stand in.
pub(super) async fn open(settings: &Settings) -> Result<(Arc<dyn Bus>, Option<Arc<Upstream>>)> {
    let (found, named) = match &settings.bus {
        config::Bus::Local => return Ok((Arc::new(LocalBus::new(BUS_CAPACITY)), None)),
        config::Bus::Redis { url } => (redis_bus(url).await.map(in_front_of), Server::redis(url)),
        config::Bus::Kafka { brokers, security } => {
            let bus = KafkaBus::connect(kafka_terms(brokers, security, &settings.data_dir)).await;
            (bus.map(|bus| guarded(bus, "kafka")), Server::kafka(brokers))
        }
    };
    let Server { what, setting } = named;
    match found {
        Ok((bus, server)) => Ok((bus, Some(server))),
        Err(error) if settings.bus_fallback => {
            let why = format!("{what} was not there at the start ({error}); messages stay in this process");
            tracing::warn!("{why}");
            Ok((Arc::new(LocalBus::standing_in(BUS_CAPACITY, why)), None))
        }
        Err(error) => bail!(
            "cannot use the bus, {what}: {error}; start it, mend {setting}, set SRE_SPACE_BUS=local, or let a bus inside \
             this process stand in with SRE_SPACE_BUS_FALLBACK=on"
        ),
    }
}

/// A server as messages name it, with the setting that says where it is.
struct Server {
    what: String,
    setting: &'static str,
}

impl Server {
    fn redis(url: &str) -> Self {
        Self { what: format!("Redis at {}", config::without_password(url)), setting: "REDIS_URL" }
    }

    fn kafka(brokers: &str) -> Self {
        Self { what: format!("Kafka at {brokers}"), setting: "KAFKA_BROKERS" }
    }
}

/// A bus with the breaker of its server.
fn guarded(bus: impl Bus + 'static, name: &'static str) -> (Arc<dyn Bus>, Arc<Upstream>) {
    let guard = Guard::of(name);
    let server = guard.upstream();
    (Arc::new(Wrapped::new(Arc::new(bus) as Arc<dyn Bus>, guard)), server)
}

/// What Redis cannot take right now is held; Kafka's client does that by itself.
fn in_front_of(redis: RedisBus) -> (Arc<dyn Bus>, Arc<Upstream>) {
    let (redis, server) = guarded(redis, "redis");
    (Arc::new(Buffered::new(redis, BUS_HELD_BYTES)), server)
}

async fn redis_bus(url: &str) -> Result<RedisBus, BusError> {
    let terms = redis::Terms { capacity: BUS_CAPACITY, idle: BUS_IDLE, consumer: "control-plane".to_owned() };
    RedisBus::connect(url, terms).await
}

fn kafka_terms(brokers: &str, security: &BTreeMap<String, String>, folder: &Path) -> kafka::Terms {
    kafka::Terms {
        brokers: brokers.to_owned(),
        security: security.clone().into_iter().collect(),
        held_messages: BUS_HELD_MESSAGES,
        held_bytes: BUS_HELD_BYTES,
        folder: folder.to_owned(),
    }
}

/// What the server of the bus says of itself, or what is wrong with it and which setting to look at.
pub async fn look_at_bus(settings: &Settings) -> Result<String, String> {
    let (asked, Server { what, setting }) = match &settings.bus {
        config::Bus::Local => return Ok("inside the process".to_owned()),
        config::Bus::Redis { url } => (RedisBus::look(url).await, Server::redis(url)),
        config::Bus::Kafka { brokers, security } => {
            let terms = kafka_terms(brokers, security, &settings.data_dir);
            (KafkaBus::look(terms).await, Server::kafka(brokers))
        }
    };
    match asked {
        Ok(version) => Ok(format!("{what}: {version}")),
        Err(error) => Err(format!("{what}: {error}; start it or mend {setting}")),
    }
}
