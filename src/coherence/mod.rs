//! The Data Coherence Engine: figures of one window of signal summaries, each with where it comes from.
//!
//! Stateless: what is asked is read, computed and answered. A rolling store, where one is set, is a side effect. Every line it
//! logs carries the id of the request it is for.

mod figures;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sre_space_coherence::drift::{Drift, METHOD, Meta, Report, ReportContext};
use sre_space_coherence::undefined::Undefined;
use sre_space_coherence::window::Window;
use sre_space_ports::rolling::{Rolling, RollingError, Wish};
use sre_space_ports::source::SourceError;
use sre_space_ports::summary::{Asking, Latest, Record, Summaries};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use self::figures::Figures;
pub use self::figures::Outcome;
pub use self::request::{HEADER as REQUEST_ID, RequestId};

/// Readings at once, each of up to 80 MiB: the memory of a small server. Whoever comes later waits for a place, and is told to come
/// again once that takes too long.
const MOST_READINGS: usize = 1;
const PATIENCE: Duration = Duration::from_secs(10);

/// What the engine works with.
pub struct Setup {
    /// Where summaries come from; `None` where nothing is set.
    pub summaries: Option<Arc<dyn Summaries>>,
    /// Where figures are kept; `None`: nowhere.
    pub rolling: Option<Arc<dyn Rolling>>,
    /// The windows to offer; the first is the usual one.
    pub windows: Vec<Window>,
    /// Version of the engine.
    pub version: String,
}

/// The engine.
pub struct Engine {
    setup: Setup,
    figures: Figures,
    readings: Semaphore,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Which window; `None`: the usual one.
    pub window: Option<Window>,
    /// Which signal; `None`: all of them.
    pub signal: Option<String>,
}

/// Why there are no figures.
#[derive(Debug, Error)]
pub enum NoFigures {
    /// Nothing is set to read from.
    #[error("no source of summaries is set: set DARSHAN_BASE_URL (and DARSHAN_API_KEY), or MOCK_PATH to a recording")]
    NoSource,
    /// Too much is being read already.
    #[error("a reading is under way already; ask again in a moment")]
    Busy,
    /// The source told nothing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no record in the window.
    #[error("{0}")]
    Empty(String),
    /// The records have no figures.
    #[error("the scores of this window: their sum {0}")]
    Undefined(Undefined),
}

/// What a reading tells of a window, without what it was read from.
struct Scores {
    scores: Vec<f64>,
    until: Timestamp,
    refused_rows: u64,
}

impl Engine {
    /// An engine that has not been asked yet.
    pub fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Self { setup, figures: Figures::default(), readings: Semaphore::new(MOST_READINGS) })
    }

    /// Version of the engine.
    pub fn version(&self) -> &str {
        &self.setup.version
    }

    /// The figures of the newest window at `now`, which are also kept where a store is set.
    pub async fn report(&self, question: &Question, now: Timestamp, id: &RequestId) -> Result<Report, NoFigures> {
        let began = Instant::now();
        let window = question.window.or(self.setup.windows.first().copied()).unwrap_or(Window::HOUR);
        let source = self.setup.summaries.as_deref().ok_or(NoFigures::NoSource)?;
        let asking = Asking { window, now, request_id: id.as_str() };
        let read = self.scores(source, asking, question.signal.as_deref()).await?;
        let drift = Drift::of(&read.scores).map_err(NoFigures::Undefined)?;
        let context = ReportContext {
            signal: question.signal.clone(),
            window,
            end_ts: read.until,
            source: source.name().to_owned(),
            refused_rows: read.refused_rows,
            meta: Meta {
                method: METHOD.to_owned(),
                engine_version: self.setup.version.clone(),
                latency_ms: millis(began.elapsed()),
                request_id: id.as_str().to_owned(),
            },
        };
        let report = Report::of(&drift, context);
        computed(&report, window, began.elapsed());
        self.keep(&report, id).await;
        Ok(report)
    }

    /// Reports that were kept; `None` where none are kept.
    pub async fn history(&self, wish: &Wish) -> Option<Result<Vec<Report>, RollingError>> {
        Some(self.setup.rolling.as_ref()?.newest(wish).await)
    }

    /// Takes note of a request that was answered.
    pub fn answered(&self, outcome: Outcome, took: Duration) {
        self.figures.answered(outcome, took);
    }

    /// What is known of the engine, for `/status` and `/metrics`.
    pub fn status(&self) -> Value {
        let windows: Vec<String> = self.setup.windows.iter().map(Window::to_string).collect();
        let mut status = json!({
            "source": self.setup.summaries.as_ref().map(|source| source.name()),
            "effort": self.setup.summaries.as_ref().map(|source| source.effort()),
            "persistence": self.setup.rolling.as_ref().map_or("none", |store| store.name()),
            "engine_version": self.setup.version, "windows": windows,
        });
        let figures = json!(self.figures.snapshot());
        if let (Some(status), Value::Object(figures)) = (status.as_object_mut(), figures) {
            status.extend(figures);
        }
        status
    }

    /// The scores of a window. A place is held as long as the records are.
    async fn scores(
        &self,
        source: &dyn Summaries,
        asking: Asking<'_>,
        signal: Option<&str>,
    ) -> Result<Scores, NoFigures> {
        let place = timeout(PATIENCE, self.readings.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(NoFigures::Busy) };
        let latest = self.ingest(source, asking).await?;
        let scores = scores(latest.within(asking.window), signal);
        if scores.is_empty() {
            return Err(NoFigures::Empty(emptiness(source.name(), signal, asking.window, &latest)));
        }
        Ok(Scores { scores, until: latest.until, refused_rows: latest.refused_rows })
    }

    async fn ingest(&self, source: &dyn Summaries, asking: Asking<'_>) -> Result<Latest, NoFigures> {
        let began = Instant::now();
        let read = source.latest(asking).await;
        let (took, request_id) = (began.elapsed(), asking.request_id);
        let latency_ms = millis(took);
        match &read {
            Ok(latest) => {
                let (records, refused_rows) = (latest.records.len(), latest.refused_rows);
                let (pages, retries) = (latest.effort.pages, latest.effort.retries);
                let refused = latest.refused.first();
                info!(
                    event = "ingest",
                    request_id,
                    source = source.name(),
                    records,
                    refused_rows,
                    refused,
                    pages,
                    retries,
                    latency_ms
                );
                self.figures.ingested(asking.now, took, records);
            }
            Err(error) => warn!(event = "ingest", request_id, source = source.name(), %error, latency_ms),
        }
        Ok(read?)
    }

    /// Keeps a report; that it could not be kept changes no answer.
    async fn keep(&self, report: &Report, id: &RequestId) {
        let Some(store) = &self.setup.rolling else { return };
        let (request_id, began) = (id.as_str(), Instant::now());
        match store.append(report).await {
            Ok(()) => {
                info!(event = "store", request_id, store = store.name(), latency_ms = millis(began.elapsed()));
            }
            Err(error) => {
                self.figures.not_kept();
                warn!(event = "store", request_id, store = store.name(), %error);
            }
        }
    }
}

/// Milliseconds, rounded up.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn scores(records: &[Record], signal: Option<&str>) -> Vec<f64> {
    let is_of = |record: &&Record| signal.is_none() || record.signal.as_deref() == signal;
    records.iter().filter(is_of).map(|record| record.coherence_score).collect()
}

fn emptiness(source: &str, signal: Option<&str>, window: Window, latest: &Latest) -> String {
    let of = signal.map_or(String::new(), |signal| format!(" of signal {signal:?}"));
    let refused = match (latest.refused_rows, latest.refused.first()) {
        (0, _) | (_, None) => String::new(),
        (count, Some(first)) => format!("; {count} rows could not be used, the first is {first}"),
    };
    let (since, until) = (window.before(latest.until), latest.until);
    format!("{source} has no record{of} after {since} and up to {until}: there is nothing to compute{refused}")
}

fn computed(report: &Report, window: Window, took: Duration) {
    info!(
        event = "compute",
        request_id = report.meta.request_id,
        signal = report.signal,
        %window,
        n = report.n,
        mean = report.coherence_mean,
        stdev = report.stdev,
        volatility = report.volatility_index,
        risk = report.predicted_drift_risk.as_str(),
        latency_ms = took.as_secs_f64() * 1e3,
    );
}
