//! `rolling_store.db`: the table `rolling_metrics` in a SQLite file of its own, to be asked with SQL.

use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow};
use sqlx::{FromRow, Row as _, SqlitePool};
use sre_space_coherence::drift::Report;
use sre_space_ports::rolling::{MOST_REPORTS, Rolling, RollingError, Wish};

use super::row::Row;

/// Rows that are kept; the oldest go first.
const KEPT: i64 = 1_000_000;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS rolling_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts_utc TEXT NOT NULL, signal TEXT, window_sec INTEGER NOT NULL, n INTEGER NOT NULL,
    mean REAL NOT NULL, stdev REAL NOT NULL, volatility_index REAL, drift_risk TEXT NOT NULL,
    source TEXT NOT NULL, start_ts TEXT NOT NULL, end_ts TEXT NOT NULL, refused_rows INTEGER NOT NULL,
    method TEXT NOT NULL, engine_version TEXT NOT NULL, latency_ms INTEGER NOT NULL, request_id TEXT NOT NULL
)";

/// The file.
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens or creates the store in a folder, which is there.
    pub async fn in_folder(folder: &Path) -> Result<Self, RollingError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("rolling_store.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        let pool = pool.map_err(|error| failed("cannot be opened", &error))?;
        sqlx::query(TABLE).execute(&pool).await.map_err(|error| failed("cannot be opened", &error))?;
        Ok(Self { pool })
    }

    async fn put(&self, row: Row) -> Result<(), sqlx::Error> {
        let insert =
            "INSERT INTO rolling_metrics (ts_utc, signal, window_sec, n, mean, stdev, volatility_index, drift_risk,
                          source, start_ts, end_ts, refused_rows, method, engine_version, latency_ms, request_id)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
        let added = sqlx::query(insert)
            .bind(row.ts_utc)
            .bind(row.signal)
            .bind(row.window_sec)
            .bind(row.n)
            .bind(row.mean)
            .bind(row.stdev)
            .bind(row.volatility_index)
            .bind(row.drift_risk)
            .bind(row.source)
            .bind(row.start_ts)
            .bind(row.end_ts)
            .bind(row.refused_rows)
            .bind(row.method)
            .bind(row.engine_version)
            .bind(row.latency_ms)
            .bind(row.request_id)
            .execute(&self.pool)
            .await?;
        let oldest = added.last_insert_rowid() - KEPT;
        sqlx::query("DELETE FROM rolling_metrics WHERE id <= $1").bind(oldest).execute(&self.pool).await?;
        Ok(())
    }

    async fn read(&self, wish: &Wish) -> Result<Vec<Row>, sqlx::Error> {
        let newest =
            "SELECT ts_utc, signal, window_sec, n, mean, stdev, volatility_index, drift_risk, source, start_ts, end_ts,
                          refused_rows, method, engine_version, latency_ms, request_id
                      FROM rolling_metrics
                      WHERE ($1 IS NULL OR signal = $1) AND ($2 IS NULL OR window_sec = $2)
                      ORDER BY id DESC LIMIT $3";
        let most = i64::try_from(wish.limit.min(MOST_REPORTS)).unwrap_or_default();
        sqlx::query_as(newest)
            .bind(&wish.signal)
            .bind(wish.window.map(|window| window.seconds()))
            .bind(most)
            .fetch_all(&self.pool)
            .await
    }
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            ts_utc: row.try_get("ts_utc")?,
            signal: row.try_get("signal")?,
            window_sec: row.try_get("window_sec")?,
            n: row.try_get("n")?,
            mean: row.try_get("mean")?,
            stdev: row.try_get("stdev")?,
            volatility_index: row.try_get("volatility_index")?,
            drift_risk: row.try_get("drift_risk")?,
            source: row.try_get("source")?,
            start_ts: row.try_get("start_ts")?,
            end_ts: row.try_get("end_ts")?,
            refused_rows: row.try_get("refused_rows")?,
            method: row.try_get("method")?,
            engine_version: row.try_get("engine_version")?,
            latency_ms: row.try_get("latency_ms")?,
            request_id: row.try_get("request_id")?,
        })
    }
}

fn failed(what: &'static str, error: &sqlx::Error) -> RollingError {
    RollingError { what, why: error.to_string() }
}

#[async_trait]
impl Rolling for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn append(&self, report: &Report) -> Result<(), RollingError> {
        self.put(Row::of(report)).await.map_err(|error| failed("cannot be written", &error))
    }

    async fn newest(&self, wish: &Wish) -> Result<Vec<Report>, RollingError> {
        let rows = self.read(wish).await.map_err(|error| failed("cannot be read", &error))?;
        Ok(rows.into_iter().rev().filter_map(Row::report).collect())
    }
}
