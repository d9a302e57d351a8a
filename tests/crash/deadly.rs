//! A control plane that kills itself with SIGKILL right before or right after one of its writes.

use std::sync::Arc;

use async_trait::async_trait;
use sre_space::app::{App, Doors, Parts};
use sre_space::config::Given;
use sre_space_domain::ids::{Digest, IncidentId, Sha};
use sre_space_domain::knowledge::Lesson;
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_ports::forge::{
    Changes, CommitRequest, ForgeError, Issue, Issues, Merged, PullRequest, PullRequestDraft,
};
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};

/// Which write, and which side of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Point {
    write: String,
    after: bool,
}

impl Point {
    /// Reads `WRITE:before` or `WRITE:after`.
    pub fn parse(text: &str) -> Option<Self> {
        let (write, when) = text.split_once(':')?;
        Some(Self { write: write.to_owned(), after: when == "after" })
    }

    async fn around<T>(&self, write: &str, work: impl Future<Output = T>) -> T {
        if self.write == write && !self.after {
            die();
        }
        let done = work.await;
        if self.write == write {
            die();
        }
        done
    }
}

fn die() -> ! {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL).expect("a process may kill itself");
    unreachable!("killed")
}

/// Serves with a deadly part until it strikes.
pub fn serve(point: Point) -> ! {
    let settings = Given::collect(None).and_then(|given| given.settings()).expect("settings");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let doors = Doors::open(&settings, false).await.expect("ports");
        let mut parts = Parts::open(&settings).await.expect("parts");
        parts.changes = Arc::new(Deadly { inner: parts.changes, point: point.clone() });
        parts.issues = Arc::new(Deadly { inner: parts.issues, point: point.clone() });
        parts.memory = Arc::new(Deadly { inner: parts.memory, point });
        let app = App::build(&settings, parts, doors, None).await.expect("an app");
        app.run(std::future::pending()).await;
    });
    std::process::exit(1)
}

struct Deadly<Part: ?Sized> {
    inner: Arc<Part>,
    point: Point,
}

#[async_trait]
impl Changes for Deadly<dyn Changes> {
    async fn create_branch(&self, permit: &Permit<Propose>, branch: &str, base: &Sha) -> Result<(), ForgeError> {
        self.point.around("branch", self.inner.create_branch(permit, branch, base)).await
    }

    async fn commit(&self, permit: &Permit<Propose>, request: &CommitRequest) -> Result<Sha, ForgeError> {
        self.point.around("commit", self.inner.commit(permit, request)).await
    }

    async fn open_pull_request(
        &self,
        permit: &Permit<Propose>,
        draft: &PullRequestDraft,
    ) -> Result<PullRequest, ForgeError> {
        self.point.around("pull-request", self.inner.open_pull_request(permit, draft)).await
    }

    async fn merge(&self, permit: &Permit<Merge>, number: u64, head: &Sha) -> Result<Merged, ForgeError> {
        self.point.around("merge", self.inner.merge(permit, number, head)).await
    }
}

#[async_trait]
impl Issues for Deadly<dyn Issues> {
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError> {
        self.inner.open(incident, title, body).await
    }

    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        self.point.around("escalation", self.inner.comment(number, key, body)).await
    }

    async fn close(&self, number: u64) -> Result<(), ForgeError> {
        self.inner.close(number).await
    }

    async fn activity(&self, limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError> {
        self.inner.activity(limit).await
    }
}

#[async_trait]
impl Recollection for Deadly<dyn Memory> {
    async fn lookup(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        self.inner.lookup(fingerprint).await
    }

    async fn nearest(&self, text: &str, k: usize) -> Result<Vec<Match>, MemoryError> {
        self.inner.nearest(text, k).await
    }
}

#[async_trait]
impl Memory for Deadly<dyn Memory> {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        self.point.around("memory", self.inner.remember(lesson)).await
    }
}
