//! The post-mortem: an incident told in numbers, ids and our own sentences.
//!
//! No text from telemetry is in it: services appear as cleaned names, operations and messages not at all, and the
//! timeline gives each journal row's place in the loop instead of its sentence. It is stored in memory and posted on the
//! ticket, where a stranger's words would have readers.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

use crate::diagnosis::Diagnosis;
use crate::incident::{Attempt, Cost, Incident, State};
use crate::journal::Entry;
use crate::plain;
use crate::proposal::{Proposal, Remedy, Verdict};
use crate::recovery::Recovery;

/// Writes the post-mortem as Markdown; rows of other incidents among `entries` are left out.
pub fn write(incident: &Incident, entries: &[Entry]) -> String {
    let rows: Vec<&Entry> = entries.iter().filter(|entry| entry.row.incident.as_ref() == Some(&incident.id)).collect();
    let sections = [
        format!("# Post-mortem of {}", incident.id),
        what_happened(incident),
        timeline(incident, &rows),
        cause(incident),
        change(incident),
        proof(incident),
        cost(incident, &rows),
    ];
    sections.join("\n\n") + "\n"
}

fn what_happened(incident: &Incident) -> String {
    let signal = &incident.signal;
    format!(
        "## What happened\n\nAt {} {} went bad ({}): {} of {} {} in {:.0} s, {} before. Seen by {} source(s); \
         posterior {:.4}, statistic {:.2}, threshold {:.2}.",
        second(incident.opened_at),
        plain::name(&signal.service),
        word(&signal.kind),
        percent(signal.observed),
        signal.samples,
        signal.kind.counts(),
        signal.window_s,
        percent(signal.baseline),
        signal.sources.len(),
        signal.posterior,
        signal.statistic,
        signal.threshold,
    )
}

fn timeline(incident: &Incident, rows: &[&Entry]) -> String {
    let mut lines = vec!["## Timeline\n\n| after | agent | phase | state |\n| ---: | --- | --- | --- |".to_owned()];
    lines.extend(rows.iter().map(|entry| {
        let row = &entry.row;
        let state = row.state.map_or_else(String::new, |state| word(&state));
        format!("| {:.1} s | {} | {} | {state} |", seconds(incident, row.at), word(&row.agent), word(&row.phase))
    }));
    lines.join("\n")
}

fn cause(incident: &Incident) -> String {
    let Some(diagnosis) = &incident.diagnosis else {
        return "## Cause\n\nNo cause was found.".to_owned();
    };
    let by = incident.source.map_or_else(String::new, |source| format!(" ({})", word(&source)));
    let mut lines = vec![format!(
        "## Cause\n\n`{}` in {}{by}. Confidence {} is the product of:\n\n| term | value | from |\n| --- | ---: | --- |",
        diagnosis.kind.as_str(),
        plain::name(&diagnosis.service),
        diagnosis.confidence,
    )];
    lines.extend(
        diagnosis.terms.iter().map(|term| {
            format!("| {} | {:.4} | {} |", plain::name(&term.name), term.value, plain::sentence(&term.why))
        }),
    );
    lines.extend(exhibits(diagnosis));
    lines.join("\n")
}

/// Three spans are enough to look at; the incident keeps them all.
fn exhibits(diagnosis: &Diagnosis) -> Option<String> {
    let shown = diagnosis.evidence.iter().take(3);
    let spans: Vec<String> = shown
        .map(|exhibit| format!("{} in trace {}", plain::name(&exhibit.span_id), plain::name(&exhibit.trace_id)))
        .collect();
    (!spans.is_empty()).then(|| format!("\nSpans that show it: {}.", spans.join(", ")))
}

fn change(incident: &Incident) -> String {
    let mut parts = vec!["## Change".to_owned()];
    parts.extend(incident.attempts.iter().map(failed_attempt));
    match &incident.proposal {
        Some(proposal) => parts.push(proposed(incident, proposal)),
        None => parts.push("Nothing was proposed in the end.".to_owned()),
    }
    parts.extend(incident.verdict.as_ref().map(ruled));
    parts.extend(incident.proposal.as_ref().map(|proposal| fenced(&proposal.diff)));
    parts.join("\n\n")
}

fn failed_attempt(attempt: &Attempt) -> String {
    let pr = |change: &crate::incident::Change| change.pr.map_or_else(|| "none".to_owned(), |pr| format!("#{pr}"));
    let outcome = attempt.recovery.as_ref().map_or_else(|| "not judged".to_owned(), |judged| word(&judged.verdict));
    let revert = attempt.revert.as_ref().map_or_else(String::new, |revert| format!(", reverted by {}", pr(revert)));
    format!(
        "Attempt {}: {}, pull request {}: {outcome}{revert}.",
        attempt.number,
        remedy(&attempt.remedy),
        pr(&attempt.change)
    )
}

fn proposed(incident: &Incident, proposal: &Proposal) -> String {
    let change = incident.change.as_ref();
    let pr = change
        .and_then(|change| change.pr)
        .map_or_else(|| "no pull request".to_owned(), |pr| format!("pull request #{pr}"));
    let merged = match change.and_then(|change| change.revision.as_ref().zip(change.merged_at)) {
        Some((revision, at)) => format!("merged as `{}` after {:.1} s", revision.short(), seconds(incident, at)),
        None => "not merged".to_owned(),
    };
    format!(
        "Attempt {}: {}, {pr}, {merged}; {} file(s), {} line(s), trust {:.3}, digest `{}`.",
        incident.attempt(),
        remedy(&proposal.remedy),
        proposal.files.len(),
        proposal.lines,
        proposal.trust,
        proposal.digest,
    )
}

fn remedy(remedy: &Remedy) -> String {
    let service = plain::name(remedy.service());
    match remedy {
        Remedy::TurnKnob { parameters, .. } | Remedy::Scale { parameters, .. } | Remedy::Restart { parameters, .. } => {
            let turns: Vec<String> = parameters
                .iter()
                .map(|(knob, value)| format!("{} of {service} set to {value}", plain::name(knob)))
                .collect();
            turns.join(", ")
        }
        Remedy::ApplyPatch { patch, .. } => format!("patch {} of {service} applied", plain::name(patch)),
        Remedy::Revert { commit, .. } => format!("commit {} of {service} reverted", plain::name(commit.short())),
        Remedy::SourcePatch { edits, .. } => {
            format!("{} source file(s) of {service} changed as a model wrote them", edits.len())
        }
    }
}

fn ruled(verdict: &Verdict) -> String {
    let rules: Vec<String> = verdict.rules.iter().map(|rule| plain::sentence(rule)).collect();
    let rules = if rules.is_empty() { "no rule".to_owned() } else { rules.join(", ") };
    format!("Policy: {} by {rules}.", word(&verdict.decision))
}

/// A fence longer than any run of back-ticks inside, so that the diff cannot end its own block.
fn fenced(diff: &str) -> String {
    let longest = diff.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}diff\n{}\n{fence}", diff.trim_end())
}

fn proof(incident: &Incident) -> String {
    let words = match (&incident.recovery, incident.state) {
        (Some(recovery), _) => numbers(recovery),
        (None, State::Suppressed) => {
            "Nothing was done here: the failure passed by itself before its cause could be told, or another incident is \
             about it."
                .to_owned()
        }
        (None, _) => "Recovery was not judged.".to_owned(),
    };
    format!("## Proof\n\n{words}")
}

fn numbers(recovery: &Recovery) -> String {
    format!(
        "{}: {} samples on the new revision, {} bad, {} of them probes; statistic {:.2}, threshold {:.2}.",
        word(&recovery.verdict),
        recovery.samples,
        recovery.bad,
        recovery.probes,
        recovery.statistic,
        recovery.threshold,
    )
}

fn cost(incident: &Incident, rows: &[&Entry]) -> String {
    let last = rows.iter().map(|entry| entry.row.at).max().unwrap_or(incident.since);
    let end = incident.closed_at.unwrap_or(last);
    let model = match incident.cost {
        Cost { calls: 0, .. } => "no model was called".to_owned(),
        Cost { calls, tokens, usd } => format!("{calls} call(s) to a model, {tokens} tokens, {usd:.4} USD"),
    };
    let attempts = incident.attempts.len() + usize::from(incident.proposal.is_some());
    format!("## Cost\n\n{:.1} s, {attempts} attempt(s); {model}.", seconds(incident, end))
}

fn seconds(incident: &Incident, at: Timestamp) -> f64 {
    at.duration_since(incident.opened_at).as_secs_f64()
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The word the contract uses for a value, taken from where it is defined: its serialised form.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
