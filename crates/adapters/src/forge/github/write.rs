//! Branches and commits.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use sre_space_domain::ids::Sha;
use sre_space_domain::permit::Covers;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::{CommitRequest, ForgeError};

use super::call::Trouble;
use super::cover::{self, denied};
use super::names::{object, our_branch};
use super::objects::{PLAIN, is_file, is_folder};
use super::wire::{Commit, Named, Reference};
use super::{Hub, pulls, read};
use crate::forge::{EMAIL, NAME};

pub(super) async fn create_branch(hub: &Hub, branch: &str, base: &Sha) -> Result<(), Trouble> {
    let branch = our_branch(branch)?;
    hub.objects().commit(base).await?;
    if !read::is_deployed(hub, base).await? {
        return Err(denied("the base is not part of the deployed branch").into());
    }
    if let Some(tip) = tip(hub, branch).await? {
        return is_ours(hub, branch, (&tip, base)).await;
    }
    let wanted = json!({ "ref": format!("refs/heads/{branch}"), "sha": object(base)? });
    match hub.line.write::<Reference>(Method::POST, "git/refs", wanted).await {
        Err(refused) if refused.status().is_some() => match tip(hub, branch).await? {
            Some(tip) => is_ours(hub, branch, (&tip, base)).await,
            None => Err(refused),
        },
        made => made.map(drop),
    }
}

/// Where one of our branches points. One that was deleted with its pull request is where that left it.
pub(super) async fn tip(hub: &Hub, branch: &str) -> Result<Option<Sha>, Trouble> {
    match read::tip(hub, branch).await? {
        Some(tip) => Ok(Some(tip)),
        None => Ok(pulls::by_branch(hub, branch).await?.map(|pull| pull.head.sha)),
    }
}

async fn is_ours(hub: &Hub, branch: &str, (tip, base): (&Sha, &Sha)) -> Result<(), Trouble> {
    if tip == base {
        return Ok(());
    }
    let commit = hub.objects().commit(tip).await?;
    match commit.author.email == EMAIL && is_on(&commit, base) {
        true => Ok(()),
        false => Err(ForgeError::Conflict(format!("branch {branch} is already at {tip}")).into()),
    }
}

fn is_on(commit: &Commit, base: &Sha) -> bool {
    commit.parents.len() == 1 && commit.parents.iter().all(|parent| parent.sha == *base)
}

/// Looks at the branch first: a commit that is there already is not made again.
pub(super) async fn commit(hub: &Hub, covers: &Covers, request: &CommitRequest) -> Result<Sha, Trouble> {
    cover::request(hub, covers, request).await?;
    let branch = our_branch(&request.branch)?;
    let missing = || ForgeError::Missing(format!("branch {branch}"));
    let at = tip(hub, branch).await?.ok_or_else(missing)?;
    if at != request.base {
        return settled(hub, request, at).await;
    }
    let made = record(hub, request).await?;
    cover::commit(hub, covers, &request.incident, &made).await?;
    let wanted = json!({ "sha": object(&made)?, "force": false });
    match hub.line.write::<Reference>(Method::PATCH, &format!("git/refs/heads/{branch}"), wanted).await {
        Err(refused) if refused.status().is_some() => match tip(hub, branch).await?.ok_or_else(missing)? {
            at if at == request.base => Err(refused),
            at => settled(hub, request, at).await,
        },
        moved => moved.map(|_| made),
    }
}

/// The tip, when it is the very commit that was asked for.
async fn settled(hub: &Hub, request: &CommitRequest, tip: Sha) -> Result<Sha, Trouble> {
    let found = hub.objects().commit(&tip).await?;
    let is_it = is_on(&found, &request.base)
        && found.author.email == EMAIL
        && found.author.date == whole_seconds(request.at)
        && found.message.trim_end() == request.message.trim_end();
    if is_it {
        let before = hub.objects().commit(&request.base).await?;
        let mut wanted = request.changes.clone();
        wanted.sort_by(|a, b| a.path.cmp(&b.path));
        if hub.objects().changes(&before.tree.sha, &found.tree.sha).await? == wanted {
            return Ok(tip);
        }
    }
    Err(ForgeError::HeadMoved { expected: request.base.clone(), found: tip }.into())
}

/// Writes tree and commit without pointing anything at them. Author, committer and time are given, so that the same request
/// makes the same commit.
async fn record(hub: &Hub, request: &CommitRequest) -> Result<Sha, Trouble> {
    let before = hub.objects().commit(&request.base).await?;
    let mut entries = Vec::new();
    for change in &request.changes {
        let mode = mode_of(hub, &before.tree.sha, change).await?;
        entries.push(entry(change, &mode));
    }
    let wanted = json!({ "base_tree": object(&before.tree.sha)?, "tree": entries });
    let tree: Named = hub.line.write(Method::POST, "git/trees", wanted).await?;
    let us = json!({ "name": NAME, "email": EMAIL, "date": whole_seconds(request.at) });
    let wanted = json!({
        "message": request.message,
        "tree": object(&tree.sha)?,
        "parents": [object(&request.base)?],
        "author": us,
        "committer": us,
    });
    let made: Named = hub.line.write(Method::POST, "git/commits", wanted).await?;
    Ok(made.sha)
}

fn entry(change: &FileChange, mode: &str) -> Value {
    match &change.contents {
        Some(text) => json!({ "path": change.path, "mode": mode, "type": "blob", "content": text }),
        None => json!({ "path": change.path, "mode": mode, "type": "blob", "sha": null }),
    }
}

/// Git counts in seconds.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The mode a file keeps. Nothing is written through a link, a submodule, or over a folder.
async fn mode_of(hub: &Hub, root: &Sha, change: &FileChange) -> Result<String, Trouble> {
    let refused = || denied(&format!("{} is no plain file", change.path));
    let ends = change.path.match_indices('/').map(|(at, _)| at).chain([change.path.len()]);
    for end in ends {
        let walked = change.path.get(..end).unwrap_or_default();
        match hub.objects().entry(root, walked).await? {
            None if change.contents.is_some() => return Ok(PLAIN.to_owned()),
            None => return Err(ForgeError::Missing(change.path.clone()).into()),
            Some(found) if end == change.path.len() && is_file(&found) => return Ok(found.mode),
            Some(found) if end < change.path.len() && is_folder(&found) => {}
            Some(_) => return Err(refused().into()),
        }
    }
    Err(refused().into())
}
