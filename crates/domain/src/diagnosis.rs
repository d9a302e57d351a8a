//! What is wrong, where, and how sure we are: every number with the term that made it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::signal::Coherence;

/// How sure a diagnosis is, always within 0.0..=1.0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

/// A number that is no confidence: outside 0..=1, or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("{0} is not a confidence between 0 and 1")]
pub struct NotAConfidence(f64);

impl Confidence {
    /// No confidence at all.
    pub const NONE: Self = Self(0.0);

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The product of factors, each clamped into 0..=1; a NaN factor makes it zero.
    pub fn product(factors: impl IntoIterator<Item = f64>) -> Self {
        let product: f64 =
            factors.into_iter().map(|factor| if factor.is_nan() { 0.0 } else { factor.clamp(0.0, 1.0) }).product();
        Self(product)
    }
}

impl TryFrom<f64> for Confidence {
    type Error = NotAConfidence;
    fn try_from(raw: f64) -> Result<Self, NotAConfidence> {
        if (0.0..=1.0).contains(&raw) { Ok(Self(raw)) } else { Err(NotAConfidence(raw)) }
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

/// The kinds of fault a remedy may name (contract.md, `.sre-space.yaml`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Demand exceeds a pool of connections.
    PoolExhausted,
    /// A query got slow.
    SlowQuery,
    /// A callee hangs or answers too late.
    DependencyTimeout,
    /// A change of the service's source or configuration broke it.
    BadChange,
    /// Memory grows without bound.
    MemoryLeak,
    /// Retries amplify load.
    RetryStorm,
    /// The processor is the bottleneck.
    CpuSaturation,
    /// The network delays calls.
    NetworkDelay,
    /// The process dies again and again.
    CrashLoop,
    /// Errors with no better explanation.
    ErrorBurst,
    /// Not known.
    Unknown,
}

impl FaultKind {
    /// The name used in `.sre-space.yaml`, policies and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PoolExhausted => "pool-exhausted",
            Self::SlowQuery => "slow-query",
            Self::DependencyTimeout => "dependency-timeout",
            Self::BadChange => "bad-change",
            Self::MemoryLeak => "memory-leak",
            Self::RetryStorm => "retry-storm",
            Self::CpuSaturation => "cpu-saturation",
            Self::NetworkDelay => "network-delay",
            Self::CrashLoop => "crash-loop",
            Self::ErrorBurst => "error-burst",
            Self::Unknown => "unknown",
        }
    }
}

/// Name of the factor that says how far two sources of the second sense agree ([`crate::signal::Coherence::agreement`]).
pub const AGREEMENT: &str = "agreement";

/// One factor of a confidence: confidence is the product of its terms' values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Name, such as `coverage`.
    pub name: String,
    /// Value, 0..=1.
    pub value: f64,
    /// What it was computed from, in numbers.
    pub why: String,
}

/// One span that supports the diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// Trace, hexadecimal.
    pub trace_id: String,
    /// Span, hexadecimal.
    pub span_id: String,
    /// What it shows, in our own words (never telemetry text).
    pub why: String,
}

/// A service that could be the origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Service.
    pub service: String,
    /// Score, 0..=1.
    pub score: f64,
}

/// Where the answer came from. Contract: `Incident.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The cache of verified remedies; no Brain step.
    #[serde(rename = "cag")]
    Cag,
    /// Brain, by rules.
    #[serde(rename = "brain:rules")]
    BrainRules,
    /// Brain, by rules, with a model's answer used.
    #[serde(rename = "brain:llm")]
    BrainLlm,
}

/// Sizes measured from spans, from which a remedy's parameters are computed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Requests per second arriving at the origin operation.
    pub arrival_rate: Option<f64>,
    /// Seconds one request holds the contended resource.
    pub hold_s: Option<f64>,
    /// Mean concurrency that demand asks for: rate x hold (Little's law).
    pub demand: Option<f64>,
    /// Highest concurrency that was let through.
    pub plateau: Option<f64>,
    /// Revision with which the failure began, if it began with one.
    pub revision: Option<String>,
    /// What Sentinels vetoed of the hosts at that time, as policies name it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub vetoes: BTreeSet<String>,
    /// What the second sense measured when the cause was told, where it is the one that spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coherence: Option<Coherence>,
}

/// Cause and place of an incident. Contract: `Incident.diagnosis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Service where the failure begins.
    pub service: String,
    /// Operation where the failure begins.
    pub operation: String,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// One sentence of our own words and numbers.
    pub summary: String,
    /// How sure; the product of `terms`.
    pub confidence: Confidence,
    /// The factors of the confidence.
    pub terms: Vec<Term>,
    /// Spans that show it.
    pub evidence: Vec<Exhibit>,
    /// Services by likelihood of being the origin, most likely first.
    pub candidates: Vec<Candidate>,
    /// What was measured on the way.
    pub measured: Measured,
    /// Operations that requests with this failure go bad in, as (service, operation).
    #[serde(default)]
    pub affected: Vec<(String, String)>,
}
