//! A generated town: a shop calls an engine that calls a rating provider; discrete events, seeded. The engine's requests
//! share a pool of connections with a queue that gives up after a second, and no span shows the waiting.

#[path = "engine.rs"]
mod engine;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use self::engine::{Dice, Engine, Event, Request};
use super::domain::evidence::{CommitInfo, Evidence, RevisionSeen};
use super::domain::ids::Sha;
use super::domain::signal::{Certainty, Signal, SignalKind};
use super::domain::telemetry::{Span, SpanId, SpanKind, TraceId};

const MS: u64 = 1_000;
/// Generated times are microseconds; spans begin this many milliseconds after the Unix epoch.
const EPOCH_MS: u64 = 1_700_000_000_000;
const BATCH: u64 = 250 * MS;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    Calm,
    /// Each request holds its connection across the rating call.
    Holds,
    /// The engine fails this share of requests by a rule, at once.
    Rule(f64),
    /// The rating provider takes this many milliseconds longer.
    SlowRating(u64),
    /// The same, with requests that held their connection across the call all along.
    SlowRatingWhileHolding(u64),
    /// Nobody answers for the rating provider.
    SilentRating,
    /// Engine and rating provider fail this share of requests each, by themselves.
    TwoSuspects(f64),
    /// The engine's query takes this many milliseconds longer.
    SlowQuery(u64),
}

/// The town, as it is set up.
#[derive(Debug, Clone)]
pub struct Town {
    /// Requests per second.
    pub load: f64,
    /// Arrivals of a Poisson process; else evenly spaced with jitter.
    pub is_poisson: bool,
    /// What is wrong, from `fault_ms` on.
    pub fault: Fault,
    /// When it begins.
    pub fault_ms: u64,
    /// When the evidence is taken.
    pub end_ms: u64,
    /// Revisions of the engine and since when they serve.
    pub deploys: Vec<(u64, &'static str)>,
    /// Commits of the deployed branch, newest first: name and file.
    pub commits: Vec<(&'static str, &'static str)>,
    /// Share of spans lost.
    pub lost: f64,
    /// Share of requests the shop fails for reasons of its own, at all times.
    pub noise: f64,
    /// How far the senders' clocks are ahead.
    pub ahead_ms: u64,
    /// Replace every name by a word without meaning.
    pub is_masked: bool,
    /// Whose operation the signal names: 0 the shop, 1 the engine.
    pub seen_at: usize,
}

impl Default for Town {
    fn default() -> Self {
        Self {
            load: 150.0,
            is_poisson: false,
            fault: Fault::Holds,
            fault_ms: 6_000,
            end_ms: 13_500,
            deploys: vec![(0, "aaaaaaaaaa")],
            commits: vec![("aaaaaaaaaa", "rules/pricing.rhai"), ("0000000000", "rules/pricing.rhai")],
            lost: 0.0,
            noise: 0.0,
            ahead_ms: 0,
            is_masked: false,
            seen_at: 1,
        }
    }
}

impl Town {
    /// The evidence this town leaves with this seed.
    pub fn play(&self, seed: u64) -> Evidence {
        let mut dice = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let (mut at, mut requests, mut events) = (0.0, Vec::new(), BinaryHeap::new());
        while at < (self.end_ms * MS) as f64 {
            let gap = if self.is_poisson { -(1.0 - dice.roll()).ln() } else { 0.5 + dice.roll() };
            at += 1e6 / self.load * gap;
            let now = at as u64 + 2 * MS;
            let is_on = now >= self.fault_ms * MS;
            let holds = matches!(self.fault, Fault::SlowRatingWhileHolding(_)) || (self.fault == Fault::Holds && is_on);
            events.push(Reverse((now, requests.len(), Event::Arrives)));
            requests.push(Request { at: now, holds, ..Request::default() });
        }
        let free = if matches!(self.fault, Fault::SlowRatingWhileHolding(_)) { 100 } else { 20 };
        let mut engine = Engine { town: self, dice, free, queue: VecDeque::new(), events, requests };
        engine.run();
        let Engine { requests, mut dice, .. } = engine;
        let mut seen = Seen { town: self, seed, spans: Vec::new() };
        for (id, request) in requests.iter().enumerate() {
            seen.request(id as u64 + 1, request, dice.roll() < self.noise);
        }
        seen.evidence(&mut dice)
    }

    fn revision(&self, at: u64) -> &'static str {
        self.deploys.iter().rev().find(|(since, _)| *since * MS <= at).map_or("none", |(_, revision)| revision)
    }

    /// A name as this town writes it.
    pub fn name(&self, seed: u64, plain: &str) -> String {
        if !self.is_masked {
            return plain.to_owned();
        }
        let hash = plain
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("{hash:x}")
    }
}

struct Seen<'a> {
    town: &'a Town,
    seed: u64,
    /// With the time of arrival.
    spans: Vec<(u64, Span)>,
}

struct Part<'a> {
    ids: (u64, u64, u64),
    service: &'a str,
    name: &'a str,
    kind: SpanKind,
    time: (u64, u64),
    failed: bool,
}

impl Seen<'_> {
    fn request(&mut self, trace: u64, request: &Request, noise: bool) {
        let Some(end) = request.end else { return };
        let (at, failed) = (request.at, request.failed);
        let silent = self.town.fault == Fault::SilentRating && request.rating_failed;
        let mut add = |ids: (u64, u64), who: (&str, &str), kind: SpanKind, time: (u64, u64), failed: bool| {
            let part = Part { ids: (trace, ids.0, ids.1), service: who.0, name: who.1, kind, time, failed };
            self.span(&part, at);
        };
        add((1, 0), ("shop", "GET /quote"), SpanKind::Server, (at - 2 * MS, end + 2 * MS), failed || noise);
        add((2, 1), ("shop", "SELECT visits"), SpanKind::Client, (at - 1_900, at - 1_000), false);
        add((3, 1), ("shop", "POST"), SpanKind::Client, (at - 900, end + MS), failed);
        add((4, 3), ("engine", "POST /price"), SpanKind::Server, (at, end), failed);
        if let Some(time) = request.select {
            add((5, 4), ("engine", "SELECT customers"), SpanKind::Client, time, false);
        }
        if let Some((from, to)) = request.rating {
            add((6, 4), ("engine", "GET"), SpanKind::Client, (from, to), request.rating_failed);
            if !silent {
                let time = (from + 700, to - 500);
                add((7, 6), ("rating", "GET /rate"), SpanKind::Server, time, request.rating_failed);
            }
        }
        if let Some(time) = request.insert {
            add((8, 4), ("engine", "INSERT quotes"), SpanKind::Client, time, false);
        }
    }

    fn span(&mut self, part: &Part<'_>, at: u64) {
        let (trace, id, parent) = part.ids;
        let is_query = part.kind == SpanKind::Client && part.name.contains(' ');
        let phase = part.service.len() as u64 * 37 * MS % BATCH;
        let arrives = ((part.time.1 + phase) / BATCH + 1) * BATCH - phase;
        let wall = |time: u64| (EPOCH_MS + self.town.ahead_ms) * 1_000_000 + time * 1_000;
        let engine = self.town.revision(at);
        let span = Span {
            trace_id: TraceId(u128::from(trace).to_be_bytes()),
            span_id: SpanId((trace * 16 + id).to_be_bytes()),
            parent_id: (parent > 0).then(|| SpanId((trace * 16 + parent).to_be_bytes())),
            service: self.town.name(self.seed, part.service),
            revision: if part.service == "engine" { engine } else { "ffffffffff" }.to_owned(),
            name: self.town.name(self.seed, part.name),
            kind: part.kind,
            start_ns: wall(part.time.0),
            end_ns: wall(part.time.1),
            failed: part.failed,
            http_status: None,
            error_type: String::new(),
            db_system: if is_query { "sqlite".to_owned() } else { String::new() },
        };
        self.spans.push((arrives, span));
    }

    fn evidence(mut self, dice: &mut Dice) -> Evidence {
        let town = self.town;
        self.spans.retain(|(arrives, _)| *arrives <= town.end_ms * MS && dice.roll() >= town.lost);
        self.spans.sort_by_key(|(arrives, span)| (*arrives, span.end_ns));
        let (service, operation) = [("shop", "GET /quote"), ("engine", "POST /price")][town.seen_at];
        let (service, operation) = (town.name(self.seed, service), town.name(self.seed, operation));
        let is_first_bad = |(arrives, span): &&(u64, Span)| {
            *arrives >= town.fault_ms * MS && (&span.service, &span.name) == (&service, &operation) && is_bad(span)
        };
        let onset = self.spans.iter().find(is_first_bad).map_or(town.fault_ms * MS, |(arrives, _)| *arrives);
        let wall = |time: u64| i64::try_from(EPOCH_MS + time / MS).expect("a time");
        let commit = |(sha, file): &(&str, &str)| CommitInfo {
            sha: Sha((*sha).to_owned()),
            parents: vec![],
            at_ms: 0,
            files: vec![(*file).to_owned()],
        };
        Evidence {
            signal: signal(service, operation, wall(onset)),
            taken_ms: wall(town.end_ms * MS),
            heard_since_ms: 0,
            revisions: revisions(&self.spans, wall),
            spans: self.spans.into_iter().map(|(_, span)| span).collect(),
            latency_objective_ns: 800_000_000,
            suspects: vec![],
            changes: town.commits.iter().map(commit).collect(),
            vetoes: Default::default(),
        }
    }
}

fn is_bad(span: &Span) -> bool {
    span.is_bad(800_000_000)
}

fn revisions(spans: &[(u64, Span)], wall: impl Fn(u64) -> i64) -> Vec<RevisionSeen> {
    let mut order: Vec<RevisionSeen> = Vec::new();
    let mut at: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (arrives, span) in spans.iter().filter(|(_, span)| span.kind == SpanKind::Server) {
        let index = *at.entry((&span.service, &span.revision)).or_insert_with(|| {
            order.push(RevisionSeen {
                service: span.service.clone(),
                revision: span.revision.clone(),
                first_seen_ms: wall(*arrives),
                entries: 0,
                bad: 0,
            });
            order.len() - 1
        });
        order[index].entries += 1;
        order[index].bad += u64::from(is_bad(span));
    }
    order
}

fn signal(service: String, operation: String, onset_ms: i64) -> Signal {
    Signal {
        service,
        operation,
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.7,
        baseline: 0.001,
        threshold: 13.0,
        window_s: 8.0,
        samples: 1_000,
        statistic: 26.0,
        posterior: 0.999,
        sources: vec!["a".into(), "b".into()],
        onset_ms,
        coherence: None,
    }
}
