//! The stage whole loops play on: a real control plane, a real user plane, and optionally a disguise between them.
//!
//! Nothing here is simulated; the processes are the product's own binary. Waits are for observed conditions, each with a
//! deadline that fails the test.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod calm;
pub mod disguise;
mod lookout;
mod start;

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use marketplace::platform::Platform;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::calm::stays_quiet;
pub use self::lookout::{now_ms, opened_ms, told};
pub use self::start::edit;
use self::start::{policies_with, prepare, processes, serve, start_plane};
pub use sre_space_peers::free_port;

const SERVICES: [&str; 3] = ["marketplace-web", "quote-engine", "rating-provider"];

/// Two cores carry this many small marketplaces at a time.
const AT_ONCE: u32 = 3;
static STAGES: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// What a loop may take from the injection to the end, on two busy cores and without optimisation.
pub const PATIENCE: Duration = Duration::from_secs(150);
/// States in which nothing more happens by itself.
pub const ENDS: [&str; 3] = ["resolved", "escalated", "awaiting_human"];

/// A text of a JSON value; empty when there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// How a play is set up.
pub struct Setup {
    /// Quotes per second.
    pub load: f64,
    /// Bursts and near silence instead of a steady rate.
    pub is_uneven: bool,
    /// Share of requests for customers whose records are malformed.
    pub dirty_share: f64,
    /// A policy added to the built-in ones.
    pub extra_policy: Option<&'static str>,
    /// Rewrites `.sre-space.yaml` before anything starts.
    pub edit_rules: fn(String) -> String,
    /// What stands between the services and the control plane.
    pub disguise: Option<disguise::Disguise>,
    /// Whether the play needs the machine for itself.
    pub alone: bool,
    /// Settings of the control plane beside those of every play.
    pub env: Vec<(&'static str, String)>,
    /// The folder of everything; a new one when there is none. The repository is `marketplace.git` in it.
    pub dir: Option<tempfile::TempDir>,
    /// The product's program.
    pub binary: &'static str,
    /// Program and arguments of the control plane.
    pub control: Vec<String>,
}

impl Setup {
    /// A small shop under the product's own control plane.
    pub fn of(binary: &'static str) -> Self {
        Self {
            load: 60.0,
            is_uneven: false,
            dirty_share: 0.0,
            extra_policy: None,
            edit_rules: |text| text,
            disguise: None,
            alone: false,
            env: Vec::new(),
            dir: None,
            binary,
            control: product(binary),
        }
    }
}

/// The product's control plane.
fn product(binary: &str) -> Vec<String> {
    vec![binary.to_owned(), "serve".to_owned()]
}

/// A running control plane and user plane; both end with it.
pub struct Stage {
    /// Folder of everything.
    pub dir: tempfile::TempDir,
    /// The user plane's settings.
    pub platform: Platform,
    binary: &'static str,
    http: reqwest::Client,
    api: String,
    ports: (u16, u16),
    env: Vec<(&'static str, String)>,
    control: Child,
    plane: Child,
    _room: SemaphorePermit<'static>,
}

impl Stage {
    /// Starts both planes and waits for healthy traffic that Scout has seen.
    pub async fn set(mut setup: Setup) -> Self {
        let room = STAGES.acquire_many(if setup.alone { AT_ONCE } else { 1 }).await.expect("room");
        let dir = setup.dir.take().unwrap_or_else(|| tempfile::tempdir().expect("a temporary folder"));
        let (api, grpc) = (free_port(), free_port());
        let entrance = match setup.disguise.clone() {
            Some(disguise) => disguise::stand_between(disguise, grpc).await,
            None => grpc,
        };
        let platform = prepare(dir.path(), entrance, &setup);
        let policies = setup.extra_policy.map(|text| policies_with(dir.path(), text));
        let policies = policies.map(|folder| ("SRE_SPACE_POLICY_DIR", folder.to_string_lossy().into_owned()));
        let env = setup.env.into_iter().chain(policies).collect();
        let ports = (api, grpc);
        let control = serve(&setup.control, dir.path(), &platform, ports, &env);
        let plane = start_plane(setup.binary, dir.path());
        let api = format!("http://127.0.0.1:{api}");
        let http = sre_space_tls::client();
        let binary = setup.binary;
        let stage = Self { dir, platform, binary, http, api, ports, env, control, plane, _room: room };
        stage.baseline().await;
        stage
    }

    async fn baseline(&self) {
        self.until("a healthy baseline", Duration::from_secs(120), async || {
            let services = self.get("/api/v1/services").await?;
            let nodes = services.get("nodes")?.as_array()?.clone();
            let served = |node: &Value| node.get("requests").and_then(Value::as_u64).unwrap_or_default() >= 300;
            (nodes.len() >= 3 && nodes.iter().filter(|node| served(node)).count() >= 3).then_some(())
        })
        .await;
    }

    /// Waits until the control plane has died, and starts the product's own in its place.
    pub async fn restart_control(&mut self, patience: Duration) {
        let began = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while self.control.try_wait().expect("the control plane is ours").is_none() {
            tick.tick().await;
            assert!(began.elapsed() < patience, "the control plane did not come to its crash point");
        }
        let program = product(self.binary);
        self.control = serve(&program, self.dir.path(), &self.platform, self.ports, &self.env);
    }

    /// Names of the references that match a glob.
    pub fn references(&self, glob: &str) -> Vec<String> {
        let repo = git2::Repository::open_bare(&self.platform.repo).expect("the repository");
        let found = repo.references_glob(glob).expect("references");
        found.map(|found| found.expect("a reference").name().expect("a name").to_owned()).collect()
    }

    /// Breaks the marketplace at its own port.
    pub async fn inject(&self, kind: &str) {
        self.marketplace(&format!("/demo/inject-failure?type={kind}")).await;
    }

    /// Mends the marketplace at its own port.
    pub async fn resolve(&self) {
        self.marketplace("/demo/resolve").await;
    }

    async fn marketplace(&self, path: &str) {
        let url = format!("http://127.0.0.1:{}{path}", self.platform.ports.web);
        let answer = self.http.post(url).send().await.expect("the marketplace answers");
        assert!(answer.status().is_success(), "{}: {:?}", answer.status(), answer.text().await);
    }

    /// Waits until the newest incident is in one of the states; answers it.
    pub async fn incident_in(&self, states: &[&str], patience: Duration) -> Value {
        self.incident_after(0, states, patience).await
    }

    /// As `incident_in`, for the incident opened after `earlier` others.
    pub async fn incident_after(&self, earlier: usize, states: &[&str], patience: Duration) -> Value {
        self.until(&format!("an incident in {states:?}"), patience, async || {
            let listed = self.get("/api/v1/incidents").await?;
            let mut incidents = listed.as_array()?.clone();
            // A suspicion that faded is none.
            incidents.retain(|incident| incident["state"] != "suppressed");
            let newest = incidents.len().checked_sub(earlier + 1).and_then(|_| incidents.first())?;
            let id = newest.get("id")?.as_str()?;
            let incident = self.get(&format!("/api/v1/incidents/{id}")).await?;
            let state = incident.get("state")?.as_str()?;
            states.contains(&state).then(|| incident.clone())
        })
        .await
    }

    /// Waits until an incident has come into a state, however short it stayed there.
    pub async fn reached(&self, state: &str, patience: Duration) {
        self.until(&format!("an incident that was {state}"), patience, async || {
            let listed = self.get("/api/v1/incidents").await?;
            let id = listed.pointer("/0/id")?.as_str()?.to_owned();
            let events = self.get(&format!("/api/v1/incidents/{id}/events")).await?;
            events.as_array()?.iter().any(|event| event["state"] == state).then_some(())
        })
        .await;
    }

    /// Waits until there are so many incidents and all of them have ended; suspicions that faded do not count.
    pub async fn incidents_ended(&self, count: usize, patience: Duration) -> Vec<Value> {
        self.until(&format!("{count} incidents that ended"), patience, async || {
            let mut incidents = self.get("/api/v1/incidents").await?.as_array()?.clone();
            incidents.retain(|incident| incident["state"] != "suppressed");
            let ended = |incident: &Value| ENDS.iter().any(|end| incident["state"] == *end);
            (incidents.len() >= count && incidents.iter().all(ended)).then_some(incidents)
        })
        .await
    }

    /// Waits until a service runs the head of main and is seen healthy with it.
    pub async fn redeployed(&self, service: &str) {
        let head = git2::Repository::open_bare(&self.platform.repo)
            .and_then(|repo| repo.refname_to_id("refs/heads/main"))
            .expect("main")
            .to_string();
        self.until("the deployment of main", Duration::from_secs(60), async || {
            let services = self.get("/api/v1/services").await?;
            let nodes = services.get("nodes")?.as_array()?.clone();
            let is_new = |node: &&Value| node["service"] == service && node["revision"] == head.as_str();
            nodes.iter().find(is_new).filter(|node| node["state"] == "healthy").map(|_| ())
        })
        .await;
    }

    /// Waits until the journal says that a service handed to a person is seen healthy again.
    pub async fn healthy(&self, service: &str) {
        self.until(&format!("a healthy {service}"), Duration::from_secs(90), async || {
            let listed = self.get("/api/v1/incidents").await?;
            let id = listed.pointer("/0/id")?.as_str()?.to_owned();
            let events = self.get(&format!("/api/v1/incidents/{id}/events")).await?;
            let calm = |event: &Value| event["text"].as_str().is_some_and(|text| text.contains("seen healthy again"));
            events.as_array()?.iter().any(calm).then_some(())
        })
        .await;
    }

    /// Waits until the journal says that a person was called.
    pub async fn paged(&self, id: &str) {
        self.until("the call of a person", Duration::from_secs(30), async || {
            let events = self.get(&format!("/api/v1/incidents/{id}/events")).await?;
            let called = |event: &Value| event["text"].as_str().is_some_and(|text| text.contains("person was called"));
            events.as_array()?.iter().any(called).then_some(())
        })
        .await;
    }

    /// The journal rows of an incident.
    pub async fn events(&self, id: &str) -> Vec<Value> {
        let listed = self.get(&format!("/api/v1/incidents/{id}/events")).await.expect("the events");
        listed.as_array().cloned().unwrap_or_default()
    }

    /// Runs the product's command line against the control plane; answers exit code and all it printed.
    pub fn command(&self, args: &[&str]) -> (Option<i32>, String) {
        self.run(&[args, &["--server", &self.api]].concat())
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let run = Command::new(self.binary).args(args).current_dir(self.dir.path()).output().expect("the command runs");
        let told = [run.stdout, run.stderr].concat();
        (run.status.code(), String::from_utf8_lossy(&told).into_owned())
    }

    /// Every pull request of the control plane passes `verify-proof`, and none does with one byte of it flipped.
    pub async fn proven(&self) {
        let activity = self.get("/api/git-activity").await.expect("the activity");
        let pulls = activity["pull_requests"].as_array().cloned().unwrap_or_default();
        let ours = |pull: &&Value| pull["branch"].as_str().is_some_and(|branch| branch.starts_with("sre-space/"));
        let bodies: Vec<&str> = pulls.iter().filter(ours).filter_map(|pull| pull["body"].as_str()).collect();
        assert!(!bodies.is_empty(), "no pull request of ours: {activity:#}");
        for body in bodies {
            let (code, told) = self.verify_proof(body.as_bytes());
            assert_eq!(code, Some(0), "{told}\n{body}");
            let mut flipped = body.as_bytes().to_vec();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            assert_eq!(self.verify_proof(&flipped).0, Some(1), "byte {middle} flipped");
        }
    }

    fn verify_proof(&self, body: &[u8]) -> (Option<i32>, String) {
        let file = self.dir.path().join("pull-request.md");
        std::fs::write(&file, body).expect("a file");
        self.run(&["verify-proof", &file.to_string_lossy()])
    }

    /// The address of a route.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    /// Reads the API.
    pub async fn get(&self, path: &str) -> Option<Value> {
        self.http.get(self.url(path)).send().await.ok()?.json().await.ok()
    }

    /// The last seconds of the traffic generator's own count: (sent, failed or slow).
    pub fn traffic(&self, seconds: usize) -> (u64, u64) {
        let text = std::fs::read_to_string(self.platform.dir.join("traffic.jsonl")).unwrap_or_default();
        let lines: Vec<Value> =
            text.lines().rev().take(seconds).filter_map(|line| serde_json::from_str(line).ok()).collect();
        let sum = |key: &str| lines.iter().filter_map(|line| line.get(key)?.as_u64()).sum::<u64>();
        (sum("sent"), sum("failed") + sum("slow"))
    }

    /// Ends the user plane in its own time: from then on nothing is exported any more.
    pub fn end_traffic(&mut self) {
        drop(self.plane.stdin.take());
        self.plane.wait().expect("the user plane is ours");
    }

    /// Kills the process of one role of the user plane for good.
    pub fn kill_role(&self, role: &str) {
        let (role, dir) = (format!(" user-plane {role} "), self.dir.path().to_string_lossy().into_owned());
        let plays = |line: &String| line.contains(&role) && line.contains(&dir);
        let played: Vec<_> = processes().filter(|(_, line)| plays(line)).map(|(pid, _)| pid).collect();
        assert!(!played.is_empty(), "no process plays {role}");
        for pid in played {
            rustix::process::kill_process(pid, Signal::KILL).expect("a kill");
        }
    }

    /// The deployed branch's log, one line a commit, newest first.
    pub fn git_log(&self) -> Vec<String> {
        let repo = git2::Repository::open_bare(&self.platform.repo).expect("the repository");
        let mut walk = repo.revwalk().expect("a walk");
        walk.push_ref("refs/heads/main").expect("main");
        walk.set_sorting(git2::Sort::TOPOLOGICAL).expect("a sorting");
        let title = |oid: git2::Oid| repo.find_commit(oid).expect("a commit").message().unwrap_or_default().to_owned();
        walk.map(|oid| title(oid.expect("an id"))).collect()
    }

    /// A file at the head of the deployed branch.
    pub fn file(&self, path: &str) -> String {
        let repo = git2::Repository::open_bare(&self.platform.repo).expect("the repository");
        let spec = repo.revparse_single(&format!("main:{path}")).expect("the file");
        String::from_utf8_lossy(spec.as_blob().expect("a blob").content()).into_owned()
    }

    fn end_of(&self, log: &str) -> String {
        let log = std::fs::read_to_string(self.dir.path().join(log)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Waits until something is seen, and fails after a while.
    pub async fn until<T>(&self, what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        self.settled(what, patience, async || look().await.ok_or("not seen")).await
    }

    /// Like [`Stage::until`], of something that says what it still lacks.
    pub async fn settled<T, Lack: std::fmt::Debug>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl AsyncFnMut() -> Result<T, Lack>,
    ) -> T {
        let began = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        loop {
            tick.tick().await;
            match look().await {
                Ok(seen) => return seen,
                Err(lack) if began.elapsed() > patience => {
                    let incidents = self.get("/api/v1/incidents").await;
                    let [control, plane] = ["control-plane.log", "user-plane.log"].map(|log| self.end_of(log));
                    panic!(
                        "waited {patience:?} for {what}: {lack:?}; incidents: {incidents:#?}; the control plane's log ends \
                         with\n{control}\nand the user plane's with\n{plane}"
                    );
                }
                Err(_) => {}
            }
        }
    }
}

/// Lines of each log that a failed play shows.
const LINES: usize = 60;

impl Drop for Stage {
    fn drop(&mut self) {
        for child in [&mut self.plane, &mut self.control] {
            _ = child.kill();
            _ = child.wait();
        }
    }
}
