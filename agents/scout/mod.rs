//! Scout. OBSERVE.
//!
//! Mission: notice that something broke, and whether it is well again. Trigger: spans. Authority: reads telemetry, nothing
//! else. Output: [`Sighting`]s, [`Evidence`], and the judgement of a deployed change.
//!
//! Scout never reads a clock: every span and every question brings its own time. It judges by spans, and by its second sense
//! (`coherence`) by what metrics and calls tell before a request fails; of other metrics it keeps the newest values and of logs the
//! counts. It knows nothing of faults, switches or remedies. All memory is bounded by the named limits.

mod buffer;
mod coherence;
mod graph;
mod names;
mod recheck;
mod revisions;
mod series;
mod tell;
#[cfg(test)]
mod tests;
mod vitals;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use sre_space_domain::signal::Signal;
use sre_space_domain::telemetry::{LogView, PointView, SpanId, SpanKind, SpanView};

use self::buffer::{Buffer, Kept};
use self::coherence::{Call, Passing, Senses};
use self::graph::Calls;
pub use self::graph::{Edge, Graph, Node};
use self::names::{Name, Names};
pub use self::recheck::{ProbeTally, Watch};
use self::revisions::Revisions;
use self::series::Series;
use self::vitals::Vitals;
pub use self::vitals::{Heard, Newest};

/// Spans of half-open calls that are remembered to match both sides.
const MOST_CALLS: usize = 65_536;
/// A service that is first heard this long after the start, milliseconds, is new and was not merely late.
const GATHERING_MS: i64 = 10_000;

/// What Scout may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A span slower than this is bad, milliseconds; the objective itself is not slow.
    pub latency_ms: u64,
    /// Services; those beyond share one overflow name.
    pub services: usize,
    /// Operations per service; those beyond share one overflow name.
    pub operations: usize,
    /// Spans kept as possible evidence.
    pub buffer_spans: usize,
    /// How long they are kept, milliseconds.
    pub buffer_ms: i64,
    /// Whether the second sense is on.
    pub coherence: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            latency_ms: 800,
            services: 200,
            operations: 50,
            buffer_spans: 120_000,
            buffer_ms: 60_000,
            coherence: true,
        }
    }
}

/// What Scout has to say. Each is said once per excursion; a series speaks again only after it was calm.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    /// Worth opening an incident.
    Suspected(Signal),
    /// Worth acting on: the posterior and a second independent source agree.
    Confirmed(Signal),
    /// The series is calm again.
    Faded {
        /// Service.
        service: String,
        /// Operation.
        operation: String,
    },
}

/// Whether good and bad are counted on this span: where a service takes work in, or begins it by itself.
fn is_entry(span: &SpanView<'_>) -> bool {
    span.kind.is_entry() || (span.kind == SpanKind::Internal && span.parent_id.is_none())
}

/// Whether a service calls another by this span: a database is none.
fn is_call(span: &SpanView<'_>) -> bool {
    span.kind.is_exit() && span.db_system.is_empty()
}

/// A service and an operation, interned.
type Key = (Name, Name);

/// One side of a call, waiting for the other.
#[derive(Debug, Clone, Copy)]
struct Side {
    key: Key,
    source: Name,
    revision: Name,
    bad: bool,
}

impl Side {
    fn passing(self, source: Name) -> Passing {
        Passing { service: self.key.0, revision: self.revision, source }
    }
}

/// The watcher.
pub struct Scout {
    limits: Limits,
    latency_ns: u64,
    names: Names,
    series: BTreeMap<Key, Series>,
    revisions: Revisions,
    buffer: Buffer,
    calls: Calls,
    vitals: Vitals,
    senses: Senses,
    exits: HashMap<SpanId, Side>,
    entries: HashMap<SpanId, Side>,
    order: VecDeque<SpanId>,
    began_ms: Option<i64>,
    gathered: BTreeSet<Name>,
    heard_since_ms: Option<i64>,
}

impl Scout {
    /// A watcher that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            latency_ns: limits.latency_ms.saturating_mul(1_000_000),
            names: Names::new(limits.services, limits.operations),
            series: BTreeMap::new(),
            revisions: Revisions::default(),
            buffer: Buffer::new(limits.buffer_spans, limits.buffer_ms),
            calls: Calls::default(),
            vitals: Vitals::default(),
            senses: Senses::new(limits.coherence),
            exits: HashMap::new(),
            entries: HashMap::new(),
            order: VecDeque::new(),
            began_ms: None,
            gathered: BTreeSet::new(),
            heard_since_ms: None,
            limits,
        }
    }

    /// Takes one span. `source` is the name of the ingest token that brought it.
    pub fn observe(&mut self, span: &SpanView<'_>, source: &str, received_ms: i64) {
        let service = self.names.service(span.service);
        self.hear(service, received_ms);
        let key = (service, self.names.operation(service, span.name));
        let source = self.names.other(source);
        let bad = self.is_bad(span);
        let side = Side { key, source, revision: self.names.other(span.revision), bad };
        if is_entry(span) {
            self.senses.call(&mut self.names, side.passing(source), Call::Served, received_ms);
            let series = self.series.entry(key).or_default();
            let seen = series::Seen { bad, failed: span.failed(), trace: span.trace_id, source };
            series.take(seen, received_ms);
            self.calls.served(service, span.duration_ns(), bad, received_ms);
        } else if is_call(span) {
            self.senses.call(&mut self.names, side.passing(source), Call::Called, received_ms);
        }
        if let Some((caller, callee)) = self.meet(span, side, is_entry(span)) {
            self.match_call(caller, callee, received_ms);
        }
        self.keep(span, key, (received_ms, received_ms));
    }

    /// Takes one span of calm times before the start: as evidence of what is usual, of which revision served, of who calls
    /// whom and how often. It is counted nowhere else, and kept as long as if it came now.
    pub fn recollect(&mut self, span: &SpanView<'_>, received_ms: i64, now_ms: i64) {
        let service = self.names.service(span.service);
        let key = (service, self.names.operation(service, span.name));
        let revision = self.names.other(span.revision);
        let side = Side { key, source: self.names.other(""), revision, bad: false };
        if is_entry(span) {
            self.senses.recollect(&mut self.names, side.passing(side.source), Call::Served);
        } else if is_call(span) {
            self.senses.recollect(&mut self.names, side.passing(side.source), Call::Called);
        }
        if let Some((caller, callee)) = self.meet(span, side, is_entry(span)) {
            self.calls.knows(caller.key.0, callee.key.0);
            if caller.key.0 != callee.key.0 {
                self.senses.recollect(&mut self.names, caller.passing(callee.source), Call::Received);
            }
        }
        self.keep(span, key, (received_ms, now_ms));
    }

    /// Exporters that were refused come back one after the other: all is heard once the last of them has.
    fn hear(&mut self, service: Name, received_ms: i64) {
        let began_ms = *self.began_ms.get_or_insert(received_ms);
        if received_ms <= began_ms + GATHERING_MS && self.gathered.insert(service) {
            self.heard_since_ms = Some(received_ms);
        }
    }

    fn keep(&mut self, span: &SpanView<'_>, key: Key, (received_ms, kept_ms): (i64, i64)) {
        let revision = self.names.other(span.revision);
        if is_entry(span) {
            self.revisions.take(key, revision, self.is_bad(span), received_ms);
        }
        let error = if span.exception_type.is_empty() { span.error_type } else { span.exception_type };
        let (error, database) = (self.names.other(error), self.names.other(span.db_system));
        self.buffer.keep(Kept::of(span, key, revision, error, database, kept_ms));
    }

    fn is_bad(&self, span: &SpanView<'_>) -> bool {
        span.failed() || span.duration_ns() > self.latency_ns
    }

    /// Takes one data point. `source` is the name of the ingest token that brought it.
    pub fn observe_point(&mut self, point: &PointView<'_>, source: &str, received_ms: i64) {
        self.vitals.point(&mut self.names, point);
        self.senses.point(&mut self.names, point, source, received_ms);
    }

    /// Takes one log record.
    pub fn observe_record(&mut self, record: &LogView<'_>) {
        self.vitals.record(&mut self.names, record);
    }

    /// Both sides of a call meet here, caller and callee, whichever came first.
    fn meet(&mut self, span: &SpanView<'_>, side: Side, is_entry: bool) -> Option<(Side, Side)> {
        match (is_entry, span.parent_id) {
            (true, Some(parent)) => {
                self.remember(parent, side, true);
                Some((*self.exits.get(&parent)?, side))
            }
            (false, _) if span.kind.is_exit() => {
                self.remember(span.span_id, side, false);
                Some((side, *self.entries.get(&span.span_id)?))
            }
            (true, None) | (false, _) => None,
        }
    }

    /// A call seen from both sides: the edge of the service graph, and a second source for a bad one.
    fn match_call(&mut self, caller: Side, callee: Side, received_ms: i64) {
        self.calls.called(caller.key.0, callee.key.0, callee.bad || caller.bad, received_ms);
        if caller.key.0 != callee.key.0 {
            self.senses.call(&mut self.names, caller.passing(callee.source), Call::Received, received_ms);
        }
        let agree = caller.bad && callee.bad && caller.source != callee.source;
        if let Some(series) = self.series.get_mut(&callee.key).filter(|_| agree) {
            series.corroborated(caller.source);
        }
    }

    fn remember(&mut self, id: SpanId, side: Side, is_entry: bool) {
        let sides = if is_entry { &mut self.entries } else { &mut self.exits };
        sides.insert(id, side);
        self.order.push_back(id);
        if self.order.len() > MOST_CALLS
            && let Some(old) = self.order.pop_front()
        {
            self.entries.remove(&old);
            self.exits.remove(&old);
        }
    }

    /// Takes the outcome of a probe: an independent source named `probe`.
    pub fn probed(&mut self, service: &str, bad: bool, now_ms: i64) {
        let (service, probe) = (self.names.service(service), self.names.other("probe"));
        if bad {
            let of_service = self.series.iter_mut().filter(|(key, _)| key.0 == service);
            of_service
                .filter(|(_, series)| series.is_bad_lately(now_ms))
                .for_each(|(_, series)| series.corroborated(probe));
        }
    }

    /// Forgets suspicions of (service, operation) whose recovery was proven, so that remnants of the old failure are not taken
    /// for a new one, nor a new one for the old.
    pub fn settle(&mut self, affected: &[(String, String)]) {
        for (service, operation) in affected {
            let Some(key) = self.key(service, operation) else { continue };
            let sensed = self.senses.series_mut().filter(|(watched, _)| *watched == key).map(|(_, series)| series);
            self.series.get_mut(&key).into_iter().chain(sensed).for_each(Series::settle);
        }
    }
}
