//! What a ticket says.

use sre_space_domain::incident::{EscalationReason, Incident};
use sre_space_domain::plain;
use sre_space_domain::signal::SignalKind;

pub(super) fn title(incident: &Incident) -> String {
    let signal = &incident.signal;
    let kind = match signal.kind {
        SignalKind::ErrorRate => "failing",
        SignalKind::Latency => "slow",
        SignalKind::MemoryTrend | SignalKind::Amplification => {
            return format!("{}: {} ({})", plain::bare_name(&signal.service), signal.clause(), incident.id);
        }
    };
    let share = signal.observed * 100.0;
    format!(
        "{}: {share:.1} % of {} requests {kind} ({})",
        plain::bare_name(&signal.service),
        signal.samples,
        incident.id
    )
}

pub(super) fn body(incident: &Incident) -> String {
    let signal = &incident.signal;
    format!(
        "SRE-Space opened incident `{}` at {}.\n\n\
         - service: {}\n\
         - bad {}: {:.1} % of {} in {:.0} s ({:.1} % before)\n\
         - independent sources: {}\n\
         - posterior {:.4}, statistic {:.2}, threshold {:.2}\n\n\
         The steps are in the incident's journal; this ticket closes when recovery is proven.",
        incident.id,
        incident.opened_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        plain::name(&signal.service),
        signal.kind.counts(),
        signal.observed * 100.0,
        signal.samples,
        signal.window_s,
        signal.baseline * 100.0,
        signal.sources.len(),
        signal.posterior,
        signal.statistic,
        signal.threshold,
    )
}

/// The same for a repeated call, another for the next reason: an incident may need a person twice in one attempt.
pub(super) fn escalation_key(incident: &Incident) -> String {
    let reason = incident.escalation.as_ref().map_or("none", |escalation| word(escalation.reason));
    format!("escalation-{}-{}-{reason}", incident.id, incident.attempt())
}

pub(super) fn escalation(incident: &Incident) -> String {
    let mut lines = vec![format!("**A person is needed** for `{}`.", incident.id)];
    match &incident.escalation {
        Some(escalation) => {
            lines.push(format!("{} {}", sentence(escalation.reason), plain::sentence(&escalation.detail)));
        }
        None => lines.push("No reason was recorded.".to_owned()),
    }
    lines.extend(diagnosis(incident));
    lines.extend(attempts(incident));
    lines.extend(pull_request(incident));
    lines.join("\n\n")
}

fn word(reason: EscalationReason) -> &'static str {
    match reason {
        EscalationReason::LowConfidence => "low-confidence",
        EscalationReason::NoRemedy => "no-remedy",
        EscalationReason::PolicyDenied => "policy-denied",
        EscalationReason::ApprovalRequired => "approval-required",
        EscalationReason::AttemptsExhausted => "attempts-exhausted",
        EscalationReason::Inconclusive => "inconclusive",
        EscalationReason::EffectFailed => "effect-failed",
        EscalationReason::AutonomyOff => "autonomy-off",
        EscalationReason::Rejected => "rejected",
        EscalationReason::Kept => "kept",
    }
}

pub(super) fn sentence(reason: EscalationReason) -> &'static str {
    match reason {
        EscalationReason::LowConfidence => "The cause is not known well enough to change anything:",
        EscalationReason::NoRemedy => "No declared remedy fits, or none is left to try:",
        EscalationReason::PolicyDenied => "Policy denied the change; nothing was written:",
        EscalationReason::ApprovalRequired => "The change is ready and waits for a person's approval:",
        EscalationReason::AttemptsExhausted => "What was tried did not help; no further attempt is made:",
        EscalationReason::Inconclusive => "The change is merged, and whether it helped could not be judged:",
        EscalationReason::EffectFailed => "A step failed for good:",
        EscalationReason::AutonomyOff => "The kill switch is off; nothing more is written:",
        EscalationReason::Rejected => "The change was rejected; the failure is in your hands:",
        EscalationReason::Kept => "The change stays, unproven; the failure is in your hands:",
    }
}

fn diagnosis(incident: &Incident) -> Option<String> {
    let diagnosis = incident.diagnosis.as_ref()?;
    let terms: Vec<String> =
        diagnosis.terms.iter().map(|term| format!("{} {:.3}", plain::name(&term.name), term.value)).collect();
    let kind = diagnosis.kind.as_str();
    let place = plain::name(&diagnosis.service);
    Some(format!("Diagnosis: `{kind}` in {place}, confidence {} = {}.", diagnosis.confidence, terms.join(" × ")))
}

fn attempts(incident: &Incident) -> Option<String> {
    let made = incident.attempts.iter().map(|attempt| {
        let pr = attempt.change.pr.map_or_else(|| "no pull request".to_owned(), |pr| format!("pull request #{pr}"));
        let revert = attempt.revert.as_ref().and_then(|revert| revert.pr);
        let reverted = revert.map_or_else(String::new, |pr| format!(", reverted by #{pr}"));
        format!("{}. {} with {pr}{reverted}", attempt.number, plain::name(&attempt.remedy.id()))
    });
    let lines: Vec<String> = made.collect();
    (!lines.is_empty()).then(|| format!("Tried before:\n\n{}", lines.join("\n")))
}

fn pull_request(incident: &Incident) -> Option<String> {
    let pr = incident.change.as_ref()?.pr?;
    let digest = incident.proposal.as_ref().map(|proposal| proposal.digest.as_str())?;
    Some(format!("Pull request #{pr}; what would be approved has the digest `{digest}`."))
}
