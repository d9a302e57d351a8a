//! The incident loop: event → step → journal → effect → event.
//!
//! The journal is written and synced before an effect begins, and every effect is safe to repeat: after a crash the loop
//! goes on with the effect that was pending. One incident has at most one effect under way.

pub mod context;
mod effects;
pub mod people;
mod trust;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::json;
use sre_space_agents::scout::Sighting;
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{self, Effect, Event, Incident, State, Step};
use sre_space_domain::journal::{Agent, Draft, Phase};
use sre_space_domain::recovery::Outcome;
use sre_space_domain::signal::Signal;
use sre_space_ports::bus::Topic;
use sre_space_ports::store::{OutcomeRow, Record, StoreError, Write};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use self::context::Context;
use self::people::Asked;

type Answer = BoxFuture<'static, (IncidentId, Event)>;

/// The loop over all incidents of this server.
pub struct Orchestrator {
    context: Arc<Context>,
    incidents: BTreeMap<IncidentId, Incident>,
    under_way: FuturesUnordered<Answer>,
}

impl Orchestrator {
    /// Takes up every incident where the journal left it.
    pub async fn resume(context: Arc<Context>) -> Result<Self, StoreError> {
        let mut this = Self { context, incidents: BTreeMap::new(), under_way: FuturesUnordered::new() };
        for Record { incident, pending } in this.context.parts.store.unfinished().await? {
            if let Some(effect) = pending {
                this.begin(&incident, effect);
            }
            this.incidents.insert(incident.id.clone(), incident);
        }
        Ok(this)
    }

    /// Runs until stopped. What is under way when the stop comes is taken up again by the next start.
    pub async fn run(
        mut self,
        mut sightings: mpsc::Receiver<Sighting>,
        mut decisions: mpsc::Receiver<Asked>,
        stop: CancellationToken,
    ) {
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                Some(asked) = decisions.recv() => {
                    self.asked(asked).await;
                    Ok(())
                }
                Some(sighting) = sightings.recv() => self.sighted(sighting).await,
                Some((id, event)) = self.under_way.next() => self.happened(id, event).await,
            };
            if let Err(error) = done {
                // No effect without a journaled step: the incident stays where the journal has it.
                error!(%error, "the journal refused a step; its effect is not performed");
            }
        }
    }

    async fn sighted(&mut self, sighting: Sighting) -> Result<(), StoreError> {
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

    /// Whether an open incident, or a person, already has this failure.
    fn is_claimed(&self, signal: &Signal) -> bool {
        let scout = self.context.scout();
        self.incidents.values().any(|incident| scout.related(&incident.service, &signal.service))
    }

    fn detected_near(&self, signal: &Signal) -> Option<IncidentId> {
        let scout = self.context.scout();
        let mut detected = self.incidents.values().filter(|incident| incident.state == State::Detected);
        detected.find(|incident| scout.related(&incident.service, &signal.service)).map(|incident| incident.id.clone())
    }

    /// Journal rule 1: the incident exists before anything is done about it.
    async fn open(&mut self, signal: Signal) -> Result<(), StoreError> {
        let now = self.context.now();
        let id = self.context.new_id();
        let text = format!(
            "suspect: {} {} is bad in {:.0} % of {} requests (statistic {:.1}, threshold {:.1})",
            signal.service,
            signal.operation,
            signal.observed * 100.0,
            signal.samples,
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
        let incident = Incident::open(id, signal, now);
        self.write(incident, Some(Effect::AwaitConfirmation), vec![row], None).await
    }

    async fn happened(&mut self, id: IncidentId, event: Event) -> Result<(), StoreError> {
        let Some(incident) = self.incidents.get(&id).cloned() else { return Ok(()) };
        let now = self.context.now();
        let outcome = outcome_of(&incident, &event);
        let Step { incident, effect, notes } = incident::step(incident, event, &self.context.rules, now);
        if notes.is_empty() {
            return Ok(());
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

    async fn write(
        &mut self,
        incident: Incident,
        effect: Option<Effect>,
        rows: Vec<Draft>,
        outcome: Option<OutcomeRow>,
    ) -> Result<(), StoreError> {
        let record = Record { incident: incident.clone(), pending: effect.clone() };
        let entries = self.context.parts.store.commit(Write { record: Some(record.clone()), rows, outcome }).await?;
        self.context.feed.show(&entries);
        self.context.publish(Topic::Incidents, incident.id.as_str(), &json!({"schema": 1, "incident": incident})).await;
        if record.is_unfinished() {
            self.incidents.insert(incident.id.clone(), incident.clone());
        } else {
            self.incidents.remove(&incident.id);
        }
        if let Some(effect) = effect {
            self.begin(&incident, effect);
        }
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
        | Event::TicketOpened(_)
        | Event::Recalled { .. }
        | Event::Diagnosed(_)
        | Event::GaveUp(_)
        | Event::Rendered(_)
        | Event::Ruled(_)
        | Event::Branched
        | Event::Committed(_)
        | Event::Proposed { .. }
        | Event::ChecksPassed
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
