//! What each kind of token leads to: no start, a start without merging, or a start with everything. And no token is told.

use std::io;
use std::sync::{Arc, Mutex};

use libtest_mimic::Trial;
use sre_space_adapters::forge::github::Credentials;
use sre_space_adapters::upstream::Upstream;
use sre_space_github::{Caller, Github, KEY_PKCS1, KEY_PKCS8, MINIMAL};
use sre_space_ports::forge::Issues as _;

use super::bench::{app, connect};
use crate::forge::seed;
use crate::run;

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("forge/github/only_the_least_rights_merge_without_a_person", || run(table())),
        Trial::test("forge/github/no_token_is_told", no_token_is_told),
    ]
}

/// What a mix of rights comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// Everything, merging included.
    Everything,
    /// A start; merging takes a person, since …
    APerson(&'static str),
    /// No start, since …
    Nothing(&'static str),
}

use Comes::{APerson, Everything, Nothing};
use sre_space_domain::secret::Secret;

type Granted = Vec<(&'static str, &'static str)>;

fn with(name: &'static str, level: &'static str) -> Granted {
    let kept = without(name);
    kept.into_iter().chain([(name, level)]).collect()
}

fn without(name: &str) -> Granted {
    MINIMAL.into_iter().filter(|(held, _)| *held != name).collect()
}

fn mixes() -> Vec<(Caller, Comes)> {
    use Caller::{App, Classic, FineGrained};
    vec![
        (Caller::minimal(), Everything),
        (App(with("workflows", "write")), APerson("workflows: write")),
        (App(with("administration", "write")), APerson("administration: write")),
        (App(with("secrets", "read")), APerson("secrets: read")),
        (App(with("checks", "write")), APerson("checks: write")),
        (App(with("contents", "read")), Nothing("lacks contents: write")),
        (App(without("pull_requests")), Nothing("lacks pull_requests: write")),
        (App(without("issues")), Nothing("lacks issues: write")),
        (App(without("statuses")), Nothing("lacks statuses: read")),
        (Classic("repo", true), APerson("every repository of its owner")),
        (Classic("repo, workflow, admin:org", true), APerson("workflow")),
        (Classic("gist", true), Nothing("lacks the scope repo")),
        (Classic("repo", false), Nothing("write access")),
        (FineGrained(MINIMAL.to_vec()), APerson("does not tell")),
        (FineGrained(without("contents")), Nothing("contents=write")),
        (FineGrained(with("issues", "read")), Nothing("issues=write")),
    ]
}

fn credentials(caller: &Caller) -> Credentials {
    caller.token().map_or_else(|| app(KEY_PKCS1), |token| Credentials::Token(Secret::new(token)))
}

async fn came_to(caller: &Caller) -> (Comes, String) {
    let folder = tempfile::tempdir().expect("a folder");
    seed(folder.path());
    let github = Github::start(folder.path(), caller.clone());
    let connected = connect(&github, credentials(caller), Upstream::new("github")).await;
    assert_eq!((github.pull_requests(), github.issues()), (0, (0, 0)), "looking wrote something");
    match connected.map(|forge| forge.rights().merging.clone()) {
        Ok(Ok(())) => (Everything, String::new()),
        Ok(Err(why)) => (APerson(""), why),
        Err(error) => (Nothing(""), error.to_string()),
    }
}

async fn table() {
    for (caller, wanted) in mixes() {
        let (came, told) = came_to(&caller).await;
        let (bare, words) = match wanted {
            Everything => (Everything, ""),
            APerson(words) => (APerson(""), words),
            Nothing(words) => (Nothing(""), words),
        };
        assert!(came == bare && told.contains(words), "{caller:?} came to {came:?}: {told}");
    }
}

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn no_token_is_told() -> Result<(), libtest_mimic::Failed> {
    let log = Log::default();
    let writer = log.clone();
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // One thread, so that everything that happens is seen.
    let _seen = tracing::subscriber::set_default(all.finish());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut told, mut secrets) = (Vec::new(), Vec::new());
    for caller in [Caller::minimal(), Caller::Classic("repo", true), Caller::FineGrained(without("contents"))] {
        let folder = tempfile::tempdir()?;
        seed(folder.path());
        let mut github = Github::start(folder.path(), caller.clone());
        let credentials = credentials(&caller);
        told.push(format!("{credentials:?}"));
        runtime.block_on(async {
            let connected = connect(&github, credentials, Upstream::new("github")).await;
            told.push(format!("{:?}", connected.as_ref().map(|forge| forge.rights().clone())));
            if let Ok(forge) = connected {
                github.end_tokens();
                told.push(format!("{:?}", forge.activity(1).await));
                github.stop();
                told.push(format!("{:?}", forge.activity(1).await));
            }
        });
        secrets.extend(github.secrets());
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets.extend(KEY_PKCS1.lines().chain(KEY_PKCS8.lines()).filter(|line| !line.starts_with('-')).map(str::to_owned));
    let logged = String::from_utf8_lossy(&log.0.lock().expect("nobody panics with it")).into_owned();
    assert!(logged.contains("hyper") && secrets.len() > 40, "{} secrets in {} bytes", secrets.len(), logged.len());
    let all = told.join("\n") + &logged;
    let leaked: Vec<&String> = secrets.iter().filter(|secret| all.contains(secret.as_str())).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    Ok(())
}
