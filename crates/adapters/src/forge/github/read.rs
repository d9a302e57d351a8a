//! Reading: files, the log, and what a revert would be.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};
use git2::{MergeFileInput, merge_file};
use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::ForgeError;

use super::Hub;
use super::call::{Trouble, found};
use super::line::PAGE;
use super::names::object;
use super::objects::{Delta, PLAIN, is_file, is_folder};
use super::wire::{Comparison, Entry, Listed, Reference, Relation};

/// Commits whose files are asked for at once.
const AT_ONCE: usize = 4;
/// Commits whose files are remembered.
const MAX_KNOWN: usize = 1_000;
/// Pages of one commit's files, a hundred each.
const MAX_PAGES: usize = 10;

pub(super) async fn head(hub: &Hub) -> Result<Sha, Trouble> {
    let missing = || ForgeError::Missing(format!("branch {}", hub.deployed));
    Ok(tip(hub, &hub.deployed).await?.ok_or_else(missing)?)
}

/// Where a branch points; `None` when it is not there.
pub(super) async fn tip(hub: &Hub, branch: &str) -> Result<Option<Sha>, Trouble> {
    let reference: Option<Reference> = found(hub.line.get(&format!("git/ref/heads/{branch}")).await)?;
    Ok(reference.map(|reference| reference.object.sha))
}

pub(super) async fn file(hub: &Hub, at: &Sha, path: &str) -> Result<String, Trouble> {
    let objects = hub.objects();
    let root = objects.commit(at).await?.tree.sha.clone();
    // A link is not followed: what it names may lie outside.
    let entry = objects.entry(&root, path).await?.filter(is_file);
    let entry = entry.ok_or_else(|| ForgeError::Missing(format!("{path} at {at}")))?;
    Ok(objects.text(&entry.sha, path).await?.as_ref().to_owned())
}

pub(super) async fn list(hub: &Hub, at: &Sha, folder: &str) -> Result<Vec<String>, Trouble> {
    let objects = hub.objects();
    let root = objects.commit(at).await?.tree.sha.clone();
    let tree = match folder {
        "" => Some(root),
        folder => objects.entry(&root, folder).await?.filter(is_folder).map(|entry| entry.sha),
    };
    let Some(tree) = tree else { return Ok(Vec::new()) };
    // Links are named too, as their names are files of the folder; submodules are folders.
    let is_blob = |entry: &&Entry| !is_folder(entry) && entry.mode != "160000";
    Ok(objects.tree(&tree).await?.iter().filter(is_blob).map(|entry| entry.path.clone()).collect())
}

/// Whether `commit` is `tip` or in its past.
pub(super) async fn contains(hub: &Hub, tip: &Sha, commit: &Sha) -> Result<bool, Trouble> {
    if tip == commit {
        return Ok(true);
    }
    // Only the relation is wanted: the files are on the first page alone.
    let path = format!("compare/{}...{}?per_page=1&page=2", object(commit)?, object(tip)?);
    let compared: Option<Comparison> = found(hub.line.get(&path).await)?;
    Ok(compared.is_some_and(|compared| match compared.status {
        Relation::Ahead | Relation::Identical => true,
        Relation::Behind | Relation::Diverged => false,
    }))
}

/// Whether a commit is part of what is deployed.
pub(super) async fn is_deployed(hub: &Hub, commit: &Sha) -> Result<bool, Trouble> {
    contains(hub, &head(hub).await?, commit).await
}

/// The first-parent line. GitHub lists all ancestors, so the line is picked out of its pages.
pub(super) async fn log(hub: &Hub, limit: usize) -> Result<Vec<CommitInfo>, Trouble> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut next = Some(head(hub).await?);
    let mut listed: HashMap<Sha, Option<Sha>> = HashMap::new();
    let mut line = Vec::new();
    while let Some(sha) = next.take().filter(|_| line.len() < limit) {
        if !listed.contains_key(&sha) {
            let count = (limit - line.len()).min(PAGE);
            let page: Vec<Listed> = hub.line.get(&format!("commits?sha={}&per_page={count}", object(&sha)?)).await?;
            listed
                .extend(page.into_iter().map(|commit| (commit.sha, commit.parents.into_iter().next().map(|p| p.sha))));
        }
        next = listed.get(&sha).cloned().flatten();
        line.push(sha);
    }
    futures::stream::iter(line).map(|sha| describe(hub, sha)).buffered(AT_ONCE).try_collect().await
}

async fn describe(hub: &Hub, sha: Sha) -> Result<CommitInfo, Trouble> {
    if let Some(known) = hub.known().get(&sha) {
        return Ok(known.clone());
    }
    let mut files = Vec::new();
    let mut commit: Option<Listed> = None;
    for page in 1..=MAX_PAGES {
        let path = format!("commits/{}?per_page={PAGE}&page={page}", object(&sha)?);
        let mut found: Listed = hub.line.get(&path).await?;
        let is_last = found.files.len() < PAGE;
        files.extend(found.files.drain(..).flat_map(|file| [Some(file.filename), file.previous_filename]).flatten());
        commit.get_or_insert(found);
        if is_last {
            break;
        }
    }
    let commit = commit.ok_or_else(|| ForgeError::Missing(format!("commit {sha}")))?;
    files.sort();
    let at = commit.commit.committer.and_then(|committer| committer.date);
    let info = CommitInfo {
        sha: commit.sha,
        parents: commit.parents.into_iter().map(|parent| parent.sha).collect(),
        at_ms: at.map_or(0, |at| at.as_millisecond()),
        files,
    };
    let mut known = hub.known();
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(sha, info.clone());
    Ok(info)
}

/// The files' contents that undo exactly `commit` on top of `onto`.
pub(super) async fn revert_of(hub: &Hub, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, Trouble> {
    let objects = hub.objects();
    let conflict = |why: &str| ForgeError::Conflict(format!("{commit} cannot be reverted: {why}"));
    let (undone, base) = (objects.commit(commit).await?, objects.commit(onto).await?);
    let first = undone.parents.first().ok_or_else(|| conflict("it is the first commit"))?;
    if !contains(hub, onto, commit).await? {
        return Err(conflict("it is not part of the branch").into());
    }
    let before = objects.commit(&first.sha).await?;
    let mut changes = Vec::new();
    for delta in objects.deltas(&undone.tree.sha, &before.tree.sha).await? {
        let now = objects.entry(&base.tree.sha, &delta.path).await?;
        changes.extend(undo(hub, delta, now).await?);
    }
    match changes.is_empty() {
        true => Err(ForgeError::Conflict(format!("{onto} holds nothing of {commit} to undo")).into()),
        false => Ok(changes),
    }
}

/// One file of a revert: `delta` leads from what the commit left to what was before it, `now` is what is there today.
async fn undo(hub: &Hub, delta: Delta, now: Option<Entry>) -> Result<Option<FileChange>, Trouble> {
    let same = |a: &Option<Entry>, b: &Option<Entry>| match (a, b) {
        (Some(a), Some(b)) => (&a.mode, &a.sha) == (&b.mode, &b.sha),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if same(&now, &delta.after) {
        return Ok(None);
    }
    let odd = || ForgeError::Conflict(format!("{} changes as more than plain text", delta.path));
    let is_plain = |entry: &Entry| entry.mode == PLAIN;
    let keeps_its_mode = match (&now, &delta.after) {
        (Some(now), Some(after)) => is_file(now) && now.mode == after.mode,
        (Some(now), None) => is_file(now),
        (None, after) => after.as_ref().is_none_or(is_plain),
    };
    if !keeps_its_mode {
        return Err(odd().into());
    }
    let contents = match (same(&now, &delta.before), &delta.after) {
        (true, None) => None,
        (true, Some(after)) => Some(hub.objects().text(&after.sha, &delta.path).await?.as_ref().to_owned()),
        (false, _) => Some(merged(hub, &delta, now.as_ref()).await?),
    };
    Ok(Some(FileChange { path: delta.path, contents }))
}

/// The file as it is today, less what the commit did to it.
async fn merged(hub: &Hub, delta: &Delta, now: Option<&Entry>) -> Result<String, Trouble> {
    let conflict = || ForgeError::Conflict(format!("later commits changed the same lines of {}", delta.path));
    let sides = delta.before.as_ref().zip(delta.after.as_ref()).zip(now);
    let Some(((undone, before), now)) = sides else { return Err(conflict().into()) };
    let objects = hub.objects();
    let undone = objects.text(&undone.sha, &delta.path).await?;
    let before = objects.text(&before.sha, &delta.path).await?;
    let now = objects.text(&now.sha, &delta.path).await?;
    Ok(three_way(&undone, &now, &before).ok_or_else(conflict)?)
}

/// `None` where both sides changed the same lines.
fn three_way(ancestor: &str, ours: &str, theirs: &str) -> Option<String> {
    let (mut base, mut left, mut right) = (MergeFileInput::new(), MergeFileInput::new(), MergeFileInput::new());
    base.content(ancestor.as_bytes());
    left.content(ours.as_bytes());
    right.content(theirs.as_bytes());
    let made = merge_file(&base, &left, &right, None).ok().filter(|made| made.is_automergeable())?;
    String::from_utf8(made.content().to_vec()).ok()
}
