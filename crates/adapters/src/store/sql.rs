//! Journal and incidents in SQL. SQLite with a write-ahead log, synced at every commit.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, Sqlite, Transaction};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::journal::{Draft, Entry};
use sre_space_domain::knowledge::{RemedyKey, TrackRecord};
use sre_space_ports::store::{Filter, OutcomeRow, Record, Store, StoreError, Write};

/// Most rows of one answer.
const MOST_ROWS: u32 = 1_000;

/// Version of the tables below, kept in the file as `user_version`.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, unfinished BIGINT NOT NULL, record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS incidents_unfinished ON incidents (unfinished, id);
CREATE TABLE IF NOT EXISTS journal (
    seq BIGINT PRIMARY KEY, incident TEXT, entry TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_incident ON journal (incident, seq);
CREATE TABLE IF NOT EXISTS outcomes (
    incident TEXT NOT NULL, attempt BIGINT NOT NULL, remedy TEXT NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,
    verified BIGINT NOT NULL, PRIMARY KEY (incident, attempt)
);
PRAGMA user_version = 1;
";

/// The SQL store.
pub struct SqlStore {
    /// One connection: writes follow each other, so that sequence numbers have no gaps.
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held for as long as the store lives: a second control plane on the same directory is refused.
    _lock: Arc<File>,
}

impl SqlStore {
    /// Opens or creates the store at `path`; `Taken` when another process has it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(&path.with_extension("lock"))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = |most| SqlitePoolOptions::new().max_connections(most);
        let writer = pool(1).connect_with(options.clone()).await.map_err(backend)?;
        check_version(&writer).await?;
        sqlx::raw_sql(SCHEMA).execute(&writer).await.map_err(backend)?;
        let readers = pool(4).connect_with(options).await.map_err(backend)?;
        Ok(Self { writer, readers, _lock: Arc::new(lock) })
    }
}

/// A file without tables is new; one with tables has to be of our version.
async fn check_version(writer: &SqlitePool) -> Result<(), StoreError> {
    let number = |query: &'static str| sqlx::query_scalar::<_, i64>(query).fetch_one(writer);
    let tables = number("SELECT count(*) FROM sqlite_master WHERE type = 'table'").await.map_err(backend)?;
    let found = number("PRAGMA user_version").await.map_err(backend)?;
    if tables > 0 && found != VERSION {
        return Err(StoreError::Version { found, wanted: VERSION });
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = File::create(path).map_err(|error| StoreError::Backend(Box::new(error)))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Taken),
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::Backend(Box::new(error))),
    }
}

fn backend(error: sqlx::Error) -> StoreError {
    StoreError::Backend(Box::new(error))
}

fn text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::Corrupt)
}

/// An enum's own word, without the quotes of its JSON.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(text(value)?.trim_matches('"').to_owned())
}

fn read<T: DeserializeOwned>(column: &str, row: &sqlx::sqlite::SqliteRow) -> Result<T, StoreError> {
    let stored: String = row.try_get(column).map_err(backend)?;
    serde_json::from_str(&stored).map_err(StoreError::Corrupt)
}

fn bounded(limit: u32) -> u32 {
    if limit == 0 { MOST_ROWS } else { limit.min(MOST_ROWS) }
}

async fn put_record(to: &mut Transaction<'_, Sqlite>, record: &Record) -> Result<(), StoreError> {
    let state = word(&record.incident.state)?;
    sqlx::query(
        "INSERT INTO incidents (id, state, unfinished, record) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET
             state = excluded.state, unfinished = excluded.unfinished, record = excluded.record",
    )
    .bind(record.incident.id.as_str())
    .bind(state)
    .bind(i64::from(record.is_unfinished()))
    .bind(text(record)?)
    .execute(&mut **to)
    .await
    .map_err(backend)?;
    Ok(())
}

async fn put_rows(to: &mut Transaction<'_, Sqlite>, rows: Vec<Draft>) -> Result<Vec<Entry>, StoreError> {
    let last: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM journal").fetch_one(&mut **to).await.map_err(backend)?;
    let mut entries = Vec::with_capacity(rows.len());
    for (row, seq) in rows.into_iter().zip(last + 1..) {
        let entry = Entry { seq: seq.unsigned_abs(), row };
        sqlx::query("INSERT INTO journal (seq, incident, entry) VALUES (?1, ?2, ?3)")
            .bind(seq)
            .bind(entry.row.incident.as_ref().map(IncidentId::as_str))
            .bind(text(&entry)?)
            .execute(&mut **to)
            .await
            .map_err(backend)?;
        entries.push(entry);
    }
    Ok(entries)
}

async fn put_outcome(to: &mut Transaction<'_, Sqlite>, row: &OutcomeRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outcomes (incident, attempt, remedy, kind, service, verified) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (incident, attempt) DO UPDATE SET verified = excluded.verified",
    )
    .bind(row.incident.as_str())
    .bind(i64::from(row.attempt))
    .bind(&row.key.remedy)
    .bind(row.key.kind.as_str())
    .bind(&row.key.service)
    .bind(i64::from(row.verified))
    .execute(&mut **to)
    .await
    .map_err(backend)?;
    Ok(())
}

#[async_trait]
impl Store for SqlStore {
    async fn commit(&self, write: Write) -> Result<Vec<Entry>, StoreError> {
        // The first statement takes the write lock, so that the number read below is still the last one.
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(backend)?;
        if let Some(record) = &write.record {
            put_record(&mut transaction, record).await?;
        }
        if let Some(outcome) = &write.outcome {
            put_outcome(&mut transaction, outcome).await?;
        }
        let entries = put_rows(&mut transaction, write.rows).await?;
        transaction.commit().await.map_err(backend)?;
        Ok(entries)
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Record>, StoreError> {
        let query = sqlx::query("SELECT record FROM incidents WHERE id = ?1").bind(id.as_str());
        let row = query.fetch_optional(&self.readers).await.map_err(backend)?;
        row.map(|row| read("record", &row)).transpose()
    }

    async fn unfinished(&self) -> Result<Vec<Record>, StoreError> {
        let query = sqlx::query("SELECT record FROM incidents WHERE unfinished = 1 ORDER BY id");
        let rows = query.fetch_all(&self.readers).await.map_err(backend)?;
        rows.iter().map(|row| read("record", row)).collect()
    }

    async fn incidents(&self, filter: Filter) -> Result<Vec<Record>, StoreError> {
        let state = filter.state.map(|state| word(&state)).transpose()?;
        let rows = sqlx::query(
            "SELECT record FROM incidents WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR id < ?2)
             ORDER BY id DESC LIMIT ?3",
        )
        .bind(state)
        .bind(filter.after.as_ref().map(IncidentId::as_str))
        .bind(i64::from(bounded(filter.limit)))
        .fetch_all(&self.readers)
        .await
        .map_err(backend)?;
        rows.iter().map(|row| read("record", row)).collect()
    }

    async fn journal(&self, after: u64, limit: u32, incident: Option<&IncidentId>) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry FROM journal WHERE seq > ?1 AND (?2 IS NULL OR incident = ?2) ORDER BY seq LIMIT ?3",
        )
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(incident.map(IncidentId::as_str))
        .bind(i64::from(bounded(limit)))
        .fetch_all(&self.readers)
        .await
        .map_err(backend)?;
        rows.iter().map(|row| read("entry", row)).collect()
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>("SELECT COALESCE(MAX(seq), 0) FROM journal");
        query.fetch_one(&self.readers).await.map(i64::unsigned_abs).map_err(backend)
    }

    async fn track_record(&self, key: &RemedyKey) -> Result<TrackRecord, StoreError> {
        let query = "SELECT COALESCE(SUM(verified), 0), COALESCE(SUM(1 - verified), 0) FROM outcomes
                     WHERE remedy = ?1 AND kind = ?2 AND service = ?3";
        let (verified, failed): (i64, i64) = sqlx::query_as(query)
            .bind(&key.remedy)
            .bind(key.kind.as_str())
            .bind(&key.service)
            .fetch_one(&self.readers)
            .await
            .map_err(backend)?;
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(TrackRecord { verified: count(verified), failed: count(failed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_another_version_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal.db");
        drop(SqlStore::open(&path).await.expect("a new file"));
        drop(SqlStore::open(&path).await.expect("our own file"));
        let options = SqliteConnectOptions::new().filename(&path);
        let pool = SqlitePoolOptions::new().connect_with(options).await.expect("opened");
        sqlx::query("PRAGMA user_version = 9").execute(&pool).await.expect("written");
        pool.close().await;
        let refused = SqlStore::open(&path).await.err();
        assert!(matches!(refused, Some(StoreError::Version { found: 9, wanted: VERSION })), "{refused:?}");
    }
}
