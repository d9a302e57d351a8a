//! A forge in memory. It keeps the forge's whole contract and writes down what it was asked to change.

mod history;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::FileChange;

use self::state::State;
use crate::forge::{
    Changes, Checks, CommitRequest, ForgeError, Issue, Issues, Merged, PullRequest, PullRequestDraft, Repository,
};

/// One call that could have changed something, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// [`Changes::create_branch`].
    CreateBranch {
        /// Branch.
        branch: String,
        /// Where it starts.
        base: Sha,
    },
    /// [`Changes::commit`].
    Commit(CommitRequest),
    /// [`Changes::open_pull_request`].
    OpenPullRequest(PullRequestDraft),
    /// [`Changes::describe`].
    Describe {
        /// Pull request.
        number: u64,
        /// Its body from now on.
        body: String,
    },
    /// [`Changes::merge`].
    Merge {
        /// Pull request.
        number: u64,
        /// Head that was judged.
        head: Sha,
    },
    /// [`Issues::open`].
    OpenIssue(IncidentId),
    /// [`Issues::comment`].
    Comment {
        /// Ticket.
        number: u64,
        /// The comment's key.
        key: String,
    },
    /// [`Issues::close`].
    CloseIssue(u64),
}

/// A forge in memory.
#[derive(Debug)]
pub struct RecordingForge {
    state: Mutex<State>,
}

impl RecordingForge {
    /// A repository whose first commit, at the Unix epoch, holds these files. Checks are pending until told otherwise.
    pub fn with_files(files: &[(&str, &str)]) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::with_files(files)) })
    }

    /// Somebody else commits to a branch (`main` is the deployed one), a second after the newest commit.
    pub fn push(&self, branch: &str, message: &str, files: &[FileChange]) -> Result<Sha, ForgeError> {
        self.lock().push(branch, message, files)
    }

    /// Says how the checks of a commit stand.
    pub fn set_checks(&self, commit: &Sha, checks: Checks) {
        self.lock().checks.insert(commit.clone(), checks);
    }

    /// Says how the checks of every commit not told otherwise stand.
    pub fn set_default_checks(&self, checks: Checks) {
        self.lock().default_checks = checks;
    }

    /// After `calls` more changing calls, one does its work, but its answer is lost.
    pub fn lose_answer_after(&self, calls: usize) {
        self.lock().lose_answer = Some(calls);
    }

    /// Every call that could have changed something, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, call: Call, work: impl FnOnce(&mut State) -> Result<T, ForgeError>) -> Result<T, ForgeError> {
        let mut state = self.lock();
        state.calls.push(call);
        let answer = work(&mut state);
        state.lose_answer = match state.lose_answer {
            Some(0) => {
                state.lose_answer = None;
                return Err(ForgeError::unavailable("the answer was lost"));
            }
            Some(calls) => Some(calls - 1),
            None => None,
        };
        answer
    }
}

#[async_trait]
impl Repository for RecordingForge {
    async fn head(&self) -> Result<Sha, ForgeError> {
        self.lock().main()
    }

    async fn file(&self, at: &Sha, path: &str) -> Result<String, ForgeError> {
        self.lock().file(at, path)
    }

    async fn list(&self, at: &Sha, folder: &str) -> Result<Vec<String>, ForgeError> {
        self.lock().list(at, folder)
    }

    async fn log(&self, limit: usize) -> Result<Vec<CommitInfo>, ForgeError> {
        self.lock().log(limit)
    }

    async fn revert_of(&self, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, ForgeError> {
        self.lock().revert_of(commit, onto)
    }

    async fn checks(&self, commit: &Sha) -> Result<Checks, ForgeError> {
        Ok(self.lock().checks_of(commit))
    }
}

#[async_trait]
impl Changes for RecordingForge {
    async fn create_branch(&self, _permit: &Permit<Propose>, branch: &str, base: &Sha) -> Result<(), ForgeError> {
        let call = Call::CreateBranch { branch: branch.to_owned(), base: base.clone() };
        self.change(call, |state| state.create_branch(branch, base))
    }

    async fn commit(&self, permit: &Permit<Propose>, request: &CommitRequest) -> Result<Sha, ForgeError> {
        self.change(Call::Commit(request.clone()), |state| state.commit(permit.covers(), request))
    }

    async fn open_pull_request(
        &self,
        permit: &Permit<Propose>,
        draft: &PullRequestDraft,
    ) -> Result<PullRequest, ForgeError> {
        self.change(Call::OpenPullRequest(draft.clone()), |state| state.open_pull_request(permit.covers(), draft))
    }

    async fn describe(&self, permit: &Permit<Propose>, number: u64, body: &str) -> Result<(), ForgeError> {
        let call = Call::Describe { number, body: body.to_owned() };
        self.change(call, |state| state.describe(permit.covers(), number, body))
    }

    async fn merge(&self, permit: &Permit<Merge>, number: u64, head: &Sha) -> Result<Merged, ForgeError> {
        let call = Call::Merge { number, head: head.clone() };
        let revision = self.change(call, |state| state.merge(permit.covers(), number, head))?;
        let at_ms = self.lock().at_ms(&revision)?;
        Ok(Merged { revision, at: Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH) })
    }
}

#[async_trait]
impl Issues for RecordingForge {
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError> {
        self.change(Call::OpenIssue(incident.clone()), |state| Ok(state.open_issue(incident, title, body)))
    }

    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        let call = Call::Comment { number, key: key.to_owned() };
        self.change(call, |state| state.comment(number, key, body))
    }

    async fn close(&self, number: u64) -> Result<(), ForgeError> {
        self.change(Call::CloseIssue(number), |state| state.close(number))
    }

    async fn activity(&self, limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError> {
        Ok(self.lock().activity(limit))
    }
}
