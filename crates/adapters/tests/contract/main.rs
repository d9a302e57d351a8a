//! Each backend against its contract. Every backend runs under its own name: `forge/local/repeating_changes_nothing`.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

mod embedded;
mod embeddings;
mod forge;
mod github;
mod kafka;
mod notify;
mod openai;
mod outages;
mod postgres;
mod qdrant;
mod redis;
mod shared;
mod sources;

use std::future::Future;

use libtest_mimic::Failed;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = embedded::trials()
        .into_iter()
        .chain(forge::trials())
        .chain(github::trials())
        .chain(redis::trials())
        .chain(kafka::trials())
        .chain(postgres::trials())
        .chain(openai::trials())
        .chain(qdrant::trials())
        .chain(embeddings::trials())
        .chain(notify::trials())
        .chain(sources::trials())
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(work: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work);
    Ok(())
}
