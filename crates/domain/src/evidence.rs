//! What the reading agents may look at: spans of the time in question, who calls whom, what changed.
//!
//! Evidence is data, complete in itself: CAG and Brain are pure functions of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::Sha;
use crate::signal::Signal;
use crate::telemetry::Span;

/// Everything known at one moment about one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The signal that asks for an explanation.
    pub signal: Signal,
    /// When the evidence was taken, milliseconds since the Unix epoch.
    pub taken_ms: i64,
    /// Since when everything that was sent was heard, milliseconds since the Unix epoch; spans of before are a sample.
    pub heard_since_ms: i64,
    /// Recent spans of all services, oldest first by end; covers time before and after the onset where the buffer reaches.
    pub spans: Vec<Span>,
    /// Latency objective in nanoseconds; a span above it is bad.
    pub latency_objective_ns: u64,
    /// Revisions seen per service, in order of first appearance.
    pub revisions: Vec<RevisionSeen>,
    /// Current suspects other than the signal itself.
    pub suspects: Vec<Suspect>,
    /// What the owners changed lately, newest first; empty when the repository could not be read.
    pub changes: Vec<CommitInfo>,
    /// What Sentinels veto of the hosts at that moment, as policies name it; empty also while none looks.
    pub vetoes: BTreeSet<String>,
}

/// One revision of one service, as its spans told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSeen {
    /// Service.
    pub service: String,
    /// Value of the revision attribute.
    pub revision: String,
    /// First span of it, milliseconds since the Unix epoch (receive time).
    pub first_seen_ms: i64,
    /// Entry spans seen with it.
    pub entries: u64,
    /// Bad ones among them.
    pub bad: u64,
}

/// A (service, operation) that is under suspicion right now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// CUSUM statistic.
    pub statistic: f64,
}

/// One commit on the deployed branch, as far as Brain needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Object name.
    pub sha: Sha,
    /// Parents, first parent first; two or more make a merge.
    pub parents: Vec<Sha>,
    /// Commit time, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Paths changed against the first parent.
    pub files: Vec<String>,
}
