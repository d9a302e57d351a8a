//! What was learned: lessons, records, and the trust they earn.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::beta;
use crate::diagnosis::FaultKind;
use crate::ids::{Digest, IncidentId, Sha};
use crate::proposal::Remedy;
use crate::seal::Seal;

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

    /// What it is searched by: its own words, nothing else.
    pub fn words(&self) -> String {
        let head = [self.service.as_str(), self.operation.as_str(), self.kind.as_str()];
        let words: Vec<&str> = head.into_iter().chain(self.facts.iter().map(String::as_str)).collect();
        words.join(" ")
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
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
    /// Seal of the control plane that verified it. Without the right one a lesson is evidence, and never acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// Where a lesson comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Its recovery was verified: the judgement's numbers.
    Verified {
        /// Commit that healed it.
        revision: Option<Sha>,
        /// Requests that were judged.
        samples: u64,
        /// Where the test stood.
        statistic: f64,
        /// The bound it had to pass.
        threshold: f64,
    },
    /// Read from a file.
    Imported,
    /// Nobody says.
    #[default]
    Unknown,
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
    /// How near the two shapes are, at most 1.
    pub score: f64,
    /// Whether it was verified here; anything else is shown, and not acted on.
    #[serde(default)]
    pub verified: bool,
}

impl Similar {
    /// What a lesson is, seen from an incident that resembles it.
    pub fn to(lesson: &Lesson, score: f64, verified: bool) -> Self {
        Self {
            incident: lesson.incident.clone(),
            service: lesson.signature.service.clone(),
            kind: lesson.signature.kind,
            remedy: lesson.remedy.id(),
            score,
            verified,
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

/// How a remedy stands: its record, and the trust it earned against what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// How it did here.
    pub record: TrackRecord,
    /// [`trust`] in it.
    pub trust: f64,
    /// Trust has to be strictly above.
    pub threshold: f64,
}

impl Standing {
    /// Whether it failed here, and has not earned its trust back.
    pub fn is_lost(&self) -> bool {
        self.record.failed > 0 && self.trust <= self.threshold
    }
}

/// Why a remembered remedy is not used without being asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// So many lessons name it, and none of them was verified by this control plane.
    Unsealed(usize),
    /// Verified lessons that are as near say something else, and are not outnumbered.
    Contradicted {
        /// Verified lessons that name it.
        support: usize,
        /// Those that name another remedy.
        against: usize,
        /// How much nearer the former are.
        margin: f64,
    },
    /// It failed since.
    Distrusted {
        /// [`Remedy::id`].
        remedy: String,
        /// How it stands.
        standing: Standing,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsealed(lessons) => {
                write!(f, "{lessons} lesson(s) of this shape name the remedy and none was verified here")
            }
            Self::Contradicted { support, against, margin } => write!(
                f,
                "verified lessons disagree: {support} for the remedy, {against} for another at a margin of {margin:.3}"
            ),
            Self::Distrusted { remedy, standing: Standing { record, trust, threshold } } => write!(
                f,
                "{remedy} worked {} time(s) and failed {} time(s): trust {trust:.3} is not above {threshold:.2}",
                record.verified, record.failed
            ),
        }
    }
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

    #[test]
    fn a_failure_loses_the_trust_until_it_is_earned_back() {
        let of = |verified, failed| {
            let record = TrackRecord { verified, failed };
            Standing { record, trust: trust(30, record), threshold: 0.90 }
        };
        assert!(!of(0, 0).is_lost() && !of(1, 0).is_lost());
        assert!(of(0, 1).is_lost() && of(10, 1).is_lost());
        assert!(!of(30, 1).is_lost());
        let standing = Standing { trust: 0.25, ..of(3, 1) };
        let told = Doubt::Distrusted { remedy: "turn-knob:pool".into(), standing }.to_string();
        assert_eq!(told, "turn-knob:pool worked 3 time(s) and failed 1 time(s): trust 0.250 is not above 0.90");
    }
}
