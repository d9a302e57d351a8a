//! The backends behind the ports: the one list of what exists.

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
use sre_space_adapters::forge::local::LocalForge;
use sre_space_adapters::memory::embedded::EmbeddedMemory;
use sre_space_adapters::notify::log::LogNotifier;
use sre_space_adapters::notify::pagerduty::PagerDuty;
use sre_space_adapters::notify::slack::{SlackBot, SlackWebhook};
use sre_space_adapters::notify::smtp::Smtp;
use sre_space_adapters::notify::webhook::Webhook;
use sre_space_adapters::policy::{CedarPolicy, texts_in};
use sre_space_adapters::probe::HttpProber;
use sre_space_adapters::store::sql::SqlStore;
use sre_space_adapters::upstream::{Upstream, UpstreamStatus};
use sre_space_ports::bus::{Bus, BusError};
use sre_space_ports::forge::{Changes, Issues, Repository};
use sre_space_ports::memory::{Memory, Recollection};
use sre_space_ports::notify::Notifier;
use sre_space_ports::policy::Policy;
use sre_space_ports::probe::Prober;
use sre_space_ports::store::{Store, StoreError};

use crate::config::{self, Channels, Settings};

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
    /// Rules.
    pub policy: Arc<dyn Policy>,
    /// Probes.
    pub prober: Arc<dyn Prober>,
    /// Where people are told.
    pub notifiers: Vec<Arc<dyn Notifier>>,
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
        let memory = Arc::new(EmbeddedMemory::open(database).await?);
        let forge = forge(settings)?;
        let mut upstreams = Vec::new();
        Ok(Self {
            store,
            bus: bus(settings).await?,
            repository: forge.clone(),
            changes: forge.clone(),
            issues: forge,
            recollection: memory.clone(),
            memory,
            policy: Arc::new(policies(settings.policy_dir.as_deref())?),
            prober: Arc::new(HttpProber::new()?),
            notifiers: notifiers(&settings.channels, &mut upstreams)?,
            upstreams,
        })
    }

    /// What is known of every upstream.
    pub fn breakers(&self) -> Vec<UpstreamStatus> {
        self.upstreams.iter().map(|upstream| upstream.status()).collect()
    }
}

/// The database with journal, incidents and embedded memory.
async fn database(settings: &Settings) -> Result<Arc<Database>> {
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
            let bus = kafka_bus(brokers, security, &settings.data_dir).await;
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

async fn kafka_bus(brokers: &str, security: &BTreeMap<String, String>, folder: &Path) -> Result<KafkaBus, BusError> {
    let terms = kafka::Terms {
        brokers: brokers.to_owned(),
        security: security.clone().into_iter().collect(),
        held_messages: BUS_HELD_MESSAGES,
        held_bytes: BUS_HELD_BYTES,
        folder: folder.to_owned(),
    };
    KafkaBus::connect(terms).await
}

/// What the server of the bus says of itself, or what is wrong with it and which setting to look at.
pub async fn look_at_bus(settings: &Settings) -> Result<String, String> {
    let (asked, Server { what, setting }) = match &settings.bus {
        config::Bus::Local => return Ok("inside the process".to_owned()),
        config::Bus::Redis { url } => {
            let asked = async { redis_bus(url).await?.version().await };
            (asked.await, Server::redis(url))
        }
        config::Bus::Kafka { brokers, security } => {
            let asked = async { kafka_bus(brokers, security, &settings.data_dir).await?.version().await };
            (asked.await, Server::kafka(brokers))
        }
    };
    match asked {
        Ok(version) => Ok(format!("{what}: {version}")),
        Err(error) => Err(format!("{what}: {error}; start it or mend {setting}")),
    }
}

fn forge(settings: &Settings) -> Result<Arc<LocalForge>> {
    let Some(repo) = settings.repo.as_deref() else {
        bail!("no watched repository: set SRE_SPACE_REPO to a bare git repository, or try `sre-space demo`");
    };
    let monitor = format!("http://{}", settings.http);
    LocalForge::open(repo, "main", &monitor).with_context(|| format!("cannot open the repository {}", repo.display()))
}

/// Where people are told: the log always, and what is set. Each has a breaker.
fn notifiers(channels: &Channels, upstreams: &mut Vec<Arc<Upstream>>) -> Result<Vec<Arc<dyn Notifier>>> {
    let mut all: Vec<Arc<dyn Notifier>> = vec![Arc::new(LogNotifier)];
    let mut upstream = |name| {
        let upstream = Upstream::new(name);
        upstreams.push(Arc::clone(&upstream));
        upstream
    };
    match &channels.slack {
        Some(config::Slack::Bot { token, channel, api }) => {
            all.push(Arc::new(SlackBot::new(api, (token.clone(), channel.clone()), upstream("slack"))?));
        }
        Some(config::Slack::Webhook(url)) => all.push(Arc::new(SlackWebhook::new(url.clone(), upstream("slack"))?)),
        None => {}
    }
    if let Some(pager) = &channels.pagerduty {
        all.push(Arc::new(PagerDuty::new(&pager.api, pager.routing_key.clone(), upstream("pagerduty"))?));
    }
    if let Some(mail) = &channels.mail {
        all.push(Arc::new(Smtp::new(&mail.url, &mail.from, &mail.to, upstream("mail"))?));
    }
    if let Some(hook) = &channels.webhook {
        all.push(Arc::new(Webhook::new(hook.url.clone(), &hook.secret, upstream("webhook"))?));
    }
    Ok(all)
}

/// What each channel says of itself, asked without telling anybody; or what is wrong, and which setting to look at.
pub async fn look_at_channels(channels: &Channels) -> Vec<(&'static str, Result<String, String>)> {
    let all = match notifiers(channels, &mut Vec::new()) {
        Ok(all) => all,
        Err(error) => return vec![("notices", Err(format!("{error:#}")))],
    };
    let mut found = Vec::new();
    for channel in all {
        let mend = match channel.name() {
            "slack" => "mend SLACK_BOT_TOKEN, SLACK_CHANNEL or SLACK_WEBHOOK_URL",
            "mail" => "start the server or mend SMTP_URL",
            _ => "mend its settings",
        };
        found.push((channel.name(), channel.look().await.map_err(|error| format!("{error}; {mend}"))));
    }
    found
}

/// The watched repository, to look at.
pub fn repository(settings: &Settings) -> Result<Arc<dyn Repository>> {
    Ok(forge(settings)?)
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
