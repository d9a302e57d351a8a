//! Where no declared remedy is left: a model may be asked, once, for a source patch. What it writes goes on like any remedy, up to
//! the merge, which is a person's.

use super::machine::Machine;
use super::notes::authored;
use super::{Cost, Effect, EscalationReason, Note, State, Step};
use crate::diagnosis::Source;
use crate::patch::Authored;

const NOTHING_LEFT: &str = "no declared remedy is left to try";

impl Machine<'_> {
    /// A person is called, unless there is a model that was not asked yet about what rules found.
    pub(super) fn at_a_loss(self, note: Note) -> Step {
        let by_rules = matches!(self.incident.source, Some(Source::BrainRules | Source::BrainLlm));
        let unasked = self.rules.asks_for_patches && self.incident.authored.is_none();
        if by_rules && unasked && self.incident.state == State::Diagnosing {
            return self.to(State::Diagnosing, Effect::WritePatch, note);
        }
        self.page(State::Escalated, EscalationReason::NoRemedy, NOTHING_LEFT.to_owned(), Some(note))
    }

    pub(super) fn authored(mut self, by_model: Authored, cost: Cost) -> Step {
        self.incident.cost = cost;
        let note = authored(&self.incident, &by_model);
        let next = match &by_model {
            Authored::Written(patch) => Ok(patch.remedy(&self.incident.service)),
            Authored::Lacking { why } => Err(format!("{NOTHING_LEFT}, and there is no source patch: {why}")),
        };
        self.incident.authored = Some(by_model);
        match next {
            Ok(remedy) => {
                self.incident.source = Some(Source::BrainLlm);
                self.incident.remedy = Some(remedy);
                self.to(State::Deciding, Effect::Render, note)
            }
            Err(why) => self.page(State::Escalated, EscalationReason::NoRemedy, why, Some(note)),
        }
    }
}
