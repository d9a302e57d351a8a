//! Judging a deployed change by the new revision's telemetry.

use sre_space_domain::evidence::Suspect;
use sre_space_domain::recovery::{self, Before, Recovery, Seen, Tally};

use super::names::Name;
use super::{Key, Scout};

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
    let timed_out = now_ms > watch.since_ms + watch.timeout_ms;
    if now_ms < counted_from {
        return None;
    }
    let find = |text: &str| scout.names.find(text);
    let sensed = sensed(scout, watch);
    let revisions = if sensed.is_some() { &scout.senses.revisions } else { &scout.revisions };
    let tally = |counts: &dyn Fn(Name) -> bool| match (find(&watch.service), find(&watch.revision)) {
        (Some(service), Some(revision)) => revisions.tally(service, revision, counts, counted_from),
        (None, _) | (_, None) => Tally::default(),
    };
    let apart: Vec<Name> = {
        let here = watch.apart.iter().filter(|suspect| suspect.service == watch.service);
        here.filter_map(|suspect| find(&suspect.operation)).collect()
    };
    let of_service = |name: Name| sensed.map_or(!apart.contains(&name), |key| key.1 == name);
    let of_operation = |name: Name| match &watch.operation {
        Some(operation) => find(operation) == Some(name),
        None => of_service(name),
    };
    let among = |others: &[Suspect], suspect: &Suspect| {
        others.iter().any(|other| other.service == suspect.service && other.operation == suspect.operation)
    };
    let known = |suspect: &Suspect| among(&watch.suspects_before, suspect) || is_watched(watch, suspect);
    let suspects: Vec<Suspect> = scout.suspects().into_iter().filter(|suspect| !among(&watch.apart, suspect)).collect();
    let seen = Seen {
        service: tally(&of_service),
        operation: tally(&of_operation),
        probes: Tally { all: watch.probes.good + watch.probes.bad, bad: watch.probes.bad },
        probe_failed_before: watch.probes.failed_before,
        still_suspect: suspects.iter().any(known),
        newly_suspect: suspects
            .iter()
            .filter(|suspect| !known(suspect) && passes_through(scout, suspect, &watch.service))
            .map(|suspect| suspect.service.clone())
            .collect(),
        timed_out,
    };
    recovery::judge(&seen, Before { baseline: watch.baseline, observed: watch.observed })
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
