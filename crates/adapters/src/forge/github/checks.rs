//! The checks of a commit: what ran, what the owners require, and whether all of it is green.

use std::collections::BTreeSet;

use sre_space_domain::ids::Sha;
use sre_space_ports::forge::Checks;

use super::Hub;
use super::call::{Trouble, found, plain};
use super::line::PAGE;
use super::names::object;
use super::wire::{Branch, CheckRun, CheckRuns, Combined, Rule, Status};

/// One check: its name, and what came of it in its own words.
struct Seen {
    name: String,
    outcome: Outcome,
    words: String,
}

#[derive(PartialEq)]
enum Outcome {
    Green,
    Red,
    Unfinished,
}

pub(super) async fn checks(hub: &Hub, commit: &Sha) -> Result<Checks, Trouble> {
    let sha = object(commit)?;
    let runs: CheckRuns = hub.line.get(&format!("commits/{sha}/check-runs?filter=latest&per_page={PAGE}")).await?;
    let combined: Combined = hub.line.get(&format!("commits/{sha}/status?per_page={PAGE}")).await?;
    // More than one page is not read, so it is not known to be green.
    let is_all = runs.total_count <= PAGE as u64 && combined.total_count <= PAGE as u64;
    let mut seen: Vec<Seen> = runs.check_runs.into_iter().map(run).collect();
    seen.extend(combined.statuses.into_iter().map(status));
    let red = said(&seen, &Outcome::Red);
    if !red.is_empty() {
        return Ok(Checks::Failed(red.join("; ")));
    }
    let green: BTreeSet<&str> =
        seen.iter().filter(|seen| seen.outcome == Outcome::Green).map(|s| s.name.as_str()).collect();
    let is_green =
        is_all && !seen.is_empty() && green.len() == seen.iter().map(|s| &s.name).collect::<BTreeSet<_>>().len();
    if !is_green || !required(hub).await?.iter().all(|name| green.contains(name.as_str())) {
        return Ok(Checks::Pending);
    }
    Ok(Checks::Passed(said(&seen, &Outcome::Green).join("; ")))
}

fn said(seen: &[Seen], outcome: &Outcome) -> Vec<String> {
    seen.iter().filter(|seen| seen.outcome == *outcome).map(|seen| seen.words.clone()).collect()
}

/// What the owners' branch protection and rules ask for.
async fn required(hub: &Hub) -> Result<Vec<String>, Trouble> {
    let branch: Branch = hub.line.get(&format!("branches/{}", hub.deployed)).await?;
    let protected = branch.protection.and_then(|protection| protection.required_status_checks);
    let mut names = protected.map(|required| required.contexts).unwrap_or_default();
    // An older GitHub Enterprise Server knows no rules.
    let rules: Option<Vec<Rule>> = found(hub.line.all(&format!("rules/branches/{}", hub.deployed)).await)?;
    let asked = rules.unwrap_or_default().into_iter().filter(|rule| rule.kind == "required_status_checks");
    let asked = asked.filter_map(|rule| rule.parameters).flat_map(|parameters| parameters.required_status_checks);
    names.extend(asked.map(|required| required.context));
    Ok(names)
}

fn run(run: CheckRun) -> Seen {
    let outcome = match (run.status.as_str(), run.conclusion.as_deref()) {
        ("completed", Some("success" | "neutral" | "skipped")) => Outcome::Green,
        ("completed", _) => Outcome::Red,
        (_, _) => Outcome::Unfinished,
    };
    let words = run.output.summary.or(run.output.title);
    Seen { words: words_of(words, &run.name), name: run.name, outcome }
}

fn status(status: Status) -> Seen {
    let outcome = match status.state.as_str() {
        "success" => Outcome::Green,
        "pending" => Outcome::Unfinished,
        _ => Outcome::Red,
    };
    Seen { words: words_of(status.description, &status.context), name: status.context, outcome }
}

/// What a check says of itself; its name, when it says nothing.
fn words_of(words: Option<String>, name: &str) -> String {
    let words = words.unwrap_or_default();
    plain(if words.trim().is_empty() { name } else { words.trim() })
}
