//! What the owners allow: the contents of `.sre-space.yaml`, typed. No file, no writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diagnosis::FaultKind;
use crate::ids::IncidentId;
use crate::proposal::KnobValue;

/// The file a watched repository carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Version of the file's format; 1.
    pub version: u32,
    /// How much SRE-Space may do in a time.
    #[serde(default)]
    pub limits: Limits,
    /// Services by `service.name`.
    pub services: BTreeMap<String, ServiceRules>,
}

/// Budgets and waiting times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Incidents in which a change may be merged, per hour.
    pub incidents_per_hour: u32,
    /// Seconds a service is left alone after an incident.
    pub cooldown_s: u64,
    /// Seconds a recovery must hold before it is learned from.
    pub provisional_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { incidents_per_hour: 3, cooldown_s: 600, provisional_s: 600 }
    }
}

/// How far SRE-Space may go on its own for one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Autonomy {
    /// Look, never write.
    Observe,
    /// Open a pull request.
    Suggest,
    /// Merge after a person said so.
    Approve,
    /// Merge when policy allows.
    Auto,
}

/// What one service's owners allow and expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRules {
    /// How far to go.
    pub autonomy: Autonomy,
    /// Where probes are sent.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Objectives.
    #[serde(default)]
    pub slo: Slo,
    /// How recovery is judged.
    #[serde(default)]
    pub verify: Verify,
    /// Settings that may be turned.
    #[serde(default)]
    pub knobs: Vec<Knob>,
    /// Changes that are prepared.
    #[serde(default)]
    pub patches: Vec<Patch>,
    /// Checks that state a failure: red before a change that cures it, green after it.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Files (globs) that a revert may touch, and a source patch that a person merges. A model is shown them to write one.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Owners' starting credit per remedy (knob name, or `revert`), as verified successes.
    #[serde(default)]
    pub vouched: BTreeMap<String, u32>,
}

/// Service level objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// Slower than this is bad, milliseconds.
    pub latency_ms: u64,
    /// Tolerated share of bad requests.
    pub error_ratio: f64,
}

impl Default for Slo {
    fn default() -> Self {
        Self { latency_ms: 800, error_ratio: 0.01 }
    }
}

/// How recovery is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// Seconds after the new revision is first seen that do not count.
    pub settle_s: u64,
    /// Seconds after which undecided is INCONCLUSIVE.
    pub timeout_s: u64,
    /// `METHOD path` to ask when traffic is thin.
    pub probe: Option<String>,
}

impl Default for Verify {
    fn default() -> Self {
        Self { settle_s: 30, timeout_s: 600, probe: None }
    }
}

/// Type of a knob's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KnobType {
    /// Whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// One of the knob's own words.
    Enum,
    /// A time such as `650ms` or `2s`; its bounds and step are milliseconds.
    Duration,
    /// A whole number of copies of the service: turning it is scaling.
    Replicas,
    /// A whole number that restarts the service whenever it changes: turning it, always to the next one, is restarting.
    Restart,
}

/// A typed setting that may be turned, inside bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knob {
    /// Name, unique in its service.
    pub name: String,
    /// File in the repository.
    pub file: String,
    /// Dotted path inside the file.
    pub path: String,
    /// Type of the value.
    #[serde(rename = "type")]
    pub kind: KnobType,
    /// Least value (int; duration in milliseconds).
    #[serde(default)]
    pub min: Option<i64>,
    /// Greatest value (int; duration in milliseconds).
    #[serde(default)]
    pub max: Option<i64>,
    /// Values are multiples of this (int; duration in milliseconds).
    #[serde(default)]
    pub step: Option<i64>,
    /// The words it may be set to, from the mildest to the most protective (enum).
    #[serde(default)]
    pub values: Vec<String>,
    /// Fault kinds it may cure.
    pub remedies: Vec<FaultKind>,
}

/// A change the owners prepared: a template that becomes a new file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Name, unique among the service's knobs and patches.
    pub name: String,
    /// File in the repository whose text is taken; `{incident}` in it becomes the incident's id.
    pub template: String,
    /// File to write; `{next}` in its name is the number after the greatest one there, four digits.
    pub into: String,
    /// Fault kinds it may cure.
    pub remedies: Vec<FaultKind>,
}

/// A check the owners prepared: a template, in whatever language their check runner reads, that becomes a file of the pull
/// request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Name, unique in its service.
    pub name: String,
    /// File in the repository whose text is taken; `{incident}`, and what was measured (`{demand}`, `{plateau}`, whole numbers
    /// rounded up), are filled in.
    pub template: String,
    /// File to write; `{incident}` in its name becomes the incident's id.
    pub into: String,
    /// Fault kinds it states.
    pub reproduces: Vec<FaultKind>,
}

impl Check {
    /// The file that carries it for an incident.
    pub fn target(&self, incident: &IncidentId) -> String {
        self.into.replace("{incident}", incident.as_str())
    }
}

impl ServiceRules {
    /// The check that states a fault, the first that does.
    pub fn check_of(&self, fault: FaultKind) -> Option<&Check> {
        self.checks.iter().find(|check| check.reproduces.contains(&fault))
    }
}

impl Patch {
    /// The folder the file goes to; empty for the repository's root.
    pub fn folder(&self) -> &str {
        self.into.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The file to write beside those already in its folder.
    pub fn target(&self, present: &[String]) -> String {
        let number =
            |name: &String| name.split(|c: char| !c.is_ascii_digit()).next().and_then(|text| text.parse::<u32>().ok());
        let next = present.iter().filter_map(number).max().unwrap_or(0).saturating_add(1);
        self.into.replace("{next}", &format!("{next:04}"))
    }

    /// Whether a path can be this patch's file, whatever the number.
    pub fn may_write(&self, path: &str) -> bool {
        let Some((before, after)) = self.into.split_once("{next}") else { return self.into == path };
        let middle = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        middle.is_some_and(|number| number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

impl Knob {
    /// Whether the value is of the knob's type, inside its bounds and on its step. A number needs both bounds.
    pub fn allows(&self, value: &KnobValue) -> bool {
        let within = |number: i64| {
            let step = self.step.unwrap_or(1);
            let bounds = self.min.zip(self.max);
            step > 0 && number % step == 0 && bounds.is_some_and(|(min, max)| (min..=max).contains(&number))
        };
        match (self.kind, value) {
            (KnobType::Bool, KnobValue::Bool(_)) => true,
            (KnobType::Int | KnobType::Replicas, KnobValue::Int(number)) => within(*number),
            (KnobType::Restart, KnobValue::Int(number)) => *number > 0,
            (KnobType::Enum, KnobValue::Text(word)) => self.values.contains(word),
            (KnobType::Duration, KnobValue::Text(_)) => value.duration_ms().is_some_and(within),
            (
                KnobType::Bool
                | KnobType::Int
                | KnobType::Enum
                | KnobType::Duration
                | KnobType::Replicas
                | KnobType::Restart,
                _,
            ) => false,
        }
    }

    /// The least allowed value that is at least `wanted`: rounded up to `step`, clamped into `min..=max`.
    /// `None` when even `max` is below `wanted`, or the knob is no number.
    pub fn at_least(&self, wanted: f64) -> Option<i64> {
        if !matches!(self.kind, KnobType::Int | KnobType::Duration | KnobType::Replicas) || !wanted.is_finite() {
            return None;
        }
        let step = self.step.unwrap_or(1).max(1);
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and the bounds below catch it")]
        let rounded = ((wanted / step as f64).ceil() as i64).checked_mul(step)?;
        let value = rounded.max(self.min.unwrap_or(i64::MIN));
        (value <= self.max.unwrap_or(i64::MAX)).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch() -> Patch {
        let (name, template, into) = ("index", "patches/index.sql", "migrations/{next}_index.sql");
        Patch { name: name.into(), template: template.into(), into: into.into(), remedies: vec![] }
    }

    #[test]
    fn a_patch_takes_the_next_number() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(patch().target(&names(&["0001_a.sql", "0012_b.sql", "notes.md"])), "migrations/0013_index.sql");
        assert_eq!(patch().target(&[]), "migrations/0001_index.sql");
        assert_eq!(patch().folder(), "migrations");
    }

    #[test]
    fn a_patch_writes_its_own_file_only() {
        assert!(patch().may_write("migrations/0004_index.sql"));
        for path in
            ["migrations/0004_other.sql", "migrations/x/0004_index.sql", "migrations/_index.sql", "0004_index.sql"]
        {
            assert!(!patch().may_write(path), "{path}");
        }
    }

    #[test]
    fn a_knob_allows_its_own_kind_of_value_only() {
        let knob: Knob = serde_json::from_value(serde_json::json!({
            "name": "timeout", "file": "a.yaml", "path": "a", "type": "duration", "min": 100, "max": 2_000, "step": 50,
            "remedies": []
        }))
        .expect("a knob");
        let text = |text: &str| KnobValue::Text(text.to_owned());
        for good in ["650ms", "2s", "1s"] {
            assert!(knob.allows(&text(good)), "{good}");
        }
        for bad in ["651ms", "3s", "50ms", "650", "-650ms", "0x1s", "ms"] {
            assert!(!knob.allows(&text(bad)), "{bad}");
        }
        assert!(!knob.allows(&KnobValue::Int(650)));
        let knob = Knob { kind: KnobType::Enum, min: None, max: None, step: None, values: vec!["none".into()], ..knob };
        assert!(knob.allows(&text("none")) && !knob.allows(&text("other")));
    }
}
