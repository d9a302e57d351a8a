//! Measurements, events and past incidents over Supabase's REST interface, which is PostgREST.
//!
//! The tables are those of the SQL store ([`super::signals::POSTGRES_SCHEMA`]); PostgREST cannot make them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sre_space_coherence::event::{SignalEvent, moment};
use sre_space_domain::secret::Secret;
use sre_space_ports::signals::{PAGE, Past, PastIncident, Rows, SignalStore, Span};
use sre_space_ports::source::Reading;
use sre_space_ports::store::StoreError;
use thiserror::Error;

use super::signals::rows::{id, last_of_each, written};
use crate::answer;
use crate::upstream::{CallError, Upstream};

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(20);
/// An answer is at most this long: a page of incidents with their reports.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How long it is left alone when it says to wait and not how long.
const PAUSE: Duration = Duration::from_secs(30);
/// And at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Characters of an answer that go into an error.
const QUOTED: usize = 200;

/// Why it cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The key.
    #[error("SUPABASE_KEY cannot be sent as a header")]
    Key(#[from] InvalidHeaderValue),
    /// The client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

#[derive(Debug, Error)]
enum AskError {
    #[error("no answer: {0}")]
    Unreachable(reqwest::Error),
    #[error("it answered {0}")]
    Busy(StatusCode),
    #[error("it refuses with {status}: {said}")]
    No { status: StatusCode, said: String },
    #[error("its answer is too long")]
    TooLong,
}

/// Without the URL.
impl From<reqwest::Error> for AskError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

/// Signals of a Supabase project.
pub struct SupabaseSignals {
    base: String,
    client: Client,
    upstream: Arc<Upstream>,
}

/// A measurement as the table has it.
#[derive(Serialize, Deserialize)]
struct Metric {
    host: String,
    metric_name: String,
    value: f64,
    timestamp: Timestamp,
}

/// An incident as the table has it.
#[derive(Serialize, Deserialize)]
struct Incident {
    id: String,
    host: String,
    ts: Timestamp,
    report: Value,
}

impl SupabaseSignals {
    /// The project at a URL, as whoever has this key.
    pub fn new(url: &str, key: &Secret, upstream: Arc<Upstream>) -> Result<Self, SetupError> {
        let secret = |text: &str| -> Result<HeaderValue, InvalidHeaderValue> {
            let mut value = HeaderValue::from_str(text)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("apikey"), secret(key.bare())?);
        headers.insert(reqwest::header::AUTHORIZATION, secret(&format!("Bearer {}", key.bare()))?);
        let client = sre_space_tls::http().redirect(Policy::none()).timeout(ANSWER).default_headers(headers).build()?;
        Ok(Self { base: format!("{}/rest/v1", url.trim_end_matches('/')), client, upstream })
    }

    async fn upsert(&self, table: &str, key: &str, rows: Vec<Value>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let request = self
            .client
            .post(format!("{}/{table}", self.base))
            .query(&[("on_conflict", key)])
            .header("Prefer", "resolution=merge-duplicates,return=minimal")
            .json(&rows);
        self.asked(request).await.map(drop)
    }

    /// A page of a table by `time`, the last first; of the rows with such an `id`.
    async fn page<T: DeserializeOwned>(
        &self,
        (table, time): (&str, &str),
        span: Span,
        id: Option<&str>,
    ) -> Result<Vec<T>, StoreError> {
        let request = self.client.get(format!("{}/{table}", self.base)).query(&[
            ("select", "*".to_owned()),
            (time, format!("gte.{}", written(span.since_ms))),
            (time, format!("lt.{}", written(span.until_ms))),
            ("order", format!("{time}.desc,id.desc")),
            ("limit", PAGE.to_string()),
            ("offset", span.offset.to_string()),
        ]);
        let request = request.query(&id.map(|id| ("id", id)).into_iter().collect::<Vec<_>>());
        serde_json::from_slice(&self.asked(request).await?).map_err(StoreError::Corrupt)
    }

    async fn newest(&self, table: &str, time: &str) -> Result<Option<i64>, StoreError> {
        let order = format!("{time}.desc");
        let asked = [("select", time), ("order", &order), ("limit", "1")];
        let body = self.asked(self.client.get(format!("{}/{table}", self.base)).query(&asked)).await?;
        let rows: Vec<std::collections::BTreeMap<String, Timestamp>> =
            serde_json::from_slice(&body).map_err(StoreError::Corrupt)?;
        Ok(rows.first().and_then(|row| row.get(time)).map(|at| at.as_millisecond()))
    }

    async fn asked(&self, request: RequestBuilder) -> Result<Vec<u8>, StoreError> {
        let is_fault = |error: &AskError| !matches!(error, AskError::No { .. });
        let done = self.upstream.call(self.ask(request), is_fault).await;
        done.map_err(|error| match error {
            CallError::Failed(error) => StoreError::Backend(format!("supabase: {error}").into()),
            open @ CallError::Open { .. } => StoreError::Backend(open.to_string().into()),
        })
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>, AskError> {
        let response = request.send().await?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let told = answer::retry_after(response.headers(), Timestamp::now());
            self.upstream.pause(told.unwrap_or(PAUSE).min(LONGEST_PAUSE), "too many requests");
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(AskError::Busy(status));
        }
        let body = answer::body(response, MOST_BYTES).await?;
        match (status.is_success(), body.is_whole) {
            (true, true) => Ok(body.bytes),
            (true, false) => Err(AskError::TooLong),
            (false, _) => Err(AskError::No { status, said: quoted(&body.bytes) }),
        }
    }
}

/// The beginning of an answer, for an error.
fn quoted(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}

fn row(value: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(StoreError::Corrupt)
}

fn event_row(event: &SignalEvent) -> Result<Value, StoreError> {
    let mut row = row(event)?;
    row["id"] = json!(id(event));
    Ok(row)
}

#[async_trait]
impl SignalStore for SupabaseSignals {
    async fn put(&self, rows: Rows<'_>) -> Result<(), StoreError> {
        match rows {
            Rows::Metrics(rows) => {
                let told = last_of_each(rows, |row| (&row.host, &row.metric, row.at_ms)).into_iter().map(|told| {
                    row(&Metric {
                        host: told.host.clone(),
                        metric_name: told.metric.clone(),
                        value: told.value,
                        timestamp: moment(told.at_ms),
                    })
                });
                self.upsert("metrics", "host,metric_name,timestamp", told.collect::<Result<_, _>>()?).await
            }
            Rows::Events(rows) => {
                let told = last_of_each(rows, id).into_iter().map(event_row);
                self.upsert("signal_events", "id", told.collect::<Result<_, _>>()?).await
            }
            Rows::Incidents(rows) => {
                let told = last_of_each(rows, |row| &row.id).into_iter().map(|past| {
                    let (id, host, report) = (past.id.clone(), past.host.clone(), past.report.clone());
                    row(&Incident { id, host, ts: moment(past.at_ms), report })
                });
                self.upsert("signal_incidents", "id", told.collect::<Result<_, _>>()?).await
            }
        }
    }

    async fn metrics(&self, span: Span) -> Result<Vec<Reading>, StoreError> {
        let rows: Vec<Metric> = self.page(("metrics", "timestamp"), span, None).await?;
        let reading = |row: Metric| Reading {
            host: row.host,
            metric: row.metric_name,
            at_ms: row.timestamp.as_millisecond(),
            value: row.value,
        };
        Ok(rows.into_iter().map(reading).collect())
    }

    async fn events(&self, span: Span) -> Result<Vec<SignalEvent>, StoreError> {
        self.page(("signal_events", "ts"), span, None).await
    }

    async fn incidents(&self, span: Span, which: Past) -> Result<Vec<PastIncident>, StoreError> {
        let id = match which {
            Past::Incidents => "not.like.risk:*",
            Past::Risks => "like.risk:*",
        };
        let rows: Vec<Incident> = self.page(("signal_incidents", "ts"), span, Some(id)).await?;
        let past = |row: Incident| PastIncident {
            id: row.id,
            host: row.host,
            at_ms: row.ts.as_millisecond(),
            report: row.report,
        };
        Ok(rows.into_iter().map(past).collect())
    }

    async fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.newest("metrics", "timestamp").await?.max(self.newest("signal_events", "ts").await?))
    }
}
