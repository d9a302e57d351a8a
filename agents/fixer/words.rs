//! Title and body of a pull request: numbers, ids, and names the owners declared. Nothing of telemetry, nothing of a
//! model.

use std::fmt::Write as _;

use sre_space_domain::catalogue::Knob;
use sre_space_domain::diagnosis::Measured;
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::KnobValue;

use super::Order;

/// What a change does, in the owners' names.
pub(super) enum What<'a> {
    Turned { knob: &'a Knob, from: KnobValue, to: &'a KnobValue },
    Undone { commit: &'a Sha },
}

pub(super) fn title(order: &Order, what: &What<'_>) -> String {
    match what {
        What::Turned { knob, from, to } => format!("Turn {} from {from} to {to} ({})", knob.name, order.incident),
        What::Undone { commit } => format!("Revert {} ({})", commit.short(), order.incident),
    }
}

pub(super) fn body(order: &Order, what: &What<'_>) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in identity(order).into_iter().chain(deed(what)).chain(measures(&order.measured)) {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let _ = write!(text, "\nTo undo once merged:\n\n    {}\n", undo(order));
    text
}

/// A full object name: what is shorter may be ambiguous, what is anything else may be anything.
pub(super) fn is_full(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

type Row = (&'static str, String);

fn identity(order: &Order) -> Vec<Row> {
    vec![
        ("Incident", format!("`{}`", order.incident)),
        ("Opened", order.opened_at.to_string()),
        ("Attempt", order.attempt.to_string()),
        ("Service", format!("`{}`", order.remedy.service())),
        ("Fault", order.fault.as_str().to_owned()),
        ("Confidence", format!("{:.4}", order.confidence)),
        ("Trust", format!("{:.4}", order.trust)),
    ]
}

fn deed(what: &What<'_>) -> Vec<Row> {
    match what {
        What::Turned { knob, from, to } => vec![
            ("Remedy", format!("turn-knob `{}`", knob.name)),
            ("Value", format!("{from} → {to}")),
            ("Place", format!("`{}` in `{}`", knob.path, knob.file)),
            ("Bounds", bounds(knob)),
        ],
        What::Undone { commit } => vec![("Remedy", "revert".to_owned()), ("Commit", format!("`{commit}`"))],
    }
}

fn bounds(knob: &Knob) -> String {
    match (knob.min, knob.max) {
        (Some(min), Some(max)) => format!("{min} to {max} in steps of {}", knob.step.unwrap_or(1)),
        (Some(_) | None, _) => "true or false".to_owned(),
    }
}

fn measures(measured: &Measured) -> Vec<Row> {
    let numbers = [
        ("Arrival rate", measured.arrival_rate, "requests/s"),
        ("Hold time", measured.hold_s, "s"),
        ("Demand", measured.demand, "at once"),
        ("Plateau", measured.plateau, "at once"),
    ];
    let finite = |(name, number, unit): (&'static str, Option<f64>, &str)| {
        number.filter(|number| number.is_finite()).map(|number| (name, format!("{number:.3} {unit}")))
    };
    let revision = measured.revision.iter().filter(|name| is_full(name)).map(|name| ("Revision", format!("`{name}`")));
    numbers.into_iter().filter_map(finite).chain(revision).collect()
}

/// The merge commit has no name yet, but its first line has: it names our branch.
fn undo(order: &Order) -> String {
    let branch = order.branch();
    format!("git revert -m 1 \"$(git log -n 1 --merges --format=%H --grep='from {branch}$')\"")
}
