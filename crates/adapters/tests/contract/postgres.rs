//! Store and embedded memory on a real Postgres.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use sqlx::Connection as _;
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
use sre_space_ports::signals::{Rows, SignalStore, Span};
use sre_space_ports::source::Reading;
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
    opened(url).await.expect("opened")
}

async fn opened(url: &str) -> Result<Arc<Database>, StoreError> {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..250 {
        look.tick().await;
        match Database::postgres(url).await {
            Err(StoreError::Taken) => {}
            opened => return opened,
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

fn measured(server: &Shared<Postgres>) -> Vec<Trial> {
    let promised = promises!(
        signals,
        "postgres",
        measuring,
        server,
        what_was_written_survives_a_restart,
        the_last_one_of_a_moment_counts,
        a_span_is_half_open,
        pages_hold_everything_once,
        a_span_of_all_time_holds_everything,
        risks_are_read_by_themselves,
    );
    let name = "signals/postgres/tables_of_another_program_are_left_alone";
    let foreign = trial(name, server, |server| run(foreign(held(&server).url())));
    promised.into_iter().chain([foreign]).collect()
}

async fn refused(url: String) {
    let first = postgres(&url).await;
    assert!(matches!(Database::postgres(&url).await.err(), Some(StoreError::Taken)));
    drop(first);
}

/// What a user's database may hold already, and what is said of it.
const FOREIGN: [(&str, &str); 2] = [
    ("CREATE TABLE metrics (id BIGINT, name TEXT)", "the table metrics there has no created_at, host"),
    (
        "CREATE TABLE metrics (id BIGINT, host VARCHAR(255), metric_name VARCHAR(255), value DOUBLE PRECISION,
         timestamp TIMESTAMPTZ, created_at TIMESTAMPTZ);
         INSERT INTO metrics (host, metric_name, timestamp) VALUES ('a', 'b', now()), ('a', 'b', now())",
        "the table metrics there has several rows of one host, metric_name and timestamp",
    ),
];

async fn foreign(url: String) {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("connected");
    for (before, said) in FOREIGN {
        sqlx::raw_sql(before).execute(&mut connection).await.expect("made");
        let refused = opened(&url).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains(said), "{refused}");
        sqlx::raw_sql("DROP TABLE metrics").execute(&mut connection).await.expect("dropped");
    }
    let old = "CREATE TABLE metrics (id BIGSERIAL, host VARCHAR(255), metric_name VARCHAR(255), value DOUBLE PRECISION,
               timestamp TIMESTAMPTZ, created_at TIMESTAMPTZ NOT NULL DEFAULT now());
               INSERT INTO metrics VALUES (1, 'a', 'b', 1.5, '2014-04-01T00:00:00Z', '2014-04-01T00:00:00Z')";
    sqlx::raw_sql(old).execute(&mut connection).await.expect("made");
    let store = SqlSignals::new(postgres(&url).await);
    let new = Reading { host: "a".into(), metric: "b".into(), at_ms: 1, value: 2.0 };
    store.put(Rows::Metrics(&[new])).await.expect("written");
    let ever = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
    assert_eq!(store.metrics(ever).await.expect("read").len(), 2, "nothing is deleted on a server");
}
