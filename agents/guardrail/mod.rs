//! Guardrail, DECIDE.
//!
//! Mission: let through only what the owners and the operator allow, and say which rule decided.
//! Trigger: a rendered proposal, whoever thought of it; a remedy that was verified before is judged like any other.
//! Authority: none of its own. It puts facts to the policy port and may not change what comes back, only explain it.
//! Output: a verdict bound to the proposal's digest: ALLOW, DENY or REQUIRE_APPROVAL.

mod explain;
mod facts;
#[cfg(test)]
mod tests;

use sre_space_domain::ids::Digest;
use sre_space_domain::proposal::{Decision, Verdict};
use sre_space_ports::policy::{Action, Policy, Question};

pub use self::facts::{Case, billionths, question};

/// Rules on a proposal: DENY unless it may be opened, ALLOW if it may be merged too, else a person has to merge it.
pub fn rule(policy: &dyn Policy, question: &Question, digest: &Digest) -> Verdict {
    let propose = policy.rule(Action::Propose, question);
    if !propose.allowed {
        let reasons = explain::why_not(Action::Propose, question, &propose);
        return Verdict { decision: Decision::Deny, rules: propose.rules, reasons, digest: digest.clone() };
    }
    let merge = policy.rule(Action::Merge, question);
    if merge.allowed {
        let rules = [propose.rules, merge.rules].concat();
        return Verdict { decision: Decision::Allow, rules, reasons: merge.reasons, digest: digest.clone() };
    }
    let reasons = explain::why_not(Action::Merge, question, &merge);
    // When no rule stood in the way of merging, the one that let it be proposed is what decided.
    let rules = if merge.rules.is_empty() { propose.rules } else { merge.rules };
    Verdict { decision: Decision::RequireApproval, rules, reasons, digest: digest.clone() }
}
