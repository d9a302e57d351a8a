//! Store and embedded memory on a real Postgres.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use sre_space_adapters::database::Database;
use sre_space_adapters::ledger::SqlLedger;
use sre_space_adapters::memory::embedded::EmbeddedMemory;
use sre_space_adapters::memory::embedder::Lexical;
use sre_space_adapters::store::signals::SqlSignals;
use sre_space_adapters::store::sql::SqlStore;
use sre_space_peers::Postgres;
use sre_space_ports::contract::{ledger, memory, signals, store};
use sre_space_ports::ledger::Ledger;
use sre_space_ports::memory::Memory;
use sre_space_ports::signals::SignalStore;
use sre_space_ports::store::{Store, StoreError};

use crate::run;
use crate::shared::{Running, Shared, held, on, promises, trial};

fn on_postgres(server: &Shared<Postgres>, promise: for<'a> fn(&'a store::Open) -> Running<'a>) -> Result<(), Failed> {
    let url = held(server).url();
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Store>>>> {
        let url = url.clone();
        Box::pin(async move { Arc::new(SqlStore::new(postgres(&url).await)) as Arc<dyn Store> })
    };
    run(promise(&open))
}

fn remembering(server: &Shared<Postgres>, promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Result<(), Failed> {
    let url = held(server).url();
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>> {
        let url = url.clone();
        Box::pin(async move {
            let memory =
                EmbeddedMemory::open(postgres(&url).await, Arc::new(Lexical::default())).await.expect("opened");
            Arc::new(memory) as Arc<dyn Memory>
        })
    };
    run(promise(&open))
}

fn counting(server: &Shared<Postgres>, promise: for<'a> fn(&'a ledger::Open) -> Running<'a>) -> Result<(), Failed> {
    let url = held(server).url();
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Ledger>>>> {
        let url = url.clone();
        Box::pin(async move { Arc::new(SqlLedger::new(postgres(&url).await)) as Arc<dyn Ledger> })
    };
    run(promise(&open))
}

fn measuring(server: &Shared<Postgres>, promise: for<'a> fn(&'a signals::Open) -> Running<'a>) -> Result<(), Failed> {
    let url = held(server).url();
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn SignalStore>>>> {
        let url = url.clone();
        Box::pin(async move { Arc::new(SqlSignals::new(postgres(&url).await)) as Arc<dyn SignalStore> })
    };
    run(promise(&open))
}

/// The server frees the lock of a session that was dropped when it notices, which takes it a moment.
async fn postgres(url: &str) -> Arc<Database> {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..250 {
        look.tick().await;
        match Database::postgres(url).await {
            Err(StoreError::Taken) => {}
            opened => return opened.expect("opened"),
        }
    }
    panic!("the lock of the last session is never freed")
}

/// Postgres × every promise.
pub fn trials() -> Vec<Trial> {
    on("store/postgres", (Postgres::find(), Postgres::start), |server| {
        let server = &server;
        let stores = promises!(
            store,
            "postgres",
            on_postgres,
            server,
            a_commit_survives_a_restart,
            numbers_have_no_gaps,
            the_journal_resumes,
            incidents_are_listed,
            the_unfinished_are_found,
            an_outcome_counts_once,
        );
        let memories = promises!(
            memory,
            "embedded-on-postgres",
            remembering,
            server,
            lessons_survive_a_restart,
            an_incident_is_remembered_once,
            the_nearest_come_first,
            a_fingerprint_is_exact,
            of_a_thousand_lessons_each_is_found,
        );
        let books = promises!(
            ledger,
            "postgres",
            counting,
            server,
            a_claim_counts_until_it_is_settled,
            a_day_is_shared_and_ends,
            claims_at_once_stay_within_a_budget,
        );
        let second =
            trial("store/postgres/a_second_owner_is_refused", server, |server| run(refused(held(&server).url())));
        stores.into_iter().chain(memories).chain(books).chain(measured(server)).chain([second]).collect()
    })
}

fn measured(server: &Shared<Postgres>) -> [Trial; 4] {
    promises!(
        signals,
        "postgres",
        measuring,
        server,
        what_was_written_survives_a_restart,
        the_last_one_of_a_moment_counts,
        a_span_is_half_open,
        pages_hold_everything_once,
    )
}

async fn refused(url: String) {
    let first = postgres(&url).await;
    assert!(matches!(Database::postgres(&url).await.err(), Some(StoreError::Taken)));
    drop(first);
}
