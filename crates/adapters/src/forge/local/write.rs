//! Branches and commits.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Reference, Tree};
use sre_space_domain::ids::Sha;
use sre_space_domain::permit::Covers;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::{CommitRequest, ForgeError};

use super::cover::{self, denied};
use super::git::{Git, Swap, Trouble, sha, signature};
use crate::forge::EMAIL;

/// Our branches live under this name, so that no permit reaches a branch of the owners.
const OURS: &str = "sre-space/";

pub(super) fn create_branch(git: &Git, branch: &str, base: &Sha) -> Result<(), Trouble> {
    let reference = full_name(branch)?;
    let base = git.commit(base)?;
    if !git.is_deployed(base.id())? {
        return Err(denied("the base is not part of the deployed branch"));
    }
    if git.swap(&reference, None, base.id(), "branch")? == Swap::Done {
        return Ok(());
    }
    match git.tip(&reference)? {
        Some(tip) if tip == base.id() || is_ours_on(&git.repo.find_commit(tip)?, base.id()) => Ok(()),
        Some(tip) => Err(ForgeError::Conflict(format!("branch {branch} is already at {tip}")).into()),
        None => Err(ForgeError::unavailable(format!("branch {branch} is being written")).into()),
    }
}

pub(super) fn commit(git: &Git, covers: &Covers, request: &CommitRequest) -> Result<Sha, Trouble> {
    cover::request(git, covers, request)?;
    let reference = full_name(&request.branch)?;
    let base = git.commit(&request.base)?;
    let made = git.repo.find_commit(record(git, request, &base)?)?;
    cover::commit(git, covers, &request.incident, &made)?;
    let tip = git.tip(&reference)?.ok_or_else(|| ForgeError::Missing(format!("branch {}", request.branch)))?;
    if tip == made.id() || git.swap(&reference, Some(base.id()), made.id(), "commit")? == Swap::Done {
        return Ok(sha(made.id()));
    }
    let found = sha(git.tip(&reference)?.unwrap_or(tip));
    Err(ForgeError::HeadMoved { expected: request.base.clone(), found }.into())
}

/// The full name of one of our branches.
pub(super) fn full_name(branch: &str) -> Result<String, Trouble> {
    let reference = format!("refs/heads/{branch}");
    if branch.starts_with(OURS) && Reference::is_valid_name(&reference) {
        return Ok(reference);
    }
    Err(denied(&format!("branch {branch:?} is not under {OURS}")))
}

fn is_ours_on(tip: &Commit<'_>, base: Oid) -> bool {
    tip.author().email() == Ok(EMAIL) && tip.parent_count() == 1 && tip.parent_id(0) == Ok(base)
}

/// Writes the commit without pointing anything at it: until a reference moves, nobody can see it.
fn record(git: &Git, request: &CommitRequest, base: &Commit<'_>) -> Result<Oid, Trouble> {
    let before = base.tree()?;
    let mut edits = TreeUpdateBuilder::new();
    for change in &request.changes {
        let mode = mode_of(&before, change)?;
        match &change.contents {
            Some(text) => edits.upsert(change.path.as_str(), git.repo.blob(text.as_bytes())?, mode),
            None => edits.remove(change.path.as_str()),
        };
    }
    let tree = git.repo.find_tree(edits.create_updated(&git.repo, &before)?)?;
    let signature = signature(request.at)?;
    Ok(git.repo.commit(None, &signature, &signature, &request.message, &tree, &[base])?)
}

/// The mode a file keeps. Nothing is written through a link, a submodule, or over a folder.
fn mode_of(tree: &Tree<'_>, change: &FileChange) -> Result<FileMode, Trouble> {
    let refused = || denied(&format!("{} is no plain file", change.path));
    let mut walked = PathBuf::new();
    let parts: Vec<&str> = change.path.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        walked.push(part);
        let Some(mode) = mode_at(tree, &walked) else { return new_file(change) };
        let is_last = index + 1 == parts.len();
        match (is_last, plain(mode)) {
            (true, Some(mode)) => return Ok(mode),
            (false, _) if mode == i32::from(FileMode::Tree) => {}
            (true, None) | (false, _) => return Err(refused()),
        }
    }
    Err(refused())
}

fn mode_at(tree: &Tree<'_>, path: &Path) -> Option<i32> {
    tree.get_path(path).ok().map(|entry| entry.filemode())
}

fn plain(mode: i32) -> Option<FileMode> {
    [FileMode::Blob, FileMode::BlobExecutable].into_iter().find(|plain| i32::from(*plain) == mode)
}

fn new_file(change: &FileChange) -> Result<FileMode, Trouble> {
    match change.contents {
        Some(_) => Ok(FileMode::Blob),
        None => Err(ForgeError::Missing(change.path.clone()).into()),
    }
}
