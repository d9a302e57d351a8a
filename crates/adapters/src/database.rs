//! The SQL database of one control plane: SQLite in a file, or Postgres, with one schema and the same statements.
//!
//! One control plane owns it at a time. A second one is refused while the first lives: by a lock on the file, or by a session
//! lock of the server. Should the first be taken for dead while it is not, it is fenced off: every opening raises the epoch,
//! and every write begins by claiming the epoch its writer opened with.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _, SqlSafeStr as _, Transaction};
use sre_space_ports::store::StoreError;
use tokio::sync::Mutex;

use crate::store::signals::{POSTGRES_SCHEMA, shape};

/// Version of the newest migration.
pub(crate) const VERSION: i64 = 4;
/// Version of the migration that makes the tables of signals.
const SIGNALS: i64 = 4;
/// Name of the session lock: "sre-space" in ASCII, cut to eight bytes.
const SESSION_LOCK: i64 = 0x7372_652d_7370_6163;
/// Connections that read.
const READERS: u32 = 4;

/// What keeps a second control plane away for as long as it is held.
enum Hold {
    File { _lock: File },
    Session { _connection: Mutex<AnyConnection> },
}

/// What a few statements are spelled in twice for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// The database.
pub struct Database {
    writer: AnyPool,
    readers: AnyPool,
    epoch: i64,
    dialect: Dialect,
    _hold: Hold,
}

impl Database {
    /// Opens or creates the SQLite file at `path`; `Taken` when another process has it.
    pub async fn sqlite(path: &Path) -> Result<Arc<Self>, StoreError> {
        let hold = Hold::File { _lock: lock(&path.with_extension("lock"))? };
        let url = SqliteConnectOptions::new().filename(path).create_if_missing(true).to_url_lossy();
        Self::open(url.as_str(), Some("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"), hold).await
    }

    /// Opens the Postgres database of a URL; `Taken` when another control plane has it.
    pub async fn postgres(url: &str) -> Result<Arc<Self>, StoreError> {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(url).await.map_err(backend)?;
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(SESSION_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(backend)?;
        if !is_ours {
            return Err(StoreError::Taken);
        }
        Self::open(url, None, Hold::Session { _connection: Mutex::new(connection) }).await
    }

    async fn open(url: &str, each: Option<&'static str>, hold: Hold) -> Result<Arc<Self>, StoreError> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.parse().map_err(backend)?;
        let pool = |most| {
            AnyPoolOptions::new().max_connections(most).after_connect(move |connection, _| {
                Box::pin(async move {
                    if let Some(settings) = each {
                        sqlx::raw_sql(settings).execute(connection).await?;
                    }
                    Ok(())
                })
            })
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(backend)?;
        let dialect = match hold {
            Hold::File { .. } => Dialect::Sqlite,
            Hold::Session { .. } => Dialect::Postgres,
        };
        match dialect {
            Dialect::Sqlite => {}
            Dialect::Postgres => shape::fits(&writer).await?,
        }
        migrations(dialect).run(&writer).await.map_err(unmigrated)?;
        let raise = "INSERT INTO owner (id, epoch) VALUES (1, 1)
                     ON CONFLICT (id) DO UPDATE SET epoch = owner.epoch + 1 RETURNING epoch";
        let epoch = sqlx::query_scalar(raise).fetch_one(&writer).await.map_err(backend)?;
        let readers = pool(READERS).connect_with(options).await.map_err(backend)?;
        Ok(Arc::new(Self { writer, readers, epoch, dialect, _hold: hold }))
    }

    /// What a Postgres server says of itself, asked without claiming anything; an error where tables cannot be made there.
    pub async fn look(url: &str) -> Result<String, StoreError> {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(url).await.map_err(backend)?;
        let asked = "SELECT current_setting('server_version'), has_schema_privilege(current_schema(), 'CREATE')";
        let (version, may_create): (String, bool) =
            sqlx::query_as(asked).fetch_one(&mut connection).await.map_err(backend)?;
        match may_create {
            true => Ok(version),
            false => Err(StoreError::Backend("its user may not create tables: grant CREATE on the schema".into())),
        }
    }

    /// How it is spoken to.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where to read.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// Begins a write. Writes follow each other, since each begins by claiming the one row of the owner; `Taken` when another
    /// control plane has opened the database since.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let mut transaction = self.writer.begin().await.map_err(backend)?;
        let claim = sqlx::query("UPDATE owner SET epoch = epoch WHERE id = 1 AND epoch = $1").bind(self.epoch);
        let claimed = claim.execute(&mut *transaction).await.map_err(backend)?;
        if claimed.rows_affected() == 1 { Ok(transaction) } else { Err(StoreError::Taken) }
    }
}

fn migrations(dialect: Dialect) -> Migrator {
    let signals = match dialect {
        Dialect::Sqlite => include_str!("../migrations/0004_signals_sqlite.sql"),
        Dialect::Postgres => POSTGRES_SCHEMA,
    };
    let migration = |version: i64, what: &'static str, sql: &'static str| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "journal", include_str!("../migrations/0001_journal.sql")),
        migration(2, "model calls", include_str!("../migrations/0002_model_calls.sql")),
        migration(3, "vectors", include_str!("../migrations/0003_vectors.sql")),
        migration(SIGNALS, "signals", signals),
    ])
}

fn unmigrated(error: MigrateError) -> StoreError {
    if let MigrateError::VersionMissing(found) | MigrateError::VersionMismatch(found) = error {
        return StoreError::Version { found, wanted: VERSION };
    }
    if let MigrateError::ExecuteMigration(error, SIGNALS) = &error {
        return shape::unmade(error);
    }
    StoreError::Backend(Box::new(error))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = File::create(path).map_err(|error| StoreError::Backend(Box::new(error)))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Taken),
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::Backend(Box::new(error))),
    }
}

pub(crate) fn backend(error: sqlx::Error) -> StoreError {
    StoreError::Backend(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_another_version_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal.db");
        drop(Database::sqlite(&path).await.expect("a new file"));
        let database = Database::sqlite(&path).await.expect("our own file");
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                     VALUES (9, 'newer', 1, X'00', 0)";
        sqlx::raw_sql(newer).execute(&database.writer).await.expect("written");
        drop(database);
        let refused = Database::sqlite(&path).await.err();
        assert!(matches!(refused, Some(StoreError::Version { found: 9, wanted: VERSION })), "{refused:?}");
    }

    #[tokio::test]
    async fn whoever_was_followed_by_another_owner_writes_no_more() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal.db");
        let first = Database::sqlite(&path).await.expect("opened");
        assert!(matches!(Database::sqlite(&path).await.err(), Some(StoreError::Taken)));
        assert!(first.begin().await.is_ok());
        sqlx::raw_sql("UPDATE owner SET epoch = epoch + 1").execute(&first.writer).await.expect("another");
        assert!(matches!(first.begin().await.err(), Some(StoreError::Taken)));
    }
}
