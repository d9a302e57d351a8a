//! Measurements, events and past incidents in SQL: the tables `metrics`, `signal_events` and `signal_incidents`.

pub(crate) mod rows;
pub(crate) mod shape;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::Error as _;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, query::Query};
use sre_space_coherence::event::{Severity, SignalEvent};
use sre_space_ports::signals::{PAGE, Past, PastIncident, Rows, SignalStore, Span};
use sre_space_ports::source::Reading;
use sre_space_ports::store::StoreError;

use self::rows::{id, last_of_each, written};
use crate::database::{Database, Dialect, backend};

/// The tables as Postgres has them, for a database that is reached in another way.
pub const POSTGRES_SCHEMA: &str = include_str!("../../../migrations/0004_signals_postgres.sql");

/// Rows of one statement: few round trips, and no statement that fills a log.
const TOGETHER: usize = 50;

type Binding<'q> = Query<'q, Any, sqlx::any::AnyArguments>;

/// Signals on a [`Database`].
pub struct SqlSignals {
    database: Arc<Database>,
}

/// A table, and how it is written: columns, each with its type in Postgres, and those that make two rows the same.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, &'static str)],
    key: &'static str,
}

const METRICS: Table = Table {
    name: "metrics",
    columns: &[
        ("host", "VARCHAR"),
        ("metric_name", "VARCHAR"),
        ("value", "DOUBLE PRECISION"),
        ("timestamp", "TIMESTAMPTZ"),
    ],
    key: "host, metric_name, timestamp",
};
const EVENTS: Table = Table {
    name: "signal_events",
    columns: &[
        ("id", "UUID"),
        ("ts", "TIMESTAMPTZ"),
        ("host", "TEXT"),
        ("service", "TEXT"),
        ("fingerprint", "TEXT"),
        ("severity", "TEXT"),
        ("metric", "TEXT"),
        ("value", "NUMERIC"),
        ("synthetic", "BOOLEAN"),
    ],
    key: "id",
};
const INCIDENTS: Table = Table {
    name: "signal_incidents",
    columns: &[("id", "TEXT"), ("host", "TEXT"), ("ts", "TIMESTAMPTZ"), ("report", "JSONB")],
    key: "id",
};

impl Table {
    /// Writes so many rows, in place of those that are the same. Every value is bound.
    fn upsert(&self, dialect: Dialect, rows: usize) -> String {
        let width = self.columns.len();
        let value = |row: usize, column: usize| match dialect {
            Dialect::Sqlite => format!("${}", row * width + column + 1),
            Dialect::Postgres => format!("CAST(${} AS {})", row * width + column + 1, self.columns[column].1),
        };
        let one = |row| format!("({})", (0..width).map(|column| value(row, column)).collect::<Vec<_>>().join(", "));
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let changed: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        format!(
            "INSERT INTO {} ({}) VALUES {} ON CONFLICT ({}) DO UPDATE SET {}",
            self.name,
            names.join(", "),
            (0..rows).map(one).collect::<Vec<_>>().join(", "),
            self.key,
            changed.join(", ")
        )
    }

    /// A page of these expressions, by `time` and then by `id`, the last first; of the rows that `also` holds for.
    fn page(&self, (dialect, time): (Dialect, &str), read: &[&str], also: &str) -> String {
        let (since, until) = match dialect {
            Dialect::Sqlite => ("$1", "$2"),
            Dialect::Postgres => ("CAST($1 AS TIMESTAMPTZ)", "CAST($2 AS TIMESTAMPTZ)"),
        };
        let (read, name) = (read.join(", "), self.name);
        format!(
            "SELECT {read} FROM {name} WHERE {time} >= {since} AND {time} < {until} AND {also} \
             ORDER BY {time} DESC, id DESC LIMIT {PAGE} OFFSET $3"
        )
    }
}

/// Every row.
const ALL: &str = "1 = 1";

/// Measurements are forgotten a week after they were written: a server that looks at two days needs no more, and a disk ends.
const FORGET_METRICS: &str = "DELETE FROM metrics WHERE created_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')";
/// Incidents, and risks nobody saw since, after a quarter of a year.
const FORGET_INCIDENTS: &str =
    "DELETE FROM signal_incidents WHERE created_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days')
     AND ts < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days')";

/// A time column as text, see [`written`].
fn text_of(dialect: Dialect, time: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("{time} AS at"),
        Dialect::Postgres => format!(r#"to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at"#),
    }
}

impl SqlSignals {
    /// The signals of an open database.
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    async fn write<T>(
        &self,
        table: &Table,
        rows: &[&T],
        bind: impl Fn(Binding<'static>, &T) -> Binding<'static>,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        for some in rows.chunks(TOGETHER) {
            let statement = sqlx::query(AssertSqlSafe(table.upsert(self.dialect(), some.len())));
            let statement = some.iter().fold(statement, |statement, row| bind(statement, row));
            statement.execute(&mut *transaction).await.map_err(backend)?;
        }
        transaction.commit().await.map_err(backend)
    }

    /// Forgets what is old, in a file of our own; a table on a server may be somebody else's.
    async fn forget(&self, statement: &'static str) -> Result<(), StoreError> {
        match self.dialect() {
            Dialect::Postgres => Ok(()),
            Dialect::Sqlite => {
                let mut transaction = self.database.begin().await?;
                sqlx::query(statement).execute(&mut *transaction).await.map_err(backend)?;
                transaction.commit().await.map_err(backend)
            }
        }
    }

    async fn page<T>(
        &self,
        sql: String,
        span: Span,
        read: fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let asked = sqlx::query(AssertSqlSafe(sql))
            .bind(written(span.since_ms))
            .bind(written(span.until_ms))
            .bind(i64::try_from(span.offset).unwrap_or(i64::MAX));
        let rows = asked.fetch_all(self.database.readers()).await.map_err(backend)?;
        rows.iter().map(read).collect()
    }
}

fn bind_event(statement: Binding<'static>, event: &SignalEvent, dialect: Dialect) -> Binding<'static> {
    let statement = statement
        .bind(id(event))
        .bind(written(event.at_ms))
        .bind(event.host.clone())
        .bind(event.service.clone())
        .bind(event.fingerprint().to_string())
        .bind(event.severity.as_str())
        .bind(event.metric.clone());
    // Postgres keeps fifteen digits of a double that becomes a NUMERIC, and all of a text.
    let statement = match dialect {
        Dialect::Sqlite => statement.bind(event.value),
        Dialect::Postgres => statement.bind(format!("{:e}", event.value)),
    };
    statement.bind(event.synthetic)
}

#[async_trait]
impl SignalStore for SqlSignals {
    async fn put(&self, rows: Rows<'_>) -> Result<(), StoreError> {
        let dialect = self.dialect();
        match rows {
            Rows::Metrics(rows) => {
                let rows = last_of_each(rows, |row| (&row.host, &row.metric, row.at_ms));
                let bind = |to: Binding<'static>, row: &Reading| {
                    to.bind(row.host.clone()).bind(row.metric.clone()).bind(row.value).bind(written(row.at_ms))
                };
                self.write(&METRICS, &rows, bind).await?;
                self.forget(FORGET_METRICS).await
            }
            Rows::Events(rows) => {
                self.write(&EVENTS, &last_of_each(rows, id), |to, event| bind_event(to, event, dialect)).await
            }
            Rows::Incidents(rows) => {
                let bind = |to: Binding<'static>, row: &PastIncident| {
                    let named = to.bind(row.id.clone()).bind(row.host.clone());
                    named.bind(written(row.at_ms)).bind(row.report.to_string())
                };
                self.write(&INCIDENTS, &last_of_each(rows, |row| &row.id), bind).await?;
                self.forget(FORGET_INCIDENTS).await
            }
        }
    }

    async fn metrics(&self, span: Span) -> Result<Vec<Reading>, StoreError> {
        let at = text_of(self.dialect(), "timestamp");
        let sql = METRICS.page((self.dialect(), "timestamp"), &[&at, "host", "metric_name", "value"], ALL);
        self.page(sql, span, reading).await
    }

    async fn events(&self, span: Span) -> Result<Vec<SignalEvent>, StoreError> {
        let at = text_of(self.dialect(), "ts");
        let value = "CAST(value AS DOUBLE PRECISION) AS value";
        let synthetic = "CAST(CAST(synthetic AS INTEGER) AS BIGINT) AS synthetic";
        let sql =
            EVENTS.page((self.dialect(), "ts"), &[&at, "host", "service", "severity", "metric", value, synthetic], ALL);
        self.page(sql, span, event).await
    }

    async fn incidents(&self, span: Span, which: Past) -> Result<Vec<PastIncident>, StoreError> {
        let at = text_of(self.dialect(), "ts");
        // SQLite's LIKE takes capitals for small letters.
        let is_kind = match which {
            Past::Incidents => "substr(id, 1, 5) <> 'risk:'",
            Past::Risks => "substr(id, 1, 5) = 'risk:'",
        };
        let read = [at.as_str(), "id", "host", "CAST(report AS TEXT) AS report"];
        let sql = INCIDENTS.page((self.dialect(), "ts"), &read, is_kind);
        self.page(sql, span, past).await
    }

    async fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        let mut newest = None;
        for (table, time) in [("metrics", "timestamp"), ("signal_events", "ts")] {
            let at = text_of(self.dialect(), &format!("MAX({time})"));
            let asked = sqlx::query_scalar(AssertSqlSafe(format!("SELECT {at} FROM {table}")));
            let at: Option<String> = asked.fetch_one(self.database.readers()).await.map_err(backend)?;
            newest = newest.max(at.as_deref().map(read_at).transpose()?);
        }
        Ok(newest)
    }
}

fn corrupt(why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(serde_json::Error::custom(why))
}

fn read_at(text: &str) -> Result<i64, StoreError> {
    text.parse().map(Timestamp::as_millisecond).map_err(corrupt)
}

fn at(row: &AnyRow) -> Result<i64, StoreError> {
    read_at(row.try_get("at").map_err(backend)?)
}

fn text(row: &AnyRow, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(backend)
}

fn value(row: &AnyRow) -> Result<f64, StoreError> {
    row.try_get("value").map_err(backend)
}

fn reading(row: &AnyRow) -> Result<Reading, StoreError> {
    Ok(Reading { at_ms: at(row)?, host: text(row, "host")?, metric: text(row, "metric_name")?, value: value(row)? })
}

fn event(row: &AnyRow) -> Result<SignalEvent, StoreError> {
    let severity = match text(row, "severity")?.as_str() {
        "info" => Severity::Info,
        "warn" => Severity::Warn,
        "error" => Severity::Error,
        other => return Err(corrupt(format!("{other} is no severity"))),
    };
    Ok(SignalEvent {
        at_ms: at(row)?,
        host: text(row, "host")?,
        service: text(row, "service")?,
        severity,
        metric: text(row, "metric")?,
        value: value(row)?,
        synthetic: row.try_get::<i64, _>("synthetic").map_err(backend)? != 0,
    })
}

fn past(row: &AnyRow) -> Result<PastIncident, StoreError> {
    let report = serde_json::from_str(&text(row, "report")?).map_err(StoreError::Corrupt)?;
    Ok(PastIncident { at_ms: at(row)?, id: text(row, "id")?, host: text(row, "host")?, report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn measurements_are_forgotten_a_week_after_they_were_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let database = Database::sqlite(&dir.path().join("journal.db")).await.expect("opened");
        let mut transaction = database.begin().await.expect("begun");
        let old = "INSERT INTO metrics (host, metric_name, value, timestamp, created_at) VALUES
                   ('a', 'cpu', 1, '2014-04-01T00:00:00.000Z', '2014-04-01T00:00:00.000Z')";
        sqlx::raw_sql(old).execute(&mut *transaction).await.expect("written");
        transaction.commit().await.expect("committed");
        let store = SqlSignals::new(database);
        let new = Reading { host: "a".into(), metric: "cpu".into(), at_ms: 1, value: 2.0 };
        store.put(Rows::Metrics(std::slice::from_ref(&new))).await.expect("written");
        let ever = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
        assert_eq!(store.metrics(ever).await.expect("read"), [new], "however long ago it was measured");
        let past = PastIncident { id: "a".into(), host: "a".into(), at_ms: 1, report: serde_json::json!({}) };
        store.put(Rows::Incidents(std::slice::from_ref(&past))).await.expect("written");
        let kept = store.incidents(ever, Past::Incidents).await.expect("read");
        assert_eq!(kept, [past], "however long ago it was");
    }
}
