//! Pull requests: opening, describing, merging and listing.

use http::Method;
use serde::de::IgnoredAny;
use serde_json::json;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::Covers;
use sre_space_ports::forge::{Checks, ForgeError, Merged, PullRequest, PullRequestDraft};

use super::call::{Trouble, found};
use super::cover::{self, denied};
use super::names::{incident_of, object, our_branch};
use super::wire::{MergeAnswer, Pull};
use super::{Hub, LABEL, checks, write};

pub(super) async fn open(hub: &Hub, covers: &Covers, draft: &PullRequestDraft) -> Result<PullRequest, Trouble> {
    let branch = our_branch(&draft.branch)?;
    if incident_of(branch).as_ref() != Some(&draft.incident) {
        return Err(denied(&format!("branch {branch} is not one of {}", draft.incident)).into());
    }
    if let Some(pull) = by_branch(hub, branch).await? {
        return labelled(hub, pull).await;
    }
    let missing = || ForgeError::Missing(format!("branch {branch}"));
    let head = write::tip(hub, branch).await?.ok_or_else(missing)?;
    cover::commit(hub, covers, &draft.incident, &head).await?;
    let wanted = json!({ "title": draft.title, "head": branch, "base": hub.deployed, "body": draft.body });
    match hub.line.write::<Pull>(Method::POST, "pulls", wanted).await {
        Err(refused) if refused.status().is_some() => match by_branch(hub, branch).await? {
            Some(pull) => labelled(hub, pull).await,
            None => Err(refused),
        },
        opened => labelled(hub, opened?).await,
    }
}

/// The pull request of one of our branches, whatever became of it.
pub(super) async fn by_branch(hub: &Hub, branch: &str) -> Result<Option<Pull>, Trouble> {
    let owner = &hub.line.place().owner;
    let path = format!("pulls?state=all&head={owner}:{branch}&base={}", hub.deployed);
    let mut pulls: Vec<Pull> = hub.line.all(&path).await?;
    pulls.retain(|pull| pull.head.branch == branch && is_ours(hub, pull));
    Ok(pulls.into_iter().min_by_key(|pull| pull.number))
}

/// From a branch of ours in this repository, not in somebody's fork, to the deployed one.
fn is_ours(hub: &Hub, pull: &Pull) -> bool {
    let here = hub.line.place().to_string();
    let is_here = |repo: &str| repo.eq_ignore_ascii_case(&here);
    our_branch(&pull.head.branch).is_ok()
        && pull.base.branch == hub.deployed
        && pull.head.repo.as_ref().is_some_and(|repo| is_here(&repo.full_name))
}

async fn labelled(hub: &Hub, pull: Pull) -> Result<PullRequest, Trouble> {
    if !pull.labels.iter().any(|label| label.name() == LABEL) {
        let path = format!("issues/{}/labels", pull.number);
        hub.line.write::<IgnoredAny>(Method::POST, &path, json!({ "labels": [LABEL] })).await?;
    }
    Ok(view(pull))
}

async fn ours(hub: &Hub, number: u64) -> Result<(Pull, IncidentId), Trouble> {
    let pull: Option<Pull> = found(hub.line.get(&format!("pulls/{number}")).await)?;
    let pull = pull.filter(|pull| is_ours(hub, pull));
    let ours = pull.and_then(|pull| incident_of(&pull.head.branch).map(|incident| (pull, incident)));
    Ok(ours.ok_or_else(|| ForgeError::Missing(format!("pull request {number} of ours")))?)
}

pub(super) async fn describe(hub: &Hub, covers: &Covers, number: u64, body: &str) -> Result<(), Trouble> {
    let (pull, incident) = ours(hub, number).await?;
    cover::commit(hub, covers, &incident, &pull.head.sha).await?;
    if pull.body.as_deref() == Some(body) {
        return Ok(());
    }
    let wanted = json!({ "body": body });
    hub.line.write::<Pull>(Method::PATCH, &format!("pulls/{number}"), wanted).await.map(drop)
}

/// Merges what was judged and nothing else: GitHub compares the head once more when it is given the name.
pub(super) async fn merge(hub: &Hub, covers: &Covers, number: u64, judged: &Sha) -> Result<Merged, Trouble> {
    let (pull, incident) = ours(hub, number).await?;
    unmoved(judged, &pull)?;
    cover::commit(hub, covers, &incident, judged).await?;
    if let Some(merged) = merged(&pull) {
        return Ok(merged);
    }
    if pull.state != "open" {
        return Err(ForgeError::Conflict(format!("pull request {number} was closed")).into());
    }
    green(hub, judged).await?;
    let wanted = json!({
        "sha": object(judged)?,
        "merge_method": "squash",
        "commit_title": format!("{} (#{number})", pull.title),
        "commit_message": format!("Pull request #{number} from {}, incident {incident}.", pull.head.branch),
    });
    let asked = hub.line.write::<MergeAnswer>(Method::PUT, &format!("pulls/{number}/merge"), wanted).await;
    match asked {
        Err(refused) if refused.status().is_none() => Err(refused),
        asked => after(hub, (number, judged), asked).await,
    }
}

/// What became of it: GitHub stamps a merge itself, and a refusal is only understood by looking again.
async fn after(
    hub: &Hub,
    (number, judged): (u64, &Sha),
    asked: Result<MergeAnswer, Trouble>,
) -> Result<Merged, Trouble> {
    let (pull, _) = ours(hub, number).await?;
    unmoved(judged, &pull)?;
    if let Some(merged) = merged(&pull) {
        return Ok(merged);
    }
    let is_clear = pull.mergeable == Some(true) && pull.mergeable_state.as_deref() != Some("blocked");
    match asked {
        Ok(answer) => Err(Trouble::Away(format!("GitHub says merged: {}, and does not show it yet", answer.merged))),
        // It is still working out whether it can be merged, or the deployed branch moved under it.
        Err(refused) if pull.mergeable.is_none() || is_clear => Err(Trouble::Away(refused.to_string())),
        Err(refused) => Err(ForgeError::Conflict(refused.to_string()).into()),
    }
}

fn unmoved(judged: &Sha, pull: &Pull) -> Result<(), ForgeError> {
    let found = pull.head.sha.clone();
    if found == *judged { Ok(()) } else { Err(ForgeError::HeadMoved { expected: judged.clone(), found }) }
}

fn merged(pull: &Pull) -> Option<Merged> {
    let (at, revision) = pull.merged_at.zip(pull.merge_commit_sha.clone())?;
    Some(Merged { revision, at })
}

async fn green(hub: &Hub, head: &Sha) -> Result<(), Trouble> {
    let why = match checks::checks(hub, head).await? {
        Checks::Passed(_) => return Ok(()),
        Checks::Pending => format!("the checks of {head} have not finished"),
        Checks::Failed(summary) => format!("the checks of {head} are red: {summary}"),
    };
    Err(ForgeError::Conflict(why).into())
}

/// Newest first, the owners' included.
pub(super) async fn newest(hub: &Hub, limit: usize) -> Result<Vec<PullRequest>, Trouble> {
    let path = format!("pulls?state=all&sort=created&direction=desc&per_page={}", limit.clamp(1, 100));
    let pulls: Vec<Pull> = hub.line.get(&path).await?;
    Ok(pulls.into_iter().take(limit).map(view).collect())
}

fn view(pull: Pull) -> PullRequest {
    let state = if pull.merged_at.is_some() { "merged".to_owned() } else { pull.state };
    PullRequest {
        number: pull.number,
        url: pull.html_url,
        title: pull.title,
        body: pull.body.unwrap_or_default(),
        branch: pull.head.branch,
        head: pull.head.sha,
        state,
        merged_as: pull.merged_at.and(pull.merge_commit_sha),
    }
}
