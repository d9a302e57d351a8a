//! Who calls whom, how often, how fast.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::names::{Name, Names};
use super::revisions::Revisions;
use super::vitals::{Heard, Vitals};

/// Rates and quantiles are taken over the last full half-window and the running one, milliseconds.
pub const HALF_WINDOW_MS: i64 = 5_000;
/// Sub-buckets per octave: 32 keep a quantile within 1.6 % of the truth.
const PER_OCTAVE: u64 = 32;

/// The service graph. Contract: `GET /api/v1/services`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Graph {
    /// Services.
    pub nodes: Vec<Node>,
    /// Calls between them.
    pub edges: Vec<Edge>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// `service.name`.
    pub service: String,
    /// Revision seen last.
    pub revision: String,
    /// Entry spans since the start.
    pub requests: u64,
    /// Entry spans per second, lately.
    pub rate: f64,
    /// Share of bad ones, lately.
    pub error_ratio: f64,
    /// Median duration, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// `healthy` or `suspect`; `unknown` where no span was seen.
    pub state: &'static str,
    /// What it says beside its spans.
    #[serde(flatten)]
    pub heard: Heard,
}

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    /// Caller.
    pub from: String,
    /// Callee.
    pub to: String,
    /// Calls since the start.
    pub requests: u64,
    /// Calls per second, lately.
    pub rate: f64,
    /// Share of bad ones since the start.
    pub error_ratio: f64,
}

#[derive(Default)]
struct Half {
    began_ms: i64,
    all: u64,
    bad: u64,
    durations: BTreeMap<u64, u64>,
}

/// The last full half-window and the running one.
#[derive(Default)]
struct Lately {
    last: Half,
    now: Half,
}

#[derive(Default)]
struct Served {
    requests: u64,
    lately: Lately,
}

#[derive(Default)]
struct Called {
    all: u64,
    bad: u64,
    lately: Lately,
}

/// Counts of services and of the calls between them.
#[derive(Default)]
pub struct Calls {
    served: BTreeMap<Name, Served>,
    edges: BTreeMap<(Name, Name), Called>,
    /// Caller and callee, counted or only known from before.
    paths: BTreeSet<(Name, Name)>,
}

impl Calls {
    /// Counts one entry span.
    pub fn served(&mut self, service: Name, duration_ns: u64, bad: bool, now_ms: i64) {
        let served = self.served.entry(service).or_default();
        served.requests += 1;
        served.lately.turn(now_ms);
        let now = &mut served.lately.now;
        now.all += 1;
        now.bad += u64::from(bad);
        *now.durations.entry(bucket(duration_ns / 1_000)).or_default() += 1;
    }

    /// Learns that one service calls another, without counting.
    pub fn knows(&mut self, from: Name, to: Name) {
        self.paths.insert((from, to));
    }

    /// Counts one matched call.
    pub fn called(&mut self, from: Name, to: Name, bad: bool, now_ms: i64) {
        if from != to {
            self.knows(from, to);
            let called = self.edges.entry((from, to)).or_default();
            called.all += 1;
            called.bad += u64::from(bad);
            called.lately.turn(now_ms);
            called.lately.now.all += 1;
        }
    }

    /// Whether a call path leads from `a` to `b`.
    pub fn leads(&self, a: Name, b: Name) -> bool {
        self.reach(a).contains(&b)
    }

    /// How many services lie above: the deeper, the later in a call path.
    pub fn depth(&self, service: Name) -> usize {
        self.served.keys().filter(|other| **other != service && self.leads(**other, service)).count()
    }

    fn reach(&self, from: Name) -> BTreeSet<Name> {
        let (mut open, mut reached) = (vec![from], BTreeSet::new());
        while let Some(at) = open.pop() {
            let callees = self.paths.iter().filter(|(caller, _)| *caller == at).map(|(_, callee)| *callee);
            open.extend(callees.filter(|callee| reached.insert(*callee)).collect::<Vec<_>>());
        }
        reached
    }

    /// The graph as it stands.
    pub fn graph(
        &self,
        names: &Names,
        (revisions, vitals): (&Revisions, &Vitals),
        suspect: impl Fn(Name) -> bool,
        now_ms: i64,
    ) -> Graph {
        let silent = Served::default();
        let node = |service: Name| {
            let revision = revisions.newest(service).map_or("", |name| names.text(name));
            let (served, state) = match self.served.get(&service) {
                Some(served) => (served, if suspect(service) { "suspect" } else { "healthy" }),
                None => (&silent, "unknown"),
            };
            Node { heard: vitals.of(service), ..served.node(names.text(service), revision, state, now_ms) }
        };
        let edge = |((from, to), called): (&(Name, Name), &Called)| Edge {
            from: names.text(*from).to_owned(),
            to: names.text(*to).to_owned(),
            requests: called.all,
            rate: called.lately.rate(now_ms),
            error_ratio: called.bad as f64 / called.all.max(1) as f64,
        };
        let services: BTreeSet<Name> = self.served.keys().copied().chain(vitals.services()).collect();
        Graph { nodes: services.into_iter().map(node).collect(), edges: self.edges.iter().map(edge).collect() }
    }
}

impl Lately {
    fn turn(&mut self, now_ms: i64) {
        if now_ms >= self.now.began_ms + HALF_WINDOW_MS {
            let fresh = Half { began_ms: now_ms, ..Half::default() };
            self.last = std::mem::replace(&mut self.now, fresh);
        }
    }

    /// The halves that are not too old to speak of now.
    fn halves(&self, now_ms: i64) -> impl Iterator<Item = &Half> {
        let fresh = move |half: &&Half| half.all > 0 && now_ms - half.began_ms <= 2 * HALF_WINDOW_MS + 1_000;
        [&self.last, &self.now].into_iter().filter(fresh)
    }

    fn rate(&self, now_ms: i64) -> f64 {
        let all: u64 = self.halves(now_ms).map(|half| half.all).sum();
        let began = self.halves(now_ms).map(|half| half.began_ms).min().unwrap_or(now_ms);
        all as f64 / ((now_ms - began).max(1_000) as f64 / 1_000.0)
    }
}

impl Served {
    fn node(&self, service: &str, revision: &str, state: &'static str, now_ms: i64) -> Node {
        let halves = || self.lately.halves(now_ms);
        let all: u64 = halves().map(|half| half.all).sum();
        let bad: u64 = halves().map(|half| half.bad).sum();
        let mut durations: BTreeMap<u64, u64> = BTreeMap::new();
        halves().flat_map(|half| &half.durations).for_each(|(at, count)| *durations.entry(*at).or_default() += count);
        let quantile = |q: f64| quantile_us(&durations, all, q) / 1_000.0;
        Node {
            service: service.to_owned(),
            revision: revision.to_owned(),
            requests: self.requests,
            rate: self.lately.rate(now_ms),
            error_ratio: bad as f64 / all.max(1) as f64,
            p50_ms: quantile(0.50),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            state,
            heard: Heard::default(),
        }
    }
}

/// Log-linear bucket of a value: exact below 64, then 32 to the octave.
fn bucket(value: u64) -> u64 {
    if value < 2 * PER_OCTAVE {
        return value;
    }
    let octave = u64::from(value.ilog2()) - u64::from(PER_OCTAVE.ilog2());
    octave * PER_OCTAVE + (value >> octave)
}

/// Middle of a bucket.
fn middle(bucket: u64) -> f64 {
    if bucket < 2 * PER_OCTAVE {
        return bucket as f64;
    }
    let octave = bucket / PER_OCTAVE - 1;
    let low = (bucket - octave * PER_OCTAVE) << octave;
    low as f64 + (1_u64 << octave) as f64 / 2.0
}

fn quantile_us(durations: &BTreeMap<u64, u64>, all: u64, q: f64) -> f64 {
    let mut left = q * all as f64;
    for (at, count) in durations {
        left -= *count as f64;
        if left <= 0.0 {
            return middle(*at);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_two_percent_of_its_values() {
        for value in (1..2_000_000).step_by(37) {
            let error = (middle(bucket(value)) - value as f64).abs() / value as f64;
            assert!(error <= 0.02, "{value}: {error}");
        }
    }
}
