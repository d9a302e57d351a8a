//! Root cause from traces: where a failure begins, what shape it has, what was measured on the way, how sure that is.
//!
//! Everything is structural: who calls whom, what fails alone, what waits, what began with which revision. No message and no
//! particular name is ever read, so telemetry text cannot steer the answer.

mod calls;
mod change;
mod coherence;
mod forest;
mod measure;
mod onset;
mod origin;
mod remedy;
mod repeats;
mod requests;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

pub use self::change::Guilty;
use self::forest::Forest;
use self::origin::Origin;
pub use self::remedy::{bind, offers};
use self::shape::{Seen, Shape};
use self::walk::How;
use crate::catalogue::Catalogue;
use crate::diagnosis::{Confidence, Diagnosis, Exhibit, FaultKind, Measured, Term};
use crate::evidence::Evidence;
use crate::knowledge::Signature;
use crate::proposal::KnobValue;

/// Present values of the owners' knobs, by (service, knob).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Current(pub BTreeMap<(String, String), KnobValue>);

/// Which files belong to a service, as its owners declared: (service, path).
pub type Owns<'a> = &'a dyn Fn(&str, &str) -> bool;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Gap {
    /// More evidence may come.
    #[error("too early to say: {0}")]
    TooEarly(String),
    /// More of the same would not help.
    #[error("the evidence is not clear: {0}")]
    Unclear(String),
}

impl Gap {
    /// Whether waiting can help.
    pub fn is_early(&self) -> bool {
        matches!(self, Self::TooEarly(_))
    }
}

/// What the evidence shows, before anything is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Service where the failure begins.
    pub service: String,
    /// Operation where the failure begins.
    pub operation: String,
    /// What kind of fault its structure shows.
    pub kind: FaultKind,
    /// Structural facts, sorted.
    pub facts: Vec<String>,
    /// Sizes.
    pub measured: Measured,
    /// The change it began with.
    pub guilty: Option<Guilty>,
    /// Services that call the origin, the most frequent first.
    pub callers: Vec<String>,
    /// What the origin's requests take in calm times, 99th percentile, milliseconds; `None` when none were seen.
    pub calm_ms: Option<f64>,
    affected: Vec<(String, String)>,
    origin: Origin,
    fit: Term,
    detector: f64,
    /// The summary, where structure does not tell it.
    said: Option<String>,
}

/// Bad traces needed for an answer while the incident is young, and seconds since the onset.
const ENOUGH_TRACES: usize = 30;
const YOUNG_S: f64 = 5.0;
/// Where nearly all traces are bad, fewer show it as well.
const PLAIN_TRACES: usize = 15;
const PLAIN_SHARE: f64 = 0.9;
/// Where traffic is thin, this many must do after this time.
const FEW_TRACES: usize = 5;
const OLD_S: f64 = 30.0;
/// Where no calm times were seen, nobody knows what has grown until the growth dwarfs all else: until then, seconds since the
/// onset, a localisation below the other figure may still become clear.
const DWARFED_S: f64 = 15.0;
const CLEAR: f64 = 0.9;
/// Whether traces are seen whole cannot be told before all of their parts had the time to arrive; after so many seconds since
/// the onset they had it.
const LATE_S: f64 = 15.0;

/// Reads the evidence. `owns` tells which files belong to a service.
pub fn read(evidence: &Evidence, owns: Owns<'_>) -> Result<Reading, Gap> {
    if let Some(numbers) = &evidence.signal.coherence {
        return coherence::read(evidence, numbers);
    }
    let forest = Forest::grow(evidence);
    let age_s = (evidence.taken_ms - evidence.signal.onset_ms) as f64 / 1_000.0;
    let (all, bad) = (forest.concerned().count(), forest.concerned().filter(|trace| forest.is_bad(trace)).count());
    let is_plain = bad >= PLAIN_TRACES && bad as f64 >= PLAIN_SHARE * all as f64;
    let mature = ((bad >= ENOUGH_TRACES || is_plain) && age_s >= YOUNG_S) || (bad >= FEW_TRACES && age_s >= OLD_S);
    if !mature {
        return Err(Gap::TooEarly(format!("{bad} bad traces, {age_s:.1} s since the onset")));
    }
    let origin = origin::locate(&forest).ok_or_else(|| Gap::Unclear("no bad trace shows where it fails".into()))?;
    if origin.localisation.value < CLEAR && age_s < DWARFED_S && !origin.knows_usual {
        return Err(Gap::TooEarly(format!("{}, {age_s:.1} s since the onset", origin.localisation.why)));
    }
    if !origin.is_settled && age_s < LATE_S {
        return Err(Gap::TooEarly(format!("{}, more may arrive", origin.coverage.why)));
    }
    let requests = requests::of_origin(&forest, &origin);
    let guilty = change::guilty(evidence, &requests, &origin.service, owns);
    let seen = Seen { forest: &forest, origin: &origin, requests: &requests, guilty: guilty.as_ref() };
    let Shape { kind, facts, mut measured, fit } = shape::recognise(&seen);
    let guilty = guilty.filter(|_| kind == FaultKind::BadChange);
    measured.revision = guilty.as_ref().map(|guilty| guilty.revision.clone());
    measured.vetoes = evidence.vetoes.clone();
    Ok(Reading {
        service: origin.service.clone(),
        operation: origin.operation.clone(),
        kind,
        facts,
        measured,
        guilty,
        callers: callers(&forest, &origin),
        affected: affected(&forest),
        calm_ms: requests::calm_ms(&requests, forest.onset_ns),
        origin,
        fit,
        detector: evidence.signal.posterior,
        said: None,
    })
}

/// Where the requests of the bad traces are bad.
fn affected(forest: &Forest<'_>) -> Vec<(String, String)> {
    let bad = forest.concerned().filter(|trace| forest.is_bad(trace));
    let spans = bad.flat_map(|trace| trace.spans.iter().copied());
    let places: BTreeSet<usize> = spans
        .filter(|index| forest.bad[*index] && forest.spans[*index].kind.is_entry())
        .map(|index| forest.places[index])
        .collect();
    let name = |place: usize| (forest.names[place].0.to_owned(), forest.names[place].1.to_owned());
    places.into_iter().map(name).collect()
}

fn callers(forest: &Forest<'_>, origin: &Origin) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let service = |index: usize| forest.names[forest.places[index]].0;
    for (index, parent) in forest.parents.iter().enumerate() {
        let caller = parent.map(service).filter(|caller| *caller != origin.service);
        if let Some(caller) = caller.filter(|_| service(index) == origin.service) {
            *counts.entry(caller).or_default() += 1;
        }
    }
    let mut callers: Vec<(&str, usize)> = counts.into_iter().collect();
    callers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    callers.into_iter().map(|(caller, _)| caller.to_owned()).collect()
}

impl Reading {
    /// The structural shape: equal for the same fault again.
    pub fn signature(&self) -> Signature {
        Signature {
            service: self.service.clone(),
            operation: self.operation.clone(),
            kind: self.kind,
            facts: self.facts.clone(),
        }
    }

    /// The diagnosis with its terms; `choice` says how far the choice of what to change was clear.
    pub fn diagnosis(&self, choice: Option<Term>) -> Diagnosis {
        let terms: Vec<Term> = [
            Term {
                name: "detector".into(),
                value: self.detector,
                why: format!("P(bad share > 5 %) = {:.4}", self.detector),
            },
            self.origin.localisation.clone(),
            self.origin.coverage.clone(),
            self.fit.clone(),
        ]
        .into_iter()
        .chain(choice)
        .collect();
        let exhibit = |(trace, span, how): &(String, String, How)| Exhibit {
            trace_id: trace.clone(),
            span_id: span.clone(),
            why: how.shows().to_owned(),
        };
        Diagnosis {
            service: self.service.clone(),
            operation: self.operation.clone(),
            kind: self.kind,
            summary: self.summary(),
            confidence: Confidence::product(terms.iter().map(|term| term.value)),
            terms,
            evidence: self.origin.exhibits.iter().map(exhibit).collect(),
            candidates: self.origin.candidates.clone(),
            measured: self.measured.clone(),
            affected: self.affected.clone(),
        }
    }

    fn summary(&self) -> String {
        if let Some(said) = &self.said {
            return said.clone();
        }
        let number = |value: Option<f64>| value.unwrap_or_default();
        let (service, operation) = (&self.service, &self.operation);
        match self.kind {
            FaultKind::PoolExhausted => format!(
                "{service} {operation} waits for a connection: {:.0} work at once at most, while {:.0} requests/s x {:.2} s ask for {:.0}",
                number(self.measured.plateau),
                number(self.measured.arrival_rate),
                number(self.measured.hold_s),
                number(self.measured.demand),
            ),
            FaultKind::BadChange => self.guilty.as_ref().map_or_else(
                || format!("{service} {operation} is bad since a change"),
                |guilty| format!("{service} {operation} is bad since {guilty}"),
            ),
            FaultKind::SlowQuery => format!("{service} {operation} is slow in its database calls"),
            FaultKind::DependencyTimeout => format!("{service} {operation} is slow or unreachable for its callers"),
            FaultKind::NetworkDelay => format!("calls to {service} {operation} are bad between caller and callee"),
            FaultKind::MemoryLeak
            | FaultKind::RetryStorm
            | FaultKind::CpuSaturation
            | FaultKind::CrashLoop
            | FaultKind::ErrorBurst
            | FaultKind::Unknown => {
                format!("{service} {operation} fails by itself; no known structure explains it")
            }
        }
    }
}

/// Whether the owners' catalogue has anything for a service.
pub fn is_known(catalogue: &Catalogue, service: &str) -> bool {
    catalogue.services.contains_key(service)
}
