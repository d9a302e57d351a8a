//! What the three services share: configuration, database, socket, end.

mod allowance;
mod history;
pub mod quote_engine;
mod quotes;
mod rating;
pub mod rating_provider;
pub mod web;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::process::READY;
use crate::{http, lifeline, telemetry};

/// Where a service's release and data are.
#[derive(Debug, clap::Args)]
pub struct Release {
    /// Checked-out release.
    #[arg(long)]
    pub release: PathBuf,
    /// Data folder.
    #[arg(long)]
    pub data: PathBuf,
}

impl Release {
    /// Reads a configuration file of the release.
    pub fn config<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.release.join("config").join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{} does not parse", path.display()))
    }
}

/// `database:` of a service's configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct Database {
    /// Connections at most.
    pub pool_size: u32,
    /// What a request waits for one at most, milliseconds.
    pub acquire_timeout_ms: u64,
}

/// A service ready to be served: its instrumented routes, and those that are not traced.
pub struct Service {
    /// Traced routes.
    pub traced: Router,
    /// Untraced routes.
    pub plain: Router,
}

/// Serves on the inherited socket until the parent lets go; finishes what was accepted and flushes its spans.
pub fn serve(service: impl Future<Output = Result<Service>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let released = lifeline::released();
        let provider = telemetry::start()?;
        let meter = telemetry::measure()?;
        let Service { traced, plain } = service.await?;
        let router =
            traced.layer(axum::middleware::from_fn(http::traced)).merge(plain).route("/healthz", get(async || "ok"));
        let socket = listenfd::ListenFd::from_env().take_tcp_listener(0)?.context("no socket was passed on")?;
        socket.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(socket)?;
        println!("{READY}");
        axum::serve(listener, router).with_graceful_shutdown(async { _ = released.await }).await?;
        if let Some(provider) = provider {
            tokio::task::spawn_blocking(move || provider.shutdown()).await??;
        }
        if let Some(meter) = meter {
            // Whoever would have listened may be gone by now, and the figures with them.
            _ = tokio::task::spawn_blocking(move || meter.shutdown()).await?;
        }
        Ok(())
    })
}

/// A client that opens a connection a call: a callee that is redeployed never leaves a stale one behind.
pub fn client() -> Result<reqwest::Client> {
    Ok(http::client().build()?)
}

/// Opens the marketplace's database, migrated to the release's state.
pub async fn database(release: &Release, settings: &Database) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(release.data.join("marketplace.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        // Statements use the indexes there are; none is made up while they run.
        .pragma("automatic_index", "off")
        .busy_timeout(Duration::from_secs(5));
    let one = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    migrate(&one, &release.release.join("migrations")).await?;
    one.close().await;
    let pool = SqlitePoolOptions::new()
        .max_connections(settings.pool_size)
        .acquire_timeout(Duration::from_millis(settings.acquire_timeout_ms))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    Ok(pool.connect_with(options).await?)
}

/// Applies the migrations that were not applied yet, in the order of their names.
pub async fn migrate(pool: &SqlitePool, folder: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY)")
        .execute(&mut *transaction)
        .await?;
    for file in files {
        let name = file.file_name().context("a file name")?.to_string_lossy().into_owned();
        let fresh = sqlx::query("INSERT INTO schema_migrations (name) VALUES (?1) ON CONFLICT DO NOTHING").bind(&name);
        if fresh.execute(&mut *transaction).await?.rows_affected() > 0 {
            let statements = std::fs::read_to_string(&file)?;
            let applied = sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *transaction).await;
            applied.with_context(|| format!("migration {name} does not apply"))?;
        }
    }
    Ok(transaction.commit().await?)
}
