//! The second sense: what goes wrong before a request does. Memory that grows towards its limit, calls that multiply.
//!
//! Both are judged second by second: a second is bad when it shows the trend, and whether enough of them are is for the same
//! sequential statistics that judge requests (`series`). What they say can so be confirmed, rechecked and proven like any other
//! signal. A gauge belongs to a service; the process that is judged is the newest one, and another one begins anew.

mod calls;
mod memory;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sre_space_domain::signal::{Coherence, SignalKind};
use sre_space_domain::telemetry::{PointValue, PointView, TraceId};

use self::calls::Calls;
use self::memory::Memory;
use super::Key;
use super::names::{Name, Names};
use super::revisions::Revisions;
use super::series::{Seen, Series};

/// The operations that the second sense judges, as signals name them.
pub const MEMORY: &str = "process memory";
pub const CALLS: &str = "calls per request";

/// What a metric's name ends in, by OpenTelemetry's naming of instruments: `<entity>.usage` out of a known `<entity>.limit`.
const USAGE: &str = ".memory.usage";
const LIMIT: &str = ".memory.limit";
const BYTES: &str = "By";

/// One second, judged.
struct Second {
    is_bad: bool,
    source: Name,
    revision: Name,
    /// Another source that sees the same.
    also: Option<Name>,
}

enum Gauge {
    Memory(Memory),
    Calls(Calls),
}

/// One thing that is watched of one service.
pub struct Watched {
    /// Good and bad seconds.
    pub series: Series,
    gauge: Gauge,
}

impl Watched {
    fn new(gauge: Gauge) -> Self {
        Self { series: Series::of_seconds(), gauge }
    }

    /// The kind of its signals.
    pub fn kind(&self) -> SignalKind {
        match self.gauge {
            Gauge::Memory(_) => SignalKind::MemoryTrend,
            Gauge::Calls(_) => SignalKind::Amplification,
        }
    }

    /// The numbers behind the last second; `None` before there are any.
    pub fn numbers(&self) -> Option<Coherence> {
        match &self.gauge {
            Gauge::Memory(memory) => memory.numbers().map(Coherence::Memory),
            Gauge::Calls(calls) => calls.numbers().map(Coherence::Calls),
        }
    }

    fn take(&mut self, second: &Second, now_ms: i64) {
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&now_ms.to_be_bytes());
        let seen = Seen { bad: second.is_bad, failed: false, trace: TraceId(trace), source: second.source };
        self.series.take(seen, now_ms);
        if let Some(also) = second.also.filter(|_| second.is_bad) {
            self.series.corroborated(also);
        }
    }
}

/// Everything that is watched, by service and operation.
#[derive(Default)]
pub struct Senses {
    is_on: bool,
    watched: BTreeMap<Key, Watched>,
    limits: BTreeMap<Name, f64>,
    /// [`CALLS`], once it is interned: asked for with every span.
    calls_name: Option<Name>,
    /// Good and bad seconds by revision: what recovery is judged on.
    pub revisions: Revisions,
}

/// One span, as far as the second sense looks at it.
#[derive(Clone, Copy)]
pub struct Passing {
    /// Whose it is; of a received call, who made it.
    pub service: Name,
    /// Revision of that service.
    pub revision: Name,
    /// Who tells of it.
    pub source: Name,
}

impl Senses {
    /// Nothing is watched yet; switched off, nothing ever is.
    pub fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// Takes one data point.
    pub fn point(&mut self, names: &mut Names, point: &PointView<'_>, source: &str, now_ms: i64) {
        let PointValue::Number(value) = point.value else { return };
        if !self.is_on || point.unit != BYTES || !value.is_finite() || value < 0.0 {
            return;
        }
        let service = names.service(point.service);
        if point.metric.ends_with(LIMIT) {
            self.limits.insert(service, value);
        } else if point.metric.ends_with(USAGE)
            && let Some(limit) = self.limits.get(&service).copied()
        {
            let (instance, revision) = (names.other(point.instance), names.other(point.revision));
            let of = Passing { service, revision, source: names.other(source) };
            self.memory(names.other(MEMORY), of, instance, (value, limit, now_ms));
        }
    }

    fn memory(&mut self, operation: Name, of: Passing, instance: Name, (value, limit, now_ms): (f64, f64, i64)) {
        let key = (of.service, operation);
        let watched = self.watched.entry(key).or_insert_with(|| Watched::new(Gauge::Memory(Memory::default())));
        let Gauge::Memory(memory) = &mut watched.gauge else { return };
        if memory.begins(instance, of.source) {
            watched.series.settle();
        }
        if let Some((is_bad, also)) = memory.take(instance, of.source, (value, limit, now_ms)) {
            let second = Second { is_bad, source: of.source, revision: of.revision, also };
            self.judged(key, &second, now_ms);
        }
    }

    /// A service took in a request.
    pub fn served(&mut self, names: &mut Names, of: Passing, now_ms: i64) {
        self.calls(names, of, now_ms, Calls::served);
    }

    /// A service called another.
    pub fn called(&mut self, names: &mut Names, of: Passing, now_ms: i64) {
        self.calls(names, of, now_ms, Calls::called);
    }

    /// A service was called; `of` is the caller, and the source the callee's.
    pub fn received(&mut self, names: &mut Names, of: Passing, now_ms: i64) {
        self.calls(names, of, now_ms, Calls::received);
    }

    fn calls(&mut self, names: &mut Names, of: Passing, now_ms: i64, count: impl Fn(&mut Calls, Passing)) {
        if !self.is_on {
            return;
        }
        let key = (of.service, *self.calls_name.get_or_insert_with(|| names.other(CALLS)));
        let watched = self.watched.entry(key).or_insert_with(|| Watched::new(Gauge::Calls(Calls::default())));
        let is_quiet = watched.series.is_quiet();
        let Gauge::Calls(calls) = &mut watched.gauge else { return };
        if calls.begins(of.revision) {
            watched.series.settle();
        }
        let judged = calls.turn(now_ms, is_quiet);
        count(calls, of);
        if let Some(second) = judged {
            self.judged(key, &second, now_ms);
        }
    }

    fn judged(&mut self, key: Key, second: &Second, now_ms: i64) {
        self.revisions.take(key, second.revision, second.is_bad, now_ms);
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.take(second, now_ms);
        }
    }

    /// What is watched under a key.
    pub fn get(&self, key: Key) -> Option<&Watched> {
        self.watched.get(&key)
    }

    /// All series, to be turned or settled.
    pub fn series_mut(&mut self) -> impl Iterator<Item = (Key, &mut Series)> {
        self.watched.iter_mut().map(|(key, watched)| (*key, &mut watched.series))
    }

    /// All series.
    pub fn series(&self) -> impl Iterator<Item = (Key, &Series)> {
        self.watched.iter().map(|(key, watched)| (*key, &watched.series))
    }
}
