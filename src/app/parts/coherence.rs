//! Where signal summaries come from, and where their figures are kept.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use sre_space_adapters::rolling::{CsvStore, SqliteStore};
use sre_space_adapters::summary::{Connection, Darshan, Recording, Retries};
use sre_space_adapters::upstream::Upstream;
use sre_space_coherence::window::Window;
use sre_space_ports::rolling::Rolling;
use sre_space_ports::summary::{Asking, Summaries};

use crate::config::{Coherence, Persistence, Settings};

/// What is waited before a request to Darshan is sent a second time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The parts of the Data Coherence Engine.
#[derive(Clone, Default)]
pub struct Coherent {
    /// Where summaries come from; `None` where nothing is set.
    pub summaries: Option<Arc<dyn Summaries>>,
    /// Where figures are kept; `None`: nowhere.
    pub rolling: Option<Arc<dyn Rolling>>,
    /// Darshan's breaker.
    pub upstream: Option<Arc<Upstream>>,
}

/// Opens what the settings name. A recording takes Darshan's place.
pub(super) async fn open(settings: &Settings) -> Result<Coherent> {
    let (summaries, upstream) = summaries(&settings.coherence)?;
    let rolling: Option<Arc<dyn Rolling>> = match settings.coherence.persistence {
        Persistence::Nowhere => None,
        Persistence::Csv => Some(Arc::new(CsvStore::in_folder(&settings.data_dir))),
        Persistence::Sqlite => {
            let opened = SqliteStore::in_folder(&settings.data_dir).await;
            let where_it_is = || format!("PERSISTENCE=sqlite in {}", settings.data_dir.display());
            Some(Arc::new(opened.with_context(where_it_is)?))
        }
    };
    Ok(Coherent { summaries, rolling, upstream })
}

type Open = (Option<Arc<dyn Summaries>>, Option<Arc<Upstream>>);

pub(super) fn summaries(settings: &Coherence) -> Result<Open> {
    if let Some(path) = &settings.mock {
        return Ok((Some(Arc::new(Recording::new(path.clone()).read_ahead())), None));
    }
    let Some(set) = &settings.darshan else { return Ok((None, None)) };
    let darshan = Darshan::new(Connection {
        base_url: set.base_url.clone(),
        api_key: set.api_key.clone(),
        timeout: set.timeout,
        page_size: set.page_size,
        retries: Retries { most: set.max_retries, first_wait: FIRST_WAIT },
    })?;
    let upstream = darshan.upstream();
    Ok((Some(Arc::new(darshan)), Some(upstream)))
}

/// What the source of summaries tells of the last hour.
pub async fn look_at_summaries(settings: &Settings) -> Result<String, String> {
    let (summaries, _) = summaries(&settings.coherence).map_err(|error| format!("{error:#}"))?;
    let Some(source) = summaries else {
        return Ok("none: set DARSHAN_BASE_URL, or MOCK_PATH, for the Data Coherence Engine".to_owned());
    };
    let asking = Asking { window: Window::HOUR, now: Timestamp::now(), request_id: "doctor" };
    let told = source.latest(asking).await.map_err(|error| error.to_string())?;
    let (records, refused) = (told.within(Window::HOUR).len(), told.refused_rows);
    Ok(format!("{}: {records} records in the newest hour, {refused} rows refused", source.name()))
}
