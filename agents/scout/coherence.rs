//! The second sense: what goes wrong before a request does. Memory that grows towards its limit, calls that multiply.
//!
//! Both are judged second by second: a second is bad when it shows the trend, and whether enough of them are is for the same
//! sequential statistics that judge requests (`series`). What they say can so be confirmed, rechecked and proven like any other
//! signal. A gauge belongs to a service; what is judged is the newest revision, and another one begins anew. A "second" is a second
//! or the time between two points or counts, where that is longer: what comes every minute is judged by 25 minutes, and is
//! confirmed after eleven bad points, which is a quarter of an hour after a leak began. A change is proven after some 26 points.

mod calls;
mod memory;
mod pace;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use sre_space_domain::recovery::Tally;
use sre_space_domain::signal::{Coherence, SignalKind};
use sre_space_domain::telemetry::{PointValue, PointView, TraceId};

pub use self::calls::Call;
use self::calls::Calls;
use self::memory::{Memory, Point};
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
/// A process lives within its container's limit, where it has none of its own.
const PROCESS: &str = "process";
const CONTAINER: &str = "container";
/// Limits that are remembered, of all services and entities.
const MOST_LIMITS: usize = 1_000;

/// One second, judged.
struct Second {
    is_bad: bool,
    source: Name,
    revision: Name,
    /// Another source that sees the same.
    also: Option<Name>,
    /// How long it truly is, milliseconds.
    step_ms: i64,
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

    /// Seconds since a moment, good and bad by what an incident's own numbers say is usual; of one revision, or of all. `None`
    /// where nothing is usual: memory is judged by its limit.
    pub fn against(&self, numbers: &Coherence, revision: Option<Name>, since_ms: i64) -> Option<Tally> {
        match (&self.gauge, numbers) {
            (Gauge::Calls(calls), Coherence::Calls(known)) => Some(calls.against(known.usual, revision, since_ms)),
            (Gauge::Calls(_) | Gauge::Memory(_), Coherence::Memory(_)) | (Gauge::Memory(_), Coherence::Calls(_)) => {
                None
            }
        }
    }

    fn take(&mut self, second: &Second, now_ms: i64) {
        self.series.paced(second.step_ms);
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
    /// By service and entity, hashed.
    limits: BTreeMap<(Name, u64), f64>,
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
        if let Some(entity) = point.metric.strip_suffix(LIMIT) {
            let key = (service, hash(entity));
            if self.limits.len() < MOST_LIMITS || self.limits.contains_key(&key) {
                self.limits.insert(key, value);
            }
        } else if let Some(entity) = point.metric.strip_suffix(USAGE)
            && let Some(limit) = self.limit(service, entity)
        {
            let of = Passing { service, revision: names.other(point.revision), source: names.other(source) };
            let (instance, entity) = (hash(point.instance), hash(entity));
            self.memory(names.other(MEMORY), of, &Point { instance, entity, used: value, limit, now_ms });
        }
    }

    fn limit(&self, service: Name, entity: &str) -> Option<f64> {
        let of = |entity: &str| self.limits.get(&(service, hash(entity))).copied();
        of(entity).or_else(|| of(CONTAINER).filter(|_| entity == PROCESS))
    }

    fn memory(&mut self, operation: Name, of: Passing, point: &Point) {
        let key = (of.service, operation);
        let watched = self.watched.entry(key).or_insert_with(|| Watched::new(Gauge::Memory(Memory::default())));
        let Gauge::Memory(memory) = &mut watched.gauge else { return };
        let heard = memory.take(of, point);
        if heard.begins {
            watched.series.settle();
        }
        if let Some(second) = heard.second {
            self.judged(key, &second, point.now_ms);
        }
    }

    /// One side of a call, or a request: of a received call, `of` is the caller, and the source the callee's.
    pub fn call(&mut self, names: &mut Names, of: Passing, call: Call, now_ms: i64) {
        let Some((key, watched)) = self.calls(names, of.service) else { return };
        let is_quiet = watched.series.is_quiet();
        let Gauge::Calls(calls) = &mut watched.gauge else { return };
        if calls.begins(of.revision) {
            watched.series.settle();
        }
        let judged = calls.turn(now_ms, is_quiet);
        calls.take(call, of);
        if let Some(second) = judged {
            self.judged(key, &second, now_ms);
        }
    }

    /// The same of calm times before the start: it says what is usual, and is judged nowhere.
    pub fn recollect(&mut self, names: &mut Names, of: Passing, call: Call) {
        let Some((_, watched)) = self.calls(names, of.service) else { return };
        if let Gauge::Calls(calls) = &mut watched.gauge {
            calls.recollect(call, of);
        }
    }

    fn calls(&mut self, names: &mut Names, service: Name) -> Option<(Key, &mut Watched)> {
        if !self.is_on {
            return None;
        }
        let key = (service, *self.calls_name.get_or_insert_with(|| names.other(CALLS)));
        let fresh = || Watched::new(Gauge::Calls(Calls::default()));
        Some((key, self.watched.entry(key).or_insert_with(fresh)))
    }

    fn judged(&mut self, key: Key, second: &Second, now_ms: i64) {
        self.revisions.take(key, second.revision, second.is_bad, now_ms);
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.take(second, now_ms);
        }
    }

    /// Whether it is known of every service how many calls it usually makes: before, more of them are no news.
    pub fn knows_usual(&self) -> bool {
        self.watched.values().all(|watched| match &watched.gauge {
            Gauge::Memory(_) => true,
            Gauge::Calls(_) => watched.numbers().is_some(),
        })
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

/// Equal texts, equal numbers; nothing is kept of them.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
