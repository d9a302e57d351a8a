//! Curator. LEARN.
//!
//! Mission: keep what was proven here. Trigger: a recovery that held. Authority: the only writer of the memory. Output: a
//! post-mortem and the knowledge tuple, a shape of failure with the remedy that cured it.

use sre_space_domain::incident::{Incident, State};
use sre_space_domain::journal::Entry;
use sre_space_domain::knowledge::{Lesson, Signature};
use sre_space_domain::postmortem;
use sre_space_domain::recovery::Outcome;
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};
use thiserror::Error;

/// Neighbours that are asked for.
const NEIGHBOURS: usize = 3;

/// Why a lesson is not stored.
#[derive(Debug, Error)]
pub enum CuratorError {
    /// The recovery is not proven: nothing may be learned from it.
    #[error("{0} is not a proven recovery: nothing is learned from it")]
    NotProven(String),
    /// The memory failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Stores the lesson of an incident whose recovery held. Storing it twice changes nothing.
pub async fn remember(
    memory: &dyn Memory,
    incident: &Incident,
    entries: &[Entry],
    at_ms: i64,
) -> Result<Lesson, CuratorError> {
    let lesson = lesson(incident, entries, at_ms).ok_or_else(|| CuratorError::NotProven(incident.id.to_string()))?;
    memory.remember(&lesson).await?;
    Ok(lesson)
}

fn lesson(incident: &Incident, entries: &[Entry], at_ms: i64) -> Option<Lesson> {
    let recovered = incident.recovery.as_ref()?.verdict == Outcome::Recovered;
    if incident.state != State::Learning || !recovered {
        return None;
    }
    Some(Lesson {
        incident: incident.id.clone(),
        signature: incident.signature.clone()?,
        remedy: incident.remedy.clone()?,
        at_ms,
        postmortem: postmortem::write(incident, entries),
    })
}

/// The lessons nearest to a shape of failure, best first, with their scores.
pub async fn similar(recollection: &dyn Recollection, signature: &Signature) -> Result<Vec<Match>, MemoryError> {
    let Signature { service, operation, kind, facts } = signature;
    let words = format!("{} {service} {operation} {}", kind.as_str(), facts.join(" "));
    recollection.nearest(&words, NEIGHBOURS).await
}
