//! Journal and incidents in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::journal::{Draft, Entry};
use sre_space_domain::knowledge::{RemedyKey, TrackRecord};
use sre_space_ports::store::{Filter, OutcomeRow, Record, Store, StoreError, Write};

use crate::database::{Database, backend};

/// Most rows of one answer.
const MOST_ROWS: u32 = 1_000;

/// The store on a [`Database`].
pub struct SqlStore {
    database: Arc<Database>,
}

impl SqlStore {
    /// The store on an open database.
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

fn text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::Corrupt)
}

/// An enum's own word, without the quotes of its JSON.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(text(value)?.trim_matches('"').to_owned())
}

fn read<T: DeserializeOwned>(column: &str, row: &AnyRow) -> Result<T, StoreError> {
    let stored: String = row.try_get(column).map_err(backend)?;
    serde_json::from_str(&stored).map_err(StoreError::Corrupt)
}

fn bounded(limit: u32) -> u32 {
    if limit == 0 { MOST_ROWS } else { limit.min(MOST_ROWS) }
}

async fn put_record(to: &mut Transaction<'_, Any>, record: &Record) -> Result<(), StoreError> {
    let state = word(&record.incident.state)?;
    sqlx::query(
        "INSERT INTO incidents (id, state, unfinished, record) VALUES ($1, $2, $3, $4)
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

async fn put_rows(to: &mut Transaction<'_, Any>, rows: Vec<Draft>) -> Result<Vec<Entry>, StoreError> {
    let last: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM journal").fetch_one(&mut **to).await.map_err(backend)?;
    let mut entries = Vec::with_capacity(rows.len());
    for (row, seq) in rows.into_iter().zip(last + 1..) {
        let entry = Entry { seq: seq.unsigned_abs(), row };
        sqlx::query("INSERT INTO journal (seq, incident, entry) VALUES ($1, $2, $3)")
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

async fn put_outcome(to: &mut Transaction<'_, Any>, row: &OutcomeRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outcomes (incident, attempt, remedy, kind, service, verified) VALUES ($1, $2, $3, $4, $5, $6)
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
        let mut transaction = self.database.begin().await?;
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
        let query = sqlx::query("SELECT record FROM incidents WHERE id = $1").bind(id.as_str());
        let row = query.fetch_optional(self.database.readers()).await.map_err(backend)?;
        row.map(|row| read("record", &row)).transpose()
    }

    async fn unfinished(&self) -> Result<Vec<Record>, StoreError> {
        let query = sqlx::query("SELECT record FROM incidents WHERE unfinished = 1 ORDER BY id");
        let rows = query.fetch_all(self.database.readers()).await.map_err(backend)?;
        rows.iter().map(|row| read("record", row)).collect()
    }

    async fn incidents(&self, filter: Filter) -> Result<Vec<Record>, StoreError> {
        let state = filter.state.map(|state| word(&state)).transpose()?;
        let rows = sqlx::query(
            "SELECT record FROM incidents WHERE (CAST($1 AS TEXT) IS NULL OR state = $1) AND (CAST($2 AS TEXT) IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3",
        )
        .bind(state)
        .bind(filter.after.as_ref().map(IncidentId::as_str))
        .bind(i64::from(bounded(filter.limit)))
        .fetch_all(self.database.readers())
        .await
        .map_err(backend)?;
        rows.iter().map(|row| read("record", row)).collect()
    }

    async fn journal(&self, after: u64, limit: u32, incident: Option<&IncidentId>) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry FROM journal WHERE seq > $1 AND (CAST($2 AS TEXT) IS NULL OR incident = $2) ORDER BY seq LIMIT $3",
        )
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(incident.map(IncidentId::as_str))
        .bind(i64::from(bounded(limit)))
        .fetch_all(self.database.readers())
        .await
        .map_err(backend)?;
        rows.iter().map(|row| read("entry", row)).collect()
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>("SELECT COALESCE(MAX(seq), 0) FROM journal");
        query.fetch_one(self.database.readers()).await.map(i64::unsigned_abs).map_err(backend)
    }

    async fn track_record(&self, key: &RemedyKey) -> Result<TrackRecord, StoreError> {
        let query = "SELECT CAST(COALESCE(SUM(verified), 0) AS BIGINT), CAST(COALESCE(SUM(1 - verified), 0) AS BIGINT) FROM outcomes
                     WHERE remedy = $1 AND kind = $2 AND service = $3";
        let (verified, failed): (i64, i64) = sqlx::query_as(query)
            .bind(&key.remedy)
            .bind(key.kind.as_str())
            .bind(&key.service)
            .fetch_one(self.database.readers())
            .await
            .map_err(backend)?;
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(TrackRecord { verified: count(verified), failed: count(failed) })
    }
}
