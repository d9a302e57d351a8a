//! Checks that pull requests carry: a file in `checks/` states a failure. A new one is red before the change and green after
//! it; one that is there already stays green.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use git2::{Oid, Repository};
use serde::Deserialize;
use sqlx::Row as _;
use sqlx::sqlite::SqlitePoolOptions;

use crate::checks::{self, empty_database};
use crate::deployer::Plan;
use crate::git;
use crate::platform::Platform;
use crate::process::Process;

const FOLDER: &str = "checks/";
const TEMPLATES: &str = "checks/templates/";

/// What a file in `checks/` states.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Statement {
    /// A number of a configuration file is large enough.
    Setting { file: String, path: String, at_least: i64 },
    /// A question to the migrated database is answered by its indexes.
    Query { sql: String, reads_no_table_whole: bool },
    /// A booted service answers each of these requests well, in time.
    Probe {
        service: String,
        post: String,
        bodies: Vec<String>,
        within_ms: u64,
        /// A service that takes connections and says nothing.
        #[serde(default)]
        silent: Option<String>,
    },
}

/// Where one revision is tried.
struct Bench<'a> {
    platform: &'a Platform,
    place: PathBuf,
    name: String,
}

/// Whether a statement holds; else why not.
type Holds = Result<(), String>;

/// Runs every check of a head against it, and the new ones against its base as well; tells what they said.
pub fn run(platform: &Platform, repo: &Repository, (base, head): (Oid, Oid), place: &Path) -> Result<Vec<String>> {
    let fresh = git::changed(repo, Some(base), head)?;
    let mut said = Vec::new();
    for path in files(place)? {
        let text = std::fs::read_to_string(place.join(&path))?;
        let statement: Statement = serde_saphyr::from_str(&text).with_context(|| path.clone())?;
        let name = |commit: Oid| commit.to_string().chars().take(10).collect::<String>();
        let after = Bench { platform, place: place.to_owned(), name: name(head) };
        if let Err(why) = after.holds(&statement).with_context(|| path.clone())? {
            bail!("{path} is red on {}: {why}", after.name);
        }
        if fresh.contains(&path) {
            let before = platform.dir.join("checks").join(format!("{base}-before"));
            git::checkout(repo, base, &before)?;
            let before = Bench { platform, place: before, name: name(base) };
            let red = before.holds(&statement).with_context(|| path.clone())?;
            let Err(why) = red else { bail!("{path} is green on {} already: it reproduces nothing", before.name) };
            said.push(format!("{path}: red on {} ({why}), green on {}", before.name, after.name));
        } else {
            said.push(format!("{path}: still green"));
        }
    }
    Ok(said)
}

fn files(place: &Path) -> Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(place.join(FOLDER)) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(format!("{FOLDER}{}", entry.file_name().to_string_lossy()));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a path is a check that a pull request brought.
pub fn is_carried(path: &str) -> bool {
    path.starts_with(FOLDER) && !path.starts_with(TEMPLATES)
}

impl Bench<'_> {
    fn holds(&self, statement: &Statement) -> Result<Holds> {
        match statement {
            Statement::Setting { file, path, at_least } => self.setting(file, path, *at_least),
            Statement::Query { sql, reads_no_table_whole } => self.query(sql, *reads_no_table_whole),
            Statement::Probe { service, post, bodies, within_ms, silent } => {
                let within = Duration::from_millis(*within_ms);
                self.probe(service, silent.as_deref(), |address| ask(address, post, bodies, within))
            }
        }
    }

    fn setting(&self, file: &str, path: &str, at_least: i64) -> Result<Holds> {
        let text = std::fs::read_to_string(self.place.join(file)).with_context(|| file.to_owned())?;
        let config: serde_json::Value = serde_saphyr::from_str(&text).with_context(|| file.to_owned())?;
        let found = path.split('.').try_fold(&config, |at, key| at.get(key)).and_then(serde_json::Value::as_i64);
        let number = found.with_context(|| format!("{file} has no number at {path}"))?;
        Ok(if number >= at_least { Ok(()) } else { Err(format!("{path} is {number}, {at_least} are wanted")) })
    }

    fn query(&self, sql: &str, reads_no_table_whole: bool) -> Result<Holds> {
        let plan = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(empty_database()).await?;
            crate::services::migrate(&pool, &self.place.join("migrations")).await?;
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            anyhow::Ok(sqlx::query(explain).fetch_all(&pool).await?)
        })?;
        let steps = plan.iter().map(|row| row.try_get::<String, _>("detail")).collect::<Result<Vec<_>, _>>()?;
        ensure!(!steps.is_empty(), "the question has no plan");
        let whole = steps.iter().find(|step| step.starts_with("SCAN")).filter(|_| reads_no_table_whole);
        Ok(whole.map_or(Ok(()), |step| Err(format!("the plan has {step:?}"))))
    }

    /// Boots a service and what it calls, and asks it.
    fn probe(&self, service: &str, silent: Option<&str>, ask: impl Fn(SocketAddr) -> Holds) -> Result<Holds> {
        let plan: Plan = serde_saphyr::from_str(&std::fs::read_to_string(self.place.join("deploy.yaml"))?)?;
        let data = self.place.join(format!("{}-data", self.name));
        std::fs::create_dir_all(&data)?;
        let mut environment = Vec::new();
        let (mut processes, mut sockets) = (Vec::new(), Vec::new());
        let mut asked = None;
        for planned in plan.services {
            let socket = TcpListener::bind("127.0.0.1:0")?;
            let address = socket.local_addr()?;
            environment.push((url_of(&planned.name), format!("http://{address}")));
            if silent != Some(planned.name.as_str()) {
                let settings: Vec<(&str, String)> =
                    environment.iter().map(|(name, url)| (name.as_str(), url.clone())).collect();
                processes.push(Process::start(self.platform, &planned.role, (&self.place, &data), &socket, &settings)?);
            }
            // A silent one keeps its socket open: connections are taken and nobody answers.
            sockets.push(socket);
            if planned.name == service {
                asked = Some(address);
                break;
            }
        }
        let holds = ask(asked.with_context(|| format!("{service} is not in deploy.yaml"))?);
        processes.into_iter().for_each(Process::let_go);
        Ok(holds)
    }
}

/// The environment variable that tells where a service answers.
fn url_of(service: &str) -> String {
    format!("{}_URL", service.to_ascii_uppercase().replace('-', "_"))
}

/// All requests at once.
fn ask(address: SocketAddr, path: &str, bodies: &[String], within: Duration) -> Holds {
    let one = |body: &String| {
        let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        match checks::request(address, &head, body, within) {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("{body} gets {status}")),
            Err(error) => Err(format!("{body} gets no answer within {} ms: {error:#}", within.as_millis())),
        }
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = bodies.iter().map(|body| scope.spawn(|| one(body))).collect();
        asked
            .into_iter()
            .try_for_each(|asked| asked.join().unwrap_or_else(|_| Err("the asking thread panicked".to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owners_templates_state_something() {
        let templates = [
            include_str!("../seed/checks/templates/pool.yaml"),
            include_str!("../seed/checks/templates/prices.yaml"),
            include_str!("../seed/checks/templates/provider.yaml"),
            include_str!("../seed/checks/templates/history.yaml"),
        ];
        for template in templates {
            let text = template.replace("{incident}", "inc_0").replace("{demand}", "31");
            serde_saphyr::from_str::<Statement>(&text).expect("a statement");
        }
    }

    #[test]
    fn only_checks_of_pull_requests_are_carried() {
        assert!(is_carried("checks/inc_1.yaml"));
        assert!(!is_carried("checks/templates/pool.yaml") && !is_carried("config/checks/a.yaml"));
    }
}
