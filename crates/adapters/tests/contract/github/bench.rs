//! A forge on the stand-in for GitHub, over a repository of its own.

use std::sync::Arc;
use std::time::Duration;

use git2::Repository as Git;
use sre_space_adapters::forge::github::{ConnectError, Credentials, GithubForge, Manners, Place, Terms};
use sre_space_adapters::upstream::Upstream;
use sre_space_domain::breaker::Limits;
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::FileChange;
use sre_space_domain::secret::Secret;
use sre_space_github::{APP, Caller, Github, KEY_PKCS8, REPOSITORY};
use sre_space_ports::contract::forge::Bench;
use sre_space_ports::forge::{Changes, Checks, Issues, Repository};
use tempfile::TempDir;

use crate::forge::{push, seed};

/// Tests do not wait between writes.
pub const HASTY: Manners = Manners { spacing: Duration::ZERO, patience: Duration::from_secs(20) };

pub struct OnGithub {
    pub folder: TempDir,
    pub github: Github,
    pub forge: Arc<GithubForge>,
    pub upstream: Arc<Upstream>,
}

impl OnGithub {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        seed(folder.path());
        let github = Github::start(folder.path(), Caller::minimal());
        // Faults are planned one by one here; the breaker has trials of its own.
        let upstream = Upstream::with("github", Limits { failures: 100, rest_ms: 1 });
        let forge = connect(&github, app(KEY_PKCS8), Arc::clone(&upstream)).await.expect("connected");
        Self { folder, github, forge, upstream }
    }
}

/// The App, with a key.
pub fn app(key: &str) -> Credentials {
    Credentials::App { id: APP.to_owned(), key: Secret::new(key) }
}

pub fn terms(github: &Github, credentials: Credentials) -> Terms {
    let place = Place::parse(REPOSITORY).expect("a place");
    Terms { api_url: github.url(), place, credentials, manners: HASTY }
}

pub async fn connect(
    github: &Github,
    credentials: Credentials,
    upstream: Arc<Upstream>,
) -> Result<Arc<GithubForge>, ConnectError> {
    GithubForge::connect(terms(github, credentials), upstream).await
}

impl Bench for OnGithub {
    fn repository(&self) -> Arc<dyn Repository> {
        self.forge.clone()
    }
    fn changes(&self) -> Arc<dyn Changes> {
        self.forge.clone()
    }
    fn issues(&self) -> Arc<dyn Issues> {
        self.forge.clone()
    }
    fn push(&self, branch: &str, files: &[FileChange]) -> Sha {
        push(&Git::open_bare(self.folder.path()).expect("the repository"), branch, files)
    }
    fn report(&self, commit: &Sha, checks: Checks) {
        match checks {
            Checks::Pending => self.github.report(&commit.0, None, ""),
            Checks::Passed(what) => self.github.report(&commit.0, Some("success"), &what),
            Checks::Failed(why) => self.github.report(&commit.0, Some("failure"), &why),
        }
    }
}
