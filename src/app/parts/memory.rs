//! The incident memory's backends: where lessons are kept, what makes their vectors, what they are sealed with.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sre_space_adapters::database::Database;
use sre_space_adapters::guard::Guard;
use sre_space_adapters::memory::embedded::EmbeddedMemory;
use sre_space_adapters::memory::embedder::{Embedder, Lexical};
use sre_space_adapters::memory::qdrant::{Address, QdrantMemory};
use sre_space_adapters::memory::remote::{Endpoint, RemoteEmbedder};
use sre_space_adapters::seal_file;
use sre_space_adapters::upstream::Upstream;
use sre_space_domain::seal::SealKey;
use sre_space_ports::around::Wrapped;
use sre_space_ports::memory::{Memory, Recollection};

use super::database;
use crate::config::{self, Embeddings, Settings};

/// The key that lessons are sealed with, in the data folder.
const KEY_FILE: &str = "memory.key";

/// An open memory.
pub(super) struct Remembering {
    pub recollection: Arc<dyn Recollection>,
    pub memory: Arc<dyn Memory>,
    pub upstreams: Vec<Arc<Upstream>>,
}

/// The memory the settings name.
pub(super) async fn open(settings: &Settings, database: Arc<Database>, guard: Option<&Guard>) -> Result<Remembering> {
    let (embedder, mut upstreams) = embedder(settings).await?;
    let Some(qdrant) = &settings.memory.qdrant else {
        let memory: Arc<dyn Memory> = Arc::new(EmbeddedMemory::open(database, embedder).await?);
        let memory = match guard {
            Some(guard) => Arc::new(Wrapped::new(memory, guard.clone())),
            None => memory,
        };
        return Ok(Remembering { recollection: memory.clone(), memory, upstreams });
    };
    let memory = QdrantMemory::open(&address(qdrant), embedder).await.with_context(|| {
        let url = config::without_password(&qdrant.url);
        format!("cannot use the memory, Qdrant at {url}: start it, or leave QDRANT_URL out for the embedded one")
    })?;
    upstreams.push(memory.upstream());
    let memory = Arc::new(memory);
    Ok(Remembering { recollection: memory.clone(), memory, upstreams })
}

fn address(qdrant: &config::Qdrant) -> Address {
    Address { url: qdrant.url.clone(), api_key: qdrant.api_key.as_ref().map(|key| key.bare().to_owned()) }
}

async fn embedder(settings: &Settings) -> Result<(Arc<dyn Embedder>, Vec<Arc<Upstream>>)> {
    let (base_url, api_key, model) = match &settings.memory.embeddings {
        Embeddings::Lexical => return Ok((Arc::new(Lexical::default()), Vec::new())),
        Embeddings::Files(folder) => return Ok((sentence_model(folder).await?, Vec::new())),
        Embeddings::Remote { base_url, api_key, model } => (base_url, api_key, model),
    };
    let api_key = api_key.as_ref().map(|key| key.bare().to_owned());
    let endpoint = Endpoint { base_url: base_url.clone(), api_key, model: model.clone() };
    let embedder = RemoteEmbedder::connect(endpoint).await.with_context(|| {
        let url = config::without_password(base_url);
        format!("cannot use {model} at {url}: mend OPENAI_BASE_URL, or leave OPENAI_EMBEDDING_MODEL out")
    })?;
    let upstream = embedder.upstream();
    Ok((Arc::new(embedder), vec![upstream]))
}

#[cfg(feature = "local-embedder")]
async fn sentence_model(folder: &Path) -> Result<Arc<dyn Embedder>> {
    use sre_space_adapters::memory::sentence::SentenceModel;
    let model = SentenceModel::open(folder).await.with_context(|| {
        let folder = folder.display();
        format!("cannot use the files in {folder}: mend SRE_SPACE_EMBEDDING_FILES, or leave it out")
    })?;
    Ok(Arc::new(model))
}

#[cfg(not(feature = "local-embedder"))]
async fn sentence_model(folder: &Path) -> Result<Arc<dyn Embedder>> {
    anyhow::bail!("the files in {} take a build with `--features local-embedder`", folder.display())
}

/// The key that lessons are sealed with.
pub(super) fn seal(settings: &Settings) -> Result<SealKey> {
    match &settings.memory.key {
        Some(key) => Ok(SealKey::try_from(key.bare())?),
        None => Ok(seal_file::open(&settings.data_dir.join(KEY_FILE))?),
    }
}

/// The memory alone, for commands that need nothing else.
pub async fn memory(settings: &Settings) -> Result<Arc<dyn Memory>> {
    std::fs::create_dir_all(&settings.data_dir)?;
    sre_space_tls::install();
    let Some(qdrant) = &settings.memory.qdrant else {
        let opened = open(settings, database(settings).await?, None).await?;
        return Ok(opened.memory);
    };
    let (embedder, _) = embedder(settings).await?;
    Ok(Arc::new(QdrantMemory::open(&address(qdrant), embedder).await?))
}

/// Makes the vectors of every lesson anew with the configured embedder; answers how many there are.
pub async fn reembed(settings: &Settings) -> Result<u64> {
    std::fs::create_dir_all(&settings.data_dir)?;
    sre_space_tls::install();
    let (embedder, _) = embedder(settings).await?;
    match &settings.memory.qdrant {
        Some(qdrant) => Ok(QdrantMemory::reembed(&address(qdrant), embedder.as_ref()).await?),
        None => {
            let database = database(settings).await?;
            Ok(EmbeddedMemory::reembed(&database, embedder.as_ref()).await? as u64)
        }
    }
}

/// What the memory's servers say of themselves, or what is wrong and which setting to look at.
pub async fn look_at_memory(settings: &Settings) -> Result<String, String> {
    sre_space_tls::install();
    if settings.data_dir.join(KEY_FILE).exists() {
        seal(settings).map_err(|error| format!("{error:#}"))?;
    }
    let (embedder, _) = embedder(settings).await.map_err(|error| format!("{error:#}"))?;
    let kind = embedder.kind();
    let Some(qdrant) = &settings.memory.qdrant else { return Ok(format!("beside the journal; vectors {kind}")) };
    let url = config::without_password(&qdrant.url);
    match QdrantMemory::look(&address(qdrant), embedder.as_ref()).await {
        Ok(told) => Ok(format!("Qdrant {told} at {url}; vectors {kind}")),
        Err(error) => Err(format!("Qdrant at {url}: {error}; start it or mend QDRANT_URL")),
    }
}
