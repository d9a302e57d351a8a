//! Reading: files, the log, what a revert would be, and the state of checks.

use std::path::Path;

use git2::{Blob, Commit, DiffDelta, DiffFile, FileMode, Oid, Tree};
use serde::Deserialize;
use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::{Checks, ForgeError};

use super::git::{Git, Trouble, made_at, sha};

/// What a check runner leaves behind; more fields are welcome and not ours to read.
#[derive(Deserialize)]
struct Report {
    sha: Sha,
    state: Outcome,
    #[serde(default)]
    summary: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Success,
    Failure,
}

pub(super) fn file(git: &Git, at: &Sha, path: &str) -> Result<String, Trouble> {
    let tree = git.commit(at)?.tree()?;
    let missing = || ForgeError::Missing(format!("{path} at {at}"));
    let entry = tree.get_path(Path::new(path)).map_err(|_| missing())?;
    // A link is not followed: what it names may lie outside.
    if entry.filemode() != i32::from(FileMode::Blob) && entry.filemode() != i32::from(FileMode::BlobExecutable) {
        return Err(missing().into());
    }
    text(&git.repo.find_blob(entry.id())?, path)
}

pub(super) fn list(git: &Git, at: &Sha, folder: &str) -> Result<Vec<String>, Trouble> {
    let root = git.commit(at)?.tree()?;
    let tree = if folder.is_empty() {
        Some(root)
    } else {
        let entry = root.get_path(Path::new(folder)).ok();
        entry.and_then(|entry| git.repo.find_tree(entry.id()).ok())
    };
    let is_file = |entry: &git2::TreeEntry<'_>| entry.kind() == Some(git2::ObjectType::Blob);
    let name = |entry: git2::TreeEntry<'_>| entry.name().ok().map(str::to_owned);
    Ok(tree.iter().flat_map(Tree::iter).filter(is_file).filter_map(name).collect())
}

pub(super) fn log(git: &Git, limit: usize) -> Result<Vec<CommitInfo>, Trouble> {
    let mut next = (limit > 0).then(|| git.main()).transpose()?;
    let mut line = Vec::new();
    while let Some(commit) = next {
        line.push(describe(git, &commit)?);
        next = if line.len() < limit { first_parent(&commit)? } else { None };
    }
    Ok(line)
}

pub(super) fn first_parent<'git>(commit: &Commit<'git>) -> Result<Option<Commit<'git>>, Trouble> {
    if commit.parent_count() == 0 { Ok(None) } else { Ok(Some(commit.parent(0)?)) }
}

pub(super) fn revert_of(git: &Git, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, Trouble> {
    let onto_commit = git.commit(onto)?;
    let after = reverted(git, &git.commit(commit)?, &onto_commit)?;
    let changes = between(git, Some(&onto_commit.tree()?), &git.repo.find_tree(after)?)?;
    if changes.is_empty() {
        return Err(ForgeError::Conflict(format!("{onto} holds nothing of {commit} to undo")).into());
    }
    Ok(changes)
}

/// The tree that undoes exactly `commit` on top of `onto`.
pub(super) fn reverted(git: &Git, commit: &Commit<'_>, onto: &Commit<'_>) -> Result<Oid, Trouble> {
    let conflict = |why: &str| ForgeError::Conflict(format!("{} cannot be reverted: {why}", commit.id()));
    if commit.parent_count() == 0 {
        return Err(conflict("it is the first commit").into());
    }
    if !git.contains(onto.id(), commit.id())? {
        return Err(conflict("it is not part of the branch").into());
    }
    let mainline = u32::from(commit.parent_count() > 1);
    let mut index = git.repo.revert_commit(commit, onto, mainline, None)?;
    if index.has_conflicts() {
        return Err(conflict("later commits changed the same lines").into());
    }
    Ok(index.write_tree_to(&git.repo)?)
}

/// What changed between two trees, as text, in order of paths.
pub(super) fn between(git: &Git, before: Option<&Tree<'_>>, after: &Tree<'_>) -> Result<Vec<FileChange>, Trouble> {
    let diff = git.repo.diff_tree_to_tree(before, Some(after), None)?;
    let mut changes = diff.deltas().map(|delta| change(git, &delta)).collect::<Result<Vec<_>, _>>()?;
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

pub(super) fn checks(git: &Git, commit: &Sha) -> Result<Checks, Trouble> {
    let commit = git.commit(commit)?.id();
    let Some(tip) = git.tip(&format!("refs/checks/{commit}"))? else { return Ok(Checks::Pending) };
    let Ok(entry) = git.repo.find_commit(tip)?.tree()?.get_path(Path::new("check.json")) else {
        return Ok(Checks::Failed("the check runner left no check.json".to_owned()));
    };
    Ok(verdict(git.repo.find_blob(entry.id())?.content(), &sha(commit)))
}

/// Green only when the report says so about this very commit; what cannot be read is red.
fn verdict(report: &[u8], commit: &Sha) -> Checks {
    match serde_json::from_slice::<Report>(report) {
        Ok(report) if report.sha != *commit => Checks::Failed(format!("the report is about {}", report.sha)),
        Ok(Report { state: Outcome::Success, summary, .. }) => Checks::Passed(summary),
        Ok(Report { state: Outcome::Failure, summary, .. }) => Checks::Failed(summary),
        Err(error) => Checks::Failed(format!("the report cannot be read: {error}")),
    }
}

fn describe(git: &Git, commit: &Commit<'_>) -> Result<CommitInfo, Trouble> {
    let before = first_parent(commit)?.map(|parent| parent.tree()).transpose()?;
    let diff = git.repo.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), None)?;
    Ok(CommitInfo {
        sha: sha(commit.id()),
        parents: commit.parent_ids().map(sha).collect(),
        at_ms: made_at(commit).as_millisecond(),
        files: diff.deltas().map(|delta| path_of(&delta)).collect(),
    })
}

fn path_of(delta: &DiffDelta<'_>) -> String {
    let bytes = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

fn change(git: &Git, delta: &DiffDelta<'_>) -> Result<FileChange, Trouble> {
    let (path, old, new) = (path_of(delta), delta.old_file(), delta.new_file());
    let odd = (old.exists() && !is_plain(&old))
        || (new.exists() && !is_plain(&new))
        // A digest covers contents only, so a change of mode must not pass unseen.
        || (old.exists() && new.exists() && old.mode() != new.mode())
        || (new.exists() && !old.exists() && new.mode() != FileMode::Blob);
    if odd {
        return Err(ForgeError::Conflict(format!("{path} changes as more than plain text")).into());
    }
    let contents = if new.exists() { Some(text(&git.repo.find_blob(new.id())?, &path)?) } else { None };
    Ok(FileChange { path, contents })
}

fn is_plain(file: &DiffFile<'_>) -> bool {
    [FileMode::Blob, FileMode::BlobExecutable].contains(&file.mode())
}

fn text(blob: &Blob<'_>, path: &str) -> Result<String, Trouble> {
    let text = std::str::from_utf8(blob.content());
    Ok(text.map_err(|_| ForgeError::Conflict(format!("{path} is not text")))?.to_owned())
}
