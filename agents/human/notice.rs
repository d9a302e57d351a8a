//! What channels are told of an incident, drawn from its rows in the journal.

use serde_json::Value;
use sre_space_domain::incident::{EscalationReason, Incident, State};
use sre_space_domain::journal::{Agent, Entry, Phase};
use sre_space_domain::plain;
use sre_space_ports::notify::{Notice, Question, Severity, What};

use super::text;

/// The notices of an incident, oldest first, from all its rows. `monitor` is the monitor's address as people reach it.
///
/// A suspicion that nobody confirmed is no news. What the incident is known to be goes along as it is now, since whoever is told
/// late wants to know how it is, and not how it was.
pub fn notices(incident: &Incident, rows: &[Entry], monitor: &str) -> Vec<Notice> {
    let mut state = State::Detected;
    let mut is_open = false;
    let mut drawn = Vec::new();
    for entry in rows.iter().filter(|entry| entry.row.incident.as_ref() == Some(&incident.id)) {
        let Some(after) = entry.row.state else { continue };
        let what = what(entry, state, is_open);
        is_open |= what.is_some();
        state = after;
        drawn.extend(what.map(|what| draft(incident, entry, what, monitor)));
    }
    drawn
}

fn what(entry: &Entry, before: State, is_open: bool) -> Option<What> {
    let row = &entry.row;
    let after = row.state?;
    if let Some(reason) = called(entry) {
        return Some(What::Call(reason));
    }
    match after {
        State::Detected => None,
        State::Suppressed | State::Resolved => (is_open && after != before).then_some(What::Over),
        // Nothing but a service that is seen healthy again is told by Scout of what a person has.
        State::Escalated => {
            let is_calm = before == State::Escalated && row.agent == Agent::Scout && row.phase == Phase::Verify;
            is_calm.then_some(What::Over)
        }
        State::AwaitingHuman => None,
        State::Matching
        | State::Diagnosing
        | State::Deciding
        | State::Acting
        | State::Deploying
        | State::Verifying
        | State::Learning
        | State::Reverting => {
            let moved = if before == State::AwaitingHuman { What::Decided } else { What::Moved };
            (after != before).then_some(if is_open { moved } else { What::Opened })
        }
    }
}

/// Why a person is called by this row.
fn called(entry: &Entry) -> Option<EscalationReason> {
    let is_call = entry.row.agent == Agent::Human && entry.row.phase == Phase::Escalate;
    let reason = entry.row.data.get("reason").filter(|_| is_call)?;
    serde_json::from_value(reason.clone()).ok()
}

fn draft(incident: &Incident, entry: &Entry, what: What, monitor: &str) -> Notice {
    let page = format!("{}/monitor?incident={}", monitor.trim_end_matches('/'), incident.id);
    Notice {
        subject: incident.id.as_str().to_owned(),
        step: entry.seq,
        at: entry.row.at,
        what,
        severity: severity(what),
        state: entry.row.state.map_or_else(String::new, word),
        service: plain::bare_name(&incident.service),
        title: text::title(incident),
        text: sentence(entry, what),
        facts: facts(incident),
        question: question(incident, what, &page),
        page,
    }
}

fn severity(what: What) -> Severity {
    match what {
        What::Call(EscalationReason::ApprovalRequired | EscalationReason::Kept) => Severity::Error,
        What::Call(EscalationReason::Inconclusive) | What::Risk => Severity::Warning,
        What::Call(_) => Severity::Critical,
        What::Opened => Severity::Error,
        What::Moved | What::Decided | What::Over => Severity::Info,
    }
}

fn sentence(entry: &Entry, what: What) -> String {
    match what {
        What::Call(reason) => {
            let detail = entry.row.data.get("detail").and_then(Value::as_str).unwrap_or_default();
            format!("A person is needed. {} {}", text::sentence(reason), bare(detail))
        }
        What::Opened | What::Moved | What::Decided | What::Over | What::Risk => bare(&entry.row.text),
    }
}

/// What is known of it. Every name from telemetry is cleaned.
fn facts(incident: &Incident) -> Vec<(&'static str, String)> {
    let mut facts = vec![("service", plain::bare_name(&incident.service))];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    let diagnosis = incident.diagnosis.as_ref();
    add("cause", diagnosis.map(|found| format!("{} in {}", found.kind.as_str(), plain::bare_name(&found.service))));
    add("confidence", diagnosis.map(|found| found.confidence.to_string()));
    add("remedy", incident.remedy.as_ref().map(|remedy| plain::bare_name(&remedy.id())));
    add("pull request", incident.change.as_ref().and_then(|change| change.pr).map(|pr| format!("#{pr}")));
    add("recovery", incident.recovery.as_ref().map(|seen| seen.verdict.as_str().to_owned()));
    add("attempt", (!incident.attempts.is_empty()).then(|| incident.attempt().to_string()));
    add("ticket", incident.ticket.map(|ticket| format!("#{ticket}")));
    facts
}

/// What a person is asked: only what is still open, and only where there is a change to decide about.
fn question(incident: &Incident, what: What, page: &str) -> Option<Question> {
    let What::Call(EscalationReason::ApprovalRequired | EscalationReason::Inconclusive) = what else { return None };
    let digest = incident.proposal.as_ref().filter(|_| incident.state == State::AwaitingHuman)?.digest.clone();
    Some(Question { digest, approve: format!("{page}#approve"), reject: format!("{page}#reject") })
}

/// A cleaned sentence without its code span.
fn bare(raw: &str) -> String {
    plain::sentence(raw).trim_matches('`').to_owned()
}

fn word(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
