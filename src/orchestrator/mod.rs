//! The incident loop: event → step → journal → effect → event.
//!
//! The journal is written and synced before an effect begins, and every effect is safe to repeat: after a crash the loop
//! goes on with the effect that was pending. One incident has at most one effect under way.

mod again;
mod author;
pub mod context;
mod effects;
mod orient;
pub mod people;
mod retry;
#[cfg(test)]
mod tests;
mod trust;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::json;
use sre_space_agents::scout::Sighting;
use sre_space_domain::evidence::Suspect;
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{self, Effect, Event, Incident, State, Step};
use sre_space_domain::journal::{Agent, Draft, Phase};
use sre_space_domain::recovery::Outcome;
use sre_space_domain::signal::{Certainty, Signal};
use sre_space_ports::bus::Topic;
use sre_space_ports::store::{OutcomeRow, Record, StoreError, Write};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use self::context::Context;
use self::people::Asked;

/// How often suspicions are looked at that nobody has taken up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Answer = BoxFuture<'static, (IncidentId, Event)>;

/// The loop over all incidents of this server.
pub struct Orchestrator {
    context: Arc<Context>,
    incidents: BTreeMap<IncidentId, Incident>,
    under_way: FuturesUnordered<Answer>,
    /// Suspicions that were dropped unconfirmed and have not gone away: they are not opened again until they do.
    dropped: BTreeSet<(String, String)>,
    /// Incidents of which nobody knows whether their last step was written.
    doubtful: BTreeSet<IncidentId>,
    /// Those of which nobody knows whether they were opened.
    unsure: Vec<IncidentId>,
}

impl Orchestrator {
    /// Takes up every incident where the journal left it.
    pub async fn resume(context: Arc<Context>) -> Result<Self, StoreError> {
        let mut this = Self {
            context,
            incidents: BTreeMap::new(),
            under_way: FuturesUnordered::new(),
            dropped: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            unsure: Vec::new(),
        };
        this.context.parts.store.unfinished().await?.into_iter().for_each(|record| this.adopt(record));
        Ok(this)
    }

    /// Runs until stopped, or until another control plane has taken the journal over. What is under way then is taken up again by
    /// the next start, or by the other one.
    pub async fn run(
        mut self,
        mut sightings: mpsc::Receiver<Sighting>,
        mut decisions: mpsc::Receiver<Asked>,
        stop: CancellationToken,
    ) {
        let mut again = tokio::time::interval(LOOK_AGAIN);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                Some(asked) = decisions.recv() => {
                    self.asked(asked).await;
                    Ok(())
                }
                Some(sighting) = sightings.recv() => self.sighted(sighting).await,
                _ = again.tick() => self.look_again().await,
                Some((id, event)) = self.under_way.next() => self.answered(id, event).await,
            };
            if let Err(error) = done {
                // No effect without a journaled step: the incident stays where the journal has it.
                error!(%error, "the journal refused a step; its effect is not performed");
                if matches!(error, StoreError::Taken) {
                    return;
                }
            }
        }
    }

    async fn sighted(&mut self, sighting: Sighting) -> Result<(), StoreError> {
        self.settle_openings().await?;
        match sighting {
            Sighting::Suspected(signal) => {
                self.context.announce(&signal).await;
                if self.is_claimed(&signal) { Ok(()) } else { self.open(signal).await }
            }
            Sighting::Confirmed(signal) => {
                self.context.announce(&signal).await;
                match self.detected_near(&signal) {
                    Some(id) => self.happened(id, Event::Confirmed(signal)).await,
                    None => Ok(()),
                }
            }
            // Whoever waits for it asks Scout.
            Sighting::Faded { .. } => Ok(()),
        }
    }

    /// Whether an open incident, or a person, already has this failure. What an incident is about is known once it has a
    /// diagnosis; until then it may be anything on its call paths. What the second sense sees while a failure on its call paths is
    /// dealt with may come of that; and what it sees itself keeps no failing request waiting, but while it is being cured.
    fn is_claimed(&self, signal: &Signal) -> bool {
        let (scout, is_sensed) = (self.context.scout(), signal.coherence.is_some());
        self.incidents.values().any(|incident| {
            let is_related = || scout.related(&incident.service, &signal.service);
            if !is_sensed && incident.signal.coherence.is_some() && !incident.state.is_curing() {
                return false;
            }
            match affected(incident) {
                [] => is_related(),
                known => {
                    let is_consequence = || is_sensed && incident.state.is_active() && is_related();
                    is_among(known, &signal.service, &signal.operation) || is_consequence()
                }
            }
        })
    }

    /// Suspicions that came while something else claimed them, and confirmations of those opened late.
    async fn look_again(&mut self) -> Result<(), StoreError> {
        self.settle_openings().await?;
        let now_ms = self.context.now_ms();
        let suspects = { self.context.scout().suspects() };
        self.dropped.retain(|(service, operation)| {
            suspects.iter().any(|suspect| suspect.service == *service && suspect.operation == *operation)
        });
        for Suspect { service, operation, .. } in suspects {
            let Some(signal) = ({ self.context.scout().signal(&service, &operation, now_ms) }) else { continue };
            let is_new = !self.is_claimed(&signal) && !self.dropped.contains(&(service, operation));
            let is_confirmed = signal.certainty == Certainty::Confirmed;
            if is_new {
                self.open(signal.clone()).await?;
            }
            if is_confirmed && let Some(id) = self.detected_near(&signal) {
                self.happened(id, Event::Confirmed(signal)).await?;
            }
        }
        Ok(())
    }

    /// The incident that a confirmation is for: the one of that very operation, or one on its call paths that was opened by the
    /// same sense, unless another incident is known to be about it.
    fn detected_near(&self, signal: &Signal) -> Option<IncidentId> {
        let scout = self.context.scout();
        let (service, operation) = (&signal.service, &signal.operation);
        let detected = || self.incidents.values().filter(|incident| incident.state == State::Detected);
        let exact = detected().find(|incident| incident.service == *service && incident.operation == *operation);
        let is_known = self.incidents.values().any(|incident| is_among(affected(incident), service, operation));
        let same_sense = |incident: &Incident| incident.signal.coherence.is_some() == signal.coherence.is_some();
        let related = || {
            detected()
                .filter(|incident| same_sense(incident))
                .find(|incident| !is_known && scout.related(&incident.service, service))
        };
        exact.or_else(related).map(|incident| incident.id.clone())
    }

    /// Journal rule 1: the incident exists before anything is done about it.
    async fn open(&mut self, signal: Signal) -> Result<(), StoreError> {
        let now = self.context.now();
        let id = self.context.new_id();
        let text = format!(
            "suspect: {} {} {} (statistic {:.1}, threshold {:.1})",
            signal.service,
            signal.operation,
            signal.clause(),
            signal.statistic,
            signal.threshold
        );
        let row = Draft {
            at: now,
            incident: Some(id.clone()),
            agent: Agent::Scout,
            phase: Phase::Observe,
            state: Some(State::Detected),
            text,
            data: json!(signal),
        };
        let incident = Incident::open(id.clone(), signal, now);
        let opened = self.write(incident, Some(Effect::AwaitConfirmation), vec![row], None).await;
        self.unsure.extend(opened.as_ref().is_err_and(StoreError::is_transient).then_some(id));
        opened
    }

    async fn happened(&mut self, id: IncidentId, event: Event) -> Result<(), StoreError> {
        let Some(incident) = self.incidents.get(&id).cloned() else { return Ok(()) };
        let event = self.unless_known(&incident, event);
        let now = self.context.now();
        let outcome = outcome_of(&incident, &event);
        let is_proven = matches!(event, Event::Held);
        let Step { incident, effect, notes } = incident::step(incident, event, &self.context.rules, now);
        if notes.is_empty() {
            return Ok(());
        }
        if let (true, Some(found)) = (is_proven, &incident.diagnosis) {
            self.context.scout().settle(&found.affected);
        }
        let row = |note: incident::Note| Draft {
            at: now,
            incident: Some(incident.id.clone()),
            agent: note.agent,
            phase: note.phase,
            state: Some(incident.state),
            text: note.text,
            data: note.data,
        };
        let rows = notes.into_iter().map(row).collect();
        self.write(incident, effect, rows, outcome).await
    }

    /// Two suspicions of one failure, as they come where nobody knows yet who calls whom, find the same cause: it is the first
    /// one's. One that came back after it was dealt with is news.
    fn unless_known(&self, incident: &Incident, event: Event) -> Event {
        let Some(fingerprint) = event.finding().map(|found| found.signature.fingerprint()) else { return event };
        let is_same = |other: &&Incident| {
            other.id != incident.id && !other.state.is_terminal() && other.fingerprint.as_ref() == Some(&fingerprint)
        };
        let first = self.incidents.values().find(is_same).filter(|_| incident.attempts.is_empty());
        first.map_or(event, |first| Event::Known(first.id.clone()))
    }

    async fn write(
        &mut self,
        incident: Incident,
        effect: Option<Effect>,
        rows: Vec<Draft>,
        outcome: Option<OutcomeRow>,
    ) -> Result<(), StoreError> {
        let record = Record { incident: incident.clone(), pending: effect };
        let entries = self.context.parts.store.commit(Write { record: Some(record.clone()), rows, outcome }).await?;
        self.context.feed.show(&entries);
        self.context.publish(Topic::Incidents, incident.id.as_str(), &json!({"schema": 1, "incident": incident})).await;
        // What was confirmed was dropped because it had gone away.
        if incident.state == State::Suppressed && incident.ticket.is_none() {
            self.dropped.insert((incident.service.clone(), incident.operation.clone()));
        }
        self.adopt(record);
        Ok(())
    }

    fn begin(&mut self, incident: &Incident, effect: Effect) {
        let context = Arc::clone(&self.context);
        let incident = incident.clone();
        self.under_way.push(Box::pin(async move {
            let event = effects::perform(&context, &incident, &effect).await;
            (incident.id, event)
        }));
    }
}

/// What an incident is known to be about.
fn affected(incident: &Incident) -> &[(String, String)] {
    incident.diagnosis.as_ref().map(|diagnosis| diagnosis.affected.as_slice()).unwrap_or_default()
}

fn is_among(affected: &[(String, String)], service: &str, operation: &str) -> bool {
    affected.iter().any(|(its, also)| its == service && also == operation)
}

/// What an event says about the remedy in hand, for its record.
fn outcome_of(incident: &Incident, event: &Event) -> Option<OutcomeRow> {
    let verified = match event {
        Event::Held => true,
        Event::Judged(recovery) | Event::Relapsed(recovery) => match recovery.verdict {
            Outcome::Regressed | Outcome::Unchanged => false,
            Outcome::Recovered | Outcome::Inconclusive => return None,
        },
        Event::Confirmed(_)
        | Event::Faded
        | Event::Known(_)
        | Event::TicketOpened(_)
        | Event::Recalled { .. }
        | Event::Diagnosed(_)
        | Event::Counselled { .. }
        | Event::Authored { .. }
        | Event::GaveUp(_)
        | Event::Rendered(_)
        | Event::Ruled(_)
        | Event::Branched
        | Event::Committed(_)
        | Event::Proposed { .. }
        | Event::ChecksPassed(_)
        | Event::ChecksFailed(_)
        | Event::Merged { .. }
        | Event::Deployed
        | Event::NotDeployed(_)
        | Event::Reverted(_)
        | Event::Remembered
        | Event::TicketClosed
        | Event::Paged
        | Event::Decided(_)
        | Event::Calmed
        | Event::Failed(_)
        | Event::Forbidden => return None,
    };
    let key = trust::key(incident.remedy.as_ref()?, incident.diagnosis.as_ref()?.kind);
    Some(OutcomeRow { incident: incident.id.clone(), attempt: incident.attempt(), key, verified })
}
