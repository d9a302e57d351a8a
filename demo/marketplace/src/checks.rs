//! The owners' check runner: every pull request's head is parsed and booted, the checks it carries are run, and the result
//! stands in the repository.
//!
//! A result is the ref `refs/checks/<sha>`: a commit whose tree holds `check.json`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use git2::{FileMode, Oid, Repository};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::deployer::Plan;
use crate::platform::Platform;
use crate::process::Process;
use crate::services::migrate;
use crate::{git, lifeline, reproduce};

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
    let booted = parsed && run("boot", boot(platform, repo, head, &place));
    let mut said = vec!["parses and boots".to_owned()];
    let stated = || reproduce::run(platform, repo, (base(repo, head)?, head), &place);
    let green = booted && run("checks", stated().map(|more| said.extend(more)));
    let failed = checks.iter().find(|check| check["state"] == "failure");
    let summary = failed.map_or_else(|| said.join("; "), |check| format!("{}: {}", check["name"], check["detail"]));
    json!({"sha": head.to_string(), "state": if green { "success" } else { "failure" }, "summary": summary, "checks": checks})
}

/// Where a head left main.
fn base(repo: &Repository, head: Oid) -> Result<Oid> {
    Ok(repo.merge_base(git::head(repo).context("there is no main")?, head)?)
}

fn changed(repo: &Repository, head: Oid) -> Result<Vec<String>> {
    git::changed(repo, Some(base(repo, head)?), head)
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
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(empty_database()).await?;
        migrate(&pool, &place.join("migrations")).await
    })
}

/// A database in memory that, as the services' own, uses the indexes there are and makes none up.
pub fn empty_database() -> SqliteConnectOptions {
    SqliteConnectOptions::new().in_memory(true).pragma("automatic_index", "off")
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
    match request(socket.local_addr()?, "GET /healthz HTTP/1.1", "", Duration::from_secs(5))? {
        200 => Ok(()),
        status => bail!("status {status}"),
    }
}

/// Sends one request, whose last header lines are added here, and waits for its status so long.
pub fn request(address: SocketAddr, head: &str, body: &str, within: Duration) -> Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n{body}").as_bytes())?;
    // `HTTP/1.1 200`: nothing after it matters.
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    let status = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.parse().ok());
    status.context("the answer is not HTTP")
}
