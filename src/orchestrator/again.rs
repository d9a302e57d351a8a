//! When the journal is away: what happened waits, and is not journaled twice.

use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Event;
use sre_space_ports::store::{Record, StoreError};

use super::{LOOK_AGAIN, Orchestrator};

impl Orchestrator {
    /// Takes an effect's answer to the journal. While that is away the answer comes again; whether the last try was written after
    /// all, and only its answer lost, is looked up first.
    pub(super) async fn answered(&mut self, id: IncidentId, event: Event) -> Result<(), StoreError> {
        let done = match self.doubtful.contains(&id) {
            true => self.looked_up(&id, event.clone()).await,
            false => self.happened(id.clone(), event.clone()).await,
        };
        if done.as_ref().is_err_and(StoreError::is_transient) {
            self.doubtful.insert(id.clone());
            self.under_way.push(Box::pin(async move {
                tokio::time::sleep(LOOK_AGAIN).await;
                (id, event)
            }));
        }
        done
    }

    async fn looked_up(&mut self, id: &IncidentId, event: Event) -> Result<(), StoreError> {
        let written = self.context.parts.store.incident(id).await?;
        self.doubtful.remove(id);
        match written {
            Some(record) if self.incidents.get(id) != Some(&record.incident) => {
                self.adopt(record);
                Ok(())
            }
            Some(_) | None => self.happened(id.clone(), event).await,
        }
    }

    /// An opening whose answer was lost may have been written: nothing is opened before that is known.
    pub(super) async fn settle_openings(&mut self) -> Result<(), StoreError> {
        while let Some(id) = self.unsure.last() {
            let written = self.context.parts.store.incident(id).await?;
            self.unsure.pop();
            if let Some(record) = written {
                self.adopt(record);
            }
        }
        Ok(())
    }

    /// Goes on where the journal is.
    pub(super) fn adopt(&mut self, record: Record) {
        match record.is_unfinished() {
            true => self.incidents.insert(record.incident.id.clone(), record.incident.clone()),
            false => self.incidents.remove(&record.incident.id),
        };
        if let Some(effect) = record.pending {
            self.begin(&record.incident, effect);
        }
    }
}
