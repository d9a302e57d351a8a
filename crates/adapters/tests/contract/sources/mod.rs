//! Every source of metrics against its contract: on stand-ins that write down all they are asked, and on real servers.

mod benches;
mod own;
mod real;

use std::future::Future;
use std::pin::Pin;

use libtest_mimic::Trial;
use sre_space_ports::contract::source::{self as contract, Bench, Remote};

use self::benches::{CsvBench, StandIn};
use crate::run;

type Playing<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type OfEvery = (&'static str, for<'a> fn(&'a dyn Bench) -> Playing<'a>);
type OfRemote = (&'static str, for<'a> fn(&'a dyn Remote) -> Playing<'a>);

macro_rules! promises {
    ($($promise:ident),* $(,)?) => { [$((stringify!($promise), |bench| Box::pin(contract::$promise(bench)))),*] };
}

/// What every source promises.
const EVERY: [OfEvery; 7] = promises!(
    tells_in_order_and_within_bounds,
    tells_a_moment_once,
    halves_are_the_whole,
    nothing_measured_is_no_error,
    what_is_no_number_is_refused,
    a_strange_metric_is_no_other_question,
    all_of_time_has_an_end,
);

/// What a source promises besides that is asked over a network.
const REMOTE: [OfRemote; 6] = promises!(
    a_failure_may_pass_and_a_refusal_does_not,
    a_pause_is_kept,
    a_breaker_opens,
    questions_have_an_end,
    only_reads_are_sent,
    no_error_shows_a_secret,
);

/// Every trial.
pub fn trials() -> Vec<Trial> {
    let stand_ins = StandIn::ALL.into_iter().flat_map(|vendor| {
        let every = EVERY
            .into_iter()
            .map(move |(name, play)| trial(vendor.name(), name, move || async move { play(&vendor.bench()).await }));
        let remote = REMOTE
            .into_iter()
            .map(move |(name, play)| trial(vendor.name(), name, move || async move { play(&vendor.bench()).await }));
        every.chain(remote)
    });
    let files =
        EVERY.into_iter().map(|(name, play)| trial("csv", name, move || async move { play(&CsvBench::new()).await }));
    stand_ins.chain(files).chain(own::trials()).chain(real::trials()).collect()
}

fn trial<Play: Future<Output = ()>>(source: &str, name: &str, play: impl Fn() -> Play + Send + 'static) -> Trial {
    Trial::test(format!("source/{source}/{name}"), move || run(play()))
}
