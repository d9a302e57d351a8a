//! Curator, LEARN.
//!
//! Mission: keep what was proven here, so that the same failure is answered at once next time.
//! Trigger: a recovery that was verified and held for the provisional time.
//! Authority: the only writer of the incident memory; it writes nothing else.
//! Output: a lesson: shape of the failure, the remedy that held, the post-mortem. Also recalls the nearest lessons.

#[cfg(test)]
mod tests;

use sre_space_domain::incident::{Incident, State};
use sre_space_domain::journal::Entry;
use sre_space_domain::knowledge::{Lesson, Origin, Signature};
use sre_space_domain::postmortem;
use sre_space_domain::recovery::Outcome;
use sre_space_domain::seal::SealKey;
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};
use thiserror::Error;

/// Why nothing was remembered.
#[derive(Debug, Error)]
pub enum CuratorError {
    /// There is nothing proven to remember: asking again changes nothing.
    #[error("remember {incident}: {why}")]
    NotProven {
        /// The incident.
        incident: String,
        /// What is missing.
        why: &'static str,
    },
    /// The memory did not do it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl CuratorError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotProven { .. } => false,
            Self::Memory(error) => error.is_transient(),
        }
    }
}

/// Files the lesson of a proven incident under our seal, once: asked again, it answers with the lesson already there.
///
/// # Errors
/// [`CuratorError::NotProven`] unless the incident is learning, its recovery is RECOVERED, and shape and remedy are known.
pub async fn remember(
    memory: &dyn Memory,
    key: &SealKey,
    (incident, entries): (&Incident, &[Entry]),
    at_ms: i64,
) -> Result<Lesson, CuratorError> {
    let mut lesson = proven(incident, at_ms)?;
    let known = memory.lookup(&lesson.signature.fingerprint()).await?;
    if let Some(there) = known.into_iter().find(|known| known.incident == lesson.incident && key.holds(known)) {
        return Ok(there);
    }
    lesson.postmortem = postmortem::write(incident, entries);
    lesson.seal = key.seal(&lesson);
    memory.remember(&lesson).await?;
    Ok(lesson)
}

/// The `k` lessons nearest to a shape of failure, best first, with their scores.
///
/// # Errors
/// [`MemoryError`] when the memory cannot be read.
pub async fn recall_similar(
    memory: &dyn Recollection,
    signature: &Signature,
    k: usize,
) -> Result<Vec<Match>, MemoryError> {
    memory.nearest(&signature.words(), k).await
}

/// The lesson of an incident whose recovery is proven; its post-mortem is still to be written.
fn proven(incident: &Incident, at_ms: i64) -> Result<Lesson, CuratorError> {
    let refused = |why| CuratorError::NotProven { incident: incident.id.to_string(), why };
    if incident.state != State::Learning {
        return Err(refused("it is not in the state learning"));
    }
    let recovered = incident.recovery.as_ref().filter(|recovery| recovery.verdict == Outcome::Recovered);
    let recovery = recovered.ok_or_else(|| refused("its recovery is not RECOVERED"))?;
    let signature = incident.signature.clone().ok_or_else(|| refused("the shape of the failure is not known"))?;
    let remedy = incident.remedy.clone().ok_or_else(|| refused("no remedy is in hand"))?;
    let origin = Origin::Verified {
        revision: incident.change.as_ref().and_then(|change| change.revision.clone()),
        samples: recovery.samples,
        statistic: recovery.statistic,
        threshold: recovery.threshold,
    };
    let (incident, postmortem) = (incident.id.clone(), String::new());
    Ok(Lesson { incident, signature, remedy, at_ms, postmortem, origin, seal: None })
}
