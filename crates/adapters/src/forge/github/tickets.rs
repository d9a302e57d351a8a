//! Tickets: one issue per incident, found again by a mark in its text; comments once per key.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sre_space_domain::ids::IncidentId;
use sre_space_ports::forge::{ForgeError, Issue};
use ulid::Ulid;

use super::call::{Trouble, found};
use super::wire::{self, User};
use super::{Hub, LABEL};

/// GitHub's clock and ours may differ by this much.
const SKEW: SignedDuration = SignedDuration::from_hours(24);
/// Tickets whose comments are remembered.
const MAX_KNOWN: usize = 1_000;

pub(super) async fn open(hub: &Hub, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, Trouble> {
    if let Some(issue) = find(hub, incident).await? {
        return view(hub, issue).await;
    }
    let wanted =
        json!({ "title": title, "body": format!("{body}{}", mark("incident", incident.as_str())), "labels": [LABEL] });
    let opened: wire::Issue = hub.line.write(Method::POST, "issues", wanted).await?;
    view(hub, opened).await
}

/// The incident's own ticket. Strangers may write the mark, but only who works on the repository may set the label.
async fn find(hub: &Hub, incident: &IncidentId) -> Result<Option<wire::Issue>, Trouble> {
    let since = opened_at(incident).map_or_else(String::new, |at| format!("&since={at}"));
    let path = format!("issues?state=all&labels={LABEL}&sort=created&direction=asc{since}");
    let mark = mark("incident", incident.as_str());
    let mut issues: Vec<wire::Issue> = hub.line.all(&path).await?;
    issues.retain(|issue| is_ticket(issue) && issue.body.as_deref().is_some_and(|body| body.contains(mark.trim())));
    Ok(issues.into_iter().min_by_key(|issue| issue.number))
}

/// An incident's name holds its time; its ticket was not touched before it.
fn opened_at(incident: &IncidentId) -> Option<Timestamp> {
    let ulid = Ulid::from_string(incident.as_str().strip_prefix("inc_")?).ok()?;
    let at = Timestamp::from_millisecond(i64::try_from(ulid.timestamp_ms()).ok()?).ok()?;
    Timestamp::from_second(at.checked_sub(SKEW).ok()?.as_second()).ok()
}

pub(super) async fn comment(hub: &Hub, number: u64, key: &str, body: &str) -> Result<(), Trouble> {
    let ticket = ticket(hub, number).await?;
    let key: String = Sha256::digest(key).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let mark = mark("comment", &key);
    let comments = comments_of(hub, &ticket).await?;
    let is_there = |comment: &wire::Comment| {
        is_trusted(comment.user.as_ref(), &comment.author_association)
            && comment.body.as_deref().is_some_and(|body| body.contains(mark.trim()))
    };
    if comments.iter().any(is_there) {
        return Ok(());
    }
    let wanted = json!({ "body": format!("{body}{mark}") });
    hub.line.write::<IgnoredAny>(Method::POST, &format!("issues/{number}/comments"), wanted).await.map(drop)
}

pub(super) async fn close(hub: &Hub, number: u64) -> Result<(), Trouble> {
    if ticket(hub, number).await?.state == "closed" {
        return Ok(());
    }
    let wanted = json!({ "state": "closed", "state_reason": "completed" });
    hub.line.write::<wire::Issue>(Method::PATCH, &format!("issues/{number}"), wanted).await.map(drop)
}

/// Newest first, the owners' included.
pub(super) async fn newest(hub: &Hub, limit: usize) -> Result<Vec<Issue>, Trouble> {
    let path = "issues?state=all&sort=created&direction=desc&per_page=100";
    let issues: Vec<wire::Issue> = hub.line.get(path).await?;
    let mut views = Vec::new();
    for issue in issues.into_iter().filter(|issue| issue.pull_request.is_none()).take(limit) {
        views.push(view(hub, issue).await?);
    }
    Ok(views)
}

async fn ticket(hub: &Hub, number: u64) -> Result<wire::Issue, Trouble> {
    let asked = hub.line.get(&format!("issues/{number}")).await;
    let missing = || ForgeError::Missing(format!("ticket {number}"));
    Ok(found(asked)?.filter(is_ticket).ok_or_else(missing)?)
}

fn is_ticket(issue: &wire::Issue) -> bool {
    let is_labelled = issue.labels.iter().any(|label| label.name() == LABEL);
    is_labelled && issue.pull_request.is_none() && is_trusted(issue.user.as_ref(), &issue.author_association)
}

/// Written by us or by somebody who works on the repository: an App is a bot, a token belongs to one of its people.
fn is_trusted(user: Option<&User>, association: &str) -> bool {
    matches!(association, "OWNER" | "MEMBER" | "COLLABORATOR") || user.is_some_and(|user| user.kind == "Bot")
}

async fn comments_of(hub: &Hub, issue: &wire::Issue) -> Result<Vec<wire::Comment>, Trouble> {
    match issue.comments {
        0 => Ok(Vec::new()),
        _ => hub.line.all(&format!("issues/{}/comments", issue.number)).await,
    }
}

async fn view(hub: &Hub, issue: wire::Issue) -> Result<Issue, Trouble> {
    let comments = if is_ticket(&issue) { told(hub, &issue).await? } else { Vec::new() };
    Ok(Issue {
        number: issue.number,
        url: issue.html_url,
        title: issue.title,
        state: issue.state,
        body: unmarked(issue.body.as_deref().unwrap_or_default()),
        comments,
    })
}

/// The comments' texts, asked for again only when the issue changed.
async fn told(hub: &Hub, issue: &wire::Issue) -> Result<Vec<String>, Trouble> {
    let as_of = (issue.updated_at, issue.comments);
    if let Some((_, comments)) = hub.comments().get(&issue.number).filter(|(known, _)| *known == as_of) {
        return Ok(comments.clone());
    }
    let comments: Vec<String> = comments_of(hub, issue)
        .await?
        .into_iter()
        .map(|comment| unmarked(comment.body.as_deref().unwrap_or_default()))
        .collect();
    let mut held = hub.comments();
    if held.len() >= MAX_KNOWN {
        held.clear();
    }
    held.insert(issue.number, (as_of, comments.clone()));
    Ok(comments)
}

/// A mark that people do not see.
fn mark(what: &str, value: &str) -> String {
    format!("\n\n<!-- sre-space:{what}={value} -->")
}

fn unmarked(text: &str) -> String {
    text.split("\n\n<!-- sre-space:").next().unwrap_or_default().to_owned()
}
