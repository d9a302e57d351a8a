//! What every transition is made of: going on, ending, calling a person, closing an attempt.

use jiff::Timestamp;
use serde_json::json;

use super::notes::tell;
use super::{Attempt, Change, Effect, Escalation, EscalationReason, Incident, Note, Rules, State, Step};
use crate::journal::{Agent, Phase};

/// An incident in the middle of a step.
pub(super) struct Machine<'a> {
    /// The incident as it was.
    pub incident: Incident,
    /// What is decided by.
    pub rules: &'a Rules,
    /// The time.
    pub now: Timestamp,
}

impl Machine<'_> {
    /// What needs nobody; a ticket that was opened for it says so and is closed.
    pub(super) fn left(self, note: Note) -> Step {
        let close = self.incident.ticket.map(|_| Effect::CloseTicket);
        self.end(State::Suppressed, close, note)
    }

    pub(super) fn close_attempt(&mut self, revert: Option<Change>, ended: String) {
        let number = self.incident.attempt();
        let incident = &mut self.incident;
        if let Some(remedy) = incident.remedy.take() {
            let change = incident.change.take().unwrap_or_default();
            incident.attempts.push(Attempt {
                number,
                remedy,
                change,
                recovery: incident.recovery.take(),
                revert,
                ended,
            });
        }
        incident.proposal = None;
        incident.verdict = None;
        incident.approval = None;
    }

    pub(super) fn change(&mut self) -> &mut Change {
        self.incident.change.get_or_insert_default()
    }

    pub(super) fn page(mut self, state: State, reason: EscalationReason, detail: String, note: Option<Note>) -> Step {
        let text = format!("needs a person: {detail}");
        let told = tell(Agent::Human, Phase::Escalate, &text, json!({"reason": reason, "detail": detail}));
        self.incident.escalation = Some(Escalation { reason, detail });
        let mut step = self.end(state, Some(Effect::Page), told);
        step.notes.splice(0..0, note);
        step
    }

    pub(super) fn to(mut self, state: State, effect: Effect, note: Note) -> Step {
        if self.incident.state != state {
            self.incident.since = self.now;
        }
        self.incident.state = state;
        Step { incident: self.incident, effect: Some(effect), notes: vec![note] }
    }

    pub(super) fn end(mut self, state: State, effect: Option<Effect>, note: Note) -> Step {
        self.incident.state = state;
        self.incident.since = self.now;
        if state.is_terminal() {
            self.incident.closed_at = Some(self.now);
        }
        Step { incident: self.incident, effect, notes: vec![note] }
    }

    pub(super) fn keep(self, note: Note) -> Step {
        Step { incident: self.incident, effect: None, notes: vec![note] }
    }

    pub(super) fn stay(self) -> Step {
        Step { incident: self.incident, effect: None, notes: vec![] }
    }
}
