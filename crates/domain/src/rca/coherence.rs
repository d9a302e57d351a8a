//! Root cause of what the second sense saw: no request is bad yet, so there is nothing to walk down. The place is the service
//! that grows or multiplies; what has to be shown is that it is the only one, that two sources measure the same, and the shape.

use std::collections::{BTreeMap, BTreeSet};

use super::origin::Origin;
use super::repeats::Repeats;
use super::walk::How;
use super::{Gap, Reading};
use crate::diagnosis::{AGREEMENT, Candidate, FaultKind, Measured, Term};
use crate::evidence::Evidence;
use crate::signal::{Amplification, Coherence, MemoryTrend};
use crate::telemetry::{Span, TraceId};

/// Time that says what load was usual, seconds.
const LEAST_CALM_S: f64 = 5.0;
/// What grows under a load that nobody knows may grow for it: a person is asked.
const UNKNOWN_LOAD: f64 = 0.9;

/// Kind, facts, the two terms of their own, and what there is to show.
struct Shape {
    kind: FaultKind,
    fact: &'static str,
    agreement: Term,
    fit: Term,
    exhibits: Vec<(String, String, How)>,
}

/// Reads the evidence of a signal of the second sense.
pub(super) fn read(evidence: &Evidence, numbers: &Coherence) -> Result<Reading, Gap> {
    let signal = &evidence.signal;
    let shape = match numbers {
        Coherence::Memory(memory) => leak(evidence, memory)?,
        Coherence::Calls(calls) => storm(evidence, calls)?,
    };
    let candidates = candidates(evidence);
    let alone = 1.0 / candidates.len() as f64;
    let localisation = Term {
        name: "localisation".into(),
        value: alone,
        why: format!("{} service(s) show the same trend", candidates.len()),
    };
    let origin = Origin {
        service: signal.service.clone(),
        operation: signal.operation.clone(),
        ways: BTreeMap::new(),
        is_called: true,
        knows_usual: true,
        candidates,
        localisation,
        coverage: shape.agreement,
        is_settled: true,
        exhibits: shape.exhibits,
    };
    Ok(Reading {
        service: signal.service.clone(),
        operation: signal.operation.clone(),
        kind: shape.kind,
        facts: vec![shape.fact.to_owned()],
        measured: Measured { vetoes: evidence.vetoes.clone(), coherence: Some(*numbers), ..Measured::default() },
        guilty: None,
        callers: Vec::new(),
        calm_ms: None,
        affected: affected(evidence),
        origin,
        fit: shape.fit,
        detector: signal.posterior,
        said: Some(format!("{} {} {}", signal.service, signal.operation, signal.clause())),
    })
}

/// The services with the same trend, that of the signal first.
fn candidates(evidence: &Evidence) -> Vec<Candidate> {
    let signal = &evidence.signal;
    let others = evidence.suspects.iter().filter(|suspect| suspect.operation == signal.operation);
    let others: BTreeSet<&String> =
        others.map(|suspect| &suspect.service).filter(|name| **name != signal.service).collect();
    let score = 1.0 / (others.len() + 1) as f64;
    let all = std::iter::once(&signal.service).chain(others);
    all.map(|service| Candidate { service: service.clone(), score }).collect()
}

/// What requests through the service would go bad in, were it left alone; and what is watched itself.
fn affected(evidence: &Evidence) -> Vec<(String, String)> {
    let signal = &evidence.signal;
    let through: BTreeSet<TraceId> =
        evidence.spans.iter().filter(|span| span.service == signal.service).map(|span| span.trace_id).collect();
    let entries = evidence.spans.iter().filter(|span| span.kind.is_entry() && through.contains(&span.trace_id));
    let places: BTreeSet<(&String, &String)> =
        entries.map(|span| (&span.service, &span.name)).chain([(&signal.service, &signal.operation)]).collect();
    places.into_iter().map(|(service, operation)| (service.clone(), operation.clone())).collect()
}

/// What two sources measured; `None` where one alone did.
fn agreement(numbers: &Coherence) -> Option<Term> {
    let (ours, theirs) = numbers.measured_twice()?;
    let what = match numbers {
        Coherence::Memory(_) => "MB/s",
        Coherence::Calls(_) => "calls for each request",
    };
    let why = format!("{ours:.2} {what} by one source, {theirs:.2} by another");
    Some(Term { name: AGREEMENT.into(), value: numbers.agreement()?, why })
}

fn leak(evidence: &Evidence, memory: &MemoryTrend) -> Result<Shape, Gap> {
    let Some(agreement) = agreement(&Coherence::Memory(*memory)) else {
        return Err(Gap::TooEarly("one source alone sees memory grow".into()));
    };
    let load = load(evidence);
    let growth = load.map_or(1.0 / UNKNOWN_LOAD, |load| load.max(1.0));
    let fit = Term {
        name: "shape".into(),
        value: memory.explained / growth,
        why: format!(
            "a straight line explains {:.1} % of {:.0} s; load is {} of what it was",
            memory.explained * 100.0,
            memory.window_s,
            load.map_or("an unknown share".to_owned(), |load| format!("{:.0} %", load * 100.0)),
        ),
    };
    let exhibits = Vec::new();
    Ok(Shape { kind: FaultKind::MemoryLeak, fact: "grows-towards-limit", agreement, fit, exhibits })
}

/// Requests per second since the onset, as a share of those before: memory may well grow with load.
fn load(evidence: &Evidence) -> Option<f64> {
    let served = evidence.spans.iter().filter(|span| span.kind.is_entry() && span.service == evidence.signal.service);
    let ends: Vec<i64> = served.map(end_ms).collect();
    let (first, onset) = (*ends.iter().min()?, evidence.signal.onset_ms);
    let (before_s, since_s) = ((onset - first) as f64 / 1e3, (evidence.taken_ms - onset) as f64 / 1e3);
    let since = ends.iter().filter(|end| **end >= onset).count();
    let before = ends.len() - since;
    let is_known = before_s >= LEAST_CALM_S && since_s >= LEAST_CALM_S && before > 0;
    is_known.then(|| (since as f64 / since_s) / (before as f64 / before_s))
}

pub(super) fn end_ms(span: &Span) -> i64 {
    i64::try_from(span.end_ns / 1_000_000).unwrap_or(i64::MAX)
}

fn storm(evidence: &Evidence, calls: &Amplification) -> Result<Shape, Gap> {
    let Some(agreement) = agreement(&Coherence::Calls(*calls)) else {
        return Err(Gap::TooEarly("the callees' side of the calls is not seen".into()));
    };
    let repeats = Repeats::of(evidence);
    let excess = repeats.calls - calls.usual * repeats.requests;
    if excess < 1.0 {
        return Err(Gap::TooEarly(format!("{} requests make {} calls", repeats.requests, repeats.calls)));
    }
    let share = (repeats.again / excess).clamp(0.0, 1.0);
    let fit = Term {
        name: "shape".into(),
        value: share,
        why: format!(
            "{:.1} % of {excess:.0} calls too many are the same call again within one request, which is unusual",
            share * 100.0
        ),
    };
    let exhibits = repeats.exhibits;
    Ok(Shape { kind: FaultKind::RetryStorm, fact: "repeats-calls", agreement, fit, exhibits })
}
