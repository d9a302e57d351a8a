//! Judging a deployed change by the new revision's telemetry.

use sre_space_domain::evidence::Suspect;
use sre_space_domain::recovery::{self, Before, Recovery, Seen, Served, Tally};
use sre_space_domain::signal::Coherence;

use super::names::Name;
use super::series::Phase;
use super::{Key, Scout};

/// Requests of the other revisions this long before the change say how many were bad anyway, milliseconds.
const BEFORE_MS: i64 = 60_000;

/// Outcomes of own probes since the new revision settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProbeTally {
    /// The same probe failed on the old revision.
    pub failed_before: bool,
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
}

/// What is watched after a change. It names no fault: recovery is judged without knowing what was wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// Service that was changed.
    pub service: String,
    /// Operation the incident is about; `None` judges the service as a whole.
    pub operation: Option<String>,
    /// Revision to judge.
    pub revision: String,
    /// Share of bad requests in calm times.
    pub baseline: f64,
    /// Share of bad requests during the incident.
    pub observed: f64,
    /// What the second sense measured when the incident opened: what was usual then is usual still.
    pub coherence: Option<Coherence>,
    /// Who was under suspicion for this failure before the change, and has to be clear of it.
    pub suspects_before: Vec<Suspect>,
    /// Who was under suspicion for something else, or is what the change protects from: not judged here.
    pub apart: Vec<Suspect>,
    /// Time after the first span of the revision that does not count, milliseconds.
    pub settle_ms: i64,
    /// Time after which undecided is INCONCLUSIVE, milliseconds.
    pub timeout_ms: i64,
    /// When the first span of the revision arrived, milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Own probes.
    pub probes: ProbeTally,
}

pub(super) fn judge(scout: &Scout, watch: &Watch, now_ms: i64) -> Option<Recovery> {
    let counted_from = watch.since_ms + watch.settle_ms;
    if now_ms < counted_from {
        return None;
    }
    let sensed = sensed(scout, watch);
    let probes = Tally { all: watch.probes.good + watch.probes.bad, bad: watch.probes.bad };
    let requests = requests(scout, watch, counted_from);
    let (service, operation) = match sensed {
        Some(key) => [seconds(scout, watch, key, counted_from); 2].into(),
        None => requests,
    };
    let among = |others: &[Suspect], suspect: &Suspect| {
        others.iter().any(|other| other.service == suspect.service && other.operation == suspect.operation)
    };
    let known = |suspect: &Suspect| among(&watch.suspects_before, suspect) || is_watched(watch, suspect);
    let suspects: Vec<Suspect> = scout.suspects().into_iter().filter(|suspect| !among(&watch.apart, suspect)).collect();
    let broken = |suspect: &&Suspect| {
        !known(suspect) && is_certain(scout, suspect) && passes_through(scout, suspect, &watch.service)
    };
    let seen = Seen {
        service,
        operation,
        // A probe is a request, and no second.
        probes: if sensed.is_some() { Tally::default() } else { probes },
        probe_failed_before: sensed.is_none() && watch.probes.failed_before,
        still_suspect: suspects.iter().any(known),
        newly_suspect: suspects.iter().filter(broken).map(|suspect| suspect.service.clone()).collect(),
        served: sensed.map(|_| served(scout, watch, requests.0)),
        timed_out: now_ms > watch.since_ms + watch.timeout_ms,
    };
    recovery::judge(&seen, Before { baseline: watch.baseline, observed: watch.observed })
}

/// Requests of the new revision: all that count, and those of the operation.
fn requests(scout: &Scout, watch: &Watch, counted_from: i64) -> (Tally, Tally) {
    let apart = apart(scout, watch);
    let of_service = |name: Name| !apart.contains(&name);
    let operation = watch.operation.as_ref().map(|operation| scout.names.find(operation));
    let of_operation = |name: Name| operation.map_or(of_service(name), |operation| operation == Some(name));
    let tally = |counts: &dyn Fn(Name) -> bool| match scout.key(&watch.service, &watch.revision) {
        Some((service, revision)) => scout.revisions.tally(service, revision, counts, counted_from),
        None => Tally::default(),
    };
    (tally(&of_service), tally(&of_operation))
}

/// Seconds of the new revision. Calls are judged against what was usual when the incident opened: after a restart in the middle
/// of it, what is learned since is not what is usual.
fn seconds(scout: &Scout, watch: &Watch, (service, operation): Key, counted_from: i64) -> Tally {
    let Some(revision) = scout.names.find(&watch.revision) else { return Tally::default() };
    let watched = scout.senses.get((service, operation));
    let against = watched.zip(watch.coherence.as_ref());
    let known = against.and_then(|(watched, numbers)| watched.against(numbers, Some(revision), counted_from));
    known.unwrap_or_else(|| scout.senses.revisions.tally(service, revision, &|name| name == operation, counted_from))
}

/// What the new revision served meanwhile, beside what the others served just before.
fn served(scout: &Scout, watch: &Watch, requests: Tally) -> Served {
    let apart = apart(scout, watch);
    let counts = |name: Name| !apart.contains(&name);
    let before = scout
        .key(&watch.service, &watch.revision)
        .map_or_else(Tally::default, |key| scout.revisions.tally_of_others(key, &counts, watch.since_ms - BEFORE_MS));
    Served { tally: Tally { all: requests.all + watch.probes.bad, bad: requests.bad + watch.probes.bad }, before }
}

fn apart(scout: &Scout, watch: &Watch) -> Vec<Name> {
    let here = watch.apart.iter().filter(|suspect| suspect.service == watch.service);
    here.filter_map(|suspect| scout.names.find(&suspect.operation)).collect()
}

/// A process that has just begun fills its caches: what the second sense alone suspects breaks nothing until it is confirmed.
fn is_certain(scout: &Scout, suspect: &Suspect) -> bool {
    let sensed = scout.key(&suspect.service, &suspect.operation).and_then(|key| scout.senses.get(key));
    sensed.is_none_or(|watched| watched.series.phase() == Phase::Confirmed)
}

/// What the second sense saw is judged by its seconds, everything else by requests.
fn sensed(scout: &Scout, watch: &Watch) -> Option<Key> {
    let key = watch.operation.as_ref().and_then(|operation| scout.key(&watch.service, operation))?;
    scout.senses.get(key).map(|_| key)
}

/// What does not pass through the changed service does not fail for the change.
fn passes_through(scout: &Scout, suspect: &Suspect, service: &str) -> bool {
    let names = scout.key(&suspect.service, &suspect.operation).zip(scout.names.find(service));
    names.is_some_and(|(operation, service)| scout.buffer.pass_through(operation, service))
}

fn is_watched(watch: &Watch, suspect: &Suspect) -> bool {
    suspect.service == watch.service && watch.operation.as_ref().is_none_or(|operation| suspect.operation == *operation)
}
