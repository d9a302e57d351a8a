//! Guardrail. DECIDE.
//!
//! Mission: put every proposal to policy, whoever made it. Trigger: a rendered proposal. Authority: veto. Output: a
//! [`Verdict`] bound to the proposal's digest. Whatever cannot be known counts against the proposal.

#[cfg(test)]
mod tests;

use sre_space_domain::catalogue::{Autonomy, Catalogue, Knob, KnobType};
use sre_space_domain::ids::Digest;
use sre_space_domain::incident::Incident;
use sre_space_domain::proposal::{Decision, KnobValue, Proposal, Remedy, Verdict};
use sre_space_ports::policy::{Action, Policy, Question};

use crate::catalogue::declares;

/// Shares are put to policy in billionths, because policies compare whole numbers.
const BILLION: f64 = 1e9;

/// What else is under way, and was lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Incidents acted on in the last hour, this one not counted.
    pub incidents_last_hour: usize,
    /// The service is in its cooldown.
    pub cooling: bool,
    /// Other remediations under way on the same service.
    pub active_on_service: usize,
}

/// Billionths of a share, rounded down; what is no share (NaN, infinite, outside 0..=1) is nothing.
pub fn billionths(share: f64) -> i64 {
    if (0.0..=1.0).contains(&share) {
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 10^9")]
        return (share * BILLION).floor() as i64;
    }
    0
}

/// The question to put for an incident's proposal.
pub fn question(
    incident: &Incident,
    proposal: &Proposal,
    catalogue: &Catalogue,
    load: &Load,
    threshold: f64,
) -> Question {
    let service = proposal.remedy.service();
    let rules = catalogue.services.get(service);
    let diagnosis = incident.diagnosis.as_ref();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Question {
        service: service.to_owned(),
        remedy: proposal.remedy.kind().to_owned(),
        fault: diagnosis.map_or("unknown", |diagnosis| diagnosis.kind.as_str()).to_owned(),
        autonomy: rules.map_or(Autonomy::Observe, |rules| rules.autonomy),
        confidence_e9: diagnosis.map_or(0, |diagnosis| billionths(diagnosis.confidence.get())),
        trust_e9: billionths(proposal.trust),
        threshold_e9: billionths(threshold),
        files: proposal.files.clone(),
        lines: i64::from(proposal.lines),
        declared: rules.is_some_and(|rules| proposal.files.iter().all(|file| declares(rules, file))),
        bounded: is_bounded(&proposal.remedy, catalogue),
        sources: count(incident.signal.sources.len()),
        incidents_last_hour: count(load.incidents_last_hour),
        incidents_per_hour: i64::from(catalogue.limits.incidents_per_hour),
        cooling: load.cooling,
        active_on_service: count(load.active_on_service),
    }
}

fn is_bounded(remedy: &Remedy, catalogue: &Catalogue) -> bool {
    match remedy {
        Remedy::Revert { .. } => true,
        Remedy::TurnKnob { service, knob, value } => {
            let rules = catalogue.services.get(service);
            let declared = rules.and_then(|rules| rules.knobs.iter().find(|declared| declared.name == *knob));
            declared.is_some_and(|knob| fits(knob, value))
        }
    }
}

fn fits(knob: &Knob, value: &KnobValue) -> bool {
    match (knob.kind, value) {
        (KnobType::Bool, KnobValue::Bool(_)) => true,
        (KnobType::Int, KnobValue::Int(value)) => {
            let inside = knob.min.is_none_or(|min| *value >= min) && knob.max.is_none_or(|max| *value <= max);
            inside && knob.step.is_none_or(|step| step > 0 && value % step == 0)
        }
        (KnobType::Bool, KnobValue::Int(_)) | (KnobType::Int, KnobValue::Bool(_)) => false,
    }
}

/// Rules: DENY unless opening is allowed, ALLOW if merging is too, else REQUIRE_APPROVAL.
pub fn rule(policy: &dyn Policy, question: &Question, digest: &Digest) -> Verdict {
    let propose = policy.rule(Action::Propose, question);
    let verdict = |decision, rules, reasons| Verdict { decision, rules, reasons, digest: digest.clone() };
    if !propose.allowed {
        return verdict(Decision::Deny, propose.rules, propose.reasons);
    }
    let merge = policy.rule(Action::Merge, question);
    if merge.allowed {
        return verdict(Decision::Allow, merge.rules, merge.reasons);
    }
    let mut reasons = why_not_merge(question);
    if reasons.is_empty() {
        reasons = merge.reasons;
    }
    let rules = if merge.rules.is_empty() { propose.rules } else { merge.rules };
    verdict(Decision::RequireApproval, rules, reasons)
}

/// What stands in the way of merging without a person, in numbers.
fn why_not_merge(question: &Question) -> Vec<String> {
    let share = |billionths: i64| billionths as f64 / BILLION;
    let mut reasons = Vec::new();
    if question.autonomy != Autonomy::Auto {
        reasons.push("the owners' autonomy is not auto".to_owned());
    }
    if question.trust_e9 <= question.threshold_e9 {
        let (trust, threshold) = (share(question.trust_e9), share(question.threshold_e9));
        reasons.push(format!("trust {trust:.3} is not above {threshold:.2}"));
    }
    if question.sources < 2 {
        reasons.push(format!("{} independent source(s) saw it, two are needed", question.sources));
    }
    if question.incidents_last_hour >= question.incidents_per_hour {
        reasons.push(format!("the budget of {} incidents an hour is used up", question.incidents_per_hour));
    }
    if question.cooling {
        reasons.push("the service is in its cooldown".to_owned());
    }
    if question.active_on_service > 0 {
        reasons.push("another remediation is under way on the service".to_owned());
    }
    reasons
}
