//! A forge on GitHub: branches and commits by the git data interface, pull requests that are squashed, checks, issues.
//!
//! Nothing is tried again here. Every call looks before it writes, so whoever calls again after a broken connection finds what
//! the first call made. Merging always names the head that was judged, and GitHub compares it once more.

mod auth;
mod call;
mod checks;
mod cover;
mod limits;
mod line;
mod names;
mod objects;
mod pulls;
mod read;
mod rights;
mod tickets;
mod wire;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::{
    Changes, Checks, CommitRequest, ForgeError, Issue, Issues, Merged, PullRequest, PullRequestDraft, Repository,
};

pub use self::auth::Credentials;
use self::line::Line;
pub use self::line::Manners;
pub use self::names::Place;
use self::objects::{Objects, Shelf};
pub use self::rights::{ConnectError, Rights};
use crate::upstream::Upstream;

/// What our pull requests and tickets are labelled with.
const LABEL: &str = "sre-space";

/// Where GitHub is, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Root of the API, `https://api.github.com` or a server of one's own.
    pub api_url: String,
    /// The repository.
    pub place: Place,
    /// As whom.
    pub credentials: Credentials,
    /// At what pace.
    pub manners: Manners,
}

type AsOf = (Timestamp, u64);

/// The repository on GitHub, with what was read of it already.
struct Hub {
    line: Line,
    deployed: String,
    shelf: Shelf,
    known: Mutex<HashMap<Sha, CommitInfo>>,
    comments: Mutex<HashMap<u64, (AsOf, Vec<String>)>>,
}

impl Hub {
    fn objects(&self) -> Objects<'_> {
        Objects { line: &self.line, shelf: &self.shelf }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Sha, CommitInfo>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn comments(&self) -> MutexGuard<'_, HashMap<u64, (AsOf, Vec<String>)>> {
        self.comments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A forge on GitHub.
pub struct GithubForge {
    hub: Hub,
    rights: Rights,
}

impl GithubForge {
    /// Looks at the repository and at our rights in it. The deployed branch is the default one.
    pub async fn connect(terms: Terms, upstream: Arc<Upstream>) -> Result<Arc<Self>, ConnectError> {
        let Terms { api_url, place, credentials, manners } = terms;
        let line = Line::new(&api_url, place, credentials, manners, upstream).map_err(ConnectError::Away)?;
        let (rights, deployed) = rights::look(&line).await?;
        let (shelf, known, comments) = (Shelf::default(), Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { hub: Hub { line, deployed, shelf, known, comments }, rights }))
    }

    /// What we may do.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The deployed branch.
    pub fn deployed(&self) -> &str {
        &self.hub.deployed
    }
}

#[async_trait]
impl Repository for GithubForge {
    async fn head(&self) -> Result<Sha, ForgeError> {
        Ok(read::head(&self.hub).await?)
    }

    async fn file(&self, at: &Sha, path: &str) -> Result<String, ForgeError> {
        Ok(read::file(&self.hub, at, path).await?)
    }

    async fn list(&self, at: &Sha, folder: &str) -> Result<Vec<String>, ForgeError> {
        Ok(read::list(&self.hub, at, folder).await?)
    }

    async fn log(&self, limit: usize) -> Result<Vec<CommitInfo>, ForgeError> {
        Ok(read::log(&self.hub, limit).await?)
    }

    async fn revert_of(&self, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, ForgeError> {
        Ok(read::revert_of(&self.hub, commit, onto).await?)
    }

    async fn checks(&self, commit: &Sha) -> Result<Checks, ForgeError> {
        Ok(checks::checks(&self.hub, commit).await?)
    }
}

#[async_trait]
impl Changes for GithubForge {
    async fn create_branch(&self, _permit: &Permit<Propose>, branch: &str, base: &Sha) -> Result<(), ForgeError> {
        Ok(write::create_branch(&self.hub, branch, base).await?)
    }

    async fn commit(&self, permit: &Permit<Propose>, request: &CommitRequest) -> Result<Sha, ForgeError> {
        Ok(write::commit(&self.hub, permit.covers(), request).await?)
    }

    async fn open_pull_request(
        &self,
        permit: &Permit<Propose>,
        draft: &PullRequestDraft,
    ) -> Result<PullRequest, ForgeError> {
        Ok(pulls::open(&self.hub, permit.covers(), draft).await?)
    }

    async fn describe(&self, permit: &Permit<Propose>, number: u64, body: &str) -> Result<(), ForgeError> {
        Ok(pulls::describe(&self.hub, permit.covers(), number, body).await?)
    }

    async fn merge(&self, permit: &Permit<Merge>, number: u64, head: &Sha) -> Result<Merged, ForgeError> {
        Ok(pulls::merge(&self.hub, permit.covers(), number, head).await?)
    }
}

#[async_trait]
impl Issues for GithubForge {
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError> {
        Ok(tickets::open(&self.hub, incident, title, body).await?)
    }

    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        Ok(tickets::comment(&self.hub, number, key, body).await?)
    }

    async fn close(&self, number: u64) -> Result<(), ForgeError> {
        Ok(tickets::close(&self.hub, number).await?)
    }

    async fn activity(&self, limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError> {
        Ok((pulls::newest(&self.hub, limit).await?, tickets::newest(&self.hub, limit).await?))
    }
}
