//! Policy with merging withheld: whatever the rules allow, a person merges.

use std::sync::Arc;

use sre_space_ports::policy::{Action, Policy, Question, Rule, Ruling};

const ID: &str = "merging-withheld";

/// A policy under which nothing is merged without a person, for a reason that lies outside the rules.
pub struct Withheld {
    policy: Arc<dyn Policy>,
    why: String,
}

impl Withheld {
    /// Withholds merging from a policy.
    pub fn new(policy: Arc<dyn Policy>, why: impl Into<String>) -> Self {
        Self { policy, why: why.into() }
    }
}

impl Policy for Withheld {
    fn rule(&self, action: Action, question: &Question) -> Ruling {
        match action {
            Action::Propose => self.policy.rule(action, question),
            Action::Merge => Ruling { allowed: false, rules: vec![ID.to_owned()], reasons: vec![self.why.clone()] },
        }
    }

    fn rules(&self) -> Vec<Rule> {
        let ours = Rule {
            id: ID.to_owned(),
            effect: "forbid".to_owned(),
            reason: self.why.clone(),
            source: "what the forge says of our rights at the start".to_owned(),
        };
        self.policy.rules().into_iter().chain([ours]).collect()
    }
}
