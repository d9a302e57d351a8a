//! Couriers: each follows the journal and tells one channel what is due.
//!
//! A notice is drawn from a journaled step, so nobody is told what may not have happened; that it was told, or could not be, is
//! a row of the journal too. A courier that died in between takes up what has no such row. One channel that is away holds up
//! neither the others nor the loop.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sre_space_agents::human;
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{Incident, State};
use sre_space_domain::journal::{Agent, Draft, Entry, Phase};
use sre_space_ports::notify::{Before, Notice, Notifier, Told, What};
use sre_space_ports::store::{Filter, Store, StoreError, Write};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::monitor::feed::Feed;

/// Incidents that are looked through at the start for what was not told.
const LOOKED_THROUGH: u32 = 50;
/// Rows of one incident.
const MOST_ROWS: u32 = 1_000;
/// Between two tries while the journal is away.
const AWAY: Duration = Duration::from_secs(1);

/// How long a channel is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before the second try; twice as long before each further one.
    pub first: Duration,
    /// At most so long between two tries, unless the channel asks for more.
    pub longest: Duration,
    /// For a notice that calls somebody.
    pub call: Duration,
    /// For any other.
    pub other: Duration,
    /// After a restart, what is older is no news, unless a person is still waited for.
    pub news: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            call: Duration::from_secs(15 * 60),
            other: Duration::from_secs(2 * 60),
            news: Duration::from_secs(3_600),
        }
    }
}

/// One channel, and where its notices come from.
pub struct Courier {
    /// The channel.
    pub channel: Arc<dyn Notifier>,
    /// Journal and incidents.
    pub store: Arc<dyn Store>,
    /// Tells that the journal grew.
    pub feed: Arc<Feed>,
    /// The monitor as people reach it.
    pub monitor: String,
    /// How long the channel is tried.
    pub patience: Patience,
    /// Whether what was told is journaled: not where telling again costs a line.
    pub keeps_books: bool,
}

/// What the journal keeps of one notice on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Booked {
    channel: String,
    #[serde(flatten)]
    told: Told,
    /// Why it was not told after all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

impl Courier {
    /// Carries notices until stopped.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.carry()).await;
    }

    async fn carry(&self) {
        let newest = outlasted(|| self.store.newest()).await;
        if self.keeps_books {
            for id in outlasted(|| self.recent()).await {
                self.tell(&id, None).await;
            }
        }
        let mut rows = pin!(Arc::clone(&self.feed).follow(Some(newest)).await);
        while let Some(entry) = rows.next().await {
            if let (Some(id), Some(_)) = (&entry.row.incident, entry.row.state) {
                self.tell(id, Some(entry.seq)).await;
            }
        }
    }

    async fn recent(&self) -> Result<Vec<IncidentId>, StoreError> {
        let newest = self.store.incidents(Filter { limit: LOOKED_THROUGH, ..Filter::default() }).await?;
        let mut ids: Vec<IncidentId> = newest.into_iter().map(|record| record.incident.id).collect();
        ids.extend(self.store.unfinished().await?.into_iter().map(|record| record.incident.id));
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Tells what is due of an incident: the notice of one step, or whatever was left over.
    async fn tell(&self, id: &IncidentId, step: Option<u64>) {
        let Some((incident, rows)) = outlasted(|| self.story(id)).await else { return };
        let booked: Vec<Booked> =
            rows.iter().filter_map(booking).filter(|row| row.channel == self.channel.name()).collect();
        let is_booked = |notice: &Notice| booked.iter().any(|row| row.told.step == notice.step);
        let notices = human::notices(&incident, &rows, &self.monitor);
        let last = notices.last().map(|notice| notice.step);
        let in_doubt = step.is_none();
        let told = booked.iter().filter(|row| row.failed.is_none()).map(|row| row.told.clone()).collect();
        let mut before = Before { told, in_doubt };
        for notice in notices.iter().filter(|notice| !is_booked(notice)) {
            let is_due = match step {
                Some(step) => notice.step == step,
                None => self.is_news(notice) || (last == Some(notice.step) && is_waited_for(&incident, notice)),
            };
            if is_due && self.channel.carries(notice, &before) {
                before.told.extend(self.carried(id, notice, before.clone()).await);
                before.in_doubt = in_doubt;
            }
        }
    }

    async fn story(&self, id: &IncidentId) -> Result<Option<(Incident, Vec<Entry>)>, StoreError> {
        let Some(record) = self.store.incident(id).await? else { return Ok(None) };
        Ok(Some((record.incident, self.store.journal(0, MOST_ROWS, Some(id)).await?)))
    }

    fn is_news(&self, notice: &Notice) -> bool {
        let age = Timestamp::now().duration_since(notice.at);
        age <= SignedDuration::try_from(self.patience.news).unwrap_or(SignedDuration::MAX)
    }

    /// Tells one notice, and journals what became of it.
    async fn carried(&self, id: &IncidentId, notice: &Notice, before: Before) -> Option<Told> {
        let done = self.delivered(notice, before).await;
        let name = self.channel.name();
        let (receipt, failed) = match done {
            Ok(receipt) => (receipt, None),
            Err(why) => {
                error!(channel = name, notice = notice.key(), why, "a notice was not delivered");
                (None, Some(why))
            }
        };
        let told = Told { step: notice.step, what: notice.what, receipt };
        if self.keeps_books {
            self.book(id, &Booked { channel: name.to_owned(), told: told.clone(), failed: failed.clone() }).await;
        }
        failed.is_none().then_some(told)
    }

    async fn book(&self, id: &IncidentId, booked: &Booked) {
        let text = match &booked.failed {
            None => format!("{} was told of step {}", booked.channel, booked.told.step),
            Some(why) => format!("{} could not be told of step {}: {why}", booked.channel, booked.told.step),
        };
        let row = Draft {
            at: Timestamp::now(),
            incident: Some(id.clone()),
            agent: Agent::Human,
            phase: Phase::Act,
            state: None,
            text,
            data: json!({"notice": booked}),
        };
        let written = outlasted(|| self.store.commit(Write { rows: vec![row.clone()], ..Write::default() })).await;
        self.feed.show(&written);
    }

    /// Tries until the channel takes it, refuses it for good, or the time is up.
    async fn delivered(&self, notice: &Notice, mut before: Before) -> Result<Option<String>, String> {
        let is_call = notice.what.pages() || matches!(notice.what, What::Call(_));
        let deadline = Instant::now() + if is_call { self.patience.call } else { self.patience.other };
        let mut wait = self.patience.first;
        loop {
            let error = match self.channel.tell(notice, &before).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) => error,
            };
            let pause = error.wait().unwrap_or_default().max(wait);
            if !error.is_transient() || Instant::now() + pause > deadline {
                return Err(error.to_string());
            }
            warn!(channel = self.channel.name(), notice = notice.key(), %error, ?pause, "a notice is tried again");
            sleep(pause).await;
            wait = (wait * 2).min(self.patience.longest);
            before.in_doubt = true;
        }
    }
}

/// A call that nobody has answered is due however old it is.
fn is_waited_for(incident: &Incident, notice: &Notice) -> bool {
    matches!(notice.what, What::Call(_)) && matches!(incident.state, State::AwaitingHuman | State::Escalated)
}

fn booking(entry: &Entry) -> Option<Booked> {
    serde_json::from_value(entry.row.data.get("notice")?.clone()).ok()
}

/// The journal may be away for a while; a courier has nothing else to do.
async fn outlasted<T, F: Future<Output = Result<T, StoreError>>>(work: impl Fn() -> F) -> T {
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => {
                warn!(%error, "a courier waits for the journal");
                sleep(AWAY).await;
            }
        }
    }
}
