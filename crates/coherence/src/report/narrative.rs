//! An incident in a few sentences, in the form of seed 001.

use crate::correlate::{Evidence, Hypothesis, Incident};
use crate::event::{limit, moment};
use crate::modal::{Class, Detector};

/// The narrative, Markdown.
pub(super) fn of(incident: &Incident, evidence: &[Evidence], hypotheses: &[Hypothesis]) -> String {
    let at = moment(incident.first_ms).strftime("%Y-%m-%d %H:%M UTC");
    let events = if incident.errors == 1 { "event" } else { "events" };
    let mut lines = vec![format!("At {at}, {} experienced:", incident.host)];
    lines.push(format!("- {} error {events}", incident.errors));
    lines.extend(evidence.iter().filter_map(shown));
    lines.push(String::new());
    lines.push(format!("**Hypothesis**: {}", hypothesis(hypotheses)));
    lines.join("\n")
}

/// What a metric showed, if a detector had seen it.
fn shown(evidence: &Evidence) -> Option<String> {
    let unit = if limit(&evidence.metric) == Some(100.0) { "%" } else { "" };
    let name = title(&evidence.metric);
    let has = |detector| evidence.seen_by.contains(&detector);
    match evidence.seen_by.as_slice() {
        [] => None,
        _ if has(Detector::Trend) => {
            let leak = if evidence.metric.contains("memory") { "leak" } else { "trend" };
            Some(format!("- {name} at {:.2}{unit} ({leak} progression)", evidence.highest))
        }
        _ if has(Detector::Spike) => Some(format!("- {name} spike to {:.2}{unit}", evidence.highest)),
        _ => Some(format!("- {name} unsteady, up to {:.2}{unit}", evidence.highest)),
    }
}

fn title(metric: &str) -> String {
    match metric {
        "cpu" => "CPU".to_owned(),
        _ if metric.contains('.') => metric.to_owned(),
        _ => {
            let mut letters = metric.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}

fn hypothesis(hypotheses: &[Hypothesis]) -> String {
    let is_told = |class: Class| hypotheses.iter().any(|hypothesis| hypothesis.class == class);
    let names: Vec<String> =
        hypotheses.iter().map(|told| format!("{} of {}", told.detector.as_str(), told.metric)).collect();
    if is_told(Class::MemoryLeak) || is_told(Class::CpuSaturation) {
        return "Error burst caused by resource exhaustion.".to_owned();
    }
    if names.is_empty() {
        return "None: no signal of this host stood out in the 6 hours before.".to_owned();
    }
    format!("Error burst preceded by {}.", names.join(", "))
}
