//! Root causes of generated traffic: a shop that calls an engine that calls a rating provider, seeded and discrete-event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::catalogue::{Knob, KnobType, ServiceRules};
use crate::evidence::{CommitInfo, RevisionSeen};
use crate::ids::Sha;
use crate::proposal::Remedy;
use crate::signal::{Certainty, Signal, SignalKind};
use crate::telemetry::{Span, SpanId, SpanKind, TraceId};

const MS: u64 = 1_000_000;
const BEGAN_MS: u64 = 1_000_000;
const HOLD_MS: u64 = 510;
const GIVE_UP_MS: u64 = 1_000;

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64) / ((1_u64 << 53) as f64)
    }
}

/// What is wrong from the fifteenth second on.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Each request holds one of 20 connections throughout.
    Pool,
    /// A new revision fails for this share of requests, at once.
    Rule(f64),
    /// Two services fail by themselves, half of the requests each.
    Two,
}

struct Shop {
    load: f64,
    fault: Fault,
    lost: f64,
    later_revision: bool,
    names: [&'static str; 3],
}

impl Default for Shop {
    fn default() -> Self {
        Self { load: 150.0, fault: Fault::Pool, lost: 0.0, later_revision: false, names: ["web", "engine", "rating"] }
    }
}

const FAULT_AT_MS: u64 = 15_000;
const LATER_AT_MS: u64 = 19_000;
const END_MS: u64 = 26_000;

impl Shop {
    fn revision(&self, at_ms: u64) -> &'static str {
        match self.fault {
            Fault::Rule(_) if self.later_revision && at_ms >= LATER_AT_MS => "ccc",
            Fault::Rule(_) if at_ms >= FAULT_AT_MS => "bbb",
            Fault::Rule(_) | Fault::Pool | Fault::Two => "aaa",
        }
    }

    /// When a request gets to work; `None` when it gives up waiting. `busy` holds the ends of the 20 connections in use.
    fn admit(&self, at_ms: u64, busy: &mut BinaryHeap<Reverse<u64>>) -> Option<u64> {
        if self.fault != Fault::Pool || at_ms < FAULT_AT_MS {
            return Some(at_ms + 1);
        }
        while busy.len() >= 20 {
            let Reverse(free_at) = *busy.peek().expect("a connection in use");
            if free_at > at_ms + GIVE_UP_MS {
                return None;
            }
            busy.pop();
            if busy.len() < 20 {
                let from = free_at.max(at_ms) + 1;
                busy.push(Reverse(from + HOLD_MS));
                return Some(from);
            }
        }
        busy.push(Reverse(at_ms + 1 + HOLD_MS));
        Some(at_ms + 1)
    }

    fn play(&self, seed: u64) -> Evidence {
        let (mut dice, mut busy, mut spans) = (Dice(seed), BinaryHeap::new(), Vec::new());
        let mut at = 0.0;
        let mut number = 0;
        while at < END_MS as f64 {
            at += 1_000.0 / self.load * (0.5 + dice.roll());
            number += 1;
            self.request(&mut spans, (number, at as u64), &mut dice, &mut busy);
        }
        spans.retain(|span| span.end_ns <= (BEGAN_MS + END_MS) * MS && dice.roll() >= self.lost);
        spans.sort_by_key(|span| span.end_ns);
        self.evidence(spans)
    }

    fn request(
        &self,
        spans: &mut Vec<Span>,
        (number, at): (u64, u64),
        dice: &mut Dice,
        busy: &mut BinaryHeap<Reverse<u64>>,
    ) {
        let [web, engine, rating] = self.names;
        let admitted = self.admit(at + 2, busy);
        let rule_fails = match self.fault {
            Fault::Rule(share) => at >= FAULT_AT_MS && dice.roll() < share,
            Fault::Pool | Fault::Two => false,
        };
        let two = self.fault == Fault::Two && at >= FAULT_AT_MS;
        let rating_fails = two && number.is_multiple_of(2);
        let engine_fails = admitted.is_none() || rule_fails || (two && number % 2 == 1);
        let ends = admitted.map_or(at + 2 + GIVE_UP_MS, |from| from + HOLD_MS);
        let mut span = |part: u64, parent: u64, service: &str, kind: SpanKind, from: u64, to: u64, failed: bool| {
            spans.push(Span {
                trace_id: TraceId(u128::from(number).to_be_bytes()),
                span_id: SpanId((number * 16 + part).to_be_bytes()),
                parent_id: (parent > 0).then(|| SpanId((number * 16 + parent).to_be_bytes())),
                service: service.to_owned(),
                revision: if service == engine { self.revision(at).to_owned() } else { "zzz".to_owned() },
                name: format!("{service} {}", if kind == SpanKind::Server { "serves" } else { "calls" }),
                kind,
                start_ns: (BEGAN_MS + from) * MS,
                end_ns: (BEGAN_MS + to) * MS,
                failed,
                http_status: None,
                error_type: String::new(),
                db_system: if part == 4 { "sqlite".into() } else { String::new() },
            });
        };
        let failed = engine_fails || rating_fails;
        span(1, 0, web, SpanKind::Server, at, ends + 2, failed);
        span(2, 1, web, SpanKind::Client, at + 1, ends + 1, failed);
        span(3, 2, engine, SpanKind::Server, at + 2, ends, failed);
        if let Some(from) = admitted {
            span(4, 3, engine, SpanKind::Client, from, from + 1, false);
            span(5, 3, engine, SpanKind::Client, from + 2, ends - 1, rating_fails);
            span(6, 5, rating, SpanKind::Server, from + 3, ends - 2, rating_fails);
        }
    }

    fn evidence(&self, spans: Vec<Span>) -> Evidence {
        let [_, engine, _] = self.names;
        let onset = spans.iter().find(|span| span.service == engine && span.failed).expect("a failure");
        let onset_ms = i64::try_from(onset.end_ns / MS).expect("a time");
        let mut revisions: Vec<RevisionSeen> = Vec::new();
        for span in spans.iter().filter(|span| span.service == engine && span.kind == SpanKind::Server) {
            let bad = u64::from(span.is_bad(800 * MS));
            match revisions.iter_mut().find(|seen| seen.revision == span.revision) {
                Some(seen) => (seen.entries, seen.bad) = (seen.entries + 1, seen.bad + bad),
                None => revisions.push(RevisionSeen {
                    service: engine.to_owned(),
                    revision: span.revision.clone(),
                    first_seen_ms: i64::try_from(span.end_ns / MS).expect("a time"),
                    entries: 1,
                    bad,
                }),
            }
        }
        Evidence {
            signal: Signal {
                service: engine.to_owned(),
                operation: format!("{engine} serves"),
                kind: SignalKind::ErrorRate,
                certainty: Certainty::Confirmed,
                observed: 0.7,
                baseline: 0.001,
                threshold: 13.0,
                window_s: 8.0,
                samples: 1_000,
                statistic: 26.0,
                posterior: 1.0,
                sources: vec!["a".into(), "b".into()],
                onset_ms,
            },
            taken_ms: i64::try_from(BEGAN_MS + END_MS).expect("a time"),
            spans,
            latency_objective_ns: 800 * MS,
            revisions,
            suspects: vec![],
            changes: ["ccc", "bbb", "aaa"].map(commit).to_vec(),
        }
    }
}

fn commit(sha: &str) -> CommitInfo {
    let file = if sha == "ccc" { "README.md" } else { "rules/pricing.rhai" };
    CommitInfo { sha: Sha(sha.into()), parents: vec![], at_ms: 0, files: vec![file.into()] }
}

fn knob(name: &str, kinds: &[FaultKind]) -> Knob {
    Knob {
        name: name.into(),
        file: "config.yaml".into(),
        path: name.into(),
        kind: KnobType::Int,
        min: Some(20),
        max: Some(200),
        step: Some(10),
        remedies: kinds.to_vec(),
    }
}

fn rules(service: &str) -> (Catalogue, Current) {
    let mut rules: ServiceRules = serde_json::from_str(r#"{"autonomy":"auto"}"#).expect("rules");
    rules.knobs = vec![
        knob("decoy", &[FaultKind::PoolExhausted]),
        knob("pool", &[FaultKind::PoolExhausted]),
        knob("other", &[FaultKind::SlowQuery]),
    ];
    let services = [(service.to_owned(), rules)].into_iter().collect();
    let values = [("decoy", 64), ("pool", 20), ("other", 20)];
    let current = values.map(|(name, value)| ((service.to_owned(), name.to_owned()), KnobValue::Int(value)));
    (Catalogue { version: 1, limits: Default::default(), services }, Current(current.into_iter().collect()))
}

fn solve(shop: &Shop, seed: u64) -> (Diagnosis, Option<Remedy>) {
    let reading = read(&shop.play(seed), &|_, path| path.starts_with("rules/")).expect("a reading");
    let (rules, current) = rules(shop.names[1]);
    let (remedy, choice) = bind(&reading, &rules, &current, &[]).unzip();
    (reading.diagnosis(choice), remedy)
}

fn pool(service: &str, value: i64) -> Option<Remedy> {
    Some(Remedy::TurnKnob { service: service.into(), knob: "pool".into(), value: KnobValue::Int(value) })
}

#[test]
fn an_exhausted_pool_is_found_and_sized_by_the_demand_seen() {
    for seed in 1..=40 {
        let (diagnosis, remedy) = solve(&Shop::default(), seed);
        assert_eq!((diagnosis.service.as_str(), diagnosis.kind), ("engine", FaultKind::PoolExhausted), "seed {seed}");
        assert!(diagnosis.confidence.get() > 0.90, "{:#?}", diagnosis.terms);
        assert_eq!(remedy, pool("engine", 100), "seed {seed}: {:?}", diagnosis.measured);
    }
}

#[test]
fn another_load_gives_another_size() {
    let shop = Shop { load: 75.0, ..Shop::default() };
    let (diagnosis, remedy) = solve(&shop, 7);
    assert_eq!(remedy, pool("engine", 60), "{:?}", diagnosis.measured);
}

#[test]
fn a_bad_change_is_found_and_exactly_it_is_reverted() {
    for seed in 1..=40 {
        for later_revision in [false, true] {
            let shop = Shop { fault: Fault::Rule(0.3), later_revision, ..Shop::default() };
            let (diagnosis, remedy) = solve(&shop, seed);
            assert_eq!((diagnosis.service.as_str(), diagnosis.kind), ("engine", FaultKind::BadChange), "seed {seed}");
            assert!(diagnosis.confidence.get() > 0.90, "{:#?}", diagnosis.terms);
            assert_eq!(remedy, Some(Remedy::Revert { service: "engine".into(), commit: Sha("bbb".into()) }));
        }
    }
}

#[test]
fn names_do_not_matter() {
    let shop = Shop { names: ["qqx", "vorl", "mib"], ..Shop::default() };
    let (diagnosis, remedy) = solve(&shop, 3);
    assert_eq!((diagnosis.service.as_str(), diagnosis.kind), ("vorl", FaultKind::PoolExhausted));
    assert_eq!(remedy, pool("vorl", 100));
}

#[test]
fn with_lost_spans_confidence_falls_and_coverage_is_why() {
    for fault in [Fault::Pool, Fault::Rule(0.3)] {
        let (diagnosis, _) = solve(&Shop { lost: 0.3, fault, ..Shop::default() }, 5);
        assert!(diagnosis.confidence.get() <= 0.90);
        let lowest = diagnosis.terms.iter().min_by(|a, b| a.value.total_cmp(&b.value)).expect("terms");
        assert_eq!(lowest.name, "coverage", "{:#?}", diagnosis.terms);
    }
}

#[test]
fn with_two_equal_suspects_confidence_falls_and_localisation_is_why() {
    let (diagnosis, _) = solve(&Shop { fault: Fault::Two, ..Shop::default() }, 5);
    assert!(diagnosis.confidence.get() <= 0.90);
    let lowest = diagnosis.terms.iter().min_by(|a, b| a.value.total_cmp(&b.value)).expect("terms");
    assert_eq!(lowest.name, "localisation", "{:#?}", diagnosis.terms);
}

#[test]
fn the_same_fault_again_has_the_same_fingerprint() {
    let fingerprint = |seed| {
        let reading = read(&Shop::default().play(seed), &|_, _| false).expect("a reading");
        reading.signature().fingerprint()
    };
    assert_eq!(fingerprint(1), fingerprint(2));
}

#[test]
fn young_evidence_is_too_early() {
    let mut evidence = Shop::default().play(1);
    evidence.taken_ms = evidence.signal.onset_ms + 1_000;
    let gap = read(&evidence, &|_, _| false).expect_err("too early");
    assert!(gap.is_early());
}
