//! Spans as trees: one tree a trace, with what is bad in it and when the badness began.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::onset;
use crate::evidence::Evidence;
use crate::telemetry::{Span, SpanId, TraceId};

/// One millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;
/// Spans of one trace arrive within this time of its last; younger traces are not judged for completeness.
const ARRIVAL_NS: u64 = 2_000 * MS;
/// Spans above one that are looked at.
const DEEPEST: usize = 64;

/// One trace, as indices into [`Forest::spans`], oldest start first.
pub struct Trace {
    /// Its spans.
    pub spans: Vec<usize>,
    /// Its earliest start.
    pub start_ns: u64,
    /// Its latest end.
    pub end_ns: u64,
}

/// All traces of the evidence.
pub struct Forest<'a> {
    /// Spans by start.
    pub spans: Vec<&'a Span>,
    /// (service, span name) of each span, as a small number.
    pub places: Vec<usize>,
    /// The names behind the numbers.
    pub names: Vec<(&'a str, &'a str)>,
    /// Parent of each span, when it was seen.
    pub parents: Vec<Option<usize>>,
    /// Children of each span, by start.
    pub children: Vec<Vec<usize>>,
    /// Whether the span is bad.
    pub bad: Vec<bool>,
    /// All traces, by start.
    pub traces: Vec<Trace>,
    /// Since when the signal's operation is bad, by the senders' clocks and by the start of the traces.
    pub onset_ns: u64,
    /// Traces that end later may still be incomplete.
    pub settled_ns: u64,
    /// Traces that start earlier may have lost their beginning to the buffer's bound.
    pub whole_from_ns: u64,
    scope: BTreeSet<usize>,
}

impl<'a> Forest<'a> {
    /// Links the spans; a span that arrived twice counts once.
    pub fn grow(evidence: &'a Evidence) -> Self {
        let mut spans: Vec<&Span> = evidence.spans.iter().collect();
        spans.sort_by_key(|span| (span.start_ns, span.trace_id, span.span_id));
        let mut at: HashMap<(TraceId, SpanId), usize> = HashMap::with_capacity(spans.len());
        let mut kept: Vec<&Span> = Vec::with_capacity(spans.len());
        for span in spans {
            at.entry((span.trace_id, span.span_id)).or_insert_with(|| {
                kept.push(span);
                kept.len() - 1
            });
        }
        let parent = |span: &&Span| span.parent_id.and_then(|id| at.get(&(span.trace_id, id)).copied());
        let parents: Vec<Option<usize>> = kept.iter().map(parent).collect();
        let mut children = vec![Vec::new(); kept.len()];
        for (index, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent.filter(|parent| *parent != index) {
                children[parent].push(index);
            }
        }
        let (places, names) = intern(&kept);
        let mut forest = Self {
            bad: kept.iter().map(|span| span.is_bad(evidence.latency_objective_ns)).collect(),
            traces: traces(&kept),
            spans: kept,
            places,
            names,
            parents,
            children,
            onset_ns: 0,
            settled_ns: 0,
            whole_from_ns: 0,
            scope: BTreeSet::new(),
        };
        forest.date(evidence);
        forest
    }

    fn date(&mut self, evidence: &Evidence) {
        let mut ends: Vec<u64> = self.spans.iter().map(|span| span.end_ns).collect();
        ends.sort_unstable();
        // One span from a wrong clock must not move the edge of what is known.
        let newest = ends.get(ends.len().saturating_sub(1 + ends.len() / 1_000)).copied().unwrap_or_default();
        self.settled_ns = newest.saturating_sub(ARRIVAL_NS);
        let oldest = ends.get(ends.len() / 1_000).copied().unwrap_or_default();
        let heard = u64::try_from(evidence.heard_since_ms).unwrap_or_default().saturating_mul(MS);
        self.whole_from_ns = oldest.max(heard).saturating_add(ARRIVAL_NS);
        self.onset_ns = onset::find(self, evidence, newest);
        let signal = self.place(&evidence.signal.service, &evidence.signal.operation);
        let here = |trace: &&Trace| {
            trace.start_ns >= self.onset_ns && signal.is_some_and(|at| self.entry_at(trace, at).is_some())
        };
        self.scope = self.traces.iter().filter(here).flat_map(|trace| self.entry_places(trace)).collect();
    }

    /// The number of a (service, span name).
    pub fn place(&self, service: &str, name: &str) -> Option<usize> {
        self.names.iter().position(|place| *place == (service, name))
    }

    /// The first entry span of a trace at a place.
    pub fn entry_at(&self, trace: &Trace, place: usize) -> Option<usize> {
        trace.spans.iter().copied().find(|index| self.places[*index] == place && self.spans[*index].kind.is_entry())
    }

    fn entry_places<'b>(&'b self, trace: &'b Trace) -> impl Iterator<Item = usize> + 'b {
        let entries = trace.spans.iter().filter(|index| self.spans[**index].kind.is_entry());
        entries.map(|index| self.places[*index])
    }

    /// Whether every part of the trace was listened for and has had the time to arrive.
    pub fn is_settled(&self, trace: &Trace) -> bool {
        trace.end_ns <= self.settled_ns && trace.start_ns >= self.whole_from_ns
    }

    /// Whether any work taken in on this trace was bad.
    pub fn is_bad(&self, trace: &Trace) -> bool {
        trace.spans.iter().any(|index| self.bad[*index] && self.spans[*index].kind.is_entry())
    }

    /// Traces since the onset that pass where the signal's traces pass: what happens elsewhere is another incident.
    pub fn concerned(&self) -> impl Iterator<Item = &Trace> {
        self.traces.iter().filter(|trace| trace.start_ns >= self.onset_ns && self.is_in_scope(trace))
    }

    /// The same traces before the onset.
    pub fn calm(&self) -> impl Iterator<Item = &Trace> {
        self.traces.iter().filter(|trace| trace.start_ns < self.onset_ns && self.is_in_scope(trace))
    }

    fn is_in_scope(&self, trace: &Trace) -> bool {
        self.scope.is_empty() || self.entry_places(trace).any(|place| self.scope.contains(&place))
    }

    /// Entry spans without a bad entry span above them that are bad themselves: where a trace's badness is seen first.
    pub fn tops(&self, trace: &Trace) -> Vec<usize> {
        let is_bad_entry = |index: usize| self.bad[index] && self.spans[index].kind.is_entry();
        let is_top = |index: &usize| is_bad_entry(*index) && !self.above(*index).any(is_bad_entry);
        trace.spans.iter().copied().filter(is_top).collect()
    }

    /// The spans above one; bounded, since parents are whatever a stranger wrote.
    fn above(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parents[index], |at| self.parents[*at]).take(DEEPEST)
    }

    /// Time a span spent in none of its children.
    pub fn self_ns(&self, index: usize) -> u64 {
        let span = self.spans[index];
        let (mut own, mut until) = (0, span.start_ns);
        for child in &self.children[index] {
            let child = self.spans[*child];
            own += child.start_ns.min(span.end_ns).saturating_sub(until);
            until = until.max(child.end_ns);
        }
        own + span.end_ns.saturating_sub(until)
    }
}

type Interned<'a> = (Vec<usize>, Vec<(&'a str, &'a str)>);

fn intern<'a>(spans: &[&'a Span]) -> Interned<'a> {
    let mut numbers: HashMap<(&str, &str), usize> = HashMap::new();
    let mut names = Vec::new();
    let number = |span: &&'a Span| {
        let name = (span.service.as_str(), span.name.as_str());
        *numbers.entry(name).or_insert_with(|| {
            names.push(name);
            names.len() - 1
        })
    };
    let places = spans.iter().map(number).collect();
    (places, names)
}

fn traces(spans: &[&Span]) -> Vec<Trace> {
    let mut traces: BTreeMap<TraceId, Trace> = BTreeMap::new();
    for (index, span) in spans.iter().enumerate() {
        let new = || Trace { spans: Vec::new(), start_ns: span.start_ns, end_ns: span.end_ns };
        let trace = traces.entry(span.trace_id).or_insert_with(new);
        trace.spans.push(index);
        trace.end_ns = trace.end_ns.max(span.end_ns);
    }
    let mut traces: Vec<Trace> = traces.into_values().collect();
    traces.sort_by_key(|trace| (trace.start_ns, trace.spans.first().copied()));
    traces
}
