//! An incident and its states. What happens next is decided in [`step`], and nowhere else.

mod authored;
mod counselled;
mod decision;
mod event;
mod machine;
mod notes;
mod step;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::decision::{Approval, HumanDecision, Stale, Word, admit};
pub use self::event::{Effect, Event, Finding};
pub use self::step::step;
use crate::counsel::{Counsel, Offer};
use crate::diagnosis::{Diagnosis, Source};
use crate::ids::{Digest, IncidentId, Sha};
use crate::journal::{Agent, Phase};
use crate::knowledge::{Signature, Similar};
use crate::patch::{Authored, SourcePatch};
use crate::proposal::{Proposal, Remedy, Verdict};
use crate::recovery::Recovery;
use crate::signal::Signal;

/// Where an incident stands. The words are contract.md's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Scout suspects; nothing is written anywhere but the journal.
    Detected,
    /// CAG looks for a remedy that was verified here.
    Matching,
    /// Brain looks for the cause.
    Diagnosing,
    /// The change is rendered and judged.
    Deciding,
    /// Fixer writes: branch, commit, pull request, checks, merge.
    Acting,
    /// Merged; waiting for spans of the new revision.
    Deploying,
    /// Judging the new revision's telemetry.
    Verifying,
    /// Recovered; if it holds, the lesson is stored.
    Learning,
    /// Recovery proven and learned from.
    Resolved,
    /// The change did not help and is being reverted.
    Reverting,
    /// A person has to decide.
    AwaitingHuman,
    /// Handed to a person for good.
    Escalated,
    /// The suspicion went away, or a limit said to leave it.
    Suppressed,
}

impl State {
    /// Whether nothing more will happen by itself.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Resolved | Self::Escalated | Self::Suppressed)
    }

    /// Whether a change is under way, or its effect being judged.
    pub fn is_curing(self) -> bool {
        match self {
            Self::Acting | Self::Deploying | Self::Verifying | Self::Learning | Self::Reverting => true,
            Self::Detected
            | Self::Matching
            | Self::Diagnosing
            | Self::Deciding
            | Self::Resolved
            | Self::AwaitingHuman
            | Self::Escalated
            | Self::Suppressed => false,
        }
    }

    /// Whether an effect is under way.
    pub fn is_active(self) -> bool {
        !self.is_terminal() && self != Self::AwaitingHuman
    }
}

/// What was written to the repository. Contract: `Incident.change`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Branch, deterministic from incident and attempt.
    pub branch: String,
    /// Commit on the branch: the pinned head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Sha>,
    /// Pull request number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// Where a person can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What its checks said when they were green, in the check runner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
    /// When it was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<Timestamp>,
    /// Commit on the deployed branch that merged it: the revision to wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Sha>,
}

/// What was spent on models. Contract: `Incident.cost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Requests to a model.
    pub calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
    /// US dollars.
    pub usd: f64,
}

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counting from 1.
    pub number: u32,
    /// What was tried.
    pub remedy: Remedy,
    /// What became of it.
    pub change: Change,
    /// How it was judged, if it got that far.
    pub recovery: Option<Recovery>,
    /// The merged revert.
    pub revert: Option<Change>,
    /// Why it ended, in one sentence.
    pub ended: String,
}

/// Why a person is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// One of the fixed reasons.
    pub reason: EscalationReason,
    /// The numbers behind it.
    pub detail: String,
}

/// The fixed reasons for calling a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EscalationReason {
    /// Confidence is not above the threshold.
    LowConfidence,
    /// No declared remedy fits, or none is left untried.
    NoRemedy,
    /// Policy denied.
    PolicyDenied,
    /// Policy wants a person to merge.
    ApprovalRequired,
    /// The last allowed attempt failed.
    AttemptsExhausted,
    /// Recovery could not be judged.
    Inconclusive,
    /// An effect failed for good.
    EffectFailed,
    /// The kill switch is off.
    AutonomyOff,
    /// A person rejected the change.
    Rejected,
    /// A person keeps a change whose effect could not be judged.
    Kept,
}

/// An incident. Contract: `Incident`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// Where it stands.
    pub state: State,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// Structural fingerprint, once the evidence shows one.
    pub fingerprint: Option<Digest>,
    /// Shape of the failure.
    pub signature: Option<Signature>,
    /// Service of the signal, later of the diagnosis.
    pub service: String,
    /// Operation of the signal, later of the diagnosis.
    pub operation: String,
    /// What Scout saw.
    pub signal: Signal,
    /// The nearest earlier incidents, best first.
    #[serde(default)]
    pub similar: Vec<Similar>,
    /// What is wrong.
    pub diagnosis: Option<Diagnosis>,
    /// Who said so.
    pub source: Option<Source>,
    /// What a model said of it; `None` where none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counsel: Option<Counsel>,
    /// What a model wrote where no declared remedy was left, or why it wrote nothing; `None` where none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authored: Option<Authored>,
    /// The remedies that fit the diagnosis, the rules' choice first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// The remedy in hand.
    pub remedy: Option<Remedy>,
    /// What should be done.
    pub proposal: Option<Proposal>,
    /// What policy says.
    pub verdict: Option<Verdict>,
    /// A person's leave to merge it.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// What was written.
    pub change: Option<Change>,
    /// Whether it helped.
    pub recovery: Option<Recovery>,
    /// Attempts that are over.
    pub attempts: Vec<Attempt>,
    /// The ticket.
    pub ticket: Option<u64>,
    /// Why a person was called.
    pub escalation: Option<Escalation>,
    /// When the state was entered.
    pub since: Timestamp,
    /// What models cost.
    #[serde(default)]
    pub cost: Cost,
}

impl Incident {
    /// A new incident from a suspicion.
    pub fn open(id: IncidentId, signal: Signal, now: Timestamp) -> Self {
        Self {
            id,
            state: State::Detected,
            opened_at: now,
            closed_at: None,
            fingerprint: None,
            signature: None,
            service: signal.service.clone(),
            operation: signal.operation.clone(),
            signal,
            similar: Vec::new(),
            diagnosis: None,
            source: None,
            counsel: None,
            authored: None,
            offers: Vec::new(),
            remedy: None,
            proposal: None,
            verdict: None,
            approval: None,
            change: None,
            recovery: None,
            attempts: Vec::new(),
            ticket: None,
            escalation: None,
            since: now,
            cost: Cost::default(),
        }
    }

    /// The attempt in hand, counting from 1.
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The branch of the attempt in hand.
    pub fn branch(&self) -> String {
        format!("sre-space/{}-{}", self.id, self.attempt())
    }

    /// The branch that reverts the attempt in hand.
    pub fn revert_branch(&self) -> String {
        format!("{}-revert", self.branch())
    }

    /// The source patch that a model wrote.
    pub fn source_patch(&self) -> Option<&SourcePatch> {
        match self.authored.as_ref()? {
            Authored::Written(patch) => Some(patch),
            Authored::Lacking { .. } => None,
        }
    }

    /// Remedies that must not be tried again.
    pub fn tried(&self) -> Vec<Remedy> {
        self.attempts.iter().map(|attempt| attempt.remedy.clone()).collect()
    }
}

/// The rules `step` decides by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Confidence must be strictly above this.
    pub confidence_threshold: f64,
    /// Verified failures before a person is called.
    pub max_attempts: u32,
    /// Seconds a question to a person stays open; what is approved later is stale.
    pub approval_s: u64,
    /// Whether a model is asked about what rules found.
    pub asks_model: bool,
    /// Whether it is asked for a source patch, too, and so sent files of the owners' sources.
    pub asks_for_patches: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let (asks_model, asks_for_patches) = (false, false);
        Self { confidence_threshold: 0.90, max_attempts: 3, approval_s: 24 * 3_600, asks_model, asks_for_patches }
    }
}

/// A line for the journal that goes with a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Who speaks.
    pub agent: Agent,
    /// Kind of step.
    pub phase: Phase,
    /// One plain sentence.
    pub text: String,
    /// The facts.
    pub data: serde_json::Value,
}

/// What a step yields: the incident as it now is, what to do next, and what to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The incident after the step.
    pub incident: Incident,
    /// What to do next; `None` when nothing is left to do, or a person has to decide.
    pub effect: Option<Effect>,
    /// Rows for the journal.
    pub notes: Vec<Note>,
}
