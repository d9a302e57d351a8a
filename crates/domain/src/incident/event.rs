//! What can happen to an incident, and what can be done next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Change, Cost, HumanDecision};
use crate::counsel::{Counsel, Offer};
use crate::diagnosis::{Diagnosis, Source};
use crate::ids::{IncidentId, Sha};
use crate::journal::Agent;
use crate::knowledge::{Doubt, Signature, Similar};
use crate::patch::Authored;
use crate::proposal::{Proposal, Remedy, Verdict};
use crate::recovery::Recovery;
use crate::signal::Signal;

/// What CAG and Brain answer with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Who found it.
    pub source: Source,
    /// Cause and place.
    pub diagnosis: Diagnosis,
    /// Structural shape.
    pub signature: Signature,
    /// What to do; `None` when the catalogue offers nothing.
    pub remedy: Option<Remedy>,
    /// Everything the catalogue offers, `remedy` first; empty where no model is to be asked.
    #[serde(default)]
    pub offers: Vec<Offer>,
}

/// What happened. Every effect answers with one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "with", rename_all = "snake_case")]
pub enum Event {
    /// Scout's suspicion was confirmed by a second independent source.
    Confirmed(Signal),
    /// The suspicion went away before it was confirmed, or the failure before its cause could be told.
    Faded,
    /// Another incident, which is not over, is about this very failure.
    Known(IncidentId),
    /// The ticket is open.
    TicketOpened(u64),
    /// CAG answered.
    Recalled {
        /// The remedy that was verified here for exactly this shape of failure.
        found: Option<Box<Finding>>,
        /// The nearest earlier incidents, best first.
        similar: Vec<Similar>,
        /// Why a remedy that is remembered for it was not taken.
        #[serde(default)]
        doubt: Option<Doubt>,
    },
    /// Brain answered.
    Diagnosed(Box<Finding>),
    /// A model was asked about the diagnosis, or could not be.
    Counselled {
        /// What came of it.
        counsel: Box<Counsel>,
        /// What the incident's questions cost so far.
        cost: Cost,
    },
    /// A model was asked for a source patch, or could not be.
    Authored {
        /// What came of it.
        authored: Box<Authored>,
        /// What the incident's questions cost so far.
        cost: Cost,
    },
    /// Brain cannot say.
    GaveUp(String),
    /// The change is rendered.
    Rendered(Box<Proposal>),
    /// Policy ruled.
    Ruled(Verdict),
    /// The branch exists.
    Branched,
    /// The commit exists.
    Committed(Sha),
    /// The pull request is open.
    Proposed {
        /// Number.
        pr: u64,
        /// Where a person can read it.
        url: String,
    },
    /// The checks of the pinned head are green; their own words.
    ChecksPassed(String),
    /// A check is red; the sentence says which.
    ChecksFailed(String),
    /// Merged.
    Merged {
        /// Commit on the deployed branch.
        revision: Sha,
        /// When.
        at: Timestamp,
    },
    /// Spans of the new revision arrived.
    Deployed,
    /// They did not arrive in time.
    NotDeployed(String),
    /// Recovery was judged.
    Judged(Recovery),
    /// The revert is merged.
    Reverted(Change),
    /// The recovery held for the provisional time.
    Held,
    /// It did not; the judgement says how.
    Relapsed(Recovery),
    /// The lesson is stored.
    Remembered,
    /// The ticket is closed.
    TicketClosed,
    /// The person was called.
    Paged,
    /// A person decided, in time and about the change in hand.
    Decided(HumanDecision),
    /// The service that was handed to a person is seen healthy again.
    Calmed,
    /// An effect failed for good.
    Failed(String),
    /// The kill switch is off.
    Forbidden,
}

impl Event {
    /// The cause that was found, whoever found it.
    pub fn finding(&self) -> Option<&Finding> {
        if let Self::Diagnosed(found) | Self::Recalled { found: Some(found), .. } = self { Some(found) } else { None }
    }
}

/// What should be done next. At most one effect of an incident is under way at any time; each is safe to repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", content = "with", rename_all = "snake_case")]
pub enum Effect {
    /// Wait for Scout to confirm or drop the suspicion.
    AwaitConfirmation,
    /// Open the ticket.
    OpenTicket,
    /// Ask CAG.
    Recall,
    /// Ask Brain.
    Diagnose,
    /// Ask a model about the diagnosis.
    Counsel,
    /// Ask a model for a source patch.
    WritePatch,
    /// Render the remedy into a change.
    Render,
    /// Ask policy.
    Rule,
    /// Create the branch.
    CreateBranch,
    /// Commit the change.
    Commit,
    /// Open the pull request.
    OpenPullRequest,
    /// Wait for the checks of the pinned head.
    AwaitChecks,
    /// Merge the pinned head.
    Merge,
    /// Wait for spans of the new revision.
    AwaitDeploy,
    /// Judge the new revision.
    Verify,
    /// Merge the exact revert.
    Revert,
    /// Watch whether the recovery holds.
    Hold,
    /// Store the lesson.
    Remember,
    /// Close the ticket.
    CloseTicket,
    /// Call a person.
    Page,
    /// Watch until the service in a person's hands is seen healthy again.
    AwaitCalm,
}

impl Effect {
    /// Name for logs and crash tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AwaitConfirmation => "await-confirmation",
            Self::OpenTicket => "open-ticket",
            Self::Recall => "recall",
            Self::Diagnose => "diagnose",
            Self::Counsel => "counsel",
            Self::WritePatch => "write-patch",
            Self::Render => "render",
            Self::Rule => "rule",
            Self::CreateBranch => "create-branch",
            Self::Commit => "commit",
            Self::OpenPullRequest => "open-pull-request",
            Self::AwaitChecks => "await-checks",
            Self::Merge => "merge",
            Self::AwaitDeploy => "await-deploy",
            Self::Verify => "verify",
            Self::Revert => "revert",
            Self::Hold => "hold",
            Self::Remember => "remember",
            Self::CloseTicket => "close-ticket",
            Self::Page => "page",
            Self::AwaitCalm => "await-calm",
        }
    }

    /// Who performs it.
    pub fn agent(&self) -> Agent {
        match self {
            Self::AwaitConfirmation | Self::AwaitDeploy | Self::Verify | Self::Hold | Self::AwaitCalm => Agent::Scout,
            Self::Recall => Agent::Cag,
            Self::Diagnose | Self::Counsel | Self::WritePatch => Agent::Brain,
            Self::Rule => Agent::Guardrail,
            Self::Render
            | Self::CreateBranch
            | Self::Commit
            | Self::OpenPullRequest
            | Self::AwaitChecks
            | Self::Merge
            | Self::Revert => Agent::Fixer,
            Self::Remember => Agent::Curator,
            Self::OpenTicket | Self::CloseTicket | Self::Page => Agent::Human,
        }
    }

    /// Whether the effect tells a person how it stands with the incident.
    pub fn tells_people(&self) -> bool {
        matches!(self, Self::Page | Self::CloseTicket)
    }

    /// Whether the effect changes the repository: the kill switch is read before each of these.
    pub fn writes_repository(&self) -> bool {
        match self {
            Self::CreateBranch | Self::Commit | Self::OpenPullRequest | Self::Merge => true,
            // A revert undoes our own write: exempt, so that switching off never strands a bad change.
            Self::Revert
            | Self::AwaitConfirmation
            | Self::OpenTicket
            | Self::Recall
            | Self::Diagnose
            | Self::Counsel
            | Self::WritePatch
            | Self::Render
            | Self::Rule
            | Self::AwaitChecks
            | Self::AwaitDeploy
            | Self::Verify
            | Self::Hold
            | Self::Remember
            | Self::CloseTicket
            | Self::Page
            | Self::AwaitCalm => false,
        }
    }
}
