//! A stand-in for GitHub over a real bare repository. It keeps pull requests, issues and rights, breaks on demand, and writes
//! down every request; both sides of each are checked against GitHub's published description, and a misfit fails the test.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod contract;
mod faults;
mod git;
mod issues;
mod objects;
mod pulls;
mod rights;
mod routes;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub use self::faults::{Fault, Kind};
pub use self::rights::{Caller, KEY_PKCS1, KEY_PKCS8, MINIMAL};
use self::server::Server;

/// The one repository it serves.
pub const REPOSITORY: &str = "acme/shop";
/// The App's id.
pub const APP: &str = "12345";
/// Name of the check that [`Github::report`] reports.
const CHECK: &str = "ci";

/// One request, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Method and path of the operation, from the repository on: `POST /pulls`.
    pub call: String,
    /// The path that was asked.
    pub path: String,
    /// What the request held.
    pub body: String,
    /// The answer's status.
    pub status: u16,
}

/// A merge that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Pull request.
    pub number: u64,
    /// Its head when it was merged.
    pub head: String,
    /// The commit on the deployed branch.
    pub revision: String,
}

/// A reported check.
struct Report {
    sha: String,
    conclusion: Option<&'static str>,
    summary: String,
}

/// Everything it keeps beside the repository.
pub(crate) struct State {
    caller: Caller,
    faults: faults::Plan,
    pulls: Vec<pulls::Pull>,
    issues: Vec<issues::Issue>,
    reports: Vec<Report>,
    required: Vec<String>,
    merges: Vec<Merge>,
    log: Vec<Line>,
    misfits: Vec<String>,
    tokens: Vec<String>,
    bearers: BTreeSet<String>,
}

/// What requests are answered from.
pub(crate) struct Desk {
    path: PathBuf,
    state: Mutex<State>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// A running stand-in; it ends with this value, and fails the test if anything did not fit the description.
pub struct Github {
    desk: Arc<Desk>,
    server: Server,
}

impl Github {
    /// Serves a bare repository, whose deployed branch is `main`.
    pub fn start(path: &Path, caller: Caller) -> Self {
        let state = State {
            caller,
            faults: faults::Plan::default(),
            pulls: Vec::new(),
            issues: Vec::new(),
            reports: Vec::new(),
            required: Vec::new(),
            merges: Vec::new(),
            log: Vec::new(),
            misfits: Vec::new(),
            tokens: Vec::new(),
            bearers: BTreeSet::new(),
        };
        let desk = Arc::new(Desk { path: path.to_owned(), state: Mutex::new(state) });
        Self { server: Server::start(Arc::clone(&desk)), desk }
    }

    /// Root of its API.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Stops answering.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// The next call of this kind goes wrong.
    pub fn break_next(&self, call: &'static str, kind: Kind) {
        self.desk.state().faults.add(Fault { call, kind });
    }

    /// Faults that nothing met.
    pub fn unmet(&self) -> usize {
        self.desk.state().faults.left()
    }

    /// From now on every request is refused for being one too many, until it is lifted.
    pub fn limit(&self, retry_after: Option<u64>) {
        self.desk.state().faults.limit = retry_after;
    }

    /// The check runner reports.
    pub fn report(&self, sha: &str, conclusion: Option<&'static str>, summary: &str) {
        let report = Report { sha: sha.to_owned(), conclusion, summary: summary.to_owned() };
        let mut state = self.desk.state();
        state.reports.retain(|known| known.sha != report.sha);
        state.reports.push(report);
    }

    /// The owners require a check of this name.
    pub fn require(&self, check: &str) {
        self.desk.state().required.push(check.to_owned());
    }

    /// Every request so far.
    pub fn log(&self) -> Vec<Line> {
        self.desk.state().log.clone()
    }

    /// Every merge so far.
    pub fn merges(&self) -> Vec<Merge> {
        self.desk.state().merges.clone()
    }

    /// How many pull requests there are.
    pub fn pull_requests(&self) -> usize {
        self.desk.state().pulls.len()
    }

    /// How many issues there are, and how many of them are closed.
    pub fn issues(&self) -> (usize, usize) {
        let state = self.desk.state();
        (state.issues.len(), state.issues.iter().filter(|issue| issue.is_closed()).count())
    }

    /// Somebody writes an issue, as anybody may.
    pub fn stranger_writes(&self, title: &str, body: &str) -> u64 {
        let number = pulls::next_number(&self.desk);
        self.desk.state().issues.push(issues::Issue::by_a_stranger(number, title, body));
        number
    }

    /// Every installation token ends now.
    pub fn end_tokens(&self) {
        self.desk.state().tokens.clear();
    }

    /// Every token that anybody asked with, the App's own included.
    pub fn secrets(&self) -> Vec<String> {
        self.desk.state().bearers.iter().cloned().collect()
    }
}

impl Drop for Github {
    fn drop(&mut self) {
        let misfits = self.desk.state().misfits.clone();
        if !std::thread::panicking() {
            assert!(misfits.is_empty(), "against GitHub's description:\n{}", misfits.join("\n"));
        }
    }
}
