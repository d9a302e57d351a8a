//! The journal: one row a step, the same rows that watchers see.

use serde::{Deserialize, Serialize};

use crate::ids::IncidentId;
use crate::incident::State;

/// Who speaks. Contract: SSE `agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agent {
    /// Watches spans.
    Scout,
    /// Knows remedies that were verified here.
    Cag,
    /// Finds the cause.
    Brain,
    /// Judges proposals by policy.
    Guardrail,
    /// Writes to the repository.
    Fixer,
    /// Writes the memory.
    Curator,
    /// Hardens the design.
    Jules,
    /// Calls people.
    Human,
    /// The server itself.
    System,
}

impl Agent {
    /// The agents at work, in the order of the loop.
    pub const AT_WORK: [Self; 7] =
        [Self::Scout, Self::Cag, Self::Brain, Self::Guardrail, Self::Fixer, Self::Curator, Self::Human];
}

/// What kind of step it is. Contract: SSE `phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Something was seen.
    Observe,
    /// Something was understood.
    Orient,
    /// Something was decided.
    Decide,
    /// Something was done.
    Act,
    /// An effect was judged.
    Verify,
    /// Something was learned.
    Learn,
    /// Something was hardened.
    Harden,
    /// A person was called.
    Escalate,
}

/// A row before it has its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// When, RFC 3339, UTC.
    pub at: jiff::Timestamp,
    /// Incident, if the row belongs to one.
    pub incident: Option<IncidentId>,
    /// Who speaks.
    pub agent: Agent,
    /// Kind of step.
    pub phase: Phase,
    /// State of the incident after the step.
    pub state: Option<State>,
    /// One plain sentence.
    pub text: String,
    /// The facts behind the sentence.
    pub data: serde_json::Value,
}

/// A row of the journal. Contract: SSE `data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the row: from 1, without gaps.
    pub seq: u64,
    /// The row.
    #[serde(flatten)]
    pub row: Draft,
}
