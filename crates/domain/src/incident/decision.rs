//! A person's word on an incident that waits for one: what may be said, and until when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{EscalationReason, Incident, Rules, State};
use crate::ids::Digest;

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Merge it; of a merged change whose effect could not be judged: keep it.
    Approve,
    /// Do not merge it; of a merged change: revert it.
    Reject,
}

/// A person's decision, bound to the very change they saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanDecision {
    /// What they say.
    pub word: Word,
    /// Digest of the proposal they saw.
    pub digest: Digest,
    /// Who, as the server knows them.
    pub by: String,
}

/// A person's leave to merge. Contract: `Incident.approval`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Digest of the proposal.
    pub digest: Digest,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why a decision does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Stale {
    /// Nobody was asked, or the question is answered.
    #[error("the incident does not wait for a decision: its state is {0:?}")]
    NotAsked(State),
    /// There is no change to decide about.
    #[error("there is no checked change to decide about")]
    NoChange,
    /// The change they saw is not the one in hand.
    #[error("the digest is not that of the change in hand: look at the incident again")]
    OtherChange,
    /// Too late.
    #[error("the question was open for {0} s and is closed: the world has moved on since")]
    Expired(u64),
}

/// Whether a decision counts now.
///
/// # Errors
/// [`Stale`] says why not; nothing may be written then.
pub fn admit(incident: &Incident, decision: &HumanDecision, rules: &Rules, now: Timestamp) -> Result<(), Stale> {
    let asked = incident.escalation.as_ref().map(|call| call.reason);
    if incident.state != State::AwaitingHuman {
        return Err(Stale::NotAsked(incident.state));
    }
    let proposal = incident.proposal.as_ref().ok_or(Stale::NoChange)?;
    let is_open = incident.change.as_ref().is_some_and(|change| change.pr.is_some() && change.commit.is_some());
    match asked {
        Some(EscalationReason::ApprovalRequired | EscalationReason::Inconclusive) if is_open => {}
        // What waits for another reason can be given up, and nothing else.
        Some(_) if decision.word == Word::Reject => {}
        Some(_) | None => return Err(Stale::NoChange),
    }
    if decision.digest != proposal.digest {
        return Err(Stale::OtherChange);
    }
    let open_s = u64::try_from(now.duration_since(incident.since).as_secs()).unwrap_or_default();
    let expires = decision.word == Word::Approve && asked == Some(EscalationReason::ApprovalRequired);
    if expires && open_s > rules.approval_s { Err(Stale::Expired(rules.approval_s)) } else { Ok(()) }
}
