//! A policy double that is as strict as the shipped rules.

use sre_space_domain::catalogue::Autonomy;
use sre_space_ports::policy::{Action, Policy, Question, Rule, Ruling};

/// Permits what is strictly above the threshold, as the shipped policies do; `frozen` forbids the action named.
#[derive(Default)]
pub struct Strict {
    /// The action an operator forbade.
    pub frozen: Option<Action>,
}

impl Policy for Strict {
    fn rule(&self, action: Action, question: &Question) -> Ruling {
        let ruled = |allowed, rules: &[&str], reason: &str| Ruling {
            allowed,
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            reasons: vec![reason.to_owned()],
        };
        if self.frozen == Some(action) {
            return ruled(false, &["freeze"], "frozen by the operator");
        }
        let sure = question.confidence_e9 > question.threshold_e9;
        let trusted = question.trust_e9 > question.threshold_e9;
        let alone = question.sources >= 2 && question.autonomy == Autonomy::Auto && !question.cooling;
        let free = question.incidents_last_hour < question.incidents_per_hour && question.active_on_service == 0;
        match action {
            Action::Propose if sure => ruled(true, &["propose"], "may be proposed"),
            Action::Merge if sure && trusted && alone && free => ruled(true, &["merge"], "may be merged"),
            Action::Propose | Action::Merge => ruled(false, &[], "nothing permits it"),
        }
    }

    fn rules(&self) -> Vec<Rule> {
        vec![]
    }
}
