//! The repository's own part: references, commits, trees, blobs, comparisons, checks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, Signature, Time};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::{Operation, element, over};
use crate::routes::{Asked, Reply};
use crate::{CHECK, Desk, REPOSITORY, git};

pub fn repository(desk: &Desk, operation: Operation) -> Reply {
    let state = desk.state();
    let push = state.caller.may_push();
    let told = json!({
        "full_name": REPOSITORY, "default_branch": "main", "has_issues": true, "allow_squash_merge": true,
        "permissions": { "admin": false, "maintain": false, "push": push, "triage": push, "pull": true },
    });
    let reply = Reply::told(200, over(operation.sample(), told));
    match state.caller.scopes() {
        Some(scopes) => reply.with("x-oauth-scopes", scopes),
        None => reply,
    }
}

pub fn routed(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    let git = desk.git();
    let found = match operation.call().as_str() {
        "GET /git/ref/{ref}" => reference(&git, asked.after("/git/ref/heads/"), operation),
        "POST /git/refs" => return create_reference(&git, asked, operation),
        "PATCH /git/refs/{ref}" => return move_reference(&git, asked, operation),
        "GET /git/commits/{commit_sha}" => {
            git::commit(&git, asked.after("/git/commits/")).map(|commit| git_commit(&commit, operation))
        }
        "POST /git/commits" => create_commit(&git, asked).map(|made| git_commit(&made, operation)),
        "GET /git/trees/{tree_sha}" => tree(&git, asked.after("/git/trees/"), operation),
        "POST /git/trees" => create_tree(&git, asked).and_then(|made| tree(&git, &made.to_string(), operation)),
        "GET /git/blobs/{file_sha}" => blob(&git, asked.after("/git/blobs/"), operation),
        "GET /commits" => Some(Reply::told(200, log(&git, asked))),
        "GET /commits/{ref}" => {
            git::named(&git, asked.after("/commits/")).map(|commit| Reply::told(200, listed(&git, &commit, asked)))
        }
        "GET /commits/{ref}/check-runs" => Some(check_runs(desk, &git, asked, operation)),
        "GET /commits/{ref}/status" => {
            let told = json!({ "state": "pending", "total_count": 0, "statuses": [] });
            Some(Reply::told(200, over(operation.sample(), told)))
        }
        "GET /compare/{basehead}" => compare(&git, asked.after("/compare/"), operation),
        "GET /branches/{branch}" => Some(branch(desk, operation)),
        "GET /rules/branches/{branch}" => Some(Reply::told(200, json!([]))),
        _ => None,
    };
    let status = if asked.method == "POST" { 201 } else { 200 };
    found.map_or_else(Reply::missing, |reply| Reply { status, ..reply })
}

fn pointing(name: &str, at: Oid, operation: Operation) -> Reply {
    let told = json!({ "ref": name, "object": { "sha": at.to_string(), "type": "commit" } });
    Reply::told(200, over(operation.sample(), told))
}

fn reference(git: &Repository, branch: &str, operation: Operation) -> Option<Reply> {
    git::tip(git, branch).map(|at| pointing(&format!("refs/heads/{branch}"), at, operation))
}

fn create_reference(git: &Repository, asked: &Asked, operation: Operation) -> Reply {
    let (name, sha) = (asked.text("ref").unwrap_or_default(), asked.text("sha").unwrap_or_default());
    let Some(commit) = git::commit(git, sha) else { return Reply::invalid("Object does not exist") };
    match git.reference(name, commit.id(), false, "branch") {
        Ok(_) => Reply { status: 201, ..pointing(name, commit.id(), operation) },
        Err(_) => Reply::invalid("Reference already exists"),
    }
}

fn move_reference(git: &Repository, asked: &Asked, operation: Operation) -> Reply {
    let name = format!("refs/{}", asked.after("/git/refs/"));
    let (Ok(before), Some(after)) = (git.refname_to_id(&name), git::commit(git, asked.text("sha").unwrap_or_default()))
    else {
        return Reply::invalid("Reference does not exist");
    };
    let is_forward = git.graph_descendant_of(after.id(), before).unwrap_or_default() || before == after.id();
    if !is_forward || git.reference_matching(&name, after.id(), true, before, "push").is_err() {
        return Reply::invalid("Update is not a fast forward");
    }
    pointing(&name, after.id(), operation)
}

fn git_commit(commit: &Commit<'_>, operation: Operation) -> Reply {
    let person = |who: &Signature<'_>| {
        let (name, email) = (who.name().unwrap_or_default(), who.email().unwrap_or_default());
        json!({ "name": name, "email": email, "date": git::time(who.when().seconds()) })
    };
    let url = "https://api.github.com/x";
    let parents: Vec<Value> =
        commit.parent_ids().map(|id| json!({ "sha": id.to_string(), "url": url, "html_url": url })).collect();
    let told = json!({
        "sha": commit.id().to_string(), "message": commit.message().unwrap_or_default(),
        "author": person(&commit.author()), "committer": person(&commit.committer()),
        "tree": { "sha": commit.tree_id().to_string(), "url": url }, "parents": parents,
    });
    Reply::told(200, over(operation.sample(), told))
}

fn create_commit<'git>(git: &'git Repository, asked: &Asked) -> Option<Commit<'git>> {
    let body = asked.body.as_ref()?;
    let person = |who: &Value| {
        let at: Timestamp = who["date"].as_str()?.parse().ok()?;
        Signature::new(who["name"].as_str()?, who["email"].as_str()?, &Time::new(at.as_second(), 0)).ok()
    };
    let tree = git.find_tree(Oid::from_str(asked.text("tree")?).ok()?).ok()?;
    let names = body["parents"].as_array()?.iter();
    let parents: Vec<Commit<'_>> = names.map(|name| git::commit(git, name.as_str()?)).collect::<Option<_>>()?;
    let (author, committer) = (person(&body["author"])?, person(&body["committer"])?);
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    let made = git.commit(None, &author, &committer, asked.text("message")?, &tree, &parents).ok()?;
    git.find_commit(made).ok()
}

fn tree(git: &Repository, name: &str, operation: Operation) -> Option<Reply> {
    let tree = git.find_tree(Oid::from_str(name).ok()?).ok()?;
    let entries: Vec<Value> = tree
        .iter()
        .map(|entry| {
            let kind = entry.kind().map_or("commit", |kind| kind.str());
            json!({ "path": entry.name().unwrap_or_default(), "mode": format!("{:06o}", entry.filemode()), "type": kind,
                    "sha": entry.id().to_string(), "url": "https://api.github.com/x" })
        })
        .collect();
    Some(Reply::told(200, over(operation.sample(), json!({ "sha": name, "tree": entries, "truncated": false }))))
}

fn create_tree(git: &Repository, asked: &Asked) -> Option<Oid> {
    let base = git.find_tree(Oid::from_str(asked.text("base_tree")?).ok()?).ok()?;
    let mut edits = TreeUpdateBuilder::new();
    for entry in asked.body.as_ref()?["tree"].as_array()? {
        let path = entry["path"].as_str()?;
        let mode = match entry["mode"].as_str()? {
            "100755" => FileMode::BlobExecutable,
            _ => FileMode::Blob,
        };
        match entry["content"].as_str() {
            Some(text) => edits.upsert(path, git.blob(text.as_bytes()).ok()?, mode),
            None => edits.remove(path),
        };
    }
    edits.create_updated(git, &base).ok()
}

fn blob(git: &Repository, name: &str, operation: Operation) -> Option<Reply> {
    let blob = git.find_blob(Oid::from_str(name).ok()?).ok()?;
    // In lines of sixty, as GitHub sends it.
    let text: Vec<char> = STANDARD.encode(blob.content()).chars().collect();
    let lines: Vec<String> = text.chunks(60).map(|line| line.iter().collect()).collect();
    let told = json!({ "sha": name, "size": blob.size(), "encoding": "base64", "content": lines.join("\n") });
    Some(Reply::told(200, over(operation.sample(), told)))
}

fn log(git: &Repository, asked: &Asked) -> Value {
    let from = git::named(git, asked.query("sha").unwrap_or("main"));
    let mut walk = git.revwalk().expect("a walk");
    walk.set_sorting(git2::Sort::TOPOLOGICAL).expect("a sorting");
    from.into_iter().for_each(|commit| walk.push(commit.id()).expect("a commit"));
    let found: Vec<Oid> = asked.page(walk.map(|id| id.expect("a name")).collect());
    Value::Array(found.into_iter().map(|id| base(&git.find_commit(id).expect("a commit"))).collect())
}

fn base(commit: &Commit<'_>) -> Value {
    let url = "https://api.github.com/x";
    let parents: Vec<Value> = commit.parent_ids().map(|id| json!({ "sha": id.to_string(), "url": url })).collect();
    let date = git::time(commit.committer().when().seconds());
    let told = json!({
        "sha": commit.id().to_string(), "parents": parents,
        "commit": { "committer": { "date": date }, "message": commit.message().unwrap_or_default() },
    });
    over(element("commit"), told)
}

fn listed(git: &Repository, commit: &Commit<'_>, asked: &Asked) -> Value {
    let files = asked.page(git::files(git, commit));
    let file = |name: String| over(element("diff-entry"), json!({ "filename": name, "status": "modified" }));
    over(base(commit), json!({ "files": files.into_iter().map(file).collect::<Vec<_>>() }))
}

/// What was reported here, or what a check runner left in the repository.
fn check_runs(desk: &Desk, git: &Repository, asked: &Asked, operation: Operation) -> Reply {
    let name = asked.after("/commits/").trim_end_matches("/check-runs");
    let sha = git::named(git, name).map(|commit| commit.id().to_string()).unwrap_or_default();
    let state = desk.state();
    let reported = state.reports.iter().find(|report| report.sha == sha);
    let reported = reported.map(|report| (report.conclusion.map(str::to_owned), report.summary.clone()));
    let runs: Vec<Value> = reported
        .or_else(|| left_behind(git, &sha))
        .map(|(conclusion, summary)| {
            let status = if conclusion.is_some() { "completed" } else { "in_progress" };
            let told = json!({ "name": CHECK, "head_sha": sha, "status": status, "conclusion": conclusion,
                               "output": { "title": CHECK, "summary": summary } });
            over(element("check-run"), told)
        })
        .into_iter()
        .collect();
    Reply::told(200, over(operation.sample(), json!({ "total_count": runs.len(), "check_runs": runs })))
}

fn left_behind(git: &Repository, sha: &str) -> Option<(Option<String>, String)> {
    let found = git.revparse_single(&format!("refs/checks/{sha}:check.json")).ok()?;
    let report: Value = serde_json::from_slice(found.as_blob()?.content()).ok()?;
    let summary = report["summary"].as_str().unwrap_or_default().to_owned();
    Some((report["state"].as_str().map(str::to_owned), summary))
}

fn compare(git: &Repository, basehead: &str, operation: Operation) -> Option<Reply> {
    let (base, head) = basehead.split_once("...")?;
    let (base, head) = (git::named(git, base)?.id(), git::named(git, head)?.id());
    let (ahead, behind) = git.graph_ahead_behind(head, base).ok()?;
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        (_, _) => "diverged",
    };
    let told = json!({ "status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": ahead });
    Some(Reply::told(200, over(operation.sample(), told)))
}

fn branch(desk: &Desk, operation: Operation) -> Reply {
    let required = desk.state().required.clone();
    let is_protected = !required.is_empty();
    let checks = json!({ "contexts": required, "checks": [], "enforcement_level": "everyone" });
    let protection = json!({ "enabled": is_protected, "required_status_checks": checks });
    let told = json!({ "name": "main", "protected": is_protected, "protection": protection });
    Reply::told(200, over(operation.sample(), told))
}
