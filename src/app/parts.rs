//! The backends behind the ports: the one list of what exists.

mod bus;
mod coherence;
mod forge;
mod hosts;
mod memory;
mod model;
mod notices;
mod signals;
mod source;
mod sources;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sre_space_adapters::database::Database;
use sre_space_adapters::guard::Guard;
use sre_space_adapters::policy::{CedarPolicy, texts_in};
use sre_space_adapters::probe::HttpProber;
use sre_space_adapters::store::sql::SqlStore;
use sre_space_adapters::upstream::{Upstream, UpstreamStatus};
use sre_space_agents::brain::Adviser;
use sre_space_domain::seal::SealKey;
use sre_space_ports::around::Wrapped;
use sre_space_ports::bus::Bus;
use sre_space_ports::forge::{Changes, Issues, Repository};
use sre_space_ports::memory::{Memory, Recollection};
use sre_space_ports::notify::Notifier;
use sre_space_ports::policy::Policy;
use sre_space_ports::probe::Prober;
use sre_space_ports::signals::SignalStore;
use sre_space_ports::source::Source;
use sre_space_ports::store::{Store, StoreError};

pub use self::bus::look_at_bus;
pub use self::coherence::Coherent;
pub use self::coherence::look_at_summaries;
use self::forge::Forged;
pub(in crate::app) use self::hosts::hire_sentinel;
pub use self::hosts::{Heard, watched};
pub use self::memory::{look_at_memory, memory, reembed};
pub use self::model::look_at_model;
pub use self::notices::look_at_channels;
pub use self::signals::{SIGNAL_TABLES, look_at_signals, signals};
pub use self::source::csv_rows;
use self::source::source;
pub use self::sources::{Sourced, look_at_sources, metric_source};
use crate::config::{self, Settings};

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
    /// Where people are told.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Measurements, events and past incidents.
    pub signals: Arc<dyn SignalStore>,
    /// Metrics of others that the patrol reads.
    pub sources: Vec<Arc<dyn Source>>,
    /// Where signal summaries come from and their figures are kept.
    pub coherence: Coherent,
    /// The servers that are called, each with its breaker.
    pub upstreams: Vec<Arc<Upstream>>,
}

impl Parts {
    /// Opens every backend the settings name.
    pub async fn open(settings: &Settings) -> Result<Self> {
        std::fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("cannot create the data directory {}", settings.data_dir.display()))?;
        sre_space_tls::install();
        let database = database(settings).await?;
        let guard = settings.database.is_server().then(|| Guard::of("database"));
        let store = guarded(Arc::new(SqlStore::new(Arc::clone(&database))), guard.as_ref());
        let remembering = memory::open(settings, Arc::clone(&database), guard.as_ref()).await?;
        let forge = Forged::open(settings).await?;
        let (bus, carrier) = bus::open(settings).await?;
        let (signals, remote) = signals::open(settings, &database, guard.as_ref())?;
        let (adviser, model) = model::adviser(settings, database)?.unzip();
        let (notifiers, channels) = notices::open(&settings.channels)?;
        let coherence = coherence::open(settings).await?;
        let (sources, sourced): (Vec<_>, Vec<_>) = sources::set_up(settings)?.into_iter().unzip();
        let (darshan, guard, github) =
            (coherence.upstream.clone(), guard.map(|guard| guard.upstream()), forge.upstream.clone());
        let servers = [darshan, guard, carrier, github, model, remote].into_iter().chain(sourced).flatten();
        Ok(Self {
            store,
            bus,
            policy: forge.bound(Arc::new(policies(settings.policy_dir.as_deref())?)),
            repository: forge.repository,
            changes: forge.changes,
            issues: forge.issues,
            recollection: remembering.recollection,
            memory: remembering.memory,
            seal: memory::seal(settings)?,
            prober: Arc::new(HttpProber::new()?),
            adviser,
            notifiers,
            signals,
            sources,
            coherence,
            upstreams: servers.chain(remembering.upstreams).chain(channels).collect(),
        })
    }

    /// What is known of every upstream.
    pub fn breakers(&self) -> Vec<UpstreamStatus> {
        self.upstreams.iter().map(|upstream| upstream.status()).collect()
    }
}

/// The store, behind the breaker of its server where it has one.
fn guarded(store: Arc<dyn Store>, guard: Option<&Guard>) -> Arc<dyn Store> {
    match guard {
        Some(guard) => Arc::new(Wrapped::new(store, guard.clone())),
        None => store,
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

/// The watched repository, to look at, and what it is.
pub async fn repository(settings: &Settings) -> Result<(Arc<dyn Repository>, String)> {
    let forge = Forged::open(settings).await?;
    Ok((forge.repository, forge.about))
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
