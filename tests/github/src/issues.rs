//! Issues, their comments and labels. GitHub lists pull requests among them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::{Operation, element, over};
use crate::pulls::{Pull, label};
use crate::routes::{Asked, Reply};
use crate::{Desk, REPOSITORY, pulls};

/// An issue.
#[derive(Clone)]
pub struct Issue {
    pub number: u64,
    title: String,
    body: String,
    labels: Vec<String>,
    comments: Vec<String>,
    closed: bool,
    ours: bool,
    updated: Timestamp,
}

impl Issue {
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// One that anybody may write: without a label, by somebody who does not work here.
    pub fn by_a_stranger(number: u64, title: &str, body: &str) -> Self {
        let (title, body) = (title.to_owned(), body.to_owned());
        let (labels, comments) = (Vec::new(), Vec::new());
        Self { number, title, body, labels, comments, closed: false, ours: false, updated: Timestamp::now() }
    }

    fn touch(&mut self) {
        self.updated = Timestamp::now();
    }
}

pub fn routed(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    match operation.call().as_str() {
        "GET /issues" => list(desk, asked),
        "POST /issues" => open(desk, asked, operation),
        "POST /issues/{issue_number}/labels" => labels(desk, asked),
        "GET /issues/{issue_number}/comments" => comments(desk, asked),
        "POST /issues/{issue_number}/comments" => comment(desk, asked, operation),
        _ => one(desk, asked, operation),
    }
}

fn number(asked: &Asked) -> u64 {
    asked.after("/issues/").split('/').next().and_then(|part| part.parse().ok()).unwrap_or_default()
}

fn user(is_ours: bool) -> Value {
    let owner = element("issue-comment")["user"].clone();
    let owner = if owner.is_object() { owner } else { element("pull-request-simple")["head"]["repo"]["owner"].clone() };
    over(owner, json!({ "login": "x", "type": if is_ours { "Bot" } else { "User" } }))
}

fn view(issue: &Issue, sample: Value) -> Value {
    let labels: Vec<Value> = issue.labels.iter().map(|name| label(name)).collect();
    let told = json!({
        "number": issue.number, "html_url": format!("https://github.com/{REPOSITORY}/issues/{}", issue.number),
        "title": issue.title, "body": issue.body, "state": if issue.closed { "closed" } else { "open" },
        "labels": labels, "comments": issue.comments.len(), "updated_at": issue.updated.to_string(),
        "user": user(issue.ours), "author_association": "NONE",
    });
    over(sample, told)
}

/// A pull request as the list of issues shows it.
fn as_issue(pull: &Pull, sample: Value) -> Value {
    let labels: Vec<Value> = pull.labels.iter().map(|name| label(name)).collect();
    let url = "https://api.github.com/x";
    let told = json!({
        "number": pull.number, "html_url": url, "title": pull.title(), "body": "", "state": pull.state(),
        "labels": labels, "comments": 0, "user": user(true), "author_association": "NONE",
        "pull_request": { "url": url, "html_url": url, "diff_url": url, "patch_url": url },
    });
    over(sample, told)
}

fn list(desk: &Desk, asked: &Asked) -> Reply {
    let state = desk.state();
    let since: Option<Timestamp> = asked.query("since").and_then(|since| since.parse().ok());
    let mut found: Vec<(u64, Vec<String>, Value)> = Vec::new();
    let issues = state.issues.iter().filter(|issue| since.is_none_or(|since| issue.updated >= since));
    found.extend(issues.map(|issue| (issue.number, issue.labels.clone(), view(issue, element("issue")))));
    found.extend(state.pulls.iter().map(|p| (p.number, p.labels.clone(), as_issue(p, element("issue")))));
    found
        .retain(|(_, labels, _)| asked.query("labels").is_none_or(|wanted| labels.iter().any(|label| label == wanted)));
    found.sort_by_key(|(number, _, _)| *number);
    if asked.query("direction") != Some("asc") {
        found.reverse();
    }
    Reply::told(200, Value::Array(asked.page(found).into_iter().map(|(_, _, told)| told).collect()))
}

fn open(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    let text = |name: &str| asked.text(name).unwrap_or_default().to_owned();
    if text("title").is_empty() {
        return Reply::invalid("title can't be blank");
    }
    let named = asked.body.as_ref().and_then(|body| body["labels"].as_array()).cloned().unwrap_or_default();
    let labels = named.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let fresh = Issue::by_a_stranger(pulls::next_number(desk), &text("title"), &text("body"));
    let issue = Issue { labels, ours: true, ..fresh };
    desk.state().issues.push(issue.clone());
    Reply::told(201, view(&issue, operation.sample()))
}

fn one(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    let mut state = desk.state();
    if let Some(pull) = state.pulls.iter().find(|pull| pull.number == number(asked)) {
        return Reply::told(200, as_issue(pull, operation.sample()));
    }
    let Some(issue) = state.issues.iter_mut().find(|issue| issue.number == number(asked)) else {
        return Reply::missing();
    };
    if let Some(wanted) = asked.text("state") {
        issue.closed = wanted == "closed";
        issue.touch();
    }
    Reply::told(200, view(issue, operation.sample()))
}

fn labels(desk: &Desk, asked: &Asked) -> Reply {
    let named = asked.body.as_ref().and_then(|body| body["labels"].as_array()).cloned().unwrap_or_default();
    let mut state = desk.state();
    let Some(pull) = state.pulls.iter_mut().find(|pull| pull.number == number(asked)) else {
        return Reply::missing();
    };
    pull.labels.extend(named.iter().filter_map(Value::as_str).map(str::to_owned));
    Reply::told(200, Value::Array(pull.labels.iter().map(|name| label(name)).collect()))
}

fn told(body: &str, sample: Value) -> Value {
    over(sample, json!({ "body": body, "user": user(true), "author_association": "NONE" }))
}

fn comments(desk: &Desk, asked: &Asked) -> Reply {
    let state = desk.state();
    let Some(issue) = state.issues.iter().find(|issue| issue.number == number(asked)) else { return Reply::missing() };
    let page = asked.page(issue.comments.clone());
    Reply::told(200, Value::Array(page.iter().map(|body| told(body, element("issue-comment"))).collect()))
}

fn comment(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    let mut state = desk.state();
    let Some(issue) = state.issues.iter_mut().find(|issue| issue.number == number(asked)) else {
        return Reply::missing();
    };
    let body = asked.text("body").unwrap_or_default().to_owned();
    issue.comments.push(body.clone());
    issue.touch();
    Reply::told(201, told(&body, operation.sample()))
}
