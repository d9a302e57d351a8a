//! The owners' deployer. Its only input is the repository's main; whoever moves it, the result is deployed.
//!
//! A service keeps its listening socket for life: a new process accepts on the same socket before the old one is let go, so a
//! deployment loses no request. A process never changes its revision.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use git2::{Oid, Repository};
use serde::Deserialize;

use crate::cage::Cage;
use crate::platform::{self, Platform};
use crate::process::Process;
use crate::{git, lifeline};

/// How often main is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// A service that ended is started again after this, doubling.
const BACKOFF: Duration = Duration::from_millis(500);
/// How long a port that is taken is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// `deploy.yaml`.
#[derive(Debug, Deserialize)]
pub struct Plan {
    /// Services, in the order they start.
    pub services: Vec<ServicePlan>,
}

/// One service of the plan.
#[derive(Debug, Clone, Deserialize)]
pub struct ServicePlan {
    /// `service.name`.
    pub name: String,
    /// Role that plays it.
    pub role: String,
    /// Files, or folders ending in `/`, that make a new release of it.
    pub watch: Vec<String>,
    /// Memory it may use before it is killed, megabytes.
    #[serde(default)]
    pub memory_mb: Option<u64>,
}

impl ServicePlan {
    /// Whether any of the files makes a new release.
    pub fn is_touched(&self, files: &[String]) -> bool {
        let watched = |file: &String| {
            self.watch.iter().any(|watch| if watch.ends_with('/') { file.starts_with(watch) } else { file == watch })
        };
        files.iter().any(watched)
    }
}

struct Running {
    plan: ServicePlan,
    socket: TcpListener,
    revision: Oid,
    process: Option<(Process, Cage)>,
    retry_at: Instant,
    backoff: Duration,
}

struct Deployer {
    platform: Platform,
    repo: Repository,
    services: BTreeMap<String, Running>,
}

/// Deploys until the parent lets go.
pub fn run(platform: Platform) -> Result<()> {
    lifeline::hold_hard();
    std::fs::create_dir_all(platform.data())?;
    let repo = Repository::open_bare(&platform.repo).context("cannot open the repository")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _exporters_run_here = runtime.enter();
    let mut deployer = Deployer { platform, repo, services: BTreeMap::new() };
    let mut seen = None;
    loop {
        let head = git::head(&deployer.repo);
        if head != seen {
            if let Some(commit) = head
                && let Err(error) = deployer.deploy(commit)
            {
                eprintln!("deployer: {commit} is not deployed: {error:#}");
            }
            seen = head;
        }
        deployer.revive();
        std::thread::sleep(LOOK);
    }
}

impl Deployer {
    fn deploy(&mut self, commit: Oid) -> Result<()> {
        let release = self.release(commit)?;
        let plan: Plan = serde_saphyr::from_str(&std::fs::read_to_string(release.join("deploy.yaml"))?)?;
        for service in plan.services {
            if let Err(error) = self.roll_out(service, commit, &release) {
                eprintln!("deployer: the old revision stays: {error:#}");
            }
        }
        Ok(())
    }

    fn release(&self, commit: Oid) -> Result<PathBuf> {
        let release = self.platform.dir.join("releases").join(commit.to_string());
        git::checkout(&self.repo, commit, &release)?;
        Ok(release)
    }

    fn roll_out(&mut self, plan: ServicePlan, commit: Oid, release: &Path) -> Result<()> {
        let running = self.services.remove(&plan.name);
        let (socket, old) = match running {
            Some(running) => {
                if !plan.is_touched(&git::changed(&self.repo, Some(running.revision), commit)?) {
                    self.services.insert(plan.name.clone(), Running { plan, ..running });
                    return Ok(());
                }
                (running.socket.try_clone()?, Some(running))
            }
            None => {
                let port = self.platform.ports.of(&plan.name).context("the plan names a service without a port")?;
                (listen_once_free(port).with_context(|| format!("{} cannot listen on {port}", plan.name))?, None)
            }
        };
        match self.start(&plan, commit, release, &socket) {
            Ok(process) => {
                println!("deployer: {} at {commit}", plan.name);
                old.and_then(|old| old.process).into_iter().for_each(|(process, _)| process.let_go());
                self.services.insert(plan.name.clone(), Running::new(plan, socket, commit, Some(process)));
                Ok(())
            }
            Err(error) => {
                let kept = old.unwrap_or_else(|| Running::new(plan, socket, commit, None));
                self.services.insert(kept.plan.name.clone(), kept);
                Err(error)
            }
        }
    }

    fn start(&self, plan: &ServicePlan, commit: Oid, release: &Path, socket: &TcpListener) -> Result<(Process, Cage)> {
        let revision = commit.to_string();
        let instance = format!("{}-{:08x}", plan.name, rand::random::<u32>());
        let mut environment = vec![
            ("OTEL_SERVICE_NAME", plan.name.clone()),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                format!(
                    "vcs.ref.head.revision={revision},service.version={},service.instance.id={instance}",
                    &revision[..10]
                ),
            ),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.platform.otlp_endpoint.clone()),
            ("OTEL_BSP_SCHEDULE_DELAY", "250".to_owned()),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000".to_owned()),
        ];
        if let Some(token) = self.platform.ingest_tokens.get(&plan.name) {
            environment.push(("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}")));
        }
        let data = self.platform.data();
        let process = Process::start(&self.platform, &plan.role, (release, &data), socket, &environment)?;
        let cage = Cage::around(&self.platform, plan, (revision, instance), process.id())?;
        Ok((process, cage))
    }

    /// Starts again what ended by itself, at its own revision.
    fn revive(&mut self) {
        let names: Vec<String> = self.services.keys().cloned().collect();
        for name in names {
            let Some(mut running) = self.services.remove(&name) else { continue };
            let ended = running.process.as_mut().is_none_or(|(process, cage)| cage.has_ended(process));
            if ended && Instant::now() >= running.retry_at {
                running.process = self.again(&running);
                running.retry_at = Instant::now() + running.backoff;
                running.backoff = (running.backoff * 2).min(LONGEST_BACKOFF);
            }
            self.services.insert(name, running);
        }
    }

    fn again(&self, running: &Running) -> Option<(Process, Cage)> {
        let release = self.release(running.revision);
        let started =
            release.and_then(|release| self.start(&running.plan, running.revision, &release, &running.socket));
        started.inspect_err(|error| eprintln!("deployer: {} does not start: {error:#}", running.plan.name)).ok()
    }
}

/// Listens for a service; a connection that goes out may hold the port for a moment.
fn listen_once_free(port: u16) -> io::Result<TcpListener> {
    let began = Instant::now();
    loop {
        match platform::listen(port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && began.elapsed() < PATIENCE => {
                std::thread::sleep(LOOK);
            }
            done => return done,
        }
    }
}

impl Running {
    fn new(plan: ServicePlan, socket: TcpListener, revision: Oid, process: Option<(Process, Cage)>) -> Self {
        Self { plan, socket, revision, process, retry_at: Instant::now(), backoff: BACKOFF }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_for_a_moment_is_waited_for() {
        let held = platform::listen(0).expect("a port");
        let port = held.local_addr().expect("an address").port();
        let waiting = std::thread::spawn(move || listen_once_free(port));
        std::thread::sleep(LOOK / 2);
        assert!(!waiting.is_finished(), "nobody can listen where somebody does");
        drop(held);
        assert_eq!(
            waiting.join().expect("no panic").and_then(|socket| socket.local_addr()).expect("bound").port(),
            port
        );
    }
}
