//! A control plane that kills itself with SIGKILL: right before or right after one of its writes, or in one of its states.

use std::sync::Arc;

use async_trait::async_trait;
use sre_space::app::{App, Doors, Parts};
use sre_space::config::Given;
use sre_space_domain::ids::{Digest, IncidentId, Sha};
use sre_space_domain::journal::Entry;
use sre_space_domain::knowledge::{Lesson, RemedyKey, TrackRecord};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_ports::forge::{
    Changes, CommitRequest, ForgeError, Issue, Issues, Merged, PullRequest, PullRequestDraft,
};
use sre_space_ports::memory::{Match, Memory, MemoryError, Recollection};
use sre_space_ports::notify::{Before, Notice, Notifier, NotifyError};
use sre_space_ports::store::{Filter, Record, Store, StoreError, Write};

/// Where it dies.
#[derive(Clone, PartialEq, Eq)]
pub enum Point {
    /// Right before or right after a write.
    Write {
        /// Which.
        write: String,
        /// After it.
        after: bool,
    },
    /// When a state is journaled, before its effect begins.
    State(String),
}

impl Point {
    /// Reads `WRITE:before`, `WRITE:after` or `state:NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        let (what, which) = text.split_once(':')?;
        Some(match what {
            "state" => Self::State(which.to_owned()),
            write => Self::Write { write: write.to_owned(), after: which == "after" },
        })
    }

    async fn around<T>(&self, write: &str, work: impl Future<Output = T>) -> T {
        let die_after = match self {
            Self::Write { write: at, after } if at == write => Some(*after),
            Self::Write { .. } | Self::State(_) => None,
        };
        if die_after == Some(false) {
            die();
        }
        let done = work.await;
        if die_after == Some(true) {
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
        let deadly = |inner| Arc::new(Deadly { inner, point: point.clone() }) as Arc<dyn Notifier>;
        parts.notifiers = parts.notifiers.into_iter().map(deadly).collect();
        parts.memory = Arc::new(Deadly { inner: parts.memory, point: point.clone() });
        parts.store = Arc::new(Deadly { inner: parts.store, point });
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

    async fn describe(&self, permit: &Permit<Propose>, number: u64, body: &str) -> Result<(), ForgeError> {
        self.point.around("proof", self.inner.describe(permit, number, body)).await
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

    async fn all(&self) -> Result<Vec<Lesson>, MemoryError> {
        self.inner.all().await
    }
}

#[async_trait]
impl Memory for Deadly<dyn Memory> {
    async fn remember(&self, lesson: &Lesson) -> Result<(), MemoryError> {
        self.point.around("memory", self.inner.remember(lesson)).await
    }
}

#[async_trait]
impl Notifier for Deadly<dyn Notifier> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn carries(&self, notice: &Notice, before: &Before) -> bool {
        self.inner.carries(notice, before)
    }

    async fn tell(&self, notice: &Notice, before: &Before) -> Result<Option<String>, NotifyError> {
        self.point.around(&format!("telling-{}", self.name()), self.inner.tell(notice, before)).await
    }

    async fn look(&self) -> Result<String, NotifyError> {
        self.inner.look().await
    }
}

#[async_trait]
impl Store for Deadly<dyn Store> {
    async fn commit(&self, write: Write) -> Result<Vec<Entry>, StoreError> {
        let state = write.record.as_ref().map(|record| serde_json::json!(record.incident.state));
        let done = self.inner.commit(write).await;
        if state.as_ref().and_then(|state| state.as_str()).is_some_and(|state| self.point == Point::State(state.into()))
        {
            die();
        }
        done
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Record>, StoreError> {
        self.inner.incident(id).await
    }

    async fn unfinished(&self) -> Result<Vec<Record>, StoreError> {
        self.inner.unfinished().await
    }

    async fn incidents(&self, filter: Filter) -> Result<Vec<Record>, StoreError> {
        self.inner.incidents(filter).await
    }

    async fn journal(&self, after: u64, limit: u32, incident: Option<&IncidentId>) -> Result<Vec<Entry>, StoreError> {
        self.inner.journal(after, limit, incident).await
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        self.inner.newest().await
    }

    async fn track_record(&self, key: &RemedyKey) -> Result<TrackRecord, StoreError> {
        self.inner.track_record(key).await
    }
}
