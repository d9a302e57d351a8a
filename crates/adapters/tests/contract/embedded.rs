//! The backends that live inside this process: bus, store, memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use sre_space_adapters::bus::local::LocalBus;
use sre_space_adapters::database::Database;
use sre_space_adapters::ledger::SqlLedger;
use sre_space_adapters::memory::embedded::EmbeddedMemory;
use sre_space_adapters::memory::embedder::Lexical;
use sre_space_adapters::store::signals::SqlSignals;
use sre_space_adapters::store::sql::SqlStore;
use sre_space_ports::bus::Bus;
use sre_space_ports::contract::{bus, ledger, memory, signals, store};
use sre_space_ports::ledger::Ledger;
use sre_space_ports::memory::Memory;
use sre_space_ports::signals::SignalStore;
use sre_space_ports::store::Store;

use crate::run;

type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! trials {
    ($module:ident, $backend:literal, $bench:ident, $($promise:ident),* $(,)?) => {
        vec![$(Trial::test(
            concat!(stringify!($module), "/", $backend, "/", stringify!($promise)),
            || $bench(|given| Box::pin($module::$promise(given))),
        )),*]
    };
}

fn on_bus(promise: for<'a> fn(&'a dyn Bus) -> Running<'a>) -> Result<(), Failed> {
    run(promise(&LocalBus::new(bus::CAPACITY)))
}

fn on_store(promise: for<'a> fn(&'a store::Open) -> Running<'a>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("journal.db");
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Store>>>> {
        let path = path.clone();
        Box::pin(async move {
            let database = Database::sqlite(&path).await.expect("opened");
            Arc::new(SqlStore::new(database)) as Arc<dyn Store>
        })
    };
    run(promise(&open))
}

fn on_memory(promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("memory.db");
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>> {
        let path = path.clone();
        Box::pin(async move {
            let database = Database::sqlite(&path).await.expect("opened");
            Arc::new(EmbeddedMemory::open(database, Arc::new(Lexical::default())).await.expect("opened"))
                as Arc<dyn Memory>
        })
    };
    run(promise(&open))
}

fn on_ledger(promise: for<'a> fn(&'a ledger::Open) -> Running<'a>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("journal.db");
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Ledger>>>> {
        let path = path.clone();
        Box::pin(async move {
            let database = Database::sqlite(&path).await.expect("opened");
            Arc::new(SqlLedger::new(database)) as Arc<dyn Ledger>
        })
    };
    run(promise(&open))
}

fn on_signals(promise: for<'a> fn(&'a signals::Open) -> Running<'a>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("journal.db");
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn SignalStore>>>> {
        let path = path.clone();
        Box::pin(async move {
            let database = Database::sqlite(&path).await.expect("opened");
            Arc::new(SqlSignals::new(database)) as Arc<dyn SignalStore>
        })
    };
    run(promise(&open))
}

/// Every embedded backend × every promise.
pub fn trials() -> Vec<Trial> {
    let bus = trials!(
        bus,
        "local",
        on_bus,
        keeps_order,
        every_group_gets_everything,
        unacknowledged_comes_again,
        a_full_queue_refuses,
    );
    let store = trials!(
        store,
        "sqlite",
        on_store,
        a_commit_survives_a_restart,
        numbers_have_no_gaps,
        the_journal_resumes,
        incidents_are_listed,
        the_unfinished_are_found,
        an_outcome_counts_once,
    );
    let memory = trials!(
        memory,
        "embedded",
        on_memory,
        lessons_survive_a_restart,
        an_incident_is_remembered_once,
        the_nearest_come_first,
        a_fingerprint_is_exact,
        of_a_thousand_lessons_each_is_found,
    );
    let ledger = trials!(
        ledger,
        "sqlite",
        on_ledger,
        a_claim_counts_until_it_is_settled,
        a_day_is_shared_and_ends,
        claims_at_once_stay_within_a_budget,
    );
    [bus, store, memory, ledger, measured()].into_iter().flatten().collect()
}

fn measured() -> Vec<Trial> {
    trials!(
        signals,
        "sqlite",
        on_signals,
        what_was_written_survives_a_restart,
        the_last_one_of_a_moment_counts,
        a_span_is_half_open,
        pages_hold_everything_once,
        a_span_of_all_time_holds_everything,
        risks_are_read_by_themselves,
    )
}
