//! Where a failure begins: the place that explains most of the bad traces.

use std::collections::BTreeMap;

use super::calls::Calls;
use super::forest::{Forest, Trace};
use super::walk::{Begin, How, Usual, Walk};
use crate::diagnosis::{Candidate, Term};

/// Spans shown as evidence.
const EXHIBITS: usize = 5;
/// Completeness is judged on settled traces when there are at least this many.
const LEAST_SETTLED: usize = 10;
/// Bad traces that say enough without those that began before everything was heard.
const ENOUGH_HEARD: usize = 30;
/// Calm traces needed to say what is usually bad.
const LEAST_CALM: usize = 50;

/// The place, and how clear it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// In what ways its bad traces begin here: shares.
    pub ways: BTreeMap<How, f64>,
    /// Whether other services call it.
    pub is_called: bool,
    /// Whether enough calm traces were seen to say what is usual.
    pub knows_usual: bool,
    /// Services by share of the bad traces that begin there.
    pub candidates: Vec<Candidate>,
    /// Share explained, and the lead over the runner-up.
    pub localisation: Term,
    /// Share of the bad traces that were seen whole.
    pub coverage: Term,
    /// Whether all this is said of traces whose every part was listened for and has had the time to arrive.
    pub is_settled: bool,
    /// Some (trace, span, in what way) that show it.
    pub exhibits: Vec<(String, String, How)>,
}

/// Finds the origin of most bad traces; `None` when no bad trace can be followed.
pub fn locate(forest: &Forest<'_>) -> Option<Origin> {
    let (calls, usual) = (Calls::learn(forest), Usual::learn(forest));
    let walk = Walk { forest, calls: &calls, usual: &usual };
    let bad: Vec<&Trace> = forest.concerned().filter(|trace| forest.is_bad(trace)).collect();
    let (bad, is_heard) = wholly_heard(forest, bad);
    let begins: Vec<Vec<Begin>> = bad.iter().map(|trace| walk.begins(forest.tops(trace))).collect();
    let weights = excess(forest, &walk, &begins);
    let candidates = candidates(forest, &weights);
    let service = &candidates.first().filter(|first| first.score > 0.0)?.service;
    let of_service = weights.iter().filter(|(place, _)| forest.names[**place].0 == *service);
    let (place, _) = of_service.max_by(|a, b| a.1.total_cmp(b.1))?;
    let here: Vec<Begin> = begins.iter().flatten().copied().filter(|begin| begin.place == *place).collect();
    let ways = ways(&here);
    let how = *ways.iter().max_by(|a, b| a.1.total_cmp(b.1))?.0;
    let (service, operation) = forest.names[*place];
    let (coverage, is_settled) = coverage(forest, &calls, &bad);
    Some(Origin {
        service: service.to_owned(),
        operation: operation.to_owned(),
        ways,
        is_called: here.iter().any(|begin| forest.parents[begin.span].is_some()),
        knows_usual: forest.calm().count() >= LEAST_CALM,
        localisation: localisation(&candidates),
        coverage,
        is_settled: is_settled && is_heard,
        exhibits: exhibits(forest, &here, how),
        candidates,
    })
}

/// Where some began before everything was heard, half of them may be missing: enough others, that had the time to arrive,
/// speak for all. Whether those that stay are not half missing.
fn wholly_heard<'t>(forest: &Forest<'_>, bad: Vec<&'t Trace>) -> (Vec<&'t Trace>, bool) {
    if bad.iter().all(|trace| trace.start_ns >= forest.whole_from_ns) {
        return (bad, true);
    }
    let heard: Vec<&Trace> = bad.iter().filter(|trace| forest.is_settled(trace)).copied().collect();
    let is_enough = heard.len() >= ENOUGH_HEARD;
    (if is_enough { heard } else { bad }, is_enough)
}

/// Bad traces by the place they begin at, less what usually begins there. Several places in one trace share it; a trace
/// whose beginning was lost counts for none, since coverage already pays for it.
fn excess(forest: &Forest<'_>, walk: &Walk<'_, '_>, begins: &[Vec<Begin>]) -> BTreeMap<usize, f64> {
    let mut weights = weigh(begins);
    let calm: Vec<&Trace> = forest.calm().collect();
    if calm.len() >= LEAST_CALM {
        let bad = calm.iter().filter(|trace| forest.is_bad(trace));
        let usual: Vec<Vec<Begin>> = bad.map(|trace| walk.begins(forest.tops(trace))).collect();
        let scale = forest.concerned().count() as f64 / calm.len() as f64;
        for (place, weight) in weigh(&usual) {
            weights.entry(place).and_modify(|seen| *seen = (*seen - weight * scale).max(0.0));
        }
    }
    weights
}

fn weigh(begins: &[Vec<Begin>]) -> BTreeMap<usize, f64> {
    let mut weights: BTreeMap<usize, f64> = BTreeMap::new();
    for trace in begins.iter().filter(|trace| trace.iter().all(|begin| begin.how != How::Unseen)) {
        for begin in trace {
            *weights.entry(begin.place).or_default() += 1.0 / trace.len() as f64;
        }
    }
    weights
}

fn candidates(forest: &Forest<'_>, weights: &BTreeMap<usize, f64>) -> Vec<Candidate> {
    let all: f64 = weights.values().sum();
    let mut services: BTreeMap<&str, f64> = BTreeMap::new();
    weights.iter().for_each(|(place, weight)| *services.entry(forest.names[*place].0).or_default() += weight);
    let share = |weight: f64| if all > 0.0 { weight / all } else { 0.0 };
    let candidate = |(service, weight): (&str, f64)| Candidate { service: service.to_owned(), score: share(weight) };
    let mut candidates: Vec<Candidate> = services.into_iter().map(candidate).collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates
}

fn ways(begins: &[Begin]) -> BTreeMap<How, f64> {
    let mut ways: BTreeMap<How, f64> = BTreeMap::new();
    begins.iter().for_each(|begin| *ways.entry(begin.how).or_default() += 1.0 / begins.len() as f64);
    ways
}

impl Origin {
    /// Share of the bad traces that begin here in one of these ways.
    pub fn share(&self, ways: &[How]) -> f64 {
        ways.iter().filter_map(|how| self.ways.get(how)).sum()
    }
}

fn localisation(candidates: &[Candidate]) -> Term {
    let score = |rank: usize| candidates.get(rank).map_or(0.0, |candidate| candidate.score);
    let (first, second) = (score(0), score(1));
    let lead = if first > 0.0 { 1.0 - second / first } else { 0.0 };
    Term {
        name: "localisation".into(),
        value: first * lead,
        why: format!("{:.1} % of bad traces begin here, {:.1} % at the runner-up", first * 100.0, second * 100.0),
    }
}

fn coverage(forest: &Forest<'_>, calls: &Calls, bad: &[&Trace]) -> (Term, bool) {
    let settled: Vec<&Trace> = bad.iter().filter(|trace| forest.is_settled(trace)).copied().collect();
    let enough = settled.len() >= LEAST_SETTLED;
    let judged = if enough { &settled[..] } else { bad };
    let (whole, all) = (judged.iter().filter(|trace| calls.is_whole(forest, trace)).count(), judged.len());
    let term = Term {
        name: "coverage".into(),
        value: whole as f64 / all.max(1) as f64,
        why: format!("{whole} of {all} bad traces were seen whole"),
    };
    (term, enough)
}

fn exhibits(forest: &Forest<'_>, here: &[Begin], how: How) -> Vec<(String, String, How)> {
    let shown = |begin: &Begin| {
        let span = forest.spans[begin.span];
        (span.trace_id.to_string(), span.span_id.to_string(), begin.how)
    };
    here.iter().filter(|begin| begin.how == how).take(EXHIBITS).map(shown).collect()
}
