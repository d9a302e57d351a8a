//! The owners' check runner: every pull request's head is parsed and booted, and the result stands in the repository.
//!
//! A result is the ref `refs/checks/<sha>`: a commit whose tree holds `check.json`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use git2::{FileMode, Oid, Repository};
use serde_json::{Value, json};

use crate::deployer::Plan;
use crate::platform::Platform;
use crate::process::Process;
use crate::services::migrate;
use crate::{git, lifeline};

/// How often pull requests are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Checks until the parent lets go.
pub fn run(platform: &Platform) -> Result<()> {
    lifeline::hold_hard();
    let repo = Repository::open_bare(&platform.repo).context("cannot open the repository")?;
    loop {
        for head in unchecked(&repo)? {
            let result = check(platform, &repo, head);
            record(&repo, head, &result)?;
            println!("checks: {head} {}", result["state"]);
        }
        std::thread::sleep(LOOK);
    }
}

fn result_ref(head: Oid) -> String {
    format!("refs/checks/{head}")
}

fn unchecked(repo: &Repository) -> Result<Vec<Oid>> {
    let mut heads = Vec::new();
    for reference in repo.references_glob("refs/pull/*/head")? {
        if let Some(head) = reference?.target().filter(|head| repo.refname_to_id(&result_ref(*head)).is_err()) {
            heads.push(head);
        }
    }
    Ok(heads)
}

fn record(repo: &Repository, head: Oid, result: &Value) -> Result<()> {
    let mut tree = repo.treebuilder(None)?;
    tree.insert("check.json", repo.blob(&serde_json::to_vec_pretty(result)?)?, FileMode::Blob.into())?;
    let tree = repo.find_tree(tree.write()?)?;
    let owner = git::owners()?;
    let commit = repo.commit(None, &owner, &owner, &format!("Checks of {head}"), &tree, &[])?;
    repo.reference(&result_ref(head), commit, true, "checks")?;
    Ok(())
}

/// Runs every check of a head.
fn check(platform: &Platform, repo: &Repository, head: Oid) -> Value {
    let mut checks = Vec::new();
    let mut run = |name: &str, outcome: Result<()>| {
        let (state, detail) = match outcome {
            Ok(()) => ("success", String::new()),
            Err(error) => ("failure", format!("{error:#}")),
        };
        checks.push(json!({"name": name, "state": state, "detail": detail}));
        state == "success"
    };
    let place = platform.dir.join("checks").join(head.to_string());
    let parsed = run("parse", parse(repo, head, &place));
    let green = parsed && run("boot", boot(platform, repo, head, &place));
    let failed = checks.iter().find(|check| check["state"] == "failure");
    let summary =
        failed.map_or_else(|| "parses and boots".to_owned(), |check| format!("{}: {}", check["name"], check["detail"]));
    json!({"sha": head.to_string(), "state": if green { "success" } else { "failure" }, "summary": summary, "checks": checks})
}

fn changed(repo: &Repository, head: Oid) -> Result<Vec<String>> {
    let base = git::head(repo).context("there is no main")?;
    git::changed(repo, Some(repo.merge_base(base, head)?), head)
}

/// Every changed file that has a syntax parses.
fn parse(repo: &Repository, head: Oid, place: &Path) -> Result<()> {
    git::checkout(repo, head, place)?;
    for path in changed(repo, head)? {
        let Ok(text) = std::fs::read_to_string(place.join(&path)) else { continue };
        let parsed = match path.rsplit('.').next() {
            Some("yaml" | "yml") => serde_saphyr::from_str::<Value>(&text).map(drop).map_err(anyhow::Error::from),
            Some("json") => serde_json::from_str::<Value>(&text).map(drop).map_err(anyhow::Error::from),
            Some("rhai") => rhai::Engine::new().compile(&text).map(drop).map_err(anyhow::Error::from),
            Some("sql") => migrations(place),
            Some(_) | None => Ok(()),
        };
        parsed.with_context(|| path)?;
    }
    Ok(())
}

/// All migrations apply to an empty database.
fn migrations(place: &Path) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
        migrate(&pool, &place.join("migrations")).await
    })
}

/// Every service that the change makes a new release of boots and answers.
fn boot(platform: &Platform, repo: &Repository, head: Oid, place: &Path) -> Result<()> {
    let plan: Plan = serde_saphyr::from_str(&std::fs::read_to_string(place.join("deploy.yaml"))?)?;
    let files = changed(repo, head)?;
    let data = place.join("check-data");
    std::fs::create_dir_all(&data)?;
    for service in plan.services.iter().filter(|service| service.is_touched(&files)) {
        let socket = TcpListener::bind("127.0.0.1:0")?;
        let process = Process::start(platform, &service.role, (place, &data), &socket, &[])
            .with_context(|| format!("{} does not boot", service.name))?;
        answers(&socket).with_context(|| format!("{} does not answer", service.name))?;
        process.let_go();
    }
    Ok(())
}

fn answers(socket: &TcpListener) -> Result<()> {
    let mut stream = TcpStream::connect(socket.local_addr()?)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("{}", answer.lines().next().unwrap_or("no answer")) }
}
