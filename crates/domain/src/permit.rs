//! Leave to write. A permit can only be drawn from a verdict, and covers one digest.

use std::marker::PhantomData;

use crate::ids::{Digest, Sha};
use crate::incident::Approval;
use crate::proposal::{Decision, Proposal, Verdict};

/// Scope: create a branch, commit, open a pull request.
#[derive(Debug, Clone, Copy)]
pub enum Propose {}

/// Scope: merge.
#[derive(Debug, Clone, Copy)]
pub enum Merge {}

/// What a permit covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covers {
    /// The proposal with this digest.
    Proposal(Digest),
    /// The exact revert of this merged commit, and nothing else.
    RevertOf(Sha),
}

/// Leave to do `Scope` with exactly what it covers.
#[derive(Debug, Clone)]
pub struct Permit<Scope> {
    covers: Covers,
    scope: PhantomData<Scope>,
}

impl<Scope> Permit<Scope> {
    /// What the permit covers.
    pub fn covers(&self) -> &Covers {
        &self.covers
    }

    fn new(covers: Covers) -> Self {
        Self { covers, scope: PhantomData }
    }
}

impl Permit<Propose> {
    /// Leave to open the pull request: from ALLOW or REQUIRE_APPROVAL on this very proposal.
    pub fn from_verdict(verdict: &Verdict, proposal: &Proposal) -> Option<Self> {
        match verdict.decision {
            Decision::Allow | Decision::RequireApproval if verdict.digest == proposal.digest => {
                Some(Self::new(Covers::Proposal(proposal.digest.clone())))
            }
            Decision::Allow | Decision::RequireApproval | Decision::Deny => None,
        }
    }

    /// Leave to open the revert of what `merged` was given for.
    pub fn revert(_merged: &Permit<Merge>, commit: Sha) -> Self {
        Self::new(Covers::RevertOf(commit))
    }
}

impl Permit<Merge> {
    /// Leave to merge: from ALLOW on this very proposal, unless only a person may give it.
    pub fn from_verdict(verdict: &Verdict, proposal: &Proposal) -> Option<Self> {
        match verdict.decision {
            Decision::Allow if verdict.digest == proposal.digest && !proposal.remedy.needs_person() => {
                Some(Self::new(Covers::Proposal(proposal.digest.clone())))
            }
            Decision::Allow | Decision::RequireApproval | Decision::Deny => None,
        }
    }

    /// Leave to merge: from a person's approval of this very proposal, where policy asked for one (or asked for nothing).
    pub fn from_approval(approval: &Approval, verdict: &Verdict, proposal: &Proposal) -> Option<Self> {
        match verdict.decision {
            Decision::Allow | Decision::RequireApproval
                if verdict.digest == proposal.digest && approval.digest == proposal.digest =>
            {
                Some(Self::new(Covers::Proposal(proposal.digest.clone())))
            }
            Decision::Allow | Decision::RequireApproval | Decision::Deny => None,
        }
    }

    /// Leave to merge the exact revert of what this permit merged.
    pub fn revert(&self, commit: Sha) -> Self {
        Self::new(Covers::RevertOf(commit))
    }
}
