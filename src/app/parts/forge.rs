//! The forge that the settings name.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use sre_space_adapters::forge::github::{self, GithubForge, Manners, Place, Terms};
use sre_space_adapters::forge::local::LocalForge;
use sre_space_adapters::policy::Withheld;
use sre_space_adapters::upstream::Upstream;
use sre_space_ports::forge::{Changes, Issues, Repository};
use sre_space_ports::policy::Policy;

use crate::config::{Credentials, Forge, Settings};

/// One forge, as those see it who read it, write it and keep tickets in it.
pub struct Forged {
    /// Reads.
    pub repository: Arc<dyn Repository>,
    /// Writes.
    pub changes: Arc<dyn Changes>,
    /// Tickets.
    pub issues: Arc<dyn Issues>,
    /// Its server, when it has one.
    pub upstream: Option<Arc<Upstream>>,
    /// What and where it is, and as whom we work in it.
    pub about: String,
    /// Why nothing may be merged without a person.
    withheld: Option<String>,
}

impl Forged {
    /// Opens the forge.
    pub async fn open(settings: &Settings) -> Result<Self> {
        match &settings.forge {
            Forge::Local => local(settings),
            Forge::Github { api_url, repository, credentials } => on_github(api_url, repository, credentials).await,
        }
    }

    /// The policy, less merging where our rights in the forge are not what they should be.
    pub fn bound(&self, policy: Arc<dyn Policy>) -> Arc<dyn Policy> {
        match &self.withheld {
            None => policy,
            Some(why) => {
                tracing::warn!(why, "nothing will be merged without a person");
                Arc::new(Withheld::new(policy, why.clone()))
            }
        }
    }
}

fn local(settings: &Settings) -> Result<Forged> {
    let Some(repo) = settings.repo.as_deref() else {
        bail!("no watched repository: set SRE_SPACE_REPO to a bare git repository, or try `sre-space demo`");
    };
    let monitor = format!("http://{}", settings.http);
    let forge = LocalForge::open(repo, "main", &monitor)
        .with_context(|| format!("cannot open the repository {}", repo.display()))?;
    let about = repo.display().to_string();
    let (repository, changes, issues) = (forge.clone(), forge.clone(), forge);
    Ok(Forged { repository, changes, issues, upstream: None, about, withheld: None })
}

async fn on_github(api_url: &str, repository: &str, credentials: &Credentials) -> Result<Forged> {
    let place = Place::parse(repository).with_context(|| format!("GITHUB_REPOSITORY={repository} is no owner/name"))?;
    let credentials = match credentials {
        Credentials::Token(token) => github::Credentials::Token(token.clone()),
        Credentials::App { id, key } => github::Credentials::App { id: id.clone(), key: key.clone() },
    };
    let upstream = Upstream::new("github");
    let terms = Terms { api_url: api_url.to_owned(), place, credentials, manners: Manners::default() };
    let forge = GithubForge::connect(terms, Arc::clone(&upstream)).await.with_context(|| {
        format!("cannot use {repository} at {api_url}: look at GITHUB_API_URL, GITHUB_REPOSITORY and the credentials")
    })?;
    let rights = forge.rights().clone();
    let merging =
        rights.merging.as_ref().map_or_else(|why| format!("a person merges: {why}"), |()| "may merge".to_owned());
    let about = format!("{repository} on GitHub as {}, {merging}; branch {}", rights.as_whom, forge.deployed());
    let (repository, changes, issues) = (forge.clone(), forge.clone(), forge);
    Ok(Forged { repository, changes, issues, upstream: Some(upstream), about, withheld: rights.merging.err() })
}
