//! The owners' side of their repository: plain git, as any developer and any tool would use it.

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail};
use git2::{FileMode, ObjectType, Oid, Repository, Signature, TreeWalkMode, TreeWalkResult};

const MAIN: &str = "refs/heads/main";
/// Tries to win a race for main.
const TRIES: u32 = 20;

/// New contents of a file; `None` deletes it.
pub type Edit = (String, Option<Vec<u8>>);

/// The owners' signature; no git configuration is needed.
pub fn owners() -> Result<Signature<'static>> {
    Ok(Signature::now("marketplace owners", "owners@marketplace.example")?)
}

/// Head of main; `None` in an empty repository.
pub fn head(repo: &Repository) -> Option<Oid> {
    repo.refname_to_id(MAIN).ok()
}

/// Writes a commit's files below a folder.
pub fn checkout(repo: &Repository, commit: Oid, into: &Path) -> Result<()> {
    let tree = repo.find_commit(commit)?.tree()?;
    let mut outcome = Ok(());
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() != Some(ObjectType::Blob) {
            return TreeWalkResult::Ok;
        }
        let path = format!("{folder}{}", entry.name().unwrap_or_default());
        let written =
            repo.find_blob(entry.id()).map_err(Into::into).and_then(|blob| place(into, &path, blob.content()));
        match written {
            Ok(()) => TreeWalkResult::Ok,
            Err(error) => {
                outcome = Err(error);
                TreeWalkResult::Abort
            }
        }
    })?;
    outcome
}

fn place(into: &Path, path: &str, content: &[u8]) -> Result<()> {
    if Path::new(path).components().any(|part| !matches!(part, Component::Normal(_))) {
        bail!("{path:?} leaves the checkout");
    }
    let target = into.join(path);
    fs::create_dir_all(target.parent().context("a parent")?)?;
    Ok(fs::write(target, content)?)
}

/// Paths that differ between two commits; all of them when there is no first.
pub fn changed(repo: &Repository, from: Option<Oid>, to: Oid) -> Result<Vec<String>> {
    let tree = |commit| repo.find_commit(commit).and_then(|commit| commit.tree());
    let old = from.map(tree).transpose()?;
    let diff = repo.diff_tree_to_tree(old.as_ref(), Some(&tree(to)?), None)?;
    let path = |delta: git2::DiffDelta<'_>| {
        let file = delta.new_file().path().or_else(|| delta.old_file().path());
        file.map(|path| path.to_string_lossy().into_owned())
    };
    Ok(diff.deltas().filter_map(path).collect())
}

/// A file's contents at a commit.
pub fn file(repo: &Repository, commit: Oid, path: &str) -> Result<Vec<u8>> {
    let tree = repo.find_commit(commit)?.tree()?;
    let entry = tree.get_path(Path::new(path)).with_context(|| format!("{path} is not there"))?;
    Ok(repo.find_blob(entry.id())?.content().to_vec())
}

/// Commits straight to main.
pub fn push(repo: &Repository, message: &str, edits: &[Edit]) -> Result<Oid> {
    racing(repo, |parent| commit(repo, parent, message, edits))
}

/// Opens a pull request and merges it, as the owners' forge would: branch, `refs/pull/N/head`, merge commit.
pub fn merge_pull_request(repo: &Repository, branch: &str, title: &str, edits: &[Edit]) -> Result<Oid> {
    let number = next_number(repo)?;
    let branch = format!("owners/{branch}-{number}");
    racing(repo, |parent| {
        let parent_id = parent.context("a pull request needs a main to go to")?;
        let head = commit(repo, Some(parent_id), title, edits)?;
        repo.reference(&format!("refs/heads/{branch}"), head, true, "pull request")?;
        repo.reference(&format!("refs/pull/{number}/head"), head, true, "pull request")?;
        let (base, head) = (repo.find_commit(parent_id)?, repo.find_commit(head)?);
        let message = format!("Merge pull request #{number} from {branch}\n\n{title}");
        let owner = owners()?;
        Ok(repo.commit(None, &owner, &owner, &message, &head.tree()?, &[&base, &head])?)
    })
}

/// Moves main to what `make` builds on it; when main moved meanwhile, builds again.
fn racing(repo: &Repository, make: impl Fn(Option<Oid>) -> Result<Oid>) -> Result<Oid> {
    for _ in 0..TRIES {
        let parent = head(repo);
        let made = make(parent)?;
        let moved = match parent {
            Some(parent) => repo.reference_matching(MAIN, made, true, parent, "owners"),
            None => repo.reference(MAIN, made, false, "owners"),
        };
        if moved.is_ok() {
            return Ok(made);
        }
    }
    bail!("main keeps moving")
}

fn commit(repo: &Repository, parent: Option<Oid>, message: &str, edits: &[Edit]) -> Result<Oid> {
    let parent = parent.map(|parent| repo.find_commit(parent)).transpose()?;
    let empty = repo.treebuilder(None)?.write()?;
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repo.find_tree(empty)?,
    };
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, content) in edits {
        match content {
            Some(content) => _ = update.upsert(path.as_str(), repo.blob(content)?, FileMode::Blob),
            None => _ = update.remove(path.as_str()),
        }
    }
    let tree = repo.find_tree(update.create_updated(repo, &base)?)?;
    let owner = owners()?;
    Ok(repo.commit(None, &owner, &owner, message, &tree, &parent.iter().collect::<Vec<_>>())?)
}

fn next_number(repo: &Repository) -> Result<u64> {
    let mut last = 0;
    for reference in repo.references_glob("refs/pull/*/head")? {
        let reference = reference?;
        let number =
            reference.name().ok().and_then(|name| name.split('/').nth(2)).and_then(|number| number.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last + 1)
}
