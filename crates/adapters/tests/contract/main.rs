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
#[cfg(feature = "local-embedder")]
mod sentence;
mod shared;
mod sources;
mod supabase;

use std::future::Future;

use libtest_mimic::{Failed, Trial};

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = embedded::trials()
        .into_iter()
        .chain(forge::trials())
        .chain(github::trials())
        .chain(redis::trials())
        .chain(kafka::trials())
        .chain(postgres::trials())
        .chain(supabase::trials())
        .chain(openai::trials())
        .chain(qdrant::trials())
        .chain(embeddings::trials())
        .chain(in_process())
        .chain(notify::trials())
        .chain(sources::trials())
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

#[cfg(feature = "local-embedder")]
fn in_process() -> Vec<Trial> {
    sentence::trials()
}

#[cfg(not(feature = "local-embedder"))]
fn in_process() -> Vec<Trial> {
    let name = "embeddings/sentence (skipped: built without --features local-embedder)";
    vec![Trial::test(name, || Ok(())).with_ignored_flag(true)]
}

fn run(work: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work);
    Ok(())
}
