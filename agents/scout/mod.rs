//! Scout. OBSERVE.
//!
//! Mission: notice that something broke, and whether it is well again. Trigger: spans. Authority: reads telemetry, nothing
//! else. Output: [`Sighting`]s, [`Evidence`], and the judgement of a deployed change.
//!
//! Scout never reads a clock: every span and every question brings its own time. It judges by spans; of metrics it keeps the
//! newest values and of logs the counts. It knows nothing of faults, switches or remedies. All memory is bounded by the named limits.

mod buffer;
mod graph;
mod names;
mod recheck;
mod revisions;
mod series;
#[cfg(test)]
mod tests;
mod vitals;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use sre_space_domain::evidence::{Evidence, Suspect};
use sre_space_domain::recovery::{Before, Recovery, SequentialTest, Tally};
use sre_space_domain::signal::{Certainty, Signal};
use sre_space_domain::telemetry::{LogView, PointView, SpanId, SpanKind, SpanView};

use self::buffer::{Buffer, Kept};
use self::graph::Calls;
pub use self::graph::{Edge, Graph, Node};
use self::names::{Name, Names};
pub use self::recheck::{ProbeTally, Watch};
use self::revisions::Revisions;
use self::series::{Phase, Series};
use self::vitals::Vitals;
pub use self::vitals::{Heard, Newest};

/// Spans of half-open calls that are remembered to match both sides.
const MOST_CALLS: usize = 65_536;
/// Most spans that are handed out as evidence.
const MOST_EVIDENCE: usize = 40_000;
/// A service that is first heard this long after the start, milliseconds, is new and was not merely late.
const GATHERING_MS: i64 = 10_000;
/// Good requests in the window before a service counts as calm.
const CALM_REQUESTS: u64 = 20;

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
}

impl Default for Limits {
    fn default() -> Self {
        Self { latency_ms: 800, services: 200, operations: 50, buffer_spans: 120_000, buffer_ms: 60_000 }
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

/// A service and an operation, interned.
type Key = (Name, Name);

/// One side of a call, waiting for the other.
#[derive(Debug, Clone, Copy)]
struct Side {
    key: Key,
    source: Name,
    bad: bool,
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
        if is_entry(span) {
            let series = self.series.entry(key).or_default();
            let seen = series::Seen { bad, failed: span.failed(), trace: span.trace_id, source };
            series.take(seen, received_ms);
            self.calls.served(service, span.duration_ns(), bad, received_ms);
        }
        if let Some((caller, callee)) = self.meet(span, Side { key, source, bad }, is_entry(span)) {
            self.match_call(caller, callee, received_ms);
        }
        self.keep(span, key, (received_ms, received_ms));
    }

    /// Takes one span of calm times before the start: as evidence of what is usual, of which revision served, and of who calls
    /// whom. It is counted nowhere else, and kept as long as if it came now.
    pub fn recollect(&mut self, span: &SpanView<'_>, received_ms: i64, now_ms: i64) {
        let service = self.names.service(span.service);
        let key = (service, self.names.operation(service, span.name));
        let side = Side { key, source: self.names.other(""), bad: false };
        if let Some((caller, callee)) = self.meet(span, side, is_entry(span)) {
            self.calls.knows(caller.key.0, callee.key.0);
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

    /// Takes one data point.
    pub fn observe_point(&mut self, point: &PointView<'_>) {
        self.vitals.point(&mut self.names, point);
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
            if let Some(series) = self.key(service, operation).and_then(|key| self.series.get_mut(&key)) {
                series.settle();
            }
        }
    }

    /// What is to be said now, callees before their callers.
    pub fn judge(&mut self, now_ms: i64) -> Vec<Sighting> {
        self.buffer.forget(now_ms);
        let mut turned: Vec<(Key, Phase)> =
            self.series.iter_mut().filter_map(|(key, series)| series.turn(now_ms).map(|phase| (*key, phase))).collect();
        let depth = |key: &Key| self.calls.depth(key.0);
        turned.sort_by_key(|(key, _)| std::cmp::Reverse(depth(key)));
        turned.into_iter().filter_map(|(key, phase)| self.sighting(key, phase, now_ms)).collect()
    }

    fn sighting(&self, key: Key, phase: Phase, now_ms: i64) -> Option<Sighting> {
        match phase {
            Phase::Calm => Some(Sighting::Faded {
                service: self.names.text(key.0).to_owned(),
                operation: self.names.text(key.1).to_owned(),
            }),
            Phase::Suspected => self.signal_of(key, now_ms).map(Sighting::Suspected),
            Phase::Confirmed => self.signal_of(key, now_ms).map(Sighting::Confirmed),
        }
    }

    /// The signal of a (service, operation) as it stands; `None` when it was never seen.
    pub fn signal(&self, service: &str, operation: &str, now_ms: i64) -> Option<Signal> {
        self.key(service, operation).and_then(|key| self.signal_of(key, now_ms))
    }

    fn signal_of(&self, key: Key, now_ms: i64) -> Option<Signal> {
        let series = self.series.get(&key)?;
        let window = series.window(now_ms);
        Some(Signal {
            service: self.names.text(key.0).to_owned(),
            operation: self.names.text(key.1).to_owned(),
            kind: series.kind(),
            certainty: if series.phase() == Phase::Confirmed { Certainty::Confirmed } else { Certainty::Suspected },
            observed: window.bad as f64 / window.all.max(1) as f64,
            baseline: series.baseline(),
            threshold: sre_space_domain::detect::THRESHOLD,
            window_s: window.seconds,
            samples: window.all,
            statistic: series.statistic(),
            posterior: window.posterior(),
            sources: series.sources().map(|name| self.names.text(name).to_owned()).collect(),
            onset_ms: series.onset_ms(),
        })
    }

    /// Everything an explanation of the signal may be built from; the repository's part is left empty.
    pub fn evidence(&self, signal: &Signal, now_ms: i64) -> Evidence {
        Evidence {
            signal: self.signal(&signal.service, &signal.operation, now_ms).unwrap_or_else(|| signal.clone()),
            taken_ms: now_ms,
            heard_since_ms: self.heard_since_ms.unwrap_or(now_ms),
            spans: self.buffer.newest(MOST_EVIDENCE, &self.names),
            latency_objective_ns: self.latency_ns,
            revisions: self.revisions.seen(&self.names),
            suspects: self.suspects(),
            changes: Vec::new(),
        }
    }

    /// Every (service, operation) under suspicion now.
    pub fn suspects(&self) -> Vec<Suspect> {
        let suspect = |(key, series): (&Key, &Series)| Suspect {
            service: self.names.text(key.0).to_owned(),
            operation: self.names.text(key.1).to_owned(),
            statistic: series.statistic(),
        };
        self.series.iter().filter(|(_, series)| series.suspects()).map(suspect).collect()
    }

    /// Whether a call path leads from one service to the other, either way.
    pub fn related(&self, a: &str, b: &str) -> bool {
        if a == b {
            return true;
        }
        match (self.names.find(a), self.names.find(b)) {
            (Some(a), Some(b)) => self.calls.leads(a, b) || self.calls.leads(b, a),
            (None, _) | (_, None) => false,
        }
    }

    /// When the first span of a revision arrived, milliseconds since the Unix epoch.
    pub fn revision_seen(&self, service: &str, revision: &str) -> Option<i64> {
        self.revisions.first_seen(self.names.find(service)?, self.names.find(revision)?)
    }

    /// Whether the service is seen to be well: recent good requests, and no operation of it suspect.
    pub fn calm(&self, service: &str, now_ms: i64) -> bool {
        let Some(service) = self.names.find(service) else { return false };
        let of_service = || self.series.iter().filter(|(key, _)| key.0 == service).map(|(_, series)| series);
        let good: u64 = of_service().map(|series| series.window(now_ms)).map(|window| window.all - window.bad).sum();
        good >= CALM_REQUESTS && of_service().all(|series| !series.suspects())
    }

    /// Whether a failure has passed by itself: its service is well, and Wald's test finds the very operation healthy by what it
    /// served lately. An operation that is not called tells nothing.
    pub fn passed(&self, signal: &Signal, now_ms: i64) -> bool {
        let series = self.key(&signal.service, &signal.operation).and_then(|key| self.series.get(&key));
        let Some(window) = series.map(|series| series.window(now_ms)) else { return false };
        let test = SequentialTest::against(Before { baseline: signal.baseline, observed: signal.observed });
        test.finds_healthy(Tally { all: window.all, bad: window.bad }) && self.calm(&signal.service, now_ms)
    }

    /// The service graph as the spans show it.
    pub fn graph(&self, now_ms: i64) -> Graph {
        let suspect = |service: Name| self.series.iter().any(|(key, series)| key.0 == service && series.suspects());
        self.calls.graph(&self.names, (&self.revisions, &self.vitals), suspect, now_ms)
    }

    /// Judges a deployed change; `None` while undecided.
    pub fn recheck(&self, watch: &Watch, now_ms: i64) -> Option<Recovery> {
        recheck::judge(self, watch, now_ms)
    }

    /// Names refused for want of room, counted; their spans were taken under the overflow name.
    pub fn overflowed(&self) -> u64 {
        self.names.overflowed()
    }

    /// The windows looked at, seconds: what a suspicion is confirmed in, and what rates and quantiles are of, at most.
    pub fn windows_s() -> (i64, i64) {
        (series::WINDOW_S, 2 * graph::HALF_WINDOW_MS / 1_000)
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn key(&self, service: &str, operation: &str) -> Option<Key> {
        Some((self.names.find(service)?, self.names.find(operation)?))
    }
}
