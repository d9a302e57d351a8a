//! Datasette's owners: a repository, a deployer that follows its main, a check runner for its pull requests, and customers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use git2::build::CheckoutBuilder;
use git2::{FileMode, Oid, Repository, Signature};

use crate::apps::{App, Protocol, Tools};
use crate::control::{self, Control, Endpoints};

const FILES: [(&str, &str); 3] = [
    ("settings.json", include_str!("owners/settings.json")),
    ("plugins/telemetry.py", include_str!("owners/plugins/telemetry.py")),
    (".sre-space.yaml", include_str!("owners/sre-space.yaml")),
];
/// Makes the database that is served.
const DATABASE: &str = "
import sqlite3
shop = sqlite3.connect('shop.db')
shop.execute('create table items (id integer primary key, name text)')
shop.executemany('insert into items values (?, ?)', [(n, f'item {n}') for n in range(500)])
shop.commit()
";
const LOOK: Duration = Duration::from_millis(200);

/// A release as it is laid out without git.
pub fn lay_out(tools: &Tools, place: &Path) {
    for (path, text) in FILES {
        let file = place.join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, text).expect("a file");
    }
    stock(tools, place);
}

fn stock(tools: &Tools, place: &Path) {
    let made = tools.python("python").args(["-c", DATABASE]).current_dir(place).status();
    assert!(made.expect("python runs").success(), "the database is made");
}

/// The owners, at work until dropped.
pub struct Owners {
    repo: PathBuf,
    port: u16,
    stop: Arc<AtomicBool>,
    at_work: Option<JoinHandle<()>>,
}

impl Owners {
    /// Commits the first release and starts to deploy and to check.
    pub fn at_work(dir: &Path, repo: &Path, control: &Control) -> Self {
        let port = sre_space_stage::free_port();
        commit_all(repo, port);
        let stop = Arc::new(AtomicBool::new(false));
        let shift = Shift {
            tools: Tools::find(),
            repo: repo.to_owned(),
            dir: dir.to_owned(),
            port,
            endpoints: control.endpoints.clone(),
            running: None,
        };
        let stopped = Arc::clone(&stop);
        let at_work = std::thread::spawn(move || shift.work(&stopped));
        Self { repo: repo.to_owned(), port, stop, at_work: Some(at_work) }
    }

    /// A file at the head of main.
    pub fn file(&self, path: &str) -> String {
        let repo = Repository::open_bare(&self.repo).expect("the repository");
        let found = repo.revparse_single(&format!("main:{path}")).expect("the file");
        String::from_utf8_lossy(found.as_blob().expect("a blob").content()).into_owned()
    }

    /// Customers who ask all the time; waits until Scout knows what is usual.
    pub async fn customers(&self, control: &Control) -> Customers {
        let (good, bad) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (Arc::clone(&good), Arc::clone(&bad));
        let base = format!("http://127.0.0.1:{}/shop/items", self.port);
        let mut asking = tokio::task::JoinSet::new();
        asking.spawn(async move {
            let http = sre_space_tls::http().pool_max_idle_per_host(0).build().expect("a client");
            let mut tick = tokio::time::interval(Duration::from_millis(40));
            for n in 0_u64.. {
                tick.tick().await;
                let path = if n.is_multiple_of(2) { ".json".to_owned() } else { format!("/{}.json", n % 500) };
                let served =
                    http.get(format!("{base}{path}")).send().await.is_ok_and(|answer| answer.status().is_success());
                if served { &counts.0 } else { &counts.1 }.fetch_add(1, Ordering::Relaxed);
            }
        });
        let known = |services: &serde_json::Value| control::requests(services, "datasette") >= 300;
        control.until("a healthy baseline", Duration::from_secs(90), "/api/v1/services", known).await;
        Customers { good, bad, _asking: asking }
    }
}

impl Drop for Owners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(at_work) = self.at_work.take() {
            _ = at_work.join();
        }
    }
}

/// Customers who count how they are served.
pub struct Customers {
    good: Arc<AtomicU64>,
    bad: Arc<AtomicU64>,
    /// Ends with this.
    _asking: tokio::task::JoinSet<()>,
}

impl Customers {
    /// Whether the next fifty requests are all served.
    pub async fn is_well(&self) -> bool {
        let (good, bad) = (self.good.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed));
        let mut tick = tokio::time::interval(LOOK);
        while self.good.load(Ordering::Relaxed) < good + 50 && self.bad.load(Ordering::Relaxed) == bad {
            tick.tick().await;
        }
        self.bad.load(Ordering::Relaxed) == bad
    }
}

fn commit_all(repo: &Path, port: u16) {
    let repo = Repository::open_bare(repo).expect("the repository");
    let empty = repo.treebuilder(None).and_then(|tree| tree.write()).and_then(|id| repo.find_tree(id)).expect("a tree");
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, text) in FILES {
        let blob = repo.blob(text.replace("PORT", &port.to_string()).as_bytes()).expect("a blob");
        update.upsert(path, blob, FileMode::Blob);
    }
    let tree = update.create_updated(&repo, &empty).and_then(|id| repo.find_tree(id)).expect("a tree");
    let owner = Signature::now("owners", "owners@example.com").expect("a signature");
    repo.commit(Some("refs/heads/main"), &owner, &owner, "Datasette", &tree, &[]).expect("a commit");
}

/// What deploys and checks.
struct Shift {
    tools: Tools,
    repo: PathBuf,
    dir: PathBuf,
    port: u16,
    endpoints: Endpoints,
    running: Option<(Oid, App)>,
}

impl Shift {
    fn work(mut self, stop: &AtomicBool) {
        let repo = Repository::open_bare(&self.repo).expect("the repository");
        while !stop.load(Ordering::Relaxed) {
            let head = repo.refname_to_id("refs/heads/main").expect("main");
            if self.running.as_ref().is_none_or(|(running, _)| *running != head) {
                let release = self.check_out(&repo, head, "releases");
                // The port is the service's for life: the old process leaves it before the new one takes it.
                self.running = None;
                let revision = head.to_string();
                let deployed = Some((self.port, revision.as_str()));
                let app = App::datasette(&self.tools, &release, &self.endpoints, Protocol::Grpc, deployed);
                self.running = Some((head, app));
            }
            for reference in repo.references_glob("refs/pull/*/head").expect("pull requests") {
                let head = reference.expect("a reference").target().expect("a commit");
                if repo.refname_to_id(&format!("refs/checks/{head}")).is_err() {
                    self.check(&repo, head);
                }
            }
            std::thread::sleep(LOOK);
        }
    }

    fn check_out(&self, repo: &Repository, commit: Oid, folder: &str) -> PathBuf {
        let place = self.dir.join(folder).join(commit.to_string());
        std::fs::create_dir_all(&place).expect("a folder");
        let tree = repo.find_commit(commit).and_then(|commit| commit.tree()).expect("a tree");
        let mut how = CheckoutBuilder::new();
        repo.checkout_tree(tree.as_object(), Some(how.target_dir(&place).force())).expect("checked out");
        if !place.join("shop.db").exists() {
            stock(&self.tools, &place);
        }
        place
    }

    /// A head is green when Datasette answers a page from it.
    fn check(&self, repo: &Repository, head: Oid) {
        let place = self.check_out(repo, head, "checks");
        let page = self.tools.python("datasette").args([".", "--get", "/shop/items.json"]).current_dir(&place).output();
        let green = page.expect("datasette runs").status.success();
        let (state, summary) = if green { ("success", "a page is served") } else { ("failure", "no page is served") };
        let report = serde_json::json!({"sha": head.to_string(), "state": state, "summary": summary}).to_string();
        let blob = repo.blob(report.as_bytes()).expect("a blob");
        let mut tree = repo.treebuilder(None).expect("a tree");
        tree.insert("check.json", blob, FileMode::Blob.into()).expect("a file");
        let tree = tree.write().and_then(|id| repo.find_tree(id)).expect("a tree");
        let owner = Signature::now("owners", "owners@example.com").expect("a signature");
        repo.commit(Some(&format!("refs/checks/{head}")), &owner, &owner, "Checks", &tree, &[]).expect("a report");
    }
}
