//! Where a failure begins: the bad span below which nothing is bad.

use std::collections::BTreeMap;

use super::forest::Forest;
use crate::diagnosis::{Candidate, Term};

/// Spans shown as evidence.
const EXHIBITS: usize = 5;

/// The place, and how clear it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Services by share of the bad traces that begin there.
    pub candidates: Vec<Candidate>,
    /// Share explained, and the lead over the runner-up.
    pub localisation: Term,
    /// Share of the bad traces that were seen whole.
    pub coverage: Term,
    /// Some (trace, span) that show it.
    pub exhibits: Vec<(String, String)>,
    /// Share of the origin's bad spans below which a call left and nobody answered.
    pub unanswered: f64,
}

/// Where one bad trace begins to be bad.
#[derive(Clone, Copy)]
struct Begin {
    entry: usize,
    unanswered: bool,
}

/// Finds the origin of most bad traces; `None` when no bad trace can be followed.
pub fn locate(forest: &Forest<'_>) -> Option<Origin> {
    let traces = forest.bad_traces();
    let whole: Vec<&[usize]> = traces.iter().copied().filter(|trace| forest.is_whole(trace)).collect();
    let followed = if whole.is_empty() { &traces } else { &whole };
    let begins: Vec<Begin> = followed.iter().filter_map(|trace| begin(forest, trace)).collect();
    let mut places: BTreeMap<(&str, &str), Vec<Begin>> = BTreeMap::new();
    for found in &begins {
        let span = forest.spans[found.entry];
        places.entry((&span.service, &span.name)).or_default().push(*found);
    }
    let ((service, operation), at) = places.iter().max_by_key(|(_, at)| at.len())?;
    let candidates = candidates(&places, begins.len());
    Some(Origin {
        service: (*service).to_owned(),
        operation: (*operation).to_owned(),
        localisation: localisation(&candidates),
        coverage: coverage(whole.len(), traces.len()),
        exhibits: exhibits(forest, at),
        unanswered: at.iter().filter(|begin| begin.unanswered).count() as f64 / at.len() as f64,
        candidates,
    })
}

/// Follows the bad children down; a database call belongs to the service that makes it.
fn begin(forest: &Forest<'_>, trace: &[usize]) -> Option<Begin> {
    let worst = |indices: &[usize]| {
        let bad =
            indices.iter().copied().filter(|index| forest.bad[*index] && forest.spans[*index].db_system.is_empty());
        bad.max_by_key(|index| forest.spans[*index].duration_ns())
    };
    let top = worst(&forest.tops(trace)).or_else(|| {
        let entries: Vec<usize> = trace.iter().copied().filter(|index| forest.spans[*index].kind.is_entry()).collect();
        worst(&entries)
    })?;
    let (mut at, mut entry, mut steps) = (top, top, 0);
    while let Some(below) = worst(&forest.children[at]).filter(|_| steps < trace.len()) {
        at = below;
        steps += 1;
        if forest.spans[below].kind.is_entry() {
            entry = below;
        }
    }
    let unanswered = forest.spans[at].kind.is_exit() && forest.children[at].is_empty();
    Some(Begin { entry, unanswered })
}

fn candidates(places: &BTreeMap<(&str, &str), Vec<Begin>>, all: usize) -> Vec<Candidate> {
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    places.iter().for_each(|((service, _), at)| *services.entry(service).or_default() += at.len());
    let mut candidates: Vec<Candidate> = services
        .into_iter()
        .map(|(service, count)| Candidate { service: service.to_owned(), score: count as f64 / all.max(1) as f64 })
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates
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

fn coverage(whole: usize, all: usize) -> Term {
    Term {
        name: "coverage".into(),
        value: whole as f64 / all.max(1) as f64,
        why: format!("{whole} of {all} bad traces were seen whole"),
    }
}

fn exhibits(forest: &Forest<'_>, at: &[Begin]) -> Vec<(String, String)> {
    let ids = |begin: &Begin| {
        let span = forest.spans[begin.entry];
        (span.trace_id.to_string(), span.span_id.to_string())
    };
    at.iter().take(EXHIBITS).map(ids).collect()
}
