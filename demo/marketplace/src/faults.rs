//! The switch of the faults. It lives in a file of the data folder, so that a redeployed process still has it; it is never
//! in any span.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use git2::{Oid, Repository};

use crate::deployer::Plan;
use crate::git::{self, Edit};
use crate::{reproduce, seed};

/// Each quote holds its connection across the slow rating call.
pub const HOLD_CONNECTION: &str = "500";
/// A pull request with a rule that fails for some customers is merged.
pub const BAD_DEPLOY: &str = "bad-deploy";
/// The history has grown, and looking into it reads all of it.
pub const LATENCY: &str = "latency";
/// The rating provider takes requests and never answers.
pub const DEPENDENCY: &str = "dependency";
/// A pull request is merged that keeps every quote for ever.
pub const MEMORY: &str = "memory";
/// A pull request is merged that asks again for late ratings, without a cap; and ratings get late.
pub const RETRY_STORM: &str = "retry-storm";
/// As `500`, and the configured pool size is ignored: no larger value helps.
pub const STUCK_POOL: &str = "stuck-pool";
/// Types that users are told of.
pub const TYPES: [&str; 6] = [HOLD_CONNECTION, LATENCY, DEPENDENCY, BAD_DEPLOY, MEMORY, RETRY_STORM];

const FILE: &str = "faults.json";
const RULE: &str = "rules/pricing.rhai";
const SETTINGS: &str = "config/quote-engine.yaml";

/// Faults that are on.
pub fn active(data: &Path) -> BTreeSet<String> {
    fs::read(data.join(FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn write(data: &Path, active: &BTreeSet<String>) -> Result<()> {
    let draft = data.join("faults.json.new");
    fs::write(&draft, serde_json::to_vec(active)?)?;
    Ok(fs::rename(draft, data.join(FILE))?)
}

/// Switches a fault on; `false` when there is no such type.
pub fn inject(data: &Path, repo: &Path, kind: &str) -> Result<bool> {
    match kind {
        HOLD_CONNECTION | STUCK_POOL | LATENCY | DEPENDENCY => switch_on(data, kind)?,
        BAD_DEPLOY => bad_deploy(repo)?,
        MEMORY => change(repo, ("keep-quotes", "Keep every quote at hand"), (SETTINGS, "keep: 200 ", "keep: 0   "))?,
        RETRY_STORM => {
            change(repo, ("late-ratings", "Ask again for late ratings"), (SETTINGS, "most: 0  ", "most: 100"))?;
            switch_on(data, kind)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn switch_on(data: &Path, kind: &str) -> Result<()> {
    let mut on = active(data);
    on.insert(kind.to_owned());
    write(data, &on)
}

/// A loyalty discount that divides by the years as a customer: new customers have none.
fn bad_deploy(repo: &Path) -> Result<()> {
    let (usual, wrong) = ("base * factor / 100 - loyalty * 50", "base * factor / 100 - 1200 / (customer.years / 3)");
    change(repo, ("welcome-discount", "Spread the loyalty discount over the years"), (RULE, usual, wrong))
}

/// The owners merge a pull request that rewrites one place of one file.
fn change(repo: &Path, (branch, title): (&str, &str), (file, from, to): (&str, &str, &str)) -> Result<()> {
    let repo = Repository::open_bare(repo)?;
    let head = git::head(&repo).context("the repository is empty")?;
    let text = String::from_utf8(git::file(&repo, head, file)?)?;
    let edits: [Edit; 1] = [(file.to_owned(), Some(text.replace(from, to).into_bytes()))];
    git::merge_pull_request(&repo, branch, title, &edits).map(drop)
}

/// Switches everything off and merges the owners' baseline back where it was left; answers that merge, where it is a release.
pub fn resolve(data: &Path, repo: &Path) -> Result<Option<Oid>> {
    write(data, &BTreeSet::new())?;
    let repo = Repository::open_bare(repo)?;
    let head = git::head(&repo).context("the repository is empty")?;
    let differs = |(path, text): &(&str, &str)| git::file(&repo, head, path).ok().as_deref() != Some(text.as_bytes());
    let restored =
        seed::baseline().filter(differs).map(|(path, text)| (path.to_owned(), Some(text.as_bytes().to_vec())));
    let added = |path: &String| path.starts_with("migrations/") && !seed::has_migration(path);
    let later = git::changed(&repo, None, head)?.into_iter().filter(|path| added(path) || reproduce::is_carried(path));
    let removed = later.map(|path| (path, None));
    let edits: Vec<Edit> = restored.chain(removed).collect();
    if edits.is_empty() {
        return Ok(None);
    }
    let merged = git::merge_pull_request(&repo, "baseline", "Back to the baseline", &edits)?;
    let files: Vec<String> = edits.into_iter().map(|(path, _)| path).collect();
    let plan: Plan = serde_saphyr::from_str(&String::from_utf8(git::file(&repo, merged, "deploy.yaml")?)?)?;
    Ok(plan.services.iter().any(|service| service.is_touched(&files)).then_some(merged))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::platform::{Platform, Ports};

    #[test]
    fn back_to_the_baseline_answers_a_merge_only_where_something_is_deployed_by_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let platform = Platform {
            dir: dir.path().to_owned(),
            repo: dir.path().join("marketplace.git"),
            exe: "marketplace".into(),
            exe_args: vec![],
            ports: Ports { web: 1, quote_engine: 2, rating_provider: 3 },
            otlp_endpoint: String::new(),
            ingest_tokens: BTreeMap::new(),
            load: 1.0,
            is_uneven: false,
            dirty_share: 0.0,
        };
        seed::ensure(&platform).expect("the repository");
        let back = || resolve(dir.path(), &platform.repo).expect("resolved");
        assert_eq!(back(), None);
        inject(dir.path(), &platform.repo, MEMORY).expect("injected");
        assert!(back().is_some(), "its configuration is another one");
        let carried = ("checks/inc_01KAKX0000000000000000000A.yaml".to_owned(), Some(b"probe: {}\n".to_vec()));
        let repo = Repository::open_bare(&platform.repo).expect("the repository");
        git::merge_pull_request(&repo, "cure", "Carries a check", &[carried]).expect("merged");
        assert_eq!(back(), None, "only a check is taken away again");
        assert_eq!(back(), None, "and it is gone");
    }
}
