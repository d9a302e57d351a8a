//! The patrol: every quarter of an hour it reads the sources, looks at the last two days, keeps the incidents it made out, and
//! tells people of grave risks, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sre_space_coherence::event::{ERROR, Severity, SignalEvent};
use sre_space_coherence::report::Report;
use sre_space_domain::incident::Incident;
use sre_space_ports::notify::Notifier;
use sre_space_ports::signals::{BATCH, Rows, SignalStore, Span, pages};
use sre_space_ports::source::{Reading, Source, Wanted};
use sre_space_ports::store::{Filter, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::keep::{events_within, remember};
use super::levels::Levels;
use super::risk::{Risk, risks};

/// How much of the past is looked at, hours.
const HOURS: u16 = 48;
/// Rows that a look takes in at most: the memory of a small server.
const MOST_ROWS: usize = 200_000;
/// Incidents of the loop that a look takes in at most.
const MOST_INCIDENTS: u32 = 200;
/// A source or channel that takes longer is asked again with the next look.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who looks again and again.
pub struct Patrol {
    /// Where signals are kept.
    pub store: Arc<dyn SignalStore>,
    /// The loop's own incidents, each of which is an error to be explained; `None` where there is no loop.
    pub journal: Option<Arc<dyn Store>>,
    /// What is read.
    pub sources: Vec<Arc<dyn Source>>,
    /// Metrics that are asked for, by the sources' own names; empty: those that every source has.
    pub metrics: Vec<String>,
    /// What arrived as OTLP.
    pub levels: Arc<Levels>,
    /// Who is told.
    pub channels: Vec<Arc<dyn Notifier>>,
    /// The monitor as people reach it.
    pub monitor: String,
    /// How often.
    pub every: Duration,
}

impl Patrol {
    /// Looks until stopped, first after one interval: right after a start nothing was measured yet.
    pub async fn run(self, stop: CancellationToken) {
        let mut looks = interval(self.every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.tick().await;
        let mut since_ms = Timestamp::now().as_millisecond() - i64::from(HOURS) * 3_600_000;
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let now_ms = Timestamp::now().as_millisecond();
            self.gather(since_ms, now_ms).await;
            since_ms = now_ms;
            match self.look(now_ms).await {
                Ok(report) => {
                    info!(alerts = report.alerts.len(), incidents = report.incident_count, "looked at signals")
                }
                Err(error) => warn!(%error, "signals could not be looked at; with the next look again"),
            }
        }
    }

    /// Reads the sources and what arrived, into the tables.
    pub(super) async fn gather(&self, since_ms: i64, now_ms: i64) {
        let (mut readings, left_out) = self.levels.take(now_ms);
        if left_out > 0 {
            warn!(left_out, "points of metrics were left out: too many series, or a wrong clock");
        }
        let wanted = Wanted { since_ms, until_ms: now_ms, metrics: self.metrics.clone() };
        for source in &self.sources {
            match timeout(PATIENCE, source.read(&wanted)).await {
                Ok(Ok(told)) => readings.extend(told.readings),
                Ok(Err(error)) => warn!(%error, "a source told nothing"),
                Err(_) => warn!(source = source.name(), "a source does not answer"),
            }
        }
        if let Err(error) = self.write(&readings).await {
            warn!(%error, readings = readings.len(), "what was measured could not be kept");
        }
    }

    async fn write(&self, readings: &[Reading]) -> Result<(), StoreError> {
        for batch in readings.chunks(BATCH) {
            self.store.put(Rows::Metrics(batch)).await?;
        }
        Ok(())
    }

    /// One look.
    pub(super) async fn look(&self, now_ms: i64) -> Result<Report, StoreError> {
        let since_ms = now_ms - i64::from(HOURS) * 3_600_000;
        let span = Span { since_ms, until_ms: now_ms.saturating_add(1), offset: 0 };
        let mut events = events_within(self.store.as_ref(), span, MOST_ROWS).await?;
        events.extend(self.failures(since_ms).await?);
        // Thousands of samples in several windows: not on a thread that others wait for.
        let looked = tokio::task::spawn_blocking(move || Report::of(&events, 0)).await;
        let report = looked.map_err(|error| StoreError::Backend(Box::new(error)))?;
        remember(self.store.as_ref(), &report).await?;
        self.tell(risks(&report, now_ms)).await?;
        Ok(report)
    }

    /// The incidents that the loop opened since then, as one error of their service each.
    async fn failures(&self, since_ms: i64) -> Result<Vec<SignalEvent>, StoreError> {
        let Some(journal) = &self.journal else { return Ok(Vec::new()) };
        let records = journal.incidents(Filter { limit: MOST_INCIDENTS, ..Filter::default() }).await?;
        let opened = records.into_iter().map(|record| record.incident);
        let error = |incident: Incident| SignalEvent {
            at_ms: incident.opened_at.as_millisecond(),
            host: incident.service,
            service: "application".to_owned(),
            severity: Severity::Error,
            metric: ERROR.to_owned(),
            value: 1.0,
            synthetic: false,
        };
        Ok(opened.map(error).filter(|error| error.at_ms >= since_ms).collect())
    }

    /// Tells of what is new, and of what has passed.
    async fn tell(&self, seen: Vec<Risk>) -> Result<(), StoreError> {
        let mut known = self.known().await?;
        for risk in seen {
            let known = known.remove(&risk.id).filter(|known| !known.is_over);
            let risk = Risk { since_ms: known.as_ref().map_or(risk.since_ms, |known| known.since_ms), ..risk };
            let told = known.map_or_else(Vec::new, |known| known.told);
            self.spread(Risk { told, ..risk }).await?;
        }
        for passed in known.into_values().filter(|known| !known.is_over) {
            self.spread(Risk { is_over: true, ..passed }).await?;
        }
        Ok(())
    }

    /// Risks that are kept, by name.
    async fn known(&self) -> Result<BTreeMap<String, Risk>, StoreError> {
        let ever = Span { since_ms: i64::MIN, until_ms: i64::MAX, offset: 0 };
        let past = pages(ever, MOST_ROWS, |span| self.store.incidents(span)).await?;
        Ok(past.iter().filter_map(Risk::read).map(|risk| (risk.id.clone(), risk)).collect())
    }

    /// Tells every channel that has to know and does not, and writes down who does. A channel that fails is told with the next
    /// look; of the end it is told once, or not.
    async fn spread(&self, mut risk: Risk) -> Result<(), StoreError> {
        let notice = risk.notice(&format!("{}/monitor", self.monitor.trim_end_matches('/')));
        for channel in &self.channels {
            let name = channel.name();
            let before = risk.before(name);
            let is_due = before.told.is_empty() != risk.is_over && channel.carries(&notice, &before);
            if !is_due {
                continue;
            }
            match timeout(PATIENCE, channel.tell(&notice, &before)).await {
                Ok(Ok(_)) => risk.told.push(name.to_owned()),
                Ok(Err(error)) => warn!(channel = name, %error, "a channel was not told of a risk"),
                Err(_) => warn!(channel = name, "a channel does not answer"),
            }
        }
        let kept = risk.kept().map_err(StoreError::Corrupt)?;
        self.store.put(Rows::Incidents(&[kept])).await
    }
}

#[cfg(test)]
mod tests;
