//! The forge, as three ports: reading the repository, changing it (with a permit), and tickets.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::FileChange;
use thiserror::Error;

/// State of the checks of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "summary", rename_all = "snake_case")]
pub enum Checks {
    /// No result yet.
    Pending,
    /// All green; in the words of who ran them.
    Passed(String),
    /// At least one red; the sentence says which.
    Failed(String),
}

/// A commit to be made; equal requests make equal commits, so that a repeated one changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRequest {
    /// Incident it belongs to.
    pub incident: IncidentId,
    /// Branch to put it on.
    pub branch: String,
    /// Parent.
    pub base: Sha,
    /// Full message.
    pub message: String,
    /// The files' new contents.
    pub changes: Vec<FileChange>,
    /// Author and committer time.
    pub at: Timestamp,
}

/// A pull request to be opened from `branch` to the deployed branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestDraft {
    /// Incident it belongs to.
    pub incident: IncidentId,
    /// Head branch.
    pub branch: String,
    /// Title.
    pub title: String,
    /// Body, Markdown.
    pub body: String,
}

/// A pull request as the forge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Number.
    pub number: u64,
    /// Where a person can read it.
    pub url: String,
    /// Title.
    pub title: String,
    /// Body, Markdown.
    pub body: String,
    /// Head branch.
    pub branch: String,
    /// Head commit.
    pub head: Sha,
    /// `open`, `merged` or `closed`.
    pub state: String,
    /// The commit that merged it.
    pub merged_as: Option<Sha>,
}

/// A ticket as the forge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Number.
    pub number: u64,
    /// Where a person can read it.
    pub url: String,
    /// Title.
    pub title: String,
    /// `open` or `closed`.
    pub state: String,
    /// Body, Markdown.
    pub body: String,
    /// Comments, oldest first.
    pub comments: Vec<String>,
}

/// What was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Commit on the deployed branch.
    pub revision: Sha,
    /// When.
    pub at: Timestamp,
}

/// Why the forge did not do it.
#[derive(Debug, Error)]
pub enum ForgeError {
    /// Unreachable, busy, or lost a race that trying again can win.
    #[error("the forge did not answer: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// After how long it is worth asking again, where that is known.
        wait: Option<Duration>,
    },
    /// What was asked for is not there.
    #[error("{0} is not in the repository")]
    Missing(String),
    /// The head is not the commit that was judged.
    #[error("the head moved from {expected} to {found}")]
    HeadMoved {
        /// Commit that was judged.
        expected: Sha,
        /// Commit found.
        found: Sha,
    },
    /// It cannot be merged, or the revert does not apply.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The permit does not cover what was asked.
    #[error("the permit does not cover this: {0}")]
    NotPermitted(String),
}

impl ForgeError {
    /// It did not answer, and nobody knows when it will.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), wait: None }
    }

    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Missing(_) | Self::HeadMoved { .. } | Self::Conflict(_) | Self::NotPermitted(_) => false,
        }
    }

    /// After how long trying again is worth it, where that is known.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { wait, .. } => *wait,
            Self::Missing(_) | Self::HeadMoved { .. } | Self::Conflict(_) | Self::NotPermitted(_) => None,
        }
    }
}

/// Reads the repository. Needs no permit and holds no credentials to write.
#[async_trait]
pub trait Repository: Send + Sync {
    /// Head of the deployed branch.
    async fn head(&self) -> Result<Sha, ForgeError>;
    /// A file's text at a commit; `Missing` when it is not there.
    async fn file(&self, at: &Sha, path: &str) -> Result<String, ForgeError>;
    /// Names of the files right in a folder at a commit; none when there is no such folder.
    async fn list(&self, at: &Sha, folder: &str) -> Result<Vec<String>, ForgeError>;
    /// The newest `limit` commits of the deployed branch (first-parent line), newest first.
    async fn log(&self, limit: usize) -> Result<Vec<CommitInfo>, ForgeError>;
    /// The files' contents that undo exactly `commit` on top of `onto`; `Conflict` when it does not apply.
    async fn revert_of(&self, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, ForgeError>;
    /// Checks of a commit.
    async fn checks(&self, commit: &Sha) -> Result<Checks, ForgeError>;
}

/// Changes the repository; only Fixer holds one.
///
/// Promise: each call looks before it writes, so that repeating it after a crash or a lost answer changes nothing and
/// returns what the first call made. The permit is checked against the very files written.
#[async_trait]
pub trait Changes: Send + Sync {
    /// Makes the branch at `base`, or finds it.
    async fn create_branch(&self, permit: &Permit<Propose>, branch: &str, base: &Sha) -> Result<(), ForgeError>;
    /// Commits to the branch, or finds that very commit there.
    async fn commit(&self, permit: &Permit<Propose>, request: &CommitRequest) -> Result<Sha, ForgeError>;
    /// Opens the pull request, or finds it (open, merged or closed).
    async fn open_pull_request(
        &self,
        permit: &Permit<Propose>,
        draft: &PullRequestDraft,
    ) -> Result<PullRequest, ForgeError>;
    /// Replaces the body of a pull request of ours, merged or not.
    async fn describe(&self, permit: &Permit<Propose>, number: u64, body: &str) -> Result<(), ForgeError>;
    /// Merges the pull request if its head is still `head` and its checks are green, or finds it merged.
    async fn merge(&self, permit: &Permit<Merge>, number: u64, head: &Sha) -> Result<Merged, ForgeError>;
}

/// Tickets: one per incident.
#[async_trait]
pub trait Issues: Send + Sync {
    /// Opens the incident's ticket, or finds it.
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError>;
    /// Adds a comment, once per `key`.
    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError>;
    /// Closes it; closing a closed one changes nothing.
    async fn close(&self, number: u64) -> Result<(), ForgeError>;
    /// Pull requests and issues, newest first, at most `limit` of each.
    async fn activity(&self, limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError>;
}
