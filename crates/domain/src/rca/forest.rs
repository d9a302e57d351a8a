//! Spans as trees: one tree a trace, with what is bad in it.

use std::collections::{BTreeMap, HashMap};

use crate::evidence::Evidence;
use crate::telemetry::{Span, SpanId, TraceId};

const MS: u64 = 1_000_000;
/// Spans of one trace arrive within this time of its last; younger traces are not judged for completeness.
const ARRIVAL_NS: u64 = 2_000 * MS;

/// All traces of the evidence.
pub struct Forest<'a> {
    /// Spans by index.
    pub spans: Vec<&'a Span>,
    /// Children of a span, by index.
    pub children: Vec<Vec<usize>>,
    /// Whether the span is bad.
    pub bad: Vec<bool>,
    /// Onset by the senders' clocks, nanoseconds.
    pub onset_ns: u64,
    /// The newest time that is settled, nanoseconds.
    pub settled_ns: u64,
    parents: Vec<Option<usize>>,
    traces: BTreeMap<TraceId, Vec<usize>>,
}

impl<'a> Forest<'a> {
    /// Links the spans.
    pub fn grow(evidence: &'a Evidence) -> Self {
        let spans: Vec<&Span> = evidence.spans.iter().collect();
        let at: HashMap<(TraceId, SpanId), usize> =
            spans.iter().enumerate().map(|(index, span)| ((span.trace_id, span.span_id), index)).collect();
        let mut children = vec![Vec::new(); spans.len()];
        let mut parents = vec![None; spans.len()];
        let mut traces: BTreeMap<TraceId, Vec<usize>> = BTreeMap::new();
        for (index, span) in spans.iter().enumerate() {
            traces.entry(span.trace_id).or_default().push(index);
            let parent = span.parent_id.and_then(|parent| at.get(&(span.trace_id, parent)).copied());
            if let Some(siblings) = parent.and_then(|parent| children.get_mut(parent)) {
                siblings.push(index);
            }
            if let Some(slot) = parents.get_mut(index) {
                *slot = parent;
            }
        }
        let bad: Vec<bool> = spans.iter().map(|span| span.is_bad(evidence.latency_objective_ns)).collect();
        let newest = spans.iter().map(|span| span.end_ns).max().unwrap_or_default();
        let mut forest =
            Self { settled_ns: newest.saturating_sub(ARRIVAL_NS), onset_ns: 0, spans, children, bad, parents, traces };
        forest.onset_ns = forest.first_bad(evidence);
        forest
    }

    /// Start of the first bad entry span at or after the onset that Scout saw; Scout sees a span when it ends.
    fn first_bad(&self, evidence: &Evidence) -> u64 {
        let seen_ns = u64::try_from(evidence.signal.onset_ms).unwrap_or_default().saturating_mul(MS);
        let about = seen_ns.saturating_sub(1_500 * MS);
        let bad_entries = self.entries().filter(|index| self.bad[*index] && self.spans[*index].end_ns >= about);
        bad_entries.map(|index| self.spans[index].start_ns).min().unwrap_or(about)
    }

    /// Entry spans: where a service takes work in.
    pub fn entries(&self) -> impl Iterator<Item = usize> {
        (0..self.spans.len()).filter(|index| self.spans[*index].kind.is_entry())
    }

    /// Entry spans of one operation.
    pub fn entries_of(&self, service: &str, operation: &str) -> Vec<usize> {
        self.entries()
            .filter(|index| self.spans[*index].service == service && self.spans[*index].name == operation)
            .collect()
    }

    /// Settled traces with a bad entry span since the onset; each as the indices of its spans.
    pub fn bad_traces(&self) -> Vec<&[usize]> {
        let is_bad = |spans: &&Vec<usize>| {
            let last = spans.iter().map(|index| self.spans[*index].end_ns).max().unwrap_or_default();
            let bad = |index: &usize| {
                self.bad[*index] && self.spans[*index].kind.is_entry() && self.spans[*index].end_ns >= self.onset_ns
            };
            last <= self.settled_ns && spans.iter().any(bad)
        };
        self.traces.values().filter(is_bad).map(Vec::as_slice).collect()
    }

    /// Whether a trace was seen whole: one root, every parent there, every call to another service met by its other side.
    pub fn is_whole(&self, trace: &[usize]) -> bool {
        let roots = trace.iter().filter(|index| self.spans[**index].parent_id.is_none()).count();
        let linked = |index: &usize| self.spans[*index].parent_id.is_none() || self.parents[*index].is_some();
        let met = |index: &usize| {
            let span = self.spans[*index];
            !span.kind.is_exit() || !span.db_system.is_empty() || !self.children[*index].is_empty()
        };
        roots == 1 && trace.iter().all(linked) && trace.iter().all(met)
    }

    /// The first entry spans of a trace that have no entry above them.
    pub fn tops(&self, trace: &[usize]) -> Vec<usize> {
        let is_top = |index: &&usize| self.spans[**index].kind.is_entry() && self.parents[**index].is_none();
        trace.iter().filter(is_top).copied().collect()
    }
}
