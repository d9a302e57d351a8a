//! Pull requests.

use git2::Oid;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::{Operation, element, over};
use crate::routes::{Asked, Reply};
use crate::{Desk, Merge, REPOSITORY, git};

/// A pull request.
#[derive(Clone)]
pub struct Pull {
    pub number: u64,
    branch: String,
    title: String,
    body: String,
    head: Oid,
    pub labels: Vec<String>,
    merged: Option<(Oid, i64)>,
}

impl Pull {
    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn state(&self) -> &'static str {
        if self.merged.is_some() { "closed" } else { "open" }
    }
}

/// Heads follow their branches until they are merged, as `refs/pull/N/head` tells whoever runs checks.
pub fn follow(desk: &Desk) {
    let repository = desk.git();
    for pull in desk.state().pulls.iter_mut().filter(|pull| pull.merged.is_none()) {
        pull.head = git::tip(&repository, &pull.branch).unwrap_or(pull.head);
        let name = format!("refs/pull/{}/head", pull.number);
        if repository.refname_to_id(&name).ok() != Some(pull.head) {
            repository.reference(&name, pull.head, true, "pull request").expect("a reference");
        }
    }
}

/// Somebody pushes what nobody judged, and it is green.
pub fn overtake(desk: &Desk) {
    let repository = desk.git();
    let branch = desk.state().pulls.first().map(|pull| pull.branch.clone()).expect("a pull request");
    git::push(&repository, &branch, "unseen.txt", "nobody judged this\n");
}

/// Pull requests and issues share one row of numbers, with those that plain git made.
pub fn next_number(desk: &Desk) -> u64 {
    let repository = desk.git();
    let references = repository.references_glob("refs/pull/*/head").expect("references");
    let names = references.filter_map(|found| found.ok()?.name().ok()?.split('/').nth(2)?.parse().ok());
    let state = desk.state();
    let ours = state.pulls.iter().map(|pull| pull.number).chain(state.issues.iter().map(|issue| issue.number));
    names.chain(ours).max().unwrap_or(0) + 1
}

pub fn routed(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    match operation.call().as_str() {
        "GET /pulls" => list(desk, asked),
        "POST /pulls" => open(desk, asked, operation),
        "PUT /pulls/{pull_number}/merge" => merge(desk, asked, operation),
        _ => one(desk, asked, operation),
    }
}

fn number(asked: &Asked) -> u64 {
    asked.after("/pulls/").split('/').next().and_then(|part| part.parse().ok()).unwrap_or_default()
}

fn view(pull: &Pull, sample: Value) -> Value {
    let labels: Vec<Value> = pull.labels.iter().map(|name| label(name)).collect();
    let here = json!({ "full_name": REPOSITORY });
    let told = json!({
        "number": pull.number, "html_url": format!("https://github.com/{REPOSITORY}/pull/{}", pull.number),
        "title": pull.title, "body": pull.body, "state": pull.state(), "labels": labels,
        "head": { "ref": pull.branch, "sha": pull.head.to_string(), "repo": here },
        "base": { "ref": "main", "repo": here },
        "merged_at": pull.merged.map(|(_, at)| git::time(at)),
        "merge_commit_sha": pull.merged.map(|(revision, _)| revision.to_string()),
    });
    over(sample, told)
}

/// A label as pull requests and issues carry it.
pub fn label(name: &str) -> Value {
    json!({ "id": 1, "node_id": "x", "url": "https://api.github.com/x", "name": name, "color": "ededed",
            "default": false, "description": "" })
}

fn whole(desk: &Desk, pull: &Pull, operation: Operation) -> Value {
    let is_clear = git::merged(&desk.git(), pull.head).is_some();
    let mergeable = pull.merged.is_none().then_some(is_clear);
    let state = if is_clear { "clean" } else { "dirty" };
    let told = json!({ "mergeable": mergeable, "mergeable_state": state, "merged": pull.merged.is_some() });
    over(view(pull, operation.sample()), told)
}

fn list(desk: &Desk, asked: &Asked) -> Reply {
    let head = asked.query("head").and_then(|head| head.split_once(':')).map(|(_, branch)| branch);
    let state = desk.state();
    let mut found: Vec<Pull> = state.pulls.clone();
    found.retain(|pull| head.is_none_or(|head| pull.branch == head));
    found.retain(|pull| asked.query("state") == Some("all") || pull.merged.is_none());
    found.sort_by_key(|pull| std::cmp::Reverse(pull.number));
    let views = asked.page(found).into_iter().map(|pull| view(&pull, element("pull-request-simple")));
    Reply::told(200, Value::Array(views.collect()))
}

fn open(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    let branch = asked.text("head").unwrap_or_default().to_owned();
    let repository = desk.git();
    let Some(head) = git::tip(&repository, &branch) else { return Reply::invalid("head is invalid") };
    if desk.state().pulls.iter().any(|pull| pull.branch == branch && pull.merged.is_none()) {
        return Reply::invalid(&format!("A pull request already exists for acme:{branch}."));
    }
    let text = |name: &str| asked.text(name).unwrap_or_default().to_owned();
    let (title, body) = (text("title"), text("body"));
    let pull = Pull { number: next_number(desk), branch, title, body, head, labels: Vec::new(), merged: None };
    desk.state().pulls.push(pull.clone());
    follow(desk);
    Reply::told(201, whole(desk, &pull, operation))
}

fn one(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    let found = {
        let mut state = desk.state();
        let pull = state.pulls.iter_mut().find(|pull| pull.number == number(asked));
        pull.map(|pull| {
            asked.text("body").into_iter().for_each(|body| pull.body = body.to_owned());
            pull.clone()
        })
    };
    found.map_or_else(Reply::missing, |pull| Reply::told(200, whole(desk, &pull, operation)))
}

fn merge(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    follow(desk);
    let found = desk.state().pulls.iter().find(|pull| pull.number == number(asked)).cloned();
    let Some(pull) = found else { return Reply::missing() };
    if pull.merged.is_some() {
        return Reply::refused(405, "Pull Request is not mergeable");
    }
    if asked.text("sha").is_some_and(|sha| sha != pull.head.to_string()) {
        return Reply::refused(409, "Head branch was modified. Review and try the merge again.");
    }
    let text = |name: &str| asked.text(name).unwrap_or_default();
    let message = format!("{}\n\n{}\n", text("commit_title"), text("commit_message"));
    let Some(revision) = git::squash(&desk.git(), pull.head, &message) else {
        return Reply::refused(405, "Pull Request is not mergeable");
    };
    let mut state = desk.state();
    let at = Timestamp::now().as_second();
    state
        .pulls
        .iter_mut()
        .filter(|held| held.number == pull.number)
        .for_each(|held| held.merged = Some((revision, at)));
    let (head, revision) = (pull.head.to_string(), revision.to_string());
    state.merges.push(Merge { number: pull.number, head, revision: revision.clone() });
    let told = json!({ "sha": revision, "merged": true, "message": "Pull Request successfully merged" });
    Reply::told(200, over(operation.sample(), told))
}
