//! A forge on a bare git repository beside us: branches, pull requests, checks, merges, reverts and tickets.
//!
//! Everything it knows is in the repository, so that `git log` alone tells the story and nothing else can disagree with
//! it: a pull request's head is `refs/pull/N/head`, checks are `refs/checks/<sha>` (written by whoever runs them), and
//! the texts people wrote are JSON files in a tree under `refs/forge/meta`. Whether a pull request is merged is read from
//! the deployed branch. Other programs may push, open and merge with plain git at the same time; every reference is
//! moved by compare-and-swap.

mod cover;
mod git;
mod lock;
mod meta;
mod pulls;
mod read;
#[cfg(test)]
mod tests;
mod tickets;
mod write;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::{
    Changes, Checks, CommitRequest, ForgeError, Issue, Issues, Merged, PullRequest, PullRequestDraft, Repository,
};

use self::git::{Git, Trouble};

/// A forge on a bare git repository.
pub struct LocalForge {
    place: Arc<Place>,
}

/// Where the repository is, and the order in which this process writes to it.
struct Place {
    path: PathBuf,
    branch: String,
    url: String,
    writes: Mutex<()>,
}

impl LocalForge {
    /// Opens a bare repository. `branch` is the deployed branch, `public_base_url` what links to pull requests start with.
    pub fn open(path: impl Into<PathBuf>, branch: &str, public_base_url: &str) -> Result<Arc<Self>, ForgeError> {
        let url = public_base_url.trim_end_matches('/').to_owned();
        let place = Place { path: path.into(), branch: branch.to_owned(), url, writes: Mutex::new(()) };
        place.open()?;
        Ok(Arc::new(Self { place: Arc::new(place) }))
    }

    async fn read<T, F>(&self, work: F) -> Result<T, ForgeError>
    where
        T: Send + 'static,
        F: FnOnce(&Git) -> Result<T, Trouble> + Send + 'static,
    {
        let place = Arc::clone(&self.place);
        off_the_runtime(move || Ok(work(&place.open()?)?)).await
    }

    /// Like [`Self::read`], one at a time: numbers are handed out by looking first.
    async fn write<T, F>(&self, work: F) -> Result<T, ForgeError>
    where
        T: Send + 'static,
        F: FnOnce(&Git) -> Result<T, Trouble> + Send + 'static,
    {
        let place = Arc::clone(&self.place);
        off_the_runtime(move || {
            let _turn = place.writes.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(work(&place.open()?)?)
        })
        .await
    }
}

impl Place {
    fn open(&self) -> Result<Git, Trouble> {
        Git::open(&self.path, &self.branch, &self.url)
    }
}

async fn off_the_runtime<T, F>(work: F) -> Result<T, ForgeError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ForgeError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|lost| ForgeError::unavailable(lost.to_string()))?
}

#[async_trait]
impl Repository for LocalForge {
    async fn head(&self) -> Result<Sha, ForgeError> {
        self.read(|git| Ok(git::sha(git.main()?.id()))).await
    }

    async fn file(&self, at: &Sha, path: &str) -> Result<String, ForgeError> {
        let (at, path) = (at.clone(), path.to_owned());
        self.read(move |git| read::file(git, &at, &path)).await
    }

    async fn list(&self, at: &Sha, folder: &str) -> Result<Vec<String>, ForgeError> {
        let (at, folder) = (at.clone(), folder.to_owned());
        self.read(move |git| read::list(git, &at, &folder)).await
    }

    async fn log(&self, limit: usize) -> Result<Vec<CommitInfo>, ForgeError> {
        self.read(move |git| read::log(git, limit)).await
    }

    async fn revert_of(&self, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, ForgeError> {
        let (commit, onto) = (commit.clone(), onto.clone());
        self.read(move |git| read::revert_of(git, &commit, &onto)).await
    }

    async fn checks(&self, commit: &Sha) -> Result<Checks, ForgeError> {
        let commit = commit.clone();
        self.read(move |git| read::checks(git, &commit)).await
    }
}

#[async_trait]
impl Changes for LocalForge {
    async fn create_branch(&self, _permit: &Permit<Propose>, branch: &str, base: &Sha) -> Result<(), ForgeError> {
        let (branch, base) = (branch.to_owned(), base.clone());
        self.write(move |git| write::create_branch(git, &branch, &base)).await
    }

    async fn commit(&self, permit: &Permit<Propose>, request: &CommitRequest) -> Result<Sha, ForgeError> {
        let (covers, request) = (permit.covers().clone(), request.clone());
        self.write(move |git| write::commit(git, &covers, &request)).await
    }

    async fn open_pull_request(
        &self,
        permit: &Permit<Propose>,
        draft: &PullRequestDraft,
    ) -> Result<PullRequest, ForgeError> {
        let (covers, draft) = (permit.covers().clone(), draft.clone());
        self.write(move |git| pulls::open(git, &covers, &draft)).await
    }

    async fn describe(&self, permit: &Permit<Propose>, number: u64, body: &str) -> Result<(), ForgeError> {
        let (covers, body) = (permit.covers().clone(), body.to_owned());
        self.write(move |git| pulls::describe(git, &covers, number, &body)).await
    }

    async fn merge(&self, permit: &Permit<Merge>, number: u64, head: &Sha) -> Result<Merged, ForgeError> {
        let (covers, head) = (permit.covers().clone(), head.clone());
        self.write(move |git| pulls::merge(git, &covers, number, &head)).await
    }
}

#[async_trait]
impl Issues for LocalForge {
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError> {
        let (incident, title, body) = (incident.clone(), title.to_owned(), body.to_owned());
        self.write(move |git| tickets::open(git, &incident, &title, &body)).await
    }

    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        let (key, body) = (key.to_owned(), body.to_owned());
        self.write(move |git| tickets::comment(git, number, &key, &body)).await
    }

    async fn close(&self, number: u64) -> Result<(), ForgeError> {
        self.write(move |git| tickets::close(git, number)).await
    }

    async fn activity(&self, limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError> {
        self.read(move |git| Ok((pulls::newest(git, limit)?, tickets::newest(git, limit)?))).await
    }
}
