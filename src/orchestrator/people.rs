//! What people decide, taken in by the loop: the one place where it is checked and journaled.

use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{self, Event, HumanDecision, Incident, Stale};
use sre_space_ports::store::StoreError;
use thiserror::Error;
use tokio::sync::oneshot;

use super::Orchestrator;

/// A decision on its way to the loop.
#[derive(Debug)]
pub struct Asked {
    /// Incident.
    pub id: IncidentId,
    /// What was decided.
    pub decision: HumanDecision,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Incident, Refused>>,
}

/// Why a decision was not taken.
#[derive(Debug, Error)]
pub enum Refused {
    /// It does not count.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The incident is closed.
    #[error("the incident is closed: nothing is left to decide")]
    Closed,
    /// It could not be journaled, so it did not happen.
    #[error("the journal refused it: {0}")]
    Journal(#[source] StoreError),
}

impl Orchestrator {
    /// Takes a decision, or says why not. Whoever asked may have gone: the decision counts all the same.
    pub(super) async fn asked(&mut self, asked: Asked) {
        let taken = self.decide(&asked.id, asked.decision).await;
        _ = asked.answer.send(taken);
    }

    async fn decide(&mut self, id: &IncidentId, decision: HumanDecision) -> Result<Incident, Refused> {
        let incident = self.incidents.get(id).ok_or(Refused::Closed)?;
        incident::admit(incident, &decision, &self.context.rules, self.context.now())?;
        self.happened(id.clone(), Event::Decided(decision)).await.map_err(Refused::Journal)?;
        self.incidents.get(id).cloned().ok_or(Refused::Closed)
    }
}
