//! The repository as its owners first committed it.

use anyhow::{Context as _, Result};
use git2::{Repository, RepositoryInitOptions};

use crate::git::{self, Edit};
use crate::platform::Platform;

const RULES: &str = ".sre-space.yaml";

/// Files of the first commit.
const FILES: [(&str, &str); 14] = [
    ("README.md", include_str!("../seed/README.md")),
    ("deploy.yaml", include_str!("../seed/deploy.yaml")),
    ("config/marketplace-web.yaml", include_str!("../seed/config/marketplace-web.yaml")),
    ("config/quote-engine.yaml", include_str!("../seed/config/quote-engine.yaml")),
    ("config/rating-provider.yaml", include_str!("../seed/config/rating-provider.yaml")),
    ("rules/pricing.rhai", include_str!("../seed/rules/pricing.rhai")),
    ("migrations/0001_init.sql", include_str!("../seed/migrations/0001_init.sql")),
    ("migrations/0002_customers.sql", include_str!("../seed/migrations/0002_customers.sql")),
    ("migrations/0003_history.sql", include_str!("../seed/migrations/0003_history.sql")),
    ("patches/history-index.sql", include_str!("../seed/patches/history-index.sql")),
    ("checks/templates/history.yaml", include_str!("../seed/checks/templates/history.yaml")),
    ("checks/templates/pool.yaml", include_str!("../seed/checks/templates/pool.yaml")),
    ("checks/templates/prices.yaml", include_str!("../seed/checks/templates/prices.yaml")),
    ("checks/templates/provider.yaml", include_str!("../seed/checks/templates/provider.yaml")),
];

/// Creates and fills the repository when it is not there; tells it the present ports when they changed.
pub fn ensure(platform: &Platform) -> Result<()> {
    let repo = match Repository::open_bare(&platform.repo) {
        Ok(repo) => repo,
        Err(_) => {
            let mut options = RepositoryInitOptions::new();
            options.bare(true).initial_head("main");
            Repository::init_opts(&platform.repo, &options).context("cannot create the repository")?
        }
    };
    let Some(head) = git::head(&repo) else {
        let rules: Edit = (RULES.to_owned(), Some(rules(platform).into_bytes()));
        let files = FILES.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec())));
        let edits: Vec<Edit> = files.chain([rules]).collect();
        return git::push(&repo, "The marketplace, as its owners run it", &edits).map(drop);
    };
    let present = String::from_utf8(git::file(&repo, head, RULES)?).context("the rules are text")?;
    let moved = with_ports(&present, platform);
    if moved != present {
        git::push(&repo, "Services moved to other ports", &[(RULES.to_owned(), Some(moved.into_bytes()))])?;
    }
    Ok(())
}

/// Files that `/demo/resolve` restores, with their first contents.
pub fn baseline() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.into_iter().filter(|(path, _)| path.starts_with("config/") || path.starts_with("rules/"))
}

/// Whether a migration is one of the first commit's.
pub fn has_migration(path: &str) -> bool {
    FILES.iter().any(|(file, _)| *file == path)
}

fn rules(platform: &Platform) -> String {
    with_ports(include_str!("../seed/sre-space.yaml"), platform)
}

/// The rules with each service's `base_url` at its present port, in the order the services stand there.
fn with_ports(text: &str, platform: &Platform) -> String {
    let ports = [platform.ports.web, platform.ports.quote_engine, platform.ports.rating_provider];
    let mut next = ports.into_iter();
    let line = |line: &str| match line.find("base_url: ").and_then(|at| Some((at, next.next()?))) {
        Some((at, port)) => format!("{}base_url: http://127.0.0.1:{port}\n", &line[..at]),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
