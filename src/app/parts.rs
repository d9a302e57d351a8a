//! The backends behind the ports: the one list of what exists.

mod memory;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sre_space_adapters::bus::buffered::Buffered;
use sre_space_adapters::bus::kafka::{self, KafkaBus};
use sre_space_adapters::bus::local::LocalBus;
use sre_space_adapters::bus::redis::{self, RedisBus};
use sre_space_adapters::database::Database;
use sre_space_adapters::ledger::SqlLedger;
use sre_space_adapters::llm::openai::{self, OpenAi};
use sre_space_adapters::policy::{CedarPolicy, texts_in};
use sre_space_adapters::probe::HttpProber;
use sre_space_adapters::store::sql::SqlStore;
use sre_space_adapters::upstream::{Upstream, UpstreamStatus};
use sre_space_agents::brain::Adviser;
use sre_space_domain::plain;
use sre_space_domain::seal::SealKey;
use sre_space_ports::bus::{Bus, BusError};
use sre_space_ports::forge::{Changes, Issues, Repository};
use sre_space_ports::memory::{Memory, Recollection};
use sre_space_ports::policy::Policy;
use sre_space_ports::probe::Prober;
use sre_space_ports::store::{Store, StoreError};

pub use self::memory::{look_at_memory, memory, reembed};
use super::forge::Forged;
use crate::config::{self, Settings};

/// Batches of spans that may wait for Scout; a batch is at most 4 MiB.
const BUS_CAPACITY: usize = 256;
/// Payload that is held while the server behind the bus is away, bytes.
const BUS_HELD_BYTES: usize = 32 * 1024 * 1024;
/// And messages, where the client counts them.
const BUS_HELD_MESSAGES: usize = 10_000;
/// What another consumer has not acknowledged for so long is taken over.
const BUS_IDLE: Duration = Duration::from_secs(30);

/// The backends behind the ports.
#[derive(Clone)]
pub struct Parts {
    /// Journal and incidents.
    pub store: Arc<dyn Store>,
    /// Bus.
    pub bus: Arc<dyn Bus>,
    /// Reads the watched repository.
    pub repository: Arc<dyn Repository>,
    /// Writes it; Fixer's.
    pub changes: Arc<dyn Changes>,
    /// Tickets.
    pub issues: Arc<dyn Issues>,
    /// Reads the memory.
    pub recollection: Arc<dyn Recollection>,
    /// Writes it; Curator's.
    pub memory: Arc<dyn Memory>,
    /// What lessons are sealed with.
    pub seal: SealKey,
    /// Rules.
    pub policy: Arc<dyn Policy>,
    /// Probes.
    pub prober: Arc<dyn Prober>,
    /// A model, and what it may cost; `None` where rules go alone.
    pub adviser: Option<Arc<Adviser>>,
    /// Everybody else's servers that are called, each with its breaker.
    pub upstreams: Vec<Arc<Upstream>>,
}

impl Parts {
    /// Opens every backend the settings name.
    pub async fn open(settings: &Settings) -> Result<Self> {
        std::fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("cannot create the data directory {}", settings.data_dir.display()))?;
        sre_space_tls::install();
        let database = database(settings).await?;
        let store = Arc::new(SqlStore::new(Arc::clone(&database)));
        let remembering = memory::open(settings, Arc::clone(&database)).await?;
        let forge = Forged::open(settings).await?;
        let (adviser, model) = adviser(settings, database)?.unzip();
        Ok(Self {
            store,
            bus: bus(settings).await?,
            policy: forge.bound(Arc::new(policies(settings.policy_dir.as_deref())?)),
            repository: forge.repository,
            changes: forge.changes,
            issues: forge.issues,
            recollection: remembering.recollection,
            memory: remembering.memory,
            seal: memory::seal(settings)?,
            prober: Arc::new(HttpProber::new()?),
            adviser,
            upstreams: forge.upstream.into_iter().chain(model).chain(remembering.upstreams).collect(),
        })
    }

    /// What is known of every upstream.
    pub fn breakers(&self) -> Vec<UpstreamStatus> {
        self.upstreams.iter().map(|upstream| upstream.status()).collect()
    }
}

/// The database with journal, incidents and embedded memory.
pub(super) async fn database(settings: &Settings) -> Result<Arc<Database>> {
    match &settings.database {
        config::Database::Sqlite(path) => {
            Database::sqlite(path).await.with_context(|| format!("cannot open the journal {}", path.display()))
        }
        config::Database::Postgres(url) => Database::postgres(url).await.with_context(|| {
            let url = config::without_password(url);
            format!("cannot use the database {url}: start it, or leave DATABASE_URL out for a file in the data folder")
        }),
    }
}

/// What the Postgres server of a URL says of itself, to look at.
pub async fn look_at_postgres(url: &str) -> Result<String, StoreError> {
    Database::look(url).await
}

/// The bus. One that is not there at the start is an error, unless a bus inside this process may stand in.
async fn bus(settings: &Settings) -> Result<Arc<dyn Bus>> {
    let (found, named) = match &settings.bus {
        config::Bus::Local => return Ok(Arc::new(LocalBus::new(BUS_CAPACITY))),
        config::Bus::Redis { url } => (redis_bus(url).await.map(in_front_of), Server::redis(url)),
        config::Bus::Kafka { brokers, security } => {
            let bus = KafkaBus::connect(kafka_terms(brokers, security, &settings.data_dir)).await;
            (bus.map(|bus| Arc::new(bus) as Arc<dyn Bus>), Server::kafka(brokers))
        }
    };
    let Server { what, setting } = named;
    match found {
        Ok(bus) => Ok(bus),
        Err(error) if settings.bus_fallback => {
            let why = format!("{what} was not there at the start ({error}); messages stay in this process");
            tracing::warn!("{why}");
            Ok(Arc::new(LocalBus::standing_in(BUS_CAPACITY, why)))
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

/// What Redis cannot take right now is held; Kafka's client does that by itself.
fn in_front_of(redis: RedisBus) -> Arc<dyn Bus> {
    Arc::new(Buffered::new(Arc::new(redis), BUS_HELD_BYTES))
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

/// The watched repository, to look at, and what it is.
pub async fn repository(settings: &Settings) -> Result<(Arc<dyn Repository>, String)> {
    let forge = Forged::open(settings).await?;
    Ok((forge.repository, forge.about))
}

fn model(model: &config::Model) -> Result<OpenAi> {
    let terms = openai::Terms {
        base_url: model.base_url.clone(),
        key: model.key.as_ref().map(|key| key.reveal().to_owned()),
        model: model.name.clone(),
        concurrency: model.concurrency,
    };
    Ok(OpenAi::new(terms)?)
}

/// The model with its books, and its breaker.
fn adviser(settings: &Settings, database: Arc<Database>) -> Result<Option<(Arc<Adviser>, Arc<Upstream>)>> {
    let Some(named) = &settings.model else { return Ok(None) };
    let llm = model(named)?;
    let upstream = llm.upstream();
    if let Some(note) = named.unbounded() {
        tracing::warn!("{note}");
    }
    let adviser = Adviser {
        llm: Arc::new(llm),
        ledger: Arc::new(SqlLedger::new(database)),
        limits: named.limits,
        prices: named.prices,
        answer_tokens: named.answer_tokens,
    };
    Ok(Some((Arc::new(adviser), upstream)))
}

/// What the server of the model says of itself, or what is wrong with it and which setting to look at.
pub async fn look_at_model(settings: &Settings) -> Result<String, String> {
    let Some(named) = &settings.model else {
        return Ok("none: Brain goes by rules alone; OPENAI_MODEL names one".to_owned());
    };
    let (model, at) = (model(named).map_err(|error| error.to_string())?, config::without_password(&named.base_url));
    let listed = model.models().await;
    let listed =
        listed.map_err(|error| format!("{at}: {error}; start it, or mend OPENAI_BASE_URL and OPENAI_API_KEY"))?;
    let note = named.unbounded().map_or_else(String::new, |note| format!("; {note}"));
    match listed {
        Some(names) if names.contains(&named.name) => Ok(format!("{} at {at}{note}", named.name)),
        Some(names) => {
            let some: Vec<String> = names.iter().take(5).map(|name| plain::bare_name(name)).collect();
            Err(format!("{at} has no {}: set OPENAI_MODEL to what it has, such as {}", named.name, some.join(", ")))
        }
        None => Ok(format!("{at} answers and lists no models; {} is not looked for{note}", named.name)),
    }
}

/// The policies in force: the baseline that nothing overrides, with the built-in permits or the operator's folder.
pub fn policies(dir: Option<&Path>) -> Result<CedarPolicy> {
    let schema = include_str!("../../policies/schema.cedarschema");
    let baseline = ("baseline.cedar", include_str!("../../policies/baseline.cedar"));
    let Some(dir) = dir else {
        let permits = ("remediation.cedar", include_str!("../../policies/remediation.cedar"));
        return Ok(CedarPolicy::from_texts(schema, &[baseline, permits])?);
    };
    let refused = || format!("the policies in {} are refused", dir.display());
    let theirs = texts_in(dir).with_context(refused)?;
    let theirs =
        theirs.iter().map(|(name, text)| (name.as_str(), text.as_str())).filter(|(name, _)| *name != baseline.0);
    let texts: Vec<(&str, &str)> = theirs.chain([baseline]).collect();
    CedarPolicy::from_texts(schema, &texts).with_context(refused)
}
