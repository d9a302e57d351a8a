//! Title and body of a pull request: numbers, ids, and names the owners declared. Nothing of telemetry; of a model its reason
//! for a source patch, quoted in the body and nowhere else.

use std::fmt::Write as _;

use sre_space_domain::catalogue::{Knob, KnobType, Patch};
use sre_space_domain::diagnosis::Measured;
use sre_space_domain::ids::Sha;
use sre_space_domain::patch::SourcePatch;
use sre_space_domain::proposal::{KnobValue, Proposal, Reproduction};
use sre_space_domain::{plain, proof};

use super::Order;

/// One knob, turned.
pub(super) struct Turn<'a> {
    pub(super) knob: &'a Knob,
    pub(super) from: KnobValue,
    pub(super) to: &'a KnobValue,
}

/// What a change does, in the owners' names.
pub(super) enum What<'a> {
    Turned(Vec<Turn<'a>>),
    Applied { patch: &'a Patch },
    Undone { commit: &'a Sha },
    Written { by_model: &'a SourcePatch },
}

/// What anybody has to know who looks at what a model wrote.
const CAUTION: &str = "**A model wrote this change, and nothing proves that it helps.** Rules found the cause, and no remedy that \
     the owners declared is left to try. Only a person can merge it: read every line as a stranger's, and try it out first.\n";

pub(super) fn title(order: &Order, what: &What<'_>) -> String {
    let turn = |Turn { knob, from, to }: &Turn<'_>| format!("{} from {from} to {to}", knob.name);
    let deed = match what {
        What::Turned(turns) => format!("Turn {}", turns.iter().map(turn).collect::<Vec<_>>().join(", ")),
        What::Applied { patch } => format!("Apply {}", patch.name),
        What::Undone { commit } => format!("Revert {}", commit.short()),
        What::Written { by_model } => format!("Unproven source patch of {} file(s) by a model", by_model.edits.len()),
    };
    format!("{deed} ({})", order.incident)
}

pub(super) fn body(order: &Order, what: &What<'_>, reproduces: Option<&Reproduction>) -> String {
    let mut text = preface(what);
    text.push_str("| | |\n|---|---|\n");
    let check = reproduces.map(|stated| ("Reproduced by", format!("`{}` in `{}`", stated.check, stated.file)));
    for (name, value) in
        identity(order).into_iter().chain(deed(order, what)).chain(measures(&order.measured)).chain(check)
    {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let _ = write!(text, "\nTo undo once merged:\n\n    {}\n", proof::undo(&order.branch()));
    text
}

/// The message of a commit: subject and body. Machines read it, too, so what a model says is not in it.
pub(super) fn message(proposal: &Proposal) -> String {
    let body = if proposal.remedy.needs_person() { CAUTION } else { &proposal.rationale };
    format!("{}\n\n{body}", proposal.title)
}

/// What comes before the table: of a source patch the caution, and the model's reason, quoted. No mark-up is left in it.
fn preface(what: &What<'_>) -> String {
    match what {
        What::Written { by_model } => {
            let words = if by_model.words.is_empty() { "-" } else { &by_model.words };
            format!("{CAUTION}\nIts reason, in the words of {}:\n\n> `{words}`\n\n", plain::name(&by_model.model))
        }
        What::Turned(_) | What::Applied { .. } | What::Undone { .. } => String::new(),
    }
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

fn deed(order: &Order, what: &What<'_>) -> Vec<Row> {
    let turn = |Turn { knob, from, to }: &Turn<'_>| {
        vec![
            ("Remedy", format!("{} `{}`", order.remedy.kind(), knob.name)),
            ("Value", format!("{from} → {to}")),
            ("Place", format!("`{}` in `{}`", knob.path, knob.file)),
            ("Bounds", bounds(knob)),
        ]
    };
    match what {
        What::Turned(turns) => turns.iter().flat_map(turn).collect(),
        What::Applied { patch } => {
            vec![("Remedy", format!("apply-patch `{}`", patch.name)), ("Template", format!("`{}`", patch.template))]
        }
        What::Undone { commit } => vec![("Remedy", "revert".to_owned()), ("Commit", format!("`{commit}`"))],
        What::Written { by_model } => {
            let files: Vec<String> = by_model.edits.keys().map(|path| format!("`{path}`")).collect();
            vec![("Remedy", "source-patch".to_owned()), ("Files", files.join(", "))]
        }
    }
}

fn bounds(knob: &Knob) -> String {
    let unit = if knob.kind == KnobType::Duration { " ms" } else { "" };
    match (knob.kind, knob.min, knob.max) {
        (KnobType::Int | KnobType::Duration | KnobType::Replicas, Some(min), Some(max)) => {
            format!("{min} to {max}{unit} in steps of {}{unit}", knob.step.unwrap_or(1))
        }
        (KnobType::Enum, ..) => knob.values.join(", "),
        (KnobType::Restart, ..) => "the next whole number".to_owned(),
        (KnobType::Int | KnobType::Duration | KnobType::Replicas | KnobType::Bool, ..) => "true or false".to_owned(),
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
