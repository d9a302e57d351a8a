//! Where signals are kept.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use sre_space_adapters::database::Database;
use sre_space_adapters::guard::Guard;
pub use sre_space_adapters::store::signals::POSTGRES_SCHEMA as SIGNAL_TABLES;
use sre_space_adapters::store::signals::SqlSignals;
use sre_space_adapters::store::supabase::SupabaseSignals;
use sre_space_adapters::upstream::Upstream;
use sre_space_coherence::event::moment;
use sre_space_ports::around::Wrapped;
use sre_space_ports::signals::SignalStore;

use crate::config::{Settings, Supabase, without_password};

/// A store, and the breaker of its server where it has one of its own.
type Open = (Arc<dyn SignalStore>, Option<Arc<Upstream>>);

/// The store of signals that the settings name, and where it is in a person's words.
pub async fn signals(settings: &Settings) -> Result<(Arc<dyn SignalStore>, String)> {
    if let Some(supabase) = &settings.supabase {
        return Ok((remote(supabase)?.0, format!("Supabase at {}", without_password(&supabase.url))));
    }
    std::fs::create_dir_all(&settings.data_dir)
        .with_context(|| format!("cannot create the data directory {}", settings.data_dir.display()))?;
    let at = match &settings.database {
        crate::config::Database::Sqlite(path) => path.display().to_string(),
        crate::config::Database::Postgres(url) => without_password(url),
    };
    Ok((Arc::new(SqlSignals::new(super::database(settings).await?)), at))
}

/// The same beside an open database, behind the breaker of its server; and the breaker of another server, where it is there.
pub(super) fn open(settings: &Settings, database: &Arc<Database>, guard: Option<&Guard>) -> Result<Open> {
    if let Some(supabase) = &settings.supabase {
        return remote(supabase).map(|(store, upstream)| (store, Some(upstream)));
    }
    let store: Arc<dyn SignalStore> = Arc::new(SqlSignals::new(Arc::clone(database)));
    Ok(match guard {
        Some(guard) => (Arc::new(Wrapped::new(store, guard.clone())), None),
        None => (store, None),
    })
}

/// What the Supabase project says when it is asked for its newest row; or what is wrong, and how to mend it.
pub async fn look_at_signals(settings: &Settings) -> Result<String, String> {
    let Some(supabase) = &settings.supabase else { return Ok("beside the journal".to_owned()) };
    let at = without_password(&supabase.url);
    let mend = "mend SUPABASE_URL or SUPABASE_KEY; its tables are made with what `sre-space simulate --schema` prints";
    let (store, _) = remote(supabase).map_err(|error| format!("{at}: {error:#}; {mend}"))?;
    match store.newest_ms().await {
        Ok(Some(at_ms)) => Ok(format!("Supabase at {at}; the newest row is of {}", moment(at_ms))),
        Ok(None) => Ok(format!("Supabase at {at}; no row yet")),
        Err(error) => Err(format!("{at}: {error}; {mend}")),
    }
}

/// The store of a Supabase project, and its breaker.
fn remote(supabase: &Supabase) -> Result<(Arc<dyn SignalStore>, Arc<Upstream>)> {
    let upstream = Upstream::new("supabase");
    let store = SupabaseSignals::new(&supabase.url, &supabase.key, Arc::clone(&upstream))?;
    Ok((Arc::new(store), upstream))
}
