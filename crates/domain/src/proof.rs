//! What a pull request carries as its proof: what was seen, decided and measured, as numbers and ids that anyone can check
//! again, offline.
//!
//! A proof is built from an [`Incident`] and holds nothing of telemetry but counts and ids in hexadecimal. Its seal is a
//! digest of everything else in it. That tells an alteration, not an author: whoever can write a proof can seal one, which is
//! why [`Proof::findings`] computes every number again instead of believing it.

mod check;
#[cfg(test)]
mod tests;
mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::check::Finding;
pub use self::text::Unreadable;
use crate::diagnosis::{Diagnosis, FaultKind};
use crate::ids::{Digest, IncidentId, Sha};
use crate::incident::{Cost, Incident};
use crate::proposal::{Decision, FileSum, Proposal, Remedy, Reproduction, Verdict};
use crate::recovery::{Outcome, Test};
use crate::signal::{Coherence, Signal, SignalKind};

/// Version of the format.
pub const SCHEMA: u32 = 1;

/// A pull request's proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Version of this format.
    pub schema: u32,
    /// Incident.
    pub incident: IncidentId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The attempt, counting from 1.
    pub attempt: u32,
    /// Structural fingerprint of the failure.
    pub fingerprint: Option<Digest>,
    /// What Scout saw before the change.
    pub before: Before,
    /// What was concluded from it.
    pub cause: Cause,
    /// What is changed.
    pub change: Changed,
    /// What policy said of it.
    pub decision: Decided,
    /// What models cost on the way.
    pub cost: Cost,
    /// The command that undoes it once merged.
    pub undo: String,
    /// What was seen of the merged revision; `None` while nothing was judged.
    pub after: Option<After>,
    /// Digest of all of the above.
    pub seal: Digest,
}

/// The detection, with what it was computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// What dominates.
    pub kind: SignalKind,
    /// Requests of the window; seconds, where the second sense spoke.
    pub samples: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// Their share, 0..=1.
    pub observed: f64,
    /// Share that is usual, 0..=1.
    pub baseline: f64,
    /// Length of the window, seconds.
    pub window_s: f64,
    /// P(bad share > 5 %), from `bad` of `samples`.
    pub posterior: f64,
    /// The CUSUM statistic.
    pub statistic: f64,
    /// Its threshold.
    pub threshold: f64,
    /// Independent sources that saw it.
    pub sources: usize,
    /// What the second sense measured when the cause was told, where it is the one that spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coherence: Option<Coherence>,
}

/// The diagnosis, without a word of telemetry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Kind of fault.
    pub fault: FaultKind,
    /// The product of the terms.
    pub confidence: f64,
    /// The factors of the confidence.
    pub terms: Vec<Factor>,
    /// Requests per second.
    pub arrival_rate: Option<f64>,
    /// Seconds one request holds on.
    pub hold_s: Option<f64>,
    /// Rate times hold.
    pub demand: Option<f64>,
    /// Concurrency that was let through.
    pub plateau: Option<f64>,
    /// Spans that show it.
    pub evidence: Vec<Exhibit>,
}

/// One factor of a confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Its name, one of ours.
    pub name: String,
    /// Its value, 0..=1.
    pub value: f64,
}

/// A span, by its ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exhibit {
    /// Trace, 32 hexadecimal digits.
    pub trace_id: String,
    /// Span, 16 hexadecimal digits.
    pub span_id: String,
}

/// The change, by the sums of its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    /// What is applied.
    pub remedy: Remedy,
    /// What its record is worth, 0..=1.
    pub trust: f64,
    /// Commit it was rendered on.
    pub base: Sha,
    /// The files it writes.
    pub files: Vec<FileSum>,
    /// Lines added and removed.
    pub lines: u32,
    /// What judgement and leave to write are bound to.
    pub digest: Digest,
    /// The owners' check that states the failure.
    pub reproduces: Option<Reproduction>,
    /// In words for people: numbers, ids, names the owners declared, and of a source patch the model's reason as quoted plain text.
    pub rationale: String,
    /// For the pull request that undoes it: the merge that is undone.
    pub reverts: Option<Sha>,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// What was decided.
    pub decision: Decision,
    /// By which rules.
    pub rules: Vec<String>,
    /// About which change.
    pub digest: Digest,
    /// Whether a person gave leave to merge.
    pub approved: bool,
}

/// The judgement of the merged revision, with what it was computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The merge.
    pub revision: Sha,
    /// The answer.
    pub verdict: Outcome,
    /// Which test gave it.
    pub test: Test,
    /// Requests counted.
    pub samples: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// Probes among `samples`.
    pub probes: u64,
    /// The test's statistic.
    pub statistic: f64,
    /// Its bound.
    pub threshold: f64,
}

impl Proof {
    /// The proof of the attempt in hand; `None` before there is a verdict on a proposal.
    pub fn of(incident: &Incident) -> Option<Self> {
        let diagnosis = incident.diagnosis.as_ref()?;
        let (proposal, verdict) = incident.proposal.as_ref().zip(incident.verdict.as_ref())?;
        let proof = Self {
            schema: SCHEMA,
            incident: incident.id.clone(),
            opened_at: incident.opened_at,
            attempt: incident.attempt(),
            fingerprint: incident.fingerprint.clone(),
            before: Before::of(&incident.signal, diagnosis),
            cause: Cause::of(diagnosis),
            change: Changed::of(proposal),
            decision: Decided::of(verdict, incident.approval.is_some()),
            cost: incident.cost,
            undo: undo(&incident.branch()),
            after: After::of(incident),
            seal: Digest::of([]),
        };
        Some(proof.sealed())
    }

    /// The proof that the pull request carries which undoes this one's change.
    pub fn reverting(mut self, revision: &Sha) -> Self {
        self.change.reverts = Some(revision.clone());
        self.undo = format!("git revert {revision}");
        self.sealed()
    }

    fn sealed(mut self) -> Self {
        self.seal = self.sum();
        self
    }

    /// Digest of everything but the seal.
    fn sum(&self) -> Digest {
        let bare = Self { seal: Digest::of([]), ..self.clone() };
        Digest::of([bare.json().as_bytes()])
    }
}

/// The command that undoes what a branch of ours brought in. The merge has no name yet when this is written, but its first
/// line names the branch.
pub fn undo(branch: &str) -> String {
    format!("git revert -m 1 \"$(git log -n 1 --merges --format=%H --grep='from {branch}$')\"")
}

impl Before {
    fn of(signal: &Signal, diagnosis: &Diagnosis) -> Self {
        Self {
            kind: signal.kind,
            samples: signal.samples,
            bad: signal.bad(),
            observed: signal.observed,
            baseline: signal.baseline,
            window_s: signal.window_s,
            posterior: signal.posterior,
            statistic: signal.statistic,
            threshold: signal.threshold,
            sources: signal.sources.len(),
            coherence: diagnosis.measured.coherence,
        }
    }
}

impl Cause {
    fn of(diagnosis: &Diagnosis) -> Self {
        let measured = &diagnosis.measured;
        let term = |term: &crate::diagnosis::Term| Factor { name: term.name.clone(), value: term.value };
        let exhibit = |shown: &crate::diagnosis::Exhibit| Exhibit {
            trace_id: shown.trace_id.clone(),
            span_id: shown.span_id.clone(),
        };
        Self {
            fault: diagnosis.kind,
            confidence: diagnosis.confidence.get(),
            terms: diagnosis.terms.iter().map(term).collect(),
            arrival_rate: measured.arrival_rate,
            hold_s: measured.hold_s,
            demand: measured.demand,
            plateau: measured.plateau,
            evidence: diagnosis.evidence.iter().map(exhibit).collect(),
        }
    }
}

impl Changed {
    fn of(proposal: &Proposal) -> Self {
        Self {
            remedy: proposal.remedy.clone(),
            trust: proposal.trust,
            base: proposal.base.clone(),
            files: proposal.changes.iter().map(FileSum::of).collect(),
            lines: proposal.lines,
            digest: proposal.digest.clone(),
            reproduces: proposal.reproduces.clone(),
            rationale: proposal.rationale.clone(),
            reverts: None,
        }
    }
}

impl Decided {
    fn of(verdict: &Verdict, approved: bool) -> Self {
        Self { decision: verdict.decision, rules: verdict.rules.clone(), digest: verdict.digest.clone(), approved }
    }
}

impl After {
    fn of(incident: &Incident) -> Option<Self> {
        let recovery = incident.recovery.as_ref()?;
        let revision = incident.change.as_ref()?.revision.clone()?;
        Some(Self {
            revision,
            verdict: recovery.verdict,
            test: recovery.test,
            samples: recovery.samples,
            bad: recovery.bad,
            probes: recovery.probes,
            statistic: recovery.statistic,
            threshold: recovery.threshold,
        })
    }
}
