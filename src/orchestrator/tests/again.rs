//! The journal is away: nothing is lost, and nothing is written twice.

use std::collections::VecDeque;

use async_trait::async_trait;
use sre_space_domain::journal::Entry;
use sre_space_domain::knowledge::{RemedyKey, TrackRecord};
use sre_space_ports::store::{Filter, Record, Store, StoreError, Write};

use super::*;

/// What becomes of a commit.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The database is away.
    Lost,
    /// It is written, and the answer is lost.
    Unheard,
}

/// A store with bad days ahead.
struct Fated {
    inner: Arc<dyn Store>,
    fates: Mutex<VecDeque<Fate>>,
}

fn away() -> StoreError {
    StoreError::Backend("the connection is gone".into())
}

#[async_trait]
impl Store for Fated {
    async fn commit(&self, write: Write) -> Result<Vec<Entry>, StoreError> {
        let fate = self.fates.lock().expect("fates").pop_front();
        match fate {
            Some(Fate::Lost) => Err(away()),
            Some(Fate::Unheard) => self.inner.commit(write).await.and_then(|_| Err(away())),
            None => self.inner.commit(write).await,
        }
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

/// The states of an incident's rows, after a confirmation met these fates; and what is pending in the end.
async fn confirmed_under(fates: &[Fate]) -> (Vec<State>, Option<Effect>) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut context = context(&dir).await;
    let fated = Arc::new(Fated { inner: Arc::clone(&context.parts.store), fates: Mutex::default() });
    context.parts.store = fated.clone();
    let signal = confirmed(&context).signal;
    let context = Arc::new(context);
    let mut orchestrator = Orchestrator::resume(Arc::clone(&context)).await.expect("an empty journal");
    orchestrator.open(signal.clone()).await.expect("opened");
    orchestrator.under_way.clear();
    let id = orchestrator.incidents.keys().next().expect("an incident").clone();
    fated.fates.lock().expect("fates").extend(fates);
    let mut done = orchestrator.answered(id.clone(), Event::Confirmed(signal)).await;
    while done.is_err() {
        let (id, event) = orchestrator.under_way.next().await.expect("it comes again");
        done = orchestrator.answered(id, event).await;
    }
    assert_eq!(orchestrator.under_way.len(), 1, "one effect is under way");
    let rows = context.parts.store.journal(0, 0, Some(&id)).await.expect("the journal");
    let record = context.parts.store.incident(&id).await.expect("read").expect("the incident");
    assert_eq!(orchestrator.incidents.get(&id), Some(&record.incident));
    (rows.into_iter().filter_map(|entry| entry.row.state).collect(), record.pending)
}

#[tokio::test]
async fn an_opening_whose_answer_was_lost_is_not_opened_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut context = context(&dir).await;
    let fates = Mutex::new(VecDeque::from([Fate::Unheard]));
    context.parts.store = Arc::new(Fated { inner: Arc::clone(&context.parts.store), fates });
    let signal = confirmed(&context).signal;
    let context = Arc::new(context);
    let mut orchestrator = Orchestrator::resume(Arc::clone(&context)).await.expect("an empty journal");
    orchestrator.open(signal.clone()).await.expect_err("no answer");
    assert!(orchestrator.incidents.is_empty());
    orchestrator.look_again().await.expect("looked");
    assert!(orchestrator.is_claimed(&signal.service, &signal.operation), "it was opened after all");
    assert_eq!(context.parts.store.unfinished().await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_step_is_journaled_once_however_often_the_journal_is_away() {
    use Fate::{Lost, Unheard};
    let once = (vec![State::Detected, State::Matching], Some(Effect::OpenTicket));
    for fates in [&[][..], &[Lost], &[Unheard], &[Lost, Unheard], &[Lost, Lost]] {
        assert_eq!(confirmed_under(fates).await, once, "{fates:?}");
    }
}
