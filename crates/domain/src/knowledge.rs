//! What was learned: lessons, records, and the trust they earn.

use serde::{Deserialize, Serialize};

use crate::beta;
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

/// An earlier incident that resembles this one, as the memory ranks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Similar {
    /// The earlier incident.
    pub incident: IncidentId,
    /// Its service.
    pub service: String,
    /// Its fault.
    pub kind: FaultKind,
    /// [`Remedy::id`] of what held then.
    pub remedy: String,
    /// Cosine similarity of the two shapes, -1..=1.
    pub score: f64,
}

impl Similar {
    /// What a lesson is, seen from an incident that resembles it.
    pub fn to(lesson: &Lesson, score: f64) -> Self {
        Self {
            incident: lesson.incident.clone(),
            service: lesson.signature.service.clone(),
            kind: lesson.signature.kind,
            remedy: lesson.remedy.id(),
            score,
        }
    }
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

/// Trust in a remedy: the lower 5 % bound of Beta(1 + vouched + verified, 1 + failed).
///
/// All successes pass 0.90 only from 28 on; `vouched` is the owners' explicit starting credit.
pub fn trust(vouched: u32, record: TrackRecord) -> f64 {
    let good = 1.0 + f64::from(vouched) + f64::from(record.verified);
    beta::quantile(0.05, good, 1.0 + f64::from(record.failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_eight_successes_earn_trust_and_one_failure_costs_it() {
        let of = |verified, failed| trust(0, TrackRecord { verified, failed });
        assert!(of(27, 0) <= 0.90);
        assert!(of(28, 0) > 0.90);
        assert!(of(28, 1) < 0.90);
        assert!(of(0, 0) < 0.06);
        assert_eq!(trust(30, TrackRecord::default()), of(30, 0));
    }
}
