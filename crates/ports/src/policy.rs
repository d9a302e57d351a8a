//! Policy: whether a proposal may be opened or merged, and which rule says so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sre_space_domain::catalogue::Autonomy;
use thiserror::Error;

/// What the decision is about.
///
/// Policies compare whole numbers, so shares of one travel in billionths (`_e9`): fine enough that 0.9000001 is above
/// 0.90, and that 0.90 is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Service to be changed.
    pub service: String,
    /// `turn-knob`, `revert`, ….
    pub remedy: String,
    /// Fault kind named by the diagnosis.
    pub fault: String,
    /// How far the owners let us go.
    pub autonomy: Autonomy,
    /// `diagnosis.confidence` in billionths, rounded down.
    pub confidence_e9: i64,
    /// `remedy.trust` in billionths, rounded down.
    pub trust_e9: i64,
    /// Threshold both must be strictly above, in billionths.
    pub threshold_e9: i64,
    /// Files touched.
    pub files: Vec<String>,
    /// Lines added and removed.
    pub lines: i64,
    /// Every file is one the owners declared for this remedy.
    pub declared: bool,
    /// Parameters are inside the declared bounds.
    pub bounded: bool,
    /// Independent sources that saw the failure.
    pub sources: i64,
    /// Incidents acted on in the last hour, this one not counted.
    pub incidents_last_hour: i64,
    /// The owners' limit for that.
    pub incidents_per_hour: i64,
    /// The service is in its cooldown.
    pub cooling: bool,
    /// Other remediations under way on the same service.
    pub active_on_service: i64,
    /// What Sentinels veto at this moment, of any host (`COMPUTE`, `RESOURCE`, `INTENT`); empty while none does, or none runs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub vetoes: BTreeSet<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Open a pull request.
    Propose,
    /// Merge it without a person.
    Merge,
}

/// The engine's answer for one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Whether it is allowed. Any diagnostic of the engine makes this false.
    pub allowed: bool,
    /// Ids of the rules that decided; empty when nothing permits.
    pub rules: Vec<String>,
    /// The deciding rules' own words, or the diagnostic.
    pub reasons: Vec<String>,
}

/// One rule in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// Its own words.
    pub reason: String,
    /// Its source.
    pub source: String,
}

/// A policy set that must not be used.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// A file does not parse, or does not fit the schema.
    #[error("policy {file} is refused: {why}")]
    Refused {
        /// File.
        file: String,
        /// Why.
        why: String,
    },
    /// There is nothing in it: an empty set denies all, which is surely a mistake.
    #[error("no policy found in {0}")]
    Empty(String),
}

/// Judges by rules that were validated at load. Deny by default; forbid beats permit.
pub trait Policy: Send + Sync {
    /// Rules on one action.
    fn rule(&self, action: Action, question: &Question) -> Ruling;
    /// The rules in force.
    fn rules(&self) -> Vec<Rule>;
}
