//! What was learned: lessons, records, and the trust they earn.

use serde::{Deserialize, Serialize};

use crate::diagnosis::FaultKind;
use crate::ids::{Digest, IncidentId};
use crate::proposal::Remedy;

/// The structural shape of a failure: no numbers that drift, no telemetry text that strangers write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Service where the failure begins.
    pub service: String,
    /// Operation where the failure begins.
    pub operation: String,
    /// What kind of fault the structure shows.
    pub kind: FaultKind,
    /// Structural facts, sorted, such as `fails-alone` or `begins-with-revision`.
    pub facts: Vec<String>,
}

impl Signature {
    /// The fingerprint: equal for equal structure.
    pub fn fingerprint(&self) -> Digest {
        let head = [self.service.as_bytes(), self.operation.as_bytes(), self.kind.as_str().as_bytes()];
        Digest::of(head.into_iter().chain(self.facts.iter().map(String::as_bytes)))
    }
}

/// The knowledge tuple: a signature and the remedy whose effect was verified here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// Incident it was learned from; also makes writing it twice harmless.
    pub incident: IncidentId,
    /// Shape of the failure.
    pub signature: Signature,
    /// Remedy that held.
    pub remedy: Remedy,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Post-mortem, Markdown.
    pub postmortem: String,
}

/// Trust is recorded per (remedy, fault class, service).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RemedyKey {
    /// [`Remedy::id`].
    pub remedy: String,
    /// Fault class.
    pub kind: FaultKind,
    /// Service.
    pub service: String,
}

/// How a remedy did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackRecord {
    /// Verified recoveries.
    pub verified: u32,
    /// Verified failures.
    pub failed: u32,
}
