//! The deeds. Each looks first and can be repeated; the forge checks the permit against the very files.

use std::time::Duration;

use jiff::Timestamp;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::incident::Change;
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proof::Proof;
use sre_space_domain::proposal::{FileChange, Proposal};
use sre_space_ports::forge::{
    Changes, Checks, CommitRequest, ForgeError, Merged, PullRequest, PullRequestDraft, Repository,
};
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::words;

/// On whose behalf something is written, and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand<'a> {
    /// Incident.
    pub incident: &'a IncidentId,
    /// Branch of the attempt, or of its revert.
    pub branch: &'a str,
    /// Time to be written on the commit: the same at each repetition, or the commit is another one.
    pub at: Timestamp,
}

/// How long to wait for checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time between two looks.
    pub every: Duration,
    /// Time after which there will be no answer.
    pub at_most: Duration,
}

/// What is to be undone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Undo<'a> {
    /// On whose behalf, on which branch.
    pub errand: Errand<'a>,
    /// The commit on the deployed branch that merged the change.
    pub revision: &'a Sha,
    /// Title of the merged pull request.
    pub title: &'a str,
    /// Why: the merged pull request's proof, with what was seen after it.
    pub proof: &'a Proof,
    /// How long to wait for the revert's own checks.
    pub patience: Patience,
}

/// Why a deed was not done.
#[derive(Debug, Error)]
pub enum FixerError {
    /// The forge did not do it.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// A check is red.
    #[error("the checks of {head} are red: {summary}")]
    ChecksRed {
        /// Commit.
        head: Sha,
        /// Which check, and why.
        summary: String,
    },
    /// No check answered in time.
    #[error("the checks of {head} did not finish within {} s", waited.as_secs())]
    ChecksLate {
        /// Commit.
        head: Sha,
        /// How long we waited.
        waited: Duration,
    },
}

impl FixerError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Forge(error) => error.is_transient(),
            Self::ChecksRed { .. } | Self::ChecksLate { .. } => false,
        }
    }

    /// After how long trying again is worth it, where that is known.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Forge(error) => error.wait(),
            Self::ChecksRed { .. } | Self::ChecksLate { .. } => None,
        }
    }
}

/// Makes the attempt's branch at the proposal's base.
pub async fn create_branch(
    changes: &dyn Changes,
    permit: &Permit<Propose>,
    errand: &Errand<'_>,
    proposal: &Proposal,
) -> Result<(), FixerError> {
    Ok(changes.create_branch(permit, errand.branch, &proposal.base).await?)
}

/// Commits the proposal's files.
pub async fn commit(
    changes: &dyn Changes,
    permit: &Permit<Propose>,
    errand: &Errand<'_>,
    proposal: &Proposal,
) -> Result<Sha, FixerError> {
    let message = words::message(proposal);
    Ok(changes.commit(permit, &request(errand, &proposal.base, message, &proposal.changes)).await?)
}

/// Opens the pull request.
pub async fn open_pull_request(
    changes: &dyn Changes,
    permit: &Permit<Propose>,
    errand: &Errand<'_>,
    (title, proof): (&str, &Proof),
) -> Result<PullRequest, FixerError> {
    Ok(changes.open_pull_request(permit, &draft(errand, title.to_owned(), proof.body())).await?)
}

/// Writes what became of the change into its pull request.
pub async fn describe(
    changes: &dyn Changes,
    permit: &Permit<Propose>,
    number: u64,
    proof: &Proof,
) -> Result<(), FixerError> {
    Ok(changes.describe(permit, number, &proof.body()).await?)
}

/// Merges the pull request, pinned to the head that was judged.
pub async fn merge(
    changes: &dyn Changes,
    permit: &Permit<Merge>,
    number: u64,
    head: &Sha,
) -> Result<Merged, FixerError> {
    Ok(changes.merge(permit, number, head).await?)
}

/// Waits until the checks of a commit are green.
pub async fn await_checks(repo: &dyn Repository, head: &Sha, patience: Patience) -> Result<(), FixerError> {
    let began = Instant::now();
    let mut looks = interval(patience.every.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        match repo.checks(head).await? {
            Checks::Passed(_) => return Ok(()),
            Checks::Failed(summary) => return Err(FixerError::ChecksRed { head: head.clone(), summary }),
            Checks::Pending if began.elapsed() < patience.at_most => {}
            Checks::Pending => {
                return Err(FixerError::ChecksLate { head: head.clone(), waited: patience.at_most });
            }
        }
    }
}

/// Merges the exact revert of what `permit` merged.
///
/// The revert is made on the merge itself, not on today's head: there it always applies, each repetition makes the same
/// commit, and the forge's merge keeps whatever others put on top since.
pub async fn revert(
    changes: &dyn Changes,
    repo: &dyn Repository,
    undo: &Undo<'_>,
    permit: &Permit<Merge>,
) -> Result<Change, FixerError> {
    let (errand, revision) = (&undo.errand, undo.revision);
    let may_propose = Permit::<Propose>::revert(permit, revision.clone());
    let title = format!("Revert \"{}\"", undo.title);
    let body = undo.proof.clone().reverting(revision).body();
    let message = format!("{title}\n\nThis reverts commit {revision}.\n");
    let files = repo.revert_of(revision, revision).await?;
    changes.create_branch(&may_propose, errand.branch, revision).await?;
    let commit = changes.commit(&may_propose, &request(errand, revision, message, &files)).await?;
    let pull = changes.open_pull_request(&may_propose, &draft(errand, title, body)).await?;
    await_checks(repo, &commit, undo.patience).await?;
    let merged = changes.merge(&permit.revert(revision.clone()), pull.number, &commit).await?;
    Ok(Change {
        branch: errand.branch.to_owned(),
        commit: Some(commit),
        pr: Some(pull.number),
        url: Some(pull.url),
        checks: None,
        merged_at: Some(merged.at),
        revision: Some(merged.revision),
    })
}

fn request(errand: &Errand<'_>, base: &Sha, message: String, changes: &[FileChange]) -> CommitRequest {
    CommitRequest {
        incident: errand.incident.clone(),
        branch: errand.branch.to_owned(),
        base: base.clone(),
        message,
        changes: changes.to_vec(),
        at: errand.at,
    }
}

fn draft(errand: &Errand<'_>, title: String, body: String) -> PullRequestDraft {
    PullRequestDraft { incident: errand.incident.clone(), branch: errand.branch.to_owned(), title, body }
}
