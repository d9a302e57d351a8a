//! The journal is away: nothing is lost, and nothing is written twice.

use std::collections::VecDeque;

use sre_space_ports::around::{Around, Wrapped};
use sre_space_ports::store::{Store, StoreError};

use super::*;

/// What becomes of a commit.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The database is away.
    Lost,
    /// It is written, and the answer is lost.
    Unheard,
}

/// Bad days ahead, one for each call.
#[derive(Clone, Default)]
struct Fates(Arc<Mutex<VecDeque<Fate>>>);

impl Around<StoreError> for Fates {
    async fn around<T: Send>(&self, work: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let away = || StoreError::Backend("the connection is gone".into());
        let fate = self.0.lock().expect("fates").pop_front();
        match fate {
            Some(Fate::Lost) => Err(away()),
            Some(Fate::Unheard) => work.await.and_then(|_| Err(away())),
            None => work.await,
        }
    }
}

impl Fates {
    /// Has them ahead, and answers the store they come over.
    fn over(&self, inner: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Wrapped::new(Arc::clone(inner), self.clone()))
    }

    fn come(&self, fates: &[Fate]) {
        self.0.lock().expect("fates").extend(fates);
    }
}

/// The states of an incident's rows, after a confirmation met these fates; and what is pending in the end.
async fn confirmed_under(fates: &[Fate]) -> (Vec<State>, Option<Effect>) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut context = context(&dir).await;
    let ahead = Fates::default();
    context.parts.store = ahead.over(&context.parts.store);
    let signal = confirmed(&context).signal;
    let context = Arc::new(context);
    let mut orchestrator = Orchestrator::resume(Arc::clone(&context)).await.expect("an empty journal");
    orchestrator.open(signal.clone()).await.expect("opened");
    orchestrator.under_way.clear();
    let id = orchestrator.incidents.keys().next().expect("an incident").clone();
    ahead.come(fates);
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
    let ahead = Fates::default();
    context.parts.store = ahead.over(&context.parts.store);
    let signal = confirmed(&context).signal;
    let context = Arc::new(context);
    let mut orchestrator = Orchestrator::resume(Arc::clone(&context)).await.expect("an empty journal");
    ahead.come(&[Fate::Unheard]);
    orchestrator.open(signal.clone()).await.expect_err("no answer");
    assert!(orchestrator.incidents.is_empty());
    orchestrator.look_again().await.expect("looked");
    assert!(orchestrator.is_claimed(&signal), "it was opened after all");
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
