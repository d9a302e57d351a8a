//! What a model is told: numbers, our own words, and placeholders.
//!
//! Names of services and operations come from telemetry, which anybody who can cause an error can write. None of them leaves
//! here: `S1` and `O1` stand for them, and are read back by us. Names of knobs and patches are the owners', and stay names.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::Offer;
use crate::diagnosis::Diagnosis;
use crate::incident::Incident;
use crate::knowledge::Similar;
use crate::plain;
use crate::proposal::Remedy;

/// Most candidates, remedies, and earlier incidents that are told of.
const MOST: usize = 8;

/// A question about one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// The evidence, as text.
    pub text: String,
    /// What an answer has to look like, as JSON Schema.
    pub schema: Value,
    /// The candidates: `S1` is the first of them.
    pub(super) causes: Vec<String>,
    /// How many remedies are offered: `R1` and so on.
    pub(super) remedies: usize,
}

impl Brief {
    /// The brief of an incident that was diagnosed by rules; `None` of any other.
    pub fn of(incident: &Incident) -> Option<Self> {
        let diagnosis = incident.diagnosis.as_ref()?;
        let mut names = Names::of(diagnosis);
        let causes = names.services.clone();
        let offers: Vec<&Offer> = incident.offers.iter().take(MOST).collect();
        let mut text = String::new();
        signal(&mut text, incident, &mut names);
        rules(&mut text, incident, diagnosis);
        section(&mut text, "CAUSES TO CHOOSE FROM", candidates(diagnosis, &causes));
        section(&mut text, "REMEDIES TO CHOOSE FROM", remedies(&offers, &mut names));
        section(&mut text, "EARLIER INCIDENTS LIKE THIS ONE", similar(incident));
        section(&mut text, "TRIED IN THIS INCIDENT WITHOUT SUCCESS", tried(incident, &mut names));
        let schema = schema(causes.len(), offers.len());
        Some(Self { text, schema, causes, remedies: offers.len() })
    }
}

/// The placeholders of services; operations need none but those of the cause and of the signal.
struct Names {
    services: Vec<String>,
}

impl Names {
    fn of(diagnosis: &Diagnosis) -> Self {
        let mut names = Self { services: Vec::new() };
        names.service(&diagnosis.service);
        diagnosis.candidates.iter().take(MOST).for_each(|candidate| _ = names.service(&candidate.service));
        names
    }

    fn service(&mut self, name: &str) -> String {
        let known = self.services.iter().position(|known| known == name).unwrap_or_else(|| {
            self.services.push(name.to_owned());
            self.services.len() - 1
        });
        format!("S{}", known + 1)
    }
}

fn section(text: &mut String, title: &str, lines: Vec<String>) {
    let lines = if lines.is_empty() { vec!["none".to_owned()] } else { lines };
    let separator = if text.is_empty() { "" } else { "\n" };
    // Writing into a String cannot fail.
    _ = writeln!(text, "{separator}{title}");
    lines.iter().for_each(|line| _ = writeln!(text, "- {line}"));
}

fn signal(text: &mut String, incident: &Incident, names: &mut Names) {
    let signal = &incident.signal;
    let same = incident.diagnosis.as_ref().is_some_and(|found| found.operation == signal.operation);
    let operation = if same { "O1" } else { "O2" };
    let lines = vec![
        format!("seen first at {} {operation}, kind {}", names.service(&signal.service), word(&signal.kind)),
        format!(
            "{:.1} % of {} {} bad in {:.0} s; usually {:.1} %",
            signal.observed * 100.0,
            signal.samples,
            signal.kind.counts(),
            signal.window_s,
            signal.baseline * 100.0
        ),
        format!("P(bad share > 5 %) = {:.4}, seen by {} independent sources", signal.posterior, signal.sources.len()),
    ];
    section(text, "SIGNAL", lines);
}

fn rules(text: &mut String, incident: &Incident, diagnosis: &Diagnosis) {
    let facts = incident.signature.as_ref().map(|signature| signature.facts.join(", ")).unwrap_or_default();
    let terms: Vec<String> = diagnosis.terms.iter().map(|term| format!("{} {:.3}", term.name, term.value)).collect();
    let mut lines = vec![
        format!("cause S1 O1, fault {}", diagnosis.kind.as_str()),
        format!("structure: {facts}"),
        format!("confidence {} = {}", diagnosis.confidence, terms.join(" x ")),
        format!("{} operation(s) affected, attempt {}", diagnosis.affected.len(), incident.attempt()),
    ];
    lines.extend(measured(diagnosis));
    section(text, "DIAGNOSIS BY RULES", lines);
}

fn measured(diagnosis: &Diagnosis) -> Vec<String> {
    let measured = &diagnosis.measured;
    let numbers = [
        ("requests/s arriving", measured.arrival_rate),
        ("s held by a request", measured.hold_s),
        ("concurrent requests asked for", measured.demand),
        ("concurrent requests let through", measured.plateau),
    ];
    let known = numbers.into_iter().filter_map(|(what, number)| Some(format!("{:.2} {what}", number?)));
    let new = measured.revision.is_some().then(|| "it began with a new revision".to_owned());
    let vetoes = measured.vetoes.iter().map(|veto| format!("the hosts are not calm: a Sentinel vetoes {veto}"));
    known.chain(new).chain(vetoes).collect()
}

fn candidates(diagnosis: &Diagnosis, causes: &[String]) -> Vec<String> {
    let score = |name: &String| diagnosis.candidates.iter().find(|candidate| candidate.service == *name);
    let line = |(at, name): (usize, &String)| match score(name) {
        Some(candidate) => format!("S{}: {:.1} % of the bad traces begin there", at + 1, candidate.score * 100.0),
        None => format!("S{}", at + 1),
    };
    causes.iter().enumerate().map(line).collect()
}

fn remedies(offers: &[&Offer], names: &mut Names) -> Vec<String> {
    let line = |(at, offer): (usize, &&Offer)| {
        let by_rules = if at == 0 { ", the rules' choice" } else { "" };
        let remedy = told(&offer.remedy, names);
        format!("R{}: {remedy} (clear {:.3}{by_rules})", at + 1, offer.clear.value)
    };
    offers.iter().enumerate().map(line).collect()
}

/// A remedy in our words; parameters and names are the owners'.
fn told(remedy: &Remedy, names: &mut Names) -> String {
    let at = names.service(remedy.service());
    match remedy {
        Remedy::TurnKnob { parameters, .. } | Remedy::Scale { parameters, .. } | Remedy::Restart { parameters, .. } => {
            let one = |(name, value): (&String, _)| {
                format!("{} = {}", plain::bare_name(name), plain::bare_name(&format!("{value}")))
            };
            let all: Vec<String> = parameters.iter().map(one).collect();
            format!("{} of {at}: {}", remedy.kind(), all.join(", "))
        }
        Remedy::ApplyPatch { patch, .. } => format!("{} of {at}: {}", remedy.kind(), plain::bare_name(patch)),
        Remedy::Revert { .. } => format!("{} of the commit with which it began, of {at}", remedy.kind()),
        Remedy::SourcePatch { .. } => format!("{} of {at}, as a model wrote it", remedy.kind()),
    }
}

fn similar(incident: &Incident) -> Vec<String> {
    let line = |other: &Similar| {
        format!("{:.2} alike: {}, cured by {}", other.score, other.kind.as_str(), plain::bare_name(&other.remedy))
    };
    incident.similar.iter().take(MOST).map(line).collect()
}

fn tried(incident: &Incident, names: &mut Names) -> Vec<String> {
    incident.attempts.iter().take(MOST).map(|attempt| told(&attempt.remedy, names)).collect()
}

/// The word the contract uses for a value, taken from where it is defined: its serialised form.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The agreed form of an answer. Bounds of numbers and lengths are not written here, since not every server's grammar knows
/// them; they are checked when the answer is read.
fn schema(causes: usize, remedies: usize) -> Value {
    let ids = |letter: char, count: usize| (1..=count).map(|number| format!("{letter}{number}")).collect::<Vec<_>>();
    let choices = if remedies == 0 { vec!["none".to_owned()] } else { ids('R', remedies) };
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["cause", "remedy", "certainty", "why"],
        "properties": {
            "cause": {"type": "string", "enum": ids('S', causes)},
            "remedy": {"type": "string", "enum": choices},
            "certainty": {"type": "number"},
            "why": {"type": "string"},
        },
    })
}
