//! Calls between services: who answers whom, and whether a missing answer was lost on the way to us or never given.

use std::collections::BTreeMap;

use super::forest::{Forest, Trace};

/// Below this share of answered calls nobody answers; above, a missing answer is a lost span.
const HARDLY: f64 = 0.05;

#[derive(Default)]
struct Edge {
    all: usize,
    answered: usize,
    failed_since: usize,
    failed_answered: usize,
    callees: BTreeMap<usize, usize>,
}

/// What is known of each kind of call (a client's service and span name).
pub struct Calls {
    edges: BTreeMap<usize, Edge>,
    borders: BTreeMap<usize, (usize, usize)>,
}

impl Calls {
    /// Learns from all traces.
    pub fn learn(forest: &Forest<'_>) -> Self {
        let mut calls = Self { edges: BTreeMap::new(), borders: BTreeMap::new() };
        for trace in &forest.traces {
            let since = trace.start_ns >= forest.onset_ns;
            trace.spans.iter().for_each(|index| calls.take(forest, *index, since));
        }
        calls
    }

    fn take(&mut self, forest: &Forest<'_>, index: usize, since: bool) {
        let (span, place) = (forest.spans[index], forest.places[index]);
        if span.kind.is_entry() && span.parent_id.is_some() {
            let (all, orphans) = self.borders.entry(place).or_default();
            *all += 1;
            *orphans += usize::from(forest.parents[index].is_none());
        }
        if !is_call(forest, index) {
            return;
        }
        let edge = self.edges.entry(place).or_default();
        let callee = forest.children[index].iter().find(|child| forest.spans[**child].kind.is_entry());
        let (answered, failed) = (usize::from(callee.is_some()), usize::from(since && span.failed));
        edge.all += 1;
        edge.answered += answered;
        edge.failed_since += failed;
        edge.failed_answered += failed * answered;
        if let Some(callee) = callee {
            *edge.callees.entry(forest.places[*callee]).or_default() += 1;
        }
    }

    /// Whether this call's other side should have been seen: the callee sends spans, and still answers some of the calls.
    pub fn expects_answer(&self, forest: &Forest<'_>, index: usize) -> bool {
        let Some(edge) = self.edges.get(&forest.places[index]) else { return false };
        let speaks = edge.answered as f64 >= HARDLY * edge.all as f64 && edge.answered > 0;
        let silent = edge.failed_since > 0 && (edge.failed_answered as f64) < HARDLY * edge.failed_since as f64;
        speaks && !(forest.spans[index].failed && silent)
    }

    /// Who usually answers this kind of call.
    pub fn callee(&self, forest: &Forest<'_>, index: usize) -> Option<usize> {
        let callees = &self.edges.get(&forest.places[index])?.callees;
        callees.iter().max_by_key(|(_, count)| **count).map(|(place, _)| *place)
    }

    /// Whether a trace was seen whole: it has a beginning, every parent is there, every call met its other side.
    pub fn is_whole(&self, forest: &Forest<'_>, trace: &Trace) -> bool {
        let begins = |index: usize| forest.spans[index].parent_id.is_none() || self.is_border(forest, index);
        let met = |index: usize| {
            let answered = || !forest.children[index].is_empty();
            !is_call(forest, index) || answered() || !self.expects_answer(forest, index)
        };
        trace.spans.iter().any(|index| begins(*index))
            && trace.spans.iter().all(|index| (begins(*index) || forest.parents[*index].is_some()) && met(*index))
    }

    /// Whether requests come in here from somebody who sends us no spans.
    fn is_border(&self, forest: &Forest<'_>, index: usize) -> bool {
        let counts = self.borders.get(&forest.places[index]);
        forest.spans[index].kind.is_entry()
            && counts.is_some_and(|(all, orphans)| *orphans as f64 >= (1.0 - HARDLY) * *all as f64)
    }
}

/// Whether the span is a call to another service; a database sends no spans.
pub fn is_call(forest: &Forest<'_>, index: usize) -> bool {
    let span = forest.spans[index];
    span.kind.is_exit() && span.db_system.is_empty()
}
