//! What should be done, as data: remedy, rendered change, and what policy says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalogue::KnobType;
use crate::ids::{Digest, IncidentId, Sha};

/// A remedy from the closed catalogue, with bounded parameters. The only thing that crosses from readers to the writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "remedy", rename_all = "kebab-case")]
pub enum Remedy {
    /// Set one declared knob, or several that belong together.
    TurnKnob {
        /// Service whose knobs they are.
        service: String,
        /// Value to set, by the knob's name.
        parameters: BTreeMap<String, KnobValue>,
    },
    /// Set a declared number of replicas.
    Scale {
        /// Service whose replicas they are.
        service: String,
        /// The number, by the knob's name.
        parameters: BTreeMap<String, KnobValue>,
    },
    /// Count a declared restart token up, which makes the owners' platform start the service anew.
    Restart {
        /// Service that is restarted.
        service: String,
        /// The token, by the knob's name.
        parameters: BTreeMap<String, KnobValue>,
    },
    /// Add a file that the owners prepared.
    ApplyPatch {
        /// Service whose patch it is.
        service: String,
        /// The patch's name.
        patch: String,
    },
    /// Undo exactly one commit (or merge).
    Revert {
        /// Service whose `sources` cover the files.
        service: String,
        /// The commit.
        commit: Sha,
    },
    /// Write files of the owners' sources as a model wrote them. A person merges, whatever policy says.
    SourcePatch {
        /// Service whose `sources` cover the files.
        service: String,
        /// What becomes of each file, by its path.
        edits: BTreeMap<String, Rewrite>,
    },
}

/// One file before and after, as digests of its contents: the change is of what was read, and to what was written, or it is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Digest of the contents that were read.
    pub before: Digest,
    /// Digest of the contents that are to be there.
    pub after: Digest,
}

/// A knob's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KnobValue {
    /// `true` or `false`.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// A word of the knob's own list, or a duration as it is written (`650ms`, `2s`).
    Text(String),
}

impl KnobValue {
    /// The milliseconds of a duration: a whole number followed by `ms` or `s`.
    pub fn duration_ms(&self) -> Option<i64> {
        let Self::Text(text) = self else { return None };
        let (number, factor) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s')?, 1_000),
        };
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<i64>().ok().filter(|_| plain)?.checked_mul(factor)
    }

    /// A duration in milliseconds.
    pub fn of_ms(ms: i64) -> Self {
        Self::Text(format!("{ms}ms"))
    }
}

impl fmt::Display for KnobValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl Remedy {
    /// One knob to one value.
    pub fn turn(service: impl Into<String>, knob: impl Into<String>, value: KnobValue) -> Self {
        Self::TurnKnob { service: service.into(), parameters: BTreeMap::from([(knob.into(), value)]) }
    }

    /// One knob to one value, as what turning a knob of this type amounts to.
    pub fn turn_as(kind: KnobType, service: impl Into<String>, knob: impl Into<String>, value: KnobValue) -> Self {
        let (service, parameters) = (service.into(), BTreeMap::from([(knob.into(), value)]));
        match kind {
            KnobType::Replicas => Self::Scale { service, parameters },
            KnobType::Restart => Self::Restart { service, parameters },
            KnobType::Int | KnobType::Bool | KnobType::Enum | KnobType::Duration => {
                Self::TurnKnob { service, parameters }
            }
        }
    }

    /// Whether this remedy is what turning a knob of this type amounts to.
    pub fn may_turn(&self, kind: KnobType) -> bool {
        match kind {
            KnobType::Replicas => matches!(self, Self::Scale { .. }),
            KnobType::Restart => matches!(self, Self::Restart { .. }),
            KnobType::Int | KnobType::Bool | KnobType::Enum | KnobType::Duration => {
                matches!(self, Self::TurnKnob { .. })
            }
        }
    }

    /// The knobs it turns, with their values; `None` for a remedy that turns none.
    pub fn parameters(&self) -> Option<&BTreeMap<String, KnobValue>> {
        match self {
            Self::TurnKnob { parameters, .. } | Self::Scale { parameters, .. } | Self::Restart { parameters, .. } => {
                Some(parameters)
            }
            Self::ApplyPatch { .. } | Self::Revert { .. } | Self::SourcePatch { .. } => None,
        }
    }

    /// Whether only a person may merge it: no declared bounds hold what a model wrote, and no record speaks for the next one.
    pub fn needs_person(&self) -> bool {
        matches!(self, Self::SourcePatch { .. })
    }

    /// The remedy's kind: `turn-knob`, `scale`, `restart`, `apply-patch`, `revert` or `source-patch`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TurnKnob { .. } => "turn-knob",
            Self::Scale { .. } => "scale",
            Self::Restart { .. } => "restart",
            Self::ApplyPatch { .. } => "apply-patch",
            Self::Revert { .. } => "revert",
            Self::SourcePatch { .. } => "source-patch",
        }
    }

    /// What trust is recorded under: the names of the knobs joined by `+`, the patch's name, `revert` or `source-patch`.
    pub fn id(&self) -> String {
        self.parts().join("+")
    }

    /// What `vouched` names: each knob, the patch, or `revert`.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::TurnKnob { parameters, .. } | Self::Scale { parameters, .. } | Self::Restart { parameters, .. } => {
                parameters.keys().map(String::as_str).collect()
            }
            Self::ApplyPatch { patch, .. } => vec![patch],
            Self::Revert { .. } => vec!["revert"],
            Self::SourcePatch { .. } => vec!["source-patch"],
        }
    }

    /// Whether trying the other would be trying this again: the same knobs, to whatever value, the same patch, the same commit, or
    /// a source patch at all.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Revert { commit, .. }, Self::Revert { commit: also, .. }) => commit == also,
            _ => (self.kind(), self.service(), self.parts()) == (other.kind(), other.service(), other.parts()),
        }
    }

    /// Service the remedy changes.
    pub fn service(&self) -> &str {
        match self {
            Self::TurnKnob { service, .. }
            | Self::Scale { service, .. }
            | Self::Restart { service, .. }
            | Self::ApplyPatch { service, .. }
            | Self::Revert { service, .. }
            | Self::SourcePatch { service, .. } => service,
        }
    }
}

/// New contents of one file; `None` deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Path in the repository, `/`-separated.
    pub path: String,
    /// Contents after the change.
    pub contents: Option<String>,
}

/// What a change makes of one file, as a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    /// Path in the repository, `/`-separated.
    pub path: String,
    /// Digest of the contents after the change; `None` where the file is deleted.
    pub sha256: Option<Digest>,
}

impl FileSum {
    /// The sum of one file's change.
    pub fn of(change: &FileChange) -> Self {
        let sum = |contents: &String| Digest::of([contents.as_bytes()]);
        Self { path: change.path.clone(), sha256: change.contents.as_ref().map(sum) }
    }
}

/// The owners' check that states a failure: it is red before the change and green after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproduction {
    /// The check's name in `.sre-space.yaml`.
    pub check: String,
    /// The file that carries it.
    pub file: String,
}

/// A change rendered from a remedy, ready to be judged. Contract: `Incident.proposal`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What is applied.
    #[serde(flatten)]
    pub remedy: Remedy,
    /// Lower 5 % bound of this remedy's record, 0..=1 (see [`crate::knowledge`]).
    pub trust: f64,
    /// Commit the change was rendered on.
    pub base: Sha,
    /// Files touched.
    pub files: Vec<String>,
    /// The files' new contents.
    pub changes: Vec<FileChange>,
    /// The check among them that states the failure, where the owners prepared one.
    #[serde(default)]
    pub reproduces: Option<Reproduction>,
    /// Unified diff.
    pub diff: String,
    /// Lines added and removed.
    pub lines: u32,
    /// What [`crate::permit::Permit`] is bound to.
    pub digest: Digest,
    /// Pull request title; numbers and ids only.
    pub title: String,
    /// Pull request body, Markdown; numbers and ids, and of a source patch the model's reason as quoted plain text.
    pub rationale: String,
}

/// The digest that binds judgement to deed: incident, base commit, and every file's new contents.
pub fn digest(incident: &IncidentId, base: &Sha, changes: &[FileChange]) -> Digest {
    digest_of(incident, base, &changes.iter().map(FileSum::of).collect::<Vec<_>>())
}

/// The same from the files' sums, for whoever has no contents.
pub fn digest_of(incident: &IncidentId, base: &Sha, files: &[FileSum]) -> Digest {
    let mut parts: Vec<&[u8]> = vec![incident.as_str().as_bytes(), base.0.as_bytes()];
    for file in files {
        parts.push(file.path.as_bytes());
        parts.push(file.sha256.as_ref().map_or(b"delete", |sum| sum.as_str().as_bytes()));
    }
    Digest::of(parts)
}

/// What policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Decision {
    /// Open and merge.
    Allow,
    /// Touch nothing.
    Deny,
    /// Open; a person merges.
    RequireApproval,
}

impl Decision {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::RequireApproval => "REQUIRE_APPROVAL",
        }
    }
}

/// Policy's answer. Contract: `Incident.verdict`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was decided.
    pub decision: Decision,
    /// Ids of the rules that decided.
    pub rules: Vec<String>,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// Proposal this verdict is about.
    pub digest: Digest,
}
