//! What a model's counsel changes in an incident: the choice among what was offered, and a lower confidence. Nothing else.

use super::machine::Machine;
use super::notes::counselled;
use super::{Cost, Step};
use crate::counsel::Counsel;
use crate::diagnosis::Source;
use crate::proposal::Remedy;

impl Machine<'_> {
    /// Without an answer, what the rules found stands.
    pub(super) fn counselled(mut self, counsel: Counsel, cost: Cost) -> Step {
        self.incident.cost = cost;
        let remedy = match &counsel {
            Counsel::Given(advice) => {
                let incident = &mut self.incident;
                incident.diagnosis = incident.diagnosis.as_ref().map(|found| advice.applied(found, &incident.offers));
                incident.source = Some(Source::BrainLlm);
                self.offered(advice.choice)
            }
            Counsel::Lacking { .. } => self.offered(Some(0)),
        };
        let note = counselled(&self.incident, &counsel);
        self.incident.counsel = Some(counsel);
        self.concluded(remedy, note)
    }

    fn offered(&self, choice: Option<usize>) -> Option<Remedy> {
        Some(self.incident.offers.get(choice?)?.remedy.clone())
    }
}
