//! What people wrote about pull requests and tickets: JSON files in a tree under `refs/forge/meta`.

use std::path::Path;
use std::time::Duration;

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, ObjectType, Repository, Tree};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sre_space_ports::forge::ForgeError;

use super::git::{Git, Swap, Trouble, now, signature};

const META: &str = "refs/forge/meta";
/// Races lost in a row before the caller is told.
const PATIENCE: u32 = 40;

/// A file to write: path and contents.
pub(super) type Page = (String, String);

/// Every record of one kind (`pulls`, `issues`) with its number, lowest first.
pub(super) fn all<T: DeserializeOwned>(git: &Git, kind: &str) -> Result<Vec<(u64, T)>, Trouble> {
    let Some(tip) = git.tip(META)? else { return Ok(Vec::new()) };
    let tree = git.repo.find_commit(tip)?.tree()?;
    let Some(folder) = tree.get_name(kind) else { return Ok(Vec::new()) };
    let folder = git.repo.find_tree(folder.id())?;
    let mut records = Vec::new();
    for entry in folder.iter() {
        let Some(number) = number_of(entry.name().unwrap_or_default()) else { continue };
        records.push((number, parsed(git.repo.find_blob(entry.id())?.content(), kind, number)?));
    }
    records.sort_by_key(|(number, _)| *number);
    Ok(records)
}

/// One record; `None` when there is none.
pub(super) fn one<T: DeserializeOwned>(git: &Git, kind: &str, number: u64) -> Result<Option<T>, Trouble> {
    let Some(tip) = git.tip(META)? else { return Ok(None) };
    let tree = git.repo.find_commit(tip)?.tree()?;
    let Ok(entry) = tree.get_path(Path::new(&format!("{kind}/{number}.json"))) else { return Ok(None) };
    Ok(Some(parsed(git.repo.find_blob(entry.id())?.content(), kind, number)?))
}

/// A record as a file.
pub(super) fn page<T: Serialize>(kind: &str, number: u64, record: &T) -> Result<Page, Trouble> {
    let text = serde_json::to_string_pretty(record)
        .map_err(|error| ForgeError::unavailable(format!("{kind}/{number} cannot be written: {error}")))?;
    Ok((format!("{kind}/{number}.json"), text))
}

/// Writes what `edit` makes of the present state, looking again whenever somebody else was faster.
/// `None` means there is nothing to write.
pub(super) fn update<F>(git: &Git, why: &str, mut edit: F) -> Result<(), Trouble>
where
    F: FnMut(&Git) -> Result<Option<Page>, Trouble>,
{
    for lost in 0..PATIENCE {
        // The tip is read first: a record written after this look makes the swap below fail.
        let tip = git.tip(META)?;
        let Some(page) = edit(git)? else { return Ok(()) };
        let before = tip.map(|oid| git.repo.find_commit(oid)).transpose()?;
        let made = write(git, before.as_ref(), &page, why)?;
        if git.swap(META, tip, made, why)? == Swap::Done {
            return Ok(());
        }
        // Losers step back for as long as they have lost, or the same ones would meet again. This thread may block.
        std::thread::sleep(Duration::from_millis(lost.into()));
    }
    Err(ForgeError::unavailable("too many writers at once").into())
}

/// The next free number; pull requests and tickets share one row of numbers.
pub(super) fn next_number(git: &Git) -> Result<u64, Trouble> {
    let mut taken = vec![0];
    for kind in ["pulls", "issues"] {
        taken.extend(all::<serde_json::Value>(git, kind)?.into_iter().map(|(number, _)| number));
    }
    taken.extend(heads(git)?.into_iter().map(|(number, _)| number));
    Ok(taken.into_iter().max().unwrap_or(0) + 1)
}

/// Every `refs/pull/N/head`, whoever wrote it.
pub(super) fn heads(git: &Git) -> Result<Vec<(u64, git2::Oid)>, Trouble> {
    let mut found = Vec::new();
    for reference in git.repo.references_glob("refs/pull/*/head")? {
        let reference = reference?;
        let number = reference.name().ok().and_then(|name| name.split('/').nth(2)).and_then(|part| part.parse().ok());
        if let (Some(number), Some(oid)) = (number, reference.target()) {
            found.push((number, oid));
        }
    }
    Ok(found)
}

fn number_of(file: &str) -> Option<u64> {
    file.strip_suffix(".json")?.parse().ok()
}

fn parsed<T: DeserializeOwned>(bytes: &[u8], kind: &str, number: u64) -> Result<T, Trouble> {
    Ok(serde_json::from_slice(bytes)
        .map_err(|error| ForgeError::Conflict(format!("{kind}/{number} cannot be read: {error}")))?)
}

fn write(git: &Git, before: Option<&Commit<'_>>, page: &Page, why: &str) -> Result<git2::Oid, Trouble> {
    let baseline = match before {
        Some(commit) => commit.tree()?,
        None => empty_tree(&git.repo)?,
    };
    let blob = git.repo.blob(page.1.as_bytes())?;
    let tree =
        TreeUpdateBuilder::new().upsert(page.0.as_str(), blob, FileMode::Blob).create_updated(&git.repo, &baseline)?;
    let signature = signature(now())?;
    let parents: Vec<&Commit<'_>> = before.into_iter().collect();
    Ok(git.repo.commit(None, &signature, &signature, why, &git.repo.find_tree(tree)?, &parents)?)
}

fn empty_tree(repo: &Repository) -> Result<Tree<'_>, Trouble> {
    let oid = repo.odb()?.write(ObjectType::Tree, &[])?;
    Ok(repo.find_tree(oid)?)
}
