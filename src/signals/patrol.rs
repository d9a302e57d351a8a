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
use sre_space_ports::signals::{Past, Rows, SignalStore, Span, pages};
use sre_space_ports::source::Source;
use sre_space_ports::store::{Filter, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::gather::Cursors;
use super::keep::{Seen, Window, events_within, remember};
use super::levels::Levels;
use super::risk::{Risk, Sight, risks};

/// How much of the past is looked at, hours.
pub(super) const HOURS: u16 = 48;
/// Rows that a look takes in at most: the memory of a small server.
const MOST_ROWS: usize = 200_000;
/// Risks that people know of at once, at most.
const MOST_RISKS: usize = 20;
/// A risk that was not seen for so long, nor seen to pass, is new when it is seen again, ms: thirty days.
const FORGOTTEN_MS: i64 = 30 * 86_400_000;
/// Incidents of the loop that a look takes in at most.
const MOST_INCIDENTS: u32 = 200;
/// A source or channel that takes longer is asked again with the next look.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Who looks again and again.
pub struct Patrol {
    /// Where signals are kept.
    pub store: Arc<dyn SignalStore>,
    /// The loop's own incidents, each of which is an error to be explained; `None` where there is no loop.
    pub journal: Option<Arc<dyn Store>>,
    /// What is read.
    pub sources: Vec<Arc<dyn Source>>,
    /// Further metrics that are asked for, by the sources' own names.
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
        let mut cursors = Cursors::default();
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let now_ms = Timestamp::now().as_millisecond();
            self.gather(&mut cursors, now_ms).await;
            match self.look(now_ms).await {
                Ok(report) => {
                    info!(alerts = report.alerts.len(), incidents = report.incident_count, "looked at signals")
                }
                Err(error) => warn!(%error, "signals could not be looked at; with the next look again"),
            }
        }
    }

    /// One look. What was made and not measured wakes nobody.
    pub(super) async fn look(&self, now_ms: i64) -> Result<Report, StoreError> {
        let since_ms = now_ms - i64::from(HOURS) * 3_600_000;
        let span = Span { since_ms, until_ms: now_ms.saturating_add(1), offset: 0 };
        let window = Window { span, most: MOST_ROWS, with_synthetic: false };
        let Seen { mut events, since_ms } = events_within(self.store.as_ref(), window).await?;
        events.extend(self.failures(since_ms).await?);
        // Thousands of samples in several windows: not on a thread that others wait for.
        let looked = tokio::task::spawn_blocking(move || {
            let report = Report::of(&events, 0);
            let sight = Sight::of(&events, &report);
            (report, sight)
        });
        let (report, sight) = looked.await.map_err(|error| StoreError::Backend(Box::new(error)))?;
        self.tell(risks(&report, &sight, now_ms), &sight, now_ms).await?;
        remember(self.store.as_ref(), &report, since_ms).await?;
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
    async fn tell(&self, seen: Vec<Risk>, sight: &Sight, now_ms: i64) -> Result<(), StoreError> {
        let mut open = self.open(now_ms).await?;
        let (again, mut new): (Vec<Risk>, Vec<Risk>) = seen.into_iter().partition(|risk| open.contains_key(&risk.id));
        let left_out = new.len().saturating_sub(MOST_RISKS.saturating_sub(again.len()));
        if left_out > 0 {
            warn!(left_out, "there are more risks than people are told of at once; told were the gravest");
            new.truncate(new.len() - left_out);
        }
        for risk in again {
            let known = open.remove(&risk.id);
            let (since_ms, told) = known.map_or((now_ms, Vec::new()), |known| (known.since_ms, known.told));
            self.spread(Risk { since_ms, told, ..risk }, now_ms).await?;
        }
        for risk in new {
            self.spread(risk, now_ms).await?;
        }
        for passed in open.into_values().filter(|known| sight.is_over(known)) {
            self.spread(Risk { is_over: true, ..passed }, now_ms).await?;
        }
        Ok(())
    }

    /// Risks that people know of and that have not passed, by name.
    async fn open(&self, now_ms: i64) -> Result<BTreeMap<String, Risk>, StoreError> {
        let span = Span { since_ms: now_ms - FORGOTTEN_MS, until_ms: i64::MAX, offset: 0 };
        let past = pages(span, MOST_ROWS, |span| self.store.incidents(span, Past::Risks)).await?.rows;
        let open = past.iter().filter_map(Risk::read).filter(|risk| !risk.is_over);
        Ok(open.map(|risk| (risk.id.clone(), risk)).collect())
    }

    /// Tells every channel that has to know and does not, and writes down who does. A channel that fails is told with the next
    /// look; of the end it is told once, or not.
    async fn spread(&self, mut risk: Risk, now_ms: i64) -> Result<(), StoreError> {
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
        let kept = risk.kept(now_ms).map_err(StoreError::Corrupt)?;
        self.store.put(Rows::Incidents(&[kept])).await
    }
}

#[cfg(test)]
mod tests;
